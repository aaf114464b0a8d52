//! What is logged of a panic: the part, the place, and as much of the message as cannot hold a caller's words, a number
//! or a secret.

use super::{PART, is_logged, panics, record_panic};
use std::panic::PanicHookInfo;

/// Messages of the standard library that hold numbers and nothing else.
const NUMBERS_ONLY: &[&str] = &[
    "index out of bounds: the len is ",
    "range start index ",
    "range end index ",
    "slice index starts at ",
    "copy_from_slice: source slice length ",
    "mid > len",
];
/// Messages whose data follows the first of these characters.
const BEFORE_DATA: &[(&str, &[char])] = &[
    ("called `Result::unwrap", &[':']),
    ("called `Option::", &[':']),
    ("byte index ", &[';', '`']),
    ("start byte index ", &[';', '`']),
    ("end byte index ", &[';', '`']),
    ("begin <= end ", &['`']),
    ("assertion `left ", &[':', '\n']),
    ("assertion failed", &['\n']),
];
/// Stands for a message that was put together from data.
const WITHHELD: &str = "(a message with data)";

/// From here on panics of the whole process are logged, and those that nothing contains are counted as `other`.
pub fn install_hook() {
    std::panic::set_hook(Box::new(report));
}

fn report(info: &PanicHookInfo<'_>) {
    let part = PART.get();
    let so_far = match part {
        None => record_panic("other"),
        // Counted where it is contained.
        Some(part) => panics().into_iter().find(|(known, _)| *known == part).map_or(0, |(_, count)| count) + 1,
    };
    if !is_logged(so_far) {
        return;
    }
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let message = match (info.payload().downcast_ref::<&'static str>(), info.payload().downcast_ref::<String>()) {
        // A literal of the program.
        (Some(message), _) => message,
        (None, Some(message)) => without_data(message),
        (None, None) => WITHHELD,
    };
    let thread = std::thread::current().name().unwrap_or_default().to_owned();
    tracing::error!(part = part.unwrap_or("other"), place, message, thread, "panic");
}

/// The start of a formatted message that is the same for all data.
fn without_data(message: &str) -> &str {
    if NUMBERS_ONLY.iter().any(|start| message.starts_with(start)) {
        return message;
    }
    match BEFORE_DATA.iter().find(|(start, _)| message.starts_with(start)) {
        Some((start, stops)) => {
            let rest = message.strip_prefix(start).unwrap_or_default();
            let kept = rest.find(*stops).unwrap_or(rest.len());
            message.get(..start.len() + kept).unwrap_or(start)
        }
        None => WITHHELD,
    }
}

#[expect(clippy::unnecessary_literal_unwrap, reason = "what a panic says is what is tested")]
#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::catch_unwind;

    /// What is logged of a panic's message.
    fn logged(run: impl FnOnce() + std::panic::UnwindSafe) -> String {
        let payload = catch_unwind(run).unwrap_err();
        match payload.downcast_ref::<&'static str>() {
            Some(message) => (*message).to_owned(),
            None => without_data(payload.downcast_ref::<String>().unwrap()).to_owned(),
        }
    }

    #[test]
    fn words_of_callers_stay_out_of_the_log() {
        let words = std::hint::black_box("mein Paßwort ist Zwiebelküchle".to_owned());
        let at = words.find('ß').unwrap() + 1;
        let empty: Vec<u8> = std::hint::black_box(Vec::new());
        let cases: [(&str, String); 8] = [
            ("byte index 8", logged(|| drop(words[at..].to_owned()))),
            ("out of bounds", logged(|| assert_eq!(empty[3], 0))),
            ("Result::unwrap", logged(|| Err::<(), _>(words.clone()).unwrap())),
            ("a message with data", logged(|| Err::<(), _>(words.clone()).expect("no words"))),
            ("a message with data", logged(|| panic!("heard {words}"))),
            ("a literal", logged(|| panic!("a literal"))),
            ("assertion", logged(|| assert_eq!(words, "Zwiebel"))),
            ("range end", logged(|| drop(empty[..4].to_vec()))),
        ];
        for (expected, message) in cases {
            assert!(!message.contains("wort") && !message.contains("Zwiebel"), "{message}");
            let char_index = expected == "byte index 8" && message.contains("byte index");
            assert!(message.contains(expected) || char_index, "{expected}: {message}");
        }
    }
}
