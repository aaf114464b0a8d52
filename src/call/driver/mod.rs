//! Drives a call: connects sockets, streams and timers to the machine. Decides nothing that the machine can decide.
#![expect(clippy::disallowed_methods, reason = "this module delivers bytes and time to the state machine")]

mod address_checks;
mod admission;
mod agent_preparation;
mod analysis;
mod call_leg;
mod call_media;
mod call_record;
mod call_recovery;
mod call_starter;
mod call_webhooks;
mod cluster;
mod concurrency;
mod consultation;
mod conversation;
mod dialog_control;
mod early_media;
mod inbound;
mod inbound_refer;
mod last_written_call;
mod leg_events;
mod listener;
mod media_service;
mod node;
mod outbound;
mod outgoing_call;
mod panic_recovery;
mod provider_accounts;
mod provider_candidates;
mod realtime;
mod recording_quota;
mod schema_validation;
mod services;
mod stt_feed;
mod task_call;
mod tool_runner;
mod trunk_calls;
mod trunk_probes;
mod trunk_service;
mod trunk_states;
mod tts;
mod web_call;
mod web_commands;
mod web_offers;
mod wrap_up;

pub use crate::call::trunk_states::{TrunkState, probe_problem};
pub use crate::providers::registry::normalize_base_url;
pub use address_checks::AddressChecks;
pub use admission::{AdmissionConfig, AdmissionError, AdmissionPermit, AdmissionService, watch_other_nodes};
pub use analysis::{AnalysisService, CallAnalysis};
pub use call_recovery::CallRecovery;
pub use call_starter::CallStarter;
pub use cluster::{Cluster, LiveCalls};
pub use concurrency::{ConcurrencyLimit, ConcurrencyLimitError, ConcurrencyLimiter, ConcurrencyPermit};
pub use inbound::inbound;
pub use media_service::{MediaBuildError, MediaConfig, MediaService, WebRtcConfig};
pub use node::{LastHeartbeat, Node, NodeConfig};
pub use outbound::{OutboundCallParams, outbound};
pub use outgoing_call::{
    AnsweredDialog, EarlyLeg, OutgoingCallDriver, OutgoingCallEvent, OutgoingLeg, handle_dialog_media,
};
pub use provider_accounts::ProviderAccounts;
pub use recording_quota::{RecordingFolder, RecordingQuota, watch_recordings};
pub use schema_validation::{SchemaTimeoutError, SchemaWorkers};
pub use services::{CallServices, SharedServices};
pub use task_call::{PlaceCallError, PlacedCall};
pub use trunk_probes::{ProbeError, probe_trunk, watch_trunks};
pub use trunk_service::{TrunkConfig, TrunkService};
pub use trunk_states::TrunkStates;
pub use web_call::WebCallParams;
pub use web_offers::{IceRestart, WebAnswer, WebCallError, WebCallLimits, WebCallService, WebCalls, WebOffer};
pub use wrap_up::{WrapUpService, wrap_up};

use call_media::{CallMedia, DEFAULT_FORMAT, SpeechBackend, ambience, ntp_clock};
use call_record::CallRecord;
