//! Drives a call: connects sockets, streams and timers to the machine. Decides nothing that the machine can decide.
#![expect(clippy::disallowed_methods, reason = "this module delivers bytes and time to the state machine")]

mod admission;
mod call_leg;
mod call_metrics;
mod call_webhooks;
mod cluster;
mod concurrency;
mod consultation;
mod conversation;
mod dialog_control;
mod early_media;
mod inbound;
mod inbound_refer;
mod outbound;
mod outgoing_call;
mod panic_recovery;
mod provider_plan;
mod realtime;
mod recording_quota;
mod schema_validation;
mod stt_feed;
mod task_call;
mod tool_runner;
mod trunk_calls;
mod trunk_probes;
mod tts;
mod web_call;
mod wrap_up;

pub use crate::providers::registry::normalize_base_url;
pub use admission::{AdmissionControl, AdmissionError, AdmissionPermit, watch_other_nodes};
pub use cluster::Cluster;
pub use concurrency::{
    ConcurrencyLimit, ConcurrencyLimitError, ConcurrencyLimiter, ConcurrencyLimiters, ConcurrencyPermit,
};
pub use inbound::inbound;
pub use outbound::{OutboundCallParams, outbound};
pub use outgoing_call::{
    AnsweredDialog, EarlyLeg, OutgoingCallDriver, OutgoingCallEvent, OutgoingLeg, handle_dialog_media,
};
pub use panic_recovery::LastHeartbeat;
pub use recording_quota::{RecordingQuota, watch_recordings};
pub use schema_validation::{SchemaTimeoutError, SchemaWorkers};
pub use task_call::{PlaceCallError, PlacedCall, place};
pub use trunk_calls::{TrunkState, TrunkStates, watch_trunks};
pub use trunk_probes::{ProbeError, TrunkProbes, probe_trunk};
pub use web_call::{
    IceRestart, WebAnswer, WebCallError, WebCallLimits, WebCallParams, WebCalls, WebOffer, add_web_candidates,
    connect_web, place_web, restart_web,
};
pub use wrap_up::{CallAnalysis, wrap_up};

use super::live_update::LiveFeed;
use super::live_update::LiveUpdate;
use super::machine::CallSpec;
use super::negotiate::Negotiation;
use super::public_links::PublicLinks;
use super::registry::{CallChange, CallRegistry, CallSlot, RegistryGuard};
use crate::domain::FieldError;
use crate::domain::agent::{AgentFields, NamedAddress};
use crate::domain::ambience::AmbienceSound;
use crate::domain::call::{Call, CallStatus};
use crate::domain::delivery::Delivery;
use crate::domain::end_reason::EndReason;
use crate::domain::price::PriceTable;
use crate::domain::provider::{PipelineStage, ProviderAccount};
use crate::domain::trunk::Trunk;
use crate::egress::EgressGuard;
use crate::providers::{OrganizationKey, OrganizationKeys, ProviderRegistry};
use crate::stir::IdentityVerifier;
use crate::store::journal::Journal;
use crate::store::secrets::{MasterKey, StoredKey};
use crate::store::{OrgScope, Store, now};
use crate::supervision::Supervisor;
use crate::telemetry::spans::TraceExporter;
use crate::webhooks::sender::WebhookSender;
use call_webhooks::CallWebhooks;
use panic_recovery::CallPanicGuard;
use serde_json::{Map, Value};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use stt_feed::SttFeed;
use tokio::sync::mpsc;
use trunkline_media::audio::AudioFormat;
use trunkline_media::codec::Companding;
use trunkline_media::io::ports::PortPool;
use trunkline_media::io::worker::{LegHandle, MediaWorkers, TransportSetup};
use trunkline_media::leg::{self, LegEvent, StreamConfig};
use trunkline_media::playout::ambience::{AmbienceKind, AmbienceMixer};
use trunkline_media::playout::pacer::SpurtStart;
use trunkline_media::rtp::rtcp::NtpClock;
use trunkline_media::turn::barge_in;
use trunkline_media::vad;
use trunkline_signaling::io::SipHandle;

/// Events of a leg waiting for the call: two seconds of audio beside everything else.
const CALL_LEG_EVENTS_MAX: usize = 128;
/// The line's format where STT is opened before a description names it.
const DEFAULT_FORMAT: AudioFormat = AudioFormat::G711(Companding::MuLaw);
/// Seconds between the NTP epoch (1900) and 1970.
const NTP_OFFSET: u64 = 2_208_988_800;

/// Limits and deadlines of calls, from the settings.
#[derive(Clone, Copy, Debug)]
pub struct CallLimits {
    /// How long an outbound call may ring (`calls.ring_timeout_ms`, default 60 s).
    pub ring_timeout: Duration,
    /// A call without a packet from its peer for this long has lost its network (`media.network_timeout_ms`, default 30
    /// s).
    pub network_timeout: Duration,
    /// Whose RTP is the peer's, beside the address that its description names.
    pub latching: leg::Latching,
    /// Calls that this process may hold at once (`calls.calls_max`, default 1,000).
    pub calls_max: usize,
    /// Limits of calls from browsers.
    pub web: WebCallLimits,
}

/// Services that every call needs; built once by `app`.
#[derive(Clone, Debug)]
pub struct CallServices {
    /// Handle to the SIP user agent of the process.
    pub sip: SipHandle,
    /// Threads that carry the audio of all calls.
    pub workers: MediaWorkers,
    /// UDP port pairs for RTP and RTCP.
    pub ports: PortPool,
    /// Clients of the STT, LLM, TTS and realtime providers.
    pub providers: ProviderRegistry,
    /// Verifies Identity headers.
    pub stir: IdentityVerifier,
    /// The database.
    pub store: Store,
    /// Runs the background tasks and starts them again after a panic.
    pub supervisor: Supervisor,
    /// Writes the rows of calls in the background, in batches.
    pub journal: Journal,
    /// The live calls of this process.
    pub registry: CallRegistry,
    /// Admission control.
    pub admission: AdmissionControl,
    /// Counts of web calls per address and per token, and their ICE sessions.
    pub web_calls: WebCalls,
    /// States of the trunks' targets.
    pub trunks: TrunkStates,
    /// Concurrency limits of the OPTIONS probes.
    pub probes: TrunkProbes,
    /// Concurrency limits of organizations for everything other than calls.
    pub concurrency: ConcurrencyLimiters,
    /// Whether this process registers trunks with their providers.
    pub registers: bool,
    /// Messages to and from the other nodes that share the database.
    pub cluster: Cluster,
    /// The advertised address that session descriptions name for RTP.
    pub media_addr: IpAddr,
    /// The same for peers of the other family.
    pub media_addr_other: Option<IpAddr>,
    /// Folder of the recordings, with one folder for each organization.
    pub recordings: PathBuf,
    /// Which organizations are within their recording quota.
    pub recording_space: RecordingQuota,
    /// Limits and deadlines of calls.
    pub limits: CallLimits,
    /// Sends webhooks to customers' servers.
    pub webhooks: WebhookSender,
    /// Where SIP requests may go.
    pub sip_guard: EgressGuard,
    /// Prices of providers and telephony, for the cost of a call.
    pub prices: PriceTable,
    /// Public links to calls and recordings.
    pub links: PublicLinks,
    /// This process among those that share the database.
    pub node: String,
    /// Heartbeat interval.
    pub heartbeat_interval: Duration,
    /// Time of the last heartbeat.
    pub heartbeat: LastHeartbeat,
    /// Opens the provider keys of organizations.
    pub master_key: Option<MasterKey>,
    /// Exporter of turn traces, if configured.
    pub spans: TraceExporter,
    /// False without SMTP settings.
    pub sends_mail: bool,
    /// Workers that compile and evaluate customers' JSON Schemas.
    pub schemas: SchemaWorkers,
}

/// How long the keys of an organization may take to be read.
const SECRETS_DEADLINE: Duration = Duration::from_secs(2);

impl CallServices {
    /// A copy for one organization, with its own provider keys if it has any.
    pub async fn of_organization(context: &SharedServices, scope: OrgScope) -> SharedServices {
        let master = context.master_key.as_ref();
        let read = tokio::time::timeout(SECRETS_DEADLINE, context.store.open_secrets(scope, master)).await;
        let known = |stored: &StoredKey| {
            let StoredKey { provider, base_url, key } = stored;
            Some(OrganizationKey {
                account: ProviderAccount::parse(provider)?,
                base_url: base_url.clone(),
                key: key.clone(),
            })
        };
        let keys = match read {
            Ok(Ok(stored)) => OrganizationKeys::Known(stored.iter().filter_map(known).collect()),
            // The organization may have its own keys: never fall back to the server's account.
            Ok(Err(error)) => {
                tracing::error!(organization = %scope.organization(), %error, "cannot read provider keys");
                OrganizationKeys::Unknown
            }
            Err(_) => {
                tracing::error!(organization = %scope.organization(), "timeout reading provider keys");
                OrganizationKeys::Unknown
            }
        };
        let providers = context.providers.of_organization(&scope.organization().to_string(), keys);
        Arc::new(Self { providers, ..Self::clone(context) })
    }

    /// Checks every address that a configuration names, as far as possible before DNS resolution.
    pub fn address_faults(&self, fields: &AgentFields) -> Vec<FieldError> {
        fields.addresses().iter().filter_map(|address| self.check_address(address).err()).collect()
    }

    /// Refuses one of them.
    pub fn check_address(&self, NamedAddress { field, url, is_base }: &NamedAddress<'_>) -> Result<(), FieldError> {
        let judged = if *is_base { self.providers.check_base_url(url) } else { self.webhooks.check(url) };
        judged.map_err(|why| FieldError::new(field.as_str(), why.to_string()))
    }
}

/// The call's row and its events.
pub(super) struct CallRecord {
    pub scope: OrgScope,
    pub call: Call,
    hooks: CallWebhooks,
    journal: Journal,
    live: LiveFeed,
    place: Arc<RegistryGuard>,
    /// Knows the call when its task is gone.
    panic_guard: CallPanicGuard,
    /// What the signalling said: headers, identity, causes.
    signalling: Map<String, Value>,
}

impl CallRecord {
    async fn new(
        context: &CallServices, scope: OrgScope, mut call: Call, hooks: CallWebhooks, slot: &CallSlot,
        panic_guard: &CallPanicGuard,
    ) -> Self {
        call.node = Some(context.node.clone());
        let mut record = Self::resume_existing(context, scope, call, hooks, slot.live.clone(), slot.place());
        record.panic_guard = panic_guard.clone();
        record.write(None).await;
        record
    }

    /// For a call whose row exists already.
    fn resume_existing(
        context: &CallServices, scope: OrgScope, call: Call, hooks: CallWebhooks, live: LiveFeed,
        place: Arc<RegistryGuard>,
    ) -> Self {
        let signalling = match &call.signalling {
            Some(Value::Object(known)) => known.clone(),
            _ => Map::new(),
        };
        let (journal, panic_guard) = (context.journal.clone(), CallPanicGuard::default());
        Self { scope, hooks, journal, live, place, panic_guard, signalling, call }
    }

    /// Adds facts from signalling.
    pub(super) fn add_signalling_facts(&mut self, facts: Map<String, Value>) {
        self.signalling.extend(facts);
        self.call.signalling = (!self.signalling.is_empty()).then(|| Value::Object(self.signalling.clone()));
    }

    /// Writes the row together with its event: never one without the other.
    async fn write(&self, event: Option<Delivery>) {
        self.journal.record_call(self.call.clone(), event).await;
        self.panic_guard.record_written(self);
        let Call { status, end_reason, .. } = self.call;
        self.live.send(LiveUpdate::Status { status, end_reason });
        self.place.registry().announce(CallChange { scope: self.scope, call: self.call.id, status, here: true });
    }

    /// Sets one entry of the call's metrics.
    fn set_metric(&mut self, name: &str, value: Option<Value>) {
        if let Some(value) = value {
            self.call.metrics.get_or_insert_with(|| Value::Object(Map::new()))[name] = value;
        }
    }

    /// Records how many lines the call holds, for other processes.
    pub(super) async fn record_legs(&mut self, legs: u32) {
        if self.call.legs != legs {
            self.call.legs = legs;
            self.journal.record_call(self.call.clone(), None).await;
            self.panic_guard.record_written(self);
        }
    }

    async fn record_answered(&mut self) {
        self.call.status = CallStatus::InProgress;
        self.call.answered_at = Some(now());
        self.write(self.status_update()).await;
    }

    /// Records the one final state.
    async fn record_ended(&mut self, reason: EndReason) {
        let answered = self.call.answered_at.is_some();
        let failed = reason.is_failure() || !answered;
        self.call.status = if failed { CallStatus::Failed } else { CallStatus::Completed };
        self.call.end_reason = Some(reason);
        self.call.ended_at = Some(now());
        self.write(self.status_update()).await;
        metrics::counter!("trunkline_calls_ended_total", "direction" => self.call.direction.name(), "reason" => reason.name())
            .increment(1);
    }
}

/// Who processes the caller's speech.
enum SpeechBackend {
    Stt(SttFeed),
    Realtime(realtime::RealtimeBridge),
}

/// A leg with its events.
pub(super) struct CallMedia {
    pub leg: LegHandle,
    pub events: mpsc::Receiver<LegEvent>,
    /// The format of the frames in its events.
    pub audio_format: AudioFormat,
    /// Where the recording is, relative to the recordings folder.
    pub recording: Option<String>,
}

impl CallServices {
    /// Our address for the media of a peer.
    fn media_addr_for(&self, peer: IpAddr) -> IpAddr {
        let fits = |ours: &IpAddr| ours.is_ipv4() == peer.to_canonical().is_ipv4();
        self.media_addr_other.filter(fits).unwrap_or(self.media_addr)
    }

    /// Our side of the media of a call that we make.
    fn negotiation(&self, port: u16, trunk: &Trunk) -> Negotiation {
        let (media, fingerprint) = (trunk.fields.media(), self.workers.fingerprint());
        Negotiation::new(self.media_addr, port, &media, fingerprint, rand::random::<u32>().into())
    }

    /// Starts the leg of a call; an early one records nothing before it is answered.
    fn start_leg(
        &self, spec: &CallSpec, record: &CallRecord, stream: StreamConfig, wire: TransportSetup, early: bool,
    ) -> Option<CallMedia> {
        let (sender, events) = mpsc::channel(CALL_LEG_EVENTS_MAX);
        let turn = spec.agent.turn();
        let wanted = spec.agent.recording_enabled.unwrap_or(true);
        let has_room = self.recording_space.has_room(record.scope.organization());
        if wanted && !has_room {
            tracing::warn!("recording quota reached: the call is not recorded");
            metrics::counter!("trunkline_recordings_refused_total").increment(1);
        }
        let recording = (wanted && has_room).then(|| format!("{}/{}.wav", record.scope.organization(), record.call.id));
        let config = leg::LegConfig {
            stream,
            latching: self.limits.latching,
            ssrc: rand::random(),
            first_sequence: rand::random(),
            first_timestamp: rand::random(),
            clock: ntp_clock(),
            cname: record.call.id.to_string(),
            analysis: leg::AnalysisConfig::Voice {
                vad: vad::VadConfig::default(),
                barge_in: barge_in::BargeInConfig {
                    enabled: turn.barge_in,
                    min_speech: Duration::from_millis(turn.barge_in_min_speech_ms),
                },
                tones: spec.runs_amd(),
            },
            network_timeout: self.limits.network_timeout,
            record: recording.is_some() && !early,
            audio: leg::AudioDelivery::G711,
            spurt_start: SpurtStart::Immediate,
            ambience: ambience(&spec.agent),
        };
        let path = recording.as_ref().map(|relative| self.recordings.join(relative));
        let sink = Box::new(move |event| sender.try_send(event).is_ok());
        let leg = self.workers.add(config, wire, path, sink).ok()?;
        Some(CallMedia { leg, events, audio_format: stream.audio_format(), recording })
    }

    /// Opens the HTTP connections for LLM and TTS.
    fn open_connections(&self, spec: &CallSpec) {
        let endpoints = provider_plan::http_endpoints(&self.providers, spec);
        drop(self.providers.open_connections(&endpoints)); // they continue in the background
    }

    /// Opens STT, or the realtime session instead; it connects while the phone rings.
    fn start_speech_backend(&self, spec: &CallSpec, line: AudioFormat) -> SpeechBackend {
        match realtime::RealtimeBridge::open(&self.providers, spec, line) {
            Some(side) => SpeechBackend::Realtime(side),
            None => SpeechBackend::Stt(self.start_stt(spec, line)),
        }
    }

    /// Warms up a connection to the agent's realtime model; false when it has none.
    fn warm_up_realtime(&self, spec: &CallSpec) -> bool {
        let config = provider_plan::llm(&spec.agent);
        let endpoint = self.providers.endpoint(config.provider.account(), config.base_url.as_deref());
        if config.provider.is_realtime() {
            self.providers.warm_up_websocket(&endpoint, PipelineStage::Realtime);
        }
        config.provider.is_realtime()
    }

    fn start_stt(&self, spec: &CallSpec, line: AudioFormat) -> SttFeed {
        SttFeed::open(&self.providers, spec, line)
    }
}

/// Ambience under the agent's speech.
fn ambience(agent: &AgentFields) -> Option<AmbienceMixer> {
    agent.background.map(|background| {
        let scene = match background.sound {
            AmbienceSound::Room => AmbienceKind::Room,
            AmbienceSound::Office => AmbienceKind::Office,
        };
        AmbienceMixer::new(scene, background.level_db as f32)
    })
}

fn ntp_clock() -> NtpClock {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let fraction = (u64::from(wall.subsec_nanos()) << 32) / 1_000_000_000;
    NtpClock { origin: Instant::now(), ntp_origin: (wall.as_secs() + NTP_OFFSET) << 32 | fraction }
}

/// The services of a call, shared by all tasks that work for it.
pub type SharedServices = Arc<CallServices>;
