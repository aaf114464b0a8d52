//! Words of dates: months, days, ordinals.

use super::numbers::NumberWords;
use super::words::table_of;

/// Names of months and days of a language, folded, and its words for days near today.
pub(super) struct DateWords {
    pub(super) months: [&'static [&'static str]; 12],
    pub(super) weekdays: [&'static str; 7],
    /// Words, and how many days later.
    pub(super) near: &'static [(&'static str, i64)],
    /// Ordinals that are not a number with an ending.
    ordinals: &'static [(&'static str, u64)],
    /// Endings of ordinals, the longest first.
    endings: &'static [&'static str],
}

static EN: DateWords = DateWords {
    months: [
        &["january", "jan"],
        &["february", "feb"],
        &["march", "mar"],
        &["april", "apr"],
        &["may"],
        &["june", "jun"],
        &["july", "jul"],
        &["august", "aug"],
        &["september", "sept", "sep"],
        &["october", "oct"],
        &["november", "nov"],
        &["december", "dec"],
    ],
    weekdays: ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"],
    near: &[("day after tomorrow", 2), ("tomorrow", 1), ("today", 0), ("day before yesterday", -2), ("yesterday", -1)],
    ordinals: &[
        ("first", 1),
        ("second", 2),
        ("third", 3),
        ("fifth", 5),
        ("eighth", 8),
        ("ninth", 9),
        ("twelfth", 12),
        ("twentieth", 20),
        ("thirtieth", 30),
    ],
    endings: &["th", "st", "nd", "rd"],
};
static NL: DateWords = DateWords {
    months: [
        &["januari", "jan"],
        &["februari", "feb"],
        &["maart", "mrt"],
        &["april", "apr"],
        &["mei"],
        &["juni", "jun"],
        &["juli", "jul"],
        &["augustus", "aug"],
        &["september", "sep"],
        &["oktober", "okt"],
        &["november", "nov"],
        &["december", "dec"],
    ],
    weekdays: ["maandag", "dinsdag", "woensdag", "donderdag", "vrijdag", "zaterdag", "zondag"],
    near: &[("overmorgen", 2), ("morgen", 1), ("vandaag", 0), ("eergisteren", -2), ("gisteren", -1)],
    ordinals: &[("eerste", 1), ("derde", 3)],
    endings: &["ste", "de", "e"],
};
static DE: DateWords = DateWords {
    months: [
        &["januar", "janner", "jan"],
        &["februar", "feb"],
        &["marz"],
        &["april", "apr"],
        &["mai"],
        &["juni", "juno", "jun"],
        &["juli", "jul"],
        &["august", "aug"],
        &["september", "sep"],
        &["oktober", "okt"],
        &["november", "nov"],
        &["dezember", "dez"],
    ],
    weekdays: ["montag", "dienstag", "mittwoch", "donnerstag", "freitag", "samstag", "sonntag"],
    near: &[("ubermorgen", 2), ("morgen", 1), ("heute", 0), ("vorgestern", -2), ("gestern", -1)],
    ordinals: &[
        ("erste", 1),
        ("ersten", 1),
        ("erster", 1),
        ("dritte", 3),
        ("dritten", 3),
        ("dritter", 3),
        ("siebte", 7),
        ("siebten", 7),
        ("siebter", 7),
        ("achte", 8),
        ("achten", 8),
        ("achter", 8),
    ],
    endings: &["sten", "ster", "ste", "ten", "ter", "te"],
};
static FR: DateWords = DateWords {
    months: [
        &["janvier"],
        &["fevrier"],
        &["mars"],
        &["avril"],
        &["mai"],
        &["juin"],
        &["juillet"],
        &["aout"],
        &["septembre"],
        &["octobre"],
        &["novembre"],
        &["decembre"],
    ],
    weekdays: ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"],
    near: &[("apres demain", 2), ("demain", 1), ("aujourd'hui", 0), ("avant hier", -2), ("hier", -1)],
    ordinals: &[("premier", 1), ("1er", 1)],
    endings: &["ieme"],
};
static ES: DateWords = DateWords {
    months: [
        &["enero"],
        &["febrero"],
        &["marzo"],
        &["abril"],
        &["mayo"],
        &["junio"],
        &["julio"],
        &["agosto"],
        &["septiembre", "setiembre"],
        &["octubre"],
        &["noviembre"],
        &["diciembre"],
    ],
    weekdays: ["lunes", "martes", "miercoles", "jueves", "viernes", "sabado", "domingo"],
    near: &[("pasado manana", 2), ("manana", 1), ("hoy", 0), ("anteayer", -2), ("ayer", -1)],
    ordinals: &[("primero", 1), ("primer", 1)],
    endings: &["º", "°"],
};
static IT: DateWords = DateWords {
    months: [
        &["gennaio"],
        &["febbraio"],
        &["marzo"],
        &["aprile"],
        &["maggio"],
        &["giugno"],
        &["luglio"],
        &["agosto"],
        &["settembre"],
        &["ottobre"],
        &["novembre"],
        &["dicembre"],
    ],
    weekdays: ["lunedi", "martedi", "mercoledi", "giovedi", "venerdi", "sabato", "domenica"],
    near: &[("dopodomani", 2), ("domani", 1), ("oggi", 0), ("l'altro ieri", -2), ("ieri", -1)],
    ordinals: &[("primo", 1)],
    endings: &["º", "°"],
};
static PT: DateWords = DateWords {
    months: [
        &["janeiro"],
        &["fevereiro"],
        &["marco"],
        &["abril"],
        &["maio"],
        &["junho"],
        &["julho"],
        &["agosto"],
        &["setembro"],
        &["outubro"],
        &["novembro"],
        &["dezembro"],
    ],
    weekdays: ["segunda", "terca", "quarta", "quinta", "sexta", "sabado", "domingo"],
    near: &[("depois de amanha", 2), ("amanha", 1), ("hoje", 0), ("anteontem", -2), ("ontem", -1)],
    ordinals: &[("primeiro", 1)],
    endings: &["º", "°"],
};

/// The words of a language; English for those that are not known.
pub(super) fn date_words(language: &str) -> &'static DateWords {
    table_of(language, [&EN, &NL, &DE, &FR, &ES, &IT, &PT])
}

/// The number of an ordinal in one word: "second", "22nd", "dritten".
pub(super) fn ordinal(word: &str, (names, numbers): (&DateWords, &NumberWords)) -> Option<u64> {
    let known = names.ordinals.iter().find(|(name, _)| *name == word).map(|(_, value)| *value);
    known.or_else(|| {
        let stem = names.endings.iter().find_map(|ending| word.strip_suffix(ending))?;
        stem.parse().ok().or_else(|| numbers.one_word(stem)).or_else(|| numbers.one_word(&format!("{stem}t")))
    })
}

/// A day of a month, as a number or an ordinal, and its words.
pub(super) fn day_number(words: &[String], known: (&DateWords, &NumberWords)) -> Option<(u64, usize)> {
    let numbers = known.1;
    let ordinal = |word: &str| ordinal(word, known);
    let first = words.first()?;
    let found = if let Some(value) = ordinal(first) {
        (value, 1)
    } else {
        let (value, used) = numbers.number(words)?;
        // "twenty first"
        match words.get(used).and_then(|next| ordinal(next)) {
            Some(unit) if value >= 20 && value % 10 == 0 && unit < 10 => (value + unit, used + 1),
            _ => (value, used),
        }
    };
    (1..=31).contains(&found.0).then_some(found)
}
