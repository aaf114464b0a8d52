//! Who may hold a connection at a listener, for how long, and who has to make room. The same rules hold for every
//! listener of the server: the REST API, SIP over TCP, TLS and WebSocket, and browsers' media over TCP.
//!
//! [`Table`] and [`Pace`] are machines: time is an argument and nothing is read or written. With the feature `tokio`
//! [`Connections`] shares a table between the tasks of a listener, and [`PacedStream`] gives up a peer that does not
//! take what it is sent.

mod bucket;
mod networks;
mod pace;
mod report;
mod source;
mod table;

#[cfg(feature = "tokio")]
mod paced_stream;
#[cfg(feature = "tokio")]
mod shared;

pub use bucket::{KeyedTokenBuckets, TokenBucket, TokenRate};
pub use networks::NetworkList;
pub use pace::MinimumRate;
pub use report::{Closed, ConnectionCounters};
pub use source::{SourceAddress, SourceNetwork};
pub use table::{ConnectionCaps, ConnectionId, ConnectionRefusedError, EvictionTable, OpenedConnection, PeerClass};

#[cfg(feature = "tokio")]
pub use paced_stream::MinimumRateStream;
#[cfg(feature = "tokio")]
pub use shared::{ConnectionGuard, ConnectionPool, Eviction};
