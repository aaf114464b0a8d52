//! Calls we make that are answered by people, voicemail, screening services and fax machines.

use super::*;
use trunkline_domain::task::TaskFields;
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
        Self::briefed(
            CallSpec {
                agent_id: None,
                agent,
                task: Some(task),
                fixed_texts: Default::default(),
                known: Default::default(),
                spoken: None,
                is_web: false,
                today: jiff::civil::date(2026, 11, 28),
            },
            None,
        )
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
        let words = SttEvent::Interim("Hi, this is John. I can't come to the phone, please leave a message".into());
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
fn person_answers_and_is_greeted_without_delay() {
    let mut harness = CallHarness::dialled(Some(MESSAGE));
    assert_eq!(harness.waiting.len(), 1, "the greeting is on its way with the answer");
    harness.callee_speaks(500);
    harness.callee_pauses();
    harness.pass_ms(700);
    assert_eq!(harness.answered_by(), Some("human"));
    assert_eq!(harness.play_everything(), "Good morning.");
}

#[test]
fn voicemail_answers_and_gets_the_whole_message_after_the_beep() {
    let mut harness = CallHarness::dialled(Some(MESSAGE));
    harness.announcement();
    assert_eq!(harness.answered_by(), Some("voicemail"));
    assert!(harness.waiting.is_empty(), "the greeting is not for a mailbox");
    harness.beep();
    assert!(harness.waiting.is_empty());
    harness.pass_ms(300);
    assert_eq!(harness.play_everything(), MESSAGE);
    harness.pass_ms(200);
    assert_eq!(harness.hang_up_reasons(), [EndReason::Voicemail]);
    assert_eq!(harness.llm_requests(), 0, "no model was asked");
}

#[test]
fn voicemail_without_beep_gets_the_message_after_silence() {
    let mut harness = CallHarness::dialled(Some(MESSAGE));
    harness.announcement();
    harness.pass_ms(2_700);
    assert!(harness.waiting.is_empty());
    harness.pass_ms(300);
    assert_eq!(harness.play_everything(), MESSAGE);
    harness.pass_ms(200);
    assert_eq!(harness.hang_up_reasons(), [EndReason::Voicemail]);
}

#[test]
fn a_beep_in_the_middle_of_the_message_starts_it_again() {
    let mut harness = CallHarness::dialled(Some(MESSAGE));
    harness.announcement();
    harness.pass_ms(3_100);
    let (segment, _) = harness.waiting.remove(0);
    harness.machine.handle_segment_started(segment, harness.now);
    harness.beep();
    assert_eq!(harness.play_everything(), MESSAGE, "whole, from its beginning");
    harness.beep();
    harness.pass_ms(200);
    assert_eq!(harness.hang_up_reasons(), [EndReason::Voicemail]);
}

#[test]
fn an_announcement_that_never_ends_is_not_listened_to_for_ever() {
    let mut harness = CallHarness::dialled(Some(MESSAGE));
    harness.callee_speaks(2_000);
    harness.machine.handle_stt(harness.now, SttEvent::Interim("leave a message after the tone".into()));
    harness.drain();
    harness.pass_ms(59_000);
    assert!(harness.waiting.is_empty());
    harness.pass_ms(1_100);
    assert!(!harness.waiting.is_empty());
}

#[test]
fn a_person_who_says_one_sentence_and_is_silent_stays_a_person() {
    for text in ["Hello? Who is it?", "I can't come to the phone right now."] {
        let mut harness = CallHarness::dialled(Some(MESSAGE));
        harness.callee_speaks(1_500);
        let words = SttEvent::Final { text: text.into(), confidence: None, speech_final: false };
        harness.machine.handle_stt(harness.now, words);
        harness.callee_pauses();
        harness.pass_ms(800);
        harness.play_everything();
        harness.pass_ms(8_000);
        assert_eq!(harness.answered_by(), Some("human"), "{text}");
    }
}

#[test]
fn words_of_a_mailbox_and_a_beep_after_ours_get_the_message() {
    let mut harness = CallHarness::dialled(Some(MESSAGE));
    harness.callee_speaks(500);
    harness.callee_pauses();
    harness.pass_ms(800);
    harness.play_everything();
    harness.callee_speaks(1_500);
    let text = "Please leave a message after the tone.".to_owned();
    harness.machine.handle_stt(harness.now, SttEvent::Final { text, confidence: None, speech_final: true });
    harness.callee_pauses();
    harness.pass_ms(3_000);
    assert_eq!(harness.answered_by(), Some("human"), "silence is no sign");
    harness.beep();
    assert_eq!(harness.answered_by(), Some("voicemail"));
    harness.pass_ms(3_100);
    assert_eq!(harness.play_everything(), MESSAGE);
}

#[test]
fn voicemail_without_a_message_ends_the_call() {
    let mut harness = CallHarness::dialled(None);
    harness.announcement();
    harness.pass_ms(200);
    assert_eq!(harness.hang_up_reasons(), [EndReason::Voicemail]);
}

#[test]
fn a_screening_service_is_told_who_calls_and_why() {
    let mut harness = CallHarness::dialled(Some(MESSAGE));
    harness.callee_speaks(2_000);
    let words = "Please state your name and the reason for your call.";
    harness.machine.handle_stt(harness.now, SttEvent::Interim("Please state your name".into()));
    harness.callee_pauses();
    harness
        .machine
        .handle_stt(harness.now, SttEvent::Final { text: words.into(), confidence: None, speech_final: true });
    harness.drain();
    assert_eq!(harness.answered_by(), Some("screening"));
    harness.stay_silent();
    let question = harness.last_question();
    assert!(question.iter().any(|one| one.starts_with("system: A call screening service")), "{question:?}");
    harness.model_says("This is Acme, about your order.");
    assert_eq!(harness.play_everything(), "This is Acme, about your order.");
}

#[test]
fn a_fax_machine_is_left_alone() {
    let mut harness = CallHarness::dialled(Some(MESSAGE));
    let tone = Tone { frequency_hz: 2_100, duration_ms: 1_000, lasting: true };
    harness.machine.handle_tone(harness.now, &tone);
    harness.pass_ms(200);
    assert_eq!(harness.hang_up_reasons(), [EndReason::Fax]);
}

#[test]
fn amd_does_not_run_on_inbound_calls() {
    let mut harness = CallHarness::new(AgentFields { voicemail_detection: Some(true), ..agent() });
    harness.play_everything();
    harness.caller_says("I want to leave a message.");
    assert_eq!((harness.answered_by(), harness.llm_requests()), (None, 1));
}

#[test]
fn a_person_who_was_answered_is_not_taken_for_a_mailbox() {
    for words in [
        "He is not available right now, can I take a message?",
        "I'm driving, can I get back to you?",
        "You have reached the Smith residence, who's calling?",
        "I'll have you forwarded to accounting.",
        "I deleted your voicemail, what was it about?",
    ] {
        let mut harness = CallHarness::dialled(Some(MESSAGE));
        harness.callee_speaks(500);
        harness.callee_pauses();
        harness.pass_ms(800);
        harness.play_everything();
        harness.caller_says(words);
        assert_eq!((harness.answered_by(), harness.llm_requests()), (Some("human"), 1), "{words}");
        harness.model_says("It is about your order.");
        assert_eq!(harness.play_everything(), "It is about your order.", "{words}");
        assert_eq!(harness.hang_up_reasons(), []);
    }
}
