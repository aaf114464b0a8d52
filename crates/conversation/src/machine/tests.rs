//! Calls in virtual time, named after what happens on the line.

mod amd;
mod answers;
mod collect_digits;
mod collect_value;
mod controls;
mod ending;
mod failures;
mod handover;
mod handover_stages;
mod held;
mod language;
mod last_tools;
mod late_words;
mod overlaps;
mod preemptive_generation;
mod realtime;
mod secrets;
mod shop;
mod silence;
mod skip_turn;
mod stt_damage;
mod tool_call_ids;
mod tools;
mod transcript;
mod transfers;
mod turns;
mod unvoiced;
mod waits;
mod written;

use super::*;
use std::time::{Duration, Instant};
use trunkline_domain::agent::AgentFields;
use trunkline_domain::chat::{ChatMessage, ToolCall};
use trunkline_domain::end_reason::EndReason;
use trunkline_domain::transcript::Turn;
use trunkline_media::playout::queue::{SegmentId, SegmentPlayed};
use trunkline_providers::realtime::{RealtimeEvent, RealtimeInput};
use trunkline_providers::{LlmEvent, ProviderError, SttEvent, TokenUsage};

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
        Self::briefed(
            CallSpec {
                agent_id: None,
                agent,
                task: None,
                fixed_texts: Default::default(),
                known: Default::default(),
                spoken: None,
                is_web: false,
                today: jiff::civil::date(2026, 11, 28),
            },
            realtime,
        )
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
        self.stay_silent();
    }

    /// The caller stays silent until the turn is over.
    fn stay_silent(&mut self) {
        let until = self.now + 3_000 * MS;
        while let Some(at) = self.machine.mode.end_of_turn().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.machine.handle_timeout(self.now);
            self.drain();
        }
    }

    fn model_says(&mut self, text: &str) {
        let response_id = self.machine.response_id();
        self.machine.handle_llm_event(self.now, response_id, LlmEvent::Text(text.into()));
        self.machine.handle_llm_event(self.now, response_id, LlmEvent::Done(TokenUsage::default()));
        self.drain();
    }

    fn model_fails(&mut self) {
        let response_id = self.machine.response_id();
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
fn dtmf_without_rules_reaches_the_llm() {
    let mut harness = CallHarness::greeted();
    for digit in "42#".chars() {
        harness.machine.handle_digit(harness.now, digit);
    }
    harness.drain();
    assert_eq!(harness.last_messages().last(), Some(&user("[DTMF 42]")));
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
        let response_id = self.machine.response_id();
        let call = ToolCall { id: "1".into(), name: "find".into(), arguments: "{}".into(), ..ToolCall::default() };
        self.machine.handle_llm_event(self.now, response_id, LlmEvent::ToolCalls(vec![call]));
        let done = LlmEvent::Done(TokenUsage::default());
        self.machine.handle_llm_event(self.now, response_id, done);
        self.drain();
    }

    fn output_seen(&self, wanted: impl Fn(&CallOutput) -> bool) -> bool {
        self.seen.iter().any(wanted)
    }

    /// The model says something, or nothing, and calls a tool.
    fn calls_tool(&mut self, name: &str, arguments: serde_json::Value, words: Option<&str>) {
        let response_id = self.machine.response_id();
        if let Some(words) = words {
            self.machine.handle_llm_event(self.now, response_id, LlmEvent::Text(words.into()));
        }
        let call =
            ToolCall { id: "1".into(), name: name.into(), arguments: arguments.to_string(), ..ToolCall::default() };
        self.machine.handle_llm_event(self.now, response_id, LlmEvent::ToolCalls(vec![call]));
        self.machine.handle_llm_event(self.now, response_id, LlmEvent::Done(TokenUsage::default()));
        self.drain();
    }

    /// Ids of the calls that customers' servers got, in their order.
    fn called_ids(&self) -> Vec<String> {
        let id = |output: &CallOutput| match output {
            CallOutput::CallTool { call, .. } => Some(call.id.clone()),
            _ => None,
        };
        self.seen.iter().filter_map(id).collect()
    }

    /// The tool that was called last has answered.
    fn result(&mut self, text: &str) {
        let id = self.called_ids().pop().unwrap_or_else(|| "1".into());
        self.machine.handle_tool_result(self.now, &id, text);
        self.drain();
    }
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
    harness.pass_ms(250);
    assert_eq!(harness.llm_requests(), 1, "although the VAD still hears a sound");
}
