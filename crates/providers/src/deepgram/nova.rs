//! Messages of `/v1/listen`. Unknown types and fields are skipped: the provider adds some often.

use crate::nullable::lenient;
use crate::stt::{SttProtocol, SttSessionConfig, SttUpdate};
use crate::transport::WebSocketRequest;
use crate::{LanguageWords, ProviderAccess, ProviderError, SttEvent};
use bytes::Bytes;
use serde::Deserialize;
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message as Frame;

/// A socket without audio is held by a KeepAlive at least every ten seconds (close code NET-0001).
const KEEP_ALIVE: Duration = Duration::from_secs(4);

/// One connection to Nova.
#[derive(Debug)]
pub struct NovaProtocol {
    setup: SttSessionConfig,
}

impl NovaProtocol {
    /// Returns the protocol of one connection.
    pub fn new(setup: SttSessionConfig) -> Self {
        Self { setup }
    }
}

impl SttProtocol for NovaProtocol {
    fn upgrade(&self, endpoint: &ProviderAccess) -> Result<WebSocketRequest, ProviderError> {
        let endpointing = self.setup.endpointing_ms.to_string();
        let mut query = vec![
            ("model", self.setup.model.as_str()),
            ("language", &self.setup.language),
            ("encoding", self.setup.encoding),
            ("sample_rate", "8000"),
            ("channels", "1"),
            ("interim_results", "true"),
            ("smart_format", "true"),
            ("vad_events", "false"),
            ("endpointing", &endpointing),
            ("utterance_end_ms", "1000"),
        ];
        query.extend(self.setup.keyterms.iter().map(|term| ("keyterm", term.as_str())));
        Ok(WebSocketRequest::for_endpoint(endpoint, "/v1/listen", &query)
            .header("authorization", format!("Token {}", endpoint.key()?)))
    }

    fn initial_messages(&self) -> Vec<Frame> {
        Vec::new()
    }

    fn audio(&mut self, codes: &[u8]) -> Option<Frame> {
        // An empty frame would mean the end of the stream.
        (!codes.is_empty()).then(|| Frame::Binary(Bytes::copy_from_slice(codes)))
    }

    fn keep_alive(&mut self) -> (Duration, Frame) {
        (KEEP_ALIVE, Frame::text("{\"type\":\"KeepAlive\"}"))
    }

    fn speech_ended_message(&mut self) -> Option<Frame> {
        None
    }

    fn finalize(&mut self) -> Option<Frame> {
        Some(Frame::text("{\"type\":\"Finalize\"}"))
    }

    fn close(&mut self) -> Option<Frame> {
        Some(Frame::text("{\"type\":\"CloseStream\"}"))
    }

    fn read(&mut self, text: &str) -> Result<SttUpdate, ProviderError> {
        parse(text)
    }
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type")]
enum NovaMessage {
    Results {
        #[serde(default, deserialize_with = "lenient")]
        channel: Channel,
        #[serde(default, deserialize_with = "lenient")]
        is_final: bool,
        #[serde(default, deserialize_with = "lenient")]
        speech_final: bool,
        #[serde(default, deserialize_with = "lenient")]
        from_finalize: bool,
        /// Seconds of the connection's audio.
        #[serde(default, deserialize_with = "lenient")]
        start: f64,
        #[serde(default, deserialize_with = "lenient")]
        duration: f64,
    },
    UtteranceEnd {},
    Error {
        #[serde(default, deserialize_with = "lenient")]
        description: String,
    },
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Default, Deserialize)]
struct Channel {
    #[serde(default, deserialize_with = "lenient")]
    alternatives: Vec<Alternative>,
}

#[derive(Debug, Deserialize)]
struct Alternative {
    #[serde(default, deserialize_with = "lenient")]
    transcript: String,
    #[serde(default, deserialize_with = "lenient")]
    confidence: Option<f32>,
    #[serde(default, deserialize_with = "lenient")]
    words: Vec<Word>,
    /// With `language=multi`: those of the words, the most frequent first.
    #[serde(default, deserialize_with = "lenient")]
    languages: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Word {
    #[serde(default, deserialize_with = "lenient")]
    language: Option<String>,
}

impl Alternative {
    /// How many words are in which language; empty if the vendor does not say.
    fn languages(&self) -> Vec<LanguageWords> {
        let mut counted: Vec<LanguageWords> = Vec::new();
        for language in self.words.iter().filter_map(|word| word.language.as_ref()) {
            match counted.iter_mut().find(|known| known.language == *language) {
                Some(known) => known.words += 1,
                None => counted.push(LanguageWords { language: language.clone(), words: 1 }),
            }
        }
        if counted.is_empty() {
            let words = self.transcript.split_whitespace().count() as u32;
            counted.extend(self.languages.first().map(|first| LanguageWords { language: first.clone(), words }));
        }
        counted
    }
}

/// What a text frame means.
pub fn parse(text: &str) -> Result<SttUpdate, ProviderError> {
    let message: NovaMessage = match serde_json::from_str(text) {
        Ok(message) => message,
        // An object of an unknown kind, or of none.
        Err(_) if serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).is_ok() => {
            NovaMessage::Unknown
        }
        Err(error) => return Err(ProviderError::invalid_response(error)),
    };
    Ok(match message {
        NovaMessage::Results { channel, is_final, speech_final, from_finalize, start, duration } => {
            // What it was asked for before its time is all it has.
            let speech_final = speech_final || from_finalize;
            let best = channel.alternatives.into_iter().next();
            let languages = best.as_ref().map(Alternative::languages).unwrap_or_default();
            let (text, confidence) = best.map(|a| (a.transcript, a.confidence)).unwrap_or_default();
            if is_final {
                let confidence = confidence.filter(|_| !text.is_empty());
                let settled_ms = Some(((start + duration).max(0.0) * 1_000.0) as u64);
                let told = (!languages.is_empty()).then_some(SttEvent::Languages(languages));
                let last = SttEvent::Final { text, confidence, speech_final };
                SttUpdate { events: told.into_iter().chain([last]).collect(), settled_ms }
            } else if text.is_empty() {
                SttUpdate::default()
            } else {
                SttUpdate::one(SttEvent::Interim(text))
            }
        }
        NovaMessage::UtteranceEnd {} => SttUpdate::one(SttEvent::UtteranceEnd),
        NovaMessage::Error { description } => return Err(ProviderError::InvalidResponse(description)),
        NovaMessage::Unknown => SttUpdate::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_languages_of_final_words_come_before_them() {
        let results = |is_final: bool, alternative: &str| {
            let text = format!(
                "{{\"type\":\"Results\",\"is_final\":{is_final},\"speech_final\":true,\"channel\":{{\"alternatives\":[{alternative}]}}}}"
            );
            parse(&text).unwrap().events
        };
        let of = |language: &str, words| LanguageWords { language: language.into(), words };
        let by_word = r#"{"transcript":"hola mi name","confidence":0.9,"languages":["es","en"],"words":[
            {"word":"hola","language":"es"},{"word":"mi","language":"es"},{"word":"name","language":"en"}]}"#;
        assert_eq!(results(true, by_word)[0], SttEvent::Languages(vec![of("es", 2), of("en", 1)]));
        assert_eq!(results(false, by_word), [SttEvent::Interim("hola mi name".into())]);
        let in_all =
            r#"{"transcript":"hola buenos dias","confidence":0.9,"languages":["es"],"words":[{"word":"hola"}]}"#;
        assert_eq!(results(true, in_all)[0], SttEvent::Languages(vec![of("es", 3)]));
        let plain = r#"{"transcript":"hello","confidence":0.9,"words":[{"word":"hello"}]}"#;
        assert_eq!(results(true, plain).len(), 1, "a model for one language says nothing");
    }

    #[test]
    fn results_become_events_and_the_rest_is_skipped() {
        let results = |is_final: bool, speech_final: bool, transcript: &str| {
            format!(
                "{{\"type\":\"Results\",\"channel_index\":[0,1],\"duration\":1.5,\"start\":2.0,\"is_final\":{is_final},\
                 \"speech_final\":{speech_final},\"channel\":{{\"alternatives\":[{{\"transcript\":\"{transcript}\",\"confidence\":0.9,\"words\":[]}}]}}}}"
            )
        };
        let one = |event: SttEvent| Ok(SttUpdate::one(event));
        assert_eq!(parse(&results(false, false, "ja")), one(SttEvent::Interim("ja".into())));
        assert_eq!(parse(&results(false, false, "")), Ok(SttUpdate::default()));
        let last = SttEvent::Final { text: "ja dat klopt".into(), confidence: Some(0.9), speech_final: true };
        assert_eq!(
            parse(&results(true, true, "ja dat klopt")),
            Ok(SttUpdate { events: vec![last], settled_ms: Some(3_500) })
        );
        assert_eq!(
            parse("{\"type\":\"UtteranceEnd\",\"channel\":[0,1],\"last_word_end\":6.1}"),
            one(SttEvent::UtteranceEnd)
        );
        assert_eq!(parse("{\"type\":\"SomethingNew\",\"x\":1}"), Ok(SttUpdate::default()));
        assert_eq!(parse("{\"type\":\"Results\",\"channel\":7}"), Ok(SttUpdate::default()));
        assert!(parse("<html>").is_err());
    }

    #[test]
    fn a_field_that_is_missing_null_or_odd_costs_no_connection() {
        let whole = serde_json::json!({"type": "Results", "is_final": true, "speech_final": true, "from_finalize": false,
            "start": 1.0, "duration": 2.0, "channel": {"alternatives": [{"transcript": "ja", "confidence": 0.9}]}});
        for field in ["is_final", "speech_final", "from_finalize", "start", "duration", "channel"] {
            let mut event = whole.clone();
            event.as_object_mut().unwrap().remove(field);
            assert!(parse(&event.to_string()).is_ok(), "without {field}");
            for odd in [serde_json::json!(null), serde_json::json!(""), serde_json::json!([]), serde_json::json!({})] {
                event[field] = odd;
                assert!(parse(&event.to_string()).is_ok(), "{event}");
            }
        }
        for alternative in ["null", "{}", "{\"transcript\":null,\"confidence\":null}"] {
            let event =
                format!("{{\"type\":\"Results\",\"is_final\":true,\"channel\":{{\"alternatives\":[{alternative}]}}}}");
            let update = parse(&event).unwrap();
            let empty = SttEvent::Final { text: String::new(), confidence: None, speech_final: false };
            assert_eq!(update.events, [empty], "{event}");
        }
    }
}
