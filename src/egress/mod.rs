//! Where this server may connect to when somebody else names the address: webhooks, tools, tool servers, an agent's own
//! provider addresses, certificates of Identity headers, and SIP hosts.
//!
//! [`Guard`] is the one place that decides. [`http`] and [`connect`] ask it for every resolved address, right before they
//! connect to exactly that address, so that a name that resolves to something else a moment later gains nothing. SIP
//! asks it through [`Guard::permits`] for every address a request is sent to.
#![cfg_attr(test, expect(clippy::disallowed_methods, reason = "servers of the tests are tasks"))]

pub mod address;
pub mod connect;
mod guard;
pub mod http;
mod resolver;

pub use guard::{EgressError, Guard, OwnListeners, Reach};
pub use ipnet::IpNet;
