//! Rules that answer when no model does.

use super::*;
use futures_util::future::BoxFuture;

#[derive(Debug)]
struct Rules;

impl AnswersByRules for Rules {
    fn name(&self) -> &'static str {
        "local/messages"
    }

    fn answer<'a>(&'a self, request: &'a LlmRequest) -> BoxFuture<'a, RulesAnswer> {
        let heard = format!("I heard {} messages.", request.messages.len());
        let call = ToolCall { id: "1".into(), name: "end_call".into(), arguments: "{}".into(), ..ToolCall::default() };
        Box::pin(async move { RulesAnswer { text: heard, calls: vec![call] } })
    }
}

async fn events(vendor: &Vendor, candidates: Vec<LlmCandidate>) -> Vec<LlmEvent> {
    let plan = LlmPlan { candidates, rules: Some(Arc::new(Rules)), hedge_after: None };
    let request = LlmRequest { messages: vec![ChatMessage::User("Hi".into())], ..LlmRequest::default() };
    let mut stream = stream_llm_response(&vendor.providers, plan, request);
    let mut events = vec![];
    while let Some(event) = stream.events.recv().await {
        events.push(event);
    }
    events
}

fn answered(events: &[LlmEvent]) -> bool {
    let [LlmEvent::Text(text), LlmEvent::ToolCalls(calls), LlmEvent::Done(usage)] = events else { return false };
    text == "I heard 1 messages." && calls.len() == 1 && usage.model == "local/messages"
}

#[tokio::test]
async fn rules_answer_when_no_model_does_and_the_model_is_asked_first_again() {
    let vendor = Vendor::start(vec![Answer(500, vec![]), Answer(500, vec![]), streamed(&[text("Yes."), stop()])]).await;
    let candidate = || vec![vendor.candidate(LlmProvider::Openai, "m")];
    let failed = events(&vendor, candidate()).await;
    let LlmEvent::FailedOver(switch) = &failed[0] else { panic!("{failed:?}") };
    assert_eq!((switch.from.as_str(), switch.to.as_str(), switch.reason), ("openai/m", "local/messages", "refused"));
    assert!(answered(&failed[1..]), "{failed:?}");
    assert_eq!(vendor.asked().len(), 2, "the model was asked twice before");
    let back = events(&vendor, candidate()).await;
    assert_eq!(back[0], LlmEvent::Text("Yes.".into()), "the next turn is the model's again");
}

#[tokio::test]
async fn rules_without_a_model_answer_at_once_and_are_no_failover() {
    let vendor = Vendor::start(vec![Answer(500, vec![])]).await;
    let all = events(&vendor, vec![]).await;
    assert!(answered(&all), "{all:?}");
    assert!(vendor.asked().is_empty());
}

#[tokio::test]
async fn words_that_were_said_are_not_followed_by_rules() {
    let vendor = Vendor::start(vec![streamed(&[text("Your order is")])]).await;
    let all = events(&vendor, vec![vendor.candidate(LlmProvider::Openai, "m")]).await;
    assert!(matches!(all.as_slice(), [LlmEvent::Text(_), LlmEvent::Failed(_)]), "{all:?}");
}

#[tokio::test]
async fn a_model_that_stalls_turn_after_turn_gets_half_of_its_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let silent = trunkline_supervision::spawn("vendor", async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    let mut providers = registry(&base);
    let limit = Duration::from_millis(600);
    providers.timeouts.llm.first_byte = limit;
    let mut waits = Vec::new();
    for _ in 0..3 {
        let candidate = vendors::llm_candidate(&providers, LlmProvider::Openai, "m", LlmOptions::default(), None);
        let plan =
            LlmPlan { candidates: candidate.into_iter().collect(), rules: Some(Arc::new(Rules)), hedge_after: None };
        let request = LlmRequest { messages: vec![ChatMessage::User("Hi".into())], ..LlmRequest::default() };
        let began = Instant::now();
        let mut stream = stream_llm_response(&providers, plan, request);
        let first = stream.events.recv().await.unwrap();
        assert!(matches!(&first, LlmEvent::FailedOver(switch) if switch.to == "local/messages"), "{first:?}");
        waits.push(began.elapsed());
    }
    assert!(waits[0] >= limit && waits[1..].iter().all(|wait| *wait >= limit / 2 && *wait < limit), "{waits:?}");
    silent.abort();
}
