//! AMD by words: phrases of recorded announcements of carriers, phones and companies, by language.

mod announcements;

use announcements::{HEARD_ONE, MESSAGE_WORDS, OFFERS_HELP, RECORDED_STRONG, RECORDED_WEAK, TONE_WORDS};

/// AMD result: what answered an outbound call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmdResult {
    /// A person.
    Human,
    /// An answering machine or voicemail.
    Voicemail,
    /// A call screening assistant that asks who is calling before it rings.
    CallScreening,
    /// An IVR menu.
    Ivr,
    /// A fax machine, known by its tones.
    Fax,
}

impl AmdResult {
    /// Returns the name in the call's metrics: `human`, `voicemail`, `screening`, `ivr` or `fax`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Voicemail => "voicemail",
            Self::CallScreening => "screening",
            Self::Ivr => "ivr",
            Self::Fax => "fax",
        }
    }
}

/// What words say about who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnnouncementEvidence {
    /// Only a recording says this.
    Strong(AmdResult),
    /// A recording may say this, and a person may: it needs a second sign, such as a monologue or a beep.
    Weak(AmdResult),
}

/// Only screening services say these.
const SCREENING_STRONG: &[&str] = &[
    "call screening",
    "screening service",
    "google assistant",
    "please state your name",
    "please say your name",
    "record your name",
    "before i try to connect",
    "see if this person is available",
    "see if they're available",
    "uw naam en de reden",
    "ihren namen und den grund",
    "votre nom et la raison",
    "su nombre y el motivo",
    "il suo nome e il motivo",
    "o seu nome e o motivo",
];
/// A secretary asks these too.
const SCREENING_WEAK: &[&str] = &[
    "call assist",
    "state your name",
    "say your name",
    "reason for calling",
    "reason for your call",
    "why you are calling",
    "why you're calling",
    "who is calling and why",
];
const IVR_STRONG: &[&str] = &[
    "press one",
    "press 1",
    "press two",
    "press 2",
    "press zero",
    "press 0",
    "press star",
    "press pound",
    "press hash",
    "following options",
    "menu options",
    "to continue in english",
    "your call is important",
    "toets een",
    "toets 1",
    "kies 1",
    "drücken sie die",
    "drücken sie eins",
    "drücken sie die 1",
    "wählen sie die",
    "wählen sie eins",
    "tapez 1",
    "appuyez sur la touche",
    "appuyez sur 1",
    "pulse 1",
    "pulse uno",
    "marque 1",
    "marque uno",
    "oprima 1",
    "oprima uno",
    "prema 1",
    "prema uno",
    "digiti 1",
    "digite 1",
    "digite um",
    "pressione 1",
    "tecle 1",
    "naciśnij 1",
    "wybierz 1",
    "нажмите 1",
    "1 दबाएं",
    "एक दबाएं",
    "番号を押して",
    "请按1",
    "请按一",
];
const IVR_WEAK: &[&str] = &["main menu", "drücken sie", "wählen sie", "appuyez sur"];

/// Judges words by whether a living person can say them; `None` for words that say nothing about a machine. A text
/// that ends with a question is a person's, unless its words are a recording's.
pub fn classify_announcement(text: &str) -> Option<AnnouncementEvidence> {
    use AnnouncementEvidence::{Strong, Weak};
    let is_question = text.trim_end().ends_with(['?', '？', '؟']);
    let plain = plain_words(text);
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| has_phrase(&plain, phrase));
    if says(SCREENING_STRONG) {
        return Some(Strong(AmdResult::CallScreening));
    }
    if says(HEARD_ONE) {
        return None;
    }
    // "To leave a message press one" is a voicemail menu: voicemail wins.
    if says(RECORDED_STRONG) || says(MESSAGE_WORDS) && says(TONE_WORDS) {
        return Some(Strong(AmdResult::Voicemail));
    }
    let kinds = RECORDED_WEAK.iter().filter(|phrases| says(phrases)).count();
    match kinds {
        0 => {}
        _ if is_question || says(OFFERS_HELP) => return None,
        1 => return Some(if says(IVR_STRONG) { Strong(AmdResult::Voicemail) } else { Weak(AmdResult::Voicemail) }),
        _ => return Some(Strong(AmdResult::Voicemail)),
    }
    if says(IVR_STRONG) {
        Some(Strong(AmdResult::Ivr))
    } else if is_question {
        None
    } else if says(SCREENING_WEAK) {
        Some(Weak(AmdResult::CallScreening))
    } else {
        says(IVR_WEAK).then_some(Weak(AmdResult::Ivr))
    }
}

/// Lower case, with a blank for each mark of punctuation.
fn plain_words(text: &str) -> String {
    let mark = |c: char| c.is_ascii_punctuation() && c != '\'' || "。、！？，．；：「」¿¡।…–—؟،".contains(c);
    let plain = |c: char| match c {
        '’' => '\'',
        c if mark(c) || c.is_whitespace() => ' ',
        c => c,
    };
    text.to_lowercase()
        .chars()
        .map(plain)
        .collect::<String>()
        .split(' ')
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Whether a phrase is in a text as whole words; in scripts without blanks, anywhere.
fn has_phrase(plain: &str, phrase: &str) -> bool {
    let has_blanks = phrase.chars().all(|c| c < '\u{2E80}');
    plain.match_indices(phrase).any(|(at, found)| {
        let before = plain[..at].chars().next_back();
        let after = plain[at + found.len()..].chars().next();
        let ends = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
        !has_blanks || ends(before) && (ends(after) || STEMS.contains(&phrase))
    })
}

/// Phrases that end with the stem of a word.
const STEMS: &[&str] = &["vous rappel", "richiamer", "oddzwon"];

#[cfg(test)]
mod tests {
    use super::AnnouncementEvidence::{Strong, Weak};
    use super::*;

    fn check(text: &str, wanted: Option<AnnouncementEvidence>) {
        assert_eq!(classify_announcement(text), wanted, "{text}");
    }

    #[test]
    fn recorded_announcements_are_known_by_their_words() {
        for text in [
            "Hi, you’ve reached John. I can’t come to the phone right now.",
            "The person you are calling is not available. At the tone, please record your message.",
            "To leave a message, press one.",
            "Hi this is Anna. Sorry I missed you. I will call you back as soon as I can. Thanks, bye.",
            "Spreek een bericht in na de pieptoon.",
            "Bitte hinterlassen Sie eine Nachricht nach dem Signalton.",
            "Laissez un message après le bip.",
        ] {
            check(text, Some(Strong(AmdResult::Voicemail)));
        }
        for text in [
            "Hi, the person you're calling is using a screening service from Google.",
            "If you record your name and reason for calling, I'll see if this person is available.",
        ] {
            check(text, Some(Strong(AmdResult::CallScreening)));
        }
        check("For sales, press one. For support, press two.", Some(Strong(AmdResult::Ivr)));
    }

    #[test]
    fn mailboxes_and_networks_speak_many_languages() {
        for text in [
            "Deja tu mensaje después de la señal.",
            "El número que ha marcado no está disponible.",
            "Lasciate un messaggio dopo il segnale acustico.",
            "Deixe a sua mensagem após o sinal.",
            "Nagraj wiadomość po sygnale.",
            "Abonent jest czasowo niedostępny.",
            "कृपया बीप के बाद अपना संदेश छोड़ें।",
            "जिस नंबर पर आप कॉल कर रहे हैं वह अभी व्यस्त है।",
            "発信音の後にメッセージをどうぞ。",
            "おかけになった電話は電源が入っていません。",
            "您拨打的电话暂时无法接通。",
            "Оставьте сообщение после сигнала.",
            "Lämna ett meddelande efter tonen.",
            "The number you have dialled is not in service.",
            "Het door u gekozen nummer is niet in gebruik.",
            "Kein Anschluss unter dieser Nummer.",
            "Le numéro que vous avez demandé n'est pas attribué.",
        ] {
            check(text, Some(Strong(AmdResult::Voicemail)));
        }
    }

    #[test]
    fn what_a_person_can_say_is_a_hint_at_most() {
        for text in [
            "I'll have you forwarded to accounting.",
            "He is not available right now.",
            "I will get back to you.",
            "Sorry I missed your call earlier.",
            "Hij is vandaag niet bereikbaar.",
            "No está disponible.",
        ] {
            check(text, Some(Weak(AmdResult::Voicemail)));
        }
        check("Tell me the reason for your call.", Some(Weak(AmdResult::CallScreening)));
    }

    #[test]
    fn people_say_other_things() {
        for text in [
            "Hello?",
            "Yes, this is Anna speaking, who is this?",
            "Acme bakery, good morning, how can I help you?",
            "Hold on a second.",
            "He is not available right now, can I take a message?",
            "I'm driving, can I get back to you?",
            "You have reached the Smith residence, who's calling?",
            "I deleted your voicemail, what was it about?",
            "Tony got your message.",
            "I got your voicemail yesterday about the message you left after the beep.",
            "Please leave it at the door.",
            "I am afraid the doctor is not available at the moment but I can help you.",
            "Mevrouw is niet aanwezig, maar ik kan u wel helpen.",
            "Er ist nicht erreichbar, kann ich Ihnen helfen?",
            "¿Quiere dejar un mensaje?",
        ] {
            check(text, None);
        }
    }
}
