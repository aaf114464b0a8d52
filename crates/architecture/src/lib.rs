//! Reads the workspace's sources as syntax trees and checks the rules of ARCHITECTURE.md.
//!
//! `map` has what changes when a folder moves or a limit falls. `cargo run -p trunkline-architecture` prints counts.

pub mod circles;
pub mod facts;
mod lines;
pub mod manifest;
pub mod map;
pub mod read;
mod resolve;
pub mod rules;
pub mod table;
mod tokens;
pub mod workspace;

pub use manifest::Files;
pub use resolve::Absolute;
pub use workspace::{Workspace, files};

#[cfg(test)]
mod tests;
