//! Every bound of this crate with the reason for the number.

/// Largest SIP message taken: a UDP datagram cannot be larger (RFC 768), and no carrier sends more over TCP.
pub const MESSAGE_BYTES_MAX: usize = 65_535;
/// Headers in one message. Real carrier messages carry 12 to 40; RFC 4475 torture messages stay below 60.
pub const HEADERS_MAX: usize = 128;
/// Media lines of one session description that are looked at; further lines are refused in the answer.
pub const SDP_MEDIA_MAX: usize = 16;
/// Formats of one media line that are read.
pub const SDP_FORMATS_MAX: usize = 64;
/// Keys of one media line that are read.
pub const SDP_CRYPTO_MAX: usize = 16;
/// Route headers kept for one dialog: RFC 3261 gives no bound, 16 proxies in a row is a loop.
pub const ROUTES_MAX: usize = 16;
/// Authentication attempts of one request: one answer to a challenge and one to `stale=true`.
pub const AUTH_ATTEMPTS_MAX: u8 = 2;
/// Early dialogs of one INVITE of ours: a proxy that rings more telephones than that is answered by the first.
pub const EARLY_DIALOGS_MAX: usize = 16;
/// Provisional responses that wait for the PRACK of the one before.
pub const PROVISIONAL_WAITING_MAX: usize = 8;
/// Addresses of one name that are tried, and hops of one call.
pub const ADDRESSES_MAX: usize = 8;
/// Addresses remembered as dead.
pub const DEAD_MAX: usize = 1_024;
/// Nonces whose counts are remembered; an older one is answered `stale=true`.
pub const NONCES_MAX: usize = 8_192;
/// A request over UDP that is larger goes over TCP (RFC 3261 section 18.1.1, for an MTU that is not known).
pub const UDP_BYTES_MAX: usize = 1_300;
/// Contacts of a redirection that are read.
pub const CONTACTS_MAX: usize = 8;
/// Sources of messages whose behaviour is remembered: 64 bytes each.
pub const SOURCES_MAX: usize = 65_536;
/// Commands waiting for the endpoint driver. A full queue refuses the command to its caller.
pub const COMMANDS_MAX: usize = 4_096;
/// Events of one call waiting for its owner. A call that does not read them is ended.
pub const CALL_EVENTS_MAX: usize = 64;
/// Messages waiting to be written to one TCP connection; overflow closes the connection.
pub const TCP_QUEUE_MAX: usize = 256;
/// TCP connections held at once; the next one is closed at accept.
pub const TCP_CONNECTIONS_MAX: usize = 2_048;
/// TLS and WebSocket handshakes at once; who comes on top of that is closed at accept.
pub const HANDSHAKES_MAX: usize = 256;
/// Server transactions held at once. Over UDP each lives for 32 s, and a call has two: room for 5,000 calls a second,
/// about 0.9 kB each. Over it requests are answered 503 without state.
pub const SERVER_TRANSACTIONS_MAX: usize = 320_000;
/// Calls nobody has attended to before it counts how long they wait: a burst of so many is no overload.
pub const UNATTENDED_MIN: usize = 64;
/// Packets read from one socket before timers and commands get their turn.
pub const RECEIVE_BATCH_MAX: usize = 64;
/// A browser's offer: Chromium's for one audio stream has 2 to 3 kB, with every codec and video 12.
pub const OFFER_BYTES_MAX: usize = 64 * 1_024;
/// Candidates of one offer or fragment: a laptop with VPNs and TURN has a dozen.
pub const OFFER_CANDIDATES_MAX: usize = 64;
/// Streams of one offer.
pub const OFFER_STREAMS_MAX: usize = 8;
