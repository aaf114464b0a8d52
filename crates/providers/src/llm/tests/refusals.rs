//! Requests that are sent again because of a refusal, or in vain.

use super::*;

#[tokio::test]
async fn a_refusal_that_comes_again_was_about_something_else() {
    let refusal = refused("Unsupported parameter: 'temperature' is not supported with this model.");
    let vendor = Vendor::start(vec![refusal.clone(), refusal, streamed(&[text("Hello."), stop()])]).await;
    let (said, _, end) = vendor.answer().await;
    assert_eq!((said.as_str(), end), ("", Err("refused".to_owned())));
    assert_eq!(vendor.answer().await, words("Hello."));
    let sent: Vec<bool> = vendor.asked().iter().map(|body| body.get("temperature").is_some()).collect();
    assert_eq!(sent, [true, false, true], "it is sent again");
}

#[tokio::test]
async fn nothing_is_learnt_from_a_tool_call_that_the_model_wrote_wrongly() {
    for stumble in [
        "Failed to call a function. Please adjust your prompt.",
        "Tool call validation failed: tool call validation failed: parameters for tool find did not match schema",
        "tool call validation failed: attempted to call tool 'x' which was not in request.tools",
    ] {
        let vendor = Vendor::start(vec![refused(stumble), streamed(&[text("Hello."), stop()])]).await;
        assert_eq!(vendor.answer().await, words("Hello."), "{stumble}");
        let asked = vendor.asked();
        assert_eq!(asked[0], asked[1], "{stumble}");
    }
}

#[tokio::test]
async fn a_gateway_that_knows_no_shape_is_asked_in_words() {
    let gateway = Answer(
        404,
        vec![json!({"error": {"message": "No endpoints found that support the requested output format"}}).to_string()],
    );
    let vendor = Vendor::start(vec![gateway.clone(), gateway, whole("{\"a\": 1}")]).await;
    let plan = LlmPlan { candidates: vec![vendor.candidate(LlmProvider::Openai, "m")], rules: None, hedge_after: None };
    let messages = [ChatMessage::User("Hello".into())];
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
    let answer = complete(&vendor.providers, &plan, &messages, &schema, Duration::from_secs(2)).await.unwrap();
    assert_eq!((answer.0.text.as_str(), vendor.asked().len()), ("{\"a\": 1}", 3));
}
