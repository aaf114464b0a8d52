//! Models that may call no tool.

use super::*;
use trunkline_domain::chat::ToolChoice;

#[tokio::test]
async fn a_model_that_may_call_no_tool_is_told_so_in_the_vendors_way() {
    for (provider, wanted) in [(LlmProvider::Openai, json!("none")), (LlmProvider::Anthropic, json!({"type": "none"}))]
    {
        let vendor = Vendor::start(vec![streamed(&[text("Hello."), stop()])]).await;
        let plan = LlmPlan { candidates: vec![vendor.candidate(provider, "m")], rules: None, hedge_after: None };
        let tools = vec![trunkline_domain::chat::ToolOffer { name: "find".into(), ..Default::default() }];
        let messages = vec![ChatMessage::User("Hi".into())];
        let request = LlmRequest { messages, tools, tool_choice: ToolChoice::None, ..LlmRequest::default() };
        let mut stream = stream_llm_response(&vendor.providers, plan, request);
        while stream.events.recv().await.is_some() {}
        let asked = vendor.asked();
        assert_eq!((&asked[0]["tool_choice"], asked[0]["tools"].is_array()), (&wanted, true));
    }
}
