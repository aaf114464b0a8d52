//! What a file may hold, and where its faults are.

use super::*;
use serde_json::json;

fn fault(text: &str) -> (usize, String) {
    let error = parse(text).unwrap_err();
    (error.line, error.message)
}

#[test]
fn values_are_those_of_yaml_and_phone_numbers_are_texts() {
    let text = "a: +31201234567\nb: 007\nc: 12\nd: -0.5\ne: yes\nf: true\ng:\nh: '1'\ni: !!str 2\nj: |\n  one\n  two\nk: [1, x]\nl: 1.5.2\nm: 1e3\n";
    let wanted = json!({
        "a": "+31201234567", "b": "007", "c": 12, "d": -0.5, "e": "yes", "f": true, "g": null, "h": "1", "i": "2",
        "j": "one\ntwo\n", "k": [1, "x"], "l": "1.5.2", "m": 1e3
    });
    assert_eq!(parse(text).unwrap().to_json(), wanted);
    let as_json = r#"{"agents": [{"name": "A", "x": null, "n": 0}]}"#;
    assert_eq!(parse(as_json).unwrap().to_json(), serde_json::from_str::<Value>(as_json).unwrap(), "JSON is YAML");
    assert_eq!(parse("").unwrap().to_json(), json!(null));
    assert_eq!(parse("\u{feff}# words\na: 1\n").unwrap().to_json(), json!({"a": 1}));
}

#[test]
fn fields_know_their_lines() {
    let text = "agents:\n  - name: A\n    llm_config:\n      model: m\n      tools:\n        - type: function\n          url: x\n    languages:\n      nl-NL:\n        voice: v\n";
    let agent = match &parse(text).unwrap().kind {
        NodeKind::Map(entries) => match &entries[0].node.kind {
            NodeKind::List(items) => items[0].clone(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    for (path, line) in [
        ("name", 2),
        ("llm_config", 3),
        ("llm_config.model", 4),
        ("llm_config.tools[0].url", 7),
        ("llm_config.tools[0].function.name", 6),
        ("llm_config.none", 4),
        ("languages.nl-NL.voice", 10),
        ("none", 2),
    ] {
        assert_eq!(agent.line_of(path), line, "{path}");
    }
}

#[test]
fn bombs_and_doubled_keys_are_refused_with_their_line() {
    let (line, message) = fault("a: &a [x, x]\nb: [*a, *a]\n");
    assert_eq!((line, message.as_str()), (1, NO_ALIASES));
    assert_eq!(fault("a: 1\nb: *a\n").0, 2);
    assert_eq!(fault("a:\n  <<: {b: 1}\n"), (2, NO_ALIASES.to_owned()));
    let doubled = parse("a: 1\nb: 2\na: 3\n").unwrap_err();
    assert_eq!(doubled.to_string(), "3: a: is there twice, the first time in line 1");
    assert!(fault("a: !!python/object x\n").1.contains("is not taken"));
    assert!(fault("a: 1\n---\nb: 2\n").1.contains("second document"));
    assert!(fault("? [a]\n: 1\n").1.contains("name is a text"));
    assert!(fault(&format!("{}{}", "[".repeat(80), "]".repeat(80))).1.contains("nested too deeply"));
    assert!(parse(&"[".repeat(100_000)).is_err() && parse(&"a: {".repeat(100_000)).is_err());
}

#[test]
fn tabs_and_broken_lines_are_named() {
    let (line, message) = fault("agents:\n\t- name: A\n");
    assert_eq!((line, message.contains("tab")), (2, true), "{message}");
    let (line, message) = fault("a: 1\nb: [1, 2\nc: 3\n");
    assert!(line >= 2 && message.starts_with("this is no YAML"), "{line} {message}");
    let (_, message) = fault("a: 'never closed\n");
    assert!(message.starts_with("this is no YAML"), "{message}");
}

#[test]
fn other_encodings_and_large_files_are_refused() {
    let latin = text(b"a: 1\nb: caf\xe9\n".to_vec()).unwrap_err();
    assert_eq!((latin.line, latin.message.contains("UTF-8")), (2, true));
    assert_eq!(text(b"a\n\n\0".to_vec()).unwrap_err().line, 3);
    assert!(text(vec![b'x'; 10_000_000]).unwrap_err().message.contains("4 MB"));
}

/// Whatever comes, it ends without a panic.
#[test]
fn nonsense_is_an_error_or_a_value() {
    let pieces =
        ["a: ", "- ", "[", "]", "{", "}", "\n", "  ", "'", "\"", "|", ">", "&x", "*x", "!t", "#", "\t", "é", "? ", "%"];
    let mut state: u32 = 7;
    for _ in 0..3_000 {
        let mut text = String::new();
        for _ in 0..12 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            text.push_str(pieces[(state >> 16) as usize % pieces.len()]);
        }
        let _ = parse(&text);
    }
}
