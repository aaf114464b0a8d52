//! What an STT service said of a row, with its times: recorded once, and played again in virtual time.

use serde_json::{Value, json};
use std::collections::VecDeque;
use std::time::Duration;
use trunkline_providers::SttEvent;

/// A final result that came this long after a request is taken for its answer.
const ANSWER_MAX: Duration = Duration::from_millis(1_500);

/// An event of STT, and when it came, from the first sample of the row.
#[derive(Clone, Debug, PartialEq)]
pub struct HeardEvent {
    /// When it came.
    pub at: Duration,
    /// What it was.
    pub event: SttEvent,
}

impl HeardEvent {
    /// As a value that is written; `None` for what is no word: connections and failures.
    pub fn to_json(&self) -> Option<Value> {
        let at_ms = self.at.as_millis() as u64;
        Some(match &self.event {
            SttEvent::Interim(text) => json!({"at_ms": at_ms, "kind": "interim", "text": text}),
            SttEvent::Final { text, confidence, speech_final } => json!({
                "at_ms": at_ms, "kind": "final", "text": text, "confidence": confidence, "speech_final": speech_final,
            }),
            SttEvent::EndOfTurn { text, confidence } => {
                json!({"at_ms": at_ms, "kind": "end_of_turn", "text": text, "confidence": confidence})
            }
            SttEvent::NotUnderstood => json!({"at_ms": at_ms, "kind": "not_understood"}),
            SttEvent::UtteranceEnd => json!({"at_ms": at_ms, "kind": "utterance_end"}),
            SttEvent::StartOfTurn => json!({"at_ms": at_ms, "kind": "start_of_turn"}),
            SttEvent::EagerEndOfTurn => json!({"at_ms": at_ms, "kind": "eager_end_of_turn"}),
            SttEvent::TurnResumed => json!({"at_ms": at_ms, "kind": "turn_resumed"}),
            SttEvent::Ready
            | SttEvent::Languages(_)
            | SttEvent::Corrected { .. }
            | SttEvent::Lost
            | SttEvent::Reconnecting(_)
            | SttEvent::FailedOver(_)
            | SttEvent::Failed(_) => return None,
        })
    }

    /// As it was written; `None` for anything else.
    pub fn of_json(value: &Value) -> Option<Self> {
        let text = || value["text"].as_str().map(str::to_owned);
        let confidence = value["confidence"].as_f64().map(|confidence| confidence as f32);
        let event = match value["kind"].as_str()? {
            "interim" => SttEvent::Interim(text()?),
            "final" => SttEvent::Final { text: text()?, confidence, speech_final: value["speech_final"].as_bool()? },
            "end_of_turn" => SttEvent::EndOfTurn { text: text()?, confidence },
            "not_understood" => SttEvent::NotUnderstood,
            "utterance_end" => SttEvent::UtteranceEnd,
            "start_of_turn" => SttEvent::StartOfTurn,
            "eager_end_of_turn" => SttEvent::EagerEndOfTurn,
            "turn_resumed" => SttEvent::TurnResumed,
            _ => return None,
        };
        Some(Self { at: Duration::from_millis(value["at_ms"].as_u64()?), event })
    }
}

/// A session that says again what was recorded. A request to finalize, which the recording has not seen, is answered with
/// the final words that came next, or the last interim ones; they do not come again.
#[derive(Debug)]
pub struct HeardStt<'a> {
    events: &'a [HeardEvent],
    next: usize,
    finalize_delay: Duration,
    /// The interim words since the last final ones.
    interim: &'a str,
    /// Words that were asked for and are final, before their recorded final result.
    answered: Option<String>,
    results: VecDeque<(Duration, SttEvent)>,
}

impl<'a> HeardStt<'a> {
    /// A session that hears the row from its start.
    pub fn new(events: &'a [HeardEvent], finalize_delay: Duration) -> Self {
        Self { events, next: 0, finalize_delay, interim: "", answered: None, results: VecDeque::new() }
    }

    /// When something comes next.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let result = self.results.front().map(|(due, _)| *due);
        [result, self.events.get(self.next).map(|event| event.at)].into_iter().flatten().min()
    }

    /// What comes now, if anything does.
    pub fn handle_timeout(&mut self, now: Duration) -> Option<SttEvent> {
        if self.results.front().is_some_and(|(due, _)| *due <= now) {
            return self.results.pop_front().map(|(_, event)| event);
        }
        let heard = self.events.get(self.next)?;
        self.next += 1;
        match &heard.event {
            SttEvent::Interim(text) => {
                self.interim = text;
                let text = self.beyond_answer(text);
                (!text.is_empty()).then_some(SttEvent::Interim(text))
            }
            SttEvent::Final { text, confidence, speech_final } => {
                self.interim = "";
                let rest = self.beyond_answer(text);
                let was_answered = self.answered.take().is_some();
                let (confidence, speech_final) = (*confidence, *speech_final);
                (!was_answered || !rest.is_empty()).then_some(SttEvent::Final { text: rest, confidence, speech_final })
            }
            other => Some(other.clone()),
        }
    }

    /// The words after those that were answered.
    fn beyond_answer(&self, text: &str) -> String {
        let answered = self.answered.as_deref().map_or(0, |text| text.split_whitespace().count());
        text.split_whitespace().skip(answered).collect::<Vec<_>>().join(" ")
    }

    /// It is asked for what it has.
    pub fn finalize(&mut self, now: Duration) {
        let next = self.events.get(self.next..).unwrap_or_default().iter().find_map(|heard| match &heard.event {
            SttEvent::Final { text, confidence, .. } => Some((heard.at, text.as_str(), *confidence)),
            _ => None,
        });
        let answer = match next {
            _ if self.answered.is_some() => ("", None),
            Some((at, text, confidence)) if at <= now + ANSWER_MAX => (text, confidence),
            _ => (self.interim, None),
        };
        let (text, confidence) = (answer.0.to_owned(), answer.1);
        if !text.is_empty() {
            self.answered = Some(text.clone());
        }
        let due = now + self.finalize_delay;
        self.results.push_back((due, SttEvent::Final { text, confidence, speech_final: true }));
    }
}
