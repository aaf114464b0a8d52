//! The doctor's judgement: what an answer of a provider, a trunk, a webhook's receiver or a certificate means, and what to do
//! about it. No sockets and no clock: `api` asks for organizations, `crates/doctor` for the machine.

pub mod certificates;
pub mod providers;
pub mod trunks;
pub mod webhooks;

use trunkline_domain as domain;
