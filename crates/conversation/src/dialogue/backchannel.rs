//! Backchannels: sounds and words of a listener that do not interrupt.

use trunkline_media::turn::script::{has_no_blanks, joins_previous, words};

const NL: &[&str] =
    &["mhm", "hm", "hmm", "aha", "o", "oh", "oké", "ok", "ja ja", "jaja", "precies", "zo", "tja", "echt"];
const DE: &[&str] =
    &["mhm", "hm", "hmm", "aha", "ach so", "achso", "ah", "oh", "okay", "ok", "genau", "ja ja", "jaja", "so"];
const FR: &[&str] = &[
    "mhm",
    "hm",
    "hmm",
    "euh",
    "ah",
    "oh",
    "d'accord",
    "ok",
    "okay",
    "je vois",
    "bien",
    "très bien",
    "voilà",
    "ouais",
    "ah bon",
    "ah oui",
    "d'acc",
    "entendu",
    "exact",
    "exactement",
    "parfait",
];
const ES: &[&str] = &[
    "mhm",
    "hm",
    "hmm",
    "ajá",
    "aja",
    "ah",
    "oh",
    "vale",
    "ok",
    "okay",
    "claro",
    "ya",
    "ya veo",
    "entiendo",
    "de acuerdo",
    "perfecto",
    "exacto",
    "muy bien",
    "ah sí",
    "ah ya",
];
const IT: &[&str] = &[
    "mhm",
    "hm",
    "hmm",
    "ah",
    "oh",
    "ok",
    "okay",
    "va bene",
    "certo",
    "capito",
    "capisco",
    "ho capito",
    "d'accordo",
    "esatto",
    "perfetto",
    "ah ecco",
    "ecco",
    "già",
    "ah sì",
];
const PT: &[&str] = &[
    "mhm",
    "hm",
    "hmm",
    "uhum",
    "aham",
    "ah",
    "oh",
    "ok",
    "okay",
    "tá",
    "tá bom",
    "tá bem",
    "está bem",
    "certo",
    "entendi",
    "percebo",
    "claro",
    "pois",
    "pois é",
    "exato",
    "beleza",
    "ah sim",
    "perfeito",
];
const ZH: &[&str] =
    &["嗯", "嗯嗯", "哦", "噢", "啊", "好的", "好", "是的", "是是", "对", "对对", "对对对", "这样啊", "明白", "了解"];
const JA: &[&str] =
    &["うん", "うんうん", "ええ", "はいはい", "へえ", "ああ", "なるほど", "そうですか", "そうですね", "そっか"];
const KO: &[&str] = &["음", "아", "아네", "네네", "그렇군요", "그래요", "그렇죠", "알겠습니다"];
const TH: &[&str] = &["อืม", "อือ", "อ๋อ", "อ้อ", "ครับ", "ค่ะ", "จ้ะ", "โอเค"];
const ENGLISH: &[&str] = &[
    "mhm",
    "mm",
    "mmm",
    "mm-hmm",
    "mmhmm",
    "hm",
    "hmm",
    "uh-huh",
    "uh huh",
    "aha",
    "ah",
    "oh",
    "i see",
    "right",
    "okay",
    "ok",
    "sure",
    "got it",
    "wow",
    "really",
    "great",
    "all right",
    "alright",
];

/// Always a backchannel.
fn backchannels(language: &str) -> &'static [&'static str] {
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

/// Either a backchannel or an answer to a question.
fn ambiguous_backchannels(language: &str) -> &'static [&'static str] {
    match language {
        "nl" => &["ja", "goed", "prima"],
        "de" => &["ja", "gut"],
        "fr" => &["oui", "oui oui", "si"],
        "es" => &["sí", "si", "sí sí", "bueno", "bien"],
        "it" => &["sì", "si", "sì sì", "bene"],
        "pt" => &["sim", "é", "bom", "bem"],
        "zh" => &["是", "可以", "行"],
        "ja" => &["はい", "いいです"],
        "ko" => &["네", "예", "좋아요"],
        "th" => &["ใช่", "ได้"],
        _ => &["yes", "yeah", "yep", "yup", "good"],
    }
}

/// Sounds of a listener that answer nothing, not even a question.
const SOUNDS: [&str; 16] =
    ["hm", "hmm", "mm", "mmm", "ah", "oh", "o", "aha", "wow", "really", "echt", "哦", "噢", "啊", "へえ", "아"];

/// How people answer the phone: no reason to skip the greeting.
fn call_openings(language: &str) -> &'static [&'static str] {
    match language {
        "nl" => &["hallo", "ja", "ja hallo", "hoi", "dag"],
        "de" => &["hallo", "ja", "ja hallo", "ja bitte", "guten tag"],
        "fr" => &["allô", "oui", "oui allô", "bonjour"],
        "es" => &["hola", "diga", "dígame", "sí", "bueno", "aló", "buenos días", "buenas tardes", "buenas"],
        "it" => &["pronto", "sì", "sì pronto", "buongiorno", "buonasera", "salve"],
        "pt" => &["alô", "está", "está lá", "sim", "estou", "bom dia", "boa tarde", "olá"],
        "zh" => &["喂", "你好", "您好", "喂你好", "喂您好"],
        "ja" => &["もしもし", "はい", "はいもしもし", "こんにちは"],
        "ko" => &["여보세요", "네", "네 여보세요", "안녕하세요"],
        "th" => &["สวัสดีครับ", "สวัสดีค่ะ", "สวัสดี", "ฮัลโหล"],
        _ => &["hello", "hi", "hey", "yes", "yeah", "yes hello", "hello hello", "good morning", "good afternoon"],
    }
}

/// Signs of a language without blanks that have to come back: two of them are in many sentences.
const ECHO_SIGNS_MIN: usize = 4;

fn plain(text: &str) -> String {
    let words = text.split_whitespace().map(|word| {
        // Tone marks of Thai belong to the letter before them.
        let word = word.trim_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '\u{0E47}'..='\u{0E4E}'));
        word.to_lowercase()
    });
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn short(language: &str) -> &str {
    language.split(['-', '_']).next().unwrap_or("")
}

/// Whether a text consists only of backchannels. `asked`: the agent has just asked something, so "yes" is an answer, and
/// so are "mhm", "okay" and "sure".
/// `own`: words from the agent's configuration.
pub fn is_backchannel(text: &str, language: &str, asked: bool, own: &[String]) -> bool {
    let language = short(language);
    let text = plain(text);
    let known = |part: &str| {
        backchannels(language).contains(&part) && (!asked || SOUNDS.contains(&part))
            || !asked && ambiguous_backchannels(language).contains(&part)
            || own.iter().any(|one| plain(one) == part)
    };
    // "Okay, okay, right": word by word, or as one of the expressions of several words.
    !text.is_empty() && (known(&text) || text.split(' ').count() <= 4 && text.split(' ').all(known))
}

/// Whether an interim text may still become a backchannel: "uh", "I".
pub fn may_be_backchannel(text: &str, language: &str) -> bool {
    let (language, text) = (short(language), plain(text));
    let known = backchannels(language).iter().chain(ambiguous_backchannels(language)).chain(call_openings(language));
    // Up to the last word everything is known; the last one may be half an expression.
    let begins = |rest: &str| known.clone().any(|one| one.starts_with(rest) && one.len() > rest.len());
    let words: Vec<&str> = text.split(' ').collect();
    (0..words.len()).any(|from| {
        let before = words[..from].join(" ");
        let settled =
            before.is_empty() || is_call_opening(&before, language) || is_backchannel(&before, language, false, &[]);
        settled && begins(&words[from..].join(" "))
    })
}

/// Whether the words are only a greeting on answering the phone.
pub fn is_call_opening(text: &str, language: &str) -> bool {
    let text = plain(text);
    let mut rest = text.as_str();
    // "Hello, good morning": one after the other, the longest first.
    while !rest.is_empty() {
        let fits = |one: &&&str| rest == **one || rest.starts_with(&format!("{one} "));
        let Some(known) = call_openings(short(language)).iter().filter(fits).max_by_key(|one| one.len()) else {
            return false;
        };
        rest = rest[known.len()..].trim_start();
    }
    !text.is_empty()
}

/// What is compared of a text: its words; of languages without blanks, and of Korean, whose particles change, the syllables.
fn units(text: &str) -> Vec<String> {
    let is_hangul = |c: char| matches!(u32::from(c), 0xAC00..=0xD7AF);
    let parts = words(text).flat_map(|word| {
        let word: String = word.chars().filter(|c| c.is_alphanumeric() || joins_previous(*c)).collect();
        match word.chars().any(is_hangul) {
            true => word.chars().map(String::from).collect(),
            false => vec![plain(&word)],
        }
    });
    parts.filter(|part| !part.is_empty()).collect()
}

/// Whether words are an echo of the agent: most of them were just said by the agent, in this order.
pub fn is_echo_of(text: &str, said: &str) -> bool {
    let (units, said) = (units(text), units(said));
    let mut rest = said.iter();
    let found =
        units.iter().filter(|unit| rest.clone().any(|one| one == *unit) && rest.any(|one| one == *unit)).count();
    let is_sign = |unit: &String| {
        unit.chars().next().is_some_and(|c| has_no_blanks(c) || matches!(u32::from(c), 0xAC00..=0xD7AF))
    };
    let enough = if units.iter().any(is_sign) { ECHO_SIGNS_MIN } else { 2 };
    units.len() >= enough && found * 10 >= units.len() * 7
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, language: &str, asked: bool, wanted: bool) {
        assert_eq!(is_backchannel(text, language, asked, &["roger".to_owned()]), wanted, "{text}");
    }

    #[test]
    fn listeners_say_go_on() {
        for text in ["Mhm.", "uh-huh", "Okay, right.", "I see.", "Yeah.", "Roger!"] {
            check(text, "en-GB", false, true);
        }
        check("ja ja", "nl", false, true);
        check("ach so", "de", false, true);
    }

    #[test]
    fn callers_want_something() {
        for text in ["wait", "stop", "no", "okay but wait", "yes I have a question", ""] {
            check(text, "en", false, false);
        }
        check("yeah", "en", true, false);
        for text in ["mhm", "Okay.", "sure", "uh-huh"] {
            check(text, "en", true, false);
        }
        check("oh", "en", true, true);
    }

    #[test]
    fn half_an_expression_is_waited_for() {
        for text in ["I", "uh", "Hello, good", "got", "okay, all"] {
            assert!(may_be_backchannel(text, "en"), "{text}");
        }
        for text in ["wait", "I want", "Hello, I", "stop"] {
            assert_eq!(may_be_backchannel(text, "en"), text == "Hello, I", "{text}");
        }
    }

    #[test]
    fn call_openings_are_recognized() {
        for text in ["Hello?", "Hello, good morning.", "Yes, hello?"] {
            assert!(is_call_opening(text, "en"), "{text}");
        }
        for text in ["", "Hello, this is Jan.", "Who is this?"] {
            assert!(!is_call_opening(text, "en"), "{text}");
        }
    }

    #[test]
    fn our_words_come_back() {
        let said = "Good morning, this is the pizza place on Elm Street. How can I help you?";
        assert!(is_echo_of("this is the pizza place", said));
        assert!(is_echo_of("the pizza place on elm treat", said));
        assert!(!is_echo_of("I would like a pizza", said));
        assert!(!is_echo_of("help", said), "one word is too little to say");
    }

    #[test]
    fn our_words_come_back_in_languages_without_blanks() {
        let said = "您好，这里是健康诊所，请问有什么可以帮您？";
        assert!(is_echo_of("这里是健康诊所", said) && is_echo_of("这里是健康整所", said));
        assert!(!is_echo_of("我要预约医生", said) && !is_echo_of("您好", said));
        assert!(is_echo_of("ご注文はどちら", "ご注文はどちらになさいますか。"));
        assert!(!is_echo_of("いいえ違います", "ご注文はどちらになさいますか。"));
        assert!(is_echo_of("ยินดีต้อนรับ", "สวัสดีค่ะ ยินดีต้อนรับค่ะ"));
        // Korean changes its particles from one hearing to the next.
        assert!(is_echo_of("주문은 어디로 보낼까요", "주문을 어디로 보낼까요?"));
        assert!(!is_echo_of("내일 다시 전화할게요", "주문을 어디로 보낼까요?"));
    }

    #[test]
    fn listeners_say_go_on_in_languages_without_blanks() {
        for (text, language) in [("嗯嗯。", "zh-CN"), ("なるほど。", "ja"), ("네네.", "ko"), ("ครับ", "th-TH")]
        {
            check(text, language, false, true);
        }
        for (text, language) in [("等一下", "zh"), ("ちょっと待って", "ja"), ("잠깐만요", "ko"), ("รอเดี๋ยว", "th")]
        {
            check(text, language, false, false);
        }
        assert!(is_call_opening("もしもし。", "ja") && is_call_opening("喂？", "zh"));
    }
}
