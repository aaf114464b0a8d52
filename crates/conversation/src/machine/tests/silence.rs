//! How long a caller waits until something is said, whatever goes wrong.

use super::*;
use trunkline_domain::turn_config::SilenceConfig;

/// Whoever has spoken hears something within this time.
const SILENCE_MAX_MS: u32 = 3_000;

/// What goes wrong while the caller waits.
type Failure = fn(&mut CallHarness);

impl CallHarness {
    /// Milliseconds until the agent has something to say.
    pub(super) fn silence_ms(&mut self) -> u32 {
        let mut waited = 0;
        while self.waiting.is_empty() && waited < 60_000 {
            self.pass_ms(50);
            waited += 50;
        }
        waited
    }
}

/// An agent with a tool that speaks this language.
fn speaking(language: &str) -> AgentFields {
    let tts = serde_json::json!({"provider": "openai", "voice_id": "alloy", "language": language});
    AgentFields { tts_config: Some(serde_json::from_value(tts).unwrap()), ..with_tool(None) }
}

fn asked(agent: AgentFields) -> CallHarness {
    let mut harness = CallHarness::new(agent);
    harness.play_everything();
    harness.caller_says("Where is my order?");
    harness
}

#[test]
fn whatever_fails_something_is_said_within_three_seconds() {
    let failures: [(&str, Failure); 5] = [
        ("the model is silent", |_| {}),
        ("the model fails at once", CallHarness::model_fails),
        ("the model fails after two seconds", |harness| {
            harness.pass_ms(2_000);
            harness.model_fails();
        }),
        ("a tool hangs", CallHarness::wants_tool),
        ("a tool answers and the model is silent then", |harness| {
            harness.wants_tool();
            harness.result("found");
        }),
    ];
    for (what, fail) in failures {
        let mut harness = asked(speaking("en"));
        let before = harness.now;
        fail(&mut harness);
        let waited = harness.now.duration_since(before).as_millis() as u32 + harness.silence_ms();
        assert!(waited <= SILENCE_MAX_MS, "{what}: {waited} ms");
    }
}

/// Times in milliseconds from the end of the caller's words to anything said, for one kind of failure: half of the calls,
/// and all but one in a hundred.
fn percentiles(mut times: Vec<u32>) -> (u32, u32) {
    times.sort_unstable();
    (times[times.len() / 2], times[(times.len() * 99).div_ceil(100) - 1])
}

/// A failure that comes this many milliseconds after the request.
type LateFailure = fn(&mut CallHarness, u32);

/// Kinds of failures of STT, LLM and tools.
fn kinds() -> [(&'static str, LateFailure); 7] {
    let fails: LateFailure = |harness, after| {
        harness.pass_ms(after);
        harness.model_fails();
    };
    [
        ("model refused, 429, 500, wrong key, no connection", fails),
        ("model stalls before its first word", |_, _| {}),
        ("model stalls in mid-answer", |harness, after| {
            harness.pass_ms(after);
            let response_id = harness.machine.response_id();
            harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::Text("Your order. It".into()));
            harness.drain();
        }),
        ("model breaks off before a sentence", |harness, after| {
            harness.pass_ms(after);
            let response_id = harness.machine.response_id();
            harness.machine.handle_llm_event(harness.now, response_id, LlmEvent::Text("Your".into()));
            harness.model_fails();
        }),
        ("tool stalls", |harness, after| {
            harness.pass_ms(after);
            harness.wants_tool();
        }),
        ("tool fails, model stalls then", |harness, after| {
            harness.wants_tool();
            harness.pass_ms(after);
            harness.result("error: 500");
        }),
        ("STT hears nothing", |_, _| {}),
    ]
}

/// How long callers of a realtime model wait that stalls, or whose session ends and does not come back.
fn realtime_waits(ends: bool) -> Vec<u32> {
    let wait = |call: u32| {
        let mut harness = CallHarness::on_realtime(None);
        let greeting = harness.realtime_says(0, "Good morning.", 8_000);
        harness.realtime_event(RealtimeEvent::ResponseDone(TokenUsage::default()));
        let heard = SegmentPlayed { segment: greeting, sent_samples: 8_000, complete: true };
        harness.machine.handle_segment_finished(heard, harness.now);
        harness.realtime_event(RealtimeEvent::SpeechStarted);
        harness.pass_ms(900);
        harness.realtime_event(RealtimeEvent::SpeechStopped);
        harness.realtime_event(RealtimeEvent::UserFinal("where is my order".into()));
        let begun = harness.now;
        if ends {
            harness.pass_ms(call * 2);
            harness.realtime_event(RealtimeEvent::Reconnecting(ProviderError::SessionEnded("limit".into())));
        }
        harness.now.duration_since(begun).as_millis() as u32 + harness.silence_ms()
    };
    (0..100).map(wait).collect()
}

#[test]
fn first_words_after_every_kind_of_failure() {
    let mut table = Vec::new();
    for (kind, fail) in kinds() {
        let times = (0..100).map(|call| {
            let mut harness = CallHarness::new(speaking("en"));
            harness.play_everything();
            if kind.starts_with("STT") {
                harness.machine.handle_speech_started(harness.now);
                harness.pass_ms(1_000);
                harness.machine.handle_speech_ended(harness.now, harness.now - 200 * MS);
                return 200 + harness.silence_ms();
            }
            harness.caller_says("Where is my order?");
            let begun = harness.now;
            fail(&mut harness, call * 20);
            harness.now.duration_since(begun).as_millis() as u32 + harness.silence_ms()
        });
        table.push((kind, percentiles(times.collect())));
    }
    table.extend([
        ("realtime model stalls", percentiles(realtime_waits(false))),
        ("realtime session lost and not back", percentiles(realtime_waits(true))),
    ]);
    for (kind, (_, most)) in table {
        assert!(most <= SILENCE_MAX_MS, "{kind}: {most} ms");
    }
}

#[test]
fn fillers_go_on_in_the_voices_language() {
    let mut harness = asked(speaking("nl-BE"));
    let mut heard = Vec::new();
    for _ in 0..40 {
        heard.push(harness.play_everything());
        harness.pass_ms(500);
    }
    heard.retain(|words| !words.is_empty());
    let nog = ["Een ogenblik.", "Ik ben er nog mee bezig.", "Nog heel even."];
    assert_eq!(heard, nog.into_iter().cycle().take(heard.len()).collect::<Vec<_>>());
    assert!((4..=6).contains(&heard.len()), "{heard:?}");
    harness.play_everything();
    harness.model_says("Uw bestelling is onderweg.");
    assert_eq!(harness.play_everything(), "Uw bestelling is onderweg.");
    assert_eq!(harness.hang_up_reasons(), []);
}

#[test]
fn fillers_go_on_while_a_tool_works() {
    let mut harness = asked(speaking("de"));
    harness.wants_tool();
    let mut heard = Vec::new();
    for _ in 0..14 {
        heard.push(harness.play_everything());
        harness.pass_ms(500);
    }
    heard.retain(|words| !words.is_empty());
    assert_eq!(heard, ["Einen Moment bitte.", "Ich bin noch dabei."]);
}

#[test]
fn fillers_can_be_switched_off_and_unknown_languages_have_none() {
    let off = SilenceConfig { default_fillers: false, ..SilenceConfig::default() };
    let agents = [
        AgentFields { silence_config: Some(off), ..speaking("en") },
        AgentFields { autonomous_silence_handling: Some(false), ..speaking("en") },
        speaking("sw"),
    ];
    for agent in agents {
        let mut harness = asked(agent);
        harness.pass_ms(7_000);
        assert!(harness.waiting.is_empty(), "{:?}", harness.waiting);
    }
}

#[test]
fn the_first_filler_counts_from_the_end_of_the_callers_turn() {
    let mut harness = asked(speaking("en"));
    let ended = harness.machine.caller_waits_since().unwrap();
    while harness.waiting.is_empty() && harness.now < ended + 5_000 * MS {
        harness.pass_ms(10);
    }
    let waited = harness.now - ended;
    assert!((2_290 * MS..=2_310 * MS).contains(&waited), "{waited:?}");
    assert_eq!(harness.machine.caller_waits_since(), Some(ended), "it is not heard yet");
    harness.play_everything();
    assert_eq!(harness.machine.caller_waits_since(), None);
    harness.pass_ms(2_000);
    assert!(harness.waiting.is_empty(), "the next one is not hurried");
}

#[test]
fn a_model_that_stops_in_the_middle_of_its_answer_leaves_no_silence() {
    let stops: [(&str, Failure); 3] = [
        ("it is silent", |_| {}),
        ("it thinks, or writes long arguments", |harness| {
            let request_id = harness.machine.response_id();
            harness.machine.handle_llm_event(harness.now, request_id, LlmEvent::ToolCallBegan);
        }),
        ("half a sentence is held back", |harness| {
            let request_id = harness.machine.response_id();
            harness.machine.handle_llm_event(harness.now, request_id, LlmEvent::Text("It comes tomorrow and".into()));
        }),
    ];
    for (what, stop) in stops {
        let mut harness = asked(speaking("en"));
        let request_id = harness.machine.response_id();
        harness.machine.handle_llm_event(harness.now, request_id, LlmEvent::Text("It left yesterday. ".into()));
        stop(&mut harness);
        harness.drain();
        let said = harness.play_everything();
        assert!(said.starts_with("It left yesterday."), "{what}: {said}");
        for _ in 0..2 {
            let waited = harness.silence_ms();
            assert!((2_300..=6_000).contains(&waited), "{what}: {waited} ms");
            harness.play_everything();
        }
        harness.machine.handle_llm_event(harness.now, request_id, LlmEvent::Text(" It is here.".into()));
        harness.machine.handle_llm_event(harness.now, request_id, LlmEvent::Done(TokenUsage::default()));
        harness.drain();
        assert!(harness.play_everything().ends_with("It is here."), "{what}");
        harness.pass_ms(7_000);
        assert!(harness.waiting.is_empty(), "{what}: nothing is said after the answer");
    }
}

#[test]
fn no_filler_is_said_into_the_words_of_a_caller_who_has_heard_half_an_answer() {
    let mut harness = asked(speaking("en"));
    let request_id = harness.machine.response_id();
    harness.machine.handle_llm_event(harness.now, request_id, LlmEvent::Text("It left yesterday. ".into()));
    harness.drain();
    harness.play_everything();
    harness.pass_ms(2_000);
    harness.machine.handle_speech_started(harness.now);
    harness.pass_ms(1_500);
    assert!(harness.waiting.is_empty());
}

impl CallHarness {
    /// The caller says something that STT does not understand.
    fn caller_is_not_understood(&mut self) {
        self.machine.handle_speech_started(self.now);
        self.pass_ms(1_800);
        let now = self.now;
        self.machine.handle_speech_ended(now + 200 * MS, now);
        self.pass_ms(300);
        let nothing = SttEvent::Final { text: String::new(), confidence: None, speech_final: true };
        self.machine.handle_stt(self.now, nothing);
        self.machine.handle_stt(self.now, SttEvent::NotUnderstood);
        self.drain();
    }
}

/// Somebody speaks a language that STT does not know: the agent says so within a second, and does nothing else.
#[test]
fn a_caller_who_is_not_understood_is_told_so_twice_and_then_asked_three_times() {
    let mut harness = CallHarness::new(speaking("en"));
    harness.play_everything();
    for _ in 0..2 {
        harness.caller_is_not_understood();
        assert!(harness.silence_ms() <= 500);
        assert!(harness.play_everything().starts_with("Sorry, I did not understand that. I only understand English."));
    }
    for _ in 0..3 {
        harness.caller_is_not_understood();
        assert!(harness.silence_ms() <= 500);
        assert_eq!(harness.play_everything(), "Are you still there?");
    }
    harness.caller_is_not_understood();
    assert!(harness.silence_ms() > 3_000, "behind it may be a radio");
    assert_eq!(harness.llm_requests(), 0, "nothing is done about it");
    // Who is understood may be not understood again.
    harness.play_everything();
    harness.caller_says("Where is my order?");
    harness.model_says("It is on its way.");
    harness.play_everything();
    harness.caller_is_not_understood();
    assert!(harness.silence_ms() <= 500);
}

#[test]
fn nothing_is_said_about_unclear_speech_where_the_caller_goes_on_or_the_agent_speaks() {
    let mut harness = CallHarness::new(speaking("nl"));
    harness.machine.handle_stt(harness.now, SttEvent::NotUnderstood);
    harness.drain();
    harness.play_everything();
    harness.pass_ms(1_000);
    assert!(harness.waiting.is_empty(), "the greeting was being said");
    harness.caller_is_not_understood();
    harness.machine.handle_speech_started(harness.now);
    harness.pass_ms(2_000);
    assert!(harness.waiting.is_empty(), "the caller goes on");
    let now = harness.now;
    harness.machine.handle_speech_ended(now + 200 * MS, now);
    harness.pass_ms(300);
    let words = SttEvent::Final { text: "Waar is het?".into(), confidence: Some(0.9), speech_final: true };
    harness.machine.handle_stt(harness.now, words);
    harness.pass_ms(1_500);
    assert!(harness.llm_requests() > 0, "and is understood");
    assert!(harness.waiting.is_empty());
}

/// STT has failed at what the caller has said, or has found no word in it: the caller is asked to say it again.
#[test]
fn speech_without_a_word_of_stt_is_asked_for_again() {
    let nothing = || SttEvent::Final { text: String::new(), confidence: None, speech_final: true };
    let turn = || SttEvent::EndOfTurn { text: String::new(), confidence: None };
    for (case, speech_ms, events, is_asked) in [
        ("failed", 1_800, vec![nothing(), SttEvent::Lost], true),
        ("failed at once", 400, vec![SttEvent::Lost], true),
        ("no words", 1_800, vec![nothing()], true),
        ("a turn without words", 1_800, vec![turn()], true),
        ("a cough", 400, vec![nothing()], false),
        ("words at last", 1_800, vec![nothing(), SttEvent::Interim("Where is my order?".into())], false),
    ] {
        let mut harness = CallHarness::new(speaking("en"));
        harness.play_everything();
        harness.machine.handle_speech_started(harness.now);
        harness.pass_ms(speech_ms);
        let now = harness.now;
        harness.machine.handle_speech_ended(now + 200 * MS, now);
        harness.pass_ms(300);
        events.into_iter().for_each(|event| harness.machine.handle_stt(harness.now, event));
        harness.drain();
        harness.pass_ms(1_200);
        let said = if harness.waiting.is_empty() { String::new() } else { harness.play_everything() };
        assert_eq!(said.starts_with("Sorry, something went wrong."), is_asked, "{case}: {said}");
    }
}

/// STT brings nothing, again and again: nobody who has spoken waits.
#[test]
fn nobody_waits_whose_words_are_lost_time_and_again() {
    let nothing = || SttEvent::Final { text: String::new(), confidence: None, speech_final: true };
    for events in [vec![nothing()], vec![nothing(), SttEvent::Lost], vec![nothing(), SttEvent::NotUnderstood]] {
        let mut harness = CallHarness::new(speaking("en"));
        harness.play_everything();
        for time in 1..=5 {
            harness.machine.handle_speech_started(harness.now);
            harness.pass_ms(1_800);
            let now = harness.now;
            harness.machine.handle_speech_ended(now + 200 * MS, now);
            harness.pass_ms(300);
            events.iter().cloned().for_each(|event| harness.machine.handle_stt(harness.now, event));
            harness.drain();
            let waited = 300 + harness.silence_ms();
            assert!(waited <= SILENCE_MAX_MS, "{time}: {waited} ms");
            harness.play_everything();
        }
        assert_eq!(harness.hang_up_reasons(), [], "it is no silence that ends a call");
    }
}

/// A key that the model is told of, or that calls a tool: the caller waits from the key on.
#[test]
fn nobody_waits_who_presses_a_key_while_the_model_stalls() {
    let rules = |rules: serde_json::Value| AgentFields {
        dtmf_rules: Some(serde_json::from_value(rules).unwrap()),
        ..speaking("en")
    };
    let tool = serde_json::json!([{"digits": "5", "action": "tool", "tool": "find"},
        {"digits": "55", "action": "send_to_llm"}]);
    let own = SilenceConfig { fillers: vec!["Bear with me.".into()], ..SilenceConfig::default() };
    let agents = [
        ("no rules", speaking("en")),
        ("a rule that a longer one may follow", rules(serde_json::json!({"rules": tool}))),
        ("own fillers", AgentFields { silence_config: Some(own), ..speaking("en") }),
    ];
    for (what, agent) in agents {
        for asked_before_ms in [None, Some(500), Some(1_500)] {
            let mut harness = CallHarness::new(agent.clone());
            harness.play_everything();
            harness.pass_ms(1_000);
            if let Some(before) = asked_before_ms {
                harness.caller_says("Where is my order?");
                harness.pass_ms(before);
                if !harness.waiting.is_empty() {
                    harness.play_everything();
                }
            }
            harness.machine.handle_digit(harness.now, '5');
            harness.drain();
            let waited = harness.silence_ms();
            assert!(waited <= SILENCE_MAX_MS, "{what}, {asked_before_ms:?}: {waited} ms");
        }
    }
}

/// An answer that comes soon after the keys has no filler before it.
#[test]
fn no_filler_is_said_as_soon_as_the_keys_are_complete() {
    let mut harness = CallHarness::new(speaking("en"));
    harness.play_everything();
    harness.machine.handle_digit(harness.now, '5');
    harness.pass_ms(2_500);
    assert!(harness.waiting.is_empty() && harness.llm_requests() == 1);
    harness.model_says("That is option five.");
    assert_eq!(harness.play_everything(), "That is option five.");
}
