//! Histories in every order, and what no protocol takes.

use super::*;
use serde_json::json;

fn system(text: &str) -> ChatMessage {
    ChatMessage::System(text.into())
}

fn user(text: &str) -> ChatMessage {
    ChatMessage::User(text.into())
}

fn said(text: &str) -> ChatMessage {
    ChatMessage::Assistant { content: text.into(), tool_calls: vec![] }
}

fn call(id: &str, name: &str, arguments: &str) -> ToolCall {
    ToolCall { id: id.into(), name: name.into(), arguments: arguments.into(), ..ToolCall::default() }
}

fn called(tool_calls: Vec<ToolCall>) -> ChatMessage {
    ChatMessage::Assistant { content: String::new(), tool_calls }
}

fn result(id: &str, text: &str) -> ChatMessage {
    ChatMessage::Tool { call_id: id.into(), content: text.into() }
}

fn plain(messages: &[ChatMessage]) -> CanonicalConversation {
    CanonicalConversation::new(messages, ToolIdStyle::Plain, "openai/m")
}

/// Turns as `user: words` and `assistant: words call(id, arguments) = result`.
fn lines(conversation: &CanonicalConversation) -> Vec<String> {
    let line = |turn: &CanonicalTurn| match turn {
        CanonicalTurn::User(text) => format!("user: {text}"),
        CanonicalTurn::Assistant { content, calls } => {
            let calls: String = calls
                .iter()
                .map(|call| format!(" {}({}, {}) = {}", call.name, call.id, call.arguments, call.result))
                .collect();
            format!("assistant: {content}{calls}")
        }
    };
    conversation.turns.iter().map(line).collect()
}

#[test]
fn all_parts_of_the_prompt_are_one_leading_system_text() {
    let conversation = plain(&[system("prompt"), system(""), system("task"), said("Hello."), user("Hi")]);
    assert_eq!(conversation.system, "prompt\n\ntask");
    assert_eq!(lines(&conversation), ["user: (The call begins.)", "assistant: Hello.", "user: Hi"]);
}

#[test]
fn notes_and_unanswered_turns_join_the_users_words() {
    let conversation = plain(&[
        system("prompt"),
        user("One"),
        user("Two"),
        said("First,"),
        said("second."),
        system("The caller interrupted you here."),
        user("Three"),
        system("The tool look answered: 7"),
    ]);
    assert_eq!(
        lines(&conversation),
        [
            "user: One\nTwo",
            "assistant: First, second.",
            "user: [The caller interrupted you here.]\nThree\n[The tool look answered: 7]",
        ]
    );
}

#[test]
fn a_conversation_begins_and_ends_with_the_user() {
    assert_eq!(lines(&plain(&[])), ["user: (The call begins.)"]);
    assert_eq!(lines(&plain(&[system("Greet.")])), ["user: (The call begins.)"]);
    assert_eq!(
        lines(&plain(&[said("Hello.")])),
        ["user: (The call begins.)", "assistant: Hello.", "user: (The caller waits.)"]
    );
    assert_eq!(lines(&plain(&[user(" "), said(""), user("Hi")])), ["user: Hi"]);
}

#[test]
fn every_call_has_one_result_beside_it_wherever_it_came() {
    let conversation = plain(&[
        user("Look"),
        said("One moment."),
        called(vec![call("a", "look", "{\"x\":1}"), call("b", "look", "{}")]),
        system("news"),
        user("Hello?"),
        result("a", "7"),
        result("stray", "8"),
        result("a", "late"),
        said("It is 7."),
    ]);
    assert_eq!(
        lines(&conversation),
        [
            "user: Look",
            "assistant: One moment. look(a, {\"x\":1}) = 7 look(b, {}) = (no result)",
            "user: [news]\nHello?\n[A tool answered: 8]\n[A tool answered: late]",
            "assistant: It is 7.",
            "user: (The caller waits.)",
        ]
    );
}

#[test]
fn what_a_model_wrote_goes_back_in_a_form_that_is_allowed() {
    for (arguments, sent) in [
        ("{\"number\": \"12", "{}"),
        ("", "{}"),
        ("null", "{}"),
        ("[1]", "{}"),
        ("\"text\"", "{}"),
        ("{\"a\":1}{\"b\":2}", "{}"),
        ("{'a': 1}", "{}"),
        ("{\"number\": \"12\"}", "{\"number\": \"12\"}"),
    ] {
        let conversation = plain(&[user("x"), called(vec![call("a", "find", arguments)]), result("a", "")]);
        assert_eq!(lines(&conversation)[1], format!("assistant:  find(a, {sent}) = (empty)"), "{arguments}");
    }
    let odd = plain(&[user("x"), called(vec![call("a", "functions.find:0", "{}"), call("b", "", "{}")])]);
    assert_eq!(lines(&odd)[1], "assistant:  functions_find_0(a, {}) = (no result) unknown(b, {}) = (no result)");
    let long = plain(&[user("x"), called(vec![call("a", &"é".repeat(100), "{}")])]);
    assert!(lines(&long)[1].contains(&"_".repeat(64)) && !lines(&long)[1].contains(&"_".repeat(65)));
}

#[test]
fn ids_are_mapped_for_call_and_result_alike_and_none_is_used_twice() {
    let messages = [
        user("x"),
        called(vec![call("functions.find:0", "find", "{}"), call("", "find", "{}")]),
        result("functions.find:0", "one"),
        result("", "two"),
        called(vec![call("call_0", "find", "{}")]),
        result("call_0", "three"),
        called(vec![call("call_0", "find", "{}"), call("call_0", "find", "{}")]),
        result("call_0", "four"),
        result("call_0", "five"),
    ];
    for style in [ToolIdStyle::Plain, ToolIdStyle::NineCharacters] {
        let conversation = CanonicalConversation::new(&messages, style, "");
        let calls: Vec<&CanonicalCall> = conversation
            .turns
            .iter()
            .flat_map(|turn| match turn {
                CanonicalTurn::Assistant { calls, .. } => calls.as_slice(),
                CanonicalTurn::User(_) => &[],
            })
            .collect();
        let results: Vec<&str> = calls.iter().map(|call| call.result.as_str()).collect();
        assert_eq!(results, ["one", "two", "three", "four", "five"]);
        let ids: HashSet<&str> = calls.iter().map(|call| call.id.as_str()).collect();
        assert_eq!(ids.len(), 5, "{ids:?}");
        assert!(ids.iter().all(|id| is_tool_name(id)), "{ids:?}");
        assert!(style == ToolIdStyle::Plain || ids.iter().all(|id| id.len() == 9), "{ids:?}");
        let again = CanonicalConversation::new(&messages, style, "");
        assert_eq!(again, conversation, "the same ids in every request");
    }
    assert!(lines(&CanonicalConversation::new(&messages, ToolIdStyle::Plain, ""))[2].contains("find(call_0, {})"));
}

#[test]
fn opaque_fields_return_to_their_own_model_only() {
    let fields = json!({"reasoning_content": "I should look."});
    let opaque = OpaqueFields { origin: "openai/m".into(), fields: fields.as_object().unwrap().clone() };
    let with = ToolCall { opaque: Some(Box::new(opaque.clone())), ..call("a", "find", "{}") };
    let messages = [user("x"), called(vec![with])];
    let opaque_of = |origin: &str| match CanonicalConversation::new(&messages, ToolIdStyle::Plain, origin).turns.pop() {
        Some(CanonicalTurn::Assistant { mut calls, .. }) => calls.remove(0).opaque,
        _ => unreachable!("the last turn has the call"),
    };
    assert_eq!(opaque_of("openai/m"), Some(opaque));
    assert_eq!(opaque_of("groq/m"), None);
}
