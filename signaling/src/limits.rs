//! Every bound of this crate with the reason for the number.

/// Largest SIP message taken: a UDP datagram cannot be larger (RFC 768), and no carrier sends more over TCP.
pub const MESSAGE_BYTES_MAX: usize = 65_535;
/// Headers in one message. Real carrier messages carry 12 to 40; RFC 4475 torture messages stay below 60.
pub const HEADERS_MAX: usize = 128;
/// Media lines of one session description that are looked at; further lines are refused in the answer.
pub const SDP_MEDIA_MAX: usize = 16;
/// Formats of one media line that are read.
pub const SDP_FORMATS_MAX: usize = 64;
/// Route headers kept for one dialog: RFC 3261 gives no bound, 16 proxies in a row is a loop.
pub const ROUTES_MAX: usize = 16;
/// Authentication attempts of one request: one answer to a challenge and one to `stale=true`.
pub const AUTH_ATTEMPTS_MAX: u8 = 2;
/// Commands waiting for the endpoint driver. A full queue refuses the command to its caller.
pub const COMMANDS_MAX: usize = 4_096;
/// Events of one call waiting for its owner. A call that does not read them is ended.
pub const CALL_EVENTS_MAX: usize = 64;
/// Messages waiting to be written to one TCP connection; overflow closes the connection.
pub const TCP_QUEUE_MAX: usize = 256;
/// TCP connections held at once; the next one is closed at accept.
pub const TCP_CONNECTIONS_MAX: usize = 2_048;
/// Server transactions held at once, about ten seconds of 3,000 requests a second; over it requests are
/// answered 503 without state.
pub const SERVER_TRANSACTIONS_MAX: usize = 65_536;
/// Packets read from one socket before timers and commands get their turn.
pub const RECEIVE_BATCH_MAX: usize = 64;
/// A browser's offer: Chromium's for one audio stream has 2 to 3 kB, with every codec and video 12.
pub const OFFER_BYTES_MAX: usize = 64 * 1_024;
/// Candidates of one offer or fragment: a laptop with VPNs and TURN has a dozen.
pub const OFFER_CANDIDATES_MAX: usize = 64;
/// Streams of one offer.
pub const OFFER_STREAMS_MAX: usize = 8;
