//! Where this server may connect if a customer or a peer names the address: webhooks, tools, tool servers, an agent's
//! provider addresses, certificates of Identity headers, and SIP hosts.
//!
//! [`EgressGuard`] alone decides. [`http`] and [`connect`] ask it for every resolved address right before connecting to
//! exactly that address, which defeats DNS rebinding. SIP asks it through [`EgressGuard::permits`] for every target address.
#![cfg_attr(test, expect(clippy::disallowed_methods, reason = "servers of the tests are tasks"))]

pub mod address;
pub mod connect;
mod error;
mod guard;
pub mod http;
mod resolver;
pub mod tls;

pub use error::EgressError;
pub use guard::{EgressGuard, EgressReach, OwnListeners};
pub use ipnet::IpNet;
