//! Outputs of the call machine: what the driver has to do.

use trunkline_domain::chat::{ChatMessage, ToolCall, ToolChoice, ToolOffer};
use trunkline_domain::collected::CollectedValues;
use trunkline_domain::end_reason::EndReason;
use trunkline_domain::ids::AgentId;
use trunkline_domain::transcript::Turn;
use trunkline_domain::transfer::TransferTarget;
use trunkline_media::playout::queue::SegmentId;
use trunkline_providers::realtime as realtime_wire;

/// One thing that the driver has to do, in the order of the queue.
#[derive(Clone, Debug, PartialEq)]
pub enum CallOutput {
    /// Start an LLM request for a response.
    RequestLlm {
        /// Number of the response; the events of the request carry it.
        response_id: u32,
        /// System messages and history, the oldest first.
        messages: Vec<ChatMessage>,
        /// The tools that the LLM may call; empty if there are none.
        tools: Vec<ToolOffer>,
        /// Whether it may call them.
        tool_choice: ToolChoice,
    },
    /// Cancel the LLM request that is running, if there is one.
    CancelLlm,
    /// Speak a segment by TTS and play it after those before it.
    Speak {
        /// The response and the segment's place in it.
        segment: SegmentId,
        /// Normalized text, with audio tags if the TTS model understands them.
        text: String,
    },
    /// Make the sound of a text that will probably be spoken next, with a voice that costs nothing. None of it is played
    /// before [`Self::Speak`] has the same text; [`Self::CancelLlm`] drops it.
    PrepareSpeech {
        /// As in [`Self::Speak`].
        text: String,
    },
    /// Cancel TTS and playback of this response and earlier ones.
    CancelSpeech {
        /// The last response to be cancelled.
        response_id: u32,
    },
    /// The same, because of a barge-in.
    Interrupt {
        /// The last response to be interrupted.
        response_id: u32,
    },
    /// Resume paused playback.
    Resume,
    /// Disable barge-in for this response.
    MakeUninterruptible {
        /// The response that no caller interrupts.
        response_id: u32,
    },
    /// A turn of the transcript, new or grown.
    Turn {
        /// Place of the turn in the transcript, counted from 0.
        position: u32,
        /// The whole turn as it is now.
        turn: Turn,
    },
    /// Send these digits to the peer: `0` to `9`, `*`, `#` or `A` to `D`; `w` and `,` are pauses of 0.5 and 2 seconds.
    SendDtmf(String),
    /// The caller pressed this key while talking to the transfer target, which gets it.
    RelayDigit(char),
    /// Run one of the agent's tools; blocking tools return a result.
    CallTool {
        /// The tool call with its id, name and arguments.
        call: ToolCall,
        /// The conversation goes on without waiting for the result.
        is_async: bool,
        /// What the arguments refer to as `{{collected.NAME}}`: only the server of the tool gets it.
        collected: CollectedValues,
    },
    /// Send REFER to the trunk.
    Refer {
        /// The number or SIP URI of the Refer-To header.
        target: TransferTarget,
    },
    /// Start a consultation call.
    StartConsultation {
        /// The number or SIP URI to be called.
        target: TransferTarget,
    },
    /// Put the caller on hold, with music or without.
    Hold {
        /// Whether the caller hears music on hold.
        music: bool,
    },
    /// The caller is no longer on hold.
    EndHold,
    /// Briefing for the transfer target.
    BriefConsultation {
        /// The text for the transfer target, spoken before the calls are bridged.
        text: String,
    },
    /// Bridge both parties; the agent leaves the call.
    BridgeCalls,
    /// The transfer failed: the caller is back with the agent.
    EndConsultation,
    /// Prepare another agent of the organization to take over the call.
    PrepareAgent {
        /// The agent.
        agent: AgentId,
    },
    /// Nobody waits for the agent that is being prepared, or is ready.
    CancelPreparation,
    /// The agent that was prepared has the call from here on.
    ChangeAgent,
    /// The conversation goes on in another language: voices and STT as the call is configured now.
    ChangeLanguage,
    /// Ask STT for its final words, because the caller has hung up or has probably finished.
    FinalizeStt,
    /// Replace the STT connection: speech brought no result within 4 s, or no final one within 1.2 s.
    RestartStt,
    /// Input for the realtime model.
    Realtime(realtime_wire::RealtimeInput),
    /// The realtime model is given up: STT, LLM and TTS take over.
    LeaveRealtime,
    /// The last output.
    HangUp {
        /// Why the call ended.
        reason: EndReason,
    },
}
