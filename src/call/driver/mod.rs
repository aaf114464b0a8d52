//! Drives a call: connects sockets, streams and timers to the machine. Decides nothing that the machine can decide.
#![expect(clippy::disallowed_methods, reason = "this module delivers bytes and time to the state machine")]

mod admission;
mod consult;
mod containment;
mod converse;
mod engine;
mod figures;
mod handover;
mod hooks;
mod inbound;
mod line;
mod order;
mod outbound;
mod plan;
mod probes;
mod recording_space;
mod remote;
mod ringing;
mod schemas;
mod signal;
mod slots;
mod tools;
mod trunks;
mod voice;
mod web;
mod wrap_up;

pub use crate::providers::registry::normal_base;
pub use admission::{Admission, AdmissionError, Permit, watch_elsewhere};
pub use containment::Heart;
pub use inbound::inbound;
pub use order::{OrderFault, Placed, place};
pub use outbound::{OutboundOrder, outbound};
pub use probes::{ProbeError, Probes, probe_trunk};
pub use recording_space::{RecordingSpace, watch_recordings};
pub use remote::Remote;
pub use schemas::{Busy, SchemaWorkers};
pub use slots::{Rooms, Slot, Slots, SlotsFull, SlotsMax};
pub use trunks::{TrunkState, Trunks, watch_trunks};
pub use web::{
    WebAnswer, WebCalls, WebFault, WebLimits, WebOffer, WebOrder, WebRestart, add_web_candidates, connect_web,
    place_web, restart_web,
};
pub use wrap_up::{Found, wrap_up};

use super::links::Links;
use super::live::Update;
use super::machine::Brief;
use super::negotiate::Negotiation;
use super::registry::{Change, Live, Place, Registry, Seat};
use crate::domain::FieldFault;
use crate::domain::agent::{AgentFields, NamedAddress};
use crate::domain::background::BackgroundSound;
use crate::domain::call::{Call, CallStatus};
use crate::domain::delivery::Delivery;
use crate::domain::end_reason::EndReason;
use crate::domain::price::PriceTable;
use crate::domain::provider::{Account, Stage};
use crate::domain::trunk::Trunk;
use crate::egress::Guard;
use crate::providers::listen::{self, Session as SttSession};
use crate::providers::{OwnKey, OwnKeys, Providers};
use crate::stir::Verifier;
use crate::store::journal::Journal;
use crate::store::secrets::{MasterKey, StoredKey};
use crate::store::{OrgScope, Store, now};
use crate::supervision::Supervisor;
use crate::telemetry::spans::Spans;
use crate::webhooks::sender::Sender;
use containment::Lifeline;
use hooks::Hooks;
use serde_json::{Map, Value};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use trunkline_media::codec::Law;
use trunkline_media::io::ports::PortPool;
use trunkline_media::io::worker::{LegHandle, Wire, Workers};
use trunkline_media::leg::{self, LegEvent, Stream};
use trunkline_media::playout::backdrop::{Backdrop, Scene};
use trunkline_media::rtp::rtcp::NtpClock;
use trunkline_media::turn::barge_in;
use trunkline_media::vad;
use trunkline_signaling::io::SipHandle;

/// Events of a leg waiting for the call: two seconds of audio beside everything else.
const LEG_EVENTS_MAX: usize = 128;
/// Seconds between the NTP epoch (1900) and 1970.
const NTP_OFFSET: u64 = 2_208_988_800;

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub ring_timeout: Duration,
    pub network_timeout: Duration,
    /// Whose RTP is the peer's, beside the address that its description names.
    pub latching: leg::Latching,
    pub calls_max: usize,
    pub web: WebLimits,
}

/// Services that every call needs; built once by `app`.
#[derive(Clone, Debug)]
pub struct Context {
    pub sip: SipHandle,
    pub workers: Workers,
    pub ports: PortPool,
    pub providers: Providers,
    /// Verifies Identity headers.
    pub stir: Verifier,
    pub store: Store,
    pub supervisor: Supervisor,
    pub journal: Journal,
    pub registry: Registry,
    /// Admission control.
    pub admission: Admission,
    pub web_calls: WebCalls,
    /// States of the trunks' targets.
    pub trunks: Trunks,
    pub probes: Probes,
    /// Concurrency limits of organizations besides calls.
    pub rooms: Rooms,
    /// Whether this process registers trunks with their providers.
    pub registers: bool,
    pub remote: Remote,
    pub media_addr: IpAddr,
    /// The same for peers of the other family.
    pub media_addr_other: Option<IpAddr>,
    pub recordings: PathBuf,
    /// Which organizations are within their recording quota.
    pub recording_space: RecordingSpace,
    pub limits: Limits,
    pub webhooks: Sender,
    /// Where SIP requests may go.
    pub sip_guard: Guard,
    pub prices: PriceTable,
    pub links: Links,
    /// This process among those that share the database.
    pub node: String,
    /// Heartbeat interval.
    pub beat: Duration,
    /// Time of the last heartbeat.
    pub heart: Heart,
    /// Opens the provider keys of organizations.
    pub master_key: Option<MasterKey>,
    /// Exporter of turn traces, if configured.
    pub spans: Spans,
    /// False without SMTP settings.
    pub sends_mail: bool,
    /// Workers that compile and evaluate customers' JSON Schemas.
    pub schemas: SchemaWorkers,
}

/// How long the keys of an organization may take to be read.
const SECRETS_DEADLINE: Duration = Duration::from_secs(2);

impl Context {
    /// A copy for one organization, with its own provider keys if it has any.
    pub async fn of_organization(context: &Shared, scope: OrgScope) -> Shared {
        let master = context.master_key.as_ref();
        let read = tokio::time::timeout(SECRETS_DEADLINE, context.store.open_secrets(scope, master)).await;
        let known = |stored: &StoredKey| {
            let StoredKey { provider, base_url, key } = stored;
            Some(OwnKey { account: Account::parse(provider)?, base_url: base_url.clone(), key: key.clone() })
        };
        let keys = match read {
            Ok(Ok(stored)) => OwnKeys::Known(stored.iter().filter_map(known).collect()),
            // The organization may have its own keys: never fall back to the server's account.
            Ok(Err(error)) => {
                tracing::error!(organization = %scope.organization(), %error, "cannot read provider keys");
                OwnKeys::Unknown
            }
            Err(_) => {
                tracing::error!(organization = %scope.organization(), "timeout reading provider keys");
                OwnKeys::Unknown
            }
        };
        let providers = context.providers.of_organization(&scope.organization().to_string(), keys);
        Arc::new(Self { providers, ..Self::clone(context) })
    }

    /// Checks every address that a configuration names, as far as possible before DNS resolution.
    pub fn check_addresses(&self, fields: &AgentFields) -> Result<(), FieldFault> {
        fields.addresses().iter().try_for_each(|address| self.check_address(address))
    }

    /// The same of one of them.
    pub fn check_address(&self, NamedAddress { field, url, is_base }: &NamedAddress<'_>) -> Result<(), FieldFault> {
        let judged = if *is_base { self.providers.check_base_url(url) } else { self.webhooks.check(url) };
        judged.map_err(|why| FieldFault::new(field.as_str(), why.to_string()))
    }
}

/// The call's row and its events.
pub(super) struct Record {
    pub scope: OrgScope,
    pub call: Call,
    hooks: Hooks,
    journal: Journal,
    live: Live,
    place: Arc<Place>,
    /// Knows the call when its task is gone.
    lifeline: Lifeline,
    /// What the signalling said: headers, identity, causes.
    signalling: Map<String, Value>,
}

impl Record {
    async fn new(
        context: &Context, scope: OrgScope, mut call: Call, hooks: Hooks, seat: &Seat, lifeline: &Lifeline,
    ) -> Self {
        call.node = Some(context.node.clone());
        let mut record = Self::taken_over(context, scope, call, hooks, seat.live.clone(), seat.place());
        record.lifeline = lifeline.clone();
        record.write(None).await;
        record
    }

    /// For a call whose row exists already.
    fn taken_over(context: &Context, scope: OrgScope, call: Call, hooks: Hooks, live: Live, place: Arc<Place>) -> Self {
        let signalling = match &call.signalling {
            Some(Value::Object(known)) => known.clone(),
            _ => Map::new(),
        };
        let (journal, lifeline) = (context.journal.clone(), Lifeline::default());
        Self { scope, hooks, journal, live, place, lifeline, signalling, call }
    }

    /// Adds facts from signalling.
    pub(super) fn signalled(&mut self, facts: Map<String, Value>) {
        self.signalling.extend(facts);
        self.call.signalling = (!self.signalling.is_empty()).then(|| Value::Object(self.signalling.clone()));
    }

    /// Writes the row together with its event: never one without the other.
    async fn write(&self, event: Option<Delivery>) {
        self.journal.call(self.call.clone(), event).await;
        self.lifeline.written(self);
        let Call { status, end_reason, .. } = self.call;
        self.live.send(Update::Status { status, end_reason });
        self.place.registry().announce(Change { scope: self.scope, call: self.call.id, status, here: true });
    }

    /// Sets one entry of the call's metrics.
    fn note(&mut self, name: &str, value: Option<Value>) {
        if let Some(value) = value {
            self.call.metrics.get_or_insert_with(|| Value::Object(Map::new()))[name] = value;
        }
    }

    /// Records how many lines the call holds, for other processes.
    pub(super) async fn holds(&mut self, legs: u32) {
        if self.call.legs != legs {
            self.call.legs = legs;
            self.journal.call(self.call.clone(), None).await;
            self.lifeline.written(self);
        }
    }

    async fn answered(&mut self) {
        self.call.status = CallStatus::InProgress;
        self.call.answered_at = Some(now());
        self.write(self.status_update()).await;
    }

    /// Records the one final state.
    async fn ended(&mut self, reason: EndReason) {
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
enum Hearing {
    Stt(SttSession),
    Engine(engine::Side),
}

/// A leg with its events.
pub(super) struct Media {
    pub leg: LegHandle,
    pub events: mpsc::Receiver<LegEvent>,
    pub law: Law,
    /// Where the recording is, relative to the recordings folder.
    pub recording: Option<String>,
}

impl Context {
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
    fn start_leg(&self, brief: &Brief, record: &Record, stream: Stream, wire: Wire, early: bool) -> Option<Media> {
        let (sender, events) = mpsc::channel(LEG_EVENTS_MAX);
        let turn = brief.agent.turn();
        let wanted = brief.agent.recording_enabled.unwrap_or(true);
        let has_room = self.recording_space.has_room(record.scope.organization());
        if wanted && !has_room {
            tracing::warn!("recording quota reached: the call is not recorded");
            metrics::counter!("trunkline_recordings_refused_total").increment(1);
        }
        let recording = (wanted && has_room).then(|| format!("{}/{}.wav", record.scope.organization(), record.call.id));
        let config = leg::Config {
            stream,
            latching: self.limits.latching,
            ssrc: rand::random(),
            first_sequence: rand::random(),
            first_timestamp: rand::random(),
            clock: ntp_clock(),
            cname: record.call.id.to_string(),
            vad: vad::Config::default(),
            barge_in: barge_in::Config {
                enabled: turn.barge_in,
                min_speech: Duration::from_millis(turn.barge_in_min_speech_ms),
            },
            network_timeout: self.limits.network_timeout,
            record: recording.is_some() && !early,
            deliver_audio: true,
            speak_at_once: true,
            detect_voice: true,
            detect_tones: brief.detects_answerer(),
            backdrop: backdrop(&brief.agent),
        };
        let path = recording.as_ref().map(|relative| self.recordings.join(relative));
        let sink = Box::new(move |event| sender.try_send(event).is_ok());
        let leg = self.workers.add(config, wire, path, sink).ok()?;
        Some(Media { leg, events, law: stream.codec.law(), recording })
    }

    /// Opens the HTTP connections for LLM and TTS.
    fn open_connections(&self, brief: &Brief) {
        let endpoints = plan::http_endpoints(&self.providers, brief);
        drop(self.providers.open_connections(&endpoints)); // they continue in the background
    }

    /// Opens STT, or the realtime session instead; it connects while the phone rings.
    fn start_hearing(&self, brief: &Brief, law: Law) -> Hearing {
        match engine::Side::open(&self.providers, brief, law) {
            Some(side) => Hearing::Engine(side),
            None => Hearing::Stt(self.start_stt(brief, law)),
        }
    }

    /// Warms up a connection to the agent's realtime model; false when it has none.
    fn prepare_engine(&self, brief: &Brief) -> bool {
        let config = plan::llm(&brief.agent);
        let endpoint = self.providers.endpoint(config.provider.account(), config.base_url.as_deref());
        if config.provider.is_engine() {
            self.providers.stand_by(&endpoint, Stage::Engine);
        }
        config.provider.is_engine()
    }

    fn start_stt(&self, brief: &Brief, law: Law) -> SttSession {
        listen::listen(&self.providers, plan::listeners(&self.providers, brief, law))
    }
}

/// Ambience under the agent's speech.
fn backdrop(agent: &AgentFields) -> Option<Backdrop> {
    agent.background.map(|background| {
        let scene = match background.sound {
            BackgroundSound::Room => Scene::Room,
            BackgroundSound::Office => Scene::Office,
        };
        Backdrop::new(scene, background.level_db as f32)
    })
}

fn ntp_clock() -> NtpClock {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let fraction = (u64::from(wall.subsec_nanos()) << 32) / 1_000_000_000;
    NtpClock { origin: Instant::now(), ntp_origin: (wall.as_secs() + NTP_OFFSET) << 32 | fraction }
}

pub type Shared = Arc<Context>;
