//! A call: the machine that decides, and the driver that carries.

pub mod admission;
pub mod amd;
pub mod assistant;
pub mod driver;
pub mod dtmf;
pub mod live_update;
pub mod machine;
pub mod negotiate;
pub mod public_links;
pub mod registry;
pub mod trunk_selection;
