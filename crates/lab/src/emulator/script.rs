//! What the emulated model answers: the first rule whose words are in the last user message.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What the emulated LLM does when the caller's words match.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplyRule {
    /// Any of these, without regard to case; none matches everything.
    #[serde(default)]
    pub words: Vec<String>,
    /// What the LLM says; empty to say nothing.
    #[serde(default)]
    pub reply: String,
    /// A tool called after the reply, if it was offered.
    #[serde(default)]
    pub tool: Option<ScriptedTool>,
    /// Tools called together with it.
    #[serde(default)]
    pub more_tools: Vec<ScriptedTool>,
    /// What is said when the tool has answered; `{result}` is its answer.
    #[serde(default)]
    pub after_tool: Option<String>,
}

/// A tool call that the emulated LLM makes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptedTool {
    /// Name of the tool; it is called only if it was offered.
    pub name: String,
    /// The arguments, sent as JSON text.
    pub arguments: Value,
}

/// Rules of the emulated LLM; the first one that matches answers. The default is a talk about an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReplyScript(pub Vec<ReplyRule>);

impl Default for ReplyScript {
    fn default() -> Self {
        let rule = |words: &[&str], reply: &str| ReplyRule {
            words: words.iter().map(|w| (*w).to_owned()).collect(),
            reply: reply.to_owned(),
            tool: None,
            more_tools: Vec::new(),
            after_tool: None,
        };
        let mut goodbye = rule(&["goodbye", "bye"], "You're welcome. Goodbye!");
        goodbye.tool = Some(ScriptedTool { name: "end_call".to_owned(), arguments: serde_json::json!({}) });
        Self(vec![
            goodbye,
            rule(
                &["four two seven one", "4271", "order number"],
                "Thank you. Order four two seven one left our warehouse yesterday and will arrive on Monday morning, between nine and twelve. You will get a message with the exact time on the day itself, and you can follow the van on our website.",
            ),
            rule(&["wait", "stop"], "Of course. What would you like to know?"),
            rule(&["order", "pakket"], "I can look that up for you. What is your order number?"),
            rule(
                &["opening hours", "open"],
                "We are open from nine to five on weekdays, and from ten to four on Saturdays.",
            ),
            rule(&["human"], "I will ask a colleague to call you back this afternoon."),
            rule(&["correct", "yes"], "Great, I have noted that down. Is there anything else?"),
            rule(&["no, thank", "no thank"], "Alright. Have a nice day!"),
            rule(&["hello", "good morning", "hallo"], "Good morning! How can I help you?"),
            rule(&[], "I am not sure I understood that. Could you say it in other words?"),
        ])
    }
}

impl ReplyScript {
    pub(super) fn answer(&self, message: &str) -> Option<&ReplyRule> {
        let message = message.to_lowercase();
        self.0
            .iter()
            .find(|rule| rule.words.is_empty() || rule.words.iter().any(|word| message.contains(&word.to_lowercase())))
    }
}
