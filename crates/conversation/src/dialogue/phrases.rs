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
    /// While a tool works: the first phrase, then the others in turn.
    pub working: [&'static str; 3],
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
            working: [
                "Een ogenblik, alstublieft.",
                "Ik ben nog aan het zoeken.",
                "Het duurt nog even. Dank u voor het wachten.",
            ],
        },
        "de" => &ScriptedPhrases {
            repeat: "Entschuldigung, da ist etwas schiefgegangen. Können Sie das bitte wiederholen?",
            give_up: "Entschuldigung, das klappt gerade nicht. Bitte versuchen Sie es später noch einmal. Auf Wiederhören.",
            time_is_up: "Unsere Zeit ist leider um. Vielen Dank für das Gespräch. Auf Wiederhören.",
            goodbye: "Auf Wiederhören.",
            connecting: "Einen Moment bitte, ich verbinde Sie.",
            caller_waits: "Es ist ein Anrufer für Sie da. Ich verbinde.",
            working: ["Einen Moment, bitte.", "Ich suche noch.", "Es dauert noch einen Augenblick. Danke fürs Warten."],
        },
        "fr" => &ScriptedPhrases {
            repeat: "Désolé, il y a eu un problème. Pouvez-vous répéter ?",
            give_up: "Désolé, cela ne fonctionne pas pour le moment. Veuillez réessayer plus tard. Au revoir.",
            time_is_up: "Notre temps est écoulé. Merci de votre appel. Au revoir.",
            goodbye: "Au revoir.",
            connecting: "Un instant, je vous mets en relation.",
            caller_waits: "Un appel pour vous. Je vous mets en relation.",
            working: [
                "Un instant, s'il vous plaît.",
                "Je cherche encore.",
                "Cela prend encore un moment. Merci de patienter.",
            ],
        },
        _ => &ScriptedPhrases {
            repeat: "Sorry, something went wrong. Could you say that again?",
            give_up: "Sorry, I can't help you right now. Please try again later. Goodbye.",
            time_is_up: "We have reached the end of our time. Thank you for the call. Goodbye.",
            goodbye: "Goodbye.",
            connecting: "One moment, I will put you through.",
            caller_waits: "There is a caller for you. I am putting them through.",
            working: [
                "One moment, please.",
                "I am still looking.",
                "This takes a little longer. Thank you for waiting.",
            ],
        },
    }
}
