//! Trunkline: a telephony media server for AI voice agents.
//!
//! ARCHITECTURE.md has the map. This crate wires `signaling` and `media` to providers, store and API.

pub mod api;
pub mod app;
pub mod call;
pub mod caller;
pub mod cli;
pub mod config;
pub mod dialogue;
pub mod domain;
pub mod egress;
pub mod emulator;
pub mod outbox;
pub mod providers;
pub mod scheduler;
pub mod stir;
pub mod store;
pub mod supervision;
pub mod telemetry;
pub mod webhooks;
