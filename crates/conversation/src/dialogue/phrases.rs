//! Scripted phrases for when no LLM can be asked.

/// The phrases of one language.
#[derive(Debug)]
pub struct ScriptedPhrases {
    /// First LLM failure: asks the caller to repeat.
    pub repeat: &'static str,
    /// The caller was heard and not understood: another language, or a very bad line.
    pub not_understood: &'static str,
    /// Second failure: ends the call.
    pub give_up: &'static str,
    /// Maximum duration reached.
    pub time_is_up: &'static str,
    /// Said before the agent ends the call by a DTMF rule.
    pub goodbye: &'static str,
    /// Before a transfer.
    pub connecting: &'static str,
    /// Briefing when the caller has not said why.
    pub caller_waits: &'static str,
    /// Asks a silent caller.
    pub still_there: &'static str,
    /// Before the call ends because the caller stayed silent.
    pub cannot_hear: &'static str,
}

const DUTCH: ScriptedPhrases = ScriptedPhrases {
    repeat: "Sorry, er ging iets mis. Kunt u dat herhalen?",
    not_understood: "Sorry, dat heb ik niet verstaan. Ik versta alleen Nederlands.",
    give_up: "Sorry, het lukt me op dit moment niet. Probeert u het later nog eens. Tot ziens.",
    time_is_up: "We zijn aan het einde van onze tijd. Bedankt voor het gesprek. Tot ziens.",
    goodbye: "Tot ziens.",
    connecting: "Een ogenblik, ik verbind u door.",
    caller_waits: "Er is een beller voor u. Ik verbind u door.",
    still_there: "Bent u er nog?",
    cannot_hear: "Ik hoor u niet, dus ik beëindig het gesprek. Tot ziens.",
};

const GERMAN: ScriptedPhrases = ScriptedPhrases {
    repeat: "Entschuldigung, da ist etwas schiefgegangen. Können Sie das bitte wiederholen?",
    not_understood: "Entschuldigung, das habe ich nicht verstanden. Ich verstehe nur Deutsch.",
    give_up: "Entschuldigung, das klappt gerade nicht. Bitte versuchen Sie es später noch einmal. Auf Wiederhören.",
    time_is_up: "Unsere Zeit ist leider um. Vielen Dank für das Gespräch. Auf Wiederhören.",
    goodbye: "Auf Wiederhören.",
    connecting: "Einen Moment bitte, ich verbinde Sie.",
    caller_waits: "Es ist ein Anrufer für Sie da. Ich verbinde.",
    still_there: "Sind Sie noch da?",
    cannot_hear: "Ich kann Sie nicht hören und beende jetzt das Gespräch. Auf Wiederhören.",
};

const FRENCH: ScriptedPhrases = ScriptedPhrases {
    repeat: "Désolé, il y a eu un problème. Pouvez-vous répéter ?",
    not_understood: "Désolé, je n'ai pas compris. Je ne comprends que le français.",
    give_up: "Désolé, cela ne fonctionne pas pour le moment. Veuillez réessayer plus tard. Au revoir.",
    time_is_up: "Notre temps est écoulé. Merci de votre appel. Au revoir.",
    goodbye: "Au revoir.",
    connecting: "Un instant, je vous mets en relation.",
    caller_waits: "Un appel pour vous. Je vous mets en relation.",
    still_there: "Vous êtes toujours là ?",
    cannot_hear: "Je ne vous entends pas, je vais donc mettre fin à l'appel. Au revoir.",
};

const SPANISH: ScriptedPhrases = ScriptedPhrases {
    repeat: "Lo siento, algo ha ido mal. ¿Puede repetirlo?",
    not_understood: "Lo siento, no le he entendido. Solo entiendo español.",
    give_up: "Lo siento, ahora mismo no puedo ayudarle. Inténtelo más tarde, por favor. Adiós.",
    time_is_up: "Se nos ha acabado el tiempo. Gracias por la llamada. Adiós.",
    goodbye: "Adiós.",
    connecting: "Un momento, le paso.",
    caller_waits: "Hay una llamada para usted. Se la paso.",
    still_there: "¿Sigue ahí?",
    cannot_hear: "No le oigo, así que voy a terminar la llamada. Adiós.",
};

const ITALIAN: ScriptedPhrases = ScriptedPhrases {
    repeat: "Mi scusi, qualcosa è andato storto. Può ripetere?",
    not_understood: "Mi scusi, non ho capito. Capisco solo l'italiano.",
    give_up: "Mi scusi, in questo momento non posso aiutarla. Riprovi più tardi. Arrivederci.",
    time_is_up: "Il nostro tempo è finito. Grazie della chiamata. Arrivederci.",
    goodbye: "Arrivederci.",
    connecting: "Un attimo, la metto in linea.",
    caller_waits: "C'è una chiamata per lei. La passo.",
    still_there: "È ancora in linea?",
    cannot_hear: "Non la sento, quindi chiudo la chiamata. Arrivederci.",
};

const PORTUGUESE: ScriptedPhrases = ScriptedPhrases {
    repeat: "Desculpe, algo correu mal. Pode repetir?",
    not_understood: "Desculpe, não percebi. Só percebo português.",
    give_up: "Desculpe, neste momento não consigo ajudar. Tente mais tarde, por favor. Até logo.",
    time_is_up: "O nosso tempo acabou. Obrigado pela chamada. Até logo.",
    goodbye: "Até logo.",
    connecting: "Um momento, vou passar a chamada.",
    caller_waits: "Tem uma chamada. Vou passar.",
    still_there: "Ainda está aí?",
    cannot_hear: "Não consigo ouvir, por isso vou terminar a chamada. Até logo.",
};

const ENGLISH: ScriptedPhrases = ScriptedPhrases {
    repeat: "Sorry, something went wrong. Could you say that again?",
    not_understood: "Sorry, I did not understand that. I only understand English. Could you say it again?",
    give_up: "Sorry, I can't help you right now. Please try again later. Goodbye.",
    time_is_up: "We have reached the end of our time. Thank you for the call. Goodbye.",
    goodbye: "Goodbye.",
    connecting: "One moment, I will put you through.",
    caller_waits: "There is a caller for you. I am putting them through.",
    still_there: "Are you still there?",
    cannot_hear: "I can't hear you, so I will end the call now. Goodbye.",
};

/// By TTS language; English as default.
pub fn phrases(language: &str) -> &'static ScriptedPhrases {
    match language.split(['-', '_']).next().unwrap_or("") {
        "nl" => &DUTCH,
        "de" => &GERMAN,
        "fr" => &FRENCH,
        "es" => &SPANISH,
        "it" => &ITALIAN,
        "pt" => &PORTUGUESE,
        _ => &ENGLISH,
    }
}

/// What is said by default while the caller waits for a tool or the model, by TTS language; empty for languages without
/// phrases, because another language is worse than a pause.
pub fn fillers(language: &str) -> &'static [&'static str] {
    match language.split(['-', '_']).next().unwrap_or("") {
        "en" => &["One moment, please.", "I'm still on it.", "Just a little longer, please."],
        "nl" => &["Een ogenblik.", "Ik ben er nog mee bezig.", "Nog heel even."],
        "de" => &["Einen Moment bitte.", "Ich bin noch dabei.", "Noch einen kleinen Moment."],
        "fr" => &["Un instant, s'il vous plaît.", "Je m'en occupe.", "Encore un petit instant."],
        "es" => &["Un momento, por favor.", "Sigo en ello.", "Un momentito más."],
        "it" => &["Un momento, per favore.", "Ci sto lavorando.", "Ancora un attimo."],
        "pt" => &["Um momento, por favor.", "Ainda estou a ver.", "Só mais um instante."],
        "pl" => &["Chwileczkę.", "Już sprawdzam.", "Jeszcze chwilę."],
        "sv" => &["Ett ögonblick.", "Jag håller på.", "Strax klart."],
        "da" => &["Et øjeblik.", "Jeg er i gang.", "Et øjeblik endnu."],
        "no" | "nb" => &["Et øyeblikk.", "Jeg holder på.", "Et øyeblikk til."],
        "fi" => &["Hetkinen.", "Selvitän vielä.", "Vielä pieni hetki."],
        "cs" => &["Okamžik, prosím.", "Stále na tom pracuji.", "Ještě chvilku."],
        "ru" => &["Одну минуту.", "Я всё ещё проверяю.", "Ещё немного."],
        "uk" => &["Хвилинку.", "Я ще перевіряю.", "Ще трохи."],
        "tr" => &["Bir saniye lütfen.", "Hâlâ bakıyorum.", "Az kaldı."],
        "ar" => &["لحظة من فضلك.", "ما زلت أتحقق.", "لحظة أخرى."],
        "hi" => &["एक क्षण रुकिए।", "मैं अभी देख रहा हूँ।", "बस थोड़ा और।"],
        "ja" => &["少々お待ちください。", "ただいま確認しております。", "もう少々お待ちください。"],
        "zh" => &["请稍等。", "我还在查询。", "请再稍等一下。"],
        "ko" => &["잠시만 기다려 주세요.", "지금 확인하고 있습니다.", "조금만 더 기다려 주세요."],
        _ => &[],
    }
}
