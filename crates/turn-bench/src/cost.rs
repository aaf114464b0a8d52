//! What turn-taking costs a call, in shares of a core: the policy at every event of a row, and per frame what tells pauses and
//! whose sound it is. Providers, dialogue and packets are not in it.

use super::data::Turn;
use super::line::{CallerAudio, RecordedLine};
use super::measuring::silences;
use super::words::{Punctuation, SimulatedStt, SpokenWords, SttDelays};
use std::time::{Duration, Instant};
use trunkline_domain::turn_config::TurnConfig;
use trunkline_media::codec::Companding;
use trunkline_media::frame::{FRAME_DURATION, FRAME_SAMPLES, level_dbfs};
use trunkline_media::leg::LegEvent;
use trunkline_media::turn::end_of_turn::{EndOfTurnConfig, EndOfTurnDetector};
use trunkline_media::turn::overlap::{FrameSound, OverlapDetector};
use trunkline_media::vad::{VadConfig, VoiceActivityDetector};
use trunkline_providers::SttEvent;

/// Each part is repeated for as long as this, so that what is measured is longer than what measures.
const MEASURED_MIN: Duration = Duration::from_secs(1);
/// Rows that are played at most.
const ROWS_MAX: usize = 60;
/// What follows the end of a row until its turn is decided.
const TAIL: Duration = Duration::from_secs(4);

/// Shares of a core for each call in which a caller talks all the time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TurnCost {
    /// The policy: all events of the line and of STT, judged.
    pub policy: f64,
    /// Voice detection, with the levels that tell a pause in noise.
    pub voice_detection: f64,
    /// Whose sound it is while the agent speaks, by its level.
    pub overlap: f64,
}

/// What happens to a detector in a row.
enum Happening {
    SpeechStarted(Instant),
    SpeechEnded(Instant),
    Stt(SttEvent),
}

impl Happening {
    fn of_line(event: &LegEvent) -> Option<Self> {
        match event {
            LegEvent::SpeechStarted { at } => Some(Self::SpeechStarted(*at)),
            LegEvent::SpeechEnded { last_sound } => Some(Self::SpeechEnded(*last_sound)),
            _ => None,
        }
    }
}

/// Measures on the first rows of a set.
pub fn measure(turns: &[Turn], delays: SttDelays, turn: &TurnConfig) -> TurnCost {
    let origin = Instant::now();
    let rows: Vec<(&Turn, CallerAudio)> = turns
        .iter()
        .take(ROWS_MAX)
        .map(|turn| (turn, CallerAudio::new(&turn.samples, turn.row.end(), turn.row.end() + TAIL)))
        .collect();
    let happenings: Vec<Vec<(Instant, Happening)>> =
        rows.iter().map(|(row, audio)| happenings(origin, row, audio, delays, turn)).collect();
    let frames: Vec<Vec<[i16; FRAME_SAMPLES]>> = rows.iter().map(|(_, audio)| decoded(audio)).collect();
    let played: Duration = frames.iter().map(|frames| FRAME_DURATION * frames.len() as u32).sum();
    let share = |mut once: Box<dyn FnMut() + '_>| {
        let begun = Instant::now();
        let mut rounds = 0_u32;
        while begun.elapsed() < MEASURED_MIN {
            once();
            rounds += 1;
        }
        begun.elapsed().as_secs_f64() / (played.as_secs_f64() * f64::from(rounds.max(1))).max(1e-9)
    };
    TurnCost {
        policy: share(Box::new(|| {
            for ((turn, _), happenings) in rows.iter().zip(&happenings) {
                std::hint::black_box(decide(turn, happenings));
            }
        })),
        voice_detection: share(Box::new(|| {
            for frames in &frames {
                let mut detector = VoiceActivityDetector::new(VadConfig::default());
                for (index, frame) in frames.iter().enumerate() {
                    std::hint::black_box(detector.handle_frame(origin + FRAME_DURATION * index as u32, frame));
                }
            }
        })),
        overlap: share(Box::new(|| {
            for frames in &frames {
                let mut detector = OverlapDetector::default();
                for frame in frames {
                    let sound = FrameSound { dbfs: level_dbfs(frame), voiced: FRAME_DURATION, is_ours: false };
                    std::hint::black_box(detector.handle_frame(sound, true));
                }
            }
        })),
    }
}

/// The frames of a row, linear.
fn decoded(audio: &CallerAudio) -> Vec<[i16; FRAME_SAMPLES]> {
    audio.row_frames().iter().map(|codes| codes.map(|code| Companding::MuLaw.decode(code))).collect()
}

/// All events of a row, in order of time.
fn happenings(
    origin: Instant, turn: &Turn, audio: &CallerAudio, delays: SttDelays, config: &TurnConfig,
) -> Vec<(Instant, Happening)> {
    let line = RecordedLine::record(origin, audio, config, &[]);
    let of_line = |(at, event): &(Duration, LegEvent)| Some((origin + *at, Happening::of_line(event)?));
    let mut all: Vec<(Instant, Happening)> = line.events.iter().filter_map(of_line).collect();
    let silences = silences(turn);
    let words = turn.row.words.as_deref().unwrap_or_default();
    let endpointing = Duration::from_millis(config.endpointing_ms);
    let spoken = SpokenWords { words, silences: &silences, punctuation: Punctuation::None };
    let mut stt = SimulatedStt::new(spoken, SttDelays { endpointing, ..delays });
    while let Some(due) = stt.poll_timeout().filter(|due| *due <= turn.row.end() + TAIL) {
        if let Some(event) = stt.handle_timeout(due) {
            all.push((origin + CallerAudio::begins() + due, Happening::Stt(event)));
        }
    }
    all.sort_by_key(|(at, _)| *at);
    all
}

/// One turn, as the call machine feeds the policy. Returns how many turns were decided.
fn decide(turn: &Turn, happenings: &[(Instant, Happening)]) -> usize {
    let language = turn.row.language.clone();
    let mut detector =
        EndOfTurnDetector::new(EndOfTurnConfig { language, is_streaming: true, ..EndOfTurnConfig::default() });
    detector.set_asked(turn.row.asked.as_deref().unwrap_or_default(), &turn.row.language);
    let mut decided = 0;
    for (at, happening) in happenings {
        if let Some(due) = detector.poll_timeout().filter(|due| due <= at) {
            decided += usize::from(detector.poll_turn(due).is_some());
        }
        match happening {
            Happening::SpeechStarted(at) => detector.handle_speech_started(*at),
            Happening::SpeechEnded(last_sound) => detector.handle_speech_ended(*last_sound),
            Happening::Stt(SttEvent::Interim(text)) => detector.handle_interim(*at, text),
            Happening::Stt(SttEvent::Final { text, confidence, speech_final }) => {
                detector.handle_final(*at, text, *confidence, *speech_final);
            }
            Happening::Stt(SttEvent::UtteranceEnd) => detector.handle_utterance_end(*at),
            Happening::Stt(_) => {}
        }
    }
    decided
}
