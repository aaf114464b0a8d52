//! The SIP user agent as one state machine: messages and commands in, messages and events out.
//!
//! A call is identified by its [`CallId`] and ends with exactly one [`SipEvent::Ended`]. Transactions and dialogs stay
//! inside. After every `handle_*` or command, drain [`UserAgent::poll_transmit`] and [`UserAgent::poll_event`], then wait
//! until [`UserAgent::poll_timeout`].
//!
//! `agent` is the state: one field for each owner, and each owner is a machine with its own file (`session`,
//! `server_transactions`, `client_transactions`, `admission`, `registration_table`, …). The other files are the user
//! agent's behaviour, one for each direction or RFC.

mod admission;
mod agent;
mod answered_challenges;
mod authentication;
mod challenge_algorithms;
mod client_authenticator;
mod client_responses;
mod client_transactions;
mod config;
mod destination_policy;
mod dialog_route;
mod dns_lookups;
mod ending;
mod event;
mod failover;
mod flow_keep_alive;
mod in_dialog;
mod inbound_trunks;
mod invite_responses;
mod known_traffic;
mod next_hop;
mod nonce_counts;
mod options;
mod outbound_request;
mod receive;
mod recover;
mod refer;
mod registered_trunks;
mod registration_table;
mod registrations;
mod reliable_provisional;
mod reoffers;
mod replaces;
mod request_route;
mod respond;
mod server_names;
mod server_transactions;
mod session;
mod session_body;
mod session_refresh;
mod sips;
mod timeouts;
mod timer_queue;
mod transaction_keys;
mod uac;
mod uas;
mod unreachable_addresses;
mod via_and_contact;

pub use super::transport::{ConnectionChoice, Transmit, TransmitTarget, Transport, TransportAddress};
pub use agent::UserAgent;
pub use challenge_algorithms::ChallengeAlgorithms;
pub use client_authenticator::HostCredentials;
pub use config::{ALLOW, InviteExtensions, InviteRequest, RegistrationConfig, SUPPORTED, UserAgentConfig};
pub use destination_policy::DestinationPolicy;
pub use event::{
    CallId, IncomingInvite, ProbeResult, ReferRequest, ReferStatus, RegistrationEvent, SipCommandError, SipCounters,
    SipEvent,
};
pub use inbound_trunks::{InboundTrunk, InboundTrunks, TrunkCandidates, TrunkEvidence, TrunkKey};
pub use next_hop::{DnsQuery, NextHop};
pub use options::PROBE_TIMEOUT;
