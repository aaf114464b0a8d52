//! The modes of an answered call. Each owns what only it has, so a wrong combination does not compile.
//!
//! A caller is put through from a conversation, never from a voicemail greeting:
//!
//! ```
//! use std::time::Instant;
//! use trunkline_conversation::machine::mode::{Conversing, TransferRequest, Transferring};
//!
//! fn put_through(now: Instant, conversing: Conversing, request: TransferRequest) -> Transferring {
//!     conversing.transfer(now, request, false)
//! }
//! ```
//!
//! ```compile_fail
//! use std::time::Instant;
//! use trunkline_conversation::machine::mode::{TransferRequest, Transferring, Voicemail};
//!
//! fn put_through(now: Instant, voicemail: Voicemail, request: TransferRequest) -> Transferring {
//!     voicemail.transfer(now, request, false)
//! }
//! ```
//!
//! Whoever takes part can speak. A call that is over, or that two people have for themselves, has no voice:
//!
//! ```
//! use std::time::Instant;
//! use trunkline_conversation::machine::mode::Conversing;
//! use trunkline_conversation::dialogue::response::AfterResponse;
//!
//! fn greet(now: Instant, conversing: &mut Conversing) {
//!     conversing.talk().say(now, "Hello.", AfterResponse::AwaitCaller);
//! }
//! ```
//!
//! ```compile_fail
//! use std::time::Instant;
//! use trunkline_conversation::machine::mode::Over;
//! use trunkline_conversation::dialogue::response::AfterResponse;
//!
//! fn greet(now: Instant, over: &mut Over) {
//!     over.talk().say(now, "Hello.", AfterResponse::AwaitCaller);
//! }
//! ```
//!
//! ```compile_fail
//! use std::time::Instant;
//! use trunkline_conversation::machine::mode::Bridged;
//! use trunkline_conversation::dialogue::response::AfterResponse;
//!
//! fn greet(now: Instant, bridged: &mut Bridged) {
//!     bridged.talk().say(now, "Hello.", AfterResponse::AwaitCaller);
//! }
//! ```
//!
//! A realtime session is the speaker of a call, or the call has a pipeline. It is no part of one:
//!
//! ```
//! use trunkline_conversation::machine::mode::{Realtime, Speaker};
//!
//! fn speaker(session: Realtime) -> Speaker {
//!     Speaker::Realtime(session)
//! }
//! ```
//!
//! ```compile_fail
//! use trunkline_conversation::machine::mode::{Realtime, Speaker};
//!
//! fn speaker(session: Realtime) -> Speaker {
//!     Speaker::Pipeline(session)
//! }
//! ```

use super::line::{CallLog, Line};
use super::timers::CallTimer;
use crate::amd::AmdDetector;
use std::time::Instant;
use trunkline_media::turn::end_of_turn::CallerTurn;

pub use super::bridged::Bridged;
pub use super::conversing::Conversing;
pub use super::ending::{Ending, Over};
pub use super::handover::{HandingOver, HandoverRequest};
pub use super::held::Held;
pub use super::pipeline::Pipeline;
pub use super::realtime::Realtime;
pub use super::talk::{Speaker, Talk};
pub use super::transfer::{TransferMethod, TransferOrigin, TransferRequest, Transferring};
pub use super::voicemail::Voicemail;

/// Which part of an answered call it is.
pub(super) enum Mode {
    /// The agent and the caller talk.
    Conversing(Conversing),
    /// A message is left for somebody who did not answer.
    Voicemail(Voicemail),
    /// The caller is on hold until the agent comes back.
    Held(Held),
    /// The caller is being put through, and still belongs to the agent.
    Transferring(Transferring),
    /// Another agent is about to take over; the caller still belongs to the present one.
    HandingOver(HandingOver),
    /// The caller talks to somebody else; the agent has left.
    Bridged(Bridged),
    /// Waiting for the final transcript and the playback report.
    Ending(Ending),
    /// Hung up.
    Over(Over),
}

impl Mode {
    /// Name for logs.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Conversing(_) => "conversing",
            Self::Voicemail(_) => "voicemail",
            Self::Held(_) => "held",
            Self::Transferring(_) => "transferring",
            Self::HandingOver(_) => "handing_over",
            Self::Bridged(_) => "bridged",
            Self::Ending(_) => "ending",
            Self::Over(_) => "over",
        }
    }

    pub(super) fn line(&self) -> Option<&Line> {
        match self {
            Self::Conversing(Conversing { talk, .. })
            | Self::Voicemail(Voicemail { talk, .. })
            | Self::Held(Held { talk, .. })
            | Self::Transferring(Transferring { talk, .. })
            | Self::HandingOver(HandingOver { talk, .. }) => Some(&talk.line),
            Self::Bridged(bridged) => Some(&bridged.line),
            Self::Ending(ending) => Some(&ending.line),
            Self::Over(_) => None,
        }
    }

    /// What every call has with somebody on the line.
    pub(super) fn line_mut(&mut self) -> Option<&mut Line> {
        match self {
            Self::Conversing(Conversing { talk, .. })
            | Self::Voicemail(Voicemail { talk, .. })
            | Self::Held(Held { talk, .. })
            | Self::Transferring(Transferring { talk, .. })
            | Self::HandingOver(HandingOver { talk, .. }) => Some(&mut talk.line),
            Self::Bridged(bridged) => Some(&mut bridged.line),
            Self::Ending(ending) => Some(&mut ending.line),
            Self::Over(_) => None,
        }
    }

    pub(super) fn talk(&self) -> Option<&Talk> {
        match self {
            Self::Conversing(Conversing { talk, .. })
            | Self::Voicemail(Voicemail { talk, .. })
            | Self::Held(Held { talk, .. })
            | Self::Transferring(Transferring { talk, .. })
            | Self::HandingOver(HandingOver { talk, .. }) => Some(talk),
            Self::Bridged(_) | Self::Ending(_) | Self::Over(_) => None,
        }
    }

    /// The agent's part, while it takes part.
    pub(super) fn talk_mut(&mut self) -> Option<&mut Talk> {
        match self {
            Self::Conversing(Conversing { talk, .. })
            | Self::Voicemail(Voicemail { talk, .. })
            | Self::Held(Held { talk, .. })
            | Self::Transferring(Transferring { talk, .. })
            | Self::HandingOver(HandingOver { talk, .. }) => Some(talk),
            Self::Bridged(_) | Self::Ending(_) | Self::Over(_) => None,
        }
    }

    /// AMD, on calls that run it. A voicemail may still turn out to be a fax machine.
    pub(super) fn amd(&self) -> Option<&AmdDetector> {
        match self {
            Self::Conversing(Conversing { talk, .. })
            | Self::Held(Held { talk, .. })
            | Self::Transferring(Transferring { talk, .. })
            | Self::HandingOver(HandingOver { talk, .. }) => talk.amd.as_ref(),
            Self::Voicemail(voicemail) => Some(&voicemail.amd),
            Self::Bridged(_) | Self::Ending(_) | Self::Over(_) => None,
        }
    }

    pub(super) fn amd_mut(&mut self) -> Option<&mut AmdDetector> {
        match self {
            Self::Conversing(Conversing { talk, .. })
            | Self::Held(Held { talk, .. })
            | Self::Transferring(Transferring { talk, .. })
            | Self::HandingOver(HandingOver { talk, .. }) => talk.amd.as_mut(),
            Self::Voicemail(voicemail) => Some(&mut voicemail.amd),
            Self::Bridged(_) | Self::Ending(_) | Self::Over(_) => None,
        }
    }

    pub(super) fn log(&self) -> &CallLog {
        match self {
            Self::Over(over) => &over.log,
            Self::Conversing(Conversing { talk, .. })
            | Self::Voicemail(Voicemail { talk, .. })
            | Self::Held(Held { talk, .. })
            | Self::Transferring(Transferring { talk, .. })
            | Self::HandingOver(HandingOver { talk, .. }) => &talk.line.log,
            Self::Bridged(bridged) => &bridged.line.log,
            Self::Ending(ending) => &ending.line.log,
        }
    }

    pub(super) fn log_mut(&mut self) -> &mut CallLog {
        match self {
            Self::Over(over) => &mut over.log,
            Self::Conversing(Conversing { talk, .. })
            | Self::Voicemail(Voicemail { talk, .. })
            | Self::Held(Held { talk, .. })
            | Self::Transferring(Transferring { talk, .. })
            | Self::HandingOver(HandingOver { talk, .. }) => &mut talk.line.log,
            Self::Bridged(bridged) => &mut bridged.line.log,
            Self::Ending(ending) => &mut ending.line.log,
        }
    }

    /// When a timer fires; `None` if it is not set or the mode has no such timer.
    pub(super) fn deadline(&self, timer: CallTimer) -> Option<Instant> {
        match (self, timer) {
            (Self::Voicemail(voicemail), CallTimer::Voicemail) => voicemail.ready_at(),
            (Self::Held(held), CallTimer::Hold) => Some(held.until),
            (Self::Transferring(transferring), CallTimer::Transfer) => Some(transferring.until()),
            (Self::HandingOver(handover), CallTimer::Handover) => Some(handover.until()),
            (Self::Conversing(conversing), CallTimer::OperatorText) => conversing.talk.operator.try_at(),
            (Self::Conversing(conversing), CallTimer::Collection) => conversing.collecting.deadline(),
            (
                Self::Conversing(_) | Self::Voicemail(_) | Self::Held(_) | Self::Transferring(_) | Self::HandingOver(_),
                timer,
            ) => self.talk().and_then(|talk| talk.deadline(timer)),
            (Self::Bridged(bridged), CallTimer::MaxDuration) => Some(bridged.until),
            (Self::Ending(ending), CallTimer::FinalTranscript) => Some(ending.until),
            (Self::Bridged(_) | Self::Ending(_) | Self::Over(_), _) => None,
        }
    }

    /// A turn of the caller that ends now. The end of a call takes the words that are left.
    pub(super) fn poll_turn(&mut self, now: Instant) -> Option<CallerTurn> {
        match self {
            Self::Conversing(_)
            | Self::Voicemail(_)
            | Self::Held(_)
            | Self::Transferring(_)
            | Self::HandingOver(_)
            | Self::Bridged(_) => self.line_mut()?.caller.end_of_turn.poll_turn(now),
            Self::Ending(_) | Self::Over(_) => None,
        }
    }

    /// When the caller's present turn ends, if nothing else happens.
    pub(super) fn end_of_turn(&self) -> Option<Instant> {
        match self {
            Self::Conversing(_)
            | Self::Voicemail(_)
            | Self::Held(_)
            | Self::Transferring(_)
            | Self::HandingOver(_)
            | Self::Bridged(_) => {
                let caller = &self.line()?.caller;
                caller.end_of_turn.poll_timeout().filter(|_| caller.waiting_turn.is_none())
            }
            Self::Ending(_) | Self::Over(_) => None,
        }
    }
}

impl From<Conversing> for Mode {
    fn from(mode: Conversing) -> Self {
        Self::Conversing(mode)
    }
}
