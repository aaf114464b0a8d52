//! Words that mean an interruption by themselves: "stop", "wait", "hold on".

use trunkline_media::turn::script::words;

/// Words of an utterance that is a command at most: "no, wait a second please".
const WORDS_MAX: usize = 5;
/// The same in languages without blanks, whose signs are words to us.
const SIGNS_MAX: usize = 9;

const NL: &[&str] = &[
    "stop",
    "wacht",
    "wacht even",
    "ho",
    "ho even",
    "even wachten",
    "momentje",
    "moment",
    "een moment",
    "sorry",
    "pardon",
    "luister",
    "hou op",
    "houd op",
    "stil",
    "nee nee",
    "nee wacht",
];
const DE: &[&str] = &[
    "stopp",
    "stop",
    "halt",
    "warte",
    "warten sie",
    "moment",
    "moment mal",
    "einen moment",
    "augenblick",
    "entschuldigung",
    "sekunde",
    "eine sekunde",
    "nein nein",
    "nein warten sie",
    "hören sie",
    "hör auf",
    "hören sie auf",
];
const FR: &[&str] = &[
    "stop",
    "arrêtez",
    "arrête",
    "attendez",
    "attends",
    "un moment",
    "un instant",
    "une seconde",
    "pardon",
    "excusez-moi",
    "excusez moi",
    "non non",
    "non attendez",
    "écoutez",
];
const ES: &[&str] = &[
    "para",
    "pare",
    "espera",
    "espere",
    "espérate",
    "un momento",
    "un segundo",
    "perdón",
    "perdone",
    "disculpe",
    "alto",
    "escuche",
    "escucha",
    "no no",
    "no espera",
    "no espere",
    "basta",
];
const IT: &[&str] = &[
    "stop",
    "ferma",
    "si fermi",
    "fermati",
    "aspetti",
    "aspetta",
    "un momento",
    "un attimo",
    "un secondo",
    "scusi",
    "scusa",
    "mi scusi",
    "basta",
    "ascolti",
    "senta",
    "no no",
    "no aspetti",
];
const PT: &[&str] = &[
    "pare",
    "para",
    "espera",
    "espere",
    "um momento",
    "um segundo",
    "só um momento",
    "desculpe",
    "desculpa",
    "com licença",
    "escute",
    "não não",
    "não espere",
    "chega",
    "basta",
];
const ZH: &[&str] = &["等一下", "等等", "停", "停一下", "打断一下", "不好意思"];
const JA: &[&str] = &["待って", "ちょっと待って", "ストップ", "すみません"];
const KO: &[&str] = &["잠깐", "잠깐만", "잠깐만요", "잠시만요", "그만"];
const TH: &[&str] = &["หยุด", "เดี๋ยว", "รอเดี๋ยว", "เดี๋ยวก่อน", "ขอโทษ"];
const ENGLISH: &[&str] = &[
    "stop",
    "wait",
    "wait wait",
    "wait a second",
    "wait a minute",
    "wait a moment",
    "hold on",
    "hang on",
    "hold up",
    "one moment",
    "one second",
    "just a second",
    "just a moment",
    "just a minute",
    "excuse me",
    "sorry",
    "pause",
    "listen",
    "shut up",
    "stop talking",
    "stop it",
    "enough",
    "no no",
    "no wait",
    "no stop",
    "no hold on",
];

/// Phrases that ask the agent to stop, in lower case without punctuation.
fn commands(language: &str) -> &'static [&'static str] {
    match language {
        "nl" => NL,
        "de" => DE,
        "fr" => FR,
        "es" => ES,
        "it" => IT,
        "pt" => PT,
        "zh" => ZH,
        "ja" => JA,
        "ko" => KO,
        "th" => TH,
        _ => ENGLISH,
    }
}

/// Politeness around a command.
const AROUND: &str = "please oh no okay ok yeah but hey alsjeblieft bitte s'il vous plaît por favor per favore";

/// Whether an utterance is a command to stop: one of the phrases, with little around it. "Please hold while we try" and
/// "wait for the tone" are none.
pub fn is_stop_command(text: &str, language: &str) -> bool {
    let language = language.split(['-', '_']).next().unwrap_or("");
    // Tone marks of Thai belong to the letter before them.
    let is_part = |c: &char| c.is_alphanumeric() || matches!(c, '\'' | '-' | '\u{0E47}'..='\u{0E4E}');
    let plain: Vec<String> = words(text)
        .map(|word| word.to_lowercase().chars().filter(is_part).collect())
        .filter(|word: &String| !word.is_empty())
        .collect();
    let has_blanks = !matches!(language, "zh" | "ja" | "ko" | "th");
    if plain.is_empty() || plain.len() > if has_blanks { WORDS_MAX } else { SIGNS_MAX } {
        return false;
    }
    let joiner = if has_blanks { " " } else { "" };
    let is_around = |word: &String| AROUND.split(' ').any(|one| one == word);
    let first = plain.iter().take_while(|word| is_around(word)).count();
    let last = plain.iter().rev().take_while(|word| is_around(word)).count();
    let core = plain.get(first..plain.len().saturating_sub(last).max(first)).unwrap_or_default();
    [plain.as_slice(), core].iter().any(|words| repeats(&words.join(joiner), language))
}

/// One command, or the same or another one several times: "wait wait, stop".
fn repeats(text: &str, language: &str) -> bool {
    let mut rest = text.trim();
    let mut count = 0;
    while !rest.is_empty() {
        let fits = |command: &&&str| {
            rest.strip_prefix(**command)
                .is_some_and(|after| after.is_empty() || after.starts_with(' ') || !command.is_ascii())
        };
        let Some(command) = commands(language).iter().filter(fits).max_by_key(|command| command.len()) else {
            return false;
        };
        rest = rest.get(command.len()..).unwrap_or_default().trim_start();
        count += 1;
    }
    count > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_stop_the_agent_in_each_language() {
        for (text, language) in [
            ("Wait.", "en-US"),
            ("no, wait a second", "en"),
            ("Hold on, please!", "en"),
            ("stop stop", "en"),
            ("okay but wait", "en"),
            ("Wacht even", "nl"),
            ("Moment mal, bitte", "de-DE"),
            ("Attendez !", "fr"),
            ("espere, por favor", "es"),
            ("aspetti", "it"),
            ("só um momento", "pt-BR"),
            ("等一下。", "zh"),
            ("ちょっと待って", "ja"),
            ("잠깐만요", "ko"),
            ("รอเดี๋ยว", "th"),
        ] {
            assert!(is_stop_command(text, language), "{text}");
        }
    }

    #[test]
    fn other_words_are_no_command() {
        for text in
            ["", "please hold while we try to connect you", "wait for the tone", "I stop here", "yes", "okay", "please"]
        {
            assert!(!is_stop_command(text, "en"), "{text}");
        }
        assert!(!is_stop_command("paragraaf", "nl") && !is_stop_command("stopcontact", "nl"));
    }
}
