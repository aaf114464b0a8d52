//! Whether the caller's words want an answer.

use super::cues::Cue;
use super::evidence::Evidence;
use super::language::{LanguageTable, around_phrases, contains_phrase, has_word, table};
use super::syntax::{signs, without_please};

/// Marks of a question: Latin, full-width, Arabic.
const MARKS: [char; 3] = ['?', '？', '؟'];

/// Ends of sentences.
const ENDS: [char; 6] = ['.', '!', '。', '?', '？', '؟'];

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
/// that has a table. Whoever asks to wait last, waits.
pub fn is_question(words: &str, language: &str) -> bool {
    let table = table(language);
    let has_form = |words: &str| {
        let evidence = Evidence { words, language, ..Evidence::default() };
        signs(table, &evidence).iter().any(|(cue, _)| *cue == Cue::QuestionForm)
    };
    let lower = words.to_lowercase();
    let asks_to_wait = |sentence: &str| table.is_some_and(|table| contains_phrase(table.replies.holds, sentence));
    let sentences = || lower.split_inclusive(ENDS).filter(|sentence| sentence.contains(char::is_alphanumeric));
    let last = sentences().next_back().unwrap_or_default();
    if let Some(table) = table.filter(|_| asks_to_wait(last)) {
        return asks_beside_waiting(last, table, has_form);
    }
    let is_marked = sentences().any(|sentence| sentence.contains(MARKS) && !asks_to_wait(sentence));
    let asked = without_opening(without_please(lower.trim_end_matches(['.', '!', ' ', '。'])));
    is_marked || has_form(words) || has_form(asked)
}

/// Whether a sentence that has words of waiting asks something by a question word: behind them ("hold on, where is my
/// order"), or before them ("how long is the wait").
fn asks_beside_waiting(sentence: &str, table: &LanguageTable, has_form: impl Fn(&str) -> bool) -> bool {
    let Some((before, behind)) = around_phrases(table.replies.holds, sentence) else { return false };
    let asks = |words: &str| {
        let words = without_opening(without_please(words.trim_matches(|c: char| !c.is_alphanumeric())));
        let first = words.split_whitespace().next().unwrap_or_default();
        has_word(table.grammar.question_words, first) && has_form(words)
    };
    asks(behind) || has_word(table.grammar.question_words, before.split_whitespace().next().unwrap_or_default())
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
            ("en", "Hold on a second. Where is my order please?"),
            ("en", "hold on a second where is my order please"),
            ("en", "Wait, what time is it?"),
            ("en", "How long is the wait?"),
            ("nl", "Momentje. Waar is mijn bestelling?"),
            ("nl", "wacht even waar is mijn bestelling"),
            ("de", "Einen Moment bitte. Wann kommt mein Paket?"),
            ("de", "Moment, wo ist meine Bestellung?"),
            ("fr", "Un instant. Où est ma commande ?"),
            ("es", "Un momento. ¿Dónde está mi pedido?"),
            ("it", "Un attimo. Dov'è il mio ordine?"),
            ("pt", "Um momento. Onde está o meu pedido?"),
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
            ("en", "Where is my order? Hold on a second."),
            ("en", "Can you hold on? Thanks."),
            ("en", "Um, where was I, hold on."),
            ("de", "Wo ist meine Bestellung? Moment bitte."),
            ("en", ""),
        ] {
            assert!(!is_question(words, language), "{language}: {words}");
        }
    }
}
