//! Signs that a turn has ended or goes on, and how much each counts.

/// A sign in the words, the sound, STT's events or the question before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cue {
    /// STT wrote a full stop or an exclamation mark.
    FullStop,
    /// STT wrote a question mark.
    QuestionMark,
    /// A comma, a dash or an ellipsis.
    OpenMark,
    /// No mark, of an STT that writes some.
    NoMark,
    /// An answer that is complete by itself: "yes", "no, thank you".
    WholeAnswer,
    /// A short sentence that ends in such an answer.
    AnswerAtEnd,
    /// "One moment, please."
    CourtesyHold,
    /// "Uh".
    Filler,
    /// A word that never ends a sentence: "and", "my".
    NeverLast,
    /// A word that seldom does: "to", "is".
    SeldomLast,
    /// "My order number is", "my number".
    OpenLabel,
    /// A verb whose object is missing: "you have entered".
    NeedsObject,
    /// A subordinate clause whose main clause is missing: "if you want".
    OpenClause,
    /// A noun and what belongs to it, without a verb: "the party you are trying to reach".
    NoVerb,
    /// "Either" without "or".
    OpenPair,
    /// Items of a list without "and" before the last.
    OpenList,
    /// A list with "and" before its last item.
    ClosedList,
    /// A question by its words.
    QuestionForm,
    /// A verb and what it wants, and nothing that is open.
    Sentence,
    /// One or two words that are no answer and no sentence.
    FewWords,
    /// Words that are neither a sentence nor an answer.
    Fragment,
    /// Digits of which more belong to the number.
    NumberShort,
    /// Digits of a number of unknown length.
    NumberOpen,
    /// As many digits as such a number has.
    NumberFull,
    /// Letters, one by one or by their names.
    Letters,
    /// An address without its end.
    AddressOpen,
    /// An address with its end.
    AddressFull,
    /// A date or a time that has all its parts.
    DateFull,
    /// A date or a time that lacks a part.
    DateOpen,
    /// What was asked for is there: yes or no, a quantity, a name.
    Answered,
    /// A sentence without a digit, where a number was asked for.
    AnswerMissing,
    /// "Yes" to "Is there anything else?": it comes now.
    Announced,
    /// The agent asked for a story.
    StoryAsked,
    /// STT heard a pause by itself.
    SpeechFinal,
    /// STT heard no more words for long.
    UtteranceEnd,
    /// A turn model of STT holds the turn for over.
    TurnModelEnd,
    /// The last words may still change.
    Interim,
    /// Words for the last sound may still be on their way.
    Uncovered,
    /// The voice fell at the end, in pitch or in level.
    VoiceFell,
    /// The voice stayed level or rose.
    VoiceHeld,
    /// The last syllable was drawn out.
    Drawn,
}

impl Cue {
    /// All signs, in the order of the table of weights.
    pub const ALL: &'static [Self] = &[
        Self::FullStop,
        Self::QuestionMark,
        Self::OpenMark,
        Self::NoMark,
        Self::WholeAnswer,
        Self::AnswerAtEnd,
        Self::CourtesyHold,
        Self::Filler,
        Self::NeverLast,
        Self::SeldomLast,
        Self::OpenLabel,
        Self::NeedsObject,
        Self::OpenClause,
        Self::NoVerb,
        Self::OpenPair,
        Self::OpenList,
        Self::ClosedList,
        Self::QuestionForm,
        Self::Sentence,
        Self::FewWords,
        Self::Fragment,
        Self::NumberShort,
        Self::NumberOpen,
        Self::NumberFull,
        Self::Letters,
        Self::AddressOpen,
        Self::AddressFull,
        Self::DateFull,
        Self::DateOpen,
        Self::Answered,
        Self::AnswerMissing,
        Self::Announced,
        Self::StoryAsked,
        Self::SpeechFinal,
        Self::UtteranceEnd,
        Self::TurnModelEnd,
        Self::Interim,
        Self::Uncovered,
        Self::VoiceFell,
        Self::VoiceHeld,
        Self::Drawn,
    ];

    /// As `metrics` names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::FullStop => "full_stop",
            Self::QuestionMark => "question_mark",
            Self::OpenMark => "open_mark",
            Self::NoMark => "no_mark",
            Self::WholeAnswer => "whole_answer",
            Self::AnswerAtEnd => "answer_at_end",
            Self::CourtesyHold => "courtesy_hold",
            Self::Filler => "filler",
            Self::NeverLast => "never_last",
            Self::SeldomLast => "seldom_last",
            Self::OpenLabel => "open_label",
            Self::NeedsObject => "needs_object",
            Self::OpenClause => "open_clause",
            Self::NoVerb => "no_verb",
            Self::OpenPair => "open_pair",
            Self::OpenList => "open_list",
            Self::ClosedList => "closed_list",
            Self::QuestionForm => "question_form",
            Self::Sentence => "sentence",
            Self::FewWords => "few_words",
            Self::Fragment => "fragment",
            Self::NumberShort => "number_short",
            Self::NumberOpen => "number_open",
            Self::NumberFull => "number_full",
            Self::Letters => "letters",
            Self::AddressOpen => "address_open",
            Self::AddressFull => "address_full",
            Self::DateFull => "date_full",
            Self::DateOpen => "date_open",
            Self::Answered => "answered",
            Self::AnswerMissing => "answer_missing",
            Self::Announced => "announced",
            Self::StoryAsked => "story_asked",
            Self::SpeechFinal => "speech_final",
            Self::UtteranceEnd => "utterance_end",
            Self::TurnModelEnd => "turn_model_end",
            Self::Interim => "interim",
            Self::Uncovered => "uncovered",
            Self::VoiceFell => "voice_fell",
            Self::VoiceHeld => "voice_held",
            Self::Drawn => "drawn",
        }
    }
}

/// How much each sign counts, in logits; positive for an end. A sign that is not there counts nothing.
pub(super) type Weights = [(Cue, f32)];

/// How much a sign counts in a language: by its own table, or else by that of all.
pub(super) fn weight(own: &Weights, cue: Cue) -> f32 {
    own.iter().chain(WEIGHTS).find(|(one, _)| *one == cue).map_or(0.0, |(_, weight)| *weight)
}

/// Without any sign: an even chance.
pub(super) const BIAS: f32 = 0.0;

/// The weights of all languages, as far as one has no others: fitted to the English tuning half by
/// `bench/turns/fit_weights.py`, near what was set by hand.
pub(super) const WEIGHTS: &Weights = &[
    (Cue::FullStop, 2.4),
    (Cue::QuestionMark, 3.6),
    (Cue::OpenMark, -3.0),
    (Cue::NoMark, -1.2),
    (Cue::WholeAnswer, 2.6),
    (Cue::AnswerAtEnd, 1.5),
    (Cue::CourtesyHold, -4.5),
    (Cue::Filler, -4.5),
    (Cue::NeverLast, -3.9),
    (Cue::SeldomLast, -2.7),
    (Cue::OpenLabel, -3.0),
    (Cue::NeedsObject, -2.5),
    (Cue::OpenClause, -2.5),
    (Cue::NoVerb, -2.1),
    (Cue::OpenPair, -1.5),
    (Cue::OpenList, -2.5),
    (Cue::ClosedList, 3.0),
    (Cue::QuestionForm, 2.0),
    (Cue::Sentence, 1.8),
    (Cue::FewWords, -1.0),
    (Cue::Fragment, -1.2),
    (Cue::NumberShort, -3.2),
    (Cue::NumberOpen, -1.0),
    (Cue::NumberFull, 2.9),
    (Cue::Letters, -1.5),
    (Cue::AddressOpen, -3.0),
    (Cue::AddressFull, 2.0),
    (Cue::DateFull, 1.5),
    (Cue::DateOpen, -1.5),
    (Cue::Answered, 1.8),
    (Cue::AnswerMissing, -1.2),
    (Cue::Announced, -2.0),
    (Cue::StoryAsked, -1.9),
    (Cue::SpeechFinal, 0.2),
    (Cue::UtteranceEnd, 0.2),
    (Cue::TurnModelEnd, 4.0),
    (Cue::Interim, -0.3),
    (Cue::Uncovered, -0.8),
    (Cue::VoiceFell, 0.8),
    (Cue::VoiceHeld, -0.8),
    (Cue::Drawn, -0.8),
];

/// Other weights of Dutch, German, French, Spanish, Italian and Portuguese, whose words are known less well: fitted to their
/// tuning halves in the same way.
pub(super) const WEIGHTS_OTHER: &Weights = &[
    (Cue::WholeAnswer, 2.2),
    (Cue::SeldomLast, -2.5),
    (Cue::NoVerb, -1.7),
    (Cue::OpenList, -3.2),
    (Cue::QuestionForm, 1.2),
    (Cue::Sentence, 1.4),
    (Cue::FewWords, -1.6),
    (Cue::NumberShort, -2.7),
    (Cue::Answered, 1.4),
    (Cue::StoryAsked, -1.5),
];
