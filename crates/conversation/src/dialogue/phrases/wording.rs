//! What a language has to have words for. A language without one of them does not compile.

/// Everything that an agent says by itself in one language.
#[derive(Debug)]
pub struct StockPhrases {
    /// For when no LLM can be asked.
    pub scripted: ScriptedPhrases,
    /// Around a value that the caller has said.
    pub value: ValuePhrases,
    /// Of the rules that stand in for the model, and take a message.
    pub message: MessagePhrases,
    /// While the caller waits for a tool or the model, one after the other.
    pub fillers: &'static [&'static str],
}

/// Phrases for when no LLM can be asked.
#[derive(Debug)]
pub struct ScriptedPhrases {
    /// First LLM failure: asks the caller to repeat.
    pub repeat: &'static str,
    /// The caller was heard and not understood: another language, or a very bad line.
    pub not_understood: &'static str,
    /// Second failure: ends the call.
    pub give_up: &'static str,
    /// Maximum duration reached.
    pub time_is_up: &'static str,
    /// Said before the agent ends the call by a DTMF rule.
    pub goodbye: &'static str,
    /// Before a transfer.
    pub connecting: &'static str,
    /// Briefing when the caller has not said why.
    pub caller_waits: &'static str,
    /// Asks a silent caller.
    pub still_there: &'static str,
    /// Before the call ends because the caller stayed silent.
    pub cannot_hear: &'static str,
}

/// What is said around a value.
#[derive(Debug)]
pub struct ValuePhrases {
    /// Before the value.
    pub before: &'static str,
    /// After the value.
    pub after: &'static str,
    /// It was not understood.
    pub again: &'static str,
    /// It was not understood, and can be spelled.
    pub spell: &'static str,
    /// It was wrong.
    pub wrong: &'static str,
    /// Yes or no was not understood.
    pub confirm: &'static str,
}

/// What the rules say that stand in for the model, and those that take a message.
#[derive(Debug)]
pub struct MessagePhrases {
    /// No model can be reached.
    pub sorry: &'static str,
    /// Somebody else can be reached.
    pub offer_transfer: &'static str,
    /// A message can be left.
    pub offer_message: &'static str,
    /// Before the questions of a message.
    pub take: &'static str,
    /// Asks for the caller's name.
    pub ask_name: &'static str,
    /// Asks for the caller's number.
    pub ask_phone: &'static str,
    /// Asks for the message.
    pub ask_text: &'static str,
    /// A message was taken.
    pub taken: &'static str,
    /// No message is wanted.
    pub declined: &'static str,
    /// A tool still works.
    pub still_working: &'static str,
    /// Words of the caller that mean a message, parted by bars.
    pub message: &'static str,
}

impl ScriptedPhrases {
    /// All of them.
    pub fn all(&self) -> [&'static str; 9] {
        let Self {
            repeat, not_understood, give_up, time_is_up, goodbye, connecting, caller_waits, still_there, ..
        } = *self;
        let cannot_hear = self.cannot_hear;
        [repeat, not_understood, give_up, time_is_up, goodbye, connecting, caller_waits, still_there, cannot_hear]
    }
}

impl ValuePhrases {
    /// All of them.
    pub fn all(&self) -> [&'static str; 6] {
        let Self { before, after, again, spell, wrong, confirm } = *self;
        [before, after, again, spell, wrong, confirm]
    }
}

impl MessagePhrases {
    /// All that are said.
    pub fn all(&self) -> [&'static str; 10] {
        let Self { sorry, offer_transfer, offer_message, take, ask_name, ask_phone, ask_text, .. } = *self;
        let Self { taken, declined, still_working, .. } = *self;
        [sorry, offer_transfer, offer_message, take, ask_name, ask_phone, ask_text, taken, declined, still_working]
    }
}
