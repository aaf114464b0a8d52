//! Bad rows are refused with their line and field.

use super::{Folder, valid};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Duration;
use trunkline_turn_bench::row::{PauseKind, Seam, SpanLabel, TurnRow};
use trunkline_turn_bench::words::WordSource;

fn changed(pointer: &str, value: Value) -> Value {
    let mut row = valid();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let parent = row.pointer_mut(parent).unwrap();
    match field.parse::<usize>() {
        Ok(index) => parent[index] = value,
        Err(_) => parent[field] = value,
    }
    row
}

#[test]
fn a_row_is_read_whole() {
    let row = TurnRow::parse(&valid().to_string()).unwrap();
    assert_eq!((row.id.as_str(), row.audio.as_str(), row.asked.as_deref()), ("one", "one.wav", Some("Hello.")));
    let spans: Vec<_> = row.spans.iter().map(|span| (span.label, span.kind, span.seam)).collect();
    let hold = (SpanLabel::Hold, Some(PauseKind::Clause), Some(Seam::Joined));
    assert_eq!(spans, [hold, (SpanLabel::Eot, Some(PauseKind::Digits), None)], "the kind of the row is a default");
    assert_eq!(row.words.unwrap().len(), 2);
}

#[test]
fn rows_of_the_public_set_are_read() {
    // As its harness has them: no labels, audio with a path, fields that we do not know.
    let row = json!({
        "id": "en_0001", "language": "en", "audio": {"path": "en_0001.wav", "sampling_rate": 16000}, "duration": 3.0,
        "silence_spans": [{"start": 0.5, "end": 0.55}, {"start": 1.0, "end": 1.5}, {"start": 2.0, "end": 3.0}],
        "messages": null, "words": [{"word": "yes", "start": 0.1, "end": 0.5, "confidence": 0.9}],
    });
    let row = TurnRow::parse(&row.to_string()).unwrap();
    assert_eq!(row.spans.len(), 2, "a silence below 100 ms is none");
    assert_eq!(row.end(), Duration::from_secs(2));
}

#[test]
fn bad_rows_name_the_field() {
    let span = |start: f64, end: f64| json!({"start": start, "end": end});
    let rows = [
        changed("/id", Value::Null),
        changed("/id", json!("x".repeat(200))),
        changed("/language", json!("English (US)")),
        changed("/language", json!(7)),
        changed("/audio", json!({"bytes": "UklGRg=="})),
        changed("/audio", json!("../../etc/passwd")),
        changed("/audio", json!("/etc/passwd")),
        changed("/silence_spans", json!([])),
        changed("/silence_spans", json!({"start": 1})),
        changed("/silence_spans/0", json!("1.0-1.5")),
        changed("/silence_spans/0/start", json!("1.0")),
        changed("/silence_spans/0/end", Value::Null),
        changed("/silence_spans/0/start", json!(-0.1)),
        changed("/silence_spans/0/end", json!(1e300)),
        changed("/silence_spans/0", span(1.2, 1.1)),
        changed("/silence_spans/1", span(1.4, 3.0)),
        changed("/silence_spans/1", span(0.2, 0.4)),
        changed("/silence_spans/1", span(2.0, 2.05)),
        changed("/silence_spans/0/label", json!("eot")),
        changed("/silence_spans/1/label", json!("hold")),
        changed("/silence_spans/0/label", json!("pause")),
        changed("/silence_spans/0/kind", json!("question")),
        changed("/silence_spans/0/seam", json!("cut")),
        changed("/kind", json!("question")),
        changed("/half", json!("train")),
        changed("/messages", json!("Hello.")),
        changed("/messages/0", json!({"content": "Hello."})),
        changed("/messages/0/role", json!("agent")),
        changed("/messages/0/content", json!(7)),
        changed("/words/0", json!({"start": 0.5, "end": 1.0})),
        changed("/words/0/start", json!(1.2)),
        changed("/words/1/start", json!(0.2)),
        changed("/words/1/end", json!(true)),
        json!([1]),
    ];
    let mut refused = String::new();
    for row in &rows {
        let _ = writeln!(refused, "{}", TurnRow::parse(&row.to_string()).unwrap_err());
    }
    let _ = writeln!(refused, "{}", TurnRow::parse("{\"id\": \"one\"").unwrap_err());
    let _ = writeln!(refused, "{}", TurnRow::parse(&" ".repeat(2 << 20)).unwrap_err());
    insta::assert_snapshot!(refused);
}

#[test]
fn bad_files_name_line_and_field() {
    let folder = Folder::new();
    let samples = vec![0i16; 24_000];
    folder.wav("one.wav", 8_000, &samples);
    folder.wav("odd.wav", 11_025, &samples);
    folder.wav("short.wav", 8_000, &samples[..22_400]);
    std::fs::write(folder.path().join("text.wav"), "no audio").unwrap();
    let mut late = valid();
    late["words"][1]["end"] = json!(3.4);
    let named = |id: &str, mut row: Value| {
        row["id"] = json!(id);
        row.to_string()
    };
    folder.rows(&[
        valid().to_string(),
        valid().to_string(),
        String::new(),
        named("a", changed("/audio", json!("gone.wav"))),
        named("b", changed("/audio", json!("odd.wav"))),
        named("c", changed("/audio", json!("text.wav"))),
        named("d", changed("/audio", json!("short.wav"))),
        named("e", late),
        named("f", changed("/words", json!([]))),
        named("g", changed("/words", Value::Null)),
        "{".to_owned(),
    ]);
    let refused = folder.read(WordSource::Rows).unwrap_err();
    let shown = refused.replace(&folder.path().display().to_string(), "SET");
    insta::assert_snapshot!(shown);
    folder.rows(&[named("g", changed("/words", Value::Null))]);
    assert_eq!(folder.read(WordSource::None).unwrap().len(), 1, "who asks for no words needs none");
}

#[test]
fn a_folder_without_rows_says_so() {
    let folder = Folder::new();
    assert!(folder.read(WordSource::Rows).unwrap_err().contains("there is no .jsonl file in it"));
    folder.rows(&[]);
    assert!(folder.read(WordSource::Rows).unwrap_err().contains("no row of the wanted half"));
}

#[test]
fn damaged_rows_are_refused_and_break_nothing() {
    let whole = valid().to_string();
    let mut seed = 0x9E37_79B9_7F4A_7C15u64;
    let mut random = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 11) as usize % below
    };
    let tokens = ["{", "}", "[", "]", "null", "1e999", "-1", "\"", ",", ":", "\u{0}", "é", "0.1", "\"start\":"];
    for _ in 0..20_000 {
        let mut line = whole.clone();
        for _ in 0..=random(4) {
            let mut at = random(line.len().max(1));
            while !line.is_char_boundary(at) {
                at -= 1;
            }
            match random(3) {
                0 => line.truncate(at),
                1 => line.insert_str(at, tokens[random(tokens.len())]),
                _ => {
                    let mut end = (at + 1 + random(12)).min(line.len());
                    while !line.is_char_boundary(end) {
                        end += 1;
                    }
                    line.replace_range(at..end, tokens[random(tokens.len())]);
                }
            }
        }
        if let Ok(row) = TurnRow::parse(&line) {
            assert!(row.spans.windows(2).all(|pair| pair[0].start < pair[0].end && pair[0].start <= pair[1].start));
        }
    }
}
