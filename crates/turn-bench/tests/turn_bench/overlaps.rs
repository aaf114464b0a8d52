//! Overlaps played through the leg and the call machine, and what is counted of them.

use super::Folder;
use super::turns::phrase;
use serde_json::{Value, json};
use std::time::Duration;
use trunkline_domain::turn_config::TurnConfig;
use trunkline_turn_bench::data::Selection;
use trunkline_turn_bench::overlaps::playing::{Hold, Overlap, OverlapOutcome, StopCause};
use trunkline_turn_bench::overlaps::row::OverlapRow;
use trunkline_turn_bench::overlaps::score::{AgentState, Judged, Rates};
use trunkline_turn_bench::overlaps::{measure, read, report, rows_file, scores};
use trunkline_turn_bench::words::SttDelays;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn valid(label: &str) -> Value {
    json!({
        "id": label, "language": "en", "label": label, "agent_audio": "agent.wav", "caller_audio": "caller.wav",
        "agent_text": "Our store is open every day. We close at nine.",
        "agent_words": [{"word": "Our", "start": 0.2, "end": 1.0}], "agent_start": 0.2, "agent_end": 5.0,
        "onset": 2.0, "offset": 3.0, "words": [],
    })
}

fn row(label: &str) -> OverlapRow {
    OverlapRow::parse(&valid(label).to_string()).unwrap()
}

fn refusal(field: &str, value: Value) -> String {
    let mut row = valid("echo");
    row[field] = value;
    OverlapRow::parse(&row.to_string()).unwrap_err().to_string()
}

#[test]
fn rows_of_overlaps_are_refused_with_their_field() {
    let labels = "label: must be one of interruption, answer, backchannel, side_talk, noise, echo";
    assert_eq!(refusal("label", json!("shout")), labels);
    assert_eq!(refusal("agent_text", Value::Null), "agent_text: is missing");
    assert_eq!(refusal("offset", json!(1.0)), "offset: must lie after onset");
    assert_eq!(refusal("onset", json!(-1)), "onset: must be a number of seconds from 0 to 120");
    let outside = refusal("agent_end", json!(1.5));
    assert_eq!(outside, "onset: must lie between agent_start and agent_end: it is an overlap");
    assert_eq!(
        refusal("caller_audio", json!("../x.wav")),
        "caller_audio: must be a relative path inside of the folder"
    );
    let long = row("echo").check_length(ms(4_000)).unwrap_err().to_string();
    assert_eq!(long, "agent_end: 5 s lies outside of the audio of 4 s");
}

#[test]
fn a_folder_of_overlaps_is_read_with_its_audio() {
    let folder = Folder::new();
    assert_eq!(rows_file(folder.path()), None);
    let lines = [valid("echo").to_string(), valid("noise").to_string(), "{}".to_owned()];
    std::fs::write(folder.path().join("overlaps.jsonl"), lines.join("\n")).unwrap();
    let refused = read(folder.path(), &Selection::default()).unwrap_err();
    assert!(
        refused.contains("overlaps.jsonl:1: agent_audio: ") && refused.contains("overlaps.jsonl:3: id: is missing")
    );
    folder.wav("agent.wav", 8_000, &[100; 44_000]);
    folder.wav("caller.wav", 8_000, &[0; 44_000]);
    std::fs::write(folder.path().join("overlaps.jsonl"), lines[..2].join("\n")).unwrap();
    assert_eq!(read(folder.path(), &Selection::default()).unwrap().len(), 2);
}

fn outcome(holds: &[(u64, Option<u64>)], stopped: Option<u64>) -> OverlapOutcome {
    let hold = |(from, until): &(u64, Option<u64>)| Hold { from: ms(*from), until: until.map(ms) };
    OverlapOutcome {
        holds: holds.iter().map(hold).collect(),
        stopped: stopped.map(|at| (ms(at), StopCause::Words)),
        ..OverlapOutcome::default()
    }
}

#[test]
fn a_hold_counts_from_its_beginning_if_the_agent_does_not_go_on() {
    let row = row("interruption");
    let stopped = outcome(&[(2_100, Some(2_700))], Some(2_700));
    let judged = Judged { row: &row, outcome: &stopped };
    assert_eq!((judged.yielded(), judged.stopped()), (Some(ms(100)), Some((ms(700), StopCause::Words))));
    assert_eq!((judged.state(ms(50)), judged.state(ms(200))), (AgentState::Speaking, AgentState::Held));
    assert_eq!(judged.state(ms(800)), AgentState::Stopped);
    let resumed = outcome(&[(2_100, Some(2_500))], None);
    let judged = Judged { row: &row, outcome: &resumed };
    assert_eq!((judged.yielded(), judged.state(ms(600))), (None, AgentState::Speaking));
    let again = outcome(&[(2_100, Some(2_500))], Some(2_900));
    assert_eq!(Judged { row: &row, outcome: &again }.yielded(), Some(ms(900)), "it had gone on");
}

#[test]
fn precision_and_recall_are_those_of_interruptions() {
    let rows = [row("interruption"), row("backchannel"), row("answer"), row("noise")];
    let overlaps: Vec<Overlap> =
        rows.into_iter().map(|row| Overlap { row, agent: Vec::new(), caller: Vec::new() }).collect();
    let late = outcome(&[], Some(2_600));
    let held = outcome(&[(2_100, Some(2_450))], None);
    let outcomes = [outcome(&[(2_100, Some(2_600))], Some(2_600)), held, late.clone(), late];
    let all = &scores(&overlaps, &outcomes)[0];
    let [at_200, at_500, end] = &all.rates[..] else { panic!("{:?}", all.rates) };
    let rates = |precision: f64| Rates { precision: Some(precision), recall: Some(1.0) };
    assert_eq!((at_200.yielded, at_500.yielded, end.yielded), (rates(1.0), rates(1.0), rates(0.5)));
    assert_eq!((at_200.silent, end.silent), (rates(0.5), rates(1.0 / 3.0)));
    assert_eq!(at_500.stopped, Rates { precision: None, recall: Some(0.0) }, "nothing was decided by then");
    let backchannel = &all.labels[2];
    assert_eq!((backchannel.name.as_str(), backchannel.pause.p50_ms), ("backchannel", Some(350)));
    assert!(report::table(std::slice::from_ref(all)).contains("by 500 ms"));
    assert_eq!(report::json(std::slice::from_ref(all))["overlaps"][0]["labels"][2]["pause_ms"]["p50"], 350);
}

/// The agent speaks for six seconds; after two, the caller's side has a phrase at this level.
fn over_the_agent(label: &str, name: &str, text: &str, level_db: f64) -> Overlap {
    let said = phrase(name);
    let gain = 10f64.powf(level_db / 20.0);
    let mut caller = vec![0; 16_000];
    caller.extend(said.iter().map(|sample| (f64::from(*sample) * gain) as i16));
    caller.resize(64_000, 0);
    let mut agent = vec![0; 1_600];
    agent.extend(phrase("opening_hours").into_iter().cycle().take(48_000));
    agent.resize(64_000, 0);
    let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    let length = said.len() as f64 / 8_000.0;
    let one = length / words.len().max(1) as f64;
    let word = |(index, word): (usize, &&str)| {
        let start = 2.0 + one * index as f64;
        json!({"word": word, "start": start, "end": start + one})
    };
    let mut row = valid(label);
    row["agent_end"] = json!(6.2);
    row["offset"] = json!(2.0 + length);
    row["words"] = words.iter().enumerate().map(word).collect();
    Overlap { row: OverlapRow::parse(&row.to_string()).unwrap(), agent, caller }
}

#[test]
fn the_caller_stops_the_agent_and_a_voice_behind_does_not() {
    let delays = SttDelays {
        interim_every: ms(500),
        interim_delay: ms(200),
        endpointing: ms(300),
        final_delay: ms(100),
        finalize_delay: ms(100),
        utterance_end: ms(1_000),
    };
    let person = "I want to speak to a human";
    let overlaps = [
        over_the_agent("interruption", "speak_to_human", person, 0.0),
        over_the_agent("side_talk", "speak_to_human", person, -28.0),
    ];
    let outcomes = measure(&overlaps, &TurnConfig::default(), delays);
    let [caller, behind] = &outcomes[..] else { panic!("{outcomes:?}") };
    let yielded = Judged { row: &overlaps[0].row, outcome: caller }.yielded().unwrap();
    assert!(yielded <= ms(500), "{yielded:?}");
    assert_eq!(caller.answered.as_ref().map(|(_, words)| words.as_str()), Some(person));
    assert_eq!((behind.stopped, behind.holds.len(), &behind.answered), (None, 0, &None));
}
