//! Words of callers beside words of a flow: what counts as the same word, and as a phrase.

use crate::dialogue::spoken::words::{base, words};

/// Words that may stand between two words of a phrase.
const GAP_MAX: usize = 2;
/// Letters that the ends of two forms of a word may differ in.
const ENDING_CHARS_MAX: usize = 3;
/// Shorter words have no endings.
pub(super) const STEM_CHARS_MIN: usize = 4;
/// Words up to this length are the stem of another one only with an ending that words have: `good` is none of `goodbye`.
const SHORT_CHARS_MAX: usize = 5;
const ENDINGS: [&str; 36] = [
    "s", "es", "d", "ed", "r", "er", "ers", "ing", "ly", "y", "n", "en", "e", "ne", "se", "t", "te", "ten", "de",
    "den", "em", "est", "st", "a", "as", "o", "os", "i", "x", "al", "ar", "ir", "re", "ez", "ons", "ung",
];

/// Words that say little about what somebody wants.
fn fillers(language: &str) -> &'static str {
    match base(language) {
        "nl" => {
            "de het een en of is zijn was ben bent ik je jij u uw mijn jullie we wij er dat dit die van voor met op in aan te \
             om naar bij uit ook nog maar dan wel niet kan kunt kunnen zou wil wilt graag even eens hoor heb heeft hebben \
             hoe wat wie welke moet mag gaat doe doen mij me uh eh als door over zo nou dus hallo goedemorgen goedemiddag weten vertellen zeggen"
        }
        "de" => {
            "der die das ein eine einen einem einer und oder ist sind war bin ich du sie ihr ihre ihren mein meine meinen \
             wir es da dass dies von vom fur mit auf in im an am zu zum zur um bei aus auch noch aber dann wohl nicht kann \
             konnen konnte wurde will mochte gern gerne mal bitte hab habe haben hat wie was wer welche muss darf mir mich ah ahm als durch \
             uber so also hallo guten morgen tag wissen sagen"
        }
        "fr" => {
            "le la les un une des et ou est sont etait suis je j tu il elle vous nous votre vos mon ma mes ce cette ca c'est \
             de du d au aux pour avec sur dans en a par que qui qu ne pas peux peut pouvez voudrais veux s'il plait y me moi \
             euh aussi encore mais alors bonjour j'ai ai avez savoir dire est-ce"
        }
        "es" => {
            "el la los las un una unos y o es son era soy yo tu usted ustedes su sus mi mis nuestro esto esta ese de del al \
             a para con por en que no puedo puede pueden quiero quisiera me se lo le eh tambien pero entonces hola buenos \
             dias tengo tiene saber decir favor como cual"
        }
        "it" => {
            "il lo la i gli le un uno una e o sono era io tu lei voi suo sua mio mia questo questa quello di del della al alla \
             a per con su in da che non posso puo potete vorrei voglio mi si ci ne eh anche ma allora buongiorno ciao ho ha \
             avete sapere dire favore come quale"
        }
        "pt" => {
            "o a os as um uma e ou sou era eu tu voce voces seu sua meu minha isto isso este esta de do da dos das no na em \
             para por com que nao posso pode podem queria quero me se lhe eh tambem mas entao ola bom dia tenho tem saber \
             dizer favor como qual"
        }
        _ => {
            "the a an and or is are was were be been am i i'm i'd i've you you're your my me we our us it it's its that this \
             these those there of to for from with on in at by as do does did can could would will shall should may might have \
             has had not don't doesn't just also still but then so please hi hello hey good morning afternoon um uh er well \
             until before after than too very how what which who why they them he she like want wanna need gonna know tell say let get got if any some about what's i'll okay ok yes no thanks thank \
             much very lot something anything thing things wondering wonder question questions ask really actually maybe \
             calling whether because"
        }
    }
}

/// The words of a text that say what it is about; all of them, if none does.
pub(super) fn content_words(text: &str, language: &str) -> Vec<String> {
    let all: Vec<String> = words(text).into_iter().map(|word| without_clitic(&word)).collect();
    let fillers = fillers(language);
    let is_filler = |word: &str| fillers.split_whitespace().any(|filler| filler == word);
    let content: Vec<String> = all.iter().filter(|word| !is_filler(word)).cloned().collect();
    if content.is_empty() { all } else { content }
}

/// `where's` is `where`, `l'adresse` is `adresse`.
fn without_clitic(word: &str) -> String {
    let word = word.strip_suffix("'s").or_else(|| word.strip_suffix("'re")).unwrap_or(word);
    match word.split_once('\'') {
        Some((before, after)) if before.chars().count() <= 2 && after.chars().count() > 2 => after.to_owned(),
        _ => word.to_owned(),
    }
}

/// Whether two words are forms of one: `open` and `opening`, `return` and `returned`.
pub(super) fn is_alike(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    let (short, long) = if one.chars().count() <= other.chars().count() { (one, other) } else { (other, one) };
    let (short_chars, long_chars) = (short.chars().count(), long.chars().count());
    let common = short.chars().zip(long.chars()).take_while(|(a, b)| a == b).count();
    // The last letter of a stem may change: `delivery`, `deliveries`; of digits it means another number.
    let stem = if short_chars > STEM_CHARS_MIN { short_chars - 1 } else { short_chars };
    let is_word = short.chars().all(char::is_alphabetic);
    let is_stem = is_word && common >= STEM_CHARS_MIN && common >= stem && long_chars - common <= ENDING_CHARS_MAX;
    let ending = long.strip_prefix(short).filter(|_| short_chars <= SHORT_CHARS_MAX);
    is_stem && ending.is_none_or(|ending| ENDINGS.contains(&ending))
}

/// A phrase of an intent or a choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Phrase(Vec<String>);

impl Phrase {
    pub(super) fn new(text: &str, language: &str) -> Self {
        Self(content_words(text, language))
    }

    /// How many words of it are in a turn, in its order: all of them, or `None`.
    pub(super) fn find(&self, turn: &[String]) -> Option<usize> {
        let (first, rest) = self.0.split_first()?;
        let starts = turn.iter().enumerate().filter(|(_, word)| is_alike(word, first));
        let is_found = starts.map(|(at, _)| at).any(|start| {
            let mut at = start;
            rest.iter().all(|wanted| {
                let window = turn.iter().enumerate().skip(at + 1).take(GAP_MAX + 1);
                let next = window.filter(|(_, word)| is_alike(word, wanted)).map(|(place, _)| place).next();
                at = next.unwrap_or(at);
                next.is_some()
            })
        });
        is_found.then_some(self.0.len())
    }
}

/// The name whose phrases fit a turn best: the longest phrase, and of equal ones the first.
pub(super) fn best<'a, N>(turn: &[String], all: impl Iterator<Item = (N, &'a [Phrase])>) -> Option<(N, usize)> {
    let mut best: Option<(N, usize)> = None;
    for (name, phrases) in all {
        let found = phrases.iter().filter_map(|phrase| phrase.find(turn)).max();
        if let Some(found) = found.filter(|found| best.as_ref().is_none_or(|(_, known)| found > known)) {
            best = Some((name, found));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(phrase: &str, turn: &str, language: &str) -> bool {
        Phrase::new(phrase, language).find(&content_words(turn, language)).is_some()
    }

    #[test]
    fn forms_of_a_word_are_alike_and_other_words_are_not() {
        for (one, other) in [
            ("open", "opening"),
            ("deliver", "delivered"),
            ("delivery", "deliveries"),
            ("order", "orders"),
            ("close", "closing"),
            ("bestelling", "bestellingen"),
            ("offnung", "offnungen"),
        ] {
            assert!(is_alike(one, other) && is_alike(other, one), "{one} {other}");
        }
        for (one, other) in [
            ("open", "operation"),
            ("car", "cart"),
            ("1234", "12345"),
            ("12345", "12346"),
            ("day", "dad"),
            ("return", "retail"),
            ("", "a"),
            ("good", "goodbye"),
        ] {
            assert!(!is_alike(one, other), "{one} {other}");
        }
    }

    #[test]
    fn a_phrase_is_found_in_other_words_and_in_its_order() {
        assert!(fits("where is my order", "Could you tell me where that order of mine is?", "en"));
        assert!(fits("where is my order", "where's the big blue order", "en"));
        assert!(!fits("where is my order", "I want to order where my friend does", "en"));
        assert!(!fits("cancel order", "cancel one two three order", "en"), "too far apart");
        assert!(fits("person", "can I talk to a real person please", "en"));
        assert!(fits("wo ist meine Bestellung", "Wo bleibt denn die Bestellung?", "de"));
        assert!(fits("horaires d'ouverture", "Quels sont les horaires d'ouverture ?", "fr"));
        assert!(!fits("person", "", "en"));
    }

    #[test]
    fn the_longest_phrase_wins_and_of_equal_ones_the_first() {
        let phrases = |all: &[&str]| all.iter().map(|one| Phrase::new(one, "en")).collect::<Vec<_>>();
        let (order, status) = (phrases(&["order", "shop"]), phrases(&["order status"]));
        let turn = content_words("what is my order status", "en");
        let all = || [("order", order.as_slice()), ("status", status.as_slice())].into_iter();
        assert_eq!(best(&turn, all()), Some(("status", 2)));
        assert_eq!(best(&content_words("an order", "en"), all()), Some(("order", 1)));
        assert_eq!(best(&content_words("goodbye", "en"), all()), None);
    }
}
