//! Requests to an LLM: a plain answer, a tool call, an answer that is cut, structured output, a long conversation, a
//! model that does not exist, and a wrong key.

use super::recording::{Notes, Received, Recording};
use super::target::{CASE_TIMEOUT, Target};
use futures_util::StreamExt as _;
use serde_json::json;
use trunkline::providers::llm::{LlmHttpRequest, LlmVendor, StructuredRequest};
use trunkline::providers::sse::SseParser;
use trunkline::providers::structured_output::AnswerShape;
use trunkline::providers::{LlmRequest, ProviderAccess, vendors};
use trunkline_domain::chat::{ChatMessage, ToolOffer};
use trunkline_domain::llm_options::LlmOptions;
use trunkline_domain::provider::{LlmProvider, PipelineStage, ProviderAccount};

/// Turns of the long conversation.
const TURNS: usize = 20;

fn provider_and_model(account: ProviderAccount) -> Option<(LlmProvider, &'static str)> {
    Some(match account {
        ProviderAccount::Openai => (LlmProvider::Openai, "gpt-4o-mini"),
        ProviderAccount::Anthropic => (LlmProvider::Anthropic, "claude-haiku-5-5"),
        ProviderAccount::Groq => (LlmProvider::Groq, "openai/gpt-oss-20b"),
        ProviderAccount::Mistral => (LlmProvider::Mistral, "mistral-small-latest"),
        ProviderAccount::Xai => (LlmProvider::Xai, "grok-4-1-fast-non-reasoning"),
        _ => return None,
    })
}

fn asks(words: &str) -> Vec<ChatMessage> {
    vec![ChatMessage::System("You are on the phone. Answer in one sentence.".into()), ChatMessage::User(words.into())]
}

fn long_conversation() -> Vec<ChatMessage> {
    let turns = (0..TURNS).flat_map(|turn| {
        let answer = ChatMessage::Assistant { content: format!("Number {turn} is noted."), tool_calls: Vec::new() };
        [ChatMessage::User(format!("My number {turn} is {}.", turn * 7)), answer]
    });
    asks("I will tell you some numbers.")
        .into_iter()
        .chain([ChatMessage::Assistant { content: "Please do.".into(), tool_calls: Vec::new() }])
        .chain(turns)
        .chain([ChatMessage::User("What was my number three?".into())])
        .collect()
}

fn tool() -> ToolOffer {
    ToolOffer {
        name: "find_order".into(),
        description: "Finds an order by its number.".into(),
        parameters: json!({"type": "object", "properties": {"number": {"type": "string"}}, "required": ["number"]}),
        ..ToolOffer::default()
    }
}

/// All cases. What fails before an answer is a case too.
pub(super) async fn record(target: &Target) -> Vec<Recording> {
    let Some((provider, usual)) = provider_and_model(target.account) else { return Vec::new() };
    let Some(vendor) = vendors::llm_vendor(provider) else { return Vec::new() };
    let model = target.args.llm_model.as_deref().unwrap_or(usual);
    let request =
        |messages: Vec<ChatMessage>| LlmRequest { model: model.to_owned(), messages, ..LlmRequest::default() };
    let cut = LlmOptions { max_tokens: Some(16), ..LlmOptions::default() };
    let story = "Tell me at length what I can do on a rainy day, in whole sentences.";
    let wrong_model = LlmRequest { model: "no-such-model".to_owned(), ..request(asks("Hello?")) };
    let cases = [
        ("plain_answer", request(asks("When are you open?"))),
        ("tool_call", LlmRequest { tools: vec![tool()], ..request(asks("Where is my order 4711? Look it up.")) }),
        ("cut_answer", LlmRequest { options: cut, ..request(asks(story)) }),
        ("long_conversation", request(long_conversation())),
        ("wrong_model", wrong_model),
    ];
    let mut recordings = Vec::new();
    for (case, request) in cases {
        let outgoing = vendor.request(&target.endpoint, &request);
        recordings.extend(asked(target, &target.endpoint, case, &request.model, outgoing.ok()).await);
    }
    recordings.extend(structured(target, vendor, model).await);
    let (wrong_key, request) = (target.with_wrong_key(), request(asks("Hello?")));
    let outgoing = vendor.request(&wrong_key, &request);
    recordings.extend(asked(target, &wrong_key, "wrong_key", model, outgoing.ok()).await);
    recordings
}

async fn structured(target: &Target, vendor: &dyn LlmVendor, model: &str) -> Option<Recording> {
    let schema = json!({"type": "object", "properties": {"summary": {"type": "string"}}, "required": ["summary"]});
    let messages = asks("Report on this call: the caller asked for the opening hours.");
    let request = StructuredRequest { model, messages: &messages, schema: &schema, shape: AnswerShape::Schema };
    let outgoing = vendor.structured(&target.endpoint, &request).ok();
    asked(target, &target.endpoint, "structured_output", model, outgoing).await
}

async fn asked(
    target: &Target, endpoint: &ProviderAccess, case: &str, model: &str, outgoing: Option<LlmHttpRequest>,
) -> Option<Recording> {
    let LlmHttpRequest { path, headers, body } = outgoing?;
    let mut recording = target.recording(PipelineStage::Llm, case, model);
    recording.request.clone_from(&body);
    let mut notes = Notes::new();
    let is_stream = body["stream"] == json!(true);
    let exchange = async {
        let url = url::Url::parse(&format!("{}{path}", endpoint.base_url)).map_err(|error| error.to_string())?;
        let http = target.registry.http(PipelineStage::Llm);
        let mut request = http.request(reqwest::Method::POST, endpoint, url).map_err(|error| error.to_string())?;
        for (name, value) in &headers {
            request = request.header(*name, value.expose());
        }
        let response = request.json(&body).send().await.map_err(|error| error.without_url().to_string())?;
        let status = response.status();
        notes.add(Received::Status(status.as_u16()));
        receive(response, is_stream && status.is_success(), &mut notes)
            .await
            .map_err(|error| error.without_url().to_string())
    };
    let ended = tokio::time::timeout(CASE_TIMEOUT, exchange).await.unwrap_or_else(|_| Err("timeout".to_owned()));
    if let Err(why) = ended {
        notes.add(Received::Closed(why));
    }
    recording.exchange = notes.exchange;
    Some(recording)
}

async fn receive(response: reqwest::Response, is_stream: bool, notes: &mut Notes) -> reqwest::Result<()> {
    if !is_stream {
        let body = response.text().await?;
        notes.add(Received::Body(body));
        return Ok(());
    }
    let (mut parser, mut bytes) = (SseParser::default(), response.bytes_stream());
    while let Some(chunk) = bytes.next().await {
        parser.push(&chunk?, |data| notes.add(Received::Event(data.to_owned())));
    }
    parser.push(b"\n\n", |data| notes.add(Received::Event(data.to_owned())));
    Ok(())
}
