//! The form of a table of parameters.

use crate::turn::cues::Weights;

/// One table of parameters per language. Lists of single words are parted by blanks, lists of phrases by `|`; all in
/// small letters.
#[derive(Debug)]
pub(in crate::turn) struct LanguageTable {
    /// Words by their part in a sentence.
    pub(in crate::turn) grammar: Grammar,
    /// Answers, and what is said around them.
    pub(in crate::turn) replies: Replies,
    /// Parts of numbers, dates and addresses.
    pub(in crate::turn) values: Values,
    /// What the caller may be asked for, in the agent's words or in the caller's own.
    pub(in crate::turn) topics: Topics,
    /// How much each sign counts.
    pub(in crate::turn) weights: &'static Weights,
}

impl LanguageTable {
    /// A pronoun as a subject, also one that has swallowed its verb: "you've".
    pub(in crate::turn) fn is_subject(&self, word: &str) -> bool {
        let plain = word.split_once('\'').map_or(word, |(before, _)| before);
        [word, plain].iter().any(|word| has_word(self.grammar.subjects, word))
    }
}

/// Whether a list of single words has this one.
pub(in crate::turn) fn has_word(list: &str, word: &str) -> bool {
    list.split(' ').any(|one| one == word)
}

/// Words by their part in a sentence.
#[derive(Debug)]
pub(in crate::turn) struct Grammar {
    /// Words that never end a sentence: articles, possessives, conjunctions.
    pub(in crate::turn) never_last: &'static str,
    /// Words that seldom end one: prepositions, auxiliaries, relative pronouns.
    pub(in crate::turn) seldom_last: &'static str,
    /// Words that mostly stand before a noun: "this", "other".
    pub(in crate::turn) prenominals: &'static str,
    /// Verbs that want an object: "I would like", "you have entered".
    pub(in crate::turn) needs_object: &'static str,
    /// Words that stand between a subject and its verb: "to", "not".
    pub(in crate::turn) particles: &'static str,
    /// Words that begin a subordinate clause, after which a main clause comes.
    pub(in crate::turn) subordinators: &'static str,
    /// Words that begin a noun phrase.
    pub(in crate::turn) determiners: &'static str,
    /// Personal pronouns as subjects.
    pub(in crate::turn) subjects: &'static str,
    /// Words before a subject that are the object of its verb: "all I need", "what you want".
    pub(in crate::turn) fronted: &'static str,
    /// Finite verbs that need no object to be known as such.
    pub(in crate::turn) finite: &'static str,
    /// Words of which a phrase has two: "either" and "or".
    pub(in crate::turn) pairs: &'static [(&'static str, &'static str)],
    /// Verbs that another one follows: behind the subject of a question, and where [`Self::is_verb_final`] at the end of the
    /// clause: "does", "zou", "kann".
    pub(in crate::turn) modals: &'static str,
    /// Verbs stand at the end of clauses.
    pub(in crate::turn) is_verb_final: bool,
    /// "And", "or": what comes before the last item of a list.
    pub(in crate::turn) joiners: &'static str,
    /// Words that begin a question.
    pub(in crate::turn) question_words: &'static str,
    /// Verbs that begin a question to be answered by yes or no.
    pub(in crate::turn) question_verbs: &'static str,
    /// Verbs and the like that begin a request.
    pub(in crate::turn) imperatives: &'static str,
}

/// Answers, and what is said around them.
#[derive(Debug)]
pub(in crate::turn) struct Replies {
    /// Sounds of somebody who thinks.
    pub(in crate::turn) fillers: &'static str,
    /// Answers that are complete by themselves.
    pub(in crate::turn) answers: &'static str,
    /// Answers that announce the rest when more than yes or no was asked for.
    pub(in crate::turn) affirmations: &'static str,
    /// Words before a sentence that are no part of it: "well", "so".
    pub(in crate::turn) lead_ins: &'static str,
    /// "Could you give me ...?" asks for more than yes or no.
    pub(in crate::turn) request_verbs: &'static str,
    /// "One moment, please": the caller goes on.
    pub(in crate::turn) holds: &'static str,
}

/// Parts of numbers, dates and addresses.
#[derive(Debug)]
pub(in crate::turn) struct Values {
    /// Digits from zero on.
    pub(in crate::turn) digits: &'static str,
    /// Numbers of two digits.
    pub(in crate::turn) numbers: &'static str,
    /// "Double", "hundred".
    pub(in crate::turn) multipliers: &'static str,
    /// Letters by their names, and words that spell.
    pub(in crate::turn) spelling: &'static str,
    /// "At", "dot" and the like between the parts of an address.
    pub(in crate::turn) address_words: &'static str,
    /// Days, ordinals: what lists of callers are made of, beside months.
    pub(in crate::turn) items: &'static str,
    /// Names of the months.
    pub(in crate::turn) months: &'static str,
    /// Digits of a phone number, from and to.
    pub(in crate::turn) phone_digits: (usize, usize),
    /// Digits of a postal code, from and to.
    pub(in crate::turn) postal_digits: (usize, usize),
}

/// Phrases that name what is asked for.
#[derive(Debug)]
pub(in crate::turn) struct Topics {
    /// A phone number.
    pub(in crate::turn) phone: &'static str,
    /// A number of another kind.
    pub(in crate::turn) number: &'static str,
    /// A postal code.
    pub(in crate::turn) postal: &'static str,
    /// "Digit", after the count.
    pub(in crate::turn) digit: &'static str,
    /// A day or a date.
    pub(in crate::turn) date: &'static str,
    /// An e-mail address.
    pub(in crate::turn) email: &'static str,
    /// To spell something.
    pub(in crate::turn) spell: &'static str,
    /// A name.
    pub(in crate::turn) name: &'static str,
    /// How many, how much, when, which: something short.
    pub(in crate::turn) short: &'static str,
    /// Several things of a kind.
    pub(in crate::turn) several: &'static str,
    /// Whether there is anything else.
    pub(in crate::turn) anything_else: &'static str,
    /// A story.
    pub(in crate::turn) story: &'static str,
}
