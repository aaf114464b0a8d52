//! Who may hold a connection at a listener, for how long, and who has to make room. The same rules hold for every
//! listener of the server: the REST API, SIP over TCP, TLS and WebSocket, and browsers' media over TCP.
//!
//! [`EvictionTable`] and [`MinimumRate`] are machines: time is an argument and nothing is read or written. With the feature `tokio`
//! [`ConnectionPool`] shares a table between the tasks of a listener, and [`MinimumRateStream`] gives up a peer that does not
//! take what it is sent.

mod connection_table;
mod counters;
mod minimum_rate;
mod networks;
mod source_address;
mod token_bucket;

#[cfg(feature = "tokio")]
mod minimum_rate_stream;
#[cfg(feature = "tokio")]
mod shared;

pub use connection_table::{
    ConnectionCaps, ConnectionId, ConnectionRefusedError, EvictionTable, OpenedConnection, PeerClass,
};
pub use counters::{Closed, ConnectionCounters};
pub use minimum_rate::MinimumRate;
pub use networks::NetworkList;
pub use source_address::{SourceAddress, SourceNetwork};
pub use token_bucket::{KeyedTokenBuckets, TokenBucket, TokenRate};

#[cfg(feature = "tokio")]
pub use minimum_rate_stream::MinimumRateStream;
#[cfg(feature = "tokio")]
pub use shared::{ConnectionGuard, ConnectionPool, Eviction};
