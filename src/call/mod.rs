//! A call: the machine that decides, and the driver that carries.

pub mod admission;
pub mod assistant;
pub mod driver;
pub mod dtmf;
pub mod links;
pub mod live;
pub mod machine;
pub mod negotiate;
pub mod registry;
pub mod trunk_selection;
pub mod voicemail;
