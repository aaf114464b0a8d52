//! Makes the calls of tasks when they are due, and looks at alert rules.

pub mod alerts;
pub mod driver;
