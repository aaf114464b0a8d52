//! What a worker is asked to do for its legs.

use super::recorder::RecordingDone;
use super::slot::LegEventSink;
use super::transport_setup::TransportSetup;
use crate::audio::AudioFrame;
use crate::leg::{Leg, StreamConfig};
use crate::playout::ambience::AmbienceMixer;
use crate::playout::queue::SegmentId;
use crate::transport::webrtc::{IceCredentials, WebRtcError};
use crate::turn::barge_in;
use mio::Token;
use std::path::PathBuf;

/// Wakes a worker that sleeps.
pub(super) const WAKE: Token = Token(usize::MAX);

/// Takes the answer to a restart of ICE.
pub type IceRestartDone = Box<dyn FnOnce(IceCredentials) + Send>;

/// Takes the answer to another offer.
pub type ReofferDone = Box<dyn FnOnce(Result<String, WebRtcError>) + Send>;

/// One command, always about one leg.
pub(super) enum WorkerCommand {
    Add {
        number: u64,
        leg: Box<Leg>,
        wire: TransportSetup,
        recording: Option<PathBuf>,
        sink: LegEventSink,
    },
    Play {
        leg: u64,
        segment: SegmentId,
        samples: Vec<i16>,
        ended: bool,
    },
    Flush {
        leg: u64,
        response_id: u32,
        barge_in: bool,
    },
    Resume {
        leg: u64,
    },
    StartCall {
        leg: u64,
        record: bool,
    },
    SetAmbience {
        leg: u64,
        ambience: Option<Box<AmbienceMixer>>,
    },
    RelayFrame {
        leg: u64,
        frame: Box<AudioFrame>,
    },
    StartBridge {
        leg: u64,
    },
    SetListenIn {
        leg: u64,
        on: bool,
    },
    NoteSignalledDigit {
        leg: u64,
    },
    SetUninterruptible {
        leg: u64,
        response_id: u32,
    },
    SetBargeIn {
        leg: u64,
        config: barge_in::BargeInConfig,
    },
    SendDtmf {
        leg: u64,
        digits: String,
    },
    Renegotiate {
        leg: u64,
        stream: StreamConfig,
    },
    AnswerReoffer {
        leg: u64,
        offer: String,
        done: ReofferDone,
    },
    AddCandidates {
        leg: u64,
        lines: Vec<String>,
    },
    RestartIce {
        leg: u64,
        theirs: IceCredentials,
        done: IceRestartDone,
    },
    Remove {
        leg: u64,
        recorded: Option<RecordingDone>,
    },
    /// Panics in the worker itself.
    #[cfg(test)]
    Panic,
}

impl WorkerCommand {
    /// The leg it is about.
    pub(super) fn leg(&self) -> u64 {
        match self {
            Self::Add { number: leg, .. }
            | Self::Play { leg, .. }
            | Self::Flush { leg, .. }
            | Self::Resume { leg }
            | Self::StartCall { leg, .. }
            | Self::SetAmbience { leg, .. }
            | Self::RelayFrame { leg, .. }
            | Self::StartBridge { leg }
            | Self::SetListenIn { leg, .. }
            | Self::NoteSignalledDigit { leg }
            | Self::SetUninterruptible { leg, .. }
            | Self::SetBargeIn { leg, .. }
            | Self::SendDtmf { leg, .. }
            | Self::Renegotiate { leg, .. }
            | Self::AnswerReoffer { leg, .. }
            | Self::AddCandidates { leg, .. }
            | Self::RestartIce { leg, .. }
            | Self::Remove { leg, .. } => *leg,
            #[cfg(test)]
            Self::Panic => 0,
        }
    }
}
