//! What the words of a turn say about its end: signs of a sentence, an answer, a number or an address that is complete
//! or is not.

use super::asked::{Asked, topic};
use super::clause::Clause;
use super::cues::Cue;
use super::evidence::{Evidence, StopTrust};
use super::language::{LanguageTable, contains_phrase, ends_with_phrase, has_phrase, has_word};
use super::numbers::{AddressState, NumberTail, address, number_tail};
use super::script;
use super::tokens::{EndMark, Sentence};

mod parts;

/// Sentences of more words than these may end on a hanging word.
const HANGING_SENTENCE_WORDS_MIN: usize = 4;
/// Words of an answer to a question for something short.
const SHORT_ANSWER_WORDS_MAX: usize = 5;

/// "Please" in all languages.
const PLEASE: [&str; 8] =
    ["please", "alstublieft", "alsjeblieft", "bitte", "s'il vous plaît", "por favor", "per favore", "se faz favor"];

/// How much "and" before the last noun counts.
const CLOSED_BY_NOUNS: f32 = 0.6;
/// Digits of the shortest phone numbers.
const LOCAL_NUMBER_DIGITS: usize = 7;
/// Words of a story after which a whole sentence counts against the end as it is weighted, and how much less each further one
/// does: who has said much has more often said all.
const STORY_WORDS: usize = 9;
const STORY_WORD_SHARE: f32 = 0.03;
const STORY_SHARES: (f32, f32) = (0.6, 1.0);
/// The same where STT has written the end of a sentence.
const STORY_STOP: f32 = 0.1;
/// How much a number's name counts, if a number was asked for and there is none yet.
const NAME_OF_NUMBER: f32 = 0.8;
/// How much it counts that the verb at the end of a clause is missing.
const FINAL_VERB: f32 = 0.6;
/// How much a sentence counts that names one word of a name that was asked for: "My name is Charlotte".
const FIRST_NAME: f32 = 0.2;
/// Words behind a conjunction in which a verb is missed.
const INNER_CLAUSE_WORDS_MAX: usize = 3;
/// How much more a full stop counts if those before stood at the ends of turns.
const PROVEN_STOP: f32 = 1.35;
/// How much a full stop counts behind words that are no sentence.
const STOP_ALONE: f32 = 0.4;

/// A sign and how strong it is, from 0 to 1.
pub(super) type Sign = (Cue, f32);

/// Signs in the words so far.
pub(super) fn signs(table: Option<&'static LanguageTable>, evidence: &Evidence<'_>) -> Vec<Sign> {
    let (text, asked) = (evidence.words, evidence.asked);
    let sentence = Sentence::last_of(text, |word| {
        let lists = table.map(|table| {
            [table.values.digits, table.values.numbers, table.values.spelling, table.values.items, table.values.months]
        });
        word.chars().count() == 1 || lists.is_some_and(|lists| lists.iter().any(|list| has_word(list, word)))
    });
    if sentence.len() == 0 {
        return Vec::new();
    }
    let Some(table) = table else { return marks_alone(text, &sentence) };
    let mut sentence = sentence;
    sentence.begin_at_capital(|word| {
        let begins =
            [table.grammar.determiners, table.grammar.subjects, table.grammar.subordinators, table.grammar.imperatives];
        word.chars().count() > 1 && begins.iter().any(|list| has_word(list, word))
    });
    let mut judge = Judge {
        tail: number_tail(&sentence, table),
        address: address(&sentence, table, asked == Asked::Email),
        missing_mark: evidence.marks.missing_mark_counts(sentence.has_marks),
        stops: evidence.stops,
        clause: Clause { sentence, table },
        table,
        asked,
        signs: Vec::with_capacity(8),
    };
    judge.judge();
    judge.signs
}

/// A language without a table: marks are all there is.
fn marks_alone(text: &str, sentence: &Sentence) -> Vec<Sign> {
    let words = script::words(text).take(3).count();
    match sentence.mark {
        EndMark::Open => vec![(Cue::OpenMark, 1.0)],
        EndMark::Question => vec![(Cue::QuestionMark, 1.0)],
        EndMark::Stop if words > 1 => vec![(Cue::FullStop, 1.0)],
        EndMark::Stop | EndMark::None => Vec::new(),
    }
}

/// How much it counts that a story was asked for, by the words so far.
fn story_share(words: usize) -> f32 {
    let further = words as f32 - STORY_WORDS as f32;
    (1.0 - further * STORY_WORD_SHARE).clamp(STORY_SHARES.0, STORY_SHARES.1)
}

struct Judge {
    clause: Clause,
    table: &'static LanguageTable,
    asked: Asked,
    tail: NumberTail,
    address: AddressState,
    /// How much a missing mark counts.
    missing_mark: f32,
    stops: StopTrust,
    signs: Vec<Sign>,
}

impl Judge {
    fn add(&mut self, cue: Cue, strength: f32) {
        self.signs.push((cue, strength));
    }

    fn has(&self, cue: Cue) -> bool {
        self.signs.iter().any(|(one, _)| *one == cue)
    }

    fn has_mark(&self) -> bool {
        matches!(self.clause.sentence.mark, EndMark::Stop | EndMark::Question)
    }

    fn judge(&mut self) {
        if self.asked == Asked::Story {
            // One sentence of a story counts less; what is none is open anyway.
            let strength = self.clause.sentence_strength();
            let told = story_share(self.clause.sentence.turn_words);
            let share = match (self.has_mark() && self.stops != StopTrust::Doubted, self.clause.is_question()) {
                (true, _) => STORY_STOP,
                (false, true) => 0.4,
                (false, false) => (strength * told).max(0.2),
            };
            self.add(Cue::StoryAsked, share);
        }
        if self.is_hold() {
            return self.add(Cue::CourtesyHold, 1.0);
        }
        if has_word(self.table.replies.fillers, self.clause.sentence.last()) {
            return self.add(Cue::Filler, 1.0);
        }
        if self.clause.sentence.mark == EndMark::Open {
            self.add(Cue::OpenMark, 1.0);
        } else if self.judge_answer() {
            return;
        }
        if self.judge_address() || self.judge_date() || self.judge_number() {
            return self.judge_mark(STOP_ALONE);
        }
        self.judge_end();
        self.judge_clause();
        self.judge_form();
        self.judge_mark(1.0);
    }

    /// "One moment, please": the whole sentence, or its end if the phrase has several words.
    fn is_hold(&self) -> bool {
        let text = without_please(&self.clause.sentence.text);
        let body = self.clause.body().join(" ");
        let body = without_please(&body);
        let holds = self.table.replies.holds;
        let is_one = |text: &str| has_phrase(holds, text);
        // "Wait" and "moment" end other sentences too.
        let ends = holds.split('|').any(|hold| hold.contains(' ') && ends_with_phrase(hold, text));
        is_one(text) || is_one(body) || ends && self.clause.sentence.mark != EndMark::Question
    }

    /// An answer that is complete by itself; true if there is nothing else to be judged.
    fn judge_answer(&mut self) -> bool {
        let text = self.clause.sentence.text.as_str();
        let parts_are_answers = || {
            let mut part: Vec<&str> = Vec::new();
            self.clause.sentence.tokens.iter().enumerate().all(|(at, token)| {
                part.push(&token.word);
                let is_end = token.has_comma || at + 1 == self.clause.sentence.len();
                !is_end || has_phrase(self.table.replies.answers, &std::mem::take(&mut part).join(" "))
            })
        };
        let is_whole = has_phrase(self.table.replies.answers, text) || parts_are_answers();
        if !is_whole {
            let is_short = self.clause.sentence.len() <= 4 && self.clause.sentence.turn_words <= 6;
            let is_answer = is_short && ends_with_phrase(self.table.replies.answers, text);
            let is_polite = self.clause.sentence.len() >= 2 && without_please(text).len() < text.len();
            if (is_answer || is_polite) && self.tail.words == 0 {
                self.add(Cue::AnswerAtEnd, 1.0);
            }
            return false;
        }
        let is_affirmation = self.clause.sentence.words().all(|word| has_word(self.table.replies.affirmations, word));
        let is_announced = match self.asked {
            Asked::Nothing | Asked::YesNo => false,
            _ => is_affirmation && self.clause.sentence.turn_words <= 2,
        };
        if is_announced {
            self.add(Cue::Announced, 1.0);
        }
        self.add(Cue::WholeAnswer, if is_announced { 0.4 } else { 1.0 });
        if self.asked == Asked::YesNo || self.asked == Asked::AnythingElse && !is_announced {
            self.add(Cue::Answered, 0.3);
        }
        self.judge_mark(0.4);
        true
    }

    fn judge_address(&mut self) -> bool {
        match self.address {
            AddressState::None => return false,
            AddressState::Open => self.add(Cue::AddressOpen, 1.0),
            AddressState::Full => self.add(Cue::AddressFull, 1.0),
        }
        true
    }

    /// A time of day, or a date that was asked for.
    fn judge_date(&mut self) -> bool {
        if self.has_time() {
            self.add(Cue::DateFull, 1.0);
            return true;
        }
        let has_month = self.clause.sentence.words().any(|word| has_word(self.table.values.months, word));
        let figures = self.clause.sentence.last().split(['/', '-', '.']).filter(|part| !part.is_empty()).count();
        let is_numeric = figures == 3 && self.clause.sentence.last().chars().all(|c| !c.is_alphabetic());
        if self.asked != Asked::Date || !(has_month || is_numeric) {
            return false;
        }
        let digits: usize = self.clause.sentence.words().map(|word| digits_of(word, self.table)).sum();
        let ends_in_month = has_word(self.table.values.months, self.clause.sentence.last());
        // The day and the year; "the third of May" may be all there is.
        match (is_numeric || digits >= 5, ends_in_month) {
            (true, _) => self.add(Cue::DateFull, 1.0),
            (false, true) if digits == 0 => self.add(Cue::DateOpen, 1.0),
            (false, _) => self.add(Cue::DateOpen, 0.5),
        }
        true
    }

    /// "11:30", "half past three p.m.".
    fn has_time(&self) -> bool {
        let mut words = self.clause.sentence.words().rev();
        let (last, before) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let is_figures = |word: &str| word.contains(':') && word.chars().all(|c| c.is_ascii_digit() || c == ':');
        let is_half_day = matches!(last, "am" | "pm" | "a.m" | "p.m" | "o'clock" | "uhr" | "uur" | "heures");
        let is_number = digits_of(before, self.table) > 0 || before.contains(':');
        let is_glued = ["am", "pm"].iter().any(|end| {
            last.strip_suffix(end)
                .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit() || c == ':'))
        });
        // "A. M." as two letters.
        let is_spaced = last == "m" && matches!(before, "a" | "p");
        is_figures(last) || is_half_day && is_number || is_glued || is_spaced
    }

    /// Digits and letters; true if the turn ends in some that are given one by one.
    fn judge_number(&mut self) -> bool {
        let NumberTail { digits, letters, words, before } = self.tail;
        if words == 0 {
            return false;
        }
        let own = topic(&self.clause.sentence.text, self.table);
        let wanted = match (self.asked, own) {
            (Asked::Digits { .. } | Asked::Number | Asked::Spelling, _) => self.asked,
            (_, Some(own @ (Asked::Digits { .. } | Asked::Number | Asked::Spelling))) => own,
            (asked, _) => asked,
        };
        let is_one_word = words == 1 && letters == 0;
        // A number or a letter in a sentence: "a table for two", "in 2019", "een", "the key for Z".
        let is_single = words == 1 && letters <= 1;
        if is_single && before > 0 && !matches!(wanted, Asked::Digits { .. } | Asked::Number | Asked::Spelling) {
            return false;
        }
        if is_one_word && matches!(wanted, Asked::Short | Asked::YesNo | Asked::Date) {
            self.add(Cue::Answered, 1.0);
            return true;
        }
        // An article that is a number too, and a letter that is a word.
        if is_one_word && before > 0 && has_word(self.table.grammar.never_last, self.clause.sentence.last()) {
            return false;
        }
        let total = digits + letters;
        match wanted {
            // A local number has seven digits.
            Asked::Digits { min, .. } if letters == 0 && total < min => {
                self.add(Cue::NumberShort, if total >= LOCAL_NUMBER_DIGITS { 0.4 } else { 1.0 });
            }
            Asked::Digits { max, .. } if letters == 0 => {
                self.add(Cue::NumberFull, if total <= max { 1.0 } else { 0.5 })
            }
            _ => self.judge_length(total, letters > 0),
        }
        true
    }

    /// A number or a word of unknown length: most have six digits and more, or four letters and more.
    fn judge_length(&mut self, count: usize, is_spelled: bool) {
        let (cue, strength) = match (is_spelled, count) {
            (false, 0..=3) | (true, 0..=2) => (Cue::NumberShort, 1.0),
            (false, 4..=5) | (true, 3) => (Cue::NumberShort, 0.6),
            (false, 6) => (Cue::NumberOpen, 0.8),
            (true, 4) => (Cue::NumberOpen, 0.5),
            (false, 7) | (true, 5) => (Cue::NumberOpen, 0.0),
            (false, 8..=9) | (true, 6) => (Cue::NumberFull, 0.4),
            _ => (Cue::NumberFull, 0.8),
        };
        self.add(cue, strength);
    }

    /// The last word.
    fn judge_end(&mut self) {
        let table = self.table;
        let last = self.clause.sentence.last();
        let is_question = self.clause.is_question();
        // "Where my order is." has its dot; "my number is." has too few words for one.
        let is_excused = self.has_mark() && self.clause.sentence.len() > HANGING_SENTENCE_WORDS_MIN
            || self.clause.sentence.mark == EndMark::Question
            || self.ends_clause();
        let names = contains_phrase(table.topics.number, &self.clause.sentence.text)
            || contains_phrase(table.topics.name, &self.clause.sentence.text)
            || contains_phrase(table.topics.date, &self.clause.sentence.text);
        let is_short = self.clause.sentence.len() <= HANGING_SENTENCE_WORDS_MIN + 1;
        // "May" and "van der Meer" are names, where STT wrote their capitals.
        let is_name = self.clause.sentence.len() > 1
            && last.chars().count() > 1
            && self.clause.sentence.tokens.last().is_some_and(|token| token.is_capital);
        let is_open = self.clause.lacks_final_verb() && !self.has_mark();
        if is_name && !is_open {
            return;
        }
        if has_word(table.grammar.never_last, last) && !is_name {
            self.add(Cue::NeverLast, 1.0);
        } else if is_open {
            self.add(Cue::NeedsObject, FINAL_VERB);
        } else if has_word(table.grammar.seldom_last, last) && !is_excused {
            self.add(Cue::SeldomLast, 1.0);
            if names {
                self.add(Cue::OpenLabel, 1.0);
            }
        } else if has_word(table.grammar.seldom_last, last)
            && names
            && is_short
            && self.clause.sentence.mark != EndMark::Question
        {
            // "My order number is." with a stop that STT wrote at the pause.
            self.add(Cue::OpenLabel, 1.0);
        } else if has_word(table.grammar.prenominals, last) && !has_word(table.values.items, last) && !self.has_mark() {
            self.add(Cue::SeldomLast, 0.6);
        } else if self.clause.ends_in_verb() && !is_question && !self.is_command_for_answer() {
            self.add(Cue::NeedsObject, if self.has_mark() { 0.5 } else { 1.0 });
        } else if self.names_missing_number() || self.ends_in_name_of_number() {
            self.add(Cue::OpenLabel, NAME_OF_NUMBER);
        }
    }

    /// A verb at the end of a clause that a conjunction or a question word began: "where my order is", "ob das geht". "Yes,
    /// I can" is one too.
    fn ends_clause(&self) -> bool {
        let table = self.table;
        let words: Vec<&str> = self.clause.sentence.words().collect();
        if !has_word(table.grammar.finite, self.clause.sentence.last()) {
            return false;
        }
        let lists = [table.grammar.subordinators, table.grammar.question_words];
        let inner = words.get(1..words.len().saturating_sub(2)).unwrap_or_default();
        let is_begun = inner.iter().any(|word| lists.iter().any(|list| has_word(list, word)));
        let body = self.clause.body();
        let is_verb_final = table.grammar.is_verb_final && body.len() > HANGING_SENTENCE_WORDS_MIN;
        let has_subject = body.len() == 2 && body.first().is_some_and(|word| has_word(table.grammar.subjects, word));
        is_begun || is_verb_final || has_subject && (body.len() < words.len() || self.asked == Asked::YesNo)
    }

    /// Clauses and pairs whose other half is missing.
    fn judge_clause(&mut self) {
        let body: Vec<String> = self.clause.body().into_iter().map(str::to_owned).collect();
        let table = self.table;
        let Some(first) = body.first() else { return };
        let open = if self.has_mark() { 0.4 } else { 1.0 };
        let has_inner_comma = self.clause.sentence.tokens.iter().rev().skip(1).any(|token| token.has_comma);
        let verbs = self.clause.finite_verbs();
        let is_question = self.clause.is_question() || self.clause.sentence.mark == EndMark::Question;
        let begins_open = has_word(table.grammar.subordinators, first) && !has_inner_comma && verbs <= 1;
        if self.clause.lacks_verb_of_question() {
            self.add(Cue::NoVerb, open);
        } else if !is_question && (begins_open || self.ends_in_open_clause(&body)) {
            self.add(Cue::OpenClause, open);
        } else if has_word(table.grammar.determiners, first) && body.len() >= 2 && !is_question {
            let relative = body.iter().skip(2).any(|word| table.is_subject(word) || has_word("that which who", word));
            let needed = if relative { 2 } else { 1 };
            let is_answer = matches!(self.asked, Asked::Short | Asked::Name | Asked::Date);
            // A longer phrase more often has a verb that the table does not know.
            let strength = match body.len() {
                0..=3 => 1.0,
                _ if relative => 1.0,
                4..=5 => 0.6,
                _ => 0.0,
            };
            if self.clause.verbs() < needed && !is_answer && strength > 0.0 && !self.clause.is_closed_list() {
                self.add(Cue::NoVerb, strength);
            }
        }
        let is_open_pair = table.grammar.pairs.iter().any(|(one, other)| {
            let at = body.iter().position(|word| word == one);
            at.is_some_and(|at| !body.iter().skip(at + 1).any(|word| word == other))
        });
        if is_open_pair {
            self.add(Cue::OpenPair, open);
        }
        let is_hanging = [Cue::NeverLast, Cue::SeldomLast, Cue::NeedsObject].iter().any(|cue| self.has(*cue));
        if self.clause.is_closed_list() && !is_hanging {
            return self.add(Cue::ClosedList, CLOSED_BY_NOUNS);
        }
        self.judge_list(open);
    }

    /// A conjunction, and behind it the beginning of a clause without its verb: "it will begin when the leader".
    fn ends_in_open_clause(&self, body: &[String]) -> bool {
        let grammar = &self.table.grammar;
        let Some(at) = body.iter().rposition(|word| has_word(grammar.subordinators, word)) else { return false };
        let inner = body.get(at + 1..).unwrap_or_default();
        let begins =
            inner.first().is_some_and(|word| has_word(grammar.determiners, word) || has_word(grammar.subjects, word));
        at > 0
            && begins
            && inner.len() <= INNER_CLAUSE_WORDS_MAX
            && !inner.iter().any(|word| has_word(grammar.finite, word) || has_word(grammar.needs_object, word))
    }

    /// What kind of sentence it is, and whether it answers.
    fn judge_form(&mut self) {
        let is_hanging = [
            Cue::NeverLast,
            Cue::SeldomLast,
            Cue::NeedsObject,
            Cue::OpenClause,
            Cue::OpenMark,
            Cue::NoVerb,
            Cue::OpenList,
        ]
        .iter()
        .any(|cue| self.has(*cue));
        if is_hanging {
            return;
        }
        let strength = self.clause.sentence_strength();
        if self.clause.sentence.mark == EndMark::None && !self.clause.is_question() && strength > 0.0 {
            let is_half = self.asked == Asked::Name && self.clause.ends_in_first_word_of_name();
            self.add(Cue::Sentence, if is_half { FIRST_NAME } else { strength });
        }
        if self.clause.sentence.mark != EndMark::Question && self.clause.is_question() {
            self.add(Cue::QuestionForm, 1.0);
        }
        if self.lacks_number() {
            self.add(Cue::AnswerMissing, 1.0);
        }
        let count = self.clause.sentence.turn_words;
        let is_short_answer = matches!(self.asked, Asked::Short | Asked::Name | Asked::Date);
        if is_short_answer && count <= SHORT_ANSWER_WORDS_MAX {
            // "My name is Ann" may go on.
            self.add(Cue::Answered, if strength > 0.0 { 0.2 } else { 1.0 });
        } else if matches!(self.asked, Asked::YesNo | Asked::AnythingElse) && count <= 3 {
            self.add(Cue::Answered, 1.0);
        } else if count <= 2 && !self.has(Cue::AnswerAtEnd) {
            self.add(Cue::FewWords, 1.0);
        } else if count > 2
            && !self.clause.is_question()
            && strength == 0.0
            && ![Cue::ClosedList, Cue::AnswerAtEnd].iter().any(|cue| self.has(*cue))
        {
            self.add(Cue::Fragment, 1.0);
        }
    }

    /// The mark at the end, which counts less behind a number or a single word.
    fn judge_mark(&mut self, strength: f32) {
        match self.clause.sentence.mark {
            EndMark::Question => self.add(Cue::QuestionMark, 1.0),
            EndMark::Stop => {
                // Some STT services end whatever comes before a pause with a stop: it counts where a sentence is.
                let is_whole = self.clause.is_sentence() || self.clause.is_question();
                let counted = match self.stops {
                    StopTrust::Proven if is_whole => strength * PROVEN_STOP,
                    StopTrust::Unknown if is_whole => strength,
                    _ => strength.min(STOP_ALONE),
                };
                self.add(Cue::FullStop, counted);
            }
            EndMark::None if self.missing_mark > 0.0 && strength >= 1.0 => self.add(Cue::NoMark, self.missing_mark),
            EndMark::None | EndMark::Open => {}
        }
    }
}

/// A text without "please" at its end.
pub(super) fn without_please(text: &str) -> &str {
    PLEASE.iter().find_map(|word| text.strip_suffix(word)).unwrap_or(text).trim()
}

fn digits_of(word: &str, table: &LanguageTable) -> usize {
    let figures = word.chars().filter(char::is_ascii_digit).count();
    match figures {
        0 if has_word(table.values.digits, word) => 1,
        0 if has_word(table.values.numbers, word) => 2,
        figures => figures,
    }
}

#[cfg(test)]
mod tests;
