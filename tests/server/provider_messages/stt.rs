//! What STT vendors send.

use super::Messages;
use serde_json::{Value, json};
use trunkline::domain::provider::SttProvider;

/// Name of the snapshot, vendor, model, messages.
pub fn all() -> Vec<(&'static str, SttProvider, &'static str, Messages)> {
    vec![
        ("deepgram_listen", SttProvider::Deepgram, "nova-3", deepgram_listen()),
        ("deepgram_flux", SttProvider::Deepgram, "flux-general-en", deepgram_flux()),
        ("openai_transcription", SttProvider::Openai, "gpt-4o-transcribe", openai_transcription()),
        ("local_stt", SttProvider::Local, "moonshine-tiny-en", local_stt()),
    ]
}

fn deepgram_listen() -> Messages {
    let results = |is_final: bool, transcript: &str| {
        json!({"type": "Results", "channel_index": [0, 1], "duration": 1.02, "start": 4.98, "is_final": is_final, "speech_final": is_final,
            "channel": {"alternatives": [{"transcript": transcript, "confidence": 0.97, "words": []}]}, "from_finalize": false})
    };
    vec![
        results(false, "ja dat"),
        results(false, ""),
        results(true, "ja dat klopt"),
        results(true, ""),
        json!({"type": "SpeechStarted", "channel": [0, 1], "timestamp": 5.0}),
        json!({"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": 6.12}),
        json!({"type": "Metadata", "request_id": "8c1", "duration": 41.2, "channels": 1}),
        json!({"type": "ConfigureSuccess", "request_id": "8c1", "keyterms": []}),
        json!({"type": "Error", "variant": "SchemaError", "description": "unknown message", "message": "x"}),
    ]
}

fn deepgram_flux() -> Messages {
    let info = |event: &str| {
        json!({"type": "TurnInfo", "request_id": "b1", "sequence_id": 7, "event": event, "turn_index": 2, "audio_window_start": 3.2,
            "audio_window_end": 4.4, "transcript": "ik wil graag", "words": [{"word": "ik", "confidence": 0.98, "start": 3.3, "end": 3.4}],
            "end_of_turn_confidence": 0.12, "trigger": "model"})
    };
    vec![
        json!({"type": "Connected", "request_id": "b1", "sequence_id": 0}),
        info("StartOfTurn"),
        info("Update"),
        info("EagerEndOfTurn"),
        info("TurnResumed"),
        info("EndOfTurn"),
        info("SomethingNew"),
        json!({"type": "ConfigureSuccess", "request_id": "b1", "sequence_id": 9}),
        json!({"type": "Warning", "request_id": "b1", "sequence_id": 10, "code": "X", "description": "x"}),
        json!({"type": "Error", "sequence_id": 11, "code": "INTERNAL_SERVER_ERROR", "description": "x"}),
    ]
}

/// What a session of the local STT says, which is a task of the server.
fn local_stt() -> Messages {
    vec![
        json!({"type": "interim", "text": "What are your"}),
        json!({"type": "final", "text": "What are your opening hours?", "confidence": 0.93, "is_end": true, "until_ms": 2140}),
        json!({"type": "final", "text": "", "confidence": null, "is_end": true, "until_ms": 9000}),
        json!({"type": "final", "text": "and the first part", "confidence": 0.8, "is_end": false, "until_ms": 15000}),
        json!({"type": "error", "is_permanent": true, "message": "the model moonshine-tiny-en is not on this machine: run `trunkline models fetch`"}),
        json!({"type": "error", "is_permanent": false, "message": "the speech worker ended: signal: 11 (SIGSEGV)"}),
    ]
}

fn openai_transcription() -> Messages {
    let of_input = |name: &str, rest: Value| {
        let mut event = json!({"type": format!("conversation.item.input_audio_transcription.{name}"), "item_id": "i1", "content_index": 0});
        event.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        event
    };
    vec![
        json!({"type": "session.created", "session": {}}),
        json!({"type": "session.updated", "session": {}}),
        json!({"type": "input_audio_buffer.speech_started", "audio_start_ms": 100, "item_id": "i1"}),
        of_input("delta", json!({"delta": "Ja "})),
        json!({"type": "input_audio_buffer.speech_stopped", "audio_end_ms": 1_200, "item_id": "i1"}),
        json!({"type": "input_audio_buffer.committed", "item_id": "i1"}),
        of_input("delta", json!({"delta": "hoor."})),
        of_input("completed", json!({"transcript": "Ja hoor."})),
        of_input("failed", json!({"error": {"message": "x"}})),
        json!({"type": "error", "error": {"type": "invalid_request_error", "code": "input_audio_buffer_commit_empty", "message": "empty"}}),
        json!({"type": "error", "error": {"type": "invalid_request_error", "code": "model_not_found", "message": "no such model"}}),
    ]
}
