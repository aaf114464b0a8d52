//! Makes the calls of tasks when they are due.

pub mod driver;
