//! Phone numbers as they are said, in E.164.

use super::digits::digit_readings;
use super::words::words;
use trunkline_domain::phone_number::PhoneNumber;

/// Country, its code, the prefix of national numbers, and the digits of a national number without it.
type Country = (&'static str, &'static str, &'static str, usize, usize);

const COUNTRIES: &[Country] = &[
    ("AT", "43", "0", 4, 13),
    ("AU", "61", "0", 9, 9),
    ("BE", "32", "0", 8, 9),
    ("BG", "359", "0", 7, 9),
    ("BR", "55", "0", 10, 11),
    ("CA", "1", "1", 10, 10),
    ("CH", "41", "0", 9, 9),
    ("CY", "357", "", 8, 8),
    ("CZ", "420", "", 9, 9),
    ("DE", "49", "0", 6, 12),
    ("DK", "45", "", 8, 8),
    ("EE", "372", "", 7, 8),
    ("ES", "34", "", 9, 9),
    ("FI", "358", "0", 5, 12),
    ("FR", "33", "0", 9, 9),
    ("GB", "44", "0", 9, 10),
    ("GR", "30", "", 10, 10),
    ("HR", "385", "0", 8, 9),
    ("HU", "36", "06", 8, 9),
    ("IE", "353", "0", 7, 9),
    ("IN", "91", "0", 10, 10),
    ("IT", "39", "", 6, 12),
    ("JP", "81", "0", 9, 10),
    ("LT", "370", "0", 8, 8),
    ("LU", "352", "", 6, 9),
    ("LV", "371", "", 8, 8),
    ("MT", "356", "", 8, 8),
    ("MX", "52", "", 10, 10),
    ("NL", "31", "0", 9, 9),
    ("NO", "47", "", 8, 8),
    ("NZ", "64", "0", 8, 10),
    ("PL", "48", "", 9, 9),
    ("PT", "351", "", 9, 9),
    ("RO", "40", "0", 9, 9),
    ("SE", "46", "0", 7, 9),
    ("SG", "65", "", 8, 8),
    ("SI", "386", "0", 8, 8),
    ("SK", "421", "0", 9, 9),
    ("TR", "90", "0", 10, 10),
    ("UA", "380", "0", 9, 9),
    ("US", "1", "1", 10, 10),
    ("ZA", "27", "0", 9, 9),
];

/// Countries whose national numbers can be read.
pub fn is_known_country(country: &str) -> bool {
    COUNTRIES.iter().any(|(name, ..)| *name == country)
}

/// The number in a text; national ones are of this country (ISO 3166-1, two letters). `None` if it is none.
///
/// Where numbers may be meant in two ways ("twenty seven"), it is the way that gives as many digits as the country has.
pub fn phone(text: &str, language: &str, country: Option<&str>) -> Option<PhoneNumber> {
    let readings = digit_readings(&without_plus(text), language);
    let country = COUNTRIES.iter().find(|(name, ..)| Some(*name) == country);
    let read = |digits: &String| e164(digits, has_plus(text), country);
    let mut numbers = readings.iter().filter_map(read);
    let first = numbers.next()?;
    if has_length_of_its_country(&first) {
        return Some(first);
    }
    Some(numbers.find(has_length_of_its_country).unwrap_or(first))
}

fn e164(digits: &str, has_plus: bool, country: Option<&Country>) -> Option<PhoneNumber> {
    let exit = if country.is_some_and(|(_, code, ..)| *code == "1") { "011" } else { "00" };
    let whole = if has_plus { Some(digits) } else { digits.strip_prefix(exit) };
    if let Some(whole) = whole {
        return PhoneNumber::parse(&format!("+{}", without_trunk_zero(whole)));
    }
    let (_, code, prefix, min, max) = country?;
    let fits = |national: &str| (*min..=*max).contains(&national.len());
    let national = digits.strip_prefix(prefix).filter(|_| !prefix.is_empty()).unwrap_or(digits);
    let with_code = digits.strip_prefix(code).filter(|rest| fits(rest) && !fits(digits));
    let national = with_code.or(Some(national).filter(|national| fits(national)))?;
    PhoneNumber::parse(&format!("+{code}{national}"))
}

/// The digits of an E.164 number as they are said one by one: those of its country, then three by three.
pub(super) fn said(number: &str) -> String {
    let digits = number.trim_start_matches('+');
    let code = COUNTRIES.iter().find_map(|(_, code, ..)| digits.strip_prefix(code).map(|_| *code)).unwrap_or_default();
    let rest: Vec<char> = digits.strip_prefix(code).unwrap_or(digits).chars().collect();
    let mut groups: Vec<Vec<char>> = rest.chunks(3).map(<[char]>::to_vec).collect();
    // A single digit at the end joins the group before it.
    if groups.len() > 1
        && let Some(last) = groups.pop_if(|last| last.len() == 1)
        && let Some(before) = groups.last_mut()
    {
        before.extend(last);
    }
    let groups = std::iter::once(code.chars().collect()).chain(groups).filter(|group: &Vec<char>| !group.is_empty());
    let apart = groups.map(|group| group.iter().map(char::to_string).collect::<Vec<_>>().join(" "));
    apart.collect::<Vec<_>>().join(", ")
}

/// Whether a number has as many digits as the numbers of its country; those of unknown countries have.
fn has_length_of_its_country(number: &PhoneNumber) -> bool {
    let digits = number.as_str().trim_start_matches('+');
    let known = COUNTRIES.iter().find_map(|(_, code, _, min, max)| Some((digits.strip_prefix(code)?, *code, min, max)));
    let Some((national, code, min, max)) = known else { return true };
    // Only some British area codes, and 0800 and 0500, have nine digits.
    let is_short = code == "44" && national.len() == 9 && !national.starts_with(['1', '5', '8']);
    (*min..=*max).contains(&national.len()) && !is_short
}

/// `+31 (0)20`: the zero is dialled inside of the country only. Italy keeps its zeros.
fn without_trunk_zero(whole: &str) -> String {
    let of_country = COUNTRIES.iter().filter(|(_, _, prefix, ..)| *prefix == "0").find_map(|(_, code, ..)| {
        let rest = whole.strip_prefix(code)?.strip_prefix('0')?;
        Some(format!("{code}{rest}"))
    });
    of_country.unwrap_or_else(|| whole.to_owned())
}

fn is_plus(word: &str) -> bool {
    matches!(word, "plus" | "mas" | "piu" | "mais")
}

fn has_plus(text: &str) -> bool {
    let first = words(text).into_iter().find(|word| is_plus(word) || word.contains('+'));
    first.is_some()
}

fn without_plus(text: &str) -> String {
    let parts = text.replace(['+', '(', ')', '/'], " ");
    parts
        .split_whitespace()
        .filter(|word| !is_plus(&super::words::fold(word.trim_matches(','))))
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_each_language_and_country() {
        for (language, country, text, wanted) in [
            ("en", "GB", "oh two oh seven nine four six oh nine five eight", "+442079460958"),
            ("en", "GB", "+44 20 7946 0958", "+442079460958"),
            ("en", "GB", "plus thirty one, twenty, one two three four five six seven", "+31201234567"),
            ("en", "US", "five five five two three four five six seven eight", "+15552345678"),
            ("en", "US", "1 (555) 234-5678", "+15552345678"),
            ("en", "US", "011 31 20 123 4567", "+31201234567"),
            ("en", "GB", "My number is 020 7946 0958.", "+442079460958"),
            ("en", "GB", "plus forty four twenty seven nine four six oh nine five eight", "+442079460958"),
            ("en", "GB", "plus forty-four, twenty, seven nine four six, oh nine five eight", "+442079460958"),
            ("en", "GB", "plus four four twenty seventy nine forty six oh nine fifty eight", "+442079460958"),
            ("en", "GB", "oh twenty seven nine four six oh nine five eight", "+442079460958"),
            ("en", "GB", "double oh forty four twenty seven nine four six oh nine five eight", "+442079460958"),
            ("en", "NL", "plus thirty one twenty one two three four five six seven", "+31201234567"),
            ("en", "US", "five five five twenty three four five six seven", "+15552034567"),
            ("en", "US", "five five five twenty three forty five sixty seven eight", "+15552345678"),
            ("en", "GB", "+44 20 79 46 09 58", "+442079460958"),
            ("en", "GB", "+4420 7946 0958", "+442079460958"),
            ("fr", "FR", "zéro un vingt sept trente quatre cinquante six soixante dix huit", "+33127345678"),
            ("en", "GB", "double oh three one, twenty, 123 45 67", "+31201234567"),
            ("nl", "NL", "nul twee nul, een twee drie, vier vijf, zes zeven", "+31201234567"),
            ("nl", "NL", "plus eenendertig zes 12345678", "+31612345678"),
            ("nl", "NL", "+31 (0)20 123 45 67", "+31201234567"),
            ("nl", "NL", "31201234567", "+31201234567"),
            ("nl", "BE", "nul vier zeven acht, twaalf, vierendertig, zesenvijftig", "+32478123456"),
            ("de", "DE", "null drei null, zwölf vierunddreißig sechsundfünfzig", "+4930123456"),
            ("de", "DE", "null null drei eins, zwanzig, eins zwei drei vier fünf sechs sieben", "+31201234567"),
            ("de", "AT", "plus dreiundvierzig eins zwei drei vier fünf sechs sieben", "+431234567"),
            ("fr", "FR", "zéro six, douze, trente-quatre, cinquante-six, soixante-dix-huit", "+33612345678"),
            ("fr", "FR", "plus trente-trois six 12 34 56 78", "+33612345678"),
            ("es", "ES", "seis doce, treinta y cuatro, cincuenta y seis, setenta y ocho", "+34612345678"),
            ("es", "ES", "más treinta y cuatro 612 345 678", "+34612345678"),
            ("it", "IT", "zero sei, dodici, trentaquattro, cinquantasei, settantotto", "+390612345678"),
            ("it", "IT", "più trentanove 333 1234567", "+393331234567"),
            ("pt", "PT", "nove um dois, trezentos e quarenta e cinco, seis sete oito", "+351912345678"),
            ("pt", "PT", "mais trezentos e cinquenta e um 912 345 678", "+351912345678"),
        ] {
            let read = phone(text, language, Some(country));
            assert_eq!(read.as_ref().map(PhoneNumber::as_str), Some(wanted), "{language} {country}: {text}");
        }
        for (text, country) in [("twelve", Some("GB")), ("no", Some("GB")), ("020 7946 0958", None), ("", None)] {
            assert_eq!(phone(text, "en", country), None, "{text}");
        }
    }
}
