//! Texts and their segments, in whatever portions they arrive.

use super::*;
use serde_json::Value;

fn split(style: SpeechStyle, text: &str, size: usize) -> Vec<SplitSegment> {
    let mut splitter = SentenceSplitter::new(style);
    let mut segments = vec![];
    let chars: Vec<char> = text.chars().collect();
    for chunk in chars.chunks(size) {
        splitter.push(&chunk.iter().collect::<String>(), |segment| segments.push(segment));
    }
    segments.extend(splitter.finish());
    segments
}

fn check_in(language: &str, text: &str, wanted: &[&str]) {
    for size in [1, 2, 3, 5, 1_000] {
        let segments = split(SpeechStyle::new(language, false), text, size);
        let texts: Vec<&str> = segments.iter().map(|segment| segment.text.as_str()).collect();
        assert_eq!(texts, wanted, "{language}: in chunks of {size}");
    }
}

fn check(text: &str, wanted: &[&str]) {
    check_in("en", text, wanted);
}

#[test]
fn sentences_are_cut_at_their_ends() {
    check("Hello there. How are you? Fine!", &["Hello there.", "How are you?", "Fine!"]);
    check("One\n\nTwo", &["One", "Two"]);
    check("He said \"stop.\" Then he left.", &["He said \"stop.\"", "Then he left."]);
    check(
        "I have 5. Then I left. It was Plan No. 5. Bye.",
        &["I have 5.", "Then I left.", "It was Plan No. 5.", "Bye."],
    );
    check("Is it a no? I said no. Then go.", &["Is it a no?", "I said no.", "Then go."]);
}

#[test]
fn numbers_abbreviations_and_domains_stay_whole() {
    check("It costs 3.50 euro. Visit example.com today.", &["It costs 3.50 euro.", "Visit example.com today."]);
    check("Ask Dr. Smith, e.g. at 9 a.m. tomorrow. Bye.", &["Ask Dr. Smith, e.g. at 9 a.m. tomorrow.", "Bye."]);
    check("She lives in the U.S. with J. R. Smith. Ok.", &["She lives in the U.S. with J. R. Smith.", "Ok."]);
    check("We sell pens, etc. Come by. Etc. and so on.", &["We sell pens, etc.", "Come by.", "Etc. and so on."]);
    check("It takes 20 min. from here. On Jan. 5 we close.", &["It takes 20 min. from here.", "On Jan. 5 we close."]);
    check_in(
        "de",
        "Nehmen Sie z. B. die Bahn um 12.30 Uhr. Am 3. März. Gut.",
        &["Nehmen Sie z. B. die Bahn um 12.30 Uhr.", "Am 3. März.", "Gut."],
    );
    check_in(
        "de",
        "In der Hauptstr. 5 bei Dr. Müller bzw. Weber, ca. 20 Min. zu Fuß. Ja.",
        &["In der Hauptstr. 5 bei Dr. Müller bzw. Weber,", "ca. 20 Min. zu Fuß.", "Ja."],
    );
    check_in(
        "nl",
        "Bel dhr. Jansen i.v.m. 1,5 mln. euro. Dat is goed.",
        &["Bel dhr. Jansen i.v.m. 1,5 mln. euro.", "Dat is goed."],
    );
    check_in("fr", "M. Dupont prend p. ex. le bus n° 5. Voilà.", &["M. Dupont prend p. ex. le bus n° 5.", "Voilà."]);
    check_in("it", "Il Sig. Rossi e la Sig.ra Bianchi. Ecco.", &["Il Sig. Rossi e la Sig.ra Bianchi.", "Ecco."]);
}

#[test]
fn a_small_letter_goes_on_behind_short_words() {
    check("Temps. are low. So is it.", &["Temps. are low.", "So is it."]);
    check("It is \"low.\" or so. Ok.", &["It is \"low.\" or so.", "Ok."]);
    check("It is complicated. iPhones are not.", &["It is complicated.", "iPhones are not."]);
    check("you want it. that is fine. ok.", &["you want it.", "that is fine.", "ok."]);
    check_in("de", "Am Mo. und im Dez. geht es ggü. Mai. Ja.", &["Am Mo. und im Dez. geht es ggü. Mai.", "Ja."]);
    check_in("de", "Am Di. Vormittag und Do. Abend. Gut.", &["Am Di. Vormittag und Do. Abend.", "Gut."]);
    check_in("de", "Wir kommen am Di. Vorher nicht. Gut.", &["Wir kommen am Di.", "Vorher nicht.", "Gut."]);
    check_in("fr", "Du lun. – ven. et le sam. matin. Bien.", &["Du lun. – ven. et le sam. matin.", "Bien."]);
}

#[test]
fn what_follows_a_dot_is_not_waited_for_without_end() {
    let segments_of = |text: &str| {
        let mut segments = vec![];
        SentenceSplitter::new(SpeechStyle::new("en", false)).push(text, |segment| segments.push(segment.text));
        segments
    };
    assert_eq!(segments_of("It is complicated. "), ["It is complicated."], "no abbreviation is that long");
    assert_eq!(segments_of("That is it. "), [""; 0]);
    assert_eq!(segments_of("That is it. S"), ["That is it."]);
    assert_eq!(segments_of("That is it.     "), ["That is it."], "blanks alone decide nothing");
    assert_eq!(segments_of("That is it.\n"), ["That is it."]);
}

#[test]
fn the_first_piece_may_end_at_a_comma() {
    check(
        "Let me have a look at that, one moment, please. Done.",
        &["Let me have a look at that,", "one moment, please.", "Done."],
    );
    check("Yes, of course.", &["Yes, of course."]);
    check("Your appointment is on March 12, 2026.", &["Your appointment is on March 12, 2026."]);
}

#[test]
fn a_code_is_not_parted_from_its_word() {
    check("Your confirmation code is: 482913. Bye.", &["Your confirmation code is: 482913.", "Bye."]);
}

#[test]
fn tags_are_never_split_and_close_the_sentence_before() {
    check(
        "<emphasis>Write it down.</emphasis> It is <spell>ABC</spell>. Ok.",
        &["<emphasis>Write it down.</emphasis>", "It is <spell>ABC</spell>.", "Ok."],
    );
    check(
        "Ask <sub alias=\"J. R. Smith. Or so!\">him</sub>. Ok.",
        &["Ask <sub alias=\"J. R. Smith. Or so!\">him</sub>.", "Ok."],
    );
    check("<p><s>First.</s><s>Second.</s></p>", &["<p><s>First.</s>", "<s>Second.</s></p>"]);
    check("If x < 5. And y > 3. Stop.", &["If x < 5.", "And y > 3.", "Stop."]);
}

#[test]
fn endless_text_is_cut_and_nothing_is_no_piece() {
    check("... !", &[]);
    for (text, pieces) in [("word ".repeat(100), 2), ("字".repeat(500), 1), ("ことば、".repeat(200), 3)] {
        let mut splitter = SentenceSplitter::default();
        let mut segments = vec![];
        splitter.push(&text, |segment| segments.push(segment.text));
        assert!(segments.len() >= pieces, "{segments:?}");
        assert!(segments.iter().all(|segment| segment.chars().count() <= 2 * SEGMENT_CHARS_MAX));
    }
}

#[test]
fn lengths_are_characters_and_no_word_is_cut() {
    let text = "よろしくお願いいたします".repeat(9) + "。はい。";
    let segments = split(SpeechStyle::new("ja", false), &text, 3);
    assert_eq!(segments.len(), 2, "108 characters are no long sentence: {segments:?}");
    assert!(segments[1].is_glued);
}

#[test]
fn seams_have_a_blank_only_where_one_was_written() {
    let glued = |text: &str| -> Vec<bool> {
        split(SpeechStyle::new("zh", false), text, 2).iter().map(|segment| segment.is_glued).collect()
    };
    assert_eq!(glued("您好！请讲。好的"), [false, true, true]);
    assert_eq!(glued("OK! 好的。Thanks. Bye."), [false, false, true, false]);
}

#[test]
fn each_language_is_cut_at_its_own_ends() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/spoken/sentences.jsonl");
    let file = std::fs::read_to_string(path).expect("fixtures");
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in file.lines() {
        let record: Value = serde_json::from_str(line).expect("a record");
        let text = record["text"].as_str().expect("text");
        let strings = |list: &Value| -> Vec<String> {
            list.as_array().into_iter().flatten().map(|one| one.as_str().unwrap_or("").to_owned()).collect()
        };
        let mut accepted = vec![strings(&record["segments"])];
        accepted.extend(record["also"].as_array().into_iter().flatten().map(strings));
        for size in [1, 2, 3, 7, 1_000] {
            let style = SpeechStyle::new(record["language"].as_str().unwrap_or(""), false);
            let got = without_clause_cuts(split(style, text, size));
            count += 1;
            if !accepted.contains(&got) {
                wrong.push(format!("{} in {size}: got {got:?}, wanted {:?}", record["language"], accepted[0]));
            }
        }
    }
    assert!(count > 600 && wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Cuts at commas are made for latency: such pieces are joined.
fn without_clause_cuts(segments: Vec<SplitSegment>) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for segment in segments {
        let is_clause = |last: &String| last.ends_with([',', '，', '、', '،', ';']) && !ends_sentence(last);
        match texts.last_mut().filter(|last| is_clause(last)) {
            Some(last) => {
                if !segment.is_glued {
                    last.push(' ');
                }
                last.push_str(&segment.text);
            }
            None => texts.push(segment.text),
        }
    }
    texts
}

#[test]
fn a_sentence_that_ends_whole_need_not_wait_and_others_do() {
    let ends_after = |language: &str, text: &str, stall: Stall| {
        let mut splitter = SentenceSplitter::new(SpeechStyle::new(language, false));
        splitter.push(text, |segment| panic!("{segment:?}"));
        let ended = splitter.end_sentence(stall).map(|segment| segment.text);
        assert!(ended.is_none() || splitter.pending.is_empty());
        ended
    };
    let ends = |language: &str, text: &str| ends_after(language, text, Stall::Brief);
    for text in ["It is here.", "Is it?", "Yes!", "He said \"stop.\"", "Well…", "Is it 12?", "Wait..."] {
        assert_eq!(ends("en", text).as_deref(), Some(text));
    }
    for text in [
        "It is",
        "It costs 12.",
        "Ask Dr.",
        "It is at 9 a.m.",
        "We sell pens, etc.",
        "Visit www.example.",
        "e.g.",
        "J.",
        "1.",
        "Write to info@example.",
        "Wait <break time=\"1s.",
    ] {
        assert_eq!(ends("en", text), None, "{text}");
    }
    assert_eq!(ends("de", "Am 3."), None);
    assert_eq!(ends("en", "That is it. ").as_deref(), Some("That is it."));
    for (language, text) in
        [("en", "It is at 9 a.m. "), ("en", "Ask Dr. "), ("en", "1. "), ("de", "Am 3. "), ("en", "It costs 12.")]
    {
        assert_eq!(ends(language, text), None, "{text}");
        assert_eq!(ends_after(language, text, Stall::Long).as_deref(), Some(text.trim_end()), "{text}");
    }
    for text in ["It is", "Wait <break time=\"1s."] {
        assert_eq!(ends_after("en", text, Stall::Long), None, "{text}");
    }
    assert_eq!(ends("de", "Das ist gut.").as_deref(), Some("Das ist gut."));
    assert_eq!(ends("fr", "C'est ici !").as_deref(), Some("C'est ici !"));
}

#[test]
fn what_follows_a_sentence_that_did_not_wait_is_joined_as_it_was_written() {
    for (text, is_glued) in [(" And more.\n", false), ("And more.\n", true)] {
        let mut splitter = SentenceSplitter::new(SpeechStyle::default());
        splitter.push("It is here.", |segment| panic!("{segment:?}"));
        assert!(splitter.end_sentence(Stall::Brief).is_some());
        let mut seen = vec![];
        splitter.push(text, |segment| seen.push(segment));
        assert_eq!(seen, [SplitSegment { text: "And more.".into(), is_glued }]);
    }
}

#[test]
fn within_a_sentence_whole_words_are_passed_on() {
    for (text, passed) in [
        ("It is on its way and", Some("It is on its way")),
        ("It is on its way ", Some("It is on its way")),
        ("It", None),
        ("It is <break ti", None),
        ("您的订单已经发货", Some("您的订单已经发货")),
    ] {
        let mut splitter = SentenceSplitter::new(SpeechStyle::default());
        splitter.push(text, |_| unreachable!("no sentence ends"));
        let segment = splitter.end_sentence(Stall::Within).map(|segment| segment.text);
        assert_eq!(segment.as_deref(), passed, "{text}");
        let rest = splitter.finish().map(|segment| segment.text).unwrap_or_default();
        let joined = format!("{} {rest}", segment.unwrap_or_default());
        assert_eq!(joined.trim(), text.trim(), "nothing is lost or said twice");
    }
}
