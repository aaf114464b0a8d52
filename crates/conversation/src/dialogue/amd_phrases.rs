//! AMD by words: phrases of recorded announcements of carriers, phones and companies, by language.

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

const CALL_SCREENING_PHRASES: &[&str] = &[
    "call screening",
    "screening service",
    "call assist",
    "google assistant",
    "state your name",
    "say your name",
    "record your name",
    "reason for calling",
    "reason for your call",
    "why you are calling",
    "why you're calling",
    "before i try to connect",
    "see if this person is available",
    "see if they're available",
    "who is calling and why",
    "uw naam en de reden",
    "ihren namen und den grund",
    "votre nom et la raison",
];
const IVR_PHRASES: &[&str] = &[
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
    "main menu",
    "menu options",
    "to continue in english",
    "your call is important",
    "toets een",
    "toets 1",
    "kies 1",
    "drücken sie",
    "wählen sie",
    "tapez 1",
    "appuyez sur",
];
const VOICEMAIL_PHRASES: &[&str] = &[
    "leave a message",
    "leave your message",
    "leave me a message",
    "leave your name",
    "leave us a message",
    "after the tone",
    "after the beep",
    "message at the tone",
    "message at the beep",
    "voicemail",
    "voice mail",
    "mailbox",
    "record your message",
    "answering machine",
    "can't come to the phone",
    "cannot come to the phone",
    "can't take your call",
    "cannot take your call",
    "unable to take your call",
    "not able to take your call",
    "is not available",
    "are not available",
    "nobody is available",
    "no one is available",
    "is unavailable",
    "mail box",
    "not available right now",
    "get back to you",
    "return your call",
    "you have reached the",
    "you've reached the voice",
    "forwarded to",
    "has not been set up",
    "bericht achter",
    "spreek een bericht in",
    "na de toon",
    "na de piep",
    "na de pieptoon",
    "niet bereikbaar",
    "voicemailbox",
    "antwoordapparaat",
    "niet aanwezig",
    "nachricht hinterlassen",
    "hinterlassen sie",
    "nach dem signalton",
    "nach dem ton",
    "nach dem piep",
    "mailbox",
    "anrufbeantworter",
    "nicht erreichbar",
    "nicht zu erreichen",
    "vorübergehend nicht",
    "laissez un message",
    "laisser un message",
    "après le bip",
    "après le signal",
    "messagerie",
    "répondeur",
    "n'est pas disponible",
    "pas joignable",
];

/// Classifies recorded announcements by their words; `None` for words that a person says.
pub fn classify_announcement(text: &str) -> Option<AmdResult> {
    let plain: String = text
        .to_lowercase()
        .chars()
        .map(|c| if c == '’' { '\'' } else { c })
        .filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '\'')
        .collect();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| plain.contains(phrase));
    // "To leave a message press one" is a voicemail menu: voicemail wins.
    if says(CALL_SCREENING_PHRASES) {
        Some(AmdResult::CallScreening)
    } else if says(VOICEMAIL_PHRASES) {
        Some(AmdResult::Voicemail)
    } else if says(IVR_PHRASES) {
        Some(AmdResult::Ivr)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, wanted: Option<AmdResult>) {
        assert_eq!(classify_announcement(text), wanted, "{text}");
    }

    #[test]
    fn recorded_announcements_are_known_by_their_words() {
        check("Hi, you’ve reached John. I can’t come to the phone right now.", Some(AmdResult::Voicemail));
        check(
            "The person you are calling is not available. At the tone, please record your message.",
            Some(AmdResult::Voicemail),
        );
        check("Spreek een bericht in na de pieptoon.", Some(AmdResult::Voicemail));
        check("Bitte hinterlassen Sie eine Nachricht nach dem Signalton.", Some(AmdResult::Voicemail));
        check("Laissez un message après le bip.", Some(AmdResult::Voicemail));
        check(
            "Hi, the person you're calling is using a screening service from Google.",
            Some(AmdResult::CallScreening),
        );
        check(
            "If you record your name and reason for calling, I'll see if this person is available.",
            Some(AmdResult::CallScreening),
        );
        check("For sales, press one. For support, press two.", Some(AmdResult::Ivr));
    }

    #[test]
    fn people_say_other_things() {
        for text in [
            "Hello?",
            "Yes, this is Anna speaking, who is this?",
            "Acme bakery, good morning, how can I help you?",
            "Hold on a second.",
        ] {
            check(text, None);
        }
    }
}
