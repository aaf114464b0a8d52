//! Scripted phrases for when no LLM can be asked.

/// The phrases of one language.
#[derive(Debug)]
pub struct ScriptedPhrases {
    /// First LLM failure: asks the caller to repeat.
    pub repeat: &'static str,
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
}

/// By TTS language; English as default.
pub fn phrases(language: &str) -> &'static ScriptedPhrases {
    match language.split(['-', '_']).next().unwrap_or("") {
        "nl" => &ScriptedPhrases {
            repeat: "Sorry, er ging iets mis. Kunt u dat herhalen?",
            give_up: "Sorry, het lukt me op dit moment niet. Probeert u het later nog eens. Tot ziens.",
            time_is_up: "We zijn aan het einde van onze tijd. Bedankt voor het gesprek. Tot ziens.",
            goodbye: "Tot ziens.",
            connecting: "Een ogenblik, ik verbind u door.",
            caller_waits: "Er is een beller voor u. Ik verbind u door.",
        },
        "de" => &ScriptedPhrases {
            repeat: "Entschuldigung, da ist etwas schiefgegangen. Können Sie das bitte wiederholen?",
            give_up: "Entschuldigung, das klappt gerade nicht. Bitte versuchen Sie es später noch einmal. Auf Wiederhören.",
            time_is_up: "Unsere Zeit ist leider um. Vielen Dank für das Gespräch. Auf Wiederhören.",
            goodbye: "Auf Wiederhören.",
            connecting: "Einen Moment bitte, ich verbinde Sie.",
            caller_waits: "Es ist ein Anrufer für Sie da. Ich verbinde.",
        },
        "fr" => &ScriptedPhrases {
            repeat: "Désolé, il y a eu un problème. Pouvez-vous répéter ?",
            give_up: "Désolé, cela ne fonctionne pas pour le moment. Veuillez réessayer plus tard. Au revoir.",
            time_is_up: "Notre temps est écoulé. Merci de votre appel. Au revoir.",
            goodbye: "Au revoir.",
            connecting: "Un instant, je vous mets en relation.",
            caller_waits: "Un appel pour vous. Je vous mets en relation.",
        },
        _ => &ScriptedPhrases {
            repeat: "Sorry, something went wrong. Could you say that again?",
            give_up: "Sorry, I can't help you right now. Please try again later. Goodbye.",
            time_is_up: "We have reached the end of our time. Thank you for the call. Goodbye.",
            goodbye: "Goodbye.",
            connecting: "One moment, I will put you through.",
            caller_waits: "There is a caller for you. I am putting them through.",
        },
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
