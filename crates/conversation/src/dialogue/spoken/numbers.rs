//! Numbers in words: English, Dutch, German, French, Spanish, Italian, Portuguese.

use super::words::table_of;

/// The number words of a language, folded.
#[derive(Debug)]
pub struct NumberWords {
    /// Below twenty, and words that are put together in a way of their own.
    small: &'static [(&'static str, u64)],
    /// Twenty to ninety.
    tens: &'static [(&'static str, u64)],
    hundred: &'static [&'static str],
    thousand: &'static [&'static str],
    /// Words between the parts of a number.
    joiners: &'static [&'static str],
    /// Between unit and ten in one word: `einundzwanzig`.
    glue: &'static [&'static str],
    /// Before a digit that is said once.
    twice: &'static [&'static str],
    thrice: &'static [&'static str],
}

static EN: NumberWords = NumberWords {
    small: &[
        ("zero", 0),
        ("oh", 0),
        ("o", 0),
        ("nought", 0),
        ("naught", 0),
        ("nil", 0),
        ("one", 1),
        ("two", 2),
        ("three", 3),
        ("four", 4),
        ("five", 5),
        ("six", 6),
        ("seven", 7),
        ("eight", 8),
        ("nine", 9),
        ("niner", 9),
        ("ten", 10),
        ("eleven", 11),
        ("twelve", 12),
        ("thirteen", 13),
        ("fourteen", 14),
        ("fifteen", 15),
        ("sixteen", 16),
        ("seventeen", 17),
        ("eighteen", 18),
        ("nineteen", 19),
    ],
    tens: &[
        ("twenty", 20),
        ("thirty", 30),
        ("forty", 40),
        ("fourty", 40),
        ("fifty", 50),
        ("sixty", 60),
        ("seventy", 70),
        ("eighty", 80),
        ("ninety", 90),
    ],
    hundred: &["hundred"],
    thousand: &["thousand"],
    joiners: &["and"],
    glue: &[],
    twice: &["double"],
    thrice: &["triple", "treble"],
};

static NL: NumberWords = NumberWords {
    small: &[
        ("nul", 0),
        ("een", 1),
        ("twee", 2),
        ("drie", 3),
        ("vier", 4),
        ("vijf", 5),
        ("zes", 6),
        ("zeven", 7),
        ("acht", 8),
        ("negen", 9),
        ("tien", 10),
        ("elf", 11),
        ("twaalf", 12),
        ("dertien", 13),
        ("veertien", 14),
        ("vijftien", 15),
        ("zestien", 16),
        ("zeventien", 17),
        ("achttien", 18),
        ("negentien", 19),
    ],
    tens: &[
        ("twintig", 20),
        ("dertig", 30),
        ("veertig", 40),
        ("vijftig", 50),
        ("zestig", 60),
        ("zeventig", 70),
        ("tachtig", 80),
        ("negentig", 90),
    ],
    hundred: &["honderd"],
    thousand: &["duizend"],
    joiners: &["en"],
    glue: &["en"],
    twice: &["dubbel", "dubbele"],
    thrice: &["drievoudig", "driedubbel"],
};

static DE: NumberWords = NumberWords {
    small: &[
        ("null", 0),
        ("eins", 1),
        ("ein", 1),
        ("eine", 1),
        ("einen", 1),
        ("zwei", 2),
        ("zwo", 2),
        ("drei", 3),
        ("vier", 4),
        ("funf", 5),
        ("sechs", 6),
        ("sieben", 7),
        ("acht", 8),
        ("neun", 9),
        ("zehn", 10),
        ("elf", 11),
        ("zwolf", 12),
        ("dreizehn", 13),
        ("vierzehn", 14),
        ("funfzehn", 15),
        ("sechzehn", 16),
        ("siebzehn", 17),
        ("achtzehn", 18),
        ("neunzehn", 19),
    ],
    tens: &[
        ("zwanzig", 20),
        ("dreissig", 30),
        ("vierzig", 40),
        ("funfzig", 50),
        ("sechzig", 60),
        ("siebzig", 70),
        ("achtzig", 80),
        ("neunzig", 90),
    ],
    hundred: &["hundert"],
    thousand: &["tausend"],
    joiners: &["und"],
    glue: &["und"],
    twice: &["doppel", "doppelt", "doppelte"],
    thrice: &["dreifach", "dreimal"],
};

static FR: NumberWords = NumberWords {
    small: &[
        ("zero", 0),
        ("un", 1),
        ("une", 1),
        ("deux", 2),
        ("trois", 3),
        ("quatre", 4),
        ("cinq", 5),
        ("six", 6),
        ("sept", 7),
        ("huit", 8),
        ("neuf", 9),
        ("dix", 10),
        ("onze", 11),
        ("douze", 12),
        ("treize", 13),
        ("quatorze", 14),
        ("quinze", 15),
        ("seize", 16),
    ],
    tens: &[
        ("vingt", 20),
        ("vingts", 20),
        ("trente", 30),
        ("quarante", 40),
        ("cinquante", 50),
        ("soixante", 60),
        ("septante", 70),
        ("huitante", 80),
        ("octante", 80),
        ("nonante", 90),
    ],
    hundred: &["cent", "cents"],
    thousand: &["mille"],
    joiners: &["et"],
    glue: &[],
    twice: &["double"],
    thrice: &["triple"],
};

static ES: NumberWords = NumberWords {
    small: &[
        ("cero", 0),
        ("uno", 1),
        ("un", 1),
        ("una", 1),
        ("dos", 2),
        ("tres", 3),
        ("cuatro", 4),
        ("cinco", 5),
        ("seis", 6),
        ("siete", 7),
        ("ocho", 8),
        ("nueve", 9),
        ("diez", 10),
        ("once", 11),
        ("doce", 12),
        ("trece", 13),
        ("catorce", 14),
        ("quince", 15),
        ("dieciseis", 16),
        ("diecisiete", 17),
        ("dieciocho", 18),
        ("diecinueve", 19),
        ("veintiuno", 21),
        ("veintiun", 21),
        ("veintidos", 22),
        ("veintitres", 23),
        ("veinticuatro", 24),
        ("veinticinco", 25),
        ("veintiseis", 26),
        ("veintisiete", 27),
        ("veintiocho", 28),
        ("veintinueve", 29),
        ("doscientos", 200),
        ("trescientos", 300),
        ("cuatrocientos", 400),
        ("quinientos", 500),
        ("seiscientos", 600),
        ("setecientos", 700),
        ("ochocientos", 800),
        ("novecientos", 900),
    ],
    tens: &[
        ("veinte", 20),
        ("treinta", 30),
        ("cuarenta", 40),
        ("cincuenta", 50),
        ("sesenta", 60),
        ("setenta", 70),
        ("ochenta", 80),
        ("noventa", 90),
    ],
    hundred: &["cien", "ciento"],
    thousand: &["mil"],
    joiners: &["y"],
    glue: &[],
    twice: &["doble"],
    thrice: &["triple"],
};

static IT: NumberWords = NumberWords {
    small: &[
        ("zero", 0),
        ("uno", 1),
        ("un", 1),
        ("una", 1),
        ("due", 2),
        ("tre", 3),
        ("quattro", 4),
        ("cinque", 5),
        ("sei", 6),
        ("sette", 7),
        ("otto", 8),
        ("nove", 9),
        ("dieci", 10),
        ("undici", 11),
        ("dodici", 12),
        ("tredici", 13),
        ("quattordici", 14),
        ("quindici", 15),
        ("sedici", 16),
        ("diciassette", 17),
        ("diciotto", 18),
        ("diciannove", 19),
    ],
    tens: &[
        ("venti", 20),
        ("trenta", 30),
        ("quaranta", 40),
        ("cinquanta", 50),
        ("sessanta", 60),
        ("settanta", 70),
        ("ottanta", 80),
        ("novanta", 90),
    ],
    hundred: &["cento"],
    thousand: &["mille", "mila"],
    joiners: &["e"],
    glue: &[],
    twice: &["doppio", "doppia"],
    thrice: &["triplo", "tripla"],
};

static PT: NumberWords = NumberWords {
    small: &[
        ("zero", 0),
        ("um", 1),
        ("uma", 1),
        ("dois", 2),
        ("duas", 2),
        ("tres", 3),
        ("quatro", 4),
        ("cinco", 5),
        ("seis", 6),
        ("meia", 6),
        ("sete", 7),
        ("oito", 8),
        ("nove", 9),
        ("dez", 10),
        ("onze", 11),
        ("doze", 12),
        ("treze", 13),
        ("catorze", 14),
        ("quatorze", 14),
        ("quinze", 15),
        ("dezasseis", 16),
        ("dezesseis", 16),
        ("dezassete", 17),
        ("dezessete", 17),
        ("dezoito", 18),
        ("dezanove", 19),
        ("dezenove", 19),
        ("duzentos", 200),
        ("trezentos", 300),
        ("quatrocentos", 400),
        ("quinhentos", 500),
        ("seiscentos", 600),
        ("setecentos", 700),
        ("oitocentos", 800),
        ("novecentos", 900),
    ],
    tens: &[
        ("vinte", 20),
        ("trinta", 30),
        ("quarenta", 40),
        ("cinquenta", 50),
        ("sessenta", 60),
        ("setenta", 70),
        ("oitenta", 80),
        ("noventa", 90),
    ],
    hundred: &["cem", "cento"],
    thousand: &["mil"],
    joiners: &["e"],
    glue: &[],
    twice: &["dobro", "duplo"],
    thrice: &["triplo"],
};

/// The words of a language; English for those that are not known.
pub fn number_words(language: &str) -> &'static NumberWords {
    table_of(language, [&EN, &NL, &DE, &FR, &ES, &IT, &PT])
}

impl NumberWords {
    fn is_french(&self) -> bool {
        std::ptr::eq(self, &raw const FR)
    }

    fn is_italian(&self) -> bool {
        std::ptr::eq(self, &raw const IT)
    }

    /// How often the digit after this word is meant.
    pub fn repetition(&self, word: &str) -> Option<usize> {
        if self.twice.contains(&word) {
            return Some(2);
        }
        self.thrice.contains(&word).then_some(3)
    }

    /// Whether a word stands between the parts of a number.
    pub fn is_joiner(&self, word: &str) -> bool {
        self.joiners.contains(&word)
    }

    /// Whether a word is that for a thousand.
    pub fn is_thousand(&self, word: &str) -> bool {
        self.thousand.contains(&word)
    }

    fn plain(&self, word: &str) -> Option<u64> {
        self.small.iter().chain(self.tens).find(|(known, _)| *known == word).map(|(_, value)| *value)
    }

    /// A number in one word, perhaps put together: `einundzwanzig`, `tweeduizendzesentwintig`, `ventidue`.
    pub fn one_word(&self, word: &str) -> Option<u64> {
        if let Some(value) = self.plain(word) {
            return Some(value);
        }
        if word.len() > 60 {
            return None;
        }
        for (size, names) in [(1_000, self.thousand), (100, self.hundred)] {
            if let Some(value) = names.iter().find_map(|name| self.compound(word, name, size)) {
                return Some(value);
            }
        }
        let (ten, value) = self.tens.iter().find(|(ten, _)| word.ends_with(ten) || self.elided(word, ten).is_some())?;
        if let Some(unit) = word.strip_suffix(ten) {
            let unit = self.glue.iter().find_map(|glue| unit.strip_suffix(glue))?;
            return self.plain(unit).filter(|unit| (1..10).contains(unit)).map(|unit| value + unit);
        }
        self.elided(word, ten).map(|unit| value + unit)
    }

    /// A number with one of its hundreds or thousands: `neunzehnhundertvierundachtzig`. Italian leaves out a vowel between
    /// two: `novecentottanta`.
    fn compound(&self, word: &str, name: &str, size: u64) -> Option<u64> {
        let (before, after) = word.split_once(name)?;
        let count = if before.is_empty() { 1 } else { self.one_word(before)? };
        let after = self.glue.iter().find_map(|glue| after.strip_prefix(glue)).unwrap_or(after);
        let elided = word.get(before.len() + name.len() - 1..).filter(|_| self.is_italian());
        let rest = if after.is_empty() { Some(0) } else { self.one_word(after).or_else(|| self.one_word(elided?)) };
        rest.filter(|rest| *rest < size && count < 1_000).map(|rest| count * size + rest)
    }

    /// Italian: the ten comes first, and loses its last letter before a vowel.
    fn elided(&self, word: &str, ten: &str) -> Option<u64> {
        if !self.is_italian() {
            return None;
        }
        let stem = ten.get(..ten.len() - 1)?;
        let rest = word.strip_prefix(ten).or_else(|| word.strip_prefix(stem))?;
        self.plain(rest).filter(|unit| (1..10).contains(unit))
    }

    /// A number that begins with the first of these words, and how many of them it takes. Figures count too.
    pub fn number(&self, words: &[String]) -> Option<(u64, usize)> {
        let (mut total, mut part, mut used, mut at) = (0_u64, 0_u64, 0_usize, 0_usize);
        while let Some(word) = words.get(at).map(String::as_str) {
            if self.is_joiner(word) && used > 0 && part + total > 0 {
                let next = words.get(at + 1).and_then(|next| self.one_word(next));
                if !next.is_some_and(|next| self.may_follow(part, next) && next > 0) {
                    break;
                }
                at += 1;
                continue;
            }
            if used > 0 && self.is_french() && matches!(word, "vingt" | "vingts") && part % 100 == 4 {
                part += 76;
            } else if self.thousand.contains(&word) && part < 1_000 && total == 0 && (used == 0 || part > 0) {
                total = part.max(1) * 1_000;
                part = 0;
            } else if self.hundred.contains(&word) && part < 100 && (used == 0 || part > 0 || total > 0) {
                part = part.max(1) * 100;
            } else if let Some(value) = self.one_word(word).or_else(|| figure(word)) {
                if used > 0 && (part + total == 0 || !self.may_follow(part, value)) {
                    break;
                }
                part += value;
            } else {
                break;
            }
            at += 1;
            used = at;
        }
        (used > 0).then_some((total + part, used))
    }

    /// Whether a number goes on with this value.
    fn may_follow(&self, part: u64, value: u64) -> bool {
        let rest = part % 100;
        let in_french = self.is_french()
            && (matches!(rest, 60 | 80) && value < 20 && value > 0
                || matches!(rest, 10 | 70 | 90) && (7..10).contains(&value));
        part == 0
            || rest == 0 && value < 100
            || rest >= 20 && rest.is_multiple_of(10) && (1..10).contains(&value)
            || in_french
    }
}

fn figure(word: &str) -> Option<u64> {
    (word.len() <= 9).then(|| word.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::super::words::words;
    use super::*;

    #[test]
    fn numbers_are_read_in_each_language() {
        for (language, text, wanted) in [
            ("en", "twenty one", 21),
            ("en", "two thousand twenty six", 2_026),
            ("en", "one hundred and five", 105),
            ("nl", "eenentwintig", 21),
            ("nl", "tweeduizendzesentwintig", 2_026),
            ("nl", "honderdvijf", 105),
            ("de", "einundzwanzig", 21),
            ("de", "zweitausendsechsundzwanzig", 2_026),
            ("de", "neunzehnhundertvierundachtzig", 1_984),
            ("fr", "vingt et un", 21),
            ("fr", "quatre-vingt-dix-sept", 97),
            ("fr", "soixante et onze", 71),
            ("fr", "mille neuf cent quatre-vingt-quatre", 1_984),
            ("es", "treinta y uno", 31),
            ("es", "dos mil veintiséis", 2_026),
            ("it", "ventuno", 21),
            ("it", "duemilaventisei", 2_026),
            ("it", "millenovecentottantaquattro", 1_984),
            ("pt", "vinte e um", 21),
            ("pt", "dois mil e vinte e seis", 2_026),
        ] {
            let words = words(text);
            assert_eq!(number_words(language).number(&words), Some((wanted, words.len())), "{language}: {text}");
        }
    }

    #[test]
    fn digits_one_after_the_other_are_no_number() {
        let words = words("two three four");
        assert_eq!(number_words("en").number(&words), Some((2, 1)));
    }
}
