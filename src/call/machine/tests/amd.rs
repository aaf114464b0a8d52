//! Calls we make that are answered by people, mailboxes, screening services and fax machines.

use super::*;
use crate::domain::task::TaskFields;
use trunkline_media::detect::tone::Tone;

impl CallHarness {
    /// A call for a task, answered now.
    fn dialled(message: Option<&str>) -> Self {
        let task: TaskFields = serde_json::from_value(serde_json::json!({
            "name": "T", "to_number": "+15550100",
        }))
        .unwrap();
        let agent =
            AgentFields { voicemail_detection: Some(true), voicemail_message: message.map(str::to_owned), ..agent() };
        Self::briefed(CallSpec { agent, task: Some(task), is_web: false }, None)
    }

    /// The other side speaks for so long without a word being recognised yet.
    fn callee_speaks(&mut self, ms: u32) {
        self.machine.handle_speech_started(self.now);
        self.pass_ms(ms);
    }

    fn callee_pauses(&mut self) {
        let now = self.now;
        self.pass_ms(200);
        self.machine.handle_speech_ended(self.now, now);
        self.drain();
    }

    fn beep(&mut self) {
        let tone = Tone { frequency_hz: 1_000, duration_ms: 400, lasting: false };
        self.pass_ms(420);
        self.machine.handle_tone(self.now, &tone);
        self.drain();
    }

    fn announcement(&mut self) {
        self.callee_speaks(2_500);
        let words = SttEvent::Interim("Hi, this is John. Please leave a message".into());
        self.machine.handle_stt(self.now, words);
        self.drain();
        self.pass_ms(2_000);
        self.callee_pauses();
    }

    fn answered_by(&self) -> Option<&'static str> {
        self.machine.metrics().answered_by.map(|(who, _)| who)
    }
}

const MESSAGE: &str = "This is Acme. Please call us back.";

#[test]
fn somebody_answers_and_is_greeted_without_waiting() {
    let mut line = CallHarness::dialled(Some(MESSAGE));
    assert_eq!(line.waiting.len(), 1, "the greeting is on its way with the answer");
    line.callee_speaks(500);
    line.callee_pauses();
    line.pass_ms(700);
    assert_eq!(line.answered_by(), Some("human"));
    assert_eq!(line.play_everything(), "Good morning.");
}

#[test]
fn a_mailbox_answers_and_hears_the_whole_message_after_the_beep() {
    let mut line = CallHarness::dialled(Some(MESSAGE));
    line.announcement();
    assert_eq!(line.answered_by(), Some("voicemail"));
    assert!(line.waiting.is_empty(), "the greeting is not for a mailbox");
    line.beep();
    assert!(line.waiting.is_empty());
    line.pass_ms(300);
    assert_eq!(line.play_everything(), MESSAGE);
    line.pass_ms(200);
    assert_eq!(line.hang_up_reasons(), [EndReason::Voicemail]);
    assert_eq!(line.llm_requests(), 0, "no model was asked");
}

#[test]
fn a_mailbox_without_a_beep_is_spoken_to_when_it_has_been_silent() {
    let mut line = CallHarness::dialled(Some(MESSAGE));
    line.announcement();
    line.pass_ms(2_700);
    assert!(line.waiting.is_empty());
    line.pass_ms(300);
    assert_eq!(line.play_everything(), MESSAGE);
    line.pass_ms(200);
    assert_eq!(line.hang_up_reasons(), [EndReason::Voicemail]);
}

#[test]
fn a_beep_in_the_middle_of_the_message_starts_it_again() {
    let mut line = CallHarness::dialled(Some(MESSAGE));
    line.announcement();
    line.pass_ms(3_100);
    let (piece, _) = line.waiting.remove(0);
    line.machine.handle_segment_started(piece, line.now);
    line.beep();
    assert_eq!(line.play_everything(), MESSAGE, "whole, from its beginning");
    line.beep();
    line.pass_ms(200);
    assert_eq!(line.hang_up_reasons(), [EndReason::Voicemail]);
}

#[test]
fn an_announcement_that_never_ends_is_not_listened_to_for_ever() {
    let mut line = CallHarness::dialled(Some(MESSAGE));
    line.callee_speaks(2_000);
    line.machine.handle_stt(line.now, SttEvent::Interim("leave a message after the tone".into()));
    line.drain();
    line.pass_ms(59_000);
    assert!(line.waiting.is_empty());
    line.pass_ms(1_100);
    assert!(!line.waiting.is_empty());
}

#[test]
fn a_mailbox_is_hung_up_on_when_there_is_no_message_for_it() {
    let mut line = CallHarness::dialled(None);
    line.announcement();
    line.pass_ms(200);
    assert_eq!(line.hang_up_reasons(), [EndReason::Voicemail]);
}

#[test]
fn a_screening_service_is_told_who_calls_and_why() {
    let mut line = CallHarness::dialled(Some(MESSAGE));
    line.callee_speaks(2_000);
    let words = "Please state your name and the reason for your call.";
    line.machine.handle_stt(line.now, SttEvent::Interim("Please state your name".into()));
    line.callee_pauses();
    line.machine.handle_stt(line.now, SttEvent::Final { text: words.into(), confidence: None, speech_final: true });
    line.drain();
    assert_eq!(line.answered_by(), Some("screening"));
    let question = line.last_question();
    assert!(question.iter().any(|one| one.starts_with("system: A call screening service")), "{question:?}");
    line.model_says("This is Acme, about your order.");
    assert_eq!(line.play_everything(), "This is Acme, about your order.");
}

#[test]
fn a_fax_machine_is_left_alone() {
    let mut line = CallHarness::dialled(Some(MESSAGE));
    let tone = Tone { frequency_hz: 2_100, duration_ms: 1_000, lasting: true };
    line.machine.handle_tone(line.now, &tone);
    line.pass_ms(200);
    assert_eq!(line.hang_up_reasons(), [EndReason::Fax]);
}

#[test]
fn nobody_is_looked_for_on_calls_that_come_in() {
    let mut line = CallHarness::new(AgentFields { voicemail_detection: Some(true), ..agent() });
    line.play_everything();
    line.caller_says("I want to leave a message.");
    assert_eq!((line.answered_by(), line.llm_requests()), (None, 1));
}
