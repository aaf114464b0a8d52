//! Limits of this crate, each with its reason.

/// Largest SIP message taken: a UDP datagram cannot be larger (RFC 768), and no carrier sends more over TCP.
pub const MESSAGE_BYTES_MAX: usize = 65_535;
/// Headers in one message. Real carrier messages carry 12 to 40; RFC 4475 torture messages stay below 60.
pub const HEADERS_MAX: usize = 128;
/// Bytes of one header's value, folded lines joined. A PASSporT with a long certificate URL has 2 kB, the longest of
/// RFC 4475 below 4. More is answered 400.
pub const HEADER_BYTES_MAX: usize = 16_384;
/// Bytes of a header's name: the longest registered one has 33.
pub const HEADER_NAME_BYTES_MAX: usize = 128;
/// Parameters of one element, as in Via or Contact: real ones have below ten. More is answered 400, or not read.
pub const PARAMS_MAX: usize = 64;
/// Elements of one list over all its headers; an Allow with every method there is has 14. More is answered 400.
pub const LIST_ELEMENTS_MAX: usize = 64;
/// Via elements: a request takes 70 hops at the most (Max-Forwards, RFC 3261 section 8.1.1.6).
pub const VIAS_MAX: usize = 71;
/// Headers with credentials in one request; more is answered 400.
pub const AUTHORIZATION_HEADERS_MAX: usize = 8;
/// Fields of one Digest header: RFC 7616 knows twelve.
pub const DIGEST_FIELDS_MAX: usize = 32;
/// Lines of one session description: Chromium's for audio and video have 250. Nothing in it nests.
pub const SDP_LINES_MAX: usize = 1_024;
/// Media lines of one session description; more is answered 400.
pub const SDP_MEDIA_MAX: usize = 16;
/// Attributes of one media line, or of the session.
pub const SDP_ATTRIBUTES_MAX: usize = 256;
/// Formats of one media line that are read, and echoed where it is refused.
pub const SDP_FORMATS_MAX: usize = 64;
/// Parts of one multipart body that are read, and how deep they nest: SIP-T, a location and metadata make four parts on
/// one level. More is not understood.
pub const BODY_PARTS_MAX: usize = 32;
/// How deep multipart bodies may nest.
pub const BODY_DEPTH_MAX: u8 = 4;
/// Probes (OPTIONS of ours) under way at once; each lives for four seconds at most, 2 kB each. More are refused.
pub const PROBES_MAX: usize = 512;
/// Calls that ended and whose BYE or CANCEL is not answered yet: room for every call of the largest server to end in
/// one moment. Over it the oldest are forgotten.
pub const LINGERING_CALLS_MAX: usize = 32_768;
/// Keys of one media line that are read.
pub const SDP_CRYPTO_MAX: usize = 16;
/// Route headers of one request and of one dialog: RFC 3261 gives no bound, more than 16 proxies in a row are a loop.
pub const ROUTES_MAX: usize = 16;
/// Authentication attempts of one request: a proxy and a registrar challenge once each, and each nonce may be stale.
pub const AUTH_ATTEMPTS_MAX: u8 = 4;
/// Keys of one INFO request: more than anybody presses before they are sent.
pub const INFO_DIGITS_MAX: usize = 32;
/// Challenges of one response that are looked at: each realm may offer several algorithms.
pub const CHALLENGES_MAX: usize = 16;
/// Realms of one call that are answered: the carrier's proxy, its registrar, and room for one on each side.
pub const AUTH_REALMS_MAX: usize = 4;
/// Addresses of a trunk's hosts that one call remembers, to know the trunk in its dialog.
pub const AUTH_ADDRESSES_MAX: usize = 32;
/// Authorization headers of one request that are checked: one for each algorithm of our challenge, and as many more for
/// proxies on the way that left theirs.
pub const AUTHORIZATIONS_MAX: usize = 4;
/// The longest interval of a session or a registration, and the longest wait that peers may ask for, in seconds: a day.
/// Larger values are clamped.
pub const INTERVAL_S_MAX: u32 = 86_400;
/// How often one request is sent again because its answer asks for it (422, 423, 491): otherwise a peer that asks for a
/// little more each time would make us retry forever.
pub const REQUEST_RETRIES_MAX: u8 = 8;
/// Reliable provisional responses to one INVITE that are acknowledged; further ones are ignored.
pub const PROVISIONAL_RELIABLE_MAX: u8 = 64;
/// 2xx answers of other forks that are acknowledged and ended with BYE: each costs two requests to an address the
/// answer chooses.
pub const FORKS_ANSWERED_MAX: u8 = 16;
/// Requests whose next hop is being looked up at once; a further one fails at once.
pub const LOOKUPS_MAX: usize = 4_096;
/// Early dialogs of one INVITE of ours, each with the description of its answer. Further forks are told to the owner, but
/// their reliable responses are not acknowledged.
pub const EARLY_DIALOGS_MAX: usize = 16;
/// Provisional responses that wait for the PRACK of the one before.
pub const PROVISIONAL_WAITING_MAX: usize = 8;
/// Addresses of one name that are tried, and hops of one call.
pub const ADDRESSES_MAX: usize = 8;
/// Addresses remembered as unreachable.
pub const UNREACHABLE_ADDRESSES_MAX: usize = 1_024;
/// Nonces whose counts are remembered; an older one is answered `stale=true`.
pub const NONCES_MAX: usize = 8_192;
/// A request over UDP that is larger goes over TCP (RFC 3261 section 18.1.1, for an MTU that is not known).
pub const UDP_BYTES_MAX: usize = 1_300;
/// Contacts of a redirection that are read.
pub const CONTACTS_MAX: usize = 8;
/// Sources of messages that are remembered, in each table of the rate limiter: 64 bytes each. When full, the least
/// recently used source is dropped.
pub const SOURCES_MAX: usize = 65_536;
/// Commands waiting for the user agent driver. A full queue refuses the command to its caller.
pub const COMMANDS_MAX: usize = 4_096;
/// Events of one call waiting for its owner. A call that does not read them is ended.
pub const CALL_EVENTS_MAX: usize = 64;
/// Messages waiting to be written to one TCP connection; overflow closes the connection.
pub const TCP_QUEUE_MAX: usize = 256;
/// Messages in a row on one connection of a stranger that are no SIP: then it is closed.
pub const STREAM_UNPARSEABLE_MAX: usize = 8;
/// Server transactions held at once. Over UDP each lives for 32 s, and a call has two: room for 5,000 calls a second,
/// about 0.9 kB each. Over it requests are answered 503 without state.
pub const SERVER_TRANSACTIONS_MAX: usize = 320_000;
/// Of these, requests inside of one call, which live for 32 s over UDP as well: sixteen a second, where a caller that
/// sends its digits by INFO makes five. Over it all but BYE are answered 503 without state, so that no call takes the
/// room of others.
pub const CALL_TRANSACTIONS_MAX: usize = 512;
/// How often the ACK of one 2xx is sent again: a 2xx is repeated ten times in its 32 s. The ACK goes to an address the
/// 2xx chooses, so a limit prevents reflected floods.
pub const ACKS_REPEATED_MAX: u8 = 32;
/// ACKs whose next hop is being looked up at once; a further one is dropped and sent again with the retransmitted 2xx.
pub const ACK_LOOKUPS_MAX: usize = 1_024;
/// Bytes that server transactions hold to answer with: the room of as many as may be held, three times as large as
/// they are on the average. Over it requests are answered 503 without state.
pub const SERVER_TRANSACTION_BYTES_MAX: usize = 768 << 20;
/// Number of unattended calls above which their waiting time counts as overload.
pub const UNATTENDED_MIN: usize = 64;
/// Packets read from one socket before timers and commands get their turn.
pub const RECEIVE_BATCH_MAX: usize = 64;
/// A browser's offer: Chromium's for one audio stream has 2 to 3 kB, with every codec and video 12.
pub const OFFER_BYTES_MAX: usize = 64 * 1_024;
/// Candidates of one offer or fragment: a laptop with VPNs and TURN has a dozen.
pub const OFFER_CANDIDATES_MAX: usize = 64;
/// Streams of one offer.
pub const OFFER_STREAMS_MAX: usize = 8;
/// Messages of one leg in the SIP log: a call of twelve hours with a refresh each half hour has 110. The first 120 stay, the
/// later ones make room for those that follow.
pub const MESSAGE_LOG_MESSAGES_MAX: usize = 200;
/// Bytes of one message in the SIP log: an INVITE with Identity and thirty headers has 3,500.
pub const MESSAGE_LOG_BYTES_MAX: usize = 4_096;
/// Bytes of a message that are read to find its leg: Call-ID and tags may stand behind an Identity of the longest kind.
pub const MESSAGE_LOG_READ_BYTES_MAX: usize = 16_384;
/// Bytes of the messages of one leg: 200 of the usual size. A sixteenth of it once half of the room of all is taken: 15
/// messages, as a call without incidents has.
pub const MESSAGE_LOG_LEG_BYTES_MAX: usize = 256 * 1_024;
/// Bytes of the messages of all legs: 20,000 calls of 12 messages. Further messages are counted only.
pub const MESSAGE_LOG_ALL_BYTES_MAX: usize = 256 << 20;
/// Legs in the SIP log: the calls of the largest server, and as many that have just ended. Further ones have none.
pub const MESSAGE_LOG_LEGS_MAX: usize = 65_536;
/// Messages kept of INVITEs that are no call yet: a turn of the user agent reads 64 and answers each; the rest is for
/// callers that answer a challenge.
pub const MESSAGE_LOG_RECENT_MAX: usize = 256;
