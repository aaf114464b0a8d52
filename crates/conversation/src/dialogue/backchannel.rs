//! Backchannels: sounds and words of a listener that do not interrupt.

/// Always a backchannel.
fn backchannels(language: &str) -> &'static [&'static str] {
    match language {
        "nl" => &["mhm", "hm", "hmm", "aha", "o", "oh", "oké", "ok", "ja ja", "jaja", "precies", "zo", "tja", "echt"],
        "de" => {
            &["mhm", "hm", "hmm", "aha", "ach so", "achso", "ah", "oh", "okay", "ok", "genau", "ja ja", "jaja", "so"]
        }
        "fr" => &["mhm", "hm", "hmm", "ah", "oh", "d'accord", "ok", "je vois", "bien", "voilà", "ouais"],
        _ => &[
            "mhm",
            "mm",
            "mmm",
            "mm-hmm",
            "mmhmm",
            "hm",
            "hmm",
            "uh-huh",
            "uh huh",
            "aha",
            "ah",
            "oh",
            "i see",
            "right",
            "okay",
            "ok",
            "sure",
            "got it",
            "wow",
            "really",
            "great",
            "all right",
            "alright",
        ],
    }
}

/// Either a backchannel or an answer to a question.
fn ambiguous_backchannels(language: &str) -> &'static [&'static str] {
    match language {
        "nl" => &["ja", "goed", "prima"],
        "de" => &["ja", "gut"],
        "fr" => &["oui"],
        _ => &["yes", "yeah", "yep", "yup", "good"],
    }
}

/// How people answer the phone: no reason to skip the greeting.
fn call_openings(language: &str) -> &'static [&'static str] {
    match language {
        "nl" => &["hallo", "ja", "ja hallo", "hoi", "dag"],
        "de" => &["hallo", "ja", "ja hallo", "ja bitte", "guten tag"],
        "fr" => &["allô", "oui", "oui allô", "bonjour"],
        _ => &["hello", "hi", "hey", "yes", "yeah", "yes hello", "hello hello", "good morning", "good afternoon"],
    }
}

fn plain(text: &str) -> String {
    let words = text.split_whitespace().map(|word| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        word.to_lowercase()
    });
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn short(language: &str) -> &str {
    language.split(['-', '_']).next().unwrap_or("")
}

/// Whether a text consists only of backchannels. `asked`: the agent has just asked something, so "yes" is an answer.
/// `own`: words from the agent's configuration.
pub fn is_backchannel(text: &str, language: &str, asked: bool, own: &[String]) -> bool {
    let language = short(language);
    let text = plain(text);
    let known = |part: &str| {
        backchannels(language).contains(&part)
            || !asked && ambiguous_backchannels(language).contains(&part)
            || own.iter().any(|one| plain(one) == part)
    };
    // "Okay, okay, right": word by word, or as one of the expressions of several words.
    !text.is_empty() && (known(&text) || text.split(' ').count() <= 4 && text.split(' ').all(known))
}

/// Whether an interim text may still become a backchannel: "uh", "I".
pub fn may_be_backchannel(text: &str, language: &str) -> bool {
    let (language, text) = (short(language), plain(text));
    let known = backchannels(language).iter().chain(ambiguous_backchannels(language)).chain(call_openings(language));
    // Up to the last word everything is known; the last one may be half an expression.
    let begins = |rest: &str| known.clone().any(|one| one.starts_with(rest) && one.len() > rest.len());
    let words: Vec<&str> = text.split(' ').collect();
    (0..words.len()).any(|from| {
        let before = words[..from].join(" ");
        let settled =
            before.is_empty() || is_call_opening(&before, language) || is_backchannel(&before, language, false, &[]);
        settled && begins(&words[from..].join(" "))
    })
}

/// Whether the words are only a greeting on answering the phone.
pub fn is_call_opening(text: &str, language: &str) -> bool {
    let text = plain(text);
    let mut rest = text.as_str();
    // "Hello, good morning": one after the other, the longest first.
    while !rest.is_empty() {
        let fits = |one: &&&str| rest == **one || rest.starts_with(&format!("{one} "));
        let Some(known) = call_openings(short(language)).iter().filter(fits).max_by_key(|one| one.len()) else {
            return false;
        };
        rest = rest[known.len()..].trim_start();
    }
    !text.is_empty()
}

/// Whether words are an echo of the agent: most of them were just said by the agent, in this order.
pub fn is_echo_of(text: &str, said: &str) -> bool {
    let (text, said) = (plain(text), plain(said));
    let words: Vec<&str> = text.split(' ').collect();
    let mut rest = said.split(' ');
    let found =
        words.iter().filter(|word| rest.clone().any(|one| one == **word) && rest.any(|one| one == **word)).count();
    words.len() >= 2 && found * 10 >= words.len() * 7
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, language: &str, asked: bool, wanted: bool) {
        assert_eq!(is_backchannel(text, language, asked, &["roger".to_owned()]), wanted, "{text}");
    }

    #[test]
    fn listeners_say_go_on() {
        for text in ["Mhm.", "uh-huh", "Okay, right.", "I see.", "Yeah.", "Roger!"] {
            check(text, "en-GB", false, true);
        }
        check("ja ja", "nl", false, true);
        check("ach so", "de", false, true);
    }

    #[test]
    fn callers_want_something() {
        for text in ["wait", "stop", "no", "okay but wait", "yes I have a question", ""] {
            check(text, "en", false, false);
        }
        check("yeah", "en", true, false);
        check("mhm", "en", true, true);
    }

    #[test]
    fn half_an_expression_is_waited_for() {
        for text in ["I", "uh", "Hello, good", "got", "okay, all"] {
            assert!(may_be_backchannel(text, "en"), "{text}");
        }
        for text in ["wait", "I want", "Hello, I", "stop"] {
            assert_eq!(may_be_backchannel(text, "en"), text == "Hello, I", "{text}");
        }
    }

    #[test]
    fn call_openings_are_recognized() {
        for text in ["Hello?", "Hello, good morning.", "Yes, hello?"] {
            assert!(is_call_opening(text, "en"), "{text}");
        }
        for text in ["", "Hello, this is Jan.", "Who is this?"] {
            assert!(!is_call_opening(text, "en"), "{text}");
        }
    }

    #[test]
    fn our_words_come_back() {
        let said = "Good morning, this is the pizza place on Elm Street. How can I help you?";
        assert!(is_echo_of("this is the pizza place", said));
        assert!(is_echo_of("the pizza place on elm treat", said));
        assert!(!is_echo_of("I would like a pizza", said));
        assert!(!is_echo_of("help", said), "one word is too little to say");
    }
}
