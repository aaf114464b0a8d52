//! Texts as they are shown and as they are spoken, in each language.

use super::*;

fn check(language: &str, text: &str, spoken: &str) {
    assert_eq!(SpeechStyle::new(language, false).normalize(text).spoken, spoken, "{text}");
}

#[test]
fn amounts_dates_and_times_are_written_out() {
    check("en", "That is €12.50, or $5.", "That is 12 euros 50, or 5 dollars.");
    check("nl", "Dat kost €1.250,00.", "Dat kost 1250 euro.");
    check("de", "Am 2026-11-21 um 14:30.", "Am 21. November 2026 um 14 Uhr 30.");
    check("fr", "Le 2026-02-03 à 9:00", "Le 3 février 2026 à 9 heures");
    check("en", "Open 9:05 to 17:00 (95% of days).", "Open 9 oh 5 to 17 hundred (95 percent of days).");
}

#[test]
fn numbers_to_write_down_are_said_digit_by_digit() {
    check("en", "Call +31201234567.", "Call plus 3 1 2, 0 1 2, 3 4 5, 6 7.");
    check("en", "Code 48213, room 204.", "Code 4 8 2 1 3, room 204.");
    check("en", "call 555-0100", "call 5 5 5, 0 1 0 0");
}

#[test]
fn abbreviations_are_those_of_the_language() {
    check("en", "Dr. Smith, e.g. on Monday.", "Doctor Smith, for example on Monday.");
    check("nl", "Dhr. Jansen, d.w.z. 5 km verder.", "Meneer Jansen, dat wil zeggen 5 kilometer verder.");
    check("de", "Nr. 5 & z.B. Berlin", "Nummer 5 und zum Beispiel Berlin");
    check("en", "No, I said no.", "No, I said no.");
}

#[test]
fn markup_emoji_and_addresses_are_not_read() {
    check("en", "**Great** news 🎉! See [our site](https://x.example/a?b=1).", "Great news! See our site.");
    check("en", "Visit https://www.example.com/path/page.html today", "Visit example dot com today");
    check("en", "# Title\n- one\n* two\n---", "Title. one. two.");
    check("en", "🎉👍🏽", "");
    check("pl", "**Cena** €5", "Cena €5");
}

#[test]
fn stage_directions_go_only_to_tts_that_support_them() {
    let text = "[laughs] That is [whispers] funny, [DTMF 12] see.";
    let said = SpeechStyle::new("en", false).normalize(text);
    assert_eq!(
        (said.shown.as_str(), said.spoken.as_str()),
        ("That is funny, [DTMF 12] see.", "That is funny, [DTMF 12] see.")
    );
    let acting = SpeechStyle::new("en", true);
    assert_eq!(acting.with_tags(text, &acting.normalize(text)), text);
    assert_eq!(acting.normalize("[sighs]").spoken, "");
}

#[test]
fn any_text_can_be_said_and_every_word_of_it_is_accounted_for() {
    const BITS: &[&str] = &[
        "€",
        "12.50",
        "$",
        "%",
        "[",
        "](",
        ")",
        "whispers",
        "]",
        "🎉",
        "é",
        "2026-11-21",
        ":",
        "14:30",
        "+31",
        "-",
        ".",
        ",",
        " ",
        " ",
        "\n",
        "**",
        "Dr.",
        "https://",
        "ß",
        "n°",
        "°C",
        "5",
        "99999",
        "…",
        "'",
        "\u{200d}",
    ];
    let mut dice = 1u64;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..12 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            text.push_str(BITS[(dice >> 33) as usize % BITS.len()]);
        }
        for language in ["en", "nl", "de", "fr", "pl"] {
            let style = SpeechStyle::new(language, true);
            let said = style.normalize(&text);
            check_parts(&said, &text);
            let _ = style.with_tags(&text, &said);
        }
    }
}

/// Every place of the spoken text belongs to one of the shown text, in order.
fn check_parts(said: &NormalizedText, text: &str) {
    let mut last = 0;
    for (at, _) in said.spoken.char_indices() {
        let shown = said.shown_by(at);
        assert!(shown >= last && said.shown.is_char_boundary(shown), "{text:?}");
        last = shown;
    }
    assert_eq!(said.shown_by(said.spoken.len()), said.shown.len(), "{text:?}");
}

#[test]
fn each_place_of_the_spoken_text_is_found_in_the_shown_one() {
    let said = SpeechStyle::new("en", false).normalize("It costs €12.50 today.");
    assert_eq!(said.spoken, "It costs 12 euros 50 today.");
    let shown = |spoken: &str| &said.shown[..said.shown_by(spoken.len())];
    assert_eq!(shown("It costs"), "It costs");
    assert_eq!(shown("It costs 12"), "It costs ");
    assert_eq!(shown("It costs 12 euros"), "It costs €12.50");
    assert_eq!(shown("It costs 12 euros 50 today"), "It costs €12.50 today");
    check_parts(&said, &said.shown);
}

fn corpus() -> Vec<serde_json::Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/spoken/corpus.jsonl");
    let file = std::fs::read_to_string(path).expect("fixtures");
    file.lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
}

/// Runs the records of a language.
fn check_corpus(language: &str, at_least: usize) {
    let mut wrong = Vec::new();
    let mut count = 0;
    for record in corpus() {
        let code = record["language"].as_str().expect("language");
        if code.split('-').next() != Some(language) {
            continue;
        }
        count += 1;
        let written = record["written"].as_str().expect("written");
        let said = SpeechStyle::new(code, false).normalize(written);
        let wanted: Vec<&str> =
            record["spoken"].as_array().into_iter().flatten().filter_map(|one| one.as_str()).collect();
        if !wanted.contains(&said.spoken.as_str()) {
            wrong.push(format!("{code}: {written:?}\n   got    {:?}\n   wanted {:?}", said.spoken, wanted[0]));
        }
        let again = SpeechStyle::new(code, false).normalize(&said.spoken).spoken;
        if again != said.spoken {
            wrong.push(format!("{code}: again: {:?}\n   got    {again:?}", said.spoken));
        }
        check_parts(&said, written);
    }
    assert!(count >= at_least && wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_english_corpus_is_spoken_as_written_there() {
    check_corpus("en", 220);
}

#[test]
fn the_dutch_corpus_is_spoken_as_written_there() {
    check_corpus("nl", 100);
}

#[test]
fn the_german_corpus_is_spoken_as_written_there() {
    check_corpus("de", 100);
}

#[test]
fn the_french_corpus_is_spoken_as_written_there() {
    check_corpus("fr", 90);
}

#[test]
fn the_spanish_corpus_is_spoken_as_written_there() {
    check_corpus("es", 50);
}

#[test]
fn the_italian_corpus_is_spoken_as_written_there() {
    check_corpus("it", 50);
}

#[test]
fn the_portuguese_corpus_is_spoken_as_written_there() {
    check_corpus("pt", 50);
}

#[test]
fn any_slice_of_the_corpus_can_be_said() {
    let languages = ["en", "en-GB", "nl", "de", "fr", "es-MX", "it", "pt", "zh"];
    let mut dice = 7u64;
    let mut roll = |sides: usize| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (dice >> 33) as usize % sides.max(1)
    };
    let texts: Vec<String> =
        corpus().iter().filter_map(|record| record["written"].as_str().map(str::to_owned)).collect();
    for text in &texts {
        let chars: Vec<char> = text.chars().collect();
        let from = roll(chars.len());
        let other: Vec<char> = texts[roll(texts.len())].chars().collect();
        let mut slice: String = chars[from..].iter().collect();
        slice.extend(&other[..roll(other.len())]);
        for end in (0..=slice.len()).filter(|end| slice.is_char_boundary(*end)) {
            let style = SpeechStyle::new(languages[roll(languages.len())], roll(2) == 0);
            let said = style.normalize(&slice[..end]);
            if !said.spoken.is_empty() {
                check_parts(&said, &slice[..end]);
            }
        }
    }
}

#[test]
fn time_grows_with_the_text_alone() {
    for bit in [
        "1.", "<a", "[", "[a](", "# ", "(", "1-", "+1 ", "A1 ", "0 ", "<!--", "**", "\"", "$1,", "1:0", "&#", "é", ").",
    ] {
        let text = bit.repeat(20_000);
        let began = std::time::Instant::now();
        let _ = SpeechStyle::new("en", false).normalize(&text);
        assert!(began.elapsed().as_secs() < 20, "{bit}");
    }
}

#[test]
fn each_language_has_its_own_units_currencies_and_months() {
    check("en", "7 km, $1, $2, 2026-05-03.", "7 kilometers, 1 dollar, 2 dollars, May 3, 2026.");
    check("nl", "7 km, $1, $2, 2026-05-03.", "7 kilometer, 1 dollar, 2 dollar, 3 mei 2026.");
    check("de", "7 km, $1, $2, 2026-05-03.", "7 Kilometer, 1 Dollar, 2 Dollar, 3. Mai 2026.");
    check("fr", "7 km, $1, $2, 2026-05-03.", "7 kilomètres, 1 dollar, 2 dollars, 3 mai 2026.");
    check("de", "21 °C oder £3", "21 Grad oder 3 Pfund");
    check("nl", "21 °C of £3", "21 graden of 3 pond");
}
