//! Yes or no, in the words of each language.

use super::words::{base, fold, words};

/// Words that agree, and those that do not; more than one word where they belong together. Parted by bars.
type Lists = (&'static str, &'static str);

const NL: Lists = (
    "ja|jawel|klopt|dat klopt|juist|correct|goed|inderdaad|precies|zeker|oke|prima|yes|denk het|ik denk van wel|volgens mij wel|geloof het wel|geloof van wel|vast wel|zal wel",
    "nee|neen|niet|fout|verkeerd|onjuist|geen|nope",
);
const DE: Lists = (
    "ja|jawohl|genau|stimmt|richtig|korrekt|passt|jo|klar|okay|sicher|exakt|doch|denke schon|denk schon|glaube schon|glaub schon|wohl schon|ich vermute|vermutlich|ich nehme es an|nehme ich an",
    "nein|nee|nicht|falsch|verkehrt|kein|keineswegs",
);
const FR: Lists = (
    "oui|ouais|exact|exactement|correct|juste|d'accord|voila|tout a fait|parfait|c'est ca|bien sur|je pense|je crois|je suppose|j'imagine|il me semble",
    "non|pas|faux|incorrect|aucun|nan",
);
const ES: Lists = (
    "si|correcto|exacto|claro|vale|eso es|asi es|cierto|perfecto|de acuerdo|eso creo|supongo|me imagino|creo que asi es",
    "no|incorrecto|mal|tampoco|falso",
);
const IT: Lists = (
    "si|esatto|corretto|giusto|certo|va bene|perfetto|okay|d'accordo|esattamente|suppongo|immagino|lo credo|mi sembra",
    "no|non|sbagliato|errato|scorretto",
);
const PT: Lists = (
    "sim|correto|certo|exato|isso|claro|esta bem|perfeito|exatamente|pois|suponho|imagino|acho que e isso|parece que sim",
    "nao|errado|incorreto|falso",
);
const EN: Lists = (
    "yes|yeah|yep|yup|correct|right|sure|exactly|okay|ok|that's it|absolutely|indeed|perfect|fine|true|definitely|aye|guess so|think so|suppose so|believe so|say so|reckon so|hope so|should be|sounds good|looks good",
    "no|nope|nah|not|isn't|wrong|incorrect|false|don't|never|doesn't",
);

const SV: Lists = (
    "ja|jo|japp|jajamen|absolut|precis|stämmer|korrekt|rätt|okej|okay|ok|gärna|visst|självklart|exakt",
    "nej|nä|inte|fel|nope|aldrig",
);
const DA: Lists = ("ja|jo|jep|præcis|korrekt|rigtigt|passer|gerne|okay|ok|selvfølgelig", "nej|næ|ikke|forkert|aldrig");
const NB: Lists =
    ("ja|jo|japp|stemmer|riktig|korrekt|gjerne|okei|okay|ok|selvfølgelig|nettopp", "nei|næ|ikke|ikkje|feil|aldri");
const FI: Lists = (
    "kyllä|joo|juu|jep|aivan|oikein|totta|pitää paikkansa|ok|okei|tietysti|toki|mielellään",
    "ei|en|eikä|väärin|emme|ette|eivät",
);
const PL: Lists = (
    "tak|owszem|zgadza|dokładnie|racja|jasne|oczywiście|poproszę|dobrze|pewnie|okej|ok|prawda|poprawnie|no tak",
    "nie|błędnie|źle|błąd|niepoprawnie|nieprawda",
);
const CS: Lists = (
    "ano|jo|jasně|správně|přesně|souhlasí|dobře|určitě|samozřejmě|přesně tak|ok",
    "ne|není|nechci|špatně|nikoli|nikoliv|nesouhlasí|nemusíte|děkuji ne",
);
const RU: Lists = (
    "да|ага|угу|верно|правильно|конечно|хорошо|точно|так|давайте|хочу|всё верно|ладно|окей",
    "нет|не|неверно|неправильно|неа|никогда",
);
const UK: Lists =
    ("так|ага|вірно|правильно|звичайно|добре|точно|авжеж|гаразд|хочу|звісно", "ні|не|неправильно|невірно|ніколи");
const TR: Lists = (
    "evet|tamam|doğru|olur|tabii|tabi|elbette|aynen|peki|isterim|kesinlikle",
    "hayır|yok|değil|yanlış|olmaz|istemiyorum|istemem|gerek yok",
);
const AR: Lists = (
    "نعم|أجل|اجل|أيوه|ايوه|أيوة|ايوة|إيه|صحيح|تمام|طبعا|طبعًا|أكيد|اكيد|بالتأكيد|حسنا|حسنًا|موافق|بلى|صح",
    "لا|ليس|غير|خطأ|كلا|مش|مو|لست|أبدا",
);
const HI: Lists = ("हाँ|हां|हा|जी|सही|ठीक|बिल्कुल|बिलकुल|ज़रूर|जरूर|अच्छा|बेशक", "नहीं|नही|ना|न|गलत|ग़लत|मत");
const KO: Lists = (
    "네|예|응|맞아요|맞습니다|맞아|그래요|좋아요|좋습니다|부탁합니다|부탁드립니다|부탁드려요|부탁해요|그렇습니다|그럼요|맞네요",
    "아니요|아니오|아뇨|아니|아닙니다|아니에요|안|틀렸어요|틀립니다|틀렸습니다|싫어요",
);
/// Scripts without blanks: words are looked for anywhere, and idioms with a word of the other list are read first.
const JA: Lists = (
    "間違いありません|間違いございません|間違いない|問題ありません|問題ない|はい|ええ|そうです|お願い|その通り|合って|正しい|もちろん",
    "いいえ|いえ|違|ちが|ない|ません|結構|だめ|不要|いや",
);
const ZH: Lists = (
    "没错|沒錯|没问题|沒問題|不错|不錯|可以|当然|當然|正确|正確|好的|好|是|对|對|行|嗯|需要|要",
    "不|没|沒|别|別|错|錯|否|算了",
);

fn lists(language: &str) -> Lists {
    match base(language) {
        "nl" => NL,
        "de" => DE,
        "fr" => FR,
        "es" => ES,
        "it" => IT,
        "pt" => PT,
        "sv" => SV,
        "da" => DA,
        "nb" | "nn" | "no" => NB,
        "fi" => FI,
        "pl" => PL,
        "cs" => CS,
        "ru" => RU,
        "uk" => UK,
        "tr" => TR,
        "ar" => AR,
        "hi" => HI,
        "ko" => KO,
        "ja" => JA,
        "zh" => ZH,
        _ => EN,
    }
}

/// What a text says in a script without blanks.
fn yes_no_unspaced(text: &str, (yes, no): Lists) -> Option<bool> {
    // Idioms first: "no mistake" agrees.
    let idioms = yes.split('|').filter(|one| one.chars().count() > 1);
    let (mut rest, mut agrees) = (fold(text), false);
    for idiom in idioms.map(fold) {
        agrees |= rest.contains(&idiom);
        rest = rest.replace(&idiom, " ");
    }
    let has = |list: &str| list.split('|').any(|one| rest.contains(&fold(one)));
    if has(no) {
        return Some(false);
    }
    (agrees || has(yes)).then_some(true)
}

/// What a text says; `None` if it is neither. Denial counts wherever it stands: "that is not right", "ja, nein".
pub fn yes_no(text: &str, language: &str) -> Option<bool> {
    let (yes, no) = lists(language);
    if matches!(base(language), "ja" | "zh") {
        return yes_no_unspaced(text, (yes, no));
    }
    let said = format!(" {} ", words(&fold(text)).join(" "));
    let has = |list: &str| list.split('|').any(|one| said.contains(&format!(" {} ", fold(one))));
    if has(no) {
        return Some(false);
    }
    has(yes).then_some(true)
}

/// What is left of a text when the denial at its beginning is taken away: "no, it's B" is a correction.
pub fn without_denial(text: &str, language: &str) -> String {
    let no: Vec<String> = lists(language).1.split('|').map(fold).collect();
    let mut rest = text.trim();
    while let Some((first, after)) =
        rest.split_once(|c: char| c.is_whitespace() || matches!(c, ',' | '.' | '!' | '、' | '，' | '。' | '،' | '।'))
    {
        if !first.is_empty() && !no.contains(&fold(first)) {
            break;
        }
        rest = after.trim_start();
    }
    if no.contains(&fold(rest.trim_matches(|c: char| !c.is_alphanumeric()))) { String::new() } else { rest.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_in_each_language() {
        for (language, text, wanted) in [
            ("en", "Yes.", Some(true)),
            ("en", "yeah, that's right", Some(true)),
            ("en", "Correct!", Some(true)),
            ("en", "No, it isn't.", Some(false)),
            ("en", "that is not right", Some(false)),
            ("en", "nope", Some(false)),
            ("en", "maybe tomorrow", None),
            ("en", "", None),
            ("en", "I guess so", Some(true)),
            ("en", "I suppose so, yeah", Some(true)),
            ("en", "I think so.", Some(true)),
            ("en", "I guess not", Some(false)),
            ("en", "I don't think so", Some(false)),
            ("en", "I guess tomorrow", None),
            ("nl", "Ik denk het wel", Some(true)),
            ("nl", "ik denk het niet", Some(false)),
            ("nl", "Volgens mij wel", Some(true)),
            ("de", "Ich glaube schon", Some(true)),
            ("de", "ich glaube nicht", Some(false)),
            ("fr", "Je pense que oui", Some(true)),
            ("fr", "je crois", Some(true)),
            ("fr", "je ne pense pas", Some(false)),
            ("es", "creo que sí", Some(true)),
            ("es", "supongo", Some(true)),
            ("es", "creo que no", Some(false)),
            ("it", "credo di sì", Some(true)),
            ("it", "immagino", Some(true)),
            ("it", "non credo", Some(false)),
            ("pt", "acho que sim", Some(true)),
            ("pt", "suponho", Some(true)),
            ("pt", "acho que não", Some(false)),
            ("nl", "Ja hoor", Some(true)),
            ("nl", "dat klopt", Some(true)),
            ("nl", "nee, dat klopt niet", Some(false)),
            ("de", "Ja genau", Some(true)),
            ("de", "stimmt", Some(true)),
            ("de", "das stimmt nicht", Some(false)),
            ("de", "Nein.", Some(false)),
            ("fr", "oui, c'est ça", Some(true)),
            ("fr", "d'accord", Some(true)),
            ("fr", "non", Some(false)),
            ("fr", "ce n'est pas ça", Some(false)),
            ("es", "sí, correcto", Some(true)),
            ("es", "no", Some(false)),
            ("it", "sì, esatto", Some(true)),
            ("it", "no, sbagliato", Some(false)),
            ("it", "va bene", Some(true)),
            ("pt", "sim", Some(true)),
            ("pt", "não, está errado", Some(false)),
            ("pt", "isso", Some(true)),
        ] {
            assert_eq!(yes_no(text, language), wanted, "{language}: {text}");
        }
    }

    #[test]
    fn answers_are_read_in_the_other_languages_with_stock_phrases() {
        for (language, yes, no) in [
            ("sv", "Ja tack.", "Nej, det är inte rätt"),
            ("da", "Ja, det passer", "Nej tak"),
            ("nb", "Det stemmer", "nei takk"),
            ("no", "ja gjerne", "det stemmer ikke"),
            ("fi", "Kyllä, kiitos", "Ei kiitos"),
            ("pl", "Tak, poproszę.", "Nie, dziękuję"),
            ("pl", "Zgadza się", "to się nie zgadza"),
            ("cs", "Ano, je to správně", "Ne, děkuji"),
            ("ru", "Да, всё верно", "Нет, спасибо"),
            ("uk", "Так, правильно", "Ні, дякую"),
            ("tr", "Evet, lütfen", "Hayır, teşekkürler"),
            ("ar", "نعم، من فضلك", "لا، شكرًا"),
            ("hi", "जी हाँ।", "जी नहीं।"),
            ("ja", "はい、お願いします。", "いいえ、結構です。"),
            ("ja", "間違いありません", "違います"),
            ("zh", "好的，没问题", "不用了，谢谢"),
            ("zh-TW", "對", "不對"),
            ("ko", "네, 부탁드려요", "아니요, 괜찮습니다"),
        ] {
            assert_eq!(yes_no(yes, language), Some(true), "{language}: {yes}");
            assert_eq!(yes_no(no, language), Some(false), "{language}: {no}");
        }
        assert_eq!((yes_no("może jutro", "pl"), yes_no("明日", "ja")), (None, None));
    }

    #[test]
    fn each_language_with_stock_phrases_has_its_answers() {
        for (language, _) in crate::dialogue::phrases::STOCK_LANGUAGES.iter().skip(1) {
            assert_ne!(lists(language), EN, "{language}");
        }
    }

    #[test]
    fn a_correction_follows_a_denial() {
        assert_eq!(without_denial("No, it's B two", "en"), "it's B two");
        assert_eq!(without_denial("Nein, B wie Berta", "de"), "B wie Berta");
        assert_eq!(without_denial("No.", "en"), "");
        assert_eq!(without_denial("nee nee", "nl"), "");
    }
}
