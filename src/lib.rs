//! Trunkline: a telephony media server for AI voice agents.
//!
//! ARCHITECTURE.md has the map. This crate wires `signaling` and `media` to providers, store and API.

pub mod api;
pub mod app;
pub mod config;
pub mod scheduler;
pub mod telemetry;

pub use trunkline_call as call;
pub use trunkline_call::stir;
pub use trunkline_checkup as checkup;
pub use trunkline_conversation::dialogue;
pub use trunkline_domain as domain;
pub use trunkline_egress as egress;
pub use trunkline_providers as providers;
pub use trunkline_store as store;
pub use trunkline_supervision as supervision;
pub use trunkline_webhooks as webhooks;
pub use trunkline_webhooks::outbox;
