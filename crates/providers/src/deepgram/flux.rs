//! Messages of `/v2/listen`: an STT service that decides itself when a turn is over.

use super::languages::is_language;
use super::session_errors::error_frame;
use crate::nullable::{lenient, lenient_items, tagged};
use crate::stt::{SttProtocol, SttSessionConfig, SttUpdate};
use crate::transport::WebSocketRequest;
use crate::{LanguageWords, ProviderAccess, ProviderError, SttEvent};
use serde::Deserialize;
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message as Frame;

/// 80 ms of G.711: the chunk the vendor asks for.
const CHUNK: usize = 640;
/// Audio time drives its turns: a gap of the line is filled with silence, or no turn would ever end.
const GAP: Duration = Duration::from_millis(100);
/// Confidence of a likely end; the vendor takes 0.3 to 0.9 and holds 0.7 for a certain one.
const EAGER_THRESHOLD: &str = "0.5";

/// One connection to Flux.
#[derive(Debug)]
pub struct FluxProtocol {
    setup: SttSessionConfig,
    chunk: Vec<u8>,
    turns: FluxTurns,
}

/// The turn that is open, and the one that ended last.
#[derive(Debug, Default)]
struct FluxTurns {
    /// The newest that was named.
    index: Option<u64>,
    /// The newest that has ended.
    ended: Option<u64>,
    /// Words of the open turn.
    words: String,
}

impl FluxTurns {
    /// Leaves out what comes late of a turn that has ended, and gives an end without words those that came before it.
    fn filter(&mut self, mut info: FluxTurnInfo) -> Option<FluxTurnInfo> {
        let index = info.turn_index.or(self.index);
        self.index = self.index.max(index);
        let is_over = index.is_some_and(|index| self.ended.is_some_and(|ended| index <= ended));
        match info.event {
            FluxTurnEvent::EndOfTurn => {
                let words = if is_over { String::new() } else { std::mem::take(&mut self.words) };
                if info.transcript.trim().is_empty() {
                    info.transcript = words;
                }
                self.ended = self.ended.max(index);
            }
            // A server that counts no turns begins the next one under the same number.
            FluxTurnEvent::StartOfTurn if index == self.ended => {
                (self.ended, self.words) = (None, info.transcript.clone())
            }
            _ if is_over && info.turn_index.is_some() => return None,
            FluxTurnEvent::StartOfTurn => self.words.clone_from(&info.transcript),
            _ if !info.transcript.trim().is_empty() => self.words.clone_from(&info.transcript),
            _ => {}
        }
        Some(info)
    }
}

impl FluxProtocol {
    /// Returns the protocol of one connection, without audio yet.
    pub fn new(setup: SttSessionConfig) -> Self {
        Self { setup, chunk: Vec::with_capacity(CHUNK), turns: FluxTurns::default() }
    }

    fn chunk(&mut self) -> Option<Frame> {
        (!self.chunk.is_empty()).then(|| Frame::Binary(std::mem::take(&mut self.chunk).into()))
    }
}

impl SttProtocol for FluxProtocol {
    fn upgrade(&self, endpoint: &ProviderAccess) -> Result<WebSocketRequest, ProviderError> {
        let mut query =
            vec![("model", self.setup.model.as_str()), ("encoding", self.setup.encoding), ("sample_rate", "8000")];
        // Only the multilingual model takes hints; the English one refuses them.
        if self.setup.model.contains("multi") && self.setup.language_code() != "multi" {
            query.push(("language_hint", self.setup.language_code()));
        }
        if self.setup.eager {
            query.push(("eager_eot_threshold", EAGER_THRESHOLD));
        }
        query.extend(self.setup.keyterms.iter().map(|term| ("keyterm", term.as_str())));
        Ok(WebSocketRequest::for_endpoint(endpoint, "/v2/listen", &query)
            .header("authorization", format!("Token {}", endpoint.key()?)))
    }

    fn initial_messages(&self) -> Vec<Frame> {
        Vec::new()
    }

    fn audio(&mut self, codes: &[u8]) -> Option<Frame> {
        self.chunk.extend_from_slice(codes);
        if self.chunk.len() >= CHUNK { self.chunk() } else { None }
    }

    fn keep_alive(&mut self) -> (Duration, Frame) {
        (GAP, Frame::Binary(vec![self.setup.silence(); GAP.as_millis() as usize * 8].into()))
    }

    fn speech_ended_message(&mut self) -> Option<Frame> {
        None
    }

    fn finalize(&mut self) -> Option<Frame> {
        Some(Frame::text("{\"type\":\"ForceEndTurn\"}"))
    }

    fn close(&mut self) -> Option<Frame> {
        Some(Frame::text("{\"type\":\"CloseStream\"}"))
    }

    fn read(&mut self, text: &str) -> Result<SttUpdate, ProviderError> {
        match tagged(text)?.unwrap_or(FluxMessage::Unknown) {
            FluxMessage::TurnInfo(info) => Ok(self.turns.filter(info).map(update_of).unwrap_or_default()),
            FluxMessage::Error { code, description } => error_frame(&code, &description),
            FluxMessage::Unknown => Ok(SttUpdate::default()),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type")]
enum FluxMessage {
    TurnInfo(FluxTurnInfo),
    #[serde(alias = "FatalError")]
    Error {
        #[serde(default, deserialize_with = "lenient")]
        code: String,
        #[serde(default, deserialize_with = "lenient")]
        description: String,
    },
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Deserialize)]
struct FluxTurnInfo {
    #[serde(default, deserialize_with = "lenient")]
    event: FluxTurnEvent,
    #[serde(default, deserialize_with = "lenient")]
    turn_index: Option<u64>,
    #[serde(default, deserialize_with = "lenient")]
    transcript: String,
    #[serde(default, deserialize_with = "lenient_items")]
    words: Vec<FluxWord>,
    /// Of `flux-general-multi`: the most frequent first.
    #[serde(default, deserialize_with = "lenient_items")]
    languages: Vec<String>,
    #[serde(default, deserialize_with = "lenient")]
    audio_window_end: f64,
}

#[derive(Debug, Default, Deserialize)]
enum FluxTurnEvent {
    Update,
    StartOfTurn,
    EagerEndOfTurn,
    TurnResumed,
    EndOfTurn,
    #[default]
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Default, Deserialize)]
struct FluxWord {
    #[serde(default, deserialize_with = "lenient")]
    confidence: Option<f32>,
}

/// What news of a turn mean. A transcript is that of the turn so far and replaces the one before.
fn update_of(info: FluxTurnInfo) -> SttUpdate {
    let FluxTurnInfo { event, transcript, words, languages, audio_window_end: end, .. } = info;
    let interim = |first: Option<SttEvent>| {
        let words = (!transcript.is_empty()).then(|| SttEvent::Interim(transcript.clone()));
        SttUpdate { events: first.into_iter().chain(words).collect(), ..SttUpdate::default() }
    };
    match event {
        FluxTurnEvent::Update => interim(None),
        FluxTurnEvent::StartOfTurn => interim(Some(SttEvent::StartOfTurn)),
        FluxTurnEvent::EagerEndOfTurn => {
            let mut heard = interim(None);
            heard.events.push(SttEvent::EagerEndOfTurn);
            heard
        }
        FluxTurnEvent::TurnResumed => interim(Some(SttEvent::TurnResumed)),
        FluxTurnEvent::EndOfTurn => {
            let sure: Vec<f32> = words.iter().filter_map(|word| word.confidence).collect();
            let confidence = (!sure.is_empty()).then(|| sure.iter().sum::<f32>() / sure.len() as f32);
            let settled_ms = Some((end.max(0.0) * 1_000.0) as u64);
            let words = transcript.split_whitespace().count() as u32;
            let told = languages
                .into_iter()
                .find(|code| is_language(code))
                .map(|language| vec![LanguageWords { language, words }]);
            let end = SttEvent::EndOfTurn { text: transcript, confidence };
            SttUpdate {
                events: told.map(SttEvent::Languages).into_iter().chain([end]).collect(),
                settled_ms,
                span: None,
            }
        }
        FluxTurnEvent::Unknown => SttUpdate::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protocol() -> FluxProtocol {
        FluxProtocol::new(SttSessionConfig {
            model: "flux-general-en".into(),
            language: "en".into(),
            keyterms: vec![],
            encoding: "mulaw",
            endpointing_ms: 300,
            eager: false,
        })
    }

    fn parse(text: &str) -> Result<SttUpdate, ProviderError> {
        protocol().read(text)
    }

    fn turn_info(event: &str, index: Option<u64>, transcript: &str) -> String {
        serde_json::json!({"type": "TurnInfo", "event": event, "turn_index": index, "transcript": transcript})
            .to_string()
    }

    /// What comes of the news behind those of a first turn with these words.
    fn after_a_turn(news: &[(&str, Option<u64>, &str)]) -> Vec<SttEvent> {
        let mut wire = protocol();
        for event in ["StartOfTurn", "Update", "EndOfTurn"] {
            wire.read(&turn_info(event, Some(0), "help me please")).unwrap();
        }
        let read =
            |(event, index, words): &(&str, Option<u64>, &str)| wire.read(&turn_info(event, *index, words)).unwrap();
        news.iter().map(read).collect::<Vec<_>>().into_iter().flat_map(|update| update.events).collect()
    }

    #[test]
    fn what_comes_late_of_a_turn_that_has_ended_is_left_out() {
        for event in ["Update", "TurnResumed", "EagerEndOfTurn"] {
            for words in ["help me please", "help me", ""] {
                assert_eq!(after_a_turn(&[(event, Some(0), words)]), [], "{event} {words}");
            }
        }
        let interim = |text: &str| SttEvent::Interim(text.to_owned());
        let next = after_a_turn(&[
            ("StartOfTurn", Some(1), "yes"),
            ("Update", Some(0), "help me"),
            ("Update", Some(1), "yes it"),
        ]);
        assert_eq!(next, [SttEvent::StartOfTurn, interim("yes"), interim("yes it")]);
        let uncounted = after_a_turn(&[("StartOfTurn", Some(0), "yes"), ("Update", Some(0), "yes it")]);
        assert_eq!(
            uncounted,
            [SttEvent::StartOfTurn, interim("yes"), interim("yes it")],
            "a server that counts no turns"
        );
        let unnamed = after_a_turn(&[("StartOfTurn", None, ""), ("Update", None, "yes")]);
        assert_eq!(unnamed, [SttEvent::StartOfTurn, interim("yes")], "a server that names none");
    }

    #[test]
    fn an_end_without_words_has_those_that_came_before_it() {
        let ends = |news: &[(&str, Option<u64>, &str)]| -> Vec<String> {
            let text = |event| match event {
                SttEvent::EndOfTurn { text, .. } => Some(text),
                _ => None,
            };
            after_a_turn(news).into_iter().filter_map(text).collect()
        };
        let started = ("StartOfTurn", Some(1), "yes");
        assert_eq!(ends(&[started, ("Update", Some(1), "yes it is"), ("EndOfTurn", Some(1), "")]), ["yes it is"]);
        assert_eq!(ends(&[started, ("EagerEndOfTurn", Some(1), "yes it"), ("EndOfTurn", None, " ")]), ["yes it"]);
        assert_eq!(ends(&[started, ("Update", Some(1), ""), ("EndOfTurn", Some(1), "")]), ["yes"]);
        assert_eq!(ends(&[("EndOfTurn", Some(0), "")]), [""], "the first turn has had its words");
        assert_eq!(ends(&[("StartOfTurn", Some(1), ""), ("EndOfTurn", Some(1), "")]), [""]);
    }

    #[test]
    fn turns_become_events() {
        let info = |event: &str, transcript: &str| {
            parse(&format!(
                "{{\"type\":\"TurnInfo\",\"request_id\":\"r\",\"sequence_id\":7,\"event\":\"{event}\",\"turn_index\":2,\"audio_window_start\":3.2,\
                 \"audio_window_end\":4.5,\"transcript\":\"{transcript}\",\"words\":[{{\"word\":\"ik\",\"confidence\":0.5}},{{\"word\":\"wil\",\"confidence\":1.0}}],\
                 \"end_of_turn_confidence\":0.12,\"trigger\":\"model\"}}"
            ))
            .unwrap()
        };
        let words = |text: &str| SttEvent::Interim(text.to_owned());
        assert_eq!(info("StartOfTurn", "ik").events, [SttEvent::StartOfTurn, words("ik")]);
        assert_eq!(info("Update", "ik wil").events, [words("ik wil")]);
        assert_eq!(info("EagerEndOfTurn", "ik wil").events, [words("ik wil"), SttEvent::EagerEndOfTurn]);
        assert_eq!(info("TurnResumed", "ik wil").events, [SttEvent::TurnResumed, words("ik wil")]);
        let end = SttEvent::EndOfTurn { text: "ik wil".into(), confidence: Some(0.75) };
        assert_eq!(info("EndOfTurn", "ik wil"), SttUpdate { events: vec![end], settled_ms: Some(4_500), span: None });
        assert_eq!(info("Something", "x"), SttUpdate::default());
        assert_eq!(parse("{\"type\":\"Connected\",\"sequence_id\":0}"), Ok(SttUpdate::default()));
        assert!(parse("{\"type\":\"Error\",\"code\":\"INTERNAL_SERVER_ERROR\",\"description\":\"x\"}").is_err());
    }

    #[test]
    fn no_damage_ends_the_connection() {
        let info = |event: &str| {
            serde_json::json!({"type": "TurnInfo", "request_id": "r", "sequence_id": 7, "event": event, "turn_index": 2,
                "audio_window_start": 3.2, "audio_window_end": 4.5, "transcript": "ik wil",
                "words": [{"word": "ik", "confidence": 0.5}, {"word": "wil", "confidence": 1.0}],
                "end_of_turn_confidence": 0.12})
        };
        let messages = [
            serde_json::json!({"type": "Connected", "sequence_id": 0}),
            info("StartOfTurn"),
            info("Update"),
            info("EagerEndOfTurn"),
            info("TurnResumed"),
            info("EndOfTurn"),
        ];
        crate::damage::survives(&messages, |texts| {
            texts.iter().try_for_each(|text| parse(text).map(drop)).map_err(|failure| failure.to_string())
        });
        // One odd word costs neither the others nor the turn.
        let mut odd = info("EndOfTurn");
        odd["words"][0] = serde_json::json!(null);
        let end = SttEvent::EndOfTurn { text: "ik wil".into(), confidence: Some(1.0) };
        assert_eq!(parse(&odd.to_string()).unwrap().events, [end]);
    }

    #[test]
    fn an_error_says_whose_fault_it_is() {
        let error = |code: &str| parse(&format!("{{\"type\":\"Error\",\"code\":\"{code}\",\"description\":\"x\"}}"));
        assert!(matches!(error("INTERNAL_SERVER_ERROR"), Err(ProviderError::SessionEnded(_))));
        assert!(matches!(error("INSUFFICIENT_PERMISSIONS"), Err(ProviderError::Refused { status: 401, .. })));
        assert_eq!(error("UNPARSABLE_CLIENT_MESSAGE"), Ok(SttUpdate::default()));
    }

    #[test]
    fn audio_leaves_in_chunks_of_eighty_milliseconds() {
        let mut flux = protocol();
        for _ in 0..3 {
            assert_eq!(flux.audio(&[1; 160]), None);
        }
        assert_eq!(flux.audio(&[1; 160]), Some(Frame::Binary(vec![1; 640].into())));
        assert_eq!(flux.audio(&[1; 160]), None);
    }
}
