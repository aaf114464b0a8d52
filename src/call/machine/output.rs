//! Outputs of the call machine: what the driver has to do.

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
    /// Cancel TTS and playback of this response and earlier ones.
    Silence {
        generation: u32,
    },
    /// The same, because of a barge-in.
    Interrupt {
        generation: u32,
    },
    /// Resume paused playback.
    Resume,
    /// Disable barge-in for this response.
    Protect {
        generation: u32,
    },
    /// A turn of the transcript, new or grown.
    Turn {
        position: u32,
        turn: Turn,
    },
    SendDigits(String),
    /// Run one of the agent's tools; blocking tools return a result.
    CallTool {
        call: ToolCall,
        is_async: bool,
    },
    /// Send REFER to the trunk.
    Refer {
        target: Target,
    },
    /// Start a consultation call.
    Consult {
        target: Target,
    },
    /// Put the caller on hold, with music or without.
    Hold {
        music: bool,
    },
    /// Briefing for the transfer target.
    Brief {
        text: String,
    },
    /// Bridge both parties; the agent leaves the call.
    Connect,
    /// The transfer failed: the caller is back with the agent.
    EndConsult,
    FinalizeStt,
    RestartStt,
    /// Input for the realtime model.
    Engine(engine_wire::Input),
    /// The realtime model is given up: STT, LLM and TTS take over.
    LeaveEngine,
    /// The last output.
    HangUp {
        reason: EndReason,
    },
}
