//! Recordings of the emulator, and everything that was ever recorded.

use super::recording::Exchange;
use super::sanitize::{Sanitizer, shows_key, with_silence};
use super::*;
use crate::emulator::{self, EmulatorSettings, ReplyRule, ReplyScript, ScriptedTool};
use recording::Received;
use serde_json::{Value, json};

const SECRET: &str = "sk-proj-4fT9kLm2Qw8Zx7Vb";

fn recorded_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/recorded")
}

/// Everything that was recorded is read without an error, and with the result that was noted. Whoever adds recordings
/// of a vendor adds tests by that.
#[test]
fn every_recording_is_read_as_it_was() {
    let recordings = recordings_below(&recorded_folder()).unwrap();
    assert!(recordings.len() > 30, "{} recordings", recordings.len());
    for (path, recording) in recordings {
        assert!(matches!(recording.source.as_str(), "vendor" | "emulator"), "{}", path.display());
        assert_eq!(replayed(&recording), Ok(recording.result.clone()), "{}", path.display());
        let unexpected = recording.result.iter().find(|line| line.contains("not expected here"));
        assert_eq!(unexpected, None, "{}", path.display());
    }
}

/// Every provider against the emulator, with a key that must not be found afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_key_is_written() {
    let tool = ScriptedTool { name: "find_order".into(), arguments: json!({"number": "4711"}) };
    let rule = ReplyRule {
        words: vec!["4711".into()],
        reply: "One moment.".into(),
        tool: Some(tool),
        more_tools: Vec::new(),
        after_tool: None,
    };
    let answer = "You can read a book. You can visit a museum, bake bread, or call a friend. Then the sun comes out.";
    let other =
        ReplyRule { words: Vec::new(), reply: answer.into(), tool: None, more_tools: Vec::new(), after_tool: None };
    let settings = EmulatorSettings { script: ReplyScript(vec![rule, other]), ..EmulatorSettings::default() };
    let handle = emulator::start("127.0.0.1:0".parse().unwrap(), settings).await.unwrap();
    let folder = std::env::temp_dir().join(format!("trunkline-recorded-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir_all(&folder).unwrap();
    let key_file = folder.join("key");
    std::fs::write(&key_file, format!("{SECRET}\n")).unwrap();
    let out = folder.join("out");
    let record = async |name: &str| {
        let args = RecordProviderArgs {
            name: name.to_owned(),
            key_file: Some(key_file.clone()),
            base_url: Some(handle.address_of(name)),
            out: out.clone(),
            llm_model: None,
            voice: "alloy".to_owned(),
        };
        run(args).await.unwrap()
    };
    tokio::join!(
        record("openai"),
        record("anthropic"),
        record("groq"),
        record("mistral"),
        record("xai"),
        record("deepgram"),
        record("elevenlabs"),
        record("cartesia"),
    );
    for (path, recording) in recordings_below(&out).unwrap() {
        let text = std::fs::read_to_string(&path).unwrap();
        for part in [SECRET, &SECRET[..8], &SECRET[SECRET.len() - 8..]] {
            assert!(!text.contains(part), "{}", path.display());
        }
        assert_eq!(recording.source, "emulator");
        assert!(!recording.exchange.is_empty(), "{}", path.display());
        assert_eq!(replayed(&recording).as_ref(), Ok(&recording.result), "{}", path.display());
    }
    if let Ok(keep) = std::env::var("TRUNKLINE_KEEP_RECORDED") {
        for (path, _) in recordings_below(&out).unwrap() {
            let place = Path::new(&keep).join(path.strip_prefix(&out).unwrap());
            std::fs::create_dir_all(place.parent().unwrap()).unwrap();
            std::fs::copy(&path, place).unwrap();
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

fn cleaned(message: &str) -> String {
    let mut sanitizer = Sanitizer::new(SECRET);
    let exchange = vec![Exchange { after_ms: 1, what: Received::Frame(message.to_owned()) }];
    let recording = sanitizer.recording(Recording { exchange, ..Recording::default() });
    let Received::Frame(text) = recording.exchange[0].what.clone() else { unreachable!() };
    text
}

#[test]
fn keys_are_found_in_every_form() {
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{SECRET}:"));
    for shown in [
        SECRET.to_owned(),
        format!("Bearer {SECRET}"),
        format!("wss://a.example/v1?api_key={SECRET}&model=m"),
        "Incorrect API key provided: sk-pro****x7Vb.".to_owned(),
        "sk-proj-4fT9 is not a key".to_owned(),
        "ends with 8Zx7Vb".to_owned(),
        encoded,
    ] {
        let text = cleaned(&json!({"error": {"message": shown}}).to_string());
        assert!(text.contains("<key>") && !shows_key(&text, SECRET) && !text.contains("x7Vb"), "{text}");
        assert!(!cleaned(&shown).contains("x7Vb"), "not only in JSON");
    }
    assert!(shows_key(&format!("x{SECRET}"), SECRET) && !shows_key("nothing", SECRET));
}

#[test]
fn owners_ids_times_and_audio_are_taken_out() {
    let audio = "A".repeat(400);
    let text = cleaned(
        &json!({"id": "chatcmpl-9a8b7c", "organization": "Acme Inc", "created": 1_763_700_000, "request_id": "req_011CQ",
            "created_at": "2026-01-02T03:04:05Z", "audio": audio, "context_id": "s1", "system_fingerprint": "fp_44709d6fcb",
            "message": "org-AbCdEf in 123e4567-e89b-12d3-a456-426614174000 (req_011CQabc): slow down",
            "tool_calls": [{"id": "call_1"}, {"id": "call_2"}, {"id": "call_1"}], "text": "Hello, you."})
        .to_string(),
    );
    let value: Value = serde_json::from_str(&text).unwrap();
    let ids: Vec<&str> =
        value["tool_calls"].as_array().unwrap().iter().map(|call| call["id"].as_str().unwrap()).collect();
    assert!(ids[0] == ids[2] && ids[0] != ids[1] && ids.iter().all(|id| id.len() == 9), "{ids:?}");
    for gone in ["9a8b7c", "Acme", "1763700000", "011CQ", "2026", "AAAA", "44709", "AbCdEf", "123e4567"] {
        assert!(!text.contains(gone), "{gone} in {text}");
    }
    assert_eq!((&value["audio"], &value["context_id"]), (&json!("<300 bytes>"), &json!("s1")));
    assert_eq!(value["text"], json!("Hello, you."));
    assert!(value["message"].as_str().unwrap().ends_with(": slow down"));
    let silent: Value = serde_json::from_str(&with_silence(&text)).unwrap();
    assert_eq!(silent["audio"].as_str().unwrap().len(), 400);
    assert_eq!(with_silence("{\"a\":\"<b\",\"c\":\"<-1 bytes>\"}"), "{\"a\":\"<b\",\"c\":\"<-1 bytes>\"}");
}

#[test]
fn what_cannot_be_recorded_is_said() {
    let args = |name: &str| RecordProviderArgs {
        name: name.to_owned(),
        key_file: Some(PathBuf::from("/nowhere/key")),
        base_url: None,
        out: PathBuf::from("/nowhere"),
        llm_model: None,
        voice: String::new(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let failed = |name: &str| runtime.block_on(run(args(name))).unwrap_err();
    assert_eq!(failed("local"), "\"local\" is not a provider with a key");
    assert!(failed("openai").starts_with("/nowhere/key: "));
}
