//! The parts of a call that are kept as JSON, described for clients. The code that writes each of them is named beside it.

use serde_json::{Map, Value};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What the analysis found about a call. Calls whose agent answers by rules, and calls without a conversation, are not
/// analysed.
#[derive(Clone, Debug, ToSchema)]
pub struct CallReport {
    /// Whether a model looked at the call. The next five are there if it did.
    pub analysed: bool,
    /// Whether the call was a success, by the agent's `success_criteria`.
    pub success: Option<bool>,
    /// Why, in one sentence.
    pub success_reason: Option<String>,
    /// The caller's mood at the end: `positive`, `neutral` or `negative`.
    pub sentiment: Option<String>,
    /// What was promised or is left to do; empty if nothing is.
    pub follow_up: Option<String>,
    /// The call in two or three sentences; the same as the call's `summary`.
    pub summary: Option<String>,
    /// What the rules of a flow have collected, by the names of its slots.
    pub collected: Option<BTreeMap<String, String>>,
    /// Why the agent's `structured_data_plan` has no result.
    pub structured_data_fault: Option<String>,
    /// Why the analysis failed.
    pub error: Option<String>,
}

/// What a call cost by the server's price table (`PriceTable::bill`).
#[derive(Clone, Debug, ToSchema)]
pub struct CallCost {
    /// Currency of the price table, such as `USD`.
    pub currency: String,
    /// The sum of what has a price, to a millionth.
    pub total: f64,
    /// What was used.
    pub items: Vec<CallCostItem>,
}

/// One service that a call used, with its amount.
#[derive(Clone, Debug, ToSchema)]
pub struct CallCostItem {
    /// `telephony`, `stt`, `llm`, `tts` or `analysis`.
    pub kind: String,
    /// The provider; not of `telephony`.
    pub provider: Option<String>,
    /// The provider's name of the model or voice; not of `telephony`.
    pub model: Option<String>,
    /// Cost in `currency`, to a millionth; `null` where the price table has no price.
    pub cost: Option<f64>,
    /// Seconds of `telephony` and `stt`.
    pub seconds: Option<i64>,
    /// Tokens that an LLM read.
    pub prompt_tokens: Option<i64>,
    /// Tokens that an LLM wrote.
    pub completion_tokens: Option<i64>,
    /// Characters that a voice was given.
    pub characters: Option<i64>,
}

/// What the signalling said about a call. Fields without a value are left out.
#[derive(Clone, Debug, ToSchema)]
pub struct CallSignalling {
    /// Headers of the INVITE that begin with `X-`, and some others such as `User-Agent` and `Diversion`.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    pub headers: Option<Map<String, Value>>,
    /// What the Identity header says (STIR/SHAKEN).
    pub identity: Option<CallIdentity>,
    /// Status of the response that refused the call, such as 486.
    pub sip_status: Option<u16>,
    /// Its reason phrase, such as `Busy Here`.
    pub sip_reason: Option<String>,
    /// SIP status in the Reason header (RFC 3326).
    pub reason_sip_cause: Option<u16>,
    /// Q.850 cause in the Reason header (RFC 3326), such as 17.
    pub q850_cause: Option<u16>,
    /// Text of the Reason header.
    pub reason_text: Option<String>,
    /// What was wrong if the call never got a response, in words.
    pub problem: Option<String>,
}

/// A caller's number as its carrier vouches for it (RFC 8224).
#[derive(Clone, Debug, ToSchema)]
pub struct CallIdentity {
    /// `A`, `B` or `C`, as the header claims.
    pub attestation: Option<String>,
    /// Identifier that the originating carrier gave the call's source.
    pub origid: Option<String>,
    /// `passed`, `failed` or `not_checked`.
    pub verification: String,
    /// Why the verification failed.
    pub problem: Option<String>,
}

/// Figures of a call, written when it ends (`CallMetrics::to_json`). Further fields may be there.
#[derive(Clone, Debug, ToSchema)]
pub struct CallFigures {
    /// The agent's turns in order, at most 2,000.
    pub turns: Option<Vec<TurnFigures>>,
    /// How often the caller interrupted the agent.
    pub barge_ins: Option<u32>,
    /// Turns that were taken for finished although the caller went on.
    pub cut_offs: Option<u32>,
    /// Milliseconds from the answer until the caller was connected to a transfer target.
    pub transferred_at_ms: Option<u64>,
    /// Tokens that LLMs read, those from caches included.
    pub prompt_tokens: Option<u64>,
    /// Tokens that LLMs wrote.
    pub completion_tokens: Option<u64>,
    /// Tokens that providers read from their caches.
    pub cached_tokens: Option<u64>,
    /// Characters that voices were given.
    pub characters_spoken: Option<u64>,
    /// Errors of providers, counted by stage and kind, such as `llm_timeout`.
    pub provider_errors: Option<BTreeMap<String, u32>>,
    /// Commands from beside the call, such as `POST /calls/{id}/say`; absent where there were none.
    pub controls: Option<Vec<ControlFigures>>,
    /// Packets, loss, jitter and quality (MOS) of the audio.
    #[schema(value_type = Option<Object>)]
    pub media: Option<Map<String, Value>>,
}

/// A command from beside a call.
#[derive(Clone, Debug, ToSchema)]
pub struct ControlFigures {
    /// `say`, `instruct`, `transfer`, `hold` or `resume`.
    pub control: String,
    /// What was said or instructed, or where the caller was put through; `null` for the others.
    pub text: Option<String>,
    /// E-mail address of the person, or `api_key:` and the id of the key.
    pub by: String,
    /// Milliseconds from the answer of the call.
    pub at_ms: u64,
}

/// Times of one turn of the agent, in milliseconds. `null` where the step was not reached.
#[derive(Clone, Debug, ToSchema)]
pub struct TurnFigures {
    /// From the caller's last sound to the agent's first: what callers notice.
    pub response_ms: Option<u64>,
    /// From the caller's last sound to the decision that the turn is over.
    pub end_of_turn_ms: Option<u64>,
    /// From that decision to the LLM's first token.
    pub first_token_ms: Option<u64>,
    /// From that decision to the voice's first sound.
    pub first_audio_ms: Option<u64>,
    /// When the caller's last sound was heard, since the answer.
    pub speech_ended_at_ms: Option<u64>,
    /// The LLM that answered, `provider/model`.
    pub model: Option<String>,
    /// The voice that spoke, `provider/model`.
    pub voice: Option<String>,
}
