//! What realtime models send.

use super::Messages;
use serde_json::{Value, json};
use trunkline::domain::provider::LlmProvider;

/// Name of the snapshot, vendor, messages.
pub fn all() -> Vec<(&'static str, LlmProvider, Messages)> {
    vec![
        ("openai_realtime", LlmProvider::OpenaiRealtime, openai()),
        ("xai_realtime", LlmProvider::XaiRealtime, xai()),
        ("elevenlabs_agent", LlmProvider::ElevenlabsAgent, elevenlabs_agent()),
    ]
}

fn of(kind: &str, rest: Value) -> Value {
    let mut event = json!({"type": kind, "event_id": "e", "response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0});
    event.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    event
}

fn transcription(name: &str, rest: Value) -> Value {
    of(&format!("conversation.item.input_audio_transcription.{name}"), rest)
}

/// What OpenAI and xAI have in common.
fn shared() -> Messages {
    vec![
        json!({"type": "session.created", "session": {}}),
        json!({"type": "session.updated", "session": {}}),
        of("input_audio_buffer.speech_started", json!({"audio_start_ms": 100})),
        of("input_audio_buffer.speech_stopped", json!({"audio_end_ms": 900})),
        of("input_audio_buffer.committed", json!({})),
        of("conversation.item.added", json!({"item": {}})),
        of("response.created", json!({"response": {"id": "r"}})),
        of("response.output_item.added", json!({"item": {"id": "i"}})),
        of("response.content_part.added", json!({})),
        of("response.output_audio_transcript.delta", json!({"delta": "Goede"})),
        of("response.output_audio.delta", json!({"delta": "/////w=="})),
        of("response.output_audio.done", json!({})),
        of("response.output_audio_transcript.done", json!({"transcript": "Goedemorgen."})),
        of("response.function_call_arguments.delta", json!({"delta": "{"})),
        of(
            "response.function_call_arguments.done",
            json!({"call_id": "c", "name": "book", "arguments": "{\"day\":1}"}),
        ),
        of("response.output_item.done", json!({})),
        of(
            "response.done",
            json!({"response": {"status": "completed", "usage": {"input_tokens": 9, "output_tokens": 4, "input_token_details": {"cached_tokens": 2}}}}),
        ),
        of("conversation.item.truncated", json!({"audio_end_ms": 1_840})),
        json!({"type": "rate_limits.updated", "rate_limits": []}),
        json!({"type": "error", "error": {"type": "invalid_request_error", "code": "response_cancel_not_active", "message": "x"}}),
        json!({"type": "error", "error": {"type": "invalid_request_error", "code": "session_expired", "message": "over"}}),
    ]
}

fn openai() -> Messages {
    let mut openai = shared();
    openai.insert(5, transcription("delta", json!({"delta": "Ja "})));
    openai.insert(6, transcription("completed", json!({"transcript": "Ja hoor."})));
    openai
}

fn xai() -> Messages {
    let mut xai = shared();
    xai.insert(1, json!({"type": "conversation.created", "conversation": {"id": "c"}}));
    xai.insert(2, json!({"type": "ping", "timestamp": 1}));
    xai.insert(6, transcription("updated", json!({"transcript": "Ja"})));
    xai.insert(7, transcription("completed", json!({"transcript": "Ja hoor."})));
    xai
}

fn elevenlabs_agent() -> Messages {
    vec![
        json!({"type": "conversation_initiation_metadata", "conversation_initiation_metadata_event":
        {"conversation_id": "conv_1", "agent_output_audio_format": "ulaw_8000", "user_input_audio_format": "ulaw_8000"}}),
        json!({"type": "ping", "ping_event": {"event_id": 7, "ping_ms": 50}}),
        json!({"type": "agent_response", "agent_response_event": {"agent_response": "Hallo."}}),
        json!({"type": "audio", "audio_event": {"audio_base_64": "/////w==", "event_id": 3}}),
        json!({"type": "vad_score", "vad_score_event": {"vad_score": 0.9}}),
        json!({"type": "interruption", "interruption_event": {"event_id": 4}}),
        json!({"type": "audio", "audio_event": {"audio_base_64": "/////w==", "event_id": 4}}),
        json!({"type": "agent_response_correction", "agent_response_correction_event": {"original_agent_response": "Hallo.", "corrected_agent_response": "Ha"}}),
        json!({"type": "user_transcript", "user_transcription_event": {"user_transcript": "Ja hoor."}}),
        json!({"type": "client_tool_call", "client_tool_call": {"tool_name": "book", "tool_call_id": "t", "parameters": {"day": 1}}}),
        json!({"type": "conversation_initiation_metadata", "conversation_initiation_metadata_event":
        {"conversation_id": "conv_2", "agent_output_audio_format": "pcm_16000", "user_input_audio_format": "ulaw_8000"}}),
    ]
}
