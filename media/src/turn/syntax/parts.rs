//! Parts of what was asked for: items of a list, and a number that is not there yet.

use super::super::asked::{Asked, topic};
use super::super::cues::Cue;
use super::super::language::{ends_with_phrase, has_phrase, has_word};
use super::super::tokens::EndMark;
use super::{Judge, digits_of};

/// Words by which a caller says that there is no number to be told.
const NO_NUMBER: &str = "no not never none nothing forgot forgotten lost geen niet kwijt vergeten kein keine keinen nicht vergessen pas \
    aucun oublié perdu non nessun perso sin olvidé perdí não nenhum esqueci perdi";

/// How much nouns without "and" count, if several things were asked for.
const NOUNS_OF_LIST: f32 = 0.4;

impl Judge {
    /// "The blue jacket two pairs of socks", after the agent has asked for several things.
    fn is_list_of_nouns(&self) -> bool {
        let grammar = &self.table.grammar;
        self.asked == Asked::Several
            && self.clause.sentence.len() >= 2
            && self.clause.finite_verbs() == 0
            && !self.has_mark()
            && !self.clause.sentence.words().any(|word| has_word(grammar.joiners, word))
    }

    /// "Apples, pears": "and" is still to come.
    pub(super) fn judge_list(&mut self, open: f32) {
        if self.judge_items(open) {
            return;
        }
        if self.is_list_of_nouns() && !self.has(Cue::AnswerAtEnd) {
            return self.add(Cue::OpenList, NOUNS_OF_LIST);
        }
        let Some(comma) = self.clause.sentence.tokens.iter().rposition(|token| token.has_comma) else { return };
        let after = self.clause.sentence.tokens.get(comma + 1..).unwrap_or_default();
        let is_item = !after.is_empty()
            && after.len() <= 3
            && !after.iter().any(|token| {
                let word = token.word.as_str();
                [self.table.grammar.joiners, self.table.grammar.finite, self.table.grammar.subjects]
                    .iter()
                    .any(|list| has_word(list, word))
            });
        let leads_in =
            self.clause.sentence.words().next().is_some_and(|word| has_word(self.table.replies.lead_ins, word))
                && comma == 0;
        let is_polite =
            after.iter().any(|token| has_phrase(self.table.replies.answers, &token.word) || token.word == "please");
        if is_item && !leads_in && !is_polite && !self.has(Cue::AnswerAtEnd) {
            self.add(Cue::OpenList, open);
        }
    }

    /// Days, months and the like in a row; true if the turn ends in such.
    fn judge_items(&mut self, open: f32) -> bool {
        let table = self.table;
        let is_item = |word: &str| has_word(table.values.items, word) || has_word(table.values.months, word);
        let words: Vec<&str> = self.clause.sentence.words().collect();
        let Some((_, before)) = words.split_last().filter(|(last, _)| is_item(last)) else { return false };
        let is_closed = before.last().is_some_and(|word| has_word(table.grammar.joiners, word));
        let count = 1 + before.iter().rev().take_while(|word| is_item(word)).count();
        let is_list = self.asked == Asked::Several;
        // A single day may be all that was wanted.
        if is_closed {
            self.add(Cue::ClosedList, 1.0);
        } else if count >= 2 || is_list {
            self.add(Cue::OpenList, open);
        }
        is_closed || count >= 2 || is_list
    }

    /// A number was asked for, and the sentence neither has one nor says that there is none.
    pub(super) fn lacks_number(&self) -> bool {
        let is_denied = |word: &str| word.ends_with("n't") || has_word(NO_NUMBER, word);
        let sentence = &self.clause.sentence;
        let has_digit = || sentence.words().any(|word| digits_of(word, self.table) > 0);
        matches!(self.asked, Asked::Digits { .. } | Asked::Number)
            && self.clause.is_sentence()
            && !self.clause.is_question()
            && sentence.mark != EndMark::Question
            && !sentence.words().any(is_denied)
            && !has_digit()
    }

    /// "You are entering conference number", after the agent has asked for one.
    pub(super) fn names_missing_number(&self) -> bool {
        let is_number = |asked: Asked| matches!(asked, Asked::Digits { .. } | Asked::Number);
        let own = topic(&self.clause.sentence.text, self.table);
        is_number(self.asked) && own.is_some_and(is_number) && !self.has_mark()
    }

    /// "The person at extension", "my order number": a number's name behind which there is neither a verb nor the number.
    pub(super) fn ends_in_name_of_number(&self) -> bool {
        let sentence = &self.clause.sentence;
        let topics = &self.table.topics;
        sentence.len() >= 3
            && !self.has_mark()
            && self.clause.verbs() == 0
            && !matches!(self.asked, Asked::Short | Asked::Name)
            && [topics.number, topics.phone].iter().any(|names| ends_with_phrase(names, &sentence.text))
    }

    /// "Cancel", "record": a verb alone answers whether, or which.
    pub(super) fn is_command_for_answer(&self) -> bool {
        self.clause.sentence.turn_words == 1
            && matches!(self.asked, Asked::YesNo | Asked::AnythingElse | Asked::Short | Asked::Several)
    }
}
