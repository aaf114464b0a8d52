//! The seam of an answer that broke off and its continuation: a blank where a word had ended, and nothing said twice.
//!
//! A model is asked to begin with a whole word, the cut one if there is one. So a blank belongs at the seam unless the
//! continuation plainly is the rest of a word: the joined word stands in the conversation, the continuation begins with
//! an ending ("deliv" + "ered"), or no word ends as the first part does.

use std::collections::HashSet;
use std::ops::Range;
use trunkline_domain::chat::ChatMessage;
use trunkline_media::turn::script::has_no_blanks;

/// Words of the answer in which a repeated beginning is looked for.
const SAID_WORDS_MAX: usize = 400;
/// Bytes of a continuation that are held until it is known what they repeat.
const HELD_BYTES_MAX: usize = 4 * 1024;
/// A continuation that repeats so many words of the answer's end, but not the last of them, has begun again.
const BEGUN_AGAIN_WORDS: usize = 3;
/// The most words that it then has in another way.
const OTHER_WORDS_MAX: usize = 2;
/// Words that are whole wherever an answer stops.
const SHORT_WORDS: &str = "a an and are as at be been but by can did do does for from had has have he her here him his \
    how i if in is it its me my no not now of off on one or our out she so some that the their them then there they this \
    to too up us was we were what when where which who will with would yes you your \
    der die das den dem des ein eine einen einem und oder aber ich du er sie es wir ihr ist sind war im am um zu zum \
    zur mit von vom auf aus bei nach vor wie was wer wo nicht noch schon auch nur \
    de het een en of maar ik jij hij zij wij is zijn was op uit bij met van naar voor niet nog ook dat dit die er te om \
    le la les un une des et ou mais je tu il elle nous vous ils est sont dans sur avec pour par pas que qui ce cette au \
    aux du el los las una y o pero yo se su con por para del al lo gli i e o ma io lei con per non che di da in do uma \
    os as um com por não ao";
/// Digits in words: said twice, they are meant twice.
const DIGITS: &str = "zero oh one two three four five six seven eight nine double null eins zwei drei vier fünf sechs \
    sieben acht neun nul een twee drie vijf zes zeven negen zéro un deux trois quatre cinq sept huit neuf cero uno dos \
    tres cuatro cinco seis siete ocho nueve due quattro cinque sei sette otto nove um dois quatro sete oito";
/// Parts of words that no word begins with where a model stops: endings.
const ENDINGS: &str = "d ed ered er ers ing ering ings s est ly ally tion ation ations tions sion ment ments ness ible \
    ity ities ies ous ance ence ency ant ent ents ial ical rrow nesday urday ung ungen lich keit heit ern ert ten schaft \
    isch ige igen tie ties heid lijk lijke eren atie ement aire euse ción ciones mente iendo zione zioni mento ção ções";

/// Where the answer stopped, and what has come of its continuation as long as it is not known what of it is new.
#[derive(Debug)]
pub(crate) struct AnswerSeam {
    said: String,
    /// Words of the conversation.
    known: HashSet<String>,
    held: String,
    is_passed: bool,
}

impl AnswerSeam {
    /// The seam behind what was said in answer to these messages.
    pub(crate) fn behind(said: &str, messages: &[ChatMessage]) -> Self {
        let contents = messages.iter().map(|message| match message {
            ChatMessage::System(content) | ChatMessage::User(content) => content,
            ChatMessage::Assistant { content, .. } | ChatMessage::Tool { content, .. } => content,
        });
        let known = contents.flat_map(|content| words(content).into_iter().map(|word| word.text)).collect();
        Self { said: said.to_owned(), known, held: String::new(), is_passed: false }
    }

    /// Adds words of the continuation; returns what is to be said now.
    pub(crate) fn push(&mut self, text: &str) -> String {
        if self.is_passed {
            return text.to_owned();
        }
        self.held.push_str(text);
        self.join(self.held.len() > HELD_BYTES_MAX)
    }

    /// The continuation is complete: what was held.
    pub(crate) fn finish(&mut self) -> String {
        if self.is_passed { String::new() } else { self.join(true) }
    }

    fn join(&mut self, is_complete: bool) -> String {
        let said = last_words(&self.said);
        let new = words(&self.held);
        let is_letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let is_open = |word: &Word| !is_complete && word.range.end == self.held.len();
        let rest = match repeated(&said, &new, &self.held, is_complete) {
            Repeated::Unknown => return String::new(),
            // Marks behind the repeated words may be those that were said, too.
            Repeated::Words(end) if !is_complete && !self.held[end..].contains(char::is_alphanumeric) => {
                return String::new();
            }
            // Whether two parts are one word is known when the second is whole.
            Repeated::Nothing
                if is_letter(self.said.chars().next_back())
                    && is_letter(self.held.chars().next())
                    && new.first().is_some_and(is_open) =>
            {
                return String::new();
            }
            Repeated::Words(end) => without_marks(&self.held[end..], marks_behind(&self.said)),
            // The rest of the cut word.
            Repeated::Cut(end) => self.held[end..].to_owned(),
            Repeated::Nothing if self.needs_blank(&said, &new) => format!(" {}", self.held.trim_start()),
            Repeated::Nothing => self.held.clone(),
        };
        self.is_passed = true;
        self.held.clear();
        rest
    }

    fn needs_blank(&self, said: &[Word], new: &[Word]) -> bool {
        let (Some(last), Some(first)) = (self.said.chars().next_back(), self.held.chars().next()) else { return false };
        let is_opening = |c: char| matches!(c, '(' | '[' | '“' | '«' | '¿' | '¡' | '€' | '$' | '£' | '<');
        if last.is_whitespace() || has_no_blanks(last) || has_no_blanks(first) {
            return false;
        }
        if !first.is_alphanumeric() {
            return is_opening(first) && !is_opening(last);
        }
        match (said.last(), new.first()) {
            (Some(before), Some(behind)) if last.is_alphanumeric() => !self.is_one_word(before, behind),
            (Some(before), _) if matches!(last, '.' | ',' | ':') => {
                // A number that was cut behind its point.
                !(first.is_numeric() && before.text.ends_with(char::is_numeric))
            }
            _ => !matches!(last, '\'' | '’' | '-' | '/' | '@' | '_' | '“' | '«' | '(' | '[' | '€' | '$' | '£' | '<'),
        }
    }

    /// Whether two parts are one word that was cut.
    fn is_one_word(&self, before: &Word, behind: &Word) -> bool {
        let is_numeric = |text: &str| text.chars().all(char::is_numeric);
        let joined = format!("{}{}", before.text, behind.text);
        if is_numeric(&joined) || self.known.contains(&joined) {
            return true;
        }
        if joined.contains(char::is_numeric) || self.held.starts_with(char::is_uppercase) {
            return false;
        }
        let is_short = |word: &Word| is_listed(SHORT_WORDS, &word.text) || is_listed(DIGITS, &word.text);
        before.text.ends_with(['v', 'q']) || !is_short(before) && !is_short(behind) && is_listed(ENDINGS, &behind.text)
    }
}

/// How much of a continuation was said before.
#[derive(Debug, PartialEq, Eq)]
enum Repeated {
    /// What follows decides.
    Unknown,
    Nothing,
    /// Whole words, up to this byte.
    Words(usize),
    /// Up to this byte within the word that was cut.
    Cut(usize),
}

/// Finds the end of the answer at the beginning of its continuation.
fn repeated(said: &[Word], new: &[Word], held: &str, is_complete: bool) -> Repeated {
    let open = new.last().filter(|last| !is_complete && last.range.end == held.len()).map(|last| last.text.as_str());
    if new.is_empty() {
        return if is_complete { Repeated::Nothing } else { Repeated::Unknown };
    }
    let (mut found, mut other) = (None, None);
    for at in 0..said.len() {
        let tail = &said[at..];
        let same = tail.iter().zip(new).take_while(|(was, is)| was.text == is.text).count();
        let follows = tail.get(same).zip(new.get(same));
        let is_open = open.is_some() && same + 1 >= new.len();
        match follows {
            // The last word of the answer was cut, and is here whole.
            Some((was, is)) if same + 1 == tail.len() && is.text.starts_with(&was.text) && may_be_cut(was, same) => {
                found = found.or(Some(Repeated::Cut(is.range.start + cut_len(&held[is.range.clone()], was))));
            }
            Some((was, is)) if is_open && was.text.starts_with(&is.text) => return Repeated::Unknown,
            None if same == tail.len() && is_open && same == new.len() => return Repeated::Unknown,
            None if same == tail.len() && counts(&tail[0], same) => {
                found = found.or(Some(Repeated::Words(new[same - 1].range.end)));
            }
            None if same < tail.len() && !is_complete => return Repeated::Unknown,
            _ if same >= BEGUN_AGAIN_WORDS && tail.len() - same <= OTHER_WORDS_MAX => {
                other = other.or(Some(Repeated::Words(new[same - 1].range.end)));
            }
            _ => {}
        }
    }
    found.or(other).unwrap_or(Repeated::Nothing)
}

/// One word is often said twice in a number, and one character of Chinese in any sentence.
fn counts(first: &Word, words: usize) -> bool {
    let is_digit = first.text.contains(char::is_numeric) || is_listed(DIGITS, &first.text);
    words > 1 || !is_digit && !first.text.starts_with(has_no_blanks)
}

fn may_be_cut(word: &Word, words_before: usize) -> bool {
    words_before > 0
        || word.text.chars().nth(1).is_some() && !is_listed(SHORT_WORDS, &word.text) && !is_listed(DIGITS, &word.text)
}

/// Bytes of a word that are the cut one.
fn cut_len(word: &str, cut: &Word) -> usize {
    word.char_indices().nth(cut.text.chars().count()).map_or(word.len(), |(at, _)| at)
}

fn is_listed(list: &str, word: &str) -> bool {
    list.split_whitespace().any(|listed| listed == word)
}

/// What stands behind the last word.
fn marks_behind(text: &str) -> &str {
    &text[text.trim_end_matches(|c: char| !c.is_alphanumeric()).len()..]
}

/// The text without the marks that were said already.
fn without_marks(text: &str, marks: &str) -> String {
    let same = text.chars().zip(marks.chars()).take_while(|(is, was)| is == was).map(|(is, _)| is.len_utf8()).sum();
    let rest: &str = &text[same..];
    if marks.ends_with(char::is_whitespace) { rest.trim_start().to_owned() } else { rest.to_owned() }
}

#[derive(Clone, Debug)]
struct Word {
    /// In small letters.
    text: String,
    range: Range<usize>,
}

/// The words at the end of an answer.
fn last_words(text: &str) -> Vec<Word> {
    let mut all = words(text);
    all.split_off(all.len().saturating_sub(SAID_WORDS_MAX))
}

/// The words of a text; in scripts without blanks each character is one.
fn words(text: &str) -> Vec<Word> {
    let mut all: Vec<Word> = Vec::new();
    for (at, c) in text.char_indices().filter(|(_, c)| c.is_alphanumeric()) {
        let end = at + c.len_utf8();
        match all.last_mut() {
            Some(last) if last.range.end == at && !has_no_blanks(c) && !last.text.ends_with(has_no_blanks) => {
                last.text.extend(c.to_lowercase());
                last.range.end = end;
            }
            _ => all.push(Word { text: c.to_lowercase().collect(), range: at..end }),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer and its continuation, which comes whole, and letter by letter.
    fn joined(said: &str, continuation: &str) -> String {
        let messages = [ChatMessage::System("You sell notebooks.".to_owned())];
        let mut seam = AnswerSeam::behind(said, &messages);
        let whole = format!("{said}{}{}", seam.push(continuation), seam.finish());
        let mut seam = AnswerSeam::behind(said, &messages);
        let parts: String = continuation.chars().map(|c| seam.push(c.encode_utf8(&mut [0; 4]))).collect();
        assert_eq!(format!("{said}{parts}{}", seam.finish()), whole);
        whole
    }

    #[test]
    fn a_blank_parts_words_and_a_cut_word_is_joined() {
        for (said, continuation, wanted) in [
            ("four five", "six and it left", "four five six and it left"),
            ("on its way", "and it comes", "on its way and it comes"),
            ("on its way", " and it comes", "on its way and it comes"),
            ("on its way ", "and it comes", "on its way and it comes"),
            ("left the shop", "yesterday.", "left the shop yesterday."),
            ("It was deliv", "ered.", "It was delivered."),
            ("Two note", "books.", "Two notebooks."),
            ("It costs 12", "5 euros", "It costs 125 euros"),
            ("It costs 12.", "50 euros", "It costs 12.50 euros"),
            ("It costs 12", "euros", "It costs 12 euros"),
            ("It is here,", "sir", "It is here, sir"),
            ("It is here", ", sir", "It is here, sir"),
            ("We don'", "t know", "We don't know"),
            ("It costs", "€12", "It costs €12"),
            ("您的订单", "已经发货", "您的订单已经发货"),
        ] {
            assert_eq!(joined(said, continuation), wanted);
        }
    }

    #[test]
    fn a_beginning_that_was_said_is_not_said_again() {
        for (said, continuation, wanted) in [
            ("Your order left the shop", "Your order left the shop yesterday.", "Your order left the shop yesterday."),
            ("Hello. Your order left", "your order left the shop.", "Hello. Your order left the shop."),
            ("the shop and it", "it left", "the shop and it left"),
            ("the shop and it ", "it left", "the shop and it left"),
            ("Yes, ", "Yes, it left", "Yes, it left"),
            ("It was deliv", "delivered.", "It was delivered."),
            ("It was deliv", "It was delivered.", "It was delivered."),
            ("left the shop and", "Left the shop yesterday.", "left the shop and yesterday."),
            ("four five", "five six", "four five five six"),
            ("four five", "four five six", "four five six"),
            ("It is for", "forty people", "It is for forty people"),
            ("I know that", "and this", "I know that and this"),
            ("您的订单已经", "您的订单已经发货", "您的订单已经发货"),
            ("谢谢", "谢谢您", "谢谢您"),
        ] {
            assert_eq!(joined(said, continuation), wanted);
        }
        assert_eq!(joined("It is here", "It is here"), "It is here", "nothing is new");
    }

    #[test]
    fn what_cannot_be_a_repetition_is_not_held() {
        let mut seam = AnswerSeam::behind("Your order left the shop", &[]);
        assert_eq!(seam.push(" your"), "");
        assert_eq!(seam.push(" friend"), " your friend");
        assert_eq!(seam.push(" your order left the shop"), " your order left the shop");
    }
}
