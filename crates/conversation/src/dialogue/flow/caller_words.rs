//! What callers say to rules, in the languages of the readers of spoken values.

use crate::dialogue::spoken::words::{ends_with_question, fold, table_of, words};

/// Words of one language. Lists are parted by bars.
#[derive(Debug)]
pub(super) struct CallerWords {
    /// The caller wants to hear it again.
    repeat: &'static str,
    /// How questions begin.
    asks: &'static str,
}

static EN: CallerWords = CallerWords {
    repeat: "what|pardon|sorry|excuse me|come again|say again|say that again|repeat|repeat that|once more|again|huh|what did you say|what was that|i didn't get that|i didn't hear you|i did not hear that",
    asks: "what|when|where|who|how|why|which|do|does|can|could|is|are|will|would|may",
};
static NL: CallerWords = CallerWords {
    repeat: "wat|pardon|sorry|wat zegt u|wat zei u|nog een keer|nog eens|herhaal|kunt u dat herhalen|ik versta u niet|ik verstond u niet|wablief",
    asks: "wat|wanneer|waar|wie|hoe|hoeveel|waarom|welke|welk|kan|kunt|is|zijn|mag|hebben|heeft",
};
static DE: CallerWords = CallerWords {
    repeat: "was|wie bitte|bitte|entschuldigung|noch einmal|nochmal|noch mal|wiederholen|können sie das wiederholen|was haben sie gesagt|ich habe sie nicht verstanden|das habe ich nicht verstanden|hä",
    asks: "was|wann|wo|wer|wie|wieviel|warum|welche|welcher|kann|können|ist|sind|haben|gibt",
};
static FR: CallerWords = CallerWords {
    repeat: "quoi|pardon|comment|hein|répétez|répéter|pouvez-vous répéter|encore une fois|je n'ai pas compris|je n'ai pas entendu|vous pouvez répéter",
    asks: "que|quoi|quand|où|qui|comment|combien|pourquoi|quel|quelle|quels|quelles|est-ce|puis-je|peut-on|avez-vous",
};
static ES: CallerWords = CallerWords {
    repeat: "qué|cómo|perdón|perdone|repita|repetir|puede repetir|puede repetirlo|otra vez|no le he oído|no he entendido|cómo dice",
    asks: "qué|cuándo|dónde|quién|cómo|cuánto|cuánta|por|cuál|puedo|pueden|tienen|es|hay",
};
static IT: CallerWords = CallerWords {
    repeat: "cosa|come|scusi|come scusi|prego|ripeta|ripetere|può ripetere|ancora una volta|non ho capito|non ho sentito",
    asks: "che|cosa|quando|dove|chi|come|quanto|perché|quale|quali|posso|potete|avete|è|c'è",
};
static PT: CallerWords = CallerWords {
    repeat: "o quê|quê|como|desculpe|repita|repetir|pode repetir|outra vez|não percebi|não ouvi|como disse",
    asks: "o que|quando|onde|quem|como|quanto|porque|qual|quais|posso|podem|têm|é|há",
};

/// The words of a language; English for those that are not known.
pub(super) fn caller_words(language: &str) -> &'static CallerWords {
    table_of(language, [&EN, &NL, &DE, &FR, &ES, &IT, &PT])
}

/// Words of courtesy that do not change what is meant.
const COURTESY: [&str; 29] = [
    "please",
    "alstublieft",
    "bitte",
    "svp",
    "s'il",
    "plait",
    "por",
    "per",
    "favor",
    "favore",
    "uh",
    "um",
    "eh",
    "euh",
    "ah",
    "oh",
    "you",
    "that",
    "can",
    "could",
    "kunt",
    "konnen",
    "sie",
    "pouvez",
    "vous",
    "puede",
    "puo",
    "pode",
    "het",
];

fn listed(list: &str) -> impl Iterator<Item = Vec<String>> {
    list.split('|').map(|one| words(&fold(one)))
}

impl CallerWords {
    /// Whether the caller wants to hear the last words again, and nothing else: "sorry, what?"
    pub(super) fn asks_to_repeat(&self, text: &str) -> bool {
        let mut said = words(text);
        said.retain(|word| !COURTESY.contains(&word.as_str()));
        let mut rest = said.as_slice();
        while !rest.is_empty() {
            let known = listed(self.repeat).map(|mut one| {
                one.retain(|word| !COURTESY.contains(&word.as_str()));
                one
            });
            let longest = known.filter(|one| !one.is_empty() && rest.starts_with(one)).map(|one| one.len()).max();
            let Some(after) = longest.and_then(|used| rest.get(used..)) else { return false };
            rest = after;
        }
        !said.is_empty() || text.trim_start().starts_with('?')
    }

    /// Whether a turn is a question.
    pub(super) fn is_question(&self, text: &str) -> bool {
        let said = words(text);
        ends_with_question(text) || listed(self.asks).any(|one| !one.is_empty() && said.starts_with(&one))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_who_want_to_hear_it_again_are_understood_in_each_language() {
        for (language, text) in [
            ("en", "What?"),
            ("en", "Sorry, what did you say?"),
            ("en", "could you say that again, please"),
            ("en", "Pardon?"),
            ("nl", "Wat zegt u?"),
            ("nl", "Sorry, nog een keer alstublieft"),
            ("de", "Wie bitte?"),
            ("de", "Noch einmal bitte"),
            ("fr", "Pardon ?"),
            ("fr", "Pouvez-vous répéter ?"),
            ("es", "¿Cómo dice?"),
            ("it", "Può ripetere?"),
            ("pt", "Pode repetir?"),
        ] {
            assert!(caller_words(language).asks_to_repeat(text), "{language}: {text}");
        }
        for (language, text) in [
            ("en", "what are your opening hours"),
            ("en", "sorry I need a refund"),
            ("en", ""),
            ("de", "Was kostet das?"),
        ] {
            assert!(!caller_words(language).asks_to_repeat(text), "{language}: {text}");
        }
    }

    #[test]
    fn questions_are_told_from_answers() {
        for (language, text) in [
            ("en", "when do you open"),
            ("en", "you open when?"),
            ("nl", "hoe laat gaat u open"),
            ("fr", "Où êtes-vous"),
        ] {
            assert!(caller_words(language).is_question(text), "{language}: {text}");
        }
        assert!(!caller_words("en").is_question("four two seven"));
    }
}
