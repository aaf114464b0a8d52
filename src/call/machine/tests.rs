//! Calls in virtual time, named after what happens on the line.

mod amd;
mod transcript;
mod transfers;
mod turns;

use super::*;
use crate::domain::chat::{ChatMessage, ToolCall};
use crate::domain::fallback::Fallbacks;
use crate::domain::provider_config::{SttConfig, SttProvider};
use crate::domain::transcript::Turn;
use crate::providers::realtime::{RealtimeEvent, RealtimeInput};
use crate::providers::{LlmEvent, ProviderError, TokenUsage};

const MS: Duration = Duration::from_millis(1);

struct CallHarness {
    start: Instant,
    now: Instant,
    machine: CallMachine,
    seen: Vec<CallOutput>,
    /// Pieces asked for and not yet played.
    waiting: Vec<(SegmentId, String)>,
    /// What was sent of the piece in the caller's ear.
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

    /// A caller who talks to an engine.
    fn on_realtime(stand_in: Option<&str>) -> Self {
        let stand_in = stand_in.map(str::to_owned);
        Self::with(
            agent(),
            Some(RealtimeCapabilities { name: "xai_realtime/m".into(), can_say: true, greets: false, stand_in }),
        )
    }

    fn with(agent: AgentFields, engine: Option<RealtimeCapabilities>) -> Self {
        Self::briefed(CallSpec { agent, task: None, is_web: false }, engine)
    }

    fn briefed(brief: CallSpec, engine: Option<RealtimeCapabilities>) -> Self {
        #[expect(clippy::disallowed_methods, reason = "origin of virtual time")]
        let start = Instant::now();
        let machine = match engine {
            Some(traits) => CallMachine::with_realtime(start, brief, traits),
            None => CallMachine::new(start, brief),
        };
        let mut line = Self { start, now: start, machine, seen: vec![], waiting: vec![], sounding: vec![] };
        line.drain();
        line
    }

    fn greeted() -> Self {
        let mut line = Self::new(agent());
        line.play_everything();
        line
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match &output {
                CallOutput::Speak { segment: piece, text } => self.waiting.push((*piece, text.clone())),
                CallOutput::CancelSpeech { response_id: generation } => {
                    let generation = *generation;
                    self.waiting.retain(|(piece, _)| piece.response_id > generation);
                    self.machine.handle_flushed(self.now, false, generation, &[]);
                }
                CallOutput::Interrupt { response_id: generation } => {
                    let (generation, sent) = (*generation, std::mem::take(&mut self.sounding));
                    self.waiting.retain(|(piece, _)| piece.response_id > generation);
                    self.machine.handle_flushed(self.now, true, generation, &sent);
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

    /// The agent's pieces are spoken and heard, half a second each.
    fn play_everything(&mut self) -> String {
        let mut heard = vec![];
        while !self.waiting.is_empty() {
            let (piece, text) = self.waiting.remove(0);
            self.machine.handle_tts_done(piece, 4_000);
            self.machine.handle_segment_started(piece, self.now);
            self.drain();
            self.pass_ms(500);
            self.machine.handle_segment_finished(
                SegmentPlayed { segment: piece, sent_samples: 4_000, complete: true },
                self.now,
            );
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
        let generation = self.machine.response_id;
        self.machine.handle_llm_event(self.now, generation, LlmEvent::Text(text.into()));
        self.machine.handle_llm_event(self.now, generation, LlmEvent::Done(TokenUsage::default()));
        self.drain();
    }

    fn model_fails(&mut self) {
        let generation = self.machine.response_id;
        self.machine.handle_llm_event(self.now, generation, LlmEvent::Failed(ProviderError::Timeout("first token")));
        self.drain();
    }

    fn realtime_event(&mut self, event: RealtimeEvent) {
        self.machine.handle_realtime_event(self.now, event);
        self.drain();
    }

    /// The engine says something of this length, and the caller begins to hear it.
    fn realtime_says(&mut self, item: u32, text: &str, samples: u64) -> SegmentId {
        self.realtime_event(RealtimeEvent::ResponseStarted);
        self.realtime_event(RealtimeEvent::Text { item, text: text.into() });
        let piece = self.machine.handle_realtime_audio(self.now, item).unwrap();
        self.machine.handle_tts_done(piece, samples);
        self.machine.handle_segment_started(piece, self.now);
        self.drain();
        piece
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
    let mut line = CallHarness::greeted();
    line.caller_says("where is my order");
    assert_eq!(line.llm_requests(), 1);
    line.model_says("It is on its way. It comes on Monday.");
    assert_eq!(line.play_everything(), "It is on its way. It comes on Monday.");
    line.caller_says("thanks");
    assert_eq!(
        line.last_messages(),
        [
            assistant("Good morning."),
            user("where is my order"),
            assistant("It is on its way. It comes on Monday."),
            user("thanks"),
        ]
    );
    assert_eq!(
        line.transcript(),
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
    let mut line = CallHarness::greeted();
    line.caller_says("tell me");
    line.model_says("The first thing to know is this. The second thing is that.");
    let (piece, _) = line.waiting.remove(0);
    line.machine.handle_tts_done(piece, 8_000);
    line.machine.handle_segment_started(piece, line.now);
    line.pass_ms(500);
    line.machine.handle_speech_started(line.now);
    let heard = [SegmentPlayed { segment: piece, sent_samples: 4_000, complete: false }];
    line.machine.handle_flushed(line.now, true, piece.response_id, &heard);
    line.drain();
    assert!(line.seen.contains(&CallOutput::CancelLlm));
    line.caller_says("stop");
    assert_eq!(line.last_messages()[1..], [user("tell me"), assistant("The first thing"), user("stop")]);
    assert_eq!(line.transcript()[2], "assistant: The first thing /");
}

#[test]
fn noise_interrupts_and_the_agent_goes_on_where_it_was() {
    let mut line = CallHarness::greeted();
    line.caller_says("tell me");
    line.model_says("One sentence here. Another sentence there.");
    let (piece, _) = line.waiting.remove(0);
    line.machine.handle_tts_done(piece, 8_000);
    line.machine.handle_segment_started(piece, line.now);
    line.machine.handle_speech_started(line.now);
    line.machine.handle_flushed(
        line.now,
        true,
        piece.response_id,
        &[SegmentPlayed { segment: piece, sent_samples: 7_900, complete: false }],
    );
    line.machine.handle_speech_ended(line.now + 400 * MS, line.now + 200 * MS);
    line.drain();
    line.pass_ms(2_000);
    assert_eq!(line.play_everything(), "Another sentence there.");
}

#[test]
fn callee_says_hello_before_the_first_words_are_out() {
    let mut line = CallHarness::new(agent());
    line.caller_says("hello?");
    assert_eq!((line.llm_requests(), line.play_everything().as_str()), (0, "Good morning."));
    assert_eq!(line.transcript(), ["user: hello?", "assistant: Good morning."]);
}

#[test]
fn caller_goes_on_while_the_model_thinks() {
    let mut line = CallHarness::greeted();
    line.caller_says("I have a question");
    line.caller_says("about my bill");
    line.pass_ms(300);
    assert_eq!(line.machine.metrics().premature_ends_of_turn, 1, "the pause is remembered");
    assert_eq!(line.last_messages()[1..], [user("I have a question"), user("about my bill")]);
    line.model_says("Go ahead.");
    assert_eq!(line.play_everything(), "Go ahead.");
}

#[test]
fn the_model_fails_once_and_then_again() {
    let mut line = CallHarness::greeted();
    line.caller_says("hello");
    line.model_fails();
    assert!(line.play_everything().starts_with("Sorry, something went wrong"));
    line.caller_says("hello");
    line.model_fails();
    assert!(line.play_everything().contains("try again later"));
    assert_eq!(line.hang_up_reasons(), [EndReason::ProviderError]);
}

#[test]
fn the_model_breaks_off_in_mid_sentence() {
    let mut line = CallHarness::greeted();
    line.caller_says("hello");
    let generation = line.machine.response_id;
    line.machine.handle_llm_event(line.now, generation, LlmEvent::Text("Half an answer. And".into()));
    line.model_fails();
    assert_eq!(line.play_everything(), "Half an answer. And");
    assert_eq!(line.hang_up_reasons(), []);
}

#[test]
fn every_voice_fails() {
    let mut line = CallHarness::new(agent());
    for _ in 0..2 {
        let (piece, _) = line.waiting.remove(0);
        line.machine.handle_tts_failed(line.now, piece, &ProviderError::NotConfigured);
        line.drain();
        if line.hang_up_reasons().is_empty() {
            line.caller_says("hello?");
            line.model_says("Yes.");
        }
    }
    assert_eq!(line.hang_up_reasons(), [EndReason::ProviderError]);
}

#[test]
fn caller_is_silent_is_prompted_twice_and_the_call_ends() {
    let mut line = CallHarness::greeted();
    for _ in 0..2 {
        line.pass_ms(7_900);
        assert!(line.waiting.is_empty());
        line.pass_ms(200);
        assert_eq!(line.play_everything(), "Are you still there?");
    }
    line.pass_ms(8_100);
    assert!(line.play_everything().contains("Goodbye"));
    assert_eq!(line.hang_up_reasons(), [EndReason::Silence]);
}

#[test]
fn silence_is_left_alone_when_the_agent_says_so() {
    let mut line = CallHarness::new(AgentFields { autonomous_silence_handling: Some(false), ..agent() });
    line.play_everything();
    line.pass_ms(120_000);
    assert!(line.waiting.is_empty() && line.hang_up_reasons().is_empty());
}

#[test]
fn the_longest_time_is_kept_whatever_else_happens() {
    let mut line = CallHarness::new(AgentFields { max_duration_seconds: Some(10), ..agent() });
    line.pass_ms(9_900); // the greeting never plays: its report was lost
    assert_eq!(line.hang_up_reasons(), []);
    line.pass_ms(25_000);
    assert_eq!(line.hang_up_reasons(), [EndReason::MaxDuration]);
}

#[test]
fn last_words_before_a_hang_up_are_kept() {
    let mut line = CallHarness::greeted();
    line.machine.handle_speech_started(line.now);
    line.pass_ms(500);
    line.machine.handle_stt(line.now, SttEvent::Interim("my number".into()));
    line.machine.handle_peer_hung_up(line.now, EndReason::CustomerHungUp);
    line.drain();
    assert!(line.seen.contains(&CallOutput::FinalizeStt) && line.hang_up_reasons().is_empty());
    line.pass_ms(200);
    let last = SttEvent::Final { text: "my number is seven".into(), confidence: None, speech_final: false };
    line.machine.handle_stt(line.now, last);
    line.drain();
    assert_eq!(line.hang_up_reasons(), [EndReason::CustomerHungUp]);
    assert_eq!(line.transcript().last().unwrap(), "user: my number is seven");
}

#[test]
fn last_words_that_never_come_do_not_hold_the_call() {
    let mut line = CallHarness::greeted();
    line.machine.handle_stt(line.now, SttEvent::Interim("and another".into()));
    line.machine.handle_peer_hung_up(line.now, EndReason::CustomerHungUp);
    line.drain();
    line.pass_ms(800);
    assert_eq!(line.hang_up_reasons(), [EndReason::CustomerHungUp]);
    assert_eq!(line.transcript().last().unwrap(), "user: and another");
}

#[test]
fn the_goodbye_is_played_out_before_the_line_is_cut() {
    let mut line = CallHarness::greeted();
    line.caller_says("bye");
    let generation = line.machine.response_id;
    let end = ToolCall { id: "1".into(), name: "end_call".into(), arguments: "{}".into(), misfit: None };
    line.machine.handle_llm_event(line.now, generation, LlmEvent::Text("Have a nice day!".into()));
    line.machine.handle_llm_event(line.now, generation, LlmEvent::ToolCalls(vec![end]));
    line.machine.handle_llm_event(line.now, generation, LlmEvent::Done(TokenUsage::default()));
    line.drain();
    line.pass_ms(300);
    assert_eq!(line.hang_up_reasons(), []);
    assert_eq!(line.play_everything(), "Have a nice day!");
    assert_eq!(line.hang_up_reasons(), [EndReason::AgentHungUp]);
}

#[test]
fn the_model_presses_keys_and_goes_on() {
    let mut line = CallHarness::greeted();
    line.caller_says("press one for sales");
    let generation = line.machine.response_id;
    let call =
        ToolCall { id: "1".into(), name: "send_dtmf".into(), arguments: "{\"digits\":\"1\"}".into(), misfit: None };
    line.machine.handle_llm_event(line.now, generation, LlmEvent::ToolCalls(vec![call]));
    line.machine.handle_llm_event(line.now, generation, LlmEvent::Done(TokenUsage::default()));
    line.drain();
    assert!(line.seen.contains(&CallOutput::SendDtmf("1".into())));
    assert_eq!(line.llm_requests(), 2);
    assert!(matches!(line.last_messages().last(), Some(ChatMessage::Tool { .. })));
}

#[test]
fn the_recogniser_says_nothing() {
    let mut line = CallHarness::greeted();
    for _ in 0..3 {
        line.machine.handle_speech_started(line.now);
        line.pass_ms(1_000);
        line.machine.handle_speech_ended(line.now, line.now - 200 * MS);
        line.pass_ms(4_100);
        line.play_everything();
    }
    assert_eq!(line.seen.iter().filter(|o| **o == CallOutput::RestartStt).count(), 2);
    assert_eq!(line.hang_up_reasons(), [EndReason::ProviderError]);
}

#[test]
fn keys_without_rules_reach_the_model() {
    let mut line = CallHarness::greeted();
    for digit in "42#".chars() {
        line.machine.handle_digit(line.now, digit);
    }
    line.drain();
    assert_eq!(line.last_messages().last(), Some(&user("[DTMF 42]")));
}

#[test]
fn the_api_ends_a_call_in_mid_sentence() {
    let mut line = CallHarness::new(agent());
    let (piece, _) = line.waiting.remove(0);
    line.machine.handle_segment_started(piece, line.now);
    line.machine.handle_command(line.now, EndReason::EndedByApi);
    line.drain();
    line.pass_ms(200);
    assert_eq!(line.hang_up_reasons(), [EndReason::EndedByApi]);
}

/// Whatever comes in whatever order: one end, nothing after it, and never later than the limit allows.
#[test]
fn any_sequence_of_events_ends_exactly_once() {
    for seed in 1..400u64 {
        let mut dice = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut roll = |below: u64| {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            dice % below
        };
        let mut line = CallHarness::new(AgentFields { max_duration_seconds: Some(60), ..agent() });
        for _ in 0..300 {
            let now = line.now;
            let piece = SegmentId {
                response_id: (line.machine.response_id as u64).saturating_sub(roll(2)) as u32,
                index: roll(3) as u32,
            };
            let heard = SegmentPlayed { segment: piece, sent_samples: roll(9_000), complete: roll(2) == 0 };
            let generation = piece.response_id;
            match roll(16) {
                0 => line.machine.handle_speech_started(now),
                1 => line.machine.handle_speech_ended(now, now - 200 * MS),
                2 => line.machine.handle_stt(now, SttEvent::Interim("some".into())),
                3 => line.machine.handle_stt(
                    now,
                    SttEvent::Final { text: "words".into(), confidence: None, speech_final: roll(2) == 0 },
                ),
                4 => line.machine.handle_stt(now, SttEvent::UtteranceEnd),
                5 => line.machine.handle_llm_event(now, generation, LlmEvent::Text("Some words. And ".into())),
                6 => line.machine.handle_llm_event(now, generation, LlmEvent::Done(TokenUsage::default())),
                7 => line.machine.handle_llm_event(now, generation, LlmEvent::Failed(ProviderError::NotConfigured)),
                8 => line.machine.handle_segment_started(piece, now),
                9 => line.machine.handle_segment_finished(heard, now),
                10 => line.machine.handle_flushed(now, roll(2) == 0, generation, &[heard]),
                11 => line.machine.handle_tts_failed(now, piece, &ProviderError::NotConfigured),
                12 => line.machine.handle_digit(now, '5'),
                13 if roll(30) == 0 => line.machine.handle_peer_hung_up(now, EndReason::CustomerHungUp),
                14 if roll(30) == 0 => line.machine.handle_command(now, EndReason::Canceled),
                15 if roll(30) == 0 => line.machine.handle_stt(now, SttEvent::Failed(ProviderError::NotConfigured)),
                _ => {}
            }
            line.drain();
            line.pass_ms(roll(400) as u32);
        }
        line.pass_ms(100_000);
        assert_eq!(
            line.hang_up_reasons().len(),
            1,
            "seed {seed}: {:?}",
            line.seen.iter().rev().take(5).collect::<Vec<_>>()
        );
        assert!(matches!(line.seen.last(), Some(CallOutput::HangUp { .. })), "seed {seed}");
        assert!(line.machine.poll_timeout().is_none());
        assert!(line.now.duration_since(line.start) < Duration::from_secs(300));
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
        let generation = self.machine.response_id;
        let call = ToolCall { id: "1".into(), name: "find".into(), arguments: "{}".into(), misfit: None };
        self.machine.handle_llm_event(self.now, generation, LlmEvent::ToolCalls(vec![call]));
        let done = LlmEvent::Done(TokenUsage::default());
        self.machine.handle_llm_event(self.now, generation, done);
        self.drain();
    }

    fn result(&mut self, text: &str) {
        self.machine.handle_tool_result(self.now, "1", text);
        self.drain();
    }
}

#[test]
fn a_result_that_comes_during_the_filler_is_read_when_it_was_heard() {
    let mut line = CallHarness::new(with_tool(Some("One moment.")));
    line.play_everything();
    line.caller_says("Where is it?");
    line.wants_tool();
    assert!(line.seen.iter().any(|output| matches!(output, CallOutput::CallTool { is_async: false, .. })));
    let before = line.llm_requests();
    line.result("here");
    assert_eq!(line.llm_requests(), before, "the filler is still being said");
    assert_eq!(line.play_everything(), "One moment.");
    assert_eq!(line.llm_requests(), before + 1);
    assert_eq!(line.last_question()[1..], ["user: Where is it?", "assistant: One moment. +1", "tool: here"]);
}

#[test]
fn a_result_that_comes_while_the_caller_speaks_waits_for_the_turn() {
    let mut line = CallHarness::new(with_tool(None));
    line.play_everything();
    line.caller_says("Where is it?");
    line.wants_tool();
    let before = line.llm_requests();
    line.machine.handle_speech_started(line.now);
    line.result("here");
    assert_eq!(line.llm_requests(), before);
    // It was only a cough: the result is told after all.
    line.machine.handle_speech_ended(line.now, line.now);
    line.pass_ms(2_000);
    assert_eq!(line.llm_requests(), before + 1);
}

#[test]
fn a_result_that_comes_after_another_question_is_news() {
    let mut line = CallHarness::new(with_tool(None));
    line.play_everything();
    line.caller_says("Where is it?");
    line.wants_tool();
    line.caller_says("And are you open?");
    assert!(
        line.last_question().iter().any(|m| m.starts_with("tool: still being worked on")),
        "{:?}",
        line.last_question()
    );
    line.model_says("We are.");
    let before = line.llm_requests();
    line.play_everything();
    line.result("here");
    assert_eq!(line.llm_requests(), before + 1);
    let asked = line.last_question();
    assert!(asked.contains(&"tool: here".to_owned()), "{asked:?}");
    assert_eq!(asked.last().unwrap(), "system: The tool find answered: here");
}

#[test]
fn caller_cuts_in_and_the_engine_learns_what_was_heard() {
    let mut line = CallHarness::on_realtime(None);
    assert_eq!(line.sent_to_realtime(), [RealtimeInput::Say("Good morning.".into())]);
    let greeting = line.realtime_says(0, "Good morning.", 8_000);
    line.realtime_event(RealtimeEvent::ResponseDone(TokenUsage::default()));
    line.machine
        .handle_segment_finished(SegmentPlayed { segment: greeting, sent_samples: 8_000, complete: true }, line.now);
    line.realtime_event(RealtimeEvent::SpeechStarted);
    line.pass_ms(900);
    line.realtime_event(RealtimeEvent::SpeechStopped);
    // The answer begins before the caller's words are written.
    let answer = line.realtime_says(1, "Your order was shipped yesterday and arrives on Monday.", 32_000);
    line.realtime_event(RealtimeEvent::UserFinal("where is my order".into()));
    line.pass_ms(2_000);
    line.machine.handle_speech_started(line.now);
    let heard = [SegmentPlayed { segment: answer, sent_samples: 16_000, complete: false }];
    line.machine.handle_flushed(line.now, true, answer.response_id, &heard);
    line.drain();
    assert_eq!(line.sent_to_realtime().last(), Some(&RealtimeInput::Interrupted { item: Some((1, 2_000)) }));
    assert_eq!(line.machine.handle_realtime_audio(line.now, 1), None, "what comes late is not heard");
    assert_eq!(
        line.transcript(),
        ["assistant: Good morning.", "user: where is my order", "assistant: Your order was shipped yesterday /"]
    );
}

#[test]
fn engine_breaks_off_and_the_model_goes_on_with_its_answer() {
    let mut line = CallHarness::on_realtime(Some("openai/m"));
    line.realtime_event(RealtimeEvent::SpeechStopped);
    line.realtime_event(RealtimeEvent::UserFinal("where is my order".into()));
    let answer = line.realtime_says(0, "Your order was shipped", 12_000);
    line.pass_ms(1_000);
    line.machine.handle_realtime_event(line.now, RealtimeEvent::Failed(ProviderError::Disconnected("gone".into())));
    let heard = [SegmentPlayed { segment: answer, sent_samples: 12_000, complete: true }];
    line.machine.handle_flushed(line.now, false, answer.response_id, &heard);
    line.drain();
    assert!(line.seen.contains(&CallOutput::LeaveRealtime));
    assert_eq!(line.last_messages(), [user("where is my order"), assistant("Your order was shipped")]);
    line.model_says("yesterday.");
    assert_eq!(line.play_everything(), "yesterday.");
    assert_eq!(line.machine.metrics().to_json()["failovers"][0]["to"], "openai/m");
    // From now on the call is one like any other.
    line.caller_says("thanks");
    assert_eq!(line.llm_requests(), 2);
}

#[test]
fn engine_breaks_off_and_its_last_sound_is_heard_before_it_is_silenced() {
    let mut line = CallHarness::on_realtime(Some("openai/m"));
    line.realtime_event(RealtimeEvent::SpeechStopped);
    line.realtime_event(RealtimeEvent::UserFinal("where is my order".into()));
    let piece = line.realtime_says(0, "Your order was shipped", 12_000);
    line.pass_ms(1_500);
    line.machine.handle_realtime_event(line.now, RealtimeEvent::Failed(ProviderError::Disconnected("gone".into())));
    line.machine
        .handle_segment_finished(SegmentPlayed { segment: piece, sent_samples: 12_000, complete: true }, line.now);
    line.drain();
    assert_eq!(line.last_messages(), [user("where is my order"), assistant("Your order was shipped")]);
    assert_eq!(line.llm_requests(), 1, "the report of the silence asks no second time");
    line.model_says("yesterday.");
    assert_eq!(line.play_everything(), "yesterday.");
}

#[test]
fn engine_says_nothing_and_nobody_stands_in() {
    let mut line = CallHarness::on_realtime(None);
    line.pass_ms(6_000);
    assert!(line.seen.contains(&CallOutput::LeaveRealtime));
    assert!(line.play_everything().starts_with("Sorry, I can't help you right now."));
    line.pass_ms(1_000);
    assert_eq!(line.hang_up_reasons(), [EndReason::ProviderError]);
}

#[test]
fn engine_calls_a_tool_after_what_it_said_was_heard() {
    let mut line = CallHarness::on_realtime(None);
    let piece = line.realtime_says(0, "One moment.", 8_000);
    let call =
        ToolCall { id: "c".into(), name: "send_dtmf".into(), arguments: "{\"digits\":\"1\"}".into(), misfit: None };
    line.realtime_event(RealtimeEvent::ToolCalls(vec![call]));
    line.realtime_event(RealtimeEvent::ResponseDone(TokenUsage::default()));
    assert!(!line.seen.contains(&CallOutput::SendDtmf("1".into())));
    line.machine
        .handle_segment_finished(SegmentPlayed { segment: piece, sent_samples: 8_000, complete: true }, line.now);
    line.drain();
    assert!(line.seen.contains(&CallOutput::SendDtmf("1".into())));
    let told = line.sent_to_realtime();
    assert_eq!(
        told[1..],
        [
            RealtimeInput::ToolResult { id: "c".into(), result: "pressed 1".into() },
            RealtimeInput::RequestResponse(None)
        ]
    );
}

#[test]
fn engine_gets_keys_as_a_message() {
    let mut line = CallHarness::on_realtime(None);
    line.machine.handle_digit(line.now, '4');
    line.pass_ms(2_100);
    assert_eq!(line.sent_to_realtime().last(), Some(&RealtimeInput::UserMessage("[DTMF 4]".into())));
}

#[test]
fn recogniser_withholds_its_last_word_and_another_one_is_asked() {
    let stt = SttConfig {
        provider: SttProvider::Openai,
        model: "m".into(),
        language: "en".into(),
        keyterms: vec![],
        base_url: None,
    };
    let fallbacks = Some(Fallbacks { stt: vec![stt], ..Fallbacks::default() });
    let mut line = CallHarness::new(AgentFields { fallbacks, ..agent() });
    line.play_everything();
    line.machine.handle_speech_started(line.now);
    line.machine.handle_stt(line.now, SttEvent::Interim("my number".into()));
    line.pass_ms(600);
    let silent_from = line.now;
    line.pass_ms(200);
    line.machine.handle_speech_ended(line.now, silent_from);
    line.pass_ms(900);
    assert!(!line.seen.contains(&CallOutput::RestartStt));
    line.pass_ms(150);
    assert!(line.seen.contains(&CallOutput::RestartStt));
    let last = SttEvent::Final { text: "my number is seven".into(), confidence: None, speech_final: true };
    line.machine.handle_stt(line.now, last);
    line.drain();
    assert_eq!(line.last_messages().last(), Some(&user("my number is seven")));
}

#[test]
fn turn_model_ends_the_turn_before_the_line_is_quiet() {
    let mut line = CallHarness::greeted();
    line.machine.handle_speech_started(line.now);
    line.pass_ms(700);
    line.machine.handle_stt(line.now, SttEvent::EndOfTurn { text: "where is my order".into(), confidence: Some(0.9) });
    line.drain();
    assert_eq!(line.llm_requests(), 1);
}
