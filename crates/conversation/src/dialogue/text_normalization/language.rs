//! What the grammars know of a language: words, signs and separators. Data only; the tables are in `languages`.

/// How a date is put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DateStyle {
    /// March 12, 2026.
    MonthFirst,
    /// 12 maart 2026.
    DayFirst,
    /// 12. März 2026.
    DayDotMonthYear,
    /// 12 de marzo de 2026.
    DayWithOf,
}

/// How times of the day are said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    /// 10 o'clock, 9 oh 5, 17 hundred.
    English,
    /// 17 uur 30, 17 Uhr 30, 17 heures 30: the word of the hour, for one and for more, stands in between.
    HourWord { one: &'static str, many: &'static str, joint: &'static str },
    /// 17 y 30: nothing but numbers; the word only where it was written.
    Joint { one: &'static str, many: &'static str, joint: &'static str },
}

/// A currency: how it is written, and its names.
#[derive(Debug)]
pub(super) struct Currency {
    pub(super) signs: &'static [&'static str],
    pub(super) one: &'static str,
    pub(super) many: &'static str,
    /// A hundredth, one and more; empty when there is none.
    pub(super) cent: (&'static str, &'static str),
}

/// A word for a power of ten: how it is written, for one and for more.
#[derive(Debug)]
pub(super) struct Scale {
    pub(super) written: &'static [&'static str],
    pub(super) one: &'static str,
    pub(super) many: &'static str,
}

/// A unit behind a number: how it is written, for one and for more.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) written: &'static [&'static str],
    pub(super) one: &'static str,
    pub(super) many: &'static str,
}

/// Where an abbreviation is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Anywhere,
    /// Anywhere, and often as the last word of its sentence: "etc.", "per pers.".
    Closing,
    BeforeNumber,
    AfterNumber,
    /// Before a word with a capital.
    BeforeName,
    /// With a capital, before a name: "Gov. Brown", and no "sales rep. The".
    Title,
    /// Behind a word with a capital.
    AfterName,
    /// Only with its capital: "Geb.".
    Capital,
    /// "geb.", before a name, a date or a year.
    BeforeBirth,
    /// Behind a number with a dot: "3. OG".
    AfterOrdinal,
    /// Behind the number of a century: "XIVe s.".
    AfterCentury,
    /// Before a word without a capital.
    BeforeSmall,
    /// Before the name of a street: "r. de Paris".
    BeforeStreet,
}

/// An abbreviation, in small letters unless its capitals matter, and what it stands for.
pub(super) type Abbreviation = (&'static str, &'static str, Place);

/// Everything that the grammars know of a language.
#[derive(Debug)]
pub(super) struct Language {
    pub(super) signs: Signs,
    pub(super) sizes: Sizes,
    pub(super) fractions: Fractions,
    pub(super) calendar: Calendar,
    pub(super) money: Money,
    pub(super) units: &'static [Unit],
    /// "per", between an amount and a unit.
    pub(super) per: &'static str,
    /// Names of what an amount is paid for, beyond the units.
    pub(super) per_names: &'static [(&'static str, &'static str)],
    pub(super) abbreviations: &'static [Abbreviation],
    /// Endings of words: "str." of "Hauptstr.".
    pub(super) suffixes: &'static [(&'static str, &'static str)],
    pub(super) ordinals: Option<Ordinals>,
    pub(super) codes: Codes,
}

/// Separators, and the names of signs.
#[derive(Debug)]
pub(super) struct Signs {
    pub(super) decimal: char,
    /// Thousands may be parted by a blank.
    pub(super) blank_thousands: bool,
    /// Between the ends of a range, and a word before it.
    pub(super) to: &'static str,
    pub(super) from: &'static str,
    /// Words before a range whose ends are joined by "and".
    pub(super) between: &'static [&'static str],
    /// Words before a range, and what stands between its ends then: "du", "au".
    pub(super) bounds: &'static [(&'static str, &'static str)],
    pub(super) ranges: Ranges,
    /// Between the numbers of a score, and of a ratio.
    pub(super) score: &'static str,
    pub(super) ratio: &'static str,
    pub(super) minus: &'static str,
    pub(super) plus: &'static str,
    pub(super) plus_minus: &'static str,
    pub(super) and: &'static str,
    pub(super) times: &'static str,
    pub(super) equals: &'static str,
    pub(super) dot: &'static str,
    pub(super) at: &'static str,
    pub(super) dash: &'static str,
    pub(super) underscore: &'static str,
    /// "number", before digits.
    pub(super) number: &'static str,
}

/// How the ends of a range are joined behind certain words.
#[derive(Debug)]
pub(super) struct Ranges {
    /// Articles that are said again before the second end behind those.
    pub(super) articles: &'static [&'static str],
    /// Prepositions, articles and the like behind which no range of its usual form stands: "a da 3 a 5" is none.
    pub(super) no_range_behind: &'static [&'static str],
    /// What stands between the ends then, and between neighbours.
    pub(super) listed: &'static str,
    pub(super) or: &'static str,
}

/// How sizes, numbers of times and "about" are said.
#[derive(Debug)]
pub(super) struct Sizes {
    /// Between the sides of something: "30 by 40".
    pub(super) by: &'static str,
    /// "2x" is "2 times".
    pub(super) once: &'static str,
    pub(super) repeated: &'static str,
    /// "~", and "@" before a price.
    pub(super) about: &'static str,
    pub(super) priced: &'static str,
}

/// How a fraction is put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FractionStyle {
    /// Half an hour, 3 quarters of a mile, 2 and a half hours.
    English,
    /// Een half uur, een halve liter, 2,5 liter.
    Dutch,
    /// Eine halbe Stunde, ein halber Liter, 2,5 Liter.
    German,
    /// Un demi-litre, 3 quarts d'heure, 2 heures et demie.
    Romance {
        /// Before a noun: masculine and feminine, and what stands between.
        half: (&'static str, &'static str),
        glue: &'static str,
        /// Before "of".
        half_of: &'static str,
        /// Behind a noun: masculine and feminine.
        demi: (&'static str, &'static str),
        and: &'static str,
        of: &'static str,
        elided: &'static str,
    },
}

/// Names of fractions.
#[derive(Debug)]
pub(super) struct Fractions {
    pub(super) style: FractionStyle,
    /// "a", before a name.
    pub(super) one: &'static str,
    /// From a third to a tenth: one, and more.
    pub(super) names: [(&'static str, &'static str); 8],
    /// Words behind a fraction of something.
    pub(super) of: &'static [&'static str],
    /// Words before a fraction that make its own article superfluous.
    pub(super) articles: &'static [&'static str],
    /// Nouns that are measured, beyond the units, and are not masculine; in Dutch those of the neuter, in English all.
    pub(super) feminine: &'static [&'static str],
    /// Nouns before "1/2" that number something: "page".
    pub(super) numbered: &'static [&'static str],
}

/// Dates and times.
#[derive(Debug)]
pub(super) struct Calendar {
    pub(super) months: [&'static str; 12],
    /// Short forms, without the dot.
    pub(super) short_months: &'static [(&'static str, usize)],
    pub(super) days: [&'static str; 7],
    pub(super) short_days: &'static [(&'static str, usize)],
    /// The first of a month, if it is an ordinal.
    pub(super) first: Option<&'static str>,
    pub(super) style: DateStyle,
    /// Before a date without its year.
    pub(super) before_dates: &'static [&'static str],
    pub(super) clock: Clock,
    /// Words of the hour that may be written behind a time.
    pub(super) hour_words: &'static [&'static str],
    /// Before a time that is written with a dot.
    pub(super) before_times: &'static [&'static str],
    /// Before a time of the day.
    pub(super) at: &'static str,
    /// Words before a range of hours, and what stands between its ends then: "alle", "fino alle".
    pub(super) hour_bounds: &'static [(&'static str, &'static str)],
    /// Words of a sentence whose "3:10" is a ratio, and a score or a place in a book.
    pub(super) ratio_words: &'static [&'static str],
    pub(super) score_words: &'static [&'static str],
}

/// Amounts.
#[derive(Debug)]
pub(super) struct Money {
    pub(super) currencies: &'static [Currency],
    pub(super) scales: &'static [Scale],
    /// Between amount and cents: "con" in Spanish.
    pub(super) joint: &'static str,
    /// Between millions and the currency: "de", "d'" before a vowel.
    pub(super) of: &'static str,
    /// Scales are singular below two: "1,5 million".
    pub(super) below_two: bool,
}

/// Words for the numbers from the first on.
#[derive(Debug)]
pub(super) struct Ordinals {
    pub(super) masculine: &'static [&'static str],
    pub(super) feminine: &'static [&'static str],
    /// Before a noun in the masculine: "primer", "tercer".
    pub(super) short: &'static [(usize, &'static str)],
    /// Stays a full form before this word: "primero de mayo".
    pub(super) of: &'static str,
    /// Articles of the singular, masculine and feminine, behind which "2°" is an ordinal.
    pub(super) articles: (&'static [&'static str], &'static [&'static str]),
    /// Nouns before which it is one without them.
    pub(super) nouns: &'static [&'static str],
}

/// Words around numbers that are read digit by digit.
#[derive(Debug)]
pub(super) struct Codes {
    /// Three digits are enough behind these.
    pub(super) strong: &'static [&'static str],
    /// Four digits behind these; also as the last part of a word.
    pub(super) weak: &'static [&'static str],
    /// Codes of letters and digits in several groups: plates, IBAN.
    pub(super) grouped: &'static [&'static str],
    /// May stand between such a word and its code.
    pub(super) fillers: &'static [&'static str],
    /// "ending", and what ends there.
    pub(super) ending: &'static [&'static str],
    /// Stand between "ending" and the digits.
    pub(super) ending_fillers: &'static [&'static str],
    pub(super) cards: &'static [&'static str],
    pub(super) extensions: &'static [&'static str],
    /// Before a phone number.
    pub(super) phone: &'static [&'static str],
    /// "call", before a short number, and words that may stand between.
    pub(super) call: &'static [&'static str],
    pub(super) call_fillers: &'static [&'static str],
    /// The keys of a phone.
    pub(super) hash: &'static str,
    pub(super) star: &'static str,
    /// "press", before a key.
    pub(super) press: &'static [&'static str],
    /// Nouns that are verbs as well, and the articles that make them nouns.
    pub(super) behind_articles: (&'static [&'static str], &'static [&'static str]),
    /// Before a verb that looks like one of the nouns: "we order 1500 boxes".
    pub(super) subjects: &'static [&'static str],
}
