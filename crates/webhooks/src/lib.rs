//! Webhooks: what they say, how they are signed, and sending one. When and how often
//! is the outbox's business.

pub mod event;
pub mod mcp;
pub mod message;
pub mod outbox;
mod receiver_check;
pub mod sender;
pub mod signature;
pub mod tool_sender;

use trunkline_checkup as checkup;
use trunkline_domain as domain;
use trunkline_egress as egress;
