//! Messages of `/v1/listen`. Unknown types and fields are skipped: the provider adds some often.

use super::languages::is_language;
use super::session_errors::error_frame;
use crate::nullable::{lenient, lenient_items, tagged};
use crate::stt::{SttProtocol, SttSessionConfig, SttUpdate};
use crate::transport::WebSocketRequest;
use crate::{AudioSpan, LanguageWords, ProviderAccess, ProviderError, SttEvent};
use bytes::Bytes;
use serde::Deserialize;
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message as Frame;
use trunkline_domain::keyterms::{KeytermUse, keyterm_use};
use trunkline_domain::provider::SttProvider;

/// A socket without audio is held by a KeepAlive at least every ten seconds (close code NET-0001).
const KEEP_ALIVE: Duration = Duration::from_secs(4);

/// One connection to Nova.
#[derive(Debug)]
pub struct NovaProtocol {
    setup: SttSessionConfig,
    /// The last interim words, and their audio, until final ones come for them.
    interim: Option<(String, Option<AudioSpan>)>,
}

impl NovaProtocol {
    /// Returns the protocol of one connection.
    pub fn new(setup: SttSessionConfig) -> Self {
        Self { setup, interim: None }
    }

    /// A final result without words settles the interim ones of the same audio: they are all that was heard.
    fn settle_interim(&mut self, update: &mut SttUpdate) {
        let span = update.span;
        for event in &mut update.events {
            match event {
                SttEvent::Interim(words) => self.interim = Some((words.clone(), span)),
                SttEvent::Final { text, .. } => {
                    let is_same = |of: &Option<AudioSpan>| of.zip(span).is_none_or(|(of, span)| of.overlaps(span));
                    if let Some((words, _)) = self.interim.take_if(|(_, of)| is_same(of))
                        && text.trim().is_empty()
                    {
                        *text = words;
                    }
                }
                _ => {}
            }
        }
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
        let name = match keyterm_use(SttProvider::Deepgram, &self.setup.model) {
            KeytermUse::Words => "keywords",
            KeytermUse::Terms { .. } | KeytermUse::Prompt | KeytermUse::None => "keyterm",
        };
        query.extend(self.setup.keyterms.iter().map(|term| (name, term.as_str())));
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
        let mut update = parse(text)?;
        self.settle_interim(&mut update);
        Ok(update)
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
        #[serde(default, deserialize_with = "lenient")]
        message: String,
        #[serde(default, deserialize_with = "lenient")]
        variant: String,
    },
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Default, Deserialize)]
struct Channel {
    #[serde(default, deserialize_with = "lenient_items")]
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
        for language in self.words.iter().filter_map(|word| word.language.as_ref()).filter(|code| is_language(code)) {
            match counted.iter_mut().find(|known| known.language == *language) {
                Some(known) => known.words += 1,
                None => counted.push(LanguageWords { language: language.clone(), words: 1 }),
            }
        }
        if counted.is_empty() {
            let words = self.transcript.split_whitespace().count() as u32;
            let first = self.languages.iter().find(|code| is_language(code));
            counted.extend(first.map(|first| LanguageWords { language: first.clone(), words }));
        }
        counted
    }
}

/// What a text frame means.
pub fn parse(text: &str) -> Result<SttUpdate, ProviderError> {
    let message: NovaMessage = tagged(text)?.unwrap_or(NovaMessage::Unknown);
    Ok(match message {
        NovaMessage::Results { channel, is_final, speech_final, from_finalize, start, duration } => {
            // What it was asked for before its time is all it has.
            let speech_final = speech_final || from_finalize;
            let span = AudioSpan::of_seconds(start, duration);
            let best = channel.alternatives.into_iter().next();
            let languages = best.as_ref().map(Alternative::languages).unwrap_or_default();
            let (text, confidence) = best.map(|a| (a.transcript, a.confidence)).unwrap_or_default();
            if is_final {
                let confidence = confidence.filter(|_| !text.is_empty());
                let settled_ms = Some(((start + duration).max(0.0) * 1_000.0) as u64);
                let told = (!languages.is_empty()).then_some(SttEvent::Languages(languages));
                let last = SttEvent::Final { text, confidence, speech_final };
                SttUpdate { events: told.into_iter().chain([last]).collect(), settled_ms, span }
            } else if text.is_empty() {
                SttUpdate::default()
            } else {
                SttUpdate { span, ..SttUpdate::one(SttEvent::Interim(text)) }
            }
        }
        NovaMessage::UtteranceEnd {} => SttUpdate::one(SttEvent::UtteranceEnd),
        NovaMessage::Error { description, message, variant } => {
            return error_frame(&variant, &format!("{description} {message}"));
        }
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
        let odd = r#"{"transcript":"hola hi there you","confidence":0.9,"words":[{"language":""},{"language":"xx-klingon"},
            {"language":null},{"language":"es"}]}"#;
        assert_eq!(results(true, odd)[0], SttEvent::Languages(vec![of("es", 1)]));
        let none = r#"{"transcript":"hi","confidence":0.9,"languages":["","xx"],"words":[{"language":""}]}"#;
        assert_eq!(results(true, none).len(), 1, "what is no language says nothing");
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
        let span = AudioSpan::of_seconds(2.0, 1.5);
        let interim = SttUpdate { span, ..SttUpdate::one(SttEvent::Interim("ja".into())) };
        assert_eq!(parse(&results(false, false, "ja")), Ok(interim));
        assert_eq!(parse(&results(false, false, "")), Ok(SttUpdate::default()));
        let last = SttEvent::Final { text: "ja dat klopt".into(), confidence: Some(0.9), speech_final: true };
        assert_eq!(
            parse(&results(true, true, "ja dat klopt")),
            Ok(SttUpdate { events: vec![last], settled_ms: Some(3_500), span })
        );
        assert_eq!(
            parse("{\"type\":\"UtteranceEnd\",\"channel\":[0,1],\"last_word_end\":6.1}"),
            one(SttEvent::UtteranceEnd)
        );
        assert_eq!(parse("{\"type\":\"SomethingNew\",\"x\":1}"), Ok(SttUpdate::default()));
        assert_eq!(parse("{\"type\":\"Results\",\"channel\":7}"), Ok(SttUpdate::default()));
        assert!(parse("<html>").is_err());
    }

    fn setup(model: &str, keyterms: Vec<String>) -> SttSessionConfig {
        SttSessionConfig {
            model: model.into(),
            language: "en".into(),
            keyterms,
            encoding: "mulaw",
            endpointing_ms: 300,
            eager: false,
        }
    }

    #[test]
    fn interim_words_count_where_the_final_result_has_none() {
        let results = |is_final: bool, start: f64, alternatives: serde_json::Value| {
            serde_json::json!({"type": "Results", "start": start, "duration": 1.0, "is_final": is_final,
                "speech_final": is_final, "channel": {"alternatives": alternatives}})
        };
        let words = |text: &str| serde_json::json!([{"transcript": text, "confidence": 0.9}]);
        let interim = |start: f64| results(false, start, words("help me"));
        let mut bare = results(true, 1.0, words(""));
        bare.as_object_mut().unwrap().retain(|name, _| name != "start" && name != "duration");
        for (case, messages, wanted) in [
            ("empty", vec![interim(1.0), results(true, 1.0, words(""))], vec!["help me"]),
            ("blank", vec![interim(1.0), results(true, 1.0, words("  "))], vec!["help me"]),
            ("no alternatives", vec![interim(1.0), results(true, 1.0, serde_json::json!([]))], vec!["help me"]),
            ("null", vec![interim(1.0), results(true, 1.0, serde_json::json!(null))], vec!["help me"]),
            ("no times", vec![interim(1.0), bare], vec!["help me"]),
            ("other audio", vec![interim(1.0), results(true, 3.0, words(""))], vec![""]),
            ("no interim words", vec![results(true, 1.0, words(""))], vec![""]),
            (
                "others",
                vec![interim(1.0), results(true, 1.0, words("help")), results(true, 2.0, words(""))],
                vec!["help", ""],
            ),
            (
                "twice",
                vec![interim(1.0), results(true, 1.0, words("")), results(true, 1.0, words(""))],
                vec!["help me", ""],
            ),
        ] {
            let mut wire = NovaProtocol::new(setup("nova-3", vec![]));
            let mut finals = Vec::new();
            for message in messages {
                for event in wire.read(&message.to_string()).unwrap().events {
                    if let SttEvent::Final { text, .. } = event {
                        finals.push(text.trim().to_owned());
                    }
                }
            }
            assert_eq!(finals, wanted, "{case}");
        }
    }

    #[test]
    fn no_damage_ends_the_connection() {
        let results = |is_final: bool| {
            serde_json::json!({"type": "Results", "is_final": is_final, "speech_final": is_final, "from_finalize": false,
                "start": 1.0, "duration": 2.0, "channel_index": [0, 1],
                "channel": {"alternatives": [{"transcript": "ja", "confidence": 0.9, "words": []}]}})
        };
        let end = serde_json::json!({"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": 6.1});
        crate::damage::survives(&[results(false), results(true), end], |texts| {
            texts.iter().try_for_each(|text| parse(text).map(drop)).map_err(|failure| failure.to_string())
        });
    }

    #[test]
    fn words_to_listen_for_are_named_as_the_model_names_them() {
        let query = |model: &str| {
            let setup = setup(model, vec!["Acme".into()]);
            let endpoint = ProviderAccess {
                account: trunkline_domain::provider::ProviderAccount::Deepgram,
                base_url: "http://stt.example".into(),
                api_key: Some(trunkline_domain::secret::Secret::from("k".to_owned())),
                api_version: String::new(),
                concurrency_max: 1,
                is_customer_server: false,
                blocked: None,
            };
            format!("{:?}", NovaProtocol::new(setup).upgrade(&endpoint).unwrap())
        };
        assert!(query("nova-2-phonecall").contains("keywords=Acme"), "{}", query("nova-2-phonecall"));
        assert!(query("nova-3-general").contains("keyterm=Acme"), "{}", query("nova-3-general"));
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
