//! RTP (RFC 3550, RFC 3551) and its telephone events (RFC 4733).

pub mod digits;
pub mod packet;
pub mod packetizer;
pub mod quality;
pub mod rtcp;
pub mod sequence;
pub mod telephone_event;
