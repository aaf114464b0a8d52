//! System messages of a call: the agent's prompt, the task, and rules for speaking on the phone.

use trunkline_domain::agent::AgentFields;
use trunkline_domain::call_facts::CallVariables;
use trunkline_domain::chat::ChatMessage;
use trunkline_domain::provider_config::PromptMessage;
use trunkline_domain::task::TaskFields;
use trunkline_domain::template::settle;

/// Appended to every prompt: answers are heard, not read.
const PHONE_PROMPT: &str = "You are speaking on the telephone. Answer in one to three short spoken sentences, \
without lists, markup or emojis. Say numbers the way people say them. Text in square brackets such as [DTMF 12] \
reports keys the caller pressed.";

/// A message of the agent's own; its role is validated with the agent.
fn chat_message(message: &PromptMessage) -> ChatMessage {
    let content = message.content.clone();
    match message.role.as_str() {
        "user" => ChatMessage::User(content),
        "assistant" => ChatMessage::Assistant { content, tool_calls: Vec::new() },
        _ => ChatMessage::System(content),
    }
}

/// The prompt of an agent that has neither a `system_prompt` nor system messages of its own.
pub fn default_prompt(agent: &AgentFields) -> Option<String> {
    let mut own = agent.llm_config.iter().flat_map(|config| &config.messages);
    if own.any(|message| matches!(chat_message(message), ChatMessage::System(_))) {
        return None;
    }
    let business = agent.business_name.as_deref().unwrap_or(&agent.name);
    Some(format!("You are a friendly and efficient telephone assistant of {business}. Help the caller."))
}

/// Returns the messages before the conversation: the agent's prompt, its own system messages, the task and the rules for
/// the phone; then the examples of user and assistant. No tool has set a variable yet.
pub fn system_messages(agent: &AgentFields, task: Option<&TaskFields>) -> Vec<ChatMessage> {
    system_messages_with(agent, task, &CallVariables::default())
}

/// The same with the variables that answers of tools have set.
pub fn system_messages_with(
    agent: &AgentFields, task: Option<&TaskFields>, variables: &CallVariables,
) -> Vec<ChatMessage> {
    let mut messages = Vec::new();
    let settled = |message: &PromptMessage| {
        chat_message(&PromptMessage { content: settle(&message.content, variables), ..message.clone() })
    };
    let own: Vec<_> = agent.llm_config.iter().flat_map(|config| &config.messages).map(settled).collect();
    match &agent.system_prompt {
        Some(prompt) => messages.push(ChatMessage::System(settle(prompt, variables))),
        None => messages.extend(default_prompt(agent).map(ChatMessage::System)),
    }
    messages.extend(own);
    if let Some(task) = task {
        if let Some(description) = task.description.as_ref().map(|text| settle(text, variables)) {
            messages.push(ChatMessage::System(format!("The purpose of this call: {description}")));
        }
        if let Some(context) = &task.context_data {
            let context = serde_json::to_string(context).unwrap_or_default();
            messages.push(ChatMessage::System(format!("What is known about the person called: {context}")));
        }
    }
    messages.push(ChatMessage::System(PHONE_PROMPT.to_owned()));
    // All parts of the prompt lead, so that they become one system message; the agent's examples follow.
    messages.sort_by_key(|message| !matches!(message, ChatMessage::System(_)));
    messages
}

/// The system messages before the conversation as one text, for models that take no messages.
pub fn instructions(messages: &[ChatMessage]) -> String {
    let words = messages.iter().map_while(|message| match message {
        ChatMessage::System(text) => Some(text.as_str()),
        _ => None,
    });
    words.collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts_of_the_prompt_come_before_the_agents_examples() {
        let agent: AgentFields = serde_json::from_value(serde_json::json!({"name": "A", "system_prompt": "Be kind.",
            "llm_config": {"provider": "openai", "model": "m", "messages": [
                {"role": "user", "content": "Hi"}, {"role": "system", "content": "Be brief."},
                {"role": "assistant", "content": "Hello."}]}}))
        .unwrap();
        let messages = system_messages(&agent, None);
        let is_system: Vec<bool> = messages.iter().map(|m| matches!(m, ChatMessage::System(_))).collect();
        let system = is_system.iter().take_while(|system| **system).count();
        assert!(system >= 3 && is_system[system..] == [false, false], "{messages:?}");
        assert_eq!(messages[1], ChatMessage::System("Be brief.".into()));
        assert_eq!(messages[system], ChatMessage::User("Hi".into()));
    }
}
