//! An entry of digits from its beginning to its result: keys, spoken digits, time, and everything that cancels it.

use super::call_machine::CallMachine;
use super::collecting::{Collecting, DigitEntry};
use super::mode::Mode;
use super::output::CallOutput;
use super::talk::{Speaker, Talk};
use crate::dialogue::built_in_tools::BuiltInTool;
use crate::dialogue::digit_collection::{DigitCollection, DigitOutcome, DigitRequest};
use crate::dialogue::response::{AfterResponse, is_sayable};
use crate::dialogue::secret_words::hidden_entry;
use crate::dialogue::spoken::digits::{SpokenDigits, spoken_digits};
use std::time::Instant;
use trunkline_domain::chat::ToolCall;
use trunkline_domain::collected::CollectedValues;
use trunkline_media::turn::end_of_turn::CallerTurn;

const SPOKE: &str = "the caller spoke instead";
const SPOKE_DIGITS: &str = "the caller said digits aloud; they do not count, ask for the keypad";
const ENDED: &str = "the conversation went on without it";

/// An entry that a round of tools begins with.
#[derive(Debug)]
pub(super) struct WantedDigits {
    pub(super) call: ToolCall,
    pub(super) request: DigitRequest,
    /// Said first.
    pub(super) prompt: Option<String>,
}

/// What the caller has said of the digits.
enum SpokenEntry {
    /// These count.
    Digits(String),
    /// Something else, or what may not count.
    Cancels(&'static str),
}

impl CallMachine {
    /// What the caller has entered so far, for the tools that refer to it.
    pub fn collected(&self) -> CollectedValues {
        self.mode.line().map(|line| line.collected.clone()).unwrap_or_default()
    }

    /// Whether the caller is being asked for something by a tool.
    pub(super) fn is_collecting(&self) -> bool {
        matches!(&self.mode, Mode::Conversing(conversing) if conversing.collecting.is_active())
    }

    /// Begins an entry. Digits that the caller has entered before the agent was done count.
    pub(super) fn begin_collecting(&mut self, now: Instant, wanted: WantedDigits) {
        let Mode::Conversing(conversing) = &mut self.mode else { return };
        let collection = DigitCollection::new(wanted.request);
        conversing.collecting = Collecting::Digits(DigitEntry { call: wanted.call, collection });
        let typed_ahead = conversing.talk.dtmf.take_entry();
        let prompt = wanted.prompt.map(|prompt| conversing.talk.filled_in(&prompt)).filter(|prompt| is_sayable(prompt));
        if let (Some(prompt), true) = (prompt, typed_ahead.is_empty()) {
            conversing.talk.say(now, &prompt, AfterResponse::AwaitCaller);
        }
        self.arm_silence(now);
        for digit in typed_ahead.chars() {
            self.handle_digit(now, digit);
        }
    }

    /// The same round of tools ends or transfers the call: nothing is asked.
    pub(super) fn refuse_collecting(&mut self, now: Instant, wanted: WantedDigits) {
        let entry = DigitEntry { call: wanted.call, collection: DigitCollection::new(wanted.request) };
        if let Some(talk) = self.mode.talk_mut() {
            talk.keep_entry(now, &entry, DigitOutcome::Cancelled, Some(ENDED));
        }
    }

    /// A key belongs to an entry: to the one in progress, to one that was complete already, or to one that the agent is
    /// asking for right now. True if it does.
    pub(super) fn collect_digit(&mut self, now: Instant, digit: char) -> bool {
        self.begin_early(now);
        let Mode::Conversing(conversing) = &mut self.mode else { return false };
        if conversing.collecting.is_left_over(now, digit) {
            return true;
        }
        let Collecting::Digits(entry) = &mut conversing.collecting else { return false };
        let outcome = entry.collection.handle_digit(now, digit);
        conversing.talk.stop_for_key(now);
        conversing.talk.fillers.start_over(now, now);
        if let Some(outcome) = outcome {
            self.finish_collecting(now, outcome, None);
        }
        true
    }

    /// A key comes while the agent says words that end with an entry: the entry begins at once.
    fn begin_early(&mut self, now: Instant) {
        let Mode::Conversing(conversing) = &mut self.mode else { return };
        let name = BuiltInTool::CollectDigits.name();
        let asks = conversing.talk.line.playout.response.as_ref().is_some_and(|response| {
            response.is_model_done() && response.tool_calls.iter().any(|call| call.name == name)
        });
        if !asks || conversing.collecting.is_active() {
            return;
        }
        let calls = conversing.talk.cut_before_tools(now);
        self.run_tools(now, &calls, true);
    }

    /// The caller has taken too long.
    pub(super) fn handle_collection_timeout(&mut self, now: Instant) {
        let Mode::Conversing(conversing) = &mut self.mode else { return };
        let Collecting::Digits(entry) = &mut conversing.collecting else { return self.handle_value_timeout(now) };
        if conversing.talk.line.playout.response.is_some() && entry.collection.count() == 0 {
            // The agent has said something meanwhile: the time begins again when it was heard.
            return entry.collection.handle_speech();
        }
        if !conversing.talk.line.caller.is_quiet() {
            return entry.collection.handle_caller_speech(now);
        }
        let outcome = entry.collection.handle_timeout();
        conversing.talk.fillers.start_over(now, now);
        self.finish_collecting(now, outcome, None);
    }

    /// A turn of the caller while digits are asked for; returned if it concerns nobody here.
    pub(super) fn collect_turn(&mut self, now: Instant, turn: CallerTurn) -> Option<CallerTurn> {
        if self.mode.line().is_some_and(|line| line.was_secret_at(turn.started)) {
            return self.hide_late_digits(turn);
        }
        let Mode::Conversing(conversing) = &mut self.mode else { return Some(turn) };
        if !conversing.collecting.is_active() || conversing.talk.is_backchannel(&turn.text, turn.confidence) {
            return Some(turn);
        }
        if let Collecting::Value(_) = conversing.collecting {
            self.take_value_turn(now, &turn);
            return None;
        }
        let is_secret = conversing.collecting.is_secret();
        let (said, shown) = read(&turn.text, conversing.talk.line.facts.spec.stt_language(), is_secret);
        if let Some(lengths) = conversing.collecting.secret_lengths() {
            conversing.talk.line.hide_said(&turn.text, Some(lengths));
        }
        conversing.talk.stop_for_key(now);
        conversing.talk.fillers.start_over(now, turn.ended);
        conversing.talk.note_turn(&CallerTurn { text: shown, ..turn });
        conversing.talk.tools.start_over();
        self.take_spoken(now, said);
        None
    }

    /// A turn that began while a secret entry was in progress, and ended after it: digits in it are not written down.
    fn hide_late_digits(&mut self, turn: CallerTurn) -> Option<CallerTurn> {
        let Some(line) = self.mode.line_mut() else { return Some(turn) };
        let text = hidden_entry(&turn.text, line.facts.spec.stt_language());
        let is_hidden = text != turn.text;
        if is_hidden {
            line.hide_said(&turn.text, None);
        }
        let turn = CallerTurn { text, ..turn };
        match &mut self.mode {
            Mode::Conversing(conversing) if is_hidden => {
                conversing.talk.note_turn(&turn);
                None
            }
            _ => Some(turn),
        }
    }

    /// What may be written down of words that a realtime model has heard; digits that it has heard in place of keys are
    /// secret from here on.
    pub(super) fn shown_words(&mut self, text: &str) -> String {
        let Mode::Conversing(conversing) = &mut self.mode else { return text.to_owned() };
        let Some(lengths) = conversing.collecting.secret_lengths() else { return text.to_owned() };
        conversing.talk.line.hide_said(text, Some(lengths));
        read(text, conversing.talk.line.facts.spec.stt_language(), true).1
    }

    /// Words that a realtime model has heard, and answers by itself: only digits end an entry.
    pub(super) fn collect_transcript(&mut self, now: Instant, text: &str) {
        let Mode::Conversing(conversing) = &self.mode else { return };
        if !matches!(conversing.collecting, Collecting::Digits(_)) || conversing.collecting.is_secret() {
            return;
        }
        let (said, _) = read(text, conversing.talk.line.facts.spec.stt_language(), false);
        if matches!(said, SpokenEntry::Digits(_)) {
            self.take_spoken(now, said);
        }
    }

    fn take_spoken(&mut self, now: Instant, said: SpokenEntry) {
        let digits = match said {
            SpokenEntry::Digits(digits) => digits,
            SpokenEntry::Cancels(why) => return self.finish_collecting(now, DigitOutcome::Cancelled, Some(why)),
        };
        for digit in digits.chars() {
            let Mode::Conversing(conversing) = &mut self.mode else { return };
            let Collecting::Digits(entry) = &mut conversing.collecting else { return };
            if let Some(outcome) = entry.collection.handle_digit(now, digit) {
                return self.finish_collecting(now, outcome, None);
            }
        }
    }

    /// The model learns what was entered, and answers.
    fn finish_collecting(&mut self, now: Instant, outcome: DigitOutcome, reason: Option<&str>) {
        self.end_collecting(now, outcome, reason);
        self.go_on_after_entry(now);
    }

    /// The model reads what was entered; other tools of its round may still work, and the caller waits for them.
    pub(super) fn go_on_after_entry(&mut self, now: Instant) {
        self.request_response_to_results(now);
        if let Some(talk) = self.mode.talk_mut() {
            talk.arm_filler_for_tools(now);
        }
    }

    /// Ends an entry because something else has begun. The model reads it with what comes next.
    pub(super) fn cancel_collecting(&mut self, now: Instant) {
        self.end_collecting(now, DigitOutcome::Cancelled, Some(ENDED));
        self.cancel_value(now);
    }

    fn end_collecting(&mut self, now: Instant, outcome: DigitOutcome, reason: Option<&str>) {
        let Mode::Conversing(conversing) = &mut self.mode else { return };
        if let Some(entry) = conversing.collecting.end(now) {
            conversing.silence_prompts = 0;
            conversing.talk.keep_entry(now, &entry, outcome, reason);
        }
    }
}

impl Talk {
    /// The agent stops speaking at a key, unless it says goodbye.
    pub(super) fn stop_for_key(&mut self, now: Instant) {
        let response = self.line.playout.response.as_ref();
        if response.is_some_and(|response| matches!(response.after, AfterResponse::AwaitCaller)) {
            self.cancel_response(now);
        }
        self.interruption.remainder = None;
        (self.timers.silence, self.timers.resume, self.timers.filler) = (None, None, None);
    }

    /// Cuts the words before tool calls, which run now.
    fn cut_before_tools(&mut self, now: Instant) -> Vec<ToolCall> {
        let Some(response) = self.line.playout.response.take() else { return Vec::new() };
        self.line.playout.end_pause();
        self.line.output(CallOutput::CancelSpeech { response_id: response.response_id });
        if let Speaker::Realtime(realtime) = &mut self.speaker {
            realtime.truncate(&mut self.line, &response, &[]);
        }
        let said = response.said();
        self.line.record_response(&response, self.line.ms(now), true, said.clone());
        self.history.push_assistant(&said, response.tool_calls.clone());
        self.timers.filler = None;
        response.tool_calls
    }

    /// Keeps what was entered for tools, and hands over the result.
    fn keep_entry(&mut self, now: Instant, entry: &DigitEntry, outcome: DigitOutcome, reason: Option<&str>) {
        let request = entry.collection.request();
        if request.is_secret {
            self.line.secret_until = Some(now);
        }
        if outcome == DigitOutcome::Completed {
            self.line.collected.put(&request.name, entry.collection.digits(), request.is_secret);
        } else if request.is_secret {
            // The caller will enter them again, or say them.
            self.line.collected.hide(entry.collection.digits());
        }
        let shown = entry.shown(outcome, reason).to_string();
        let told = entry.told(outcome, reason, self.reveals_secrets()).to_string();
        self.tools.start_over();
        self.handle_own_result(now, &entry.call.id, &told, &shown);
    }
}

/// What a text says of an entry, and what may be written down of it.
fn read(text: &str, language: &str, is_secret: bool) -> (SpokenEntry, String) {
    if is_secret {
        let shown = hidden_entry(text, language);
        let why = if shown == text { SPOKE } else { SPOKE_DIGITS };
        return (SpokenEntry::Cancels(why), shown);
    }
    let said = match spoken_digits(text, language) {
        SpokenDigits::Only(digits) => SpokenEntry::Digits(digits),
        SpokenDigits::Among(_) | SpokenDigits::None => SpokenEntry::Cancels(SPOKE),
    };
    (said, text.to_owned())
}
