//! Texts as they are shown and as they are spoken, in each language.

use super::*;

mod amounts;
mod keys_and_fractions;
mod short_forms;

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
    assert_eq!(acting.for_voice(text, &acting.normalize(text)), text);
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
        "*",
        "#",
        "/",
        "1/2",
        "½",
        "x",
        "Mon.",
        "kg",
    ];
    let mut dice = 1u64;
    for _ in 0..12_000 {
        let mut text = String::new();
        for _ in 0..12 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            text.push_str(BITS[(dice >> 33) as usize % BITS.len()]);
        }
        for language in ["en", "nl", "de", "fr", ["es", "it", "pt", "pl"][(dice >> 40) as usize % 4]] {
            let style = SpeechStyle::new(language, true);
            let said = style.normalize(&text);
            check_parts(&said, &text);
            let _ = style.for_voice(&text, &said);
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

#[test]
fn amounts_of_every_shape_keep_their_value() {
    for (language, text, spoken) in [
        ("en", "$1.5 million", "1.5 million dollars"),
        ("en", "€12.5", "12 euros 50"),
        ("en", "$0.5 or $0.50", "50 cents or 50 cents"),
        ("en", "$3.999 a gallon", "3.999 dollars a gallon"),
        ("en", "5.00 USD, -$5, $-5", "5 US dollars, minus 5 dollars, minus 5 dollars"),
        ("en", "$5K, £3.5bn and $1.5M-$2M", "5 thousand dollars, 3.5 billion pounds and 1.5 to 2 million dollars"),
        ("en", "$1,2,3 and $1.2.3", "$1,2,3 and $1.2.3"),
        ("en", "a $2.50 fee, the $50 is due", "a 2 dollar 50 fee, the 50 dollars is due"),
        ("nl", "€12,5 miljoen of €1,5 miljard", "12,5 miljoen euro of 1,5 miljard euro"),
        ("nl", "U betaalt 12,5 euro.", "U betaalt 12 euro 50."),
        ("de", "€12,5 Millionen", "12,5 Millionen Euro"),
        ("de", "Kosten: EUR 1.000,-", "Kosten: 1000 Euro"),
        ("fr", "€1,5 million et 5 k€", "1,5 million d'euros et 5 mille euros"),
    ] {
        check(language, text, spoken);
    }
}

#[test]
fn the_words_around_a_time_decide() {
    for (language, text, spoken) in [
        ("nl", "Om 10:00 uur, om 17:30 uur.", "Om 10 uur, om 17 uur 30."),
        ("de", "um 10:00 Uhr", "um 10 Uhr"),
        ("de", "Um 17:30 Uhr.", "Um 17 Uhr 30."),
        ("en", "10:00 AM, 10:00 a.m. or 12:00 noon", "10 AM, 10 AM or 12 noon"),
        ("en", "9:00 AM to 5:00 PM", "9 AM to 5 PM"),
        ("en", "at 17:00, not 0:30", "at 17 hundred, not half past midnight"),
        ("en", "The ratio is 3:10", "The ratio is 3 to 10"),
        ("en", "Score 2:00, John 3:16", "Score 2:00, John 3:16"),
        ("en", "It takes 1:30 hours.", "It takes 1:30 hours."),
        ("fr", "Entre 9h et 17h30, 24h/24.", "Entre 9 heures et 17 heures 30, 24 heures sur 24."),
        ("fr", "Du lun.-ven.", "Du lundi au vendredi."),
        ("it", "Dal 3-5 giugno", "Dal 3 al 5 giugno"),
    ] {
        check(language, text, spoken);
    }
}

#[test]
fn a_phone_number_is_one_number_whatever_parts_its_groups() {
    for (language, text, spoken) in [
        ("en", "(415) 555-0123", "4 1 5, 5 5 5, 0 1 2 3"),
        ("en", "+1 (415) 555-0123", "plus 1, 4 1 5, 5 5 5, 0 1 2 3"),
        ("en", "+31 20 123 4567", "plus 3 1, 2 0, 1 2 3, 4 5 6 7"),
        ("en", "+44 20 7946 0018", "plus 4 4, 2 0, 7 9 4 6, 0 0 1 8"),
        ("en", "1300 555 019", "1 3 0 0, 5 5 5, 0 1 9"),
        ("en", "0800 - 12 34", "0 8 0 0, 1 2, 3 4"),
        ("en", "415.555.0123", "4 1 5, 5 5 5, 0 1 2 3"),
        ("de", "030 1234567", "0 3 0, 1 2 3, 4 5 6 7"),
        ("it", "Chiami il 333 1234567.", "Chiami il 3 3 3, 1 2 3, 4 5 6 7."),
        ("en", "The numbers are 4 8 15 16 23 42.", "The numbers are 4 8 15 16 23 42."),
        ("en", "In 2019 1500 people came.", "In 2019 1500 people came."),
    ] {
        check(language, text, spoken);
    }
}

#[test]
fn quantities_are_numbers_and_codes_are_digits() {
    for (language, text, spoken) in [
        ("en", "15000 euros, 12500 km", "15000 euros, 12500 kilometers"),
        ("en", "a population of 250000 people", "a population of 250000 people"),
        ("en", "order 48213, ZIP 94107", "order 4 8 2 1 3, ZIP 9 4 1 0 7"),
        ("en", "We order 15000 boxes.", "We order 15000 boxes."),
        ("en", "Flight UA 1234", "Flight U A, 1 2 3 4"),
        ("nl", "15000 euro", "15000 euro"),
        ("fr", "La ville compte 250000 habitants.", "La ville compte 250000 habitants."),
    ] {
        check(language, text, spoken);
    }
}

#[test]
fn addresses_are_hosts_and_mailboxes() {
    for (language, text, spoken) in [
        ("en", "www.example.com/pay", "example dot com"),
        ("en", "example.com/pay?id=3", "example dot com"),
        ("en", "ann.lee@example.co.uk", "ann dot lee at example dot co dot uk"),
        ("nl", "info@acme.nl", "info apenstaartje acme punt nl"),
        ("en", "https://sub.example.com:8080/x", "sub dot example dot com"),
        ("en", "Node.js, report.pdf, home.So", "Node.js, report.pdf, home.So"),
    ] {
        check(language, text, spoken);
    }
}

#[test]
fn tags_are_taken_out_and_act() {
    let text = "Your code is <break time=\"1s\"/> 4 7 1. <emphasis>Write it down.</emphasis> It is <spell>ABC</spell>.";
    check("en", text, "Your code is, 4 7 1. Write it down. It is A B C.");
    check("zh", "<speak>您好！<break/>请讲。</speak>", "您好！ 请讲。");
    check("en", "a <b and c> d, 3 < 5, <3", "a <b and c> d, 3 < 5, <3");
    assert_eq!(SpeechStyle::new("en", false).plain().normalize(text).spoken.matches("ABC").count(), 0);
    let plain = SpeechStyle::new("en", false).plain().normalize("**It** costs $5.");
    assert_eq!(plain.spoken, "It costs $5.");
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
    check_corpus("en", 250);
}

#[test]
fn the_dutch_corpus_is_spoken_as_written_there() {
    check_corpus("nl", 125);
}

#[test]
fn the_german_corpus_is_spoken_as_written_there() {
    check_corpus("de", 125);
}

#[test]
fn the_french_corpus_is_spoken_as_written_there() {
    check_corpus("fr", 110);
}

#[test]
fn the_spanish_corpus_is_spoken_as_written_there() {
    check_corpus("es", 57);
}

#[test]
fn the_italian_corpus_is_spoken_as_written_there() {
    check_corpus("it", 57);
}

#[test]
fn the_portuguese_corpus_is_spoken_as_written_there() {
    check_corpus("pt", 57);
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
        for end in (0..=slice.len()).filter(|end| slice.is_char_boundary(*end)).step_by(5) {
            let style = SpeechStyle::new(languages[roll(languages.len())], roll(2) == 0);
            let said = style.normalize(&slice[..end]);
            if !said.spoken.is_empty() {
                check_parts(&said, &slice[..end]);
            }
        }
    }
}

/// Work that grows faster than the text would take minutes here.
#[test]
fn monotonous_texts_of_any_length_can_be_said() {
    for bit in [
        "1.",
        "<a",
        "[",
        "[a](",
        "# ",
        "(",
        "1-",
        "+1 ",
        "A1 ",
        "0 ",
        "<!--",
        "**",
        "\"",
        "$1,",
        "1:0",
        "&#",
        "é",
        ").",
        "*1",
        "*1 ",
        "**1 ",
        "1/2 ",
        "$½",
        "2x",
        "1x1 m ",
        "Mon. ",
        "nr. 4711 ",
        "call 911, ",
        "\\*",
    ] {
        let said = SpeechStyle::new("en", false).normalize(&bit.repeat(3_000));
        assert!(said.spoken.len() <= 30_000.max(bit.len() * 15_000), "{bit}");
    }
}

/// The same for what other languages write.
#[test]
fn monotonous_texts_of_each_language_can_be_said() {
    for (language, bit) in [
        ("de", "12.5. "),
        ("de", "3.-5.4. "),
        ("de", "bis +2 "),
        ("de", "14:30–18 "),
        ("de", "+49 (0) 30 / "),
        ("it", "al 2° "),
        ("it", "2 h "),
        ("es", "tel. 91 "),
        ("es", "los km 12 "),
        ("es", "5 de mar. "),
        ("es", "C.P. 28028 "),
        ("pt", "3 x 0 "),
        ("pt", "R$ 2 mi "),
        ("fr", "75002 Paris "),
        ("fr", "± 1 "),
        ("nl", "fl. 5 "),
        ("en", "10 W 34th St. "),
        ("en", "IL 62704 "),
        ("en", "1-2-3-4 "),
        ("en", "Conf. Rm. "),
    ] {
        let said = SpeechStyle::new(language, false).normalize(&bit.repeat(2_000));
        assert!(said.spoken.len() <= bit.len() * 20_000, "{bit}");
    }
}
