//! A call: the machine that decides is in `trunkline-conversation`, the driver that carries is here.

pub mod admission;
pub mod assistant;
pub mod driver;
pub mod live_update;
pub mod negotiate;
pub mod outgoing_call;
pub mod public_links;
pub mod registry;
pub mod sip_causes;
pub mod trunk_selection;

pub use trunkline_conversation::{amd, dtmf, machine};
