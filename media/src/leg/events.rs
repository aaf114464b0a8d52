//! What a leg reports to its call, and the queue in which it waits for the worker.

use crate::audio::AudioFrame;
use crate::detect::{echo, tone};
use crate::limits;
use crate::playout::queue::{SegmentId, SegmentPlayed};
use crate::stats::LegStats;
use crate::turn::overlap::OverlapSource;
use std::collections::VecDeque;
use std::time::Instant;

/// What a leg reports to its call, in order of time.
#[derive(Clone, Debug, PartialEq)]
pub enum LegEvent {
    /// Sound of the caller, gapless from frame to frame, in the format that the leg began with
    /// ([`super::StreamConfig::audio_format`]). Today each frame holds 20 ms.
    Audio {
        /// The sound. For an agent, silence while echo or DTMF is heard; for the party of another leg, only while a key is
        /// heard that is reported as well.
        frame: AudioFrame,
        /// Arrival of the packet that completed the frame, or the tick that filled it.
        at: Instant,
    },
    /// Both sides in one frame of 20 ms, mu-law at 8 kHz; only while somebody listens in.
    BothSides {
        /// The caller's sound and what is sent to the caller.
        frame: AudioFrame,
    },
    /// The caller began to speak.
    SpeechStarted {
        /// Start of the voiced sound; the event comes later by the onset.
        at: Instant,
    },
    /// The caller, who was silent, may have begun to speak. [`Self::SpeechStarted`] follows if it was so.
    SpeechSuspected {
        /// When the frame was heard.
        at: Instant,
    },
    /// `last_sound` lies before the event by the hangover.
    SpeechEnded {
        /// End of the last voiced sound.
        last_sound: Instant,
    },
    /// The first samples of a segment were sent.
    SegmentStarted {
        /// The segment that started.
        segment: SegmentId,
        /// When the frame with its first samples was sent.
        at: Instant,
    },
    /// A segment was sent to its last sample.
    SegmentFinished {
        /// The segment and how much of it was sent, always complete.
        heard: SegmentPlayed,
        /// When the frame with its last samples was sent.
        at: Instant,
    },
    /// The caller made a sound while the agent spoke. Playout is paused until resumed or flushed.
    PlayoutPaused {
        /// Response whose playout is paused.
        response_id: u32,
        /// When playout was paused. Speech that was playing fades out in the next frame.
        at: Instant,
    },
    /// Somebody else than before is heard while the agent speaks. Not reported before the caller's level is known.
    OverlapHeard {
        /// Who it is, by the level.
        source: OverlapSource,
        /// Arrival of the frame that told.
        at: Instant,
    },
    /// An echo path was found.
    EchoPathFound {
        /// Delay and level of the echo.
        path: echo::EchoPath,
    },
    /// A single steady tone.
    Tone {
        /// Frequency and duration of the tone.
        tone: tone::Tone,
        /// Arrival of the frame in which it ended, or had lasted a second.
        at: Instant,
    },
    /// The playout queue was emptied; `barge_in` if the caller interrupted. One entry per segment. `response_id` is the
    /// newest that was silenced.
    PlayoutFlushed {
        /// True if the caller's voice or words interrupted; false if the call itself cleared the queue.
        barge_in: bool,
        /// Newest response that was silenced; older ones are silenced too.
        response_id: u32,
        /// How much of each segment was sent, oldest first; empty if nothing was queued.
        heard: Vec<SegmentPlayed>,
        /// When the queue was emptied. Speech that was playing fades out in the next frame.
        at: Instant,
    },
    /// The caller pressed a key: a telephone event, or in-band tones from a peer that sends no events.
    DtmfReceived {
        /// One of 0-9, *, #, A-D.
        digit: char,
    },
    /// The last digit asked for was sent.
    DtmfSent,
    /// The peer marked the first packet of a talk spurt (RFC 3551 section 4.1).
    TalkSpurtStarted {
        /// Arrival of the marked packet.
        at: Instant,
    },
    /// The path is open. Not emitted for plain RTP.
    Connected {
        /// When the path opened.
        at: Instant,
    },
    /// First packet of the peer.
    MediaStarted {
        /// Arrival of the packet.
        at: Instant,
    },
    /// No packet for the network timeout while one was expected, or the path was lost. Not repeated.
    NetworkLost,
    /// Internal error: the leg's cycle panicked. The leg has ended and its ports are free; [`LegEvent::Closed`] follows
    /// where its figures could still be read.
    InternalError,
    /// The other side ended the media by itself (WebRTC: DTLS close_notify).
    PeerClosed,
    /// Half a second of stereo recording.
    RecordingBlock {
        /// Interleaved 16-bit pairs at 8 kHz, caller left, agent right; 4,000 pairs, the last block may differ.
        block: Vec<i16>,
    },
    /// The last event of a leg.
    Closed {
        /// Statistics of the whole leg.
        stats: LegStats,
    },
}

/// Events that wait for the worker: at most 256, later ones are dropped and counted.
#[derive(Debug)]
pub(super) struct LegEventQueue {
    waiting: VecDeque<LegEvent>,
    dropped: u64,
}

impl Default for LegEventQueue {
    fn default() -> Self {
        Self { waiting: VecDeque::with_capacity(16), dropped: 0 }
    }
}

impl LegEventQueue {
    pub(super) fn push(&mut self, event: LegEvent) {
        if self.waiting.len() < limits::LEG_EVENTS_MAX {
            self.waiting.push_back(event);
        } else {
            self.dropped += 1;
        }
    }

    /// The last event of a leg waits even if the queue is full.
    pub(super) fn push_closed(&mut self, stats: LegStats) {
        self.waiting.push_back(LegEvent::Closed { stats });
    }

    pub(super) fn pop(&mut self) -> Option<LegEvent> {
        self.waiting.pop_front()
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
}
