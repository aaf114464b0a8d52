//! The media of one call: its leg, and who processes the caller's speech.

use super::call_record::CallRecord;
use super::leg_events::leg_event_queue;
use super::services::CallServices;
use super::stt_feed::SttFeed;
use super::{provider_candidates, realtime};
use crate::domain::agent::AgentFields;
use crate::domain::ambience::AmbienceSound;
use crate::domain::provider::PipelineStage;
use crate::machine::CallSpec;
use crate::provider_plan;
use crate::recordings::RecordingPlan;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use trunkline_media::audio::AudioFormat;
use trunkline_media::codec::Companding;
use trunkline_media::io::worker::{LegHandle, TransportSetup};
use trunkline_media::leg::{self, LegEvent, StreamConfig};
use trunkline_media::playout::ambience::{AmbienceKind, AmbienceMixer};
use trunkline_media::playout::pacer::SpurtStart;
use trunkline_media::rtp::rtcp::NtpClock;
use trunkline_media::turn::barge_in;
use trunkline_media::vad;

/// The line's format where STT is opened before a description names it.
pub(super) const DEFAULT_FORMAT: AudioFormat = AudioFormat::G711(Companding::MuLaw);
/// Seconds between the NTP epoch (1900) and 1970.
const NTP_OFFSET: u64 = 2_208_988_800;

/// Who processes the caller's speech.
pub(super) enum SpeechBackend {
    Stt(SttFeed),
    Realtime(realtime::RealtimeBridge),
    /// Nobody: the caller writes.
    Nobody,
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
    /// Starts the leg of a call; an early one records nothing before it is answered.
    pub(super) fn start_leg(
        &self, spec: &CallSpec, record: &CallRecord, stream: StreamConfig, wire: TransportSetup, early: bool,
    ) -> Option<CallMedia> {
        let (sink, events) = leg_event_queue();
        let organization = record.scope.organization();
        let has_room = self.recordings.quota.has_room(organization);
        let plan = RecordingPlan::new(spec.agent.recording_enabled, has_room, organization, record.call.id);
        if plan == RecordingPlan::NoRoom {
            tracing::warn!("recording quota reached: the call is not recorded");
            metrics::counter!("trunkline_recordings_refused_total").increment(1);
        }
        let recording = plan.into_path();
        let config = leg::LegConfig {
            stream,
            latching: self.media.latching,
            ssrc: rand::random(),
            first_sequence: rand::random(),
            first_timestamp: rand::random(),
            clock: ntp_clock(),
            cname: record.call.id.to_string(),
            analysis: leg::AnalysisConfig::Voice {
                vad: vad::VadConfig::default(),
                barge_in: barge_in_config(&spec.agent),
                tones: spec.runs_amd(),
            },
            network_timeout: self.media.network_timeout,
            record: recording.is_some() && !early,
            audio: leg::AudioDelivery::G711,
            spurt_start: SpurtStart::Immediate,
            ambience: ambience(&spec.agent),
        };
        let path = recording.as_ref().map(|relative| self.recordings.folder.join(relative));
        let leg = self.media.workers.add(config, wire, path, sink).ok()?;
        Some(CallMedia { leg, events, audio_format: stream.audio_format(), recording })
    }

    /// Opens the HTTP connections for LLM and TTS.
    pub(super) fn open_connections(&self, spec: &CallSpec) {
        let endpoints = provider_candidates::http_endpoints(&self.providers, spec);
        drop(self.providers.open_connections(&endpoints)); // they continue in the background
    }

    /// Opens STT, or the realtime session instead; it connects while the phone rings.
    pub(super) fn start_speech_backend(&self, spec: &CallSpec, line: AudioFormat) -> SpeechBackend {
        match realtime::RealtimeBridge::open(&self.providers, self.store.passages(), spec, line) {
            Some(side) => SpeechBackend::Realtime(side),
            None => SpeechBackend::Stt(self.start_stt(spec, line)),
        }
    }

    /// Warms up a connection to the agent's realtime model; false when it has none.
    pub(super) fn warm_up_realtime(&self, spec: &CallSpec) -> bool {
        let config = provider_plan::llm(&spec.agent);
        let endpoint = self.providers.endpoint(config.provider.account(), config.base_url.as_deref());
        if config.provider.is_realtime() {
            self.providers.warm_up_websocket(&endpoint, PipelineStage::Realtime);
        }
        config.provider.is_realtime()
    }

    /// Opens STT.
    pub(super) fn start_stt(&self, spec: &CallSpec, line: AudioFormat) -> SttFeed {
        SttFeed::open(&self.providers, spec, line)
    }
}

/// What interrupts the agent.
pub(super) fn barge_in_config(agent: &AgentFields) -> barge_in::BargeInConfig {
    let turn = agent.turn();
    let min_speech = Duration::from_millis(turn.barge_in_min_speech_ms);
    barge_in::BargeInConfig { enabled: turn.barge_in, min_speech }
}

/// Ambience under the agent's speech.
pub(super) fn ambience(agent: &AgentFields) -> Option<AmbienceMixer> {
    agent.background.map(|background| {
        let scene = match background.sound {
            AmbienceSound::Room => AmbienceKind::Room,
            AmbienceSound::Office => AmbienceKind::Office,
        };
        AmbienceMixer::new(scene, background.level_db as f32)
    })
}

/// The clock of RTCP reports.
pub(super) fn ntp_clock() -> NtpClock {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let fraction = (u64::from(wall.subsec_nanos()) << 32) / 1_000_000_000;
    NtpClock { origin: Instant::now(), ntp_origin: (wall.as_secs() + NTP_OFFSET) << 32 | fraction }
}
