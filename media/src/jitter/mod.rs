//! From packets as they arrive to an unbroken sample stream.

pub mod buffer;
pub mod packet_loss_concealment;
