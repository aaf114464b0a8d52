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
    check("en", "Open 9:05 to 17:00 (95% of days).", "Open 9 oh 5 to 17 o'clock (95 percent of days).");
}

#[test]
fn numbers_to_write_down_are_said_digit_by_digit() {
    check("en", "Call +31201234567.", "Call plus 3 1 2, 0 1 2, 3 4 5, 6 7.");
    check("en", "Code 48213, room 204.", "Code 4 8 2, 1 3, room 204.");
    check("en", "555-0100-22 is the number", "5 5 5, 0 1 0, 0 2 2 is the number");
}

#[test]
fn abbreviations_are_those_of_the_language() {
    check("en", "Dr. Smith, e.g. on Monday.", "Doctor Smith, for example on Monday.");
    check("nl", "Dhr. Jansen, d.w.z. 5 km verder.", "meneer Jansen, dat wil zeggen 5 kilometer verder.");
    check("de", "Nr. 5 & z.B. Berlin", "Nummer 5 und zum Beispiel Berlin");
    check("en", "No, I said no.", "No, I said no.");
}

#[test]
fn markup_emoji_and_addresses_are_not_read() {
    check("en", "**Great** news 🎉! See [our site](https://x.example/a?b=1).", "Great news ! See our site.");
    check("en", "Visit https://www.example.com/path/page.html today", "Visit example.com today");
    check("en", "# Title\n- one\n* two\n---", "Title one two");
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
            assert_eq!(said.words.iter().sum::<usize>(), said.spoken.split_whitespace().count(), "{text:?}");
            assert!(said.spoken.is_empty() || said.words.len() == said.shown.split(' ').count(), "{text:?}");
            let _ = style.with_tags(&text, &said);
        }
    }
}

#[test]
fn each_word_shown_knows_how_many_are_said() {
    let said = SpeechStyle::new("en", false).normalize("It costs €12.50 today.");
    assert_eq!(said.words, [1, 1, 3, 1]);
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
