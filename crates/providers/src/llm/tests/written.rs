//! What models write in place of an answer: names of tools, thoughts, and nothing.

use super::*;
use crate::written_calls::WrittenCalls;
use trunkline_domain::chat::ToolOffer;

#[tokio::test]
async fn a_call_is_of_the_tool_that_its_name_means() {
    let named = |name: &str| {
        let call = json!({"index": 0, "id": "a", "function": {"name": name, "arguments": "{}"}});
        format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}))
    };
    for (name, meant) in [("functions.find", "find"), ("find", "find"), ("functions.other", "functions.other")] {
        let vendor = Vendor::start(vec![streamed(&[named(name), finish("tool_calls")])]).await;
        let names: Vec<String> = vendor.answer().await.1.into_iter().map(|call| call.name).collect();
        assert_eq!(names, [meant]);
    }
}

#[test]
fn a_tool_is_meant_by_its_name_in_another_spelling_if_no_other_has_it() {
    let offers = |names: &[&str]| -> Vec<ToolOffer> {
        names.iter().map(|name| ToolOffer { name: (*name).into(), ..ToolOffer::default() }).collect()
    };
    let tools = WrittenCalls::new(&offers(&["find_order", "send", "Send"]));
    for name in [
        "find_order()",
        "find_order<|end|>",
        "find_order<|channel|>commentary",
        "<|tool|>find_order",
        "Find_Order",
        "find-order",
        "findOrder",
        "FIND ORDER",
        "functions.findOrder",
        "find_order({})",
        "`find_order`",
    ] {
        assert_eq!(tools.meant_by(name), Some("find_order"), "{name}");
    }
    for name in ["find_orders", "SEND", "", "()", "<|end|>", "_"] {
        assert_eq!(tools.meant_by(name), None, "{name}");
    }
    assert_eq!(tools.meant_by("Send"), Some("Send"));
}

#[tokio::test]
async fn thoughts_under_a_label_are_not_said_and_their_calls_are_made() {
    let labelled = [text("**Thinking:** The caller"), text(" asks.\n\n**Ans"), text("wer:** It is here."), stop()];
    let vendor = Vendor::start(vec![streamed(&labelled)]).await;
    assert_eq!(vendor.answer().await, words("It is here."));
    let action = [text("Thought: I look.\nAction: find\nAction Input: {\"x\":1}\n"), stop()];
    let vendor = Vendor::start(vec![streamed(&action)]).await;
    let (said, calls, _) = vendor.answer().await;
    assert_eq!((said.as_str(), calls.len(), calls[0].arguments.as_str()), ("", 1, "{\"x\":1}"));
}

#[tokio::test]
async fn a_failure_between_two_empty_answers_makes_the_second_one_the_first() {
    let empty = || streamed(&[stop()]);
    let vendor = Vendor::start(vec![empty(), Answer(500, vec![]), empty(), streamed(&[text("Yes."), stop()])]).await;
    assert_eq!((vendor.answer().await, vendor.asked().len()), (words("Yes."), 4));
}

/// That the first try has sent something says nothing of the second, which may stand still.
#[tokio::test]
async fn a_second_try_that_stands_still_is_not_waited_for_because_the_first_one_worked() {
    let still = streamed(&vec![": ping\n\n".to_owned(); 200]);
    let vendor = Vendor::start(vec![streamed(&[text(" "), stop()]), still, streamed(&[text("Yes."), stop()])]).await;
    assert_eq!((vendor.answer().await, vendor.asked().len()), (words("Yes."), 3));
}

#[tokio::test]
async fn a_message_that_begins_anew_is_not_said_twice() {
    let event = |value: Value| format!("data: {value}\n\n");
    let begin = event(json!({"type": "message_start", "message": {"id": "m"}}))
        + &event(json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}));
    let said = |text: &str| {
        event(json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}))
    };
    let end = event(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}));
    let pieces = [begin.clone(), said("It is on "), begin, said("It is on its way."), end];
    let vendor = Vendor::start(vec![streamed(&pieces), streamed(&[pieces.concat()])]).await;
    for _ in 0..2 {
        let candidates = vec![vendor.candidate(LlmProvider::Anthropic, "m")];
        let plan = LlmPlan { candidates, rules: None, hedge_after: None };
        let request = LlmRequest { messages: vec![ChatMessage::User("Hi".into())], ..LlmRequest::default() };
        assert_eq!(vendor.read(plan, request).await, words("It is on its way."));
    }
}
