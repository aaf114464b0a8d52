//! What a call wants done.

use crate::domain::chat::{ChatMessage, ToolCall, ToolOffer};
use crate::domain::end_reason::EndReason;
use crate::domain::transcript::Turn;
use crate::domain::transfer::Target;
use crate::providers::engine as engine_wire;
use trunkline_media::playout::queue::PieceId;

#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    AskModel {
        generation: u32,
        messages: Vec<ChatMessage>,
        tools: Vec<ToolOffer>,
    },
    CancelModel,
    Speak {
        piece: PieceId,
        text: String,
    },
    /// Nothing of this generation and those before it is to be spoken or heard any more.
    Silence {
        generation: u32,
    },
    /// The same because the caller wants to speak.
    Interrupt {
        generation: u32,
    },
    /// What was held goes on where it was.
    Resume,
    /// Nobody is to interrupt this reply.
    Protect {
        generation: u32,
    },
    /// A turn of the transcript, new or grown.
    Turn {
        position: u32,
        turn: Turn,
    },
    SendDigits(String),
    /// A tool of the agent's; a result comes back for each one that is waited for.
    CallTool {
        call: ToolCall,
        is_async: bool,
    },
    /// The trunk is asked to call somebody.
    Refer {
        target: Target,
    },
    /// We call somebody ourselves.
    Consult {
        target: Target,
    },
    /// The caller waits, with music or without.
    Hold {
        music: bool,
    },
    /// To be said to whoever was called.
    Brief {
        text: String,
    },
    /// Both hear each other; the agent is out of it.
    Connect,
    /// Nothing came of it: the caller is back.
    EndConsult,
    FinalizeStt,
    RestartStt,
    /// For the speech-to-speech engine.
    Engine(engine_wire::Input),
    /// The engine is given up: recogniser, model and voice take over.
    LeaveEngine,
    /// The last output.
    HangUp {
        reason: EndReason,
    },
}
