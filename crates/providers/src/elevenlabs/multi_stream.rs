//! `multi-stream-input`: one socket for a call, one context for a sentence.

use super::http_stream::segments;
use super::session_errors::SESSION_ERRORS;
use super::voice::{model, takes_language, voice_settings};
use crate::nullable::{lenient, lenient_mark};
use crate::transport::WebSocketRequest;
use crate::tts::language_code;
use crate::tts_socket::TtsSocketProtocol;
use crate::{AudioFormat, ProviderAccess, ProviderError, TtsEvent, WordTimestamp};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use tokio_tungstenite::tungstenite::Message;
use trunkline_domain::provider_config::{TtsConfig, VoiceSettings};
use trunkline_domain::speech_tags;

/// The sixth open context closes the socket.
const CONTEXTS_MAX: usize = 5;

/// How far a sentence has come: times and letters of a chunk count from its own start.
#[derive(Debug, Default)]
pub(super) struct AlignmentProgress {
    bytes: usize,
    chars: u32,
    has_tags: bool,
    /// A tag has begun and not ended.
    in_tag: bool,
}

impl AlignmentProgress {
    /// The progress of a text; letters of tags in it are not counted.
    pub(super) fn of(text: &str) -> Self {
        Self { has_tags: speech_tags::are_in(text), ..Self::default() }
    }

    /// Marks of a chunk, at its words' ends.
    pub(super) fn marks(&mut self, audio: usize, letters: &[String], starts_ms: &[f64]) -> Vec<WordTimestamp> {
        let base_ms = self.bytes as f64 / 8.0;
        self.bytes += audio;
        let mut marks = Vec::new();
        for (index, letter) in letters.iter().enumerate() {
            let was_in_tag = self.in_tag;
            self.in_tag = self.has_tags && (letter == "<" || was_in_tag && letter != ">");
            if was_in_tag || self.in_tag {
                continue;
            }
            self.chars += 1;
            if letter.trim().is_empty() || index + 1 == letters.len() {
                let start = starts_ms.get(index).copied().unwrap_or(0.0);
                marks.push(WordTimestamp { at_ms: (base_ms + start).max(0.0) as u32, chars: self.chars });
            }
        }
        marks
    }
}

/// The wire of one call's socket.
#[derive(Debug)]
pub struct MultiStreamProtocol {
    voice: String,
    query: Vec<(&'static str, String)>,
    settings: Value,
    progress: HashMap<String, AlignmentProgress>,
}

impl MultiStreamProtocol {
    /// Returns the protocol of one call; `config` wins over `settings` field by field, and the speed is limited to 0.7
    /// to 1.2.
    pub fn new(config: &TtsConfig, settings: &VoiceSettings) -> Self {
        let name = model(config);
        let mut query = vec![
            ("model_id", name.to_owned()),
            ("output_format", "ulaw_8000".to_owned()),
            // Whole sentences come: nothing is to be waited for.
            ("auto_mode", "true".to_owned()),
            ("sync_alignment", "true".to_owned()),
            ("inactivity_timeout", "180".to_owned()),
        ];
        if takes_language(name) {
            query.push(("language_code", language_code(config).to_owned()));
        }
        let settings = Value::Object(voice_settings(config, settings));
        Self { voice: config.voice_id.clone(), query, settings, progress: HashMap::new() }
    }
}

impl MultiStreamProtocol {
    /// The same for texts with tags.
    #[must_use]
    pub fn with_tags(mut self) -> Self {
        self.query.push(("enable_ssml_parsing", "true".to_owned()));
        self
    }
}

/// Path and query of a socket, with the key in the header.
pub(super) fn upgrade(
    endpoint: &ProviderAccess, path: &[&str], query: &[(&str, &str)],
) -> Result<WebSocketRequest, ProviderError> {
    let path = segments(&endpoint.base_url, path)?;
    let base = url::Url::parse(&endpoint.base_url).map_err(|error| ProviderError::Unreachable(error.to_string()))?;
    let path = path.path().strip_prefix(base.path().trim_end_matches('/')).unwrap_or(path.path());
    Ok(WebSocketRequest::for_endpoint(endpoint, path, query).header("xi-api-key", endpoint.key()?))
}

/// Ends a context once everything in it is spoken.
pub(super) fn close_context(context: &str) -> Message {
    Message::text(json!({"context_id": context, "close_context": true}).to_string())
}

impl TtsSocketProtocol for MultiStreamProtocol {
    fn upgrade(&self, endpoint: &ProviderAccess) -> Result<WebSocketRequest, ProviderError> {
        let query: Vec<(&str, &str)> = self.query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        upgrade(endpoint, &["v1", "text-to-speech", &self.voice, "multi-stream-input"], &query)
    }

    fn speak(&mut self, context: &str, text: &str) -> Vec<Message> {
        self.progress.insert(context.to_owned(), AlignmentProgress::of(text));
        // Settings are taken from a context's first message only; a text ends with a space.
        let mut first = json!({"text": " ", "context_id": context});
        if self.settings.as_object().is_some_and(|settings| !settings.is_empty()) {
            first["voice_settings"] = self.settings.clone();
        }
        let said = json!({"text": format!("{text} "), "context_id": context, "flush": true});
        [first, said].iter().map(|message| Message::text(message.to_string())).collect()
    }

    fn after_first_audio(&mut self, context: &str) -> Vec<Message> {
        // In one burst with its text it sometimes ends the context without a sound.
        vec![close_context(context)]
    }

    fn cancel(&mut self, context: &str) -> Vec<Message> {
        self.progress.remove(context);
        vec![close_context(context)]
    }

    fn handle_connected(&mut self) {
        self.progress.clear();
    }

    fn read(&mut self, text: &str) -> Result<Vec<(String, TtsEvent)>, ProviderError> {
        read(&mut self.progress, text)
    }

    fn format(&self) -> AudioFormat {
        AudioFormat::Mulaw
    }

    fn contexts_max(&self) -> usize {
        CONTEXTS_MAX
    }
}

/// What a text frame of either kind of socket means.
pub(super) fn read(
    progress: &mut HashMap<String, AlignmentProgress>, text: &str,
) -> Result<Vec<(String, TtsEvent)>, ProviderError> {
    let message: MultiStreamMessage = crate::nullable::message(text)?;
    if let Some(error) = message.error.filter(|error| !error.is_empty()) {
        return Err(refused(&error, message.message));
    }
    let context = message.context_id.filter(|context| !context.is_empty());
    let Some(context) = context.or_else(|| only_context(progress)) else { return Ok(Vec::new()) };
    let mut events = Vec::new();
    if let Some(audio) = message.audio.filter(|audio| !audio.is_empty()) {
        // Sound that cannot be read is missing; the rest is heard.
        let bytes = STANDARD.decode(audio).unwrap_or_default();
        // Sound without an alignment takes its time all the same.
        let Alignment { chars, starts_ms } = message.alignment.unwrap_or_default();
        let marks = progress.get_mut(&context).map(|one| one.marks(bytes.len(), &chars, &starts_ms));
        if let Some(marks) = marks.filter(|marks| !marks.is_empty()) {
            events.push((context.clone(), TtsEvent::WordTimestamps(marks)));
        }
        events.push((context.clone(), TtsEvent::Audio(bytes.into())));
    }
    if message.is_final {
        progress.remove(&context);
        events.push((context, TtsEvent::Done));
    }
    Ok(events)
}

/// The context that is open, where there is but one: what names none is its.
fn only_context(progress: &HashMap<String, AlignmentProgress>) -> Option<String> {
    let mut open = progress.keys();
    open.next().filter(|_| open.next().is_none()).cloned()
}

/// An error frame; its name says what kind of refusal it is.
pub(super) fn refused(name: &str, message: Option<String>) -> ProviderError {
    let said = message.as_deref().unwrap_or(name);
    let failure = SESSION_ERRORS.fault(&[name]).error(said);
    failure.unwrap_or_else(|| ProviderError::SessionEnded(said.to_owned()))
}

/// The sockets differ in how they spell their fields.
#[derive(Debug, Default, Deserialize)]
struct MultiStreamMessage {
    #[serde(default, deserialize_with = "lenient")]
    audio: Option<String>,
    #[serde(rename = "isFinal", alias = "is_final", default, deserialize_with = "lenient_mark")]
    is_final: bool,
    #[serde(rename = "contextId", alias = "context_id", default, deserialize_with = "lenient")]
    context_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    alignment: Option<Alignment>,
    #[serde(default, deserialize_with = "lenient")]
    error: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    message: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Alignment {
    #[serde(default, deserialize_with = "lenient")]
    chars: Vec<String>,
    #[serde(rename = "charStartTimesMs", alias = "char_start_times_ms", default, deserialize_with = "lenient")]
    starts_ms: Vec<f64>,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn contexts() -> MultiStreamProtocol {
        MultiStreamProtocol {
            voice: "v".into(),
            query: vec![],
            settings: json!({"stability": 0.5}),
            progress: HashMap::new(),
        }
    }

    #[test]
    fn chunks_become_sound_and_marks() {
        let mut wire = contexts();
        let sent = wire.speak("s1", "Ja hoor.");
        assert!(sent.len() == 2 && !sent.iter().any(|one| one.to_string().contains("close_context")), "{sent:?}");
        assert!(wire.after_first_audio("s1")[0].to_string().contains("close_context"));
        let audio = STANDARD.encode([0xFF; 800]);
        let chunk = |audio: &str| {
            json!({"audio": audio, "contextId": "s1", "isFinal": null, "normalizedAlignment": null,
                "alignment": {"chars": ["J", "a", " "], "charStartTimesMs": [0, 40, 90], "charDurationsMs": [40, 50, 10]}})
        };
        let mut read = |message: Value| wire.read(&message.to_string()).unwrap();
        let first = read(chunk(&audio));
        let sound = TtsEvent::Audio(vec![0xFF; 800].into());
        assert_eq!(
            first,
            [
                ("s1".into(), TtsEvent::WordTimestamps(vec![WordTimestamp { at_ms: 90, chars: 3 }])),
                ("s1".into(), sound)
            ]
        );
        let second = read(chunk(&audio));
        assert_eq!(second[0].1, TtsEvent::WordTimestamps(vec![WordTimestamp { at_ms: 190, chars: 6 }]));
        assert_eq!(read(json!({"audio": audio, "contextId": "s1", "alignment": null})).len(), 1);
        assert_eq!(read(chunk(&audio))[0].1, TtsEvent::WordTimestamps(vec![WordTimestamp { at_ms: 390, chars: 9 }]));
        assert_eq!(read(json!({"isFinal": true, "contextId": "s1"})), [("s1".into(), TtsEvent::Done)]);
        assert_eq!(read(json!({"type": "flush_done"})), []);
        let error = json!({"message": "no", "error": "max_active_conversations", "code": 1008});
        assert_eq!(wire.read(&error.to_string()), Err(ProviderError::refused(429, "no")));
    }

    #[test]
    fn ends_come_in_several_forms_and_the_only_context_need_not_be_named() {
        let done = ("s1".to_owned(), TtsEvent::Done);
        for mark in [json!(true), json!("true"), json!("True"), json!(1), json!("1")] {
            let mut wire = contexts();
            wire.speak("s1", "Ja.");
            assert_eq!(
                wire.read(&json!({"contextId": "s1", "isFinal": mark}).to_string()),
                Ok(vec![done.clone()]),
                "{mark}"
            );
        }
        for mark in [json!(false), json!("false"), json!(null), json!(0), json!([])] {
            assert_eq!(contexts().read(&json!({"contextId": "s1", "isFinal": mark}).to_string()), Ok(vec![]), "{mark}");
        }
        for name in [json!(null), json!("")] {
            let mut wire = contexts();
            wire.speak("s1", "Ja.");
            let end = json!({"contextId": name, "isFinal": true});
            assert_eq!(wire.read(&end.to_string()), Ok(vec![done.clone()]), "{name}");
            wire.speak("s2", "Ja.");
            wire.speak("s3", "Nee.");
            assert_eq!(wire.read(&end.to_string()), Ok(vec![]), "it may be of either");
        }
    }

    #[test]
    fn no_damage_ends_the_socket() {
        let chunk = json!({"audio": STANDARD.encode([0xFF; 80]), "contextId": "s1", "isFinal": false,
            "alignment": {"chars": ["J", "a"], "charStartTimesMs": [0, 40], "charDurationsMs": [40, 50]}});
        let end = json!({"isFinal": true, "contextId": "s1"});
        crate::damage::survives(&[chunk.clone(), chunk, end], |texts| {
            let mut wire = contexts();
            wire.speak("s1", "Ja.");
            texts.iter().try_for_each(|text| wire.read(text).map(drop)).map_err(|failure| failure.to_string())
        });
    }

    #[test]
    fn a_field_that_is_missing_null_or_odd_costs_no_call() {
        let whole = json!({"audio": STANDARD.encode([0xFF; 80]), "contextId": "s1", "isFinal": false, "error": null,
            "message": null, "alignment": {"chars": ["J"], "charStartTimesMs": [0]}});
        for field in ["audio", "contextId", "isFinal", "message", "alignment"] {
            let mut event = whole.clone();
            event.as_object_mut().unwrap().remove(field);
            assert!(contexts().read(&event.to_string()).is_ok(), "without {field}");
            for odd in [json!(null), json!(""), json!([]), json!({"chars": null, "charStartTimesMs": null})] {
                event[field] = odd;
                assert!(contexts().read(&event.to_string()).is_ok(), "{event}");
            }
        }
        assert_eq!(contexts().read(&whole.to_string()).unwrap().len(), 1, "sound of a context that has ended");
    }
}
