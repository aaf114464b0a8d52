//! One value that the LLM has asked for: understood, read back, confirmed. A plain value.

use super::phrases::value_phrases;
use super::spoken::answers::{without_denial, yes_no};
use super::spoken::letters::is_single_sign;
use super::spoken::read_back::read_back;
use super::spoken::value::{SpokenValue, ValueContext, ValueKind};
use super::spoken::words::ends_with_question;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Characters of the caller's words that the result repeats.
const HEARD_CHARS_MAX: usize = 500;

/// How long the second sign of a code is waited for.
const BEGUN_WAIT: Duration = Duration::from_secs(3);

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueRequest {
    /// The kind of value.
    pub kind: ValueKind,
    /// Said first; `None` if the caller was asked already.
    pub prompt: Option<String>,
    /// What the caller has said already.
    pub heard: Option<String>,
    /// How often the caller is asked in all, at least once.
    pub attempts_max: u32,
    /// For an answer, after the agent has spoken.
    pub timeout: Duration,
    /// What the reading depends on.
    pub context: ValueContext,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueStep {
    /// Wait for the caller, who was asked already.
    Wait,
    /// Say this and wait.
    Say(String),
    /// The result, for the LLM.
    Done(Value),
}

#[derive(Debug)]
enum ValueStage {
    /// The caller is asked for the value.
    Asking,
    /// The caller is asked whether it is right.
    Confirming(SpokenValue),
}

/// A value that is being asked for.
#[derive(Debug)]
pub struct ValueCollection {
    request: ValueRequest,
    stage: ValueStage,
    /// How often the caller was asked.
    attempts: u32,
    heard: String,
    /// The first sign of a code, after which the caller has paused.
    begun: Option<String>,
    /// When the caller has taken too long; `None` while the agent speaks.
    until: Option<Instant>,
}

impl ValueCollection {
    /// Begins; what the caller has said already is read back at once.
    pub fn begin(request: ValueRequest) -> (Self, ValueStep) {
        let (prompt, heard) = (request.prompt.clone(), request.heard.clone());
        let mut collection =
            Self { request, stage: ValueStage::Asking, attempts: 1, heard: String::new(), begun: None, until: None };
        let read = heard.and_then(|text| collection.understand(&text));
        let step = read.unwrap_or_else(|| prompt.map_or(ValueStep::Wait, ValueStep::Say));
        (collection, step)
    }

    /// The agent has spoken: the caller's time runs.
    pub fn handle_silence(&mut self, now: Instant) {
        let timeout = if self.begun.is_some() { BEGUN_WAIT } else { self.request.timeout };
        self.until.get_or_insert(now + timeout);
    }

    /// The agent speaks.
    pub fn handle_speech(&mut self) {
        self.until = None;
    }

    /// When the caller has taken too long.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.until
    }

    /// The caller has said something.
    pub fn handle_words(&mut self, text: &str) -> ValueStep {
        self.until = None;
        let text = keys(text);
        match &self.stage {
            ValueStage::Asking => self.take_value(text),
            ValueStage::Confirming(value) => {
                let value = value.clone();
                self.judge_answer(text, &value)
            }
        }
    }

    /// Words of the value, perhaps behind its first sign: "zed … nine ex".
    fn take_value(&mut self, text: &str) -> ValueStep {
        let is_first = self.begun.is_none();
        let text = self.begun.take().map_or_else(|| text.to_owned(), |begun| format!("{begun} {text}"));
        if let Some(step) = self.understand(&text) {
            return step;
        }
        let goes_on = self.request.kind == ValueKind::Code && is_single_sign(&text, &self.request.context.language);
        if goes_on && is_first {
            self.begun = Some(text);
            return ValueStep::Wait;
        }
        self.not_understood(&text)
    }

    /// The caller has said nothing.
    pub fn handle_timeout(&mut self) -> ValueStep {
        (self.until, self.begun) = (None, None);
        let phrases = value_phrases(&self.request.context.spoken_language);
        match &self.stage {
            ValueStage::Asking => self.ask_again(phrases.again, "gave_up"),
            ValueStage::Confirming(value) => {
                let question = read_back(value, &self.request.context);
                self.ask_again(&question, "gave_up")
            }
        }
    }

    fn understand(&mut self, text: &str) -> Option<ValueStep> {
        let value = SpokenValue::read(self.request.kind, text, &self.request.context)?;
        self.hear(text);
        if let SpokenValue::Answer(_) = value {
            // Nobody is asked whether they have said yes.
            return Some(ValueStep::Done(self.result("confirmed", Some(&value))));
        }
        let question = read_back(&value, &self.request.context);
        self.stage = ValueStage::Confirming(value);
        Some(ValueStep::Say(question))
    }

    fn not_understood(&mut self, text: &str) -> ValueStep {
        self.hear(text);
        // A question of the caller is for the LLM.
        if ends_with_question(text) {
            return ValueStep::Done(self.result("gave_up", None));
        }
        let phrases = value_phrases(&self.request.context.spoken_language);
        let spells = matches!(self.request.kind, ValueKind::Email | ValueKind::Name | ValueKind::Code);
        self.ask_again(if spells { phrases.spell } else { phrases.again }, "gave_up")
    }

    fn judge_answer(&mut self, text: &str, value: &SpokenValue) -> ValueStep {
        let (context, phrases) = (&self.request.context, value_phrases(&self.request.context.spoken_language));
        let answer = match text {
            "1" => Some(true),
            "2" => Some(false),
            text => yes_no(text, &context.language),
        };
        if answer == Some(true) {
            return ValueStep::Done(self.result("confirmed", Some(value)));
        }
        let rest = without_denial(text, &context.language);
        let is_correction = self.request.kind != ValueKind::Name || answer == Some(false);
        let other = Some(rest).filter(|rest| !rest.is_empty() && is_correction);
        let other = other.and_then(|rest| SpokenValue::read(self.request.kind, &rest, context));
        match (other, answer) {
            (Some(other), _) if other != *value => {
                self.hear(text);
                let question = read_back(&other, &self.request.context);
                self.stage = ValueStage::Confirming(other);
                self.ask_again(&question, "rejected")
            }
            (_, Some(_)) => {
                self.hear(text);
                self.stage = ValueStage::Asking;
                self.ask_again(phrases.wrong, "rejected")
            }
            (_, None) => self.ask_again(phrases.confirm, "gave_up"),
        }
    }

    /// Asks once more, or ends with this status.
    fn ask_again(&mut self, words: &str, status: &str) -> ValueStep {
        if self.attempts >= self.request.attempts_max {
            return ValueStep::Done(self.result(status, None));
        }
        self.attempts += 1;
        ValueStep::Say(words.to_owned())
    }

    fn hear(&mut self, text: &str) {
        self.heard = text.chars().take(HEARD_CHARS_MAX).collect();
    }

    /// The result if something else begins.
    pub fn cancelled(&self) -> Value {
        self.result("gave_up", None)
    }

    fn result(&self, status: &str, value: Option<&SpokenValue>) -> Value {
        json!({"status": status, "value": value.map(SpokenValue::json), "heard": self.heard})
    }
}

/// Keys that were pressed count as said.
fn keys(text: &str) -> &str {
    text.strip_prefix("[DTMF ").and_then(|rest| rest.strip_suffix(']')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_domain::built_in_tools::Spelling;

    fn request(kind: ValueKind) -> ValueRequest {
        let context = ValueContext {
            language: "en".into(),
            spoken_language: "en".into(),
            country: Some("NL".into()),
            currency: "EUR".into(),
            spelling: Spelling::Nato,
            today: jiff::civil::date(2026, 11, 28),
        };
        let timeout = Duration::from_secs(10);
        ValueRequest { kind, prompt: Some("Which one?".into()), heard: None, attempts_max: 3, timeout, context }
    }

    fn say(text: &str) -> ValueStep {
        ValueStep::Say(text.to_owned())
    }

    #[test]
    fn a_value_is_read_back_and_confirmed() {
        let (mut code, step) = ValueCollection::begin(request(ValueKind::Code));
        assert_eq!(step, say("Which one?"));
        assert_eq!(code.handle_words("b as in bravo seven"), say("I have Bravo, 7. Is that right?"));
        let wanted = json!({"status": "confirmed", "value": "B7", "heard": "b as in bravo seven"});
        assert_eq!(code.handle_words("Yes."), ValueStep::Done(wanted));
    }

    #[test]
    fn a_correction_takes_the_place_of_the_value() {
        let (mut code, _) = ValueCollection::begin(request(ValueKind::Code));
        let _ = code.handle_words("b seven");
        assert_eq!(code.handle_words("No, it's D eight"), say("I have Delta, 8. Is that right?"));
        let ValueStep::Done(result) = code.handle_words("correct") else { panic!() };
        assert_eq!(result["value"], "D8");
    }

    #[test]
    fn a_code_goes_on_behind_its_first_sign() {
        let (mut code, _) = ValueCollection::begin(request(ValueKind::Code));
        assert_eq!(code.handle_words("Zed."), ValueStep::Wait);
        assert_eq!(code.handle_words("nine ex"), say("I have Zulu, 9, X-ray. Is that right?"));
        let (mut code, _) = ValueCollection::begin(request(ValueKind::Code));
        assert_eq!(code.handle_words("B"), ValueStep::Wait);
        let begun = code.until;
        assert_eq!(begun, None, "the time runs when both are silent");
        assert_eq!(code.handle_timeout(), say("Sorry, I did not get that. Could you say it again?"));
        assert_eq!(code.handle_words("C seven"), say("I have Charlie, 7. Is that right?"));
        let (mut code, _) = ValueCollection::begin(request(ValueKind::Code));
        let _ = code.handle_words("B");
        assert!(matches!(code.handle_words("I don't know"), ValueStep::Say(_)));
    }

    #[test]
    fn who_is_not_sure_is_asked_again_and_assent_with_a_denial_is_yes() {
        let (mut answer, _) = ValueCollection::begin(request(ValueKind::YesNo));
        assert_eq!(answer.handle_words("I'm not sure."), say("Sorry, I did not get that. Could you say it again?"));
        let ValueStep::Done(result) = answer.handle_words("Sure, why not.") else { panic!() };
        assert_eq!((&result["status"], &result["value"]), (&json!("confirmed"), &json!(true)));
    }

    #[test]
    fn the_caller_is_asked_so_often_and_no_more() {
        let (mut code, _) = ValueCollection::begin(request(ValueKind::Email));
        assert_eq!(code.handle_words("something"), say("Sorry, I did not get that. Could you spell it for me?"));
        assert!(matches!(code.handle_timeout(), ValueStep::Say(_)));
        let wanted = json!({"status": "gave_up", "value": null, "heard": "well"});
        assert_eq!(code.handle_words("well"), ValueStep::Done(wanted));
        let (mut code, _) = ValueCollection::begin(request(ValueKind::Code));
        for _ in 0..2 {
            let _ = code.handle_words("b seven");
            assert_eq!(code.handle_words("no"), say("I am sorry. Please say it once more."));
        }
        let _ = code.handle_words("b seven");
        let ValueStep::Done(result) = code.handle_words("no") else { panic!() };
        assert_eq!(result["status"], "rejected");
    }

    #[test]
    fn what_was_said_already_is_read_back_at_once() {
        let heard = Some("oh two oh one two three four five six seven".to_owned());
        let (mut phone, step) = ValueCollection::begin(ValueRequest { heard, ..request(ValueKind::Phone) });
        assert_eq!(step, say("I have plus 3 1, 2 0 1, 2 3 4, 5 6 7. Is that right?"));
        let ValueStep::Done(result) = phone.handle_words("[DTMF 1]") else { panic!() };
        assert_eq!((&result["status"], &result["value"]), (&json!("confirmed"), &json!("+31201234567")));
    }

    #[test]
    fn yes_needs_no_confirmation_and_questions_go_to_the_model() {
        let (mut answer, _) = ValueCollection::begin(request(ValueKind::YesNo));
        let wanted = json!({"status": "confirmed", "value": false, "heard": "No, thanks."});
        assert_eq!(answer.handle_words("No, thanks."), ValueStep::Done(wanted));
        let (mut email, _) = ValueCollection::begin(request(ValueKind::Email));
        let ValueStep::Done(result) = email.handle_words("Why do you need it?") else { panic!() };
        assert_eq!((&result["status"], &result["heard"]), (&json!("gave_up"), &json!("Why do you need it?")));
    }
}
