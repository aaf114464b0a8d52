//! Whether the caller's words want an answer.

use super::cues::Cue;
use super::evidence::Evidence;
use super::language::{contains_phrase, table};
use super::syntax::{signs, without_please};

/// Marks of a question: Latin, full-width, Arabic.
const MARKS: [char; 3] = ['?', '？', '؟'];

/// Words in front of what is asked: "hello there, can you help me".
const OPENINGS: &str = "hello|hi|hey|there|good|morning|afternoon|evening|day|um|uh|oh|ah|so|well|yes|yeah|ok|okay|sorry|please|and|\
    hallo|dag|goedemorgen|goedemiddag|goedenavond|ja|oké|en|dus|sorry|nou|guten|tag|morgen|abend|also|und|entschuldigung|\
    bonjour|bonsoir|salut|oui|alors|et|euh|hola|buenos|buenas|días|tardes|noches|sí|bueno|y|perdón|\
    buongiorno|buonasera|ciao|sì|allora|e|scusi|olá|oi|bom|boa|dia|tarde|noite|sim|então|desculpe";
/// So many of them at most.
const OPENINGS_MAX: usize = 5;

/// The words behind a greeting and the like.
fn without_opening(words: &str) -> &str {
    let mut rest = words;
    for _ in 0..OPENINGS_MAX {
        let Some((first, behind)) = rest.split_once(' ') else { break };
        let word = first.trim_matches(|c: char| !c.is_alphanumeric());
        if !OPENINGS.split('|').any(|opening| opening.trim() == word) {
            break;
        }
        rest = behind.trim_start();
    }
    rest
}

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
    let asked = without_opening(without_please(&lower));
    !asks_to_wait && (words.contains(MARKS) || has_form(words) || has_form(asked))
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
            ("en", "hello there can you help me please"),
            ("en", "Yes. Um, so, what does it cost."),
            ("nl", "goedemiddag kunt u mij helpen"),
            ("de", "Guten Tag, wo ist meine Bestellung"),
            ("fr", "bonjour où est ma commande"),
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
            ("en", "hello there"),
            ("en", "Good morning."),
            ("en", "yes that is all I need"),
            ("nl", "goedemiddag, met mij weer"),
            ("en", "My order number is four two seven one."),
            ("multi", "un momento"),
            ("en", ""),
        ] {
            assert!(!is_question(words, language), "{language}: {words}");
        }
    }
}
