//! What words say about the end of a turn.

use super::*;

fn check(text: &str, code: &str, wanted: Completeness) {
    assert_eq!(completeness(text, code), wanted, "{text}");
}

#[test]
fn complete_answers() {
    for text in ["I would like to know where my order is.", "What do I need that for?", "Which one is it on?"] {
        check(text, "en", Completeness::Complete);
    }
    for text in ["yes", "No, thank you.", "that's right", "I would like to order a pizza.", "what time is it?"] {
        check(text, "en", Completeness::Complete);
    }
    check("ja graag", "nl-NL", Completeness::Complete);
    check("das stimmt", "de", Completeness::Complete);
    check("non merci", "fr", Completeness::Complete);
}

#[test]
fn sentences_without_blanks_end_with_their_marks() {
    for text in ["我的订单在哪里？", "注文はどこですか。", "谢谢！"] {
        check(text, "zh", Completeness::Complete);
    }
    for text in ["我的订单号是，", "あのう、"] {
        check(text, "ja", Completeness::Unfinished);
    }
}

#[test]
fn unfinished_clauses() {
    check("Yes,", "en", Completeness::Unfinished);
    check("Thank you,", "en", Completeness::Unfinished);
    for text in ["my number is", "I want to, um", "and", "I'd like a table for", "Well,", "let me think.", "because"] {
        check(text, "en", Completeness::Unfinished);
    }
    check("ik wil graag een", "nl", Completeness::Unfinished);
    check("ich brauche einen", "de", Completeness::Unfinished);
}

#[test]
fn caller_spells_or_dictates() {
    for text in [
        "four two",
        "my number is 0 6 1 2",
        "it's 555",
        "J O H N",
        "john at example dot",
        "john@example",
        "M as in Mike, R S",
    ] {
        check(text, "en", Completeness::Dictation);
    }
    check("nul zes een twee", "nl", Completeness::Dictation);
    check("john@example.com", "en", Completeness::Undecided);
}

#[test]
fn other_text_is_undecided() {
    for text in ["I want to order a pizza", "two", "john@example.com"] {
        check(text, "en", Completeness::Undecided);
    }
}

#[test]
fn an_address_ends_with_the_letters_of_its_country() {
    check("john@example.n", "en", Completeness::Dictation);
    check("john@example.nl", "en", Completeness::Undecided);
}
