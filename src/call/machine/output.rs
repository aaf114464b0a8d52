//! Outputs of the call machine: what the driver has to do.

use crate::domain::chat::{ChatMessage, ToolCall, ToolOffer};
use crate::domain::end_reason::EndReason;
use crate::domain::transcript::Turn;
use crate::domain::transfer::TransferTarget;
use crate::providers::realtime as engine_wire;
use trunkline_media::playout::queue::SegmentId;

#[derive(Clone, Debug, PartialEq)]
pub enum CallOutput {
    RequestLlm {
        response_id: u32,
        messages: Vec<ChatMessage>,
        tools: Vec<ToolOffer>,
    },
    CancelLlm,
    Speak {
        segment: SegmentId,
        text: String,
    },
    /// Cancel TTS and playback of this response and earlier ones.
    CancelSpeech {
        response_id: u32,
    },
    /// The same, because of a barge-in.
    Interrupt {
        response_id: u32,
    },
    /// Resume paused playback.
    Resume,
    /// Disable barge-in for this response.
    MakeUninterruptible {
        response_id: u32,
    },
    /// A turn of the transcript, new or grown.
    Turn {
        position: u32,
        turn: Turn,
    },
    SendDtmf(String),
    /// Run one of the agent's tools; blocking tools return a result.
    CallTool {
        call: ToolCall,
        is_async: bool,
    },
    /// Send REFER to the trunk.
    Refer {
        target: TransferTarget,
    },
    /// Start a consultation call.
    StartConsultation {
        target: TransferTarget,
    },
    /// Put the caller on hold, with music or without.
    Hold {
        music: bool,
    },
    /// Briefing for the transfer target.
    BriefConsultation {
        text: String,
    },
    /// Bridge both parties; the agent leaves the call.
    BridgeCalls,
    /// The transfer failed: the caller is back with the agent.
    EndConsultation,
    FinalizeStt,
    RestartStt,
    /// Input for the realtime model.
    Realtime(engine_wire::RealtimeInput),
    /// The realtime model is given up: STT, LLM and TTS take over.
    LeaveRealtime,
    /// The last output.
    HangUp {
        reason: EndReason,
    },
}
