//! Commands to a call in progress: what somebody beside it wants said, told to the agent, or done with the caller.

use super::rules::{fits, is_text, parses};
use super::transfer::TransferTarget;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Characters of a text: about a minute of speech, and with its escapes still a message between two processes.
pub const TEXT_CHARS_MAX: usize = 1_000;
/// Commands that one call takes: far more than a person gives, and a bound for what the call keeps of them.
pub const CONTROLS_MAX: usize = 200;

const TEXT: &str = "must have 1 to 1000 characters, not all of them blank";

/// Words for the agent's voice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
pub struct SayCommand {
    /// What the agent says. Markup and SSML are left out, as in its answers; variables of the call are filled in.
    #[schema(min_length = 1, max_length = 1000)]
    #[garde(custom(fits(is_command_text, TEXT)))]
    pub text: String,
    /// Cuts what the agent is saying, or is about to say. Otherwise the words follow when the agent has finished and the
    /// caller is silent.
    #[serde(default)]
    pub interrupt: bool,
}

/// An instruction for the agent that nobody hears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
pub struct InstructCommand {
    /// What the agent is told. The next answer of the model follows it; the caller does not hear it.
    #[schema(min_length = 1, max_length = 1000)]
    #[garde(custom(fits(is_command_text, TEXT)))]
    pub text: String,
}

/// What a person writes in a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
pub struct MessageCommand {
    /// What the agent reads, as if the caller had said it: a turn of the caller.
    #[schema(min_length = 1, max_length = 1000)]
    #[garde(custom(fits(is_command_text, TEXT)))]
    pub text: String,
}

/// Where the caller is put through: one of the two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
pub struct TransferCommand {
    /// An E.164 number. The call's trunk must allow it, as in transfers by the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(custom(one_of(&self.destination)))]
    #[garde(inner(custom(parses(number, "must be an E.164 number"))))]
    pub to: Option<String>,
    /// The name of a destination in the agent's `transfer_config`.
    #[schema(min_length = 1, max_length = 64)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(inner(custom(fits(|name: &str| is_text(name, 64), "must have 1 to 64 characters"))))]
    pub destination: Option<String>,
}

fn is_command_text(text: &str) -> bool {
    is_text(text, TEXT_CHARS_MAX)
}

fn number(text: &str) -> Option<TransferTarget> {
    TransferTarget::parse(text).filter(|target| target.uri().is_none())
}

/// Exactly one is set.
fn one_of<C>(other: &Option<String>) -> impl FnOnce(&Option<String>, &C) -> garde::Result {
    fits(|one: &Option<String>| one.is_some() != other.is_some(), "or destination must be set, and not both")
}

impl TransferCommand {
    /// The number, if one is named.
    pub fn number(&self) -> Option<TransferTarget> {
        self.to.as_deref().and_then(number)
    }
}

/// A command to a call in progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "with", rename_all = "snake_case")]
pub enum CallControl {
    /// The agent says a text.
    Say(SayCommand),
    /// The agent is told something that nobody hears.
    Instruct(InstructCommand),
    /// The caller is put through.
    Transfer(TransferCommand),
    /// The caller waits; agent and STT rest.
    Hold,
    /// The caller is back with the agent.
    Resume,
    /// The person in a chat has written something.
    Message(MessageCommand),
}

impl CallControl {
    /// Name in paths, in the call's events and in the audit log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Say(_) => "say",
            Self::Instruct(_) => "instruct",
            Self::Transfer(_) => "transfer",
            Self::Hold => "hold",
            Self::Resume => "resume",
            Self::Message(_) => "message",
        }
    }

    /// Its text: words, instruction, or where to.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Say(SayCommand { text, .. })
            | Self::Instruct(InstructCommand { text })
            | Self::Message(MessageCommand { text }) => Some(text),
            Self::Transfer(TransferCommand { to, destination }) => destination.as_deref().or(to.as_deref()),
            Self::Hold | Self::Resume => None,
        }
    }
}

/// Why a call did not take a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum ControlError {
    /// It has ended, or hangs up.
    #[error("The call is over")]
    Over,
    /// Nobody has answered.
    #[error("The call has not been answered yet")]
    NotAnswered,
    /// The process that holds the call has not said whether it took the command.
    #[error("The process that holds the call does not answer")]
    NoAnswer,
    /// More commands wait than the call may have waiting.
    #[error("Other commands to this call wait to be carried out; try again in a moment")]
    Busy,
    /// As many texts wait to be said as may.
    #[error("Other texts wait to be said; try again when the agent has said them, or interrupt it")]
    TextsWaiting,
    /// The call has had as many commands as it may have.
    #[error("The call has had as many commands as it may: 200")]
    TooMany,
    /// On hold.
    #[error("The caller is on hold; resume the call first")]
    OnHold,
    /// Not on hold.
    #[error("The caller is not on hold")]
    NotOnHold,
    /// The agent has put the caller on hold.
    #[error("The agent has put the caller on hold itself and comes back by itself")]
    HeldByAgent,
    /// A transfer is under way.
    #[error("The caller is being put through")]
    Transferring,
    /// Another agent is about to take over.
    #[error("The call is being handed to another agent; try again in a moment")]
    HandingOver,
    /// Two people talk.
    #[error("The agent has left the call: the caller talks to the person they were put through to")]
    Bridged,
    /// A mailbox has answered.
    #[error("A mailbox has answered, and the agent leaves its message")]
    Voicemail,
    /// The call ends after what is being said.
    #[error("The agent says goodbye, and the call ends after it")]
    Goodbye,
    /// The text has nothing that can be spoken.
    #[error("has no words that a voice can say")]
    Unsayable,
    /// Words are written in chats alone.
    #[error("The call is no chat: the agent hears the caller and reads nothing")]
    NotAChat,
    /// A chat has no sound.
    #[error("A chat has no line: it cannot be put on hold or through")]
    NoLine,
    /// The agent has no such destination.
    #[error("is no destination of the agent that has the call")]
    UnknownDestination,
}

impl ControlError {
    /// Name for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Over => "call_over",
            Self::NotAnswered => "call_not_answered",
            Self::NoAnswer => "call_unreachable",
            Self::Busy | Self::TextsWaiting | Self::TooMany => "too_many_commands",
            Self::OnHold => "call_on_hold",
            Self::NotOnHold => "call_not_on_hold",
            Self::HeldByAgent => "call_held_by_agent",
            Self::Transferring => "call_transferring",
            Self::HandingOver => "call_handing_over",
            Self::Bridged => "call_bridged",
            Self::Voicemail => "call_in_voicemail",
            Self::Goodbye => "call_ending",
            Self::NotAChat => "not_a_chat",
            Self::NoLine => "chat_has_no_line",
            Self::Unsayable | Self::UnknownDestination => "invalid_field",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults;
    use serde_json::{Value, json};

    fn fields<T: serde::de::DeserializeOwned + Validate<Context = ()>>(body: Value) -> Vec<String> {
        let command: T = serde_json::from_value(body).unwrap();
        faults(&command).into_iter().map(|fault| fault.field).collect()
    }

    #[test]
    fn texts_have_a_length_and_words() {
        for text in ["One moment.", "é", &"é".repeat(TEXT_CHARS_MAX), "<speak>Hi</speak>"] {
            assert!(fields::<SayCommand>(json!({"text": text})).is_empty(), "{}", text.len());
            assert!(fields::<InstructCommand>(json!({"text": text})).is_empty(), "{}", text.len());
        }
        for text in ["", "   ", "\n\t", &"x".repeat(TEXT_CHARS_MAX + 1), &"x".repeat(100_000)] {
            assert_eq!(fields::<SayCommand>(json!({"text": text, "interrupt": true})), ["text"], "{}", text.len());
            assert_eq!(fields::<InstructCommand>(json!({"text": text})), ["text"], "{}", text.len());
        }
    }

    #[test]
    fn a_transfer_goes_to_a_number_or_to_a_name_and_to_one_of_them() {
        assert!(fields::<TransferCommand>(json!({"to": "+31201234567"})).is_empty());
        assert!(fields::<TransferCommand>(json!({"destination": "billing"})).is_empty());
        assert_eq!(fields::<TransferCommand>(json!({})), ["to"]);
        assert_eq!(fields::<TransferCommand>(json!({"to": "+31201234567", "destination": "billing"})), ["to"]);
        for to in ["0201234567", "sip:desk@pbx.example.com", "tel:+31201234567", "", "+31201234567\r\nX: y"] {
            assert_eq!(fields::<TransferCommand>(json!({"to": to})), ["to"], "{to}");
        }
        assert_eq!(fields::<TransferCommand>(json!({"destination": " "})), ["destination"]);
    }

    /// What another process sends is what it was.
    #[test]
    fn commands_are_read_back_from_a_message() {
        let say = SayCommand { text: "Hi".into(), interrupt: true };
        let transfer = TransferCommand { to: None, destination: Some("billing".into()) };
        let instruct = InstructCommand { text: "Be brief.".into() };
        let message = MessageCommand { text: "Hello?".into() };
        for control in [
            CallControl::Say(say),
            CallControl::Instruct(instruct),
            CallControl::Transfer(transfer),
            CallControl::Hold,
            CallControl::Resume,
            CallControl::Message(message),
        ] {
            let text = serde_json::to_string(&control).unwrap();
            assert_eq!(serde_json::from_str::<CallControl>(&text).unwrap(), control, "{text}");
        }
    }
}
