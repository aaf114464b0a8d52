//! What the rules say by themselves, in the languages of the readers of spoken values.

use crate::dialogue::spoken::words::{fold, table_of, words};

/// Phrases of one language. Lists are parted by bars.
#[derive(Debug)]
pub(super) struct FlowPhrases {
    /// No model can be reached.
    pub(super) sorry: &'static str,
    /// Somebody else can be reached.
    pub(super) offer_transfer: &'static str,
    /// A message can be left.
    pub(super) offer_message: &'static str,
    /// Before the questions of a message.
    pub(super) take: &'static str,
    pub(super) ask_name: &'static str,
    pub(super) ask_phone: &'static str,
    pub(super) ask_text: &'static str,
    /// A message was taken.
    pub(super) taken: &'static str,
    /// No message is wanted.
    pub(super) declined: &'static str,
    /// A tool still works.
    pub(super) still_working: &'static str,
    /// Words that mean a message.
    pub(super) message: &'static str,
    /// The caller wants to hear it again.
    repeat: &'static str,
    /// What follows is meant in the place of what was said.
    meant: &'static str,
    /// How questions begin.
    asks: &'static str,
}

static EN: FlowPhrases = FlowPhrases {
    sorry: "I am sorry, our assistant cannot be reached at the moment.",
    offer_transfer: "Shall I put you through to somebody?",
    offer_message: "Shall I take a message?",
    take: "I will take a message.",
    ask_name: "What is your name?",
    ask_phone: "On which number can we call you back?",
    ask_text: "What is your message?",
    taken: "Thank you, I have noted your message. Goodbye.",
    declined: "Then please call again later. Goodbye.",
    still_working: "One moment please, I am still on it.",
    message: "message",
    repeat: "what|pardon|sorry|excuse me|come again|say again|say that again|repeat|repeat that|once more|again|huh|what did you say|what was that|i didn't get that|i didn't hear you|i did not hear that",
    meant: "i meant|i mean|i said|i wanted to say|make that|it should be|correction|actually",
    asks: "what|when|where|who|how|why|which|do|does|can|could|is|are|will|would|may",
};
static NL: FlowPhrases = FlowPhrases {
    sorry: "Sorry, onze assistent is op dit moment niet bereikbaar.",
    offer_transfer: "Zal ik u doorverbinden?",
    offer_message: "Zal ik een bericht aannemen?",
    take: "Ik neem een bericht aan.",
    ask_name: "Wat is uw naam?",
    ask_phone: "Op welk nummer kunnen we u terugbellen?",
    ask_text: "Wat is uw bericht?",
    taken: "Dank u wel, ik heb uw bericht genoteerd. Tot ziens.",
    declined: "Belt u dan later nog eens. Tot ziens.",
    still_working: "Een ogenblik, ik ben er nog mee bezig.",
    message: "bericht|boodschap",
    repeat: "wat|pardon|sorry|wat zegt u|wat zei u|nog een keer|nog eens|herhaal|kunt u dat herhalen|ik versta u niet|ik verstond u niet|wablief",
    meant: "ik bedoel|ik bedoelde|ik zei|het moet zijn|correctie|eigenlijk",
    asks: "wat|wanneer|waar|wie|hoe|hoeveel|waarom|welke|welk|kan|kunt|is|zijn|mag|hebben|heeft",
};
static DE: FlowPhrases = FlowPhrases {
    sorry: "Entschuldigung, unser Assistent ist im Moment nicht erreichbar.",
    offer_transfer: "Soll ich Sie verbinden?",
    offer_message: "Soll ich eine Nachricht aufnehmen?",
    take: "Ich nehme eine Nachricht auf.",
    ask_name: "Wie ist Ihr Name?",
    ask_phone: "Unter welcher Nummer können wir Sie zurückrufen?",
    ask_text: "Wie lautet Ihre Nachricht?",
    taken: "Vielen Dank, ich habe Ihre Nachricht notiert. Auf Wiederhören.",
    declined: "Dann rufen Sie bitte später noch einmal an. Auf Wiederhören.",
    still_working: "Einen Moment bitte, ich bin noch dabei.",
    message: "nachricht|mitteilung",
    repeat: "was|wie bitte|bitte|entschuldigung|noch einmal|nochmal|noch mal|wiederholen|können sie das wiederholen|was haben sie gesagt|ich habe sie nicht verstanden|das habe ich nicht verstanden|hä",
    meant: "ich meine|ich meinte|ich sagte|es muss heißen|korrektur|eigentlich|sondern",
    asks: "was|wann|wo|wer|wie|wieviel|warum|welche|welcher|kann|können|ist|sind|haben|gibt",
};
static FR: FlowPhrases = FlowPhrases {
    sorry: "Désolé, notre assistant n'est pas joignable pour le moment.",
    offer_transfer: "Voulez-vous que je vous mette en relation avec quelqu'un ?",
    offer_message: "Voulez-vous laisser un message ?",
    take: "Je prends un message.",
    ask_name: "Quel est votre nom ?",
    ask_phone: "À quel numéro pouvons-nous vous rappeler ?",
    ask_text: "Quel est votre message ?",
    taken: "Merci, j'ai noté votre message. Au revoir.",
    declined: "Rappelez-nous plus tard, s'il vous plaît. Au revoir.",
    still_working: "Un instant, je m'en occupe encore.",
    message: "message",
    repeat: "quoi|pardon|comment|hein|répétez|répéter|pouvez-vous répéter|encore une fois|je n'ai pas compris|je n'ai pas entendu|vous pouvez répéter",
    meant: "je voulais dire|je veux dire|j'ai dit|c'est plutôt|correction|plutôt|en fait",
    asks: "que|quoi|quand|où|qui|comment|combien|pourquoi|quel|quelle|quels|quelles|est-ce|puis-je|peut-on|avez-vous",
};
static ES: FlowPhrases = FlowPhrases {
    sorry: "Lo siento, nuestro asistente no está disponible en este momento.",
    offer_transfer: "¿Quiere que le pase con alguien?",
    offer_message: "¿Quiere dejar un mensaje?",
    take: "Tomo nota de su mensaje.",
    ask_name: "¿Cómo se llama?",
    ask_phone: "¿A qué número podemos llamarle?",
    ask_text: "¿Cuál es su mensaje?",
    taken: "Gracias, he anotado su mensaje. Adiós.",
    declined: "Entonces llame más tarde, por favor. Adiós.",
    still_working: "Un momento, sigo en ello.",
    message: "mensaje|recado",
    repeat: "qué|cómo|perdón|perdone|repita|repetir|puede repetir|puede repetirlo|otra vez|no le he oído|no he entendido|cómo dice",
    meant: "quería decir|quiero decir|quise decir|he dicho|corrección|en realidad|mejor dicho",
    asks: "qué|cuándo|dónde|quién|cómo|cuánto|cuánta|por|cuál|puedo|pueden|tienen|es|hay",
};
static IT: FlowPhrases = FlowPhrases {
    sorry: "Mi scusi, il nostro assistente non è raggiungibile in questo momento.",
    offer_transfer: "Vuole che le passi qualcuno?",
    offer_message: "Vuole lasciare un messaggio?",
    take: "Prendo nota del suo messaggio.",
    ask_name: "Come si chiama?",
    ask_phone: "A che numero possiamo richiamarla?",
    ask_text: "Qual è il suo messaggio?",
    taken: "Grazie, ho annotato il suo messaggio. Arrivederci.",
    declined: "Allora richiami più tardi, per favore. Arrivederci.",
    still_working: "Un attimo, ci sto ancora lavorando.",
    message: "messaggio",
    repeat: "cosa|come|scusi|come scusi|prego|ripeta|ripetere|può ripetere|ancora una volta|non ho capito|non ho sentito",
    meant: "volevo dire|intendevo|ho detto|correzione|anzi|in realtà",
    asks: "che|cosa|quando|dove|chi|come|quanto|perché|quale|quali|posso|potete|avete|è|c'è",
};
static PT: FlowPhrases = FlowPhrases {
    sorry: "Peço desculpa, o nosso assistente não está disponível neste momento.",
    offer_transfer: "Quer que eu passe a chamada a alguém?",
    offer_message: "Quer deixar uma mensagem?",
    take: "Vou anotar a sua mensagem.",
    ask_name: "Qual é o seu nome?",
    ask_phone: "Para que número podemos ligar?",
    ask_text: "Qual é a sua mensagem?",
    taken: "Obrigado, anotei a sua mensagem. Até logo.",
    declined: "Então ligue mais tarde, por favor. Até logo.",
    still_working: "Um momento, ainda estou a tratar disso.",
    message: "mensagem|recado",
    repeat: "o quê|quê|como|desculpe|repita|repetir|pode repetir|outra vez|não percebi|não ouvi|como disse",
    meant: "queria dizer|quero dizer|eu disse|correção|aliás|na verdade",
    asks: "o que|quando|onde|quem|como|quanto|porque|qual|quais|posso|podem|têm|é|há",
};

/// The phrases of a language; English for those that are not known.
pub(super) fn flow_phrases(language: &str) -> &'static FlowPhrases {
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

impl FlowPhrases {
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

    /// What follows "I meant"; `None` if nothing is said to be meant.
    pub(super) fn meant(&self, text: &str) -> Option<String> {
        let said = words(text);
        let places = (0..said.len()).filter_map(|at| {
            let here = said.get(at..)?;
            listed(self.meant).filter(|one| !one.is_empty() && here.starts_with(one)).map(|one| at + one.len()).max()
        });
        let after = said.get(places.max()?..)?;
        (!after.is_empty()).then(|| after.join(" "))
    }

    /// Whether a turn is a question.
    pub(super) fn is_question(&self, text: &str) -> bool {
        let said = words(text);
        text.trim_end().ends_with('?') || listed(self.asks).any(|one| !one.is_empty() && said.starts_with(&one))
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
            assert!(flow_phrases(language).asks_to_repeat(text), "{language}: {text}");
        }
        for (language, text) in [
            ("en", "what are your opening hours"),
            ("en", "sorry I need a refund"),
            ("en", ""),
            ("de", "Was kostet das?"),
        ] {
            assert!(!flow_phrases(language).asks_to_repeat(text), "{language}: {text}");
        }
    }

    #[test]
    fn what_is_meant_follows_the_words_that_say_so() {
        let meant = |language, text| flow_phrases(language).meant(text);
        assert_eq!(meant("en", "No, I meant 42."), Some("42".into()));
        assert_eq!(meant("nl", "nee, ik bedoelde twaalf"), Some("twaalf".into()));
        assert_eq!(meant("de", "ich meinte den dritten"), Some("den dritten".into()));
        assert_eq!(meant("en", "that's what I meant"), None);
        assert_eq!(meant("en", "42"), None);
    }

    #[test]
    fn questions_are_told_from_answers() {
        for (language, text) in [
            ("en", "when do you open"),
            ("en", "you open when?"),
            ("nl", "hoe laat gaat u open"),
            ("fr", "Où êtes-vous"),
        ] {
            assert!(flow_phrases(language).is_question(text), "{language}: {text}");
        }
        assert!(!flow_phrases("en").is_question("four two seven"));
    }
}
