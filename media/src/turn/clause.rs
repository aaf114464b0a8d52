//! The form of a sentence: its verbs, whether it asks, and whether its last word leaves it open.

use super::language::{LanguageTable, has_word};
use super::tokens::Sentence;

/// Words of a sentence whose verb the table may not know.
const LONG_SENTENCE_WORDS_MIN: usize = 6;

/// Words behind a modal verb or a conjunction of which one would be the verb.
const FINAL_VERB_WORDS_MIN: usize = 3;

/// The last sentence of a turn, in its language.
pub(super) struct Clause {
    pub(super) sentence: Sentence,
    pub(super) table: &'static LanguageTable,
}

impl Clause {
    /// Words behind "yes", "well", "so".
    pub(super) fn body(&self) -> Vec<&str> {
        self.sentence.words().skip_while(|word| has_word(self.table.replies.lead_ins, word)).collect()
    }

    pub(super) fn finite_verbs(&self) -> usize {
        self.sentence.words().filter(|word| has_word(self.table.grammar.finite, word)).count()
    }

    /// Verbs, also those that want an object, behind their subject.
    pub(super) fn verbs(&self) -> usize {
        let words: Vec<&str> = self.sentence.words().collect();
        let is_verb = |pair: &&[&str]| {
            matches!(pair, [before, word] if self.table.is_subject(before)
                && has_word(self.table.grammar.needs_object, word)
                && !has_word(self.table.grammar.finite, word))
        };
        self.finite_verbs() + words.windows(2).filter(is_verb).count()
    }

    pub(super) fn is_question(&self) -> bool {
        let body = self.body();
        let (first, second) = (body.first().copied().unwrap_or_default(), body.get(1).copied().unwrap_or_default());
        let is_inverted = has_word(self.table.grammar.question_verbs, first)
            && (has_word(self.table.grammar.subjects, second)
                || has_word(self.table.grammar.determiners, second)
                || first.contains('-'));
        let is_asked = has_word(self.table.grammar.question_words, first);
        body.len() >= 3 && (is_inverted || is_asked && self.finite_verbs() > 0) && !self.lacks_verb_of_question()
    }

    /// "And when does it", "wo kann ich": a question whose verb is still to come.
    pub(super) fn lacks_verb_of_question(&self) -> bool {
        let body = self.body();
        let [first, .., modal, subject] = body.as_slice() else { return false };
        has_word(self.table.grammar.question_words, first)
            && has_word(self.table.grammar.modals, modal)
            && has_word(self.table.grammar.subjects, subject)
    }

    /// A verb with something before it, or a request, in some words.
    pub(super) fn is_sentence(&self) -> bool {
        let body = self.body();
        let table = self.table;
        let is_verb = |at: usize, word: &str| match at {
            // "It's busy".
            0 => word.contains('\'') && has_word(table.grammar.finite, word),
            _ => {
                has_word(table.grammar.finite, word)
                    || has_word(table.grammar.needs_object, word) && self.may_precede_verb(body.get(at - 1))
            }
        };
        let is_request = |at: usize, word: &str| {
            let before = at.checked_sub(1).and_then(|before| body.get(before));
            has_word(table.grammar.imperatives, word)
                && before.is_some_and(|before| !has_word(table.grammar.determiners, before))
        };
        let has_verb = body.iter().enumerate().any(|(at, word)| is_verb(at, word) || is_request(at, word));
        let is_request = body.first().is_some_and(|word| has_word(self.table.grammar.imperatives, word));
        body.len() >= 3 && (has_verb || is_request)
    }

    /// How sure it is that there is a sentence: a long one may have a verb that the table does not know.
    pub(super) fn sentence_strength(&self) -> f32 {
        match self.body().len() {
            _ if self.is_sentence() => 1.0,
            length if length >= LONG_SENTENCE_WORDS_MIN => 0.6,
            5 => 0.3,
            _ => 0.0,
        }
    }

    pub(super) fn may_precede_verb(&self, word: Option<&&str>) -> bool {
        let table = self.table;
        let lists = [
            table.grammar.subjects,
            table.grammar.finite,
            table.grammar.joiners,
            table.replies.lead_ins,
            table.grammar.particles,
        ];
        word.is_some_and(|word| lists.iter().any(|list| has_word(list, word)))
    }

    /// A verb that wants an object, by what stands before it: "I want", "to order", and not "my order".
    pub(super) fn ends_in_verb(&self) -> bool {
        let mut words = self.sentence.words().rev();
        let is_verb = words.next().is_some_and(|last| has_word(self.table.grammar.needs_object, last));
        let before = words.next();
        // "That is all I need": the object stands before its clause.
        let is_fronted = words.next().is_some_and(|word| has_word(self.table.grammar.fronted, word))
            && before.is_some_and(|word| self.table.is_subject(word));
        if is_fronted {
            return false;
        }
        let is_alone = before.is_none() && has_word(self.table.grammar.imperatives, self.sentence.last());
        is_verb && (is_alone || self.may_precede_verb(before.as_ref()))
    }

    /// A modal verb whose infinitive is still to come, or a subordinate clause without its verb, in a language where these stand
    /// at the end: "zou dit de schat", "dass der Brief von gestern".
    pub(super) fn lacks_final_verb(&self) -> bool {
        let grammar = &self.table.grammar;
        if !grammar.is_verb_final {
            return false;
        }
        let words: Vec<&str> = self.sentence.words().collect();
        let rest = |at: usize| words.get(at + 1..).unwrap_or_default();
        let ends_in =
            |ends: &[char]| words.last().is_some_and(|last| has_word(grammar.finite, last) || last.ends_with(ends));
        let begins_clause = |at: usize, word: &str| {
            let is_that = word == "dat" && at > 0;
            let has_subject = || {
                let next = rest(at).first();
                next.is_some_and(|word| has_word(grammar.subjects, word) || has_word(grammar.determiners, word))
            };
            has_word(grammar.subordinators, word) || is_that && has_subject()
        };
        if let Some((at, _)) = words.iter().enumerate().rfind(|(at, word)| begins_clause(*at, word)) {
            let has_verb = rest(at).iter().any(|word| has_word(grammar.finite, word));
            return rest(at).len() >= FINAL_VERB_WORDS_MIN && !has_verb && !ends_in(&['n', 't', 'd', 'e']);
        }
        let modal = words.iter().position(|word| has_word(grammar.modals, word));
        let is_alone = self.finite_verbs() <= 1;
        modal.is_some_and(|at| rest(at).len() >= FINAL_VERB_WORDS_MIN && is_alone && !ends_in(&['n']))
    }

    /// A single word behind the verb: "my name is Charlotte".
    pub(super) fn ends_in_first_word_of_name(&self) -> bool {
        let mut words = self.sentence.words().rev().skip(1);
        words.next().is_some_and(|before| has_word(self.table.grammar.finite, before))
    }

    /// Nouns without a verb, and "and" before the last of them: "the jacket two pairs of socks and the belt".
    pub(super) fn is_closed_list(&self) -> bool {
        let words: Vec<&str> = self.sentence.words().collect();
        let joiner = words.iter().rposition(|word| has_word(self.table.grammar.joiners, word));
        let after = joiner.map_or(0, |at| words.len() - at - 1);
        (1..=4).contains(&after) && joiner.is_some_and(|at| at >= 2) && self.finite_verbs() == 0
    }
}
