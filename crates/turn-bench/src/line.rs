//! The caller's line in virtual time: packets of 20 ms into the leg of a call, and what the leg reports.
//!
//! What a leg reports of a caller does not depend on the policy until the agent speaks into the caller's turn. So each row
//! is heard once and recorded; from the first sound of an answer on, a leg of its own hears the row again up to there,
//! and goes on with the agent's voice in it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use trunkline_domain::turn_config::TurnConfig;
use trunkline_media::audio::AudioFrame;
use trunkline_media::codec::Companding;
use trunkline_media::frame::{FRAME_DURATION, FRAME_SAMPLES};
use trunkline_media::leg::{AnalysisConfig, Leg, LegConfig, LegEvent, StreamConfig};
use trunkline_media::playout::queue::SegmentId;
use trunkline_media::rtp::packet::RtpPacket;
use trunkline_media::turn::barge_in::BargeInConfig;

/// Silence on the line before the caller's audio begins: the agent's last words are said in it.
const LEAD_FRAMES: usize = 75;
/// Sound of each of the agent's segments before the turn.
const LEAD_SEGMENT_SAMPLES: usize = 2_400;
/// The end of a row's audio that is repeated for as long as the row is played.
const LOOP_MAX_SAMPLES: usize = 8_000;
/// Sound of an answer.
pub const ANSWER_SAMPLES: usize = 24_000;
const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4_000);
/// Bytes of a packet: header and 20 ms of G.711.
const PACKET_BYTES_MAX: usize = 12 + FRAME_SAMPLES;

/// One frame in mu-law.
pub type Codes = [u8; FRAME_SAMPLES];

/// What the caller sends, from the greeting to the end of the measurement.
#[derive(Debug)]
pub struct CallerAudio {
    frames: Vec<Codes>,
}

impl CallerAudio {
    /// The row's samples after a silent line; what is heard after `quiet_from` goes on until the turn is `length` old.
    pub fn new(samples: &[i16], quiet_from: Duration, length: Duration) -> Self {
        Self::after(LEAD_FRAMES, samples, quiet_from, length)
    }

    /// The samples without a silent line before them.
    pub fn whole(samples: &[i16], quiet_from: Duration, length: Duration) -> Self {
        Self::after(0, samples, quiet_from, length)
    }

    fn after(lead_frames: usize, samples: &[i16], quiet_from: Duration, length: Duration) -> Self {
        let silence = [Companding::MuLaw.silence(); FRAME_SAMPLES];
        let mut frames = vec![silence; lead_frames];
        let wanted = (length.as_millis() as usize * 8).next_multiple_of(FRAME_SAMPLES);
        let mut all = samples.to_vec();
        let quiet = samples.get(quiet_from.as_millis() as usize * 8..).unwrap_or_default();
        // The first tenth may still have the voice in it.
        let tail = quiet.get(quiet.len().min(800)..).unwrap_or_default();
        let tail = &tail[..tail.len().min(LOOP_MAX_SAMPLES)];
        while all.len() < wanted {
            // To and fro, so that no step is heard.
            match tail.len() > FRAME_SAMPLES {
                true => all.extend(tail.iter().rev().chain(tail)),
                false => all.resize(wanted, 0),
            }
        }
        for chunk in all.chunks_exact(FRAME_SAMPLES).take(wanted / FRAME_SAMPLES) {
            let mut codes = silence;
            for (code, sample) in codes.iter_mut().zip(chunk) {
                *code = Companding::MuLaw.encode(*sample);
            }
            frames.push(codes);
        }
        Self { frames }
    }

    /// When the first sample of the row is said, from the start of the call.
    pub fn begins() -> Duration {
        FRAME_DURATION * LEAD_FRAMES as u32
    }

    /// The frames of the row, from its first sample on.
    pub fn row_frames(&self) -> &[Codes] {
        self.frames.get(LEAD_FRAMES..).unwrap_or_default()
    }

    /// When the last frame ends, from the start of the call.
    pub fn ends(&self) -> Duration {
        FRAME_DURATION * self.frames.len() as u32
    }
}

/// What the leg of a call reports of a caller whose agent says nothing after the segments before the turn.
#[derive(Debug, Default)]
pub struct RecordedLine {
    /// Time of the report from the start of the call, in order. Audio is left out.
    pub events: Vec<(Duration, LegEvent)>,
}

impl RecordedLine {
    /// Hears a caller once.
    pub fn record(origin: Instant, audio: &CallerAudio, turn: &TurnConfig, lead: &[SegmentId]) -> Self {
        let mut line = LiveLine::new(origin, audio, turn, lead);
        let mut events = Vec::new();
        while let Some(due) = line.poll_timeout(line.now).filter(|due| *due <= origin + audio.ends()) {
            line.handle_timeout(due, |event| events.push((due.saturating_duration_since(origin), event)));
        }
        Self { events }
    }

    /// When the leg reported the last change of the caller's voice, and that it was an end.
    pub fn quiet_at(&self) -> Option<Duration> {
        let is_voice =
            |event: &LegEvent| matches!(event, LegEvent::SpeechStarted { .. } | LegEvent::SpeechEnded { .. });
        let (at, last) = self.events.iter().rfind(|(_, event)| is_voice(event))?;
        matches!(last, LegEvent::SpeechEnded { .. }).then_some(*at)
    }
}

/// A leg with a caller on a perfect network.
pub struct LiveLine<'a> {
    leg: Leg,
    origin: Instant,
    audio: &'a CallerAudio,
    next_frame: usize,
    now: Instant,
    /// For each frame handed on, whether it has a sound.
    passed: Vec<bool>,
}

impl std::fmt::Debug for LiveLine<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveLine").field("next_frame", &self.next_frame).finish_non_exhaustive()
    }
}

impl<'a> LiveLine<'a> {
    /// The call begins: the agent says its segments before the turn.
    pub fn new(origin: Instant, audio: &'a CallerAudio, turn: &TurnConfig, lead: &[SegmentId]) -> Self {
        let barge_in =
            BargeInConfig { enabled: turn.barge_in, min_speech: Duration::from_millis(turn.barge_in_min_speech_ms) };
        let config = LegConfig {
            analysis: AnalysisConfig::voice(barge_in),
            record: false,
            ..LegConfig::basic(origin, StreamConfig::pcmu(PEER))
        };
        let mut leg = Leg::new(origin, config);
        for segment in lead {
            leg.play(*segment, agent_voice(LEAD_SEGMENT_SAMPLES), true);
        }
        Self { leg, origin, audio, next_frame: 0, now: origin, passed: Vec::new() }
    }

    /// The same call at a later instant: everything up to there was heard.
    pub fn resumed(
        origin: Instant, audio: &'a CallerAudio, turn: &TurnConfig, lead: &[SegmentId], at: Instant,
    ) -> Self {
        let mut line = Self::new(origin, audio, turn, lead);
        while let Some(due) = line.poll_timeout(line.now).filter(|due| *due <= at) {
            line.handle_timeout(due, |_| {});
        }
        line
    }

    /// When the next packet comes, or the leg is due.
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let arrival = FRAME_DURATION * (self.next_frame as u32 + 1);
        let packet = (self.next_frame < self.audio.frames.len()).then(|| self.origin + arrival)?;
        Some(packet.min(self.leg.due(now).max(self.now)))
    }

    /// The packet, or the leg's frame, that is due.
    pub fn handle_timeout(&mut self, now: Instant, mut report: impl FnMut(LegEvent)) {
        self.now = now;
        if self.leg.due(now) <= now {
            let due = self.leg.due(now);
            self.leg.tick(now, due, &mut |_, _, _| {});
        } else {
            self.send_packet(now);
        }
        self.reports(&mut report);
    }

    /// What the leg reports after something was done to it.
    pub fn reports(&mut self, report: &mut impl FnMut(LegEvent)) {
        while let Some(event) = self.leg.poll_event() {
            match event {
                LegEvent::Audio { frame, .. } => self.passed.push(has_sound(&frame)),
                event => report(event),
            }
        }
    }

    /// Of each frame that was handed on to STT, whether it was more than the silence that stands for an echo.
    pub fn passed(&self) -> &[bool] {
        &self.passed
    }

    fn send_packet(&mut self, now: Instant) {
        let Some(codes) = self.audio.frames.get(self.next_frame) else { return };
        let packet = RtpPacket {
            payload_type: 0,
            marker: false,
            sequence: self.next_frame as u16,
            timestamp: (self.next_frame * FRAME_SAMPLES) as u32,
            ssrc: 9,
            payload: codes,
        };
        self.next_frame += 1;
        let mut bytes = [0; PACKET_BYTES_MAX];
        if let Some(packet) = packet.write(&mut bytes).and_then(|length| bytes.get(..length)) {
            self.leg.handle_rtp(now, PEER, packet);
        }
    }

    /// The leg, for what the call machine wants done with it.
    pub fn leg(&mut self) -> &mut Leg {
        &mut self.leg
    }
}

fn has_sound(frame: &AudioFrame) -> bool {
    let silence = Companding::MuLaw.silence();
    frame.as_g711().is_none_or(|(_, octets)| octets.iter().any(|octet| *octet != silence))
}

/// A sound with the level of a voice. Nobody analyses what it is.
pub fn agent_voice(samples: usize) -> Vec<i16> {
    let sample = |n: usize| {
        let at = n as f32 / 8_000.0;
        let tone = (std::f32::consts::TAU * 210.0 * at).sin() + 0.5 * (std::f32::consts::TAU * 640.0 * at).sin();
        (tone * 3_000.0) as i16
    };
    (0..samples).map(sample).collect()
}
