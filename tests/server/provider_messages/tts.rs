//! What TTS vendors send over sockets.

use super::Messages;
use serde_json::{Value, json};

/// Name of the snapshot, provider, model, messages.
pub fn all() -> Vec<(&'static str, &'static str, &'static str, Messages)> {
    vec![
        ("elevenlabs_multi_stream_input", "elevenlabs", "eleven_flash_v2_5", elevenlabs_multi_stream_input()),
        ("elevenlabs_text_to_dialogue", "elevenlabs", "eleven_v3", elevenlabs_text_to_dialogue()),
        ("cartesia_websocket", "cartesia", "sonic-3.5", cartesia_websocket()),
    ]
}

/// The sockets differ in how they spell their fields.
fn alignment(names: [&str; 2]) -> Value {
    json!({"chars": ["J", "a", " "], names[0]: [0, 40, 90], names[1]: [40, 50, 10]})
}

fn elevenlabs_multi_stream_input() -> Messages {
    let camel = alignment(["charStartTimesMs", "charDurationsMs"]);
    vec![
        json!({"audio": "/////w==", "contextId": "s1", "isFinal": null, "alignment": camel, "normalizedAlignment": null}),
        json!({"audio": "/////w==", "contextId": "s1", "alignment": null, "normalizedAlignment": null}),
        json!({"audio": null, "contextId": "s1"}),
        json!({"type": "flush_done"}),
        json!({"isFinal": true, "contextId": "s1"}),
        json!({"message": "Have not received a new text input", "error": "input_timeout_exceeded", "code": 1_008}),
        json!({"message": "Too many", "error": "max_active_conversations", "code": 1_008}),
        json!({"message": "Quota", "error": "quota_exceeded", "code": 1_008}),
    ]
}

fn elevenlabs_text_to_dialogue() -> Messages {
    let snake = alignment(["char_start_times_ms", "char_durations_ms"]);
    vec![
        json!({"audio": "/////w==", "context_id": "s1", "alignment": snake}),
        json!({"is_final_audio_for_turn": true, "context_id": "s1"}),
        json!({"is_final": true, "context_id": "s1"}),
        json!({"message": "voices can only be set in the first message", "error": "invalid", "code": 1_008, "param": "voices"}),
    ]
}

fn cartesia_websocket() -> Messages {
    vec![
        json!({"type": "chunk", "context_id": "s1", "status_code": 206, "done": false, "step_time": 84.1, "data": "/////w==", "flush_id": 1}),
        json!({"type": "timestamps", "context_id": "s1", "status_code": 206, "done": false,
        "word_timestamps": {"words": ["Ja", "hoor."], "start": [0.0, 0.3], "end": [0.3, 0.71]}}),
        json!({"type": "phoneme_timestamps", "context_id": "s1", "done": false, "phoneme_timestamps": {}}),
        json!({"type": "flush_done", "context_id": "s1", "status_code": 206, "done": false, "flush_done": true}),
        json!({"type": "done", "context_id": "s1", "status_code": 200, "done": true}),
        json!({"type": "error", "context_id": "s1", "status_code": 429, "done": true, "error_code": "concurrency_limited", "title": "Too many"}),
        json!({"type": "error", "context_id": "s1", "status_code": 400, "done": true, "error": "a plain text"}),
    ]
}
