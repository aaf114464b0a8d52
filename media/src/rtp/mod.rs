//! RTP (RFC 3550, RFC 3551) and its telephone events (RFC 4733).

pub mod clock;
pub mod dtmf_sender;
pub mod e_model;
pub mod packet;
pub mod packetizer;
pub mod rtcp;
pub mod sequence;
pub mod telephone_event;
