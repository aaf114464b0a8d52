//! What the policy makes of words, in each language.

use super::super::asked::Asked;
use super::super::evidence::{MarkHabit, StopTrust};
use super::*;

/// The probability of final words that we asked STT for, which is no evidence.
fn probability(text: &str, language: &str, question: Asked) -> f32 {
    judge(&Evidence {
        words: text,
        language,
        is_interim: false,
        words_after_sound: Some(Duration::from_millis(200)),
        marks: MarkHabit::default(),
        stops: StopTrust::Unknown,
        stt: SttSign::None,
        asked: question,
        prosody: None,
    })
    .probability
}

/// The wait with the default settings.
fn wait_ms(text: &str, language: &str, question: &str) -> u128 {
    let waits = super::super::end_of_turn::EndOfTurnConfig::default().waits;
    waits.wait(probability(text, language, super::super::asked_of(question, language))).as_millis()
}

#[test]
fn the_wait_falls_as_the_probability_rises() {
    let waits = super::super::end_of_turn::EndOfTurnConfig::default().waits;
    let at = |probability: f32| waits.wait(probability).as_millis();
    assert_eq!([at(0.0), at(0.1), at(0.5), at(0.9), at(1.0)], [3_000, 2_000, 700, 300, 100]);
    assert!((0..100).all(|step| at(step as f32 / 100.0) >= at((step + 1) as f32 / 100.0)));
    assert_eq!((at(-1.0), at(2.0), at(f32::NAN)), (3_000, 100, 100), "no number of any kind is a panic");
}

#[test]
fn settings_that_contradict_each_other_still_fall() {
    let ms = Duration::from_millis;
    for odd in [[500, 300, 200, 100, 50], [0, 0, 0, 0, 0], [0, 5_000, 10, 0, 0], [100, 300, 900, 0, 2_000]] {
        let [min_silence, complete_silence, silence, unfinished_silence, max_silence] = odd.map(ms);
        let waits = WaitCurve { min_silence, complete_silence, silence, unfinished_silence, max_silence };
        let all: Vec<Duration> = (0..=50).map(|step| waits.wait(step as f32 / 50.0)).collect();
        assert!(all.is_sorted_by(|one, next| one >= next), "{odd:?}: {all:?}");
        assert!(all.iter().all(|wait| *wait >= min_silence), "{odd:?}");
    }
}

#[test]
fn what_was_cut_off_is_waited_for() {
    for text in [
        "The party you are trying to reach",
        "You have entered",
        "My order number is",
        "My order number is.",
        "One moment, please.",
        "Just a second.",
        "If this is the person you are looking for",
        "I would like a table for",
    ] {
        assert!(wait_ms(text, "en", "How can I help you?") >= 1_400, "{text}");
        assert!(wait_ms(text, "en", "") >= 1_300, "{text}");
    }
    for (question, text) in [
        ("What is your order number?", "four two"),
        ("What is your order number?", "seven"),
        ("Could you spell your name?", "B"),
        ("Could you spell your name?", "bravo oscar"),
        ("Which days?", "Monday"),
        ("What is your phone number?", "zero six one two"),
    ] {
        assert!(wait_ms(text, "en", question) >= 1_400, "{text}");
    }
}

#[test]
fn what_is_complete_is_answered_soon() {
    for (question, text) in [
        ("Is that correct?", "Yes."),
        ("Is that correct?", "yes"),
        ("Is there anything else?", "No, that's all."),
        ("How many people?", "two"),
        ("What time would suit you?", "11:30 AM."),
        ("", "I would like to know where my order is."),
        ("", "I would like to know where my order is"),
        ("Can you hear me?", "yes I can"),
        ("Is that right?", "I think so"),
        ("How can I help you?", "I would like to cancel my contract."),
        ("How can I help you?", "Where is my order?"),
        ("What is your phone number?", "two one two five five five one two three four"),
        ("What did the message say?", "the line is busy"),
    ] {
        assert!(wait_ms(text, "en", question) <= 400, "{text}: {}", wait_ms(text, "en", question));
    }
}

#[test]
fn each_language_has_its_words() {
    for (language, open, complete) in [
        ("nl-NL", "mijn ordernummer is", "Waar is mijn bestelling?"),
        ("nl", "ik wil graag een", "ja graag"),
        ("nl", "Een ogenblik, alstublieft.", "dat klopt"),
        ("de", "ich brauche einen", "das stimmt"),
        ("de", "ich hätte gerne", "ich wollte wissen wo mein Paket ist"),
        ("nl", "ik zou graag", "ik wilde weten waar mijn pakket is"),
        ("de-AT", "Einen Moment, bitte.", "Ich möchte meinen Vertrag kündigen."),
        ("fr", "je voudrais un", "non merci"),
        ("fr-CA", "Un instant, s'il vous plaît.", "Où est ma commande ?"),
        ("es", "quiero cambiar mi", "Sí."),
        ("es-MX", "Un momento, por favor.", "No, eso es todo."),
        ("it", "il mio numero è", "Sì, grazie."),
        ("it", "Un attimo.", "no grazie"),
        ("pt-BR", "o meu número é", "não obrigado"),
        ("pt", "Só um momento.", "Sim."),
        ("multi", "ik wil graag een", "non merci"),
    ] {
        assert!(wait_ms(open, language, "") >= 1_300, "{open}");
        assert!(wait_ms(complete, language, "") <= 400, "{complete}: {}", wait_ms(complete, language, ""));
    }
}

#[test]
fn each_language_knows_what_was_asked() {
    for (language, question, wanted) in [
        ("en", "What is your order number?", Asked::Number),
        ("en", "Is your order number 4271?", Asked::YesNo),
        ("en", "Could you tell me your phone number, please?", Asked::Digits { min: 10, max: 11 }),
        ("nl", "Wat is uw postcode?", Asked::Digits { min: 4, max: 4 }),
        ("nl", "Kan ik verder nog iets voor u doen?", Asked::AnythingElse),
        ("de", "Wie ist Ihre Kundennummer?", Asked::Number),
        ("de", "Womit kann ich Ihnen helfen?", Asked::Story),
        ("fr", "Quel est votre numéro de téléphone ?", Asked::Digits { min: 10, max: 10 }),
        ("es", "¿Cuál es su fecha de nacimiento?", Asked::Date),
        ("it", "Come posso aiutarla?", Asked::Story),
        ("pt", "Qual é o seu nome completo?", Asked::Name),
        ("xx", "What is your name?", Asked::Nothing),
    ] {
        assert_eq!(super::super::asked_of(question, language), wanted, "{question}");
    }
}

#[test]
fn languages_without_a_table_have_marks_and_the_timer() {
    for text in ["我的订单在哪里？", "注文はどこですか。"] {
        assert!(wait_ms(text, "zh", "") <= 400, "{text}");
    }
    for text in ["我的订单号是，", "あのう、"] {
        assert!(wait_ms(text, "ja", "") >= 1_400, "{text}");
    }
    assert_eq!(wait_ms("gdzie jest moja", "pl", ""), 700, "as silence alone");
    assert_eq!(probability("", "en", Asked::Nothing), 0.0);
}

#[test]
fn stt_is_evidence_and_no_verdict() {
    let judged = |words: &str, stt| {
        let evidence = Evidence {
            words,
            language: "en",
            is_interim: false,
            words_after_sound: None,
            marks: MarkHabit::default(),
            stops: StopTrust::Unknown,
            stt,
            asked: Asked::Nothing,
            prosody: None,
        };
        judge(&evidence).probability
    };
    assert!(judged("my number is", SttSign::EndOfTurn) < 0.2, "a turn model does not end an open clause");
    assert!(judged("I want to order a pizza", SttSign::EndOfTurn) > 0.95);
    assert!(judged("two people", SttSign::SpeechFinal) > judged("two people", SttSign::None));
    assert!(judged("my number is", SttSign::SpeechFinal) < 0.1 && judged("my number is", SttSign::UtteranceEnd) < 0.1);
}

#[test]
fn the_voice_counts_where_it_is_measured() {
    let heard = |fall: f32, lengthening: f32| {
        let evidence = Evidence {
            words: "the line is busy",
            language: "en",
            is_interim: false,
            words_after_sound: None,
            marks: MarkHabit::default(),
            stops: StopTrust::Unknown,
            stt: SttSign::None,
            asked: Asked::Nothing,
            prosody: Some(Prosody { fall, lengthening }),
        };
        judge(&evidence)
    };
    assert!(heard(1.0, 0.0).probability > heard(0.0, 0.0).probability);
    assert!(heard(-1.0, 0.0).probability < heard(0.0, 0.0).probability);
    assert!(heard(0.0, 1.0).probability < heard(0.0, 0.0).probability);
    assert!(heard(-1.0, 1.0).reasons.iter().any(|(cue, counted)| *cue == Cue::VoiceHeld && *counted < 0.0));
}

#[test]
fn a_sentence_without_the_number_that_was_asked_for_is_not_the_answer() {
    let question = "What is your phone number?";
    for text in ["You are entering conference", "I am calling from my office", "it is on the letter that you sent"] {
        assert!(wait_ms(text, "en", question) >= 500, "{text}");
        assert!(wait_ms(text, "en", "What did it say?") < 450, "{text}: it answers other questions");
    }
    assert!(wait_ms("You are entering conference number", "en", question) >= 1_300, "and its name announces it");
    for text in [
        "I don't have it here",
        "I have lost it",
        "can I use my name",
        "the number is two one two five five five one two three four",
    ] {
        assert!(wait_ms(text, "en", question) <= 450, "{text}: {}", wait_ms(text, "en", question));
    }
}

#[test]
fn an_object_before_its_clause_is_not_missed() {
    for text in ["that is all I need", "that's all I need", "no that is everything I want", "you know what I need"] {
        assert!(wait_ms(text, "en", "Is there anything else?") <= 450, "{text}");
    }
    for text in ["I need", "you have entered", "we want"] {
        assert!(wait_ms(text, "en", "") >= 1_300, "{text}");
    }
}

#[test]
fn a_clause_within_a_sentence_needs_its_verb() {
    for text in ["the conference will begin when the leader", "I am calling because my parcel"] {
        assert!(wait_ms(text, "en", "") >= 1_300, "{text}: {}", wait_ms(text, "en", ""));
    }
    for text in ["the conference will begin when the leader arrives", "we stayed at home because of the rain"] {
        assert!(wait_ms(text, "en", "") <= 500, "{text}: {}", wait_ms(text, "en", ""));
    }
}

#[test]
fn nouns_without_and_are_half_a_list_where_several_things_were_asked_for() {
    let question = "What would you like to order?";
    assert!(wait_ms("two pairs of socks the belt", "en", question) >= 700);
    assert!(wait_ms("two pairs of socks and the belt", "en", question) <= 350);
}

#[test]
fn a_long_story_is_likelier_over_than_its_first_sentence() {
    let told = |text: &str| probability(text, "en", Asked::Story);
    let first = "I ordered a lamp two weeks ago";
    let more = "I ordered a lamp two weeks ago and it has not arrived so I would like to know where it is now";
    assert!(told(first) < 0.5, "{}", told(first));
    assert!(told(more) > 0.6, "{}", told(more));
    assert!(probability(first, "en", Asked::Nothing) > 0.8, "without a story it is a sentence");
}

#[test]
fn a_stop_ends_a_sentence_of_a_story_too() {
    let question = "How can I help you?";
    let written = "I would like to know where my order is.";
    assert!(wait_ms(written, "en", question) <= 310, "{}", wait_ms(written, "en", question));
    assert!(wait_ms(written.trim_end_matches('.'), "en", question) >= 600, "without one it may go on");
}

#[test]
fn verbs_that_stand_at_the_end_are_waited_for() {
    for (text, language) in [
        ("zou dit de echte schat", "nl"),
        ("ik denk dat de brief van mijn baas", "nl"),
        ("ich könnte das neue Paket", "de"),
        ("ich glaube dass der Brief von Frau Maier", "de"),
    ] {
        assert!(wait_ms(text, language, "") >= 700, "{text}: {}", wait_ms(text, language, ""));
    }
    for (text, language) in [
        ("zou dit de echte schat kunnen zijn", "nl"),
        ("ik denk dat de brief van gisteren kwijt is", "nl"),
        ("dat is de brief van gisteren", "nl"),
        ("ich könnte das neue Paket abholen", "de"),
        ("ich glaube dass der Brief von Frau Maier fehlt", "de"),
    ] {
        assert!(wait_ms(text, language, "") <= 500, "{text}: {}", wait_ms(text, language, ""));
    }
}

#[test]
fn a_verb_of_one_letter_before_digits_is_no_letter() {
    let question = "Qual é o número do pedido?";
    let with_verb =
        probability("meu número é oito zero dois oito quatro três", "pt", super::super::asked_of(question, "pt"));
    let alone = probability("oito zero dois oito quatro três", "pt", super::super::asked_of(question, "pt"));
    assert!((with_verb - alone).abs() < 0.01, "{with_verb} {alone}");
}

#[test]
fn the_name_of_a_number_announces_it() {
    for text in ["the person at extension", "my order number", "the flight number"] {
        assert!(wait_ms(text, "en", "How can I help you?") >= 1_800, "{text}: {}", wait_ms(text, "en", ""));
    }
    assert!(wait_ms("that is the wrong number", "en", "What happened?") <= 800, "it is a sentence");
    assert!(wait_ms("the order number", "en", "Which one do you need?") <= 500, "it is what was asked for");
}

#[test]
fn a_first_name_may_be_half_a_name() {
    let question = "May I have your name?";
    let (half, whole) = ("My name is Charlotte", "My name is Charlotte Henderson");
    assert!(wait_ms(half, "en", question) >= 450, "{}", wait_ms(half, "en", question));
    assert!(wait_ms(whole, "en", question) <= 350, "{}", wait_ms(whole, "en", question));
}

#[test]
fn a_verb_alone_answers_a_choice() {
    assert!(wait_ms("record", "en", "Would you like to record or delete it?") <= 400);
    assert!(wait_ms("I want to record", "en", "Would you like to record or delete it?") >= 1_300);
}

#[test]
fn five_letters_may_go_on_and_seven_are_a_word() {
    let question = "Could you spell that for me?";
    assert!(wait_ms("P L P T", "en", question) >= 900);
    assert!((600..900).contains(&wait_ms("P L P T P", "en", question)));
    assert!(wait_ms("P L P T P Q R", "en", question) <= 350);
}

#[test]
fn a_language_without_a_weight_of_its_own_has_that_of_all() {
    use super::super::cues::{WEIGHTS, WEIGHTS_OTHER};
    assert_eq!(weight(WEIGHTS_OTHER, Cue::Filler), weight(WEIGHTS, Cue::Filler));
    assert_ne!(weight(WEIGHTS_OTHER, Cue::Sentence), weight(WEIGHTS, Cue::Sentence));
    assert!(Cue::ALL.iter().all(|cue| weight(&[], *cue) != 0.0), "each sign counts");
}
