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

/// The model's answer to a conversation, for every vendor: its words, and the tools it calls.
pub(super) struct ScriptedAnswer {
    pub reply: String,
    /// Names and arguments.
    pub tools: Vec<(String, String)>,
}

/// What the caller said last in a message with notes in brackets; keys that were pressed count as said.
fn without_notes(text: &str) -> String {
    let mut said = "";
    let mut is_note = false;
    for line in text.lines() {
        is_note |= line.starts_with('[') && !line.starts_with("[DTMF");
        if !is_note && !matches!(line, "(The call begins.)" | "(The caller waits.)") {
            said = line;
        }
        is_note &= !line.ends_with(']');
    }
    said.to_owned()
}

impl ReplyScript {
    fn answer(&self, message: &str) -> Option<&ReplyRule> {
        let message = message.to_lowercase();
        self.0
            .iter()
            .find(|rule| rule.words.is_empty() || rule.words.iter().any(|word| message.contains(&word.to_lowercase())))
    }

    /// `messages` in OpenAI's shape; `offered` are the names of the tools.
    pub(super) fn answer_to(&self, messages: &[Value], offered: &[String]) -> ScriptedAnswer {
        // A tool's answer is followed by the user's turn being over; otherwise the last user message counts.
        let last = messages.last();
        let words = |m: &Value| m["content"].as_str().unwrap_or("").to_owned();
        // Notes that neither side has spoken stand in brackets among the user's words.
        let mut said = messages.iter().rev().filter(|m| m["role"] == "user").map(|m| without_notes(&words(m)));
        let said = said.find(|text| !text.is_empty());
        let rule = self.answer(said.as_deref().unwrap_or("hello"));
        // A result may also come as news, when the conversation has gone on.
        let late = last.filter(|m| m["role"] != "tool").map(words);
        let late = late.as_deref().and_then(|text| text.rfind("[The tool ").map(|at| &text[at + 1..]));
        let late = late.and_then(|text| text.trim_end().strip_suffix(']'));
        let (result, rule) = match late.and_then(|text| text["The tool ".len()..].split_once(" answered: ")) {
            Some((tool, result)) => {
                let of_tool = self.0.iter().find(|rule| rule.tool.as_ref().is_some_and(|t| t.name == tool));
                (Some(result.to_owned()), of_tool)
            }
            None => (last.filter(|m| m["role"] == "tool").map(words), rule),
        };
        let reply = match (&result, rule) {
            (Some(result), Some(rule)) => rule.after_tool.as_deref().unwrap_or("Done.").replace("{result}", result),
            (Some(_), None) => "Done.".to_owned(),
            (None, rule) => rule.map_or("Done.", |rule| rule.reply.as_str()).to_owned(),
        };
        let rule = rule.filter(|_| result.is_none());
        // Another model's answer was cut off: it is gone on with.
        let told = last.is_some_and(|m| words(m).contains("cut off by a technical fault"));
        let begun = messages.iter().rev().find(|m| m["role"] == "assistant").map(words).filter(|_| told);
        let reply = match begun.and_then(|begun| reply.strip_prefix(begun.trim_end()).map(str::to_owned)) {
            Some(rest) => rest.trim_start().to_owned(),
            None => reply,
        };
        let called = rule.into_iter().flat_map(|rule| rule.tool.iter().chain(&rule.more_tools));
        let tools = called.filter(|tool| offered.contains(&tool.name));
        ScriptedAnswer { reply, tools: tools.map(|tool| (tool.name.clone(), tool.arguments.to_string())).collect() }
    }
}
