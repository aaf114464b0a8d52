//! JSON and JSON Schemas of strangers: customers, their servers, tool servers, models, callers.
//!
//! [`document`] reads a text into a value within bounds. [`schema`] compiles a schema and holds values against it within
//! a budget that is counted in steps before anything is evaluated. Neither recurses on what it reads, and this crate is
//! the only one that uses the `jsonschema` crate. It starts no thread and reads no clock: who calls it decides on which
//! thread it runs.

pub mod document;
pub mod schema;
