//! Yes or no, in the words of each language.

use super::answer_words::{idioms, lists};
use super::asides::{Correction, Marker, corrections};
use super::words::{base, fold, words};

/// What a text says in a script without blanks.
fn yes_no_unspaced(text: &str, language: &str) -> Option<bool> {
    let ((yes, no), idioms) = (lists(language), idioms(language));
    let (mut rest, mut agrees) = (fold(text), false);
    for doubt in idioms.doubt.split('|').map(fold) {
        rest = rest.replace(&doubt, " ");
    }
    // Idioms first: "no mistake" agrees.
    let idioms = idioms.assent.split('|').chain(yes.split('|')).filter(|one| one.chars().count() > 1);
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

/// What a text says; `None` if it is neither, or both. Denial counts wherever it stands ("that is not right", "ja, nein"), unless it
/// belongs to an idiom of assent ("why not") or of doubt ("not sure"), or is taken back ("no, I mean yes").
pub fn yes_no(text: &str, language: &str) -> Option<bool> {
    if matches!(base(language), "ja" | "zh") {
        return yes_no_unspaced(text, language);
    }
    for Correction { marker, behind, .. } in corrections(text, language) {
        let is_answer = match marker {
            Marker::Meant => true,
            // "No, sorry, that's fine" is courteous.
            Marker::TakesBack => {
                Clause::all(behind, language).first().is_some_and(|one| one.begins_with_answer(language))
            }
            Marker::Denial => false,
        };
        match Some(judge(behind, language)).filter(|_| is_answer) {
            Some(Said::Yes) => return Some(true),
            Some(Said::No) => return Some(false),
            Some(Said::Doubt) => return None,
            Some(Said::Nothing) | None => {}
        }
    }
    match judge(text, language) {
        Said::Yes => Some(true),
        Said::No => Some(false),
        Said::Doubt | Said::Nothing => None,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Yes,
    No,
    /// The caller does not know.
    Doubt,
    Nothing,
}

/// A part of a text between marks, or behind "but".
#[derive(Debug)]
struct Clause {
    /// Folded, between blanks.
    said: String,
    /// The same with accents: in Spanish and Italian they tell "yes" from "if".
    accented: Vec<String>,
    asks: bool,
    restricts: bool,
    /// It held an idiom of assent.
    agrees: bool,
}

impl Clause {
    fn all(text: &str, language: &str) -> Vec<Self> {
        let idioms = idioms(language);
        let marks = |c: char| matches!(c, ',' | '.' | ';' | ':' | '!' | '?' | '…' | '—' | '–' | '،' | '।' | '؟');
        let mut clauses = Vec::new();
        for part in text.split_inclusive(marks) {
            let all = words(part);
            let is_but = |word: &String| listed(idioms.but).any(|but| but == *word);
            let mut restricts = false;
            for said in all.split(is_but) {
                if !said.is_empty() {
                    let mut said = format!(" {} ", said.join(" "));
                    let agrees = take_phrases(&mut said, idioms.assent);
                    let accented = part.to_lowercase();
                    let accented =
                        accented.split_whitespace().map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
                    let accented = accented.filter(|word| !word.is_empty()).map(str::to_owned).collect();
                    clauses.push(Self { said, accented, asks: part.contains(['?', '؟']), restricts, agrees });
                }
                restricts = true;
            }
        }
        clauses
    }

    fn has(&self, list: &'static str) -> bool {
        listed(list).any(|one| self.said.contains(&format!(" {one} ")))
    }

    fn denies(&self, language: &str) -> bool {
        self.has(lists(language).1) || self.said.split(' ').any(is_contracted)
    }

    fn begins_with_answer(&self, language: &str) -> bool {
        let (yes, no) = lists(language);
        listed(yes).chain(listed(no)).any(|one| self.said.starts_with(&format!(" {one} ")))
    }

    /// Whether nothing is said but a denial.
    fn is_denial(&self, language: &str) -> bool {
        listed(lists(language).1).any(|one| self.said.trim() == one)
    }

    /// Whether it is "yes", at its beginning or its end.
    fn is_assent(&self, language: &str) -> bool {
        let (yes, _) = lists(language);
        let core = yes.split_once("||").map_or_else(|| yes.split('|').next().unwrap_or_default(), |(core, _)| core);
        let ends = [self.accented.first(), self.accented.last()];
        let is_core = core.split('|').any(|one| ends.contains(&Some(&one.to_owned())) || self.said.trim() == fold(one));
        is_core && !self.restricts
    }

    /// Whether the caller says that they do not know.
    fn doubts(&self, language: &str) -> bool {
        let idioms = idioms(language);
        if take_phrases(&mut self.said.clone(), idioms.doubt) {
            return true;
        }
        let all: Vec<&str> = self.said.split_whitespace().collect();
        let (yes, no) = lists(language);
        let denials = (0..all.len())
            .filter(|at| all.get(*at).is_some_and(|word| is_contracted(word) || listed(no).any(|one| one == **word)));
        let is_near = |denial: usize, at: usize| {
            let between = all.get(denial.min(at) + 1..denial.max(at)).unwrap_or_default();
            between.len() <= BETWEEN_MAX
                && !between.iter().any(|word| CONJUNCTIONS.contains(word) || listed(yes).any(|one| one == **word))
        };
        denials.into_iter().any(|denial| {
            all.iter().enumerate().any(|(at, word)| {
                let is_sure = at > denial && listed(idioms.sure).any(|one| one == **word);
                (is_sure || listed(idioms.know).any(|one| one == **word)) && is_near(denial, at)
            })
        })
    }
}

/// Words between a denial and what it denies, at most: "not a hundred percent sure".
const BETWEEN_MAX: usize = 3;
/// Behind them stands what the caller knows: "ik weet dat het niet klopt".
const CONJUNCTIONS: [&str; 6] = ["that", "dat", "dass", "que", "che", "why"];

fn listed(list: &'static str) -> impl Iterator<Item = String> {
    list.split('|').filter(|one| !one.is_empty()).map(|one| words(one).join(" "))
}

/// English denials in one word: "can't".
fn is_contracted(word: &str) -> bool {
    word.ends_with("n't") || word == "cannot"
}

/// Takes the phrases of a list out of a clause; whether there was one. Those with a full stop stand at its end, perhaps with a
/// particle before their last word: "warum denn nicht".
fn take_phrases(said: &mut String, list: &'static str) -> bool {
    let mut found = false;
    for one in list.split('|').filter(|one| !one.is_empty()) {
        let (is_last, phrase) = (one.ends_with('.'), words(one));
        let whole = format!(" {} ", phrase.join(" "));
        if is_last && let Some(before) = before_final(said, &phrase) {
            (*said, found) = (format!("{before} "), true);
        } else if !is_last && said.contains(&whole) {
            (*said, found) = (said.replace(&whole, " "), true);
        }
    }
    found
}

/// What stands before a phrase that ends a clause.
fn before_final<'a>(said: &'a str, phrase: &[String]) -> Option<&'a str> {
    if let Some(before) = said.strip_suffix(&format!(" {} ", phrase.join(" "))) {
        return Some(before);
    }
    let (last, lead) = phrase.split_last().filter(|(_, lead)| !lead.is_empty())?;
    let (rest, _) = said.strip_suffix(&format!(" {last} "))?.rsplit_once(' ')?;
    let before = rest.strip_suffix(&lead.join(" "))?;
    (before.is_empty() || before.ends_with(' ')).then(|| before.trim_end())
}

fn judge(text: &str, language: &str) -> Said {
    let clauses = Clause::all(text, language);
    let said = |answer: Option<bool>| answer.map(|yes| if yes { Said::Yes } else { Said::No });
    if let Some(at) = clauses.iter().rposition(|clause| clause.doubts(language)) {
        // "I'm not sure, but yes"; "yeah, I don't know" is no yes.
        let (before, behind) = clauses.split_at(at);
        let denied = before.iter().any(|clause| clause.is_denial(language)).then_some(Said::No);
        return said(read(behind.get(1..).unwrap_or_default(), language)).or(denied).unwrap_or(Said::Doubt);
    }
    said(read(&clauses, language)).unwrap_or(Said::Nothing)
}

fn read(clauses: &[Clause], language: &str) -> Option<bool> {
    let yes = lists(language).0;
    let Some(denial) = clauses.iter().rposition(|clause| clause.denies(language)) else {
        return clauses.iter().any(|clause| clause.agrees || clause.has(yes)).then_some(true);
    };
    let (last, before) = clauses.split_last()?;
    // "That's right, isn't it?"
    if last.asks && last.said.split_whitespace().count() <= 3 && read(before, language) == Some(true) {
        return Some(true);
    }
    let from = clauses.get(denial..).unwrap_or_default();
    // "No, yes", "no, no problem": who knows.
    let is_taken_back = from.iter().skip(1).any(|clause| clause.is_assent(language))
        || from.iter().any(|clause| clause.agrees)
        || from.len() == 1 && !last.restricts && ends_with_assent(last, language);
    // "Yes, but not on Sundays."
    let restricts = clauses.iter().position(|clause| clause.restricts);
    let is_restricted = clauses.first().is_some_and(|first| first.is_assent(language))
        && restricts.is_some_and(|at| clauses.iter().take(at).all(|clause| !clause.denies(language)));
    (!is_taken_back && !is_restricted).then_some(false)
}

/// "no yes", where STT writes no comma.
fn ends_with_assent(clause: &Clause, language: &str) -> bool {
    let last = clause.accented.last().map(String::as_str).unwrap_or_default();
    let core = lists(language).0.split_once("||").map_or("", |(core, _)| core);
    core.split('|').any(|one| one == last)
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

    const IDIOMS_AND_DOUBT: &[(&str, &str, Option<bool>)] = &[
        ("en", "Sure, why not.", Some(true)),
        ("en", "why not", Some(true)),
        ("en", "I don't see why not", Some(true)),
        ("en", "No problem at all.", Some(true)),
        ("en", "I don't mind", Some(true)),
        ("en", "That's right, isn't it?", Some(true)),
        ("en", "No doubt.", Some(true)),
        ("en", "I'm not sure.", None),
        ("en", "I'm not quite sure that's right", None),
        ("en", "I don't know", None),
        ("en", "Yeah, I don't really know.", None),
        ("en", "no idea", None),
        ("en", "I'm not sure, but yes", Some(true)),
        ("en", "I'm not sure. No.", Some(false)),
        ("en", "I'm sure it's not", Some(false)),
        ("en", "I wouldn't say so", Some(false)),
        ("en", "I can't", Some(false)),
        ("en", "that's not actually right", Some(false)),
        ("en", "No, yes, I mean yes.", Some(true)),
        ("en", "Yes, no, wait, no.", Some(false)),
        ("en", "No, sorry, yes", Some(true)),
        ("en", "No, sorry, that's fine", Some(false)),
        ("en", "Yes. Actually, no.", Some(false)),
        ("en", "No, yes", None),
        ("en", "no yes", None),
        ("en", "Yes, no.", Some(false)),
        ("en", "Yes, but not on Sundays", None),
        ("nl", "Waarom niet.", Some(true)),
        ("nl", "ja hoor, geen probleem", Some(true)),
        ("nl", "Dat weet ik niet.", None),
        ("nl", "Ik weet het niet zeker", None),
        ("nl", "geen idee", None),
        ("nl", "Zeker niet.", Some(false)),
        ("nl", "ik weet dat het niet klopt", Some(false)),
        ("nl", "Nee, ik bedoel ja", Some(true)),
        ("nl", "ja, nee sorry, nee", Some(false)),
        ("de", "Warum nicht?", Some(true)),
        ("de", "Klar, warum eigentlich nicht", Some(true)),
        ("de", "Ja, warum denn nicht", Some(true)),
        ("de", "Warum sagen Sie das nicht", Some(false)),
        ("de", "Na klar, kein Ding", Some(true)),
        ("en", "Sure, I don't see a problem with that", Some(true)),
        ("de", "Kein Problem.", Some(true)),
        ("de", "Das weiß ich nicht.", None),
        ("de", "Ich bin mir nicht ganz sicher", None),
        ("de", "keine Ahnung", None),
        ("de", "Sicher nicht.", Some(false)),
        ("de", "ich weiß das stimmt nicht", Some(false)),
        ("de", "Nein, ich meine ja.", Some(true)),
        ("de", "Ja, Moment, nein.", Some(false)),
        ("de", "Das ist richtig, nicht wahr?", Some(true)),
        ("fr", "Pourquoi pas ?", Some(true)),
        ("fr", "Oui, pas de problème", Some(true)),
        ("fr", "pas de souci", Some(true)),
        ("fr", "Je ne sais pas.", None),
        ("fr", "je suis pas sûr", None),
        ("fr", "Bien sûr que non", Some(false)),
        ("fr", "Non, je veux dire oui", Some(true)),
        ("es", "¿Por qué no?", Some(true)),
        ("es", "Cómo no, no hay problema", Some(true)),
        ("es", "No lo sé.", None),
        ("es", "no estoy muy seguro", None),
        ("es", "Seguro que no", Some(false)),
        ("es", "no se puede", Some(false)),
        ("es", "No, perdón, sí.", Some(true)),
        ("es", "Correcto, ¿no?", Some(true)),
        ("it", "Perché no?", Some(true)),
        ("it", "certo, nessun problema", Some(true)),
        ("it", "Non lo so.", None),
        ("it", "non sono sicuro", None),
        ("it", "No, volevo dire sì", Some(true)),
        ("it", "no, scusi, sì", Some(true)),
        ("pt", "Por que não?", Some(true)),
        ("pt", "Claro, sem problema", Some(true)),
        ("pt", "Não sei.", None),
        ("pt", "não tenho certeza", None),
        ("pt", "Com certeza não", Some(false)),
        ("pt", "Não, quero dizer sim", Some(true)),
        ("sv", "Varför inte?", Some(true)),
        ("sv", "Jag vet inte", None),
        ("pl", "Czemu nie", Some(true)),
        ("pl", "nie wiem", None),
        ("ru", "Почему бы и нет", Some(true)),
        ("ru", "Я не знаю", None),
        ("tr", "Neden olmasın?", Some(true)),
        ("ja", "分かりません", None),
        ("zh", "为什么不", Some(true)),
        ("zh", "不知道", None),
    ];

    #[test]
    fn idioms_doubt_and_corrections_are_told_from_denial() {
        let mut misread = Vec::new();
        for &(language, text, wanted) in IDIOMS_AND_DOUBT {
            if yes_no(text, language) != wanted {
                misread.push((language, text, wanted));
            }
        }
        assert_eq!(misread, []);
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
            assert_ne!(lists(language), lists("en"), "{language}");
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
