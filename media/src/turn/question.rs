//! Whether the caller's words want an answer.

use super::cues::Cue;
use super::evidence::Evidence;
use super::language::{contains_phrase, table};
use super::syntax::{signs, without_please};

/// Marks of a question: Latin, full-width, Arabic.
const MARKS: [char; 3] = ['?', '？', '؟'];

/// Whether these words ask something, other than to wait: by a mark, or by the form of the last sentence in a language
/// that has a table.
pub fn is_question(words: &str, language: &str) -> bool {
    let table = table(language);
    let asks_to_wait = table.is_some_and(|table| contains_phrase(table.replies.holds, &words.to_lowercase()));
    let has_form = |words: &str| {
        let evidence = Evidence { words, language, ..Evidence::default() };
        signs(table, &evidence).iter().any(|(cue, _)| *cue == Cue::QuestionForm)
    };
    let lower = words.trim_end_matches(['.', '!', ' ', '。']).to_lowercase();
    !asks_to_wait && (words.contains(MARKS) || has_form(words) || has_form(without_please(&lower)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_told_from_statements_and_from_requests_to_wait() {
        for (language, words) in [
            ("en", "What are your opening hours?"),
            ("en-US", "where is my order"),
            ("en", "I ordered a lamp. Where is it? I have waited for a week."),
            ("en", "can you help me please"),
            ("en-US", "Could you tell me the price, please."),
            ("nl", "kunt u mij helpen alstublieft"),
            ("de", "Können Sie mir helfen bitte."),
            ("nl", "waar is mijn bestelling"),
            ("de", "Wann haben Sie geöffnet?"),
            ("fr", "où est ma commande"),
            ("ja", "注文はどこですか？"),
            ("multi", "¿Dónde está mi pedido?"),
        ] {
            assert!(is_question(words, language), "{language}: {words}");
        }
        for (language, words) in [
            ("en", "Hold on a second."),
            ("en", "Can you hold on?"),
            ("en", "Could you give me a moment, please?"),
            ("nl", "Kunt u een momentje wachten?"),
            ("de", "Moment, können Sie kurz warten?"),
            ("en", "Thank you."),
            ("en", "My order number is four two seven one."),
            ("multi", "un momento"),
            ("en", ""),
        ] {
            assert!(!is_question(words, language), "{language}: {words}");
        }
    }
}
