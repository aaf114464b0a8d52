//! Answers that break off or stand still within a sentence, and who continues them.

use super::*;
use trunkline_domain::chat::CONTINUE_PROMPT;

fn error() -> String {
    "data: {\"error\":{\"message\":\"overloaded\"}}\n\n".to_owned()
}

/// A pause of a stream; comments keep its connection alive.
fn pause(ms: usize) -> Vec<String> {
    std::iter::repeat_n(": ping\n\n".to_owned(), ms / 20).collect()
}

async fn answer_with_fallback(vendor: &Vendor) -> (String, Vec<ToolCall>, Result<(), String>) {
    let candidates = ["m", "n"].map(|model| vendor.candidate(LlmProvider::Openai, model)).to_vec();
    let request = LlmRequest { messages: vec![ChatMessage::User("Hi".into())], ..LlmRequest::default() };
    vendor.read(LlmPlan { candidates, rules: None, hedge_after: None }, request).await
}

#[tokio::test]
async fn half_a_sentence_is_continued_by_the_same_model_once() {
    let half = [text("Your order left the shop"), text(" and it")];
    let rest = streamed(&[text("comes "), text("tomorrow."), stop()]);
    let ends = [
        ("an error", vec![error()]),
        ("the end", vec![]),
        ("garbage", vec!["data: <html>\n\n".to_owned()]),
        ("silence", pause(1_500)),
    ];
    for (name, end) in ends {
        let vendor = Vendor::start(vec![streamed(&[half.to_vec(), end].concat()), rest.clone()]).await;
        assert_eq!(vendor.answer().await, words("Your order left the shop and it comes tomorrow."), "{name}");
        let asked = vendor.asked();
        assert_eq!(asked.len(), 2, "{name}");
        let messages = asked[1]["messages"].as_array().unwrap();
        let answer = messages.iter().find(|message| message["role"] == "assistant").unwrap();
        assert_eq!(answer["content"], "Your order left the shop and it");
        assert!(messages.last().unwrap()["content"].as_str().unwrap().contains(CONTINUE_PROMPT), "{messages:?}");
    }
    let vendor = Vendor::start(vec![streamed(&half)]).await;
    let began = Instant::now();
    assert_eq!((vendor.answer().await.2, vendor.asked().len()), (Err("dropped".to_owned()), 2), "not for ever");
    assert!(began.elapsed() < Duration::from_millis(1_500), "{:?}", began.elapsed());
    let again = streamed(&[text("Your order left the shop and it comes."), stop()]);
    let vendor = Vendor::start(vec![streamed(&half), again]).await;
    assert_eq!(vendor.answer().await, words("Your order left the shop and it comes."));
    let vendor = Vendor::start(vec![streamed(&half), streamed(&[call("{}"), finish("tool_calls")])]).await;
    let (said, calls, end) = vendor.answer().await;
    assert_eq!((said.as_str(), calls.len(), end), ("Your order left the shop and it", 1, Ok(())));
}

#[tokio::test]
async fn words_that_come_before_those_of_the_continuation_count() {
    let mut slow = vec![text("It is on its way and")];
    slow.extend(pause(1_100));
    slow.extend([text(" comes tomorrow."), stop()]);
    // The second request gets the same answer, as late.
    let vendor = Vendor::start(vec![streamed(&slow)]).await;
    assert_eq!((vendor.answer().await, vendor.asked().len()), (words("It is on its way and comes tomorrow."), 2));
    let events = timed(&vendor).await;
    let stalled = events.iter().find(|(_, event)| *event == LlmEvent::Stalled(Stall::Within)).unwrap();
    assert!((750..1_500).contains(&stalled.0), "whole words are not held: {events:?}");
    let silent = streamed(&[vec![text("It is on its way and")], pause(4_000)].concat());
    let vendor = Vendor::start(vec![silent]).await;
    let began = Instant::now();
    assert_eq!((vendor.answer().await.2, vendor.asked().len()), (Err("deadline".to_owned()), 2));
    assert!(began.elapsed() < Duration::from_millis(2_500), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_fallback_that_breaks_off_too_is_asked_once_more() {
    let half = |words: &str| streamed(&[text(words), error()]);
    let rest = streamed(&[text("yesterday."), stop()]);
    let vendor = Vendor::start(vec![half("Your order"), half("left the shop"), rest]).await;
    assert_eq!(answer_with_fallback(&vendor).await, words("Your order left the shop yesterday."));
    let models: Vec<String> = vendor.asked().iter().map(|body| body["model"].as_str().unwrap().to_owned()).collect();
    assert_eq!(models, ["m", "n", "n"]);
    let vendor = Vendor::start(vec![half("Your order"), half("left the shop"), half("on")]).await;
    assert_eq!((answer_with_fallback(&vendor).await.2, vendor.asked().len()), (Err("refused".to_owned()), 3));
    let again = streamed(&[text("Your order left the shop"), text(" yesterday."), stop()]);
    let vendor = Vendor::start(vec![half("Your order left the shop"), again]).await;
    assert_eq!(answer_with_fallback(&vendor).await, words("Your order left the shop yesterday."));
    let cut = streamed(&[text("ered."), stop()]);
    let vendor = Vendor::start(vec![half("It was deliv"), cut]).await;
    assert_eq!(answer_with_fallback(&vendor).await, words("It was delivered."));
}

#[tokio::test]
async fn half_a_tool_call_behind_words_is_asked_for_once_more() {
    let half = streamed(&[text("Let me look."), call("{\"number\": \"12")]);
    let vendor = Vendor::start(vec![half, streamed(&[call("{\"number\": \"12\"}"), finish("tool_calls")])]).await;
    let (said, calls, end) = vendor.answer().await;
    assert_eq!((said.as_str(), calls.len(), end), ("Let me look.", 1, Ok(())));
}
