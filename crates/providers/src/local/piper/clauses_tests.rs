//! How texts are cut for a voice, and what is made of espeak-ng's lines.

use super::*;

fn cut(text: &str) -> Vec<String> {
    clauses(text).into_iter().map(|clause| format!("{}|{}", clause.words, clause.mark)).collect()
}

#[test]
fn marks_end_clauses_and_signs_within_words_do_not() {
    assert_eq!(cut("Good morning, how can I help you?"), ["Good morning|,", "how can I help you|?"]);
    assert_eq!(cut("It's 3.5 percent; don't wait..."), ["It's 3.5 percent|;", "don't wait|."]);
    assert_eq!(cut("He said \"no.\" Then: yes!"), ["He said \"no|.", "\" Then|:", "yes|!"]);
    assert_eq!(cut("one\ntwo\r\n three"), ["one two three|."]);
    assert_eq!(cut("Really?! Ja — nee. 你好。再见"), ["Really|?", "Ja|,", "nee|.", "你好|.", "再见|."]);
    assert_eq!(cut(" ... ?! - "), Vec::<String>::new());
    assert_eq!(cut(""), Vec::<String>::new());
}

#[test]
fn word_ends_count_in_the_characters_of_the_text() {
    let text = "Zoë,  says: héllo you.";
    let said: Vec<String> = clauses(text)
        .iter()
        .flat_map(|clause| clause.word_ends.clone())
        .map(|end| text.chars().take(end as usize).collect())
        .collect();
    assert_eq!(said, ["Zoë", "Zoë,  says", "Zoë,  says: héllo", "Zoë,  says: héllo you"]);
}

#[test]
fn a_clause_without_marks_is_cut_between_words_and_no_word_is_lost() {
    let text = "word ".repeat(200);
    let made = clauses(&text);
    assert!(made.len() >= 5);
    assert!(made.iter().all(|clause| clause.words.chars().count() <= CLAUSE_CHARS_MAX + 50));
    assert_eq!(made.iter().map(|clause| clause.word_ends.len()).sum::<usize>(), 200);
    let endless = clauses(&"x".repeat(20_000));
    assert_eq!(endless.len(), 1);
    assert_eq!(endless[0].words.len(), TEXT_CHARS_MAX);
}

#[test]
fn the_first_part_is_short_and_later_ones_are_long() {
    let text = "Good morning, this is the office of Acme. We sell very many things, and we sell them every day. Call us, or \
        write to us, whatever you like better, and we will answer as soon as we can. Goodbye.";
    let made = parts(clauses(text));
    let lengths: Vec<usize> = made.iter().map(|part| part.iter().map(|clause| clause.words.len()).sum()).collect();
    assert_eq!(made.iter().map(Vec::len).sum::<usize>(), clauses(text).len());
    assert!(lengths[0] < 60 && lengths[1..lengths.len() - 1].iter().all(|length| *length >= PART_CHARS), "{lengths:?}");
    assert_eq!(parts(Vec::new()), Vec::<Vec<Clause>>::new());
}

#[test]
fn phonemes_lose_what_is_no_sound() {
    let two = clauses("Good morning, you.");
    assert_eq!(phonemes(&two, "ɡˈʊd mˈɔːɹnɪŋ\njuː\n"), ["ɡˈʊd mˈɔːɹnɪŋ", "juː"]);
    assert_eq!(phonemes(&two, " ɡˈʊd  (en)mˈɔːnɪŋ(nl)\n\n(fr-be)ʒu\u{200d}ː\n"), ["ɡˈʊd mˈɔːnɪŋ", "ʒuː"]);
    assert_eq!(phonemes(&two, "ɡˈʊd\nmˈɔːɹnɪŋ\njuː"), ["ɡˈʊd mˈɔːɹnɪŋ juː"], "another number of lines");
    assert_eq!(phonemes(&two, ""), [""]);
    assert_eq!(phonemes(&two[..1], "a_b (unfinished"), ["ab"]);
}
