//! Pronunciations: what the voice gets, and what is shown and heard of it.

use super::super::SpeechStyle;
use crate::dialogue::response::AgentResponse;
use serde_json::{Value, json};
use trunkline_domain::pronunciation::Pronunciation;

fn style(language: &str, entries: Value) -> SpeechStyle {
    let entries: Vec<Pronunciation> = serde_json::from_value(entries).unwrap();
    SpeechStyle::new(language, false).pronouncing(&entries, language)
}

#[track_caller]
fn said(language: &str, entries: Value, text: &str) -> String {
    let both = style(language, entries).normalize(text);
    assert_eq!(both.shown, text, "the transcript keeps the text");
    both.spoken
}

fn sql() -> Value {
    json!([{"text": "SQL", "say_as": "sequel"}, {"text": "SQL Server", "say_as": "sequel surfer"},
        {"text": "US", "say_as": "you ess", "case_sensitive": true}, {"text": "€12", "say_as": "twelve bucks"},
        {"text": "km", "say_as": "clicks"}, {"text": "C++", "say_as": "see plus plus"}])
}

#[test]
fn whole_words_are_replaced_and_the_longest_entry_wins() {
    for (text, spoken) in [
        ("We use SQL.", "We use sequel."),
        ("sql, Sql and SQL!", "sequel, sequel and sequel!"),
        ("SQL Server and MySQL", "sequel surfer and MySQL"),
        ("SQLite is no SQL's", "SQLite is no sequel's"),
        ("US told us", "you ess told us"),
        ("C++ and C", "see plus plus and C"),
    ] {
        assert_eq!(said("en", sql(), text), spoken, "{text}");
    }
}

#[test]
fn an_entry_wins_over_the_grammar_of_numbers() {
    assert_eq!(said("en", sql(), "It costs €12 now."), "It costs twelve bucks now.");
    assert_eq!(said("en", sql(), "It costs €13.50 now."), "It costs 13 euros 50 now.");
    assert_eq!(said("en", sql(), "It is 5 km away."), "It is 5 clicks away.", "no grammar reads over an entry");
}

#[test]
fn replacements_are_not_looked_at_again() {
    let swapped = json!([{"text": "cat", "say_as": "dog"}, {"text": "dog", "say_as": "cat and dog"}]);
    assert_eq!(said("en", swapped, "A cat, a dog."), "A dog, a cat and dog.");
    let itself = json!([{"text": "ha", "say_as": "ha ha"}]);
    assert_eq!(said("en", itself, "ha ha"), "ha ha ha ha");
    assert_eq!(said("en", json!([{"text": "x1", "say_as": "€5"}]), "An x1."), "An €5.", "as it is written");
}

#[test]
fn an_entry_of_another_language_is_left_alone() {
    let entries = json!([{"text": "Gouda", "say_as": "Howda", "language": "en"}, {"text": "Gouda", "say_as": "Gauda"}]);
    assert_eq!(said("en-GB", entries.clone(), "Gouda cheese"), "Howda cheese", "the language counts more");
    assert_eq!(said("de", entries, "Gouda"), "Gauda");
}

#[test]
fn languages_without_blanks_have_entries_within_their_text() {
    let entries = json!([{"text": "重庆", "say_as": "崇庆"}, {"text": "重", "say_as": "众"}]);
    assert_eq!(said("zh", entries, "我在重庆很重。"), "我在崇庆很众。");
}

#[test]
fn markup_of_the_text_wins_over_an_entry() {
    let both = style("en", sql()).normalize("The <spell>SQL</spell> of SQL");
    assert_eq!((both.shown.as_str(), both.spoken.ends_with("of sequel")), ("The SQL of SQL", true));
    assert!(!both.spoken.starts_with("The sequel"), "{}", both.spoken);
}

#[test]
fn sounds_are_for_voices_that_take_them() {
    let entries = json!([{"text": "Reading", "ipa": "ˈrɛdɪŋ", "say_as": "Redding"}, {"text": "Bath", "ipa": "bɑːθ"}]);
    let style = style("en", entries);
    let both = style.normalize("From Reading to Bath.");
    assert_eq!(both.spoken, "From Redding to Bath.");
    assert_eq!(
        style.for_voice("From Reading to Bath.", &both),
        "From <phoneme alphabet=\"ipa\" ph=\"ˈrɛdɪŋ\">Redding</phoneme> to <phoneme alphabet=\"ipa\" ph=\"bɑːθ\">Bath</phoneme>."
    );
}

#[test]
fn an_interrupted_sentence_is_cut_as_it_was_written() {
    let entries = json!([{"text": "WWF", "say_as": "World Wide Fund for Nature"}]);
    let mut response = AgentResponse::from_model(1, style("en", entries));
    let segments = response.text("The WWF called you.\n");
    assert_eq!(segments, [(0, "The World Wide Fund for Nature called you.".to_owned())]);
    response.mark_playing(0);
    // 42 characters in 42,000 samples.
    response.record_tts_done(0, 42_000);
    let cut_of = |response: &AgentResponse, sent| response.truncate_at(&[(0, sent)]);
    let cut = |sent| cut_of(&response, sent);
    assert_eq!(cut(4_000), ("The".to_owned(), "WWF called you.".to_owned()));
    assert_eq!(cut(9_000), ("The".to_owned(), "WWF called you.".to_owned()), "less than half of it");
    assert_eq!(cut(25_000), ("The WWF".to_owned(), "called you.".to_owned()));
    assert_eq!(cut(42_000), ("The WWF called you.".to_owned(), String::new()));
    response.add_word_timestamps(0, &[(1_000, 3), (20_000, 30), (30_000, 37), (40_000, 42)]);
    assert_eq!(
        cut_of(&response, 20_500),
        ("The WWF".to_owned(), "called you.".to_owned()),
        "by the voice's own timestamps"
    );
}
