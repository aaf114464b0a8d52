//! AMD by words: phrases of recorded announcements of carriers, phones and companies, by language.

mod announcements;
mod devices;
mod hints;
mod persons;

use announcements::RECORDED_STRONG;
use devices::{BELONGS, DEVICES, PRESENTS_ITSELF};
use hints::{MESSAGE_WORDS, RECORDED_WEAK, TONE_WORDS};
use persons::{HEARD_ONE, OFFERS_HELP};

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

/// Words between "this is" and the name of a machine: "the", "a sua".
const ARTICLES_MAX: usize = 2;

/// Judges words by whether a living person can say them; `None` for words that say nothing about a machine. A text
/// that ends with a question is a person's, unless its words are a recording's.
pub fn classify_announcement(text: &str) -> Option<AnnouncementEvidence> {
    use AnnouncementEvidence::{Strong, Weak};
    let is_question = text.trim_end().ends_with(['?', '？', '؟']);
    let plain = plain_words(text);
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| has_phrase(&plain, phrase));
    let menu = without_echoes(text);
    let says_menu = IVR_STRONG.iter().any(|phrase| menu != *phrase && has_phrase(&menu, phrase));
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
    if !is_question && presents_device(&plain) {
        return Some(Strong(AmdResult::Voicemail));
    }
    let kinds = RECORDED_WEAK.iter().filter(|phrases| says(phrases)).count();
    match kinds {
        0 => {}
        _ if is_question || says(OFFERS_HELP) => return None,
        1 => return Some(if says_menu { Strong(AmdResult::Voicemail) } else { Weak(AmdResult::Voicemail) }),
        _ => return Some(Strong(AmdResult::Voicemail)),
    }
    if says_menu {
        Some(Strong(AmdResult::Ivr))
    } else if is_question {
        None
    } else if says(SCREENING_WEAK) {
        Some(Weak(AmdResult::CallScreening))
    } else {
        says(IVR_WEAK).then_some(Weak(AmdResult::Ivr))
    }
}

/// Words of a question in which a person repeats what a menu has said, at most: "Press one?"
const ECHO_WORDS_MAX: usize = 6;

/// The plain words without short questions.
fn without_echoes(text: &str) -> String {
    let is_echo = |part: &&str| {
        part.trim_end().ends_with(['?', '？', '؟']) && plain_words(part).split(' ').count() <= ECHO_WORDS_MAX
    };
    let parts = text.split_inclusive(['.', '!', '?', '。', '！', '？', '؟']).filter(|part| !is_echo(part));
    plain_words(&parts.collect::<String>())
}

/// Whether words tell something, as those of a mailbox do that has only a name: no question, no greeting alone, no offer of
/// help.
pub fn is_statement(text: &str) -> bool {
    let plain = plain_words(text);
    let is_question = text.contains(['?', '？', '؟']);
    !is_question && plain.split(' ').count() >= 3 && !OFFERS_HELP.iter().any(|phrase| has_phrase(&plain, phrase))
}

/// Whether a machine says what it is: "this is the mailbox of", "mailbox of" at the beginning, or the network that it has
/// sent the call to one.
fn presents_device(plain: &str) -> bool {
    DEVICES.iter().any(|device| {
        plain.match_indices(device).any(|(at, found)| {
            let (before, after) = (plain[..at].trim_end(), plain[at + found.len()..].trim_start());
            let is_whole = before.len() < at || at == 0;
            let owner = after.split(' ').next().unwrap_or_default();
            let begins = before.split(' ').filter(|word| !word.is_empty()).count() <= 1 && BELONGS.contains(&owner);
            let words: Vec<&str> = before.split(' ').collect();
            let ends = (0..=ARTICLES_MAX).filter_map(|gap| words.get(..words.len().checked_sub(gap)?));
            let is_presented = ends.map(|words| words.join(" ")).any(|lead| {
                PRESENTS_ITSELF
                    .iter()
                    .any(|frame| lead.strip_suffix(frame).is_some_and(|rest| rest.is_empty() || rest.ends_with(' ')))
            });
            is_whole && (begins || is_presented)
        })
    })
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
    fn who_repeats_a_menu_is_no_menu() {
        for text in [
            "Press one? I'm not pressing anything.",
            "What? Press one?",
            "press one",
            "Toets een? Ik toets helemaal niks.",
            "Drücken Sie die Eins? Ich drücke gar nichts.",
            "Tapez 1 ? Je ne tape rien du tout.",
            "¿Pulse uno? Yo no pulso nada.",
            "Prema uno? Non premo niente.",
            "Digite um? Eu não digito nada.",
        ] {
            assert_ne!(classify_announcement(text), Some(Strong(AmdResult::Ivr)), "{text}");
        }
        for text in [
            "Press one for sales.",
            "Would you like to hear this in English? Press one.  For anything else press two.",
            "Do you want to speak to somebody about an order? Press one now.",
            "Voor Nederlands, toets een.",
            "Für Deutsch drücken Sie die Eins.",
        ] {
            check(text, Some(Strong(AmdResult::Ivr)));
        }
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

    /// Greetings of mailboxes and networks as they are heard in each country.
    const MAILBOXES: &[&str] = &[
        // English: America, Britain, Ireland, Australia
        "Your call has been forwarded to an automated voice messaging system. At the tone, please record your message.",
        "The person you're trying to reach isn't available. Please leave a message after the beep.",
        "Hi, you've reached Anna's voicemail. Leave a message and I'll get back to you.",
        "The wireless customer you are calling is not available.",
        "The mailbox is full and cannot accept any messages at this time.",
        "This is the voicemail of Peter Jones.",
        "Welcome to the voicemail of O two.",
        "The mobile phone you are calling may be switched off.",
        "Sorry, the person you have called is unable to take your call.",
        "You've reached the message bank of Telstra.",
        // Dutch: the Netherlands, Belgium
        "Dit is de voicemail van Jan Jansen.",
        "U bent verbonden met de voicemail van nul zes een twee.",
        "Hallo, met Els, ik kan de telefoon niet opnemen, laat een bericht achter.",
        "Je bent verbonden met Piet. Laat je naam en nummer achter, dan bel ik je terug.",
        "Spreek uw boodschap in na de biep.",
        "Uw correspondent is momenteel niet bereikbaar.",
        "De persoon die u belt is niet beschikbaar.",
        "U wordt doorgeschakeld naar de voicemail.",
        "Het nummer dat u hebt gevormd is niet toegekend.",
        // German: Germany, Austria, Switzerland
        "Dies ist die Mailbox von Klaus Weber.",
        "Hier ist der Anrufbeantworter der Familie Huber.",
        "Sie haben die Mailbox von Anna Gruber erreicht.",
        "Sie sind mit der Mobilbox der Nummer null sechs sechs vier verbunden.",
        "Mobilbox von Franz Moser.",
        "Grüezi, das ist die Combox von Urs Meier.",
        "Der gewünschte Teilnehmer ist derzeit nicht erreichbar.",
        "Hinterlass mir eine Nachricht nach dem Piepton.",
        "Der von Ihnen gewünschte Gesprächspartner ist im Moment nicht erreichbar.",
        "Ihr Anruf wird an die Mailbox weitergeleitet. Bitte sprechen Sie nach dem Ton.",
        // French: France, Belgium, Switzerland, Canada
        "Vous êtes bien sur la messagerie de Paul.",
        "Bonjour, vous êtes sur le répondeur de Julie, je ne peux pas répondre.",
        "Vous avez joint la boîte vocale de Luc Tremblay.",
        "Laissez votre message après le timbre.",
        "L'abonné que vous tentez de joindre n'est pas disponible.",
        "Votre correspondant n'est pas joignable actuellement.",
        "Je ne suis pas disponible, laissez vos coordonnées et je vous rappellerai.",
        "Merci de laisser un message, je vous rappelle.",
        "Le numéro composé n'est pas en service.",
        // Spanish: Spain, Mexico, Argentina
        "Ha llamado al contestador de Marta.",
        "Este es el buzón de Carlos Pérez.",
        "El número que usted marcó está apagado o se encuentra fuera del área de servicio.",
        "Su llamada será transferida al buzón.",
        "Dejá tu mensaje después del bip.",
        "Se ha comunicado con la casilla de mensajes de Sofía.",
        "Por favor, grabe su mensaje al oír la señal.",
        "El usuario al que llama no está disponible.",
        "No puedo contestar ahora, deja tu nombre y te llamo.",
        // Italian: Italy, Switzerland
        "Risponde la segreteria telefonica di Marco.",
        "Segreteria telefonica di Giulia Bianchi.",
        "Questa è la combox di Luca.",
        "Il cliente da lei chiamato potrebbe avere il terminale spento.",
        "Lascia un messaggio dopo il beep.",
        "Il numero chiamato è inesistente.",
        "Non posso risponderti, lasciami un messaggio.",
        // Portuguese: Portugal, Brazil
        "Ligou para a caixa de correio de João Silva.",
        "Esta é a caixa de correio do número nove um dois.",
        "Caixa de correio de Ana Costa.",
        "A sua chamada foi reencaminhada para a caixa de correio.",
        "Está ligado ao atendedor de chamadas de Rui.",
        "O telemóvel para o qual ligou está desligado.",
        "Sua chamada está sendo encaminhada para a caixa postal e estará sujeita a cobrança após o sinal.",
        "Você ligou para a caixa de mensagens de Paulo.",
        "Deixe o seu recado depois do bip.",
        "O número que você discou não existe.",
        "Aqui é a secretária eletrônica da família Souza.",
        "Neste momento não posso atender, deixe mensagem.",
    ];

    #[test]
    fn mailboxes_of_each_country_are_known() {
        let missed: Vec<&&str> =
            MAILBOXES.iter().filter(|text| classify_announcement(text) != Some(Strong(AmdResult::Voicemail))).collect();
        assert_eq!(missed, [] as [&&str; 0]);
    }

    #[test]
    fn people_who_speak_of_a_mailbox_are_none() {
        for text in [
            "I had a voicemail from you.",
            "You can put it in the mailbox.",
            "Tom got a message, the signal was bad.",
            "Please leave a message with me and I'll tell him.",
            "You can leave your name and number with me.",
            "Hinterlassen Sie mir einfach Ihren Namen.",
            "Hinterlassen Sie bei mir eine Nachricht, ich richte es aus.",
            "Laat maar een bericht achter bij mij, ik geef het door.",
            "Laissez-moi un message, je lui dirai.",
            "Deje el mensaje conmigo, yo se lo digo.",
            "Lasci un messaggio a me, glielo riferisco.",
            "Deixe o recado comigo, eu transmito.",
            "Ik heb een voicemail van u gekregen.",
            "Dit nummer is niet van mij.",
            "Mag ik uw naam en telefoonnummer?",
            "Sie haben mir gestern auf die Mailbox gesprochen.",
            "Der Kunde ist gerade bei mir.",
            "Der von Ihnen gewünschte Termin ist frei.",
            "C'est bien ton message ?",
            "J'ai eu votre messagerie hier.",
            "La personne que vous demandez arrive.",
            "Merci de laisser le colis devant la porte.",
            "Tengo un mensaje en el buzón.",
            "El cliente que usted busca está aquí.",
            "Segreteria del dottor Rossi, buongiorno.",
            "Chiamo dalla segreteria dello studio.",
            "Deixe na caixa de correio do prédio.",
            "O cliente que ligou já saiu.",
            "My mailbox is full, so please don't leave a message there.",
            "Meine Mailbox ist voll, hinterlassen Sie mir da nichts.",
            "Mijn voicemail is vol, laat daar maar geen bericht achter.",
            "Ma messagerie est pleine, ne laissez pas de message.",
        ] {
            let found = classify_announcement(text);
            assert!(found.is_none() || found == Some(Weak(AmdResult::Voicemail)), "{text}: {found:?}");
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
