//! Calls in virtual time, named after what happens on the line.

mod amd;
mod transcript;
mod transfers;
mod turns;

use super::*;
use trunkline_domain::chat::{ChatMessage, ToolCall};
use trunkline_domain::fallback::Fallbacks;
use trunkline_domain::provider_config::{SttConfig, SttProvider};
use trunkline_domain::transcript::Turn;
use trunkline_providers::realtime::{RealtimeEvent, RealtimeInput};
use trunkline_providers::{LlmEvent, ProviderError, TokenUsage};

const MS: Duration = Duration::from_millis(1);

struct CallHarness {
    start: Instant,
    now: Instant,
    machine: CallMachine,
    seen: Vec<CallOutput>,
    /// Segments requested and not yet played.
    waiting: Vec<(SegmentId, String)>,
    /// The sent part of the segment that is playing.
    sounding: Vec<SegmentPlayed>,
}

fn agent() -> AgentFields {
    AgentFields {
        name: "A".into(),
        is_active: true,
        first_message: Some("Good morning.".into()),
        ..AgentFields::default()
    }
}

impl CallHarness {
    fn new(agent: AgentFields) -> Self {
        Self::with(agent, None)
    }

    /// A caller who talks to a realtime model.
    fn on_realtime(fallback: Option<&str>) -> Self {
        let fallback = fallback.map(str::to_owned);
        Self::with(
            agent(),
            Some(RealtimeCapabilities { name: "xai_realtime/m".into(), can_say: true, greets: false, fallback }),
        )
    }

    fn with(agent: AgentFields, realtime: Option<RealtimeCapabilities>) -> Self {
        Self::briefed(CallSpec { agent, task: None, is_web: false }, realtime)
    }

    fn briefed(spec: CallSpec, realtime: Option<RealtimeCapabilities>) -> Self {
        #[expect(clippy::disallowed_methods, reason = "origin of virtual time")]
        let start = Instant::now();
        let machine = match realtime {
            Some(capabilities) => CallMachine::with_realtime(start, spec, capabilities),
            None => CallMachine::new(start, spec),
        };
        let mut harness = Self { start, now: start, machine, seen: vec![], waiting: vec![], sounding: vec![] };
        harness.drain();
        harness
    }

    fn greeted() -> Self {
        let mut harness = Self::new(agent());
        harness.play_everything();
        harness
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match &output {
                CallOutput::Speak { segment, text } => self.waiting.push((*segment, text.clone())),
                CallOutput::CancelSpeech { response_id } => {
                    let response_id = *response_id;
                    self.waiting.retain(|(segment, _)| segment.response_id > response_id);
                    self.machine.handle_flushed(self.now, false, response_id, &[]);
                }
                CallOutput::Interrupt { response_id } => {
                    let (response_id, sent) = (*response_id, std::mem::take(&mut self.sounding));
                    self.waiting.retain(|(segment, _)| segment.response_id > response_id);
                    self.machine.handle_flushed(self.now, true, response_id, &sent);
                }
                _ => {}
            }
            self.seen.push(output);
        }
    }

    fn pass_ms(&mut self, ms: u32) {
        let end = self.now + ms * MS;
        while let Some(at) = self.machine.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.machine.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    /// The agent's segments are spoken and heard, half a second each.
    fn play_everything(&mut self) -> String {
        let mut heard = vec![];
        while !self.waiting.is_empty() {
            let (segment, text) = self.waiting.remove(0);
            self.machine.handle_tts_done(segment, 4_000);
            self.machine.handle_segment_started(segment, self.now);
            self.drain();
            self.pass_ms(500);
            self.machine
                .handle_segment_finished(SegmentPlayed { segment, sent_samples: 4_000, complete: true }, self.now);
            self.drain();
            heard.push(text);
        }
        heard.join(" ")
    }

    fn caller_says(&mut self, text: &str) {
        self.machine.handle_speech_started(self.now);
        self.pass_ms(800);
        let now = self.now;
        self.machine.handle_speech_ended(now + 200 * MS, now);
        self.pass_ms(300);
        let event = SttEvent::Final { text: text.into(), confidence: Some(0.9), speech_final: true };
        self.machine.handle_stt(self.now, event);
        self.drain();
    }

    fn model_says(&mut self, text: &str) {
        let response_id = self.machine.response_id;
        self.machine.handle_llm_event(self.now, response_id, LlmEvent::Text(text.into()));
        self.machine.handle_llm_event(self.now, response_id, LlmEvent::Done(TokenUsage::default()));
        self.drain();
    }

    fn model_fails(&mut self) {
        let response_id = self.machine.response_id;
        self.machine.handle_llm_event(self.now, response_id, LlmEvent::Failed(ProviderError::Timeout("first token")));
        self.drain();
    }

    fn realtime_event(&mut self, event: RealtimeEvent) {
        self.machine.handle_realtime_event(self.now, event);
        self.drain();
    }

    /// The realtime model says something of this length, and the caller begins to hear it.
    fn realtime_says(&mut self, item: u32, text: &str, samples: u64) -> SegmentId {
        self.realtime_event(RealtimeEvent::ResponseStarted);
        self.realtime_event(RealtimeEvent::Text { item, text: text.into() });
        let segment = self.machine.handle_realtime_audio(self.now, item).unwrap();
        self.machine.handle_tts_done(segment, samples);
        self.machine.handle_segment_started(segment, self.now);
        self.drain();
        segment
    }

    fn sent_to_realtime(&self) -> Vec<RealtimeInput> {
        let told =
            |output: &CallOutput| if let CallOutput::Realtime(input) = output { Some(input.clone()) } else { None };
        self.seen.iter().filter_map(told).collect()
    }

    fn llm_requests(&self) -> usize {
        self.seen.iter().filter(|o| matches!(o, CallOutput::RequestLlm { .. })).count()
    }

    fn last_messages(&self) -> Vec<ChatMessage> {
        let last = self.seen.iter().rev().find_map(|o| match o {
            CallOutput::RequestLlm { messages, .. } => Some(messages.clone()),
            _ => None,
        });
        last.unwrap().into_iter().filter(|m| !matches!(m, ChatMessage::System(_))).collect()
    }

    fn hang_up_reasons(&self) -> Vec<EndReason> {
        let reason =
            |output: &CallOutput| if let CallOutput::HangUp { reason } = output { Some(*reason) } else { None };
        self.seen.iter().filter_map(reason).collect()
    }

    /// The transcript: the last state of each position.
    fn transcript(&self) -> Vec<String> {
        let mut turns = std::collections::BTreeMap::new();
        for output in &self.seen {
            if let CallOutput::Turn { position, turn } = output {
                turns.insert(*position, turn.clone());
            }
        }
        let role = |turn: &Turn| format!("{:?}", turn.role).to_lowercase();
        turns.values().map(|t| format!("{}: {}{}", role(t), t.content, if t.interrupted { " /" } else { "" })).collect()
    }
}

fn user(text: &str) -> ChatMessage {
    ChatMessage::User(text.into())
}

fn assistant(text: &str) -> ChatMessage {
    ChatMessage::Assistant { content: text.into(), tool_calls: vec![] }
}

#[test]
fn caller_asks_and_is_answered() {
    let mut harness = CallHarness::greeted();
    harness.caller_says("where is my order");
    assert_eq!(harness.llm_requests(), 1);
    harness.model_says("It is on its way. It comes on Monday.");
    assert_eq!(harness.play_everything(), "It is on its way. It comes on Monday.");
    harness.caller_says("thanks");
    assert_eq!(
        harness.last_messages(),
        [
            assistant("Good morning."),
            user("where is my order"),
            assistant("It is on its way. It comes on Monday."),
            user("thanks"),
        ]
    );
    assert_eq!(
        harness.transcript(),
        [
            "assistant: Good morning.",
            "user: where is my order",
            "assistant: It is on its way. It comes on Monday.",
            "user: thanks",
        ]
    );
}

#[test]
fn caller_interrupts_and_only_what_was_heard_is_kept() {
    let mut harness = CallHarness::greeted();
    harness.caller_says("tell me");
    harness.model_says("The first thing to know is this. The second thing is that.");
    let (segment, _) = harness.waiting.remove(0);
    harness.machine.handle_tts_done(segment, 8_000);
    harness.machine.handle_segment_started(segment, harness.now);
    harness.pass_ms(500);
    harness.machine.handle_speech_started(harness.now);
    let heard = [SegmentPlayed { segment, sent_samples: 4_000, complete: false }];
    harness.machine.handle_flushed(harness.now, true, segment.response_id, &heard);
    harness.drain();
    assert!(harness.seen.contains(&CallOutput::CancelLlm));
    harness.caller_says("stop");
    assert_eq!(harness.last_messages()[1..], [user("tell me"), assistant("The first thing"), user("stop")]);
    assert_eq!(harness.transcript()[2], "assistant: The first thing /");
}

#[test]
fn noise_interrupts_and_the_agent_goes_on_where_it_was() {
    let mut harness = CallHarness::greeted();
    harness.caller_says("tell me");
    harness.model_says("One sentence here. Another sentence there.");
    let (segment, _) = harness.waiting.remove(0);
    harness.machine.handle_tts_done(segment, 8_000);
    harness.machine.handle_segment_started(segment, harness.now);
    harness.machine.handle_speech_started(harness.now);
    harness.machine.handle_flushed(
        harness.now,
        true,
        segment.response_id,
        &[SegmentPlayed { segment, sent_samples: 7_900, complete: false }],
    );
    harness.machine.handle_speech_ended(harness.now + 400 * MS, harness.now + 200 * MS);
    harness.drain();
    harness.pass_ms(2_000);
    assert_eq!(harness.play_everything(), "Another sentence there.");
}

#[test]
fn callee_says_hello_before_the_first_words_are_out() {
    let mut harness = CallHarness::new(agent());
    harness.caller_says("hello?");
    assert_eq!((harness.llm_requests(), harness.play_everything().as_str()), (0, "Good morning."));
    assert_eq!(harness.transcript(), ["user: hello?", "assistant: Good morning."]);
}

#[test]
fn caller_goes_on_while_the_model_thinks() {
    let mut harness = CallHarness::greeted();
    harness.caller_says("I have a question");
    harness.caller_says("about my bill");
    harness.pass_ms(300);
    assert_eq!(harness.machine.metrics().premature_ends_of_turn, 1, "the pause is remembered");
    assert_eq!(harness.last_messages()[1..], [user("I have a question"), user("about my bill")]);
    harness.model_says("Go ahead.");
    assert_eq!(harness.play_everything(), "Go ahead.");
}

#[test]
fn the_model_fails_once_and_then_again() {
    let mut harness = CallHarness::greeted();
    harness.caller_says("hello");
    harness.model_fails();
    assert!(harness.play_everything().starts_with("Sorry, something went wrong"));
    harness.caller_says("hello");
    harness.model_fails();
    assert!(harness.play_everything().contains("try again later"));
    assert_eq!(harness.hang_up_reasons(), [EndReason::ProviderError]);
}

#[test]
fn the_model_breaks_off_in_mid_sentence() {
    let mut harness = CallHarness::greeted();
    harness.caller_says("hello");
    let response_id = harness.machine.response_id;
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::Text("Half an answer. And".into()));
    harness.model_fails();
    assert_eq!(harness.play_everything(), "Half an answer. And");
    assert_eq!(harness.hang_up_reasons(), []);
}

#[test]
fn every_tts_fails() {
    let mut harness = CallHarness::new(agent());
    for _ in 0..2 {
        let (segment, _) = harness.waiting.remove(0);
        harness.machine.handle_tts_failed(harness.now, segment, &ProviderError::NotConfigured);
        harness.drain();
        if harness.hang_up_reasons().is_empty() {
            harness.caller_says("hello?");
            harness.model_says("Yes.");
        }
    }
    assert_eq!(harness.hang_up_reasons(), [EndReason::ProviderError]);
}

#[test]
fn caller_is_silent_is_prompted_twice_and_the_call_ends() {
    let mut harness = CallHarness::greeted();
    for _ in 0..2 {
        harness.pass_ms(7_900);
        assert!(harness.waiting.is_empty());
        harness.pass_ms(200);
        assert_eq!(harness.play_everything(), "Are you still there?");
    }
    harness.pass_ms(8_100);
    assert!(harness.play_everything().contains("Goodbye"));
    assert_eq!(harness.hang_up_reasons(), [EndReason::Silence]);
}

#[test]
fn silence_is_left_alone_when_the_agent_says_so() {
    let mut harness = CallHarness::new(AgentFields { autonomous_silence_handling: Some(false), ..agent() });
    harness.play_everything();
    harness.pass_ms(120_000);
    assert!(harness.waiting.is_empty() && harness.hang_up_reasons().is_empty());
}

#[test]
fn the_longest_time_is_kept_whatever_else_happens() {
    let mut harness = CallHarness::new(AgentFields { max_duration_seconds: Some(10), ..agent() });
    harness.pass_ms(9_900); // the greeting never plays: its report was lost
    assert_eq!(harness.hang_up_reasons(), []);
    harness.pass_ms(25_000);
    assert_eq!(harness.hang_up_reasons(), [EndReason::MaxDuration]);
}

#[test]
fn last_words_before_a_hang_up_are_kept() {
    let mut harness = CallHarness::greeted();
    harness.machine.handle_speech_started(harness.now);
    harness.pass_ms(500);
    harness.machine.handle_stt(harness.now, SttEvent::Interim("my number".into()));
    harness.machine.handle_peer_hung_up(harness.now, EndReason::CustomerHungUp);
    harness.drain();
    assert!(harness.seen.contains(&CallOutput::FinalizeStt) && harness.hang_up_reasons().is_empty());
    harness.pass_ms(200);
    let last = SttEvent::Final { text: "my number is seven".into(), confidence: None, speech_final: false };
    harness.machine.handle_stt(harness.now, last);
    harness.drain();
    assert_eq!(harness.hang_up_reasons(), [EndReason::CustomerHungUp]);
    assert_eq!(harness.transcript().last().unwrap(), "user: my number is seven");
}

#[test]
fn last_words_that_never_come_do_not_hold_the_call() {
    let mut harness = CallHarness::greeted();
    harness.machine.handle_stt(harness.now, SttEvent::Interim("and another".into()));
    harness.machine.handle_peer_hung_up(harness.now, EndReason::CustomerHungUp);
    harness.drain();
    harness.pass_ms(800);
    assert_eq!(harness.hang_up_reasons(), [EndReason::CustomerHungUp]);
    assert_eq!(harness.transcript().last().unwrap(), "user: and another");
}

#[test]
fn the_goodbye_is_played_out_before_the_line_is_cut() {
    let mut harness = CallHarness::greeted();
    harness.caller_says("bye");
    let response_id = harness.machine.response_id;
    let end = ToolCall { id: "1".into(), name: "end_call".into(), arguments: "{}".into(), schema_error: None };
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::Text("Have a nice day!".into()));
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::ToolCalls(vec![end]));
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::Done(TokenUsage::default()));
    harness.drain();
    harness.pass_ms(300);
    assert_eq!(harness.hang_up_reasons(), []);
    assert_eq!(harness.play_everything(), "Have a nice day!");
    assert_eq!(harness.hang_up_reasons(), [EndReason::AgentHungUp]);
}

#[test]
fn llm_sends_dtmf_and_continues() {
    let mut harness = CallHarness::greeted();
    harness.caller_says("press one for sales");
    let response_id = harness.machine.response_id;
    let call = ToolCall {
        id: "1".into(),
        name: "send_dtmf".into(),
        arguments: "{\"digits\":\"1\"}".into(),
        schema_error: None,
    };
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::ToolCalls(vec![call]));
    harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::Done(TokenUsage::default()));
    harness.drain();
    assert!(harness.seen.contains(&CallOutput::SendDtmf("1".into())));
    assert_eq!(harness.llm_requests(), 2);
    assert!(matches!(harness.last_messages().last(), Some(ChatMessage::Tool { .. })));
}

#[test]
fn stt_returns_no_words() {
    let mut harness = CallHarness::greeted();
    for _ in 0..3 {
        harness.machine.handle_speech_started(harness.now);
        harness.pass_ms(1_000);
        harness.machine.handle_speech_ended(harness.now, harness.now - 200 * MS);
        harness.pass_ms(4_100);
        harness.play_everything();
    }
    assert_eq!(harness.seen.iter().filter(|o| **o == CallOutput::RestartStt).count(), 2);
    assert_eq!(harness.hang_up_reasons(), [EndReason::ProviderError]);
}

#[test]
fn dtmf_without_rules_reaches_the_llm() {
    let mut harness = CallHarness::greeted();
    for digit in "42#".chars() {
        harness.machine.handle_digit(harness.now, digit);
    }
    harness.drain();
    assert_eq!(harness.last_messages().last(), Some(&user("[DTMF 42]")));
}

#[test]
fn the_api_ends_a_call_in_mid_sentence() {
    let mut harness = CallHarness::new(agent());
    let (segment, _) = harness.waiting.remove(0);
    harness.machine.handle_segment_started(segment, harness.now);
    harness.machine.handle_command(harness.now, EndReason::EndedByApi);
    harness.drain();
    harness.pass_ms(200);
    assert_eq!(harness.hang_up_reasons(), [EndReason::EndedByApi]);
}

/// Whatever comes in whatever order: one end, nothing after it, and never later than the limit allows.
#[test]
fn any_sequence_of_events_ends_exactly_once() {
    for seed in 1..400u64 {
        let mut rng = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut roll = |below: u64| {
            rng ^= rng << 13;
            rng ^= rng >> 7;
            rng ^= rng << 17;
            rng % below
        };
        let mut harness = CallHarness::new(AgentFields { max_duration_seconds: Some(60), ..agent() });
        for _ in 0..300 {
            let now = harness.now;
            let segment = SegmentId {
                response_id: (harness.machine.response_id as u64).saturating_sub(roll(2)) as u32,
                index: roll(3) as u32,
            };
            let heard = SegmentPlayed { segment, sent_samples: roll(9_000), complete: roll(2) == 0 };
            let response_id = segment.response_id;
            match roll(16) {
                0 => harness.machine.handle_speech_started(now),
                1 => harness.machine.handle_speech_ended(now, now - 200 * MS),
                2 => harness.machine.handle_stt(now, SttEvent::Interim("some".into())),
                3 => harness.machine.handle_stt(
                    now,
                    SttEvent::Final { text: "words".into(), confidence: None, speech_final: roll(2) == 0 },
                ),
                4 => harness.machine.handle_stt(now, SttEvent::UtteranceEnd),
                5 => harness.machine.handle_llm_event(now, response_id, LlmEvent::Text("Some words. And ".into())),
                6 => harness.machine.handle_llm_event(now, response_id, LlmEvent::Done(TokenUsage::default())),
                7 => harness.machine.handle_llm_event(now, response_id, LlmEvent::Failed(ProviderError::NotConfigured)),
                8 => harness.machine.handle_segment_started(segment, now),
                9 => harness.machine.handle_segment_finished(heard, now),
                10 => harness.machine.handle_flushed(now, roll(2) == 0, response_id, &[heard]),
                11 => harness.machine.handle_tts_failed(now, segment, &ProviderError::NotConfigured),
                12 => harness.machine.handle_digit(now, '5'),
                13 if roll(30) == 0 => harness.machine.handle_peer_hung_up(now, EndReason::CustomerHungUp),
                14 if roll(30) == 0 => harness.machine.handle_command(now, EndReason::Canceled),
                15 if roll(30) == 0 => harness.machine.handle_stt(now, SttEvent::Failed(ProviderError::NotConfigured)),
                _ => {}
            }
            harness.drain();
            harness.pass_ms(roll(400) as u32);
        }
        harness.pass_ms(100_000);
        assert_eq!(
            harness.hang_up_reasons().len(),
            1,
            "seed {seed}: {:?}",
            harness.seen.iter().rev().take(5).collect::<Vec<_>>()
        );
        assert!(matches!(harness.seen.last(), Some(CallOutput::HangUp { .. })), "seed {seed}");
        assert!(harness.machine.poll_timeout().is_none());
        assert!(harness.now.duration_since(harness.start) < Duration::from_secs(300));
    }
}

fn with_tool(filler: Option<&str>) -> AgentFields {
    let tool = serde_json::json!({"function": {"name": "find"}, "filler": filler});
    let config = serde_json::json!({"provider": "openai", "model": "m", "tools": [tool]});
    AgentFields { llm_config: Some(serde_json::from_value(config).unwrap()), ..agent() }
}

impl CallHarness {
    /// The messages of the last question to the model, as `role: content`.
    fn last_question(&self) -> Vec<String> {
        let asked = self.seen.iter().rev().find_map(|output| match output {
            CallOutput::RequestLlm { messages, .. } => Some(messages),
            _ => None,
        });
        asked
            .unwrap()
            .iter()
            .skip(2)
            .map(|message| match message {
                ChatMessage::System(text) => format!("system: {text}"),
                ChatMessage::User(text) => format!("user: {text}"),
                ChatMessage::Assistant { content, tool_calls } => format!("assistant: {content} +{}", tool_calls.len()),
                ChatMessage::Tool { content, .. } => format!("tool: {content}"),
            })
            .collect()
    }

    /// The model wants the tool.
    fn wants_tool(&mut self) {
        let response_id = self.machine.response_id;
        let call = ToolCall { id: "1".into(), name: "find".into(), arguments: "{}".into(), schema_error: None };
        self.machine.handle_llm_event(self.now, response_id, LlmEvent::ToolCalls(vec![call]));
        let done = LlmEvent::Done(TokenUsage::default());
        self.machine.handle_llm_event(self.now, response_id, done);
        self.drain();
    }

    fn result(&mut self, text: &str) {
        self.machine.handle_tool_result(self.now, "1", text);
        self.drain();
    }
}

#[test]
fn a_result_that_comes_during_the_filler_is_read_when_it_was_heard() {
    let mut harness = CallHarness::new(with_tool(Some("One moment.")));
    harness.play_everything();
    harness.caller_says("Where is it?");
    harness.wants_tool();
    assert!(harness.seen.iter().any(|output| matches!(output, CallOutput::CallTool { is_async: false, .. })));
    let before = harness.llm_requests();
    harness.result("here");
    assert_eq!(harness.llm_requests(), before, "the filler is still being said");
    assert_eq!(harness.play_everything(), "One moment.");
    assert_eq!(harness.llm_requests(), before + 1);
    assert_eq!(harness.last_question()[1..], ["user: Where is it?", "assistant: One moment. +1", "tool: here"]);
}

#[test]
fn a_result_that_comes_while_the_caller_speaks_waits_for_the_turn() {
    let mut harness = CallHarness::new(with_tool(None));
    harness.play_everything();
    harness.caller_says("Where is it?");
    harness.wants_tool();
    let before = harness.llm_requests();
    harness.machine.handle_speech_started(harness.now);
    harness.result("here");
    assert_eq!(harness.llm_requests(), before);
    // It was only a cough: the result goes to the LLM after all.
    harness.machine.handle_speech_ended(harness.now, harness.now);
    harness.pass_ms(2_000);
    assert_eq!(harness.llm_requests(), before + 1);
}

#[test]
fn a_result_that_comes_after_another_question_is_news() {
    let mut harness = CallHarness::new(with_tool(None));
    harness.play_everything();
    harness.caller_says("Where is it?");
    harness.wants_tool();
    harness.caller_says("And are you open?");
    assert!(
        harness.last_question().iter().any(|m| m.starts_with("tool: still being worked on")),
        "{:?}",
        harness.last_question()
    );
    harness.model_says("We are.");
    let before = harness.llm_requests();
    harness.play_everything();
    harness.result("here");
    assert_eq!(harness.llm_requests(), before + 1);
    let asked = harness.last_question();
    assert!(asked.contains(&"tool: here".to_owned()), "{asked:?}");
    assert_eq!(asked.last().unwrap(), "system: The tool find answered: here");
}

#[test]
fn interrupted_realtime_model_learns_what_was_heard() {
    let mut harness = CallHarness::on_realtime(None);
    assert_eq!(harness.sent_to_realtime(), [RealtimeInput::Say("Good morning.".into())]);
    let greeting = harness.realtime_says(0, "Good morning.", 8_000);
    harness.realtime_event(RealtimeEvent::ResponseDone(TokenUsage::default()));
    harness
        .machine
        .handle_segment_finished(SegmentPlayed { segment: greeting, sent_samples: 8_000, complete: true }, harness.now);
    harness.realtime_event(RealtimeEvent::SpeechStarted);
    harness.pass_ms(900);
    harness.realtime_event(RealtimeEvent::SpeechStopped);
    // The answer begins before the caller's words are written.
    let answer = harness.realtime_says(1, "Your order was shipped yesterday and arrives on Monday.", 32_000);
    harness.realtime_event(RealtimeEvent::UserFinal("where is my order".into()));
    harness.pass_ms(2_000);
    harness.machine.handle_speech_started(harness.now);
    let heard = [SegmentPlayed { segment: answer, sent_samples: 16_000, complete: false }];
    harness.machine.handle_flushed(harness.now, true, answer.response_id, &heard);
    harness.drain();
    assert_eq!(harness.sent_to_realtime().last(), Some(&RealtimeInput::Interrupted { item: Some((1, 2_000)) }));
    assert_eq!(harness.machine.handle_realtime_audio(harness.now, 1), None, "what comes late is not heard");
    assert_eq!(
        harness.transcript(),
        ["assistant: Good morning.", "user: where is my order", "assistant: Your order was shipped yesterday /"]
    );
}

#[test]
fn llm_continues_the_answer_of_a_failed_realtime_model() {
    let mut harness = CallHarness::on_realtime(Some("openai/m"));
    harness.realtime_event(RealtimeEvent::SpeechStopped);
    harness.realtime_event(RealtimeEvent::UserFinal("where is my order".into()));
    let answer = harness.realtime_says(0, "Your order was shipped", 12_000);
    harness.pass_ms(1_000);
    harness
        .machine
        .handle_realtime_event(harness.now, RealtimeEvent::Failed(ProviderError::Disconnected("gone".into())));
    let heard = [SegmentPlayed { segment: answer, sent_samples: 12_000, complete: true }];
    harness.machine.handle_flushed(harness.now, false, answer.response_id, &heard);
    harness.drain();
    assert!(harness.seen.contains(&CallOutput::LeaveRealtime));
    assert_eq!(harness.last_messages(), [user("where is my order"), assistant("Your order was shipped")]);
    harness.model_says("yesterday.");
    assert_eq!(harness.play_everything(), "yesterday.");
    assert_eq!(harness.machine.metrics().to_json()["failovers"][0]["to"], "openai/m");
    // From now on the call is one like any other.
    harness.caller_says("thanks");
    assert_eq!(harness.llm_requests(), 2);
}

#[test]
fn last_audio_of_a_failed_realtime_model_is_heard() {
    let mut harness = CallHarness::on_realtime(Some("openai/m"));
    harness.realtime_event(RealtimeEvent::SpeechStopped);
    harness.realtime_event(RealtimeEvent::UserFinal("where is my order".into()));
    let segment = harness.realtime_says(0, "Your order was shipped", 12_000);
    harness.pass_ms(1_500);
    harness
        .machine
        .handle_realtime_event(harness.now, RealtimeEvent::Failed(ProviderError::Disconnected("gone".into())));
    harness
        .machine
        .handle_segment_finished(SegmentPlayed { segment, sent_samples: 12_000, complete: true }, harness.now);
    harness.drain();
    assert_eq!(harness.last_messages(), [user("where is my order"), assistant("Your order was shipped")]);
    assert_eq!(harness.llm_requests(), 1, "the report of the silence asks no second time");
    harness.model_says("yesterday.");
    assert_eq!(harness.play_everything(), "yesterday.");
}

#[test]
fn silent_realtime_model_without_fallback_ends_the_call_with_an_apology() {
    let mut harness = CallHarness::on_realtime(None);
    harness.pass_ms(6_000);
    assert!(harness.seen.contains(&CallOutput::LeaveRealtime));
    assert!(harness.play_everything().starts_with("Sorry, I can't help you right now."));
    harness.pass_ms(1_000);
    assert_eq!(harness.hang_up_reasons(), [EndReason::ProviderError]);
}

#[test]
fn realtime_model_calls_a_tool_after_its_words_were_heard() {
    let mut harness = CallHarness::on_realtime(None);
    let segment = harness.realtime_says(0, "One moment.", 8_000);
    let call = ToolCall {
        id: "c".into(),
        name: "send_dtmf".into(),
        arguments: "{\"digits\":\"1\"}".into(),
        schema_error: None,
    };
    harness.realtime_event(RealtimeEvent::ToolCalls(vec![call]));
    harness.realtime_event(RealtimeEvent::ResponseDone(TokenUsage::default()));
    assert!(!harness.seen.contains(&CallOutput::SendDtmf("1".into())));
    harness
        .machine
        .handle_segment_finished(SegmentPlayed { segment, sent_samples: 8_000, complete: true }, harness.now);
    harness.drain();
    assert!(harness.seen.contains(&CallOutput::SendDtmf("1".into())));
    let told = harness.sent_to_realtime();
    assert_eq!(
        told[1..],
        [
            RealtimeInput::ToolResult { id: "c".into(), result: "pressed 1".into() },
            RealtimeInput::RequestResponse(None)
        ]
    );
}

#[test]
fn realtime_model_gets_dtmf_as_a_message() {
    let mut harness = CallHarness::on_realtime(None);
    harness.machine.handle_digit(harness.now, '4');
    harness.pass_ms(2_100);
    assert_eq!(harness.sent_to_realtime().last(), Some(&RealtimeInput::UserMessage("[DTMF 4]".into())));
}

#[test]
fn stt_withholds_its_final_and_the_fallback_is_asked() {
    let stt = SttConfig {
        provider: SttProvider::Openai,
        model: "m".into(),
        language: "en".into(),
        keyterms: vec![],
        base_url: None,
    };
    let fallbacks = Some(Fallbacks { stt: vec![stt], ..Fallbacks::default() });
    let mut harness = CallHarness::new(AgentFields { fallbacks, ..agent() });
    harness.play_everything();
    harness.machine.handle_speech_started(harness.now);
    harness.machine.handle_stt(harness.now, SttEvent::Interim("my number".into()));
    harness.pass_ms(600);
    let silent_from = harness.now;
    harness.pass_ms(200);
    harness.machine.handle_speech_ended(harness.now, silent_from);
    harness.pass_ms(900);
    assert!(!harness.seen.contains(&CallOutput::RestartStt));
    harness.pass_ms(150);
    assert!(harness.seen.contains(&CallOutput::RestartStt));
    let last = SttEvent::Final { text: "my number is seven".into(), confidence: None, speech_final: true };
    harness.machine.handle_stt(harness.now, last);
    harness.drain();
    assert_eq!(harness.last_messages().last(), Some(&user("my number is seven")));
}

#[test]
fn turn_model_ends_the_turn_before_the_line_is_quiet() {
    let mut harness = CallHarness::greeted();
    harness.machine.handle_speech_started(harness.now);
    harness.pass_ms(700);
    harness
        .machine
        .handle_stt(harness.now, SttEvent::EndOfTurn { text: "where is my order".into(), confidence: Some(0.9) });
    harness.drain();
    assert_eq!(harness.llm_requests(), 1);
}
