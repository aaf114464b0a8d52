//! Rules in the place of a model: searches the documents of a flow, and answers.

use crate::dialogue::flow::{FaqFound, FlowDialogue, FlowMemory};
use crate::domain::chat::ChatMessage;
use crate::machine::CallSpec;
use crate::providers::LlmRequest;
use crate::providers::llm::{AnswersByRules, RulesAnswer};
use crate::rules::{CallRules, call_rules};
use crate::store::{IndexedPassage, PassageIndex};
use futures_util::future::BoxFuture;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

/// The documents are searched for this long: callers wait for the answer.
const SEARCH_DEADLINE: Duration = Duration::from_millis(500);
/// Passages that are looked at for one turn.
const PASSAGES_MAX: usize = 5;

/// Where the flow of a call stood before what its history has lost.
pub(super) type SharedFlowMemory = Arc<Mutex<FlowMemory>>;

/// The rules of a call, with the search in its documents.
#[derive(Debug)]
struct RulesLlm {
    rules: CallRules,
    index: PassageIndex,
    memory: SharedFlowMemory,
}

/// What answers in a call when no model does.
pub(super) fn rules_llm(
    index: &PassageIndex, spec: &CallSpec, memory: &SharedFlowMemory,
) -> Option<Arc<dyn AnswersByRules>> {
    let rules = call_rules(spec)?;
    Some(Arc::new(RulesLlm { rules, index: index.clone(), memory: Arc::clone(memory) }))
}

impl AnswersByRules for RulesLlm {
    fn name(&self) -> &'static str {
        self.rules.name
    }

    fn answer<'a>(&'a self, request: &'a LlmRequest) -> BoxFuture<'a, RulesAnswer> {
        Box::pin(async move {
            let dialogue = &self.rules.dialogue;
            let memory = || self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            let dropped = memory().dropped(&request.messages);
            let mut found = look_up(&self.index, dialogue, &request.messages).await;
            if !dropped.is_empty() {
                found.extend(look_up(&self.index, dialogue, &dropped).await);
            }
            let answer =
                memory().answer(dialogue, (request.messages.as_slice(), dropped.as_slice()), &request.tools, &found);
            RulesAnswer { text: answer.text, calls: answer.calls }
        })
    }
}

/// The passages for the turns of a conversation. Without them the flow goes on by its rules alone.
pub(super) async fn look_up(index: &PassageIndex, dialogue: &FlowDialogue, messages: &[ChatMessage]) -> FaqFound {
    let passages = dialogue.passages().iter();
    let passages: Vec<IndexedPassage<'_>> =
        passages.map(|one| IndexedPassage { title: &one.title, text: &one.text, words: &one.words }).collect();
    let mut found = FaqFound::new();
    let search = async {
        for search in dialogue.searches(messages) {
            match index.search(&passages, &search.keywords, PASSAGES_MAX).await {
                Ok(places) => drop(found.insert(search.turn, places)),
                Err(error) => return tracing::error!(%error, "cannot search the documents of a flow"),
            }
        }
    };
    if timeout(SEARCH_DEADLINE, search).await.is_err() {
        tracing::warn!("the search in the documents of a flow took too long");
    }
    found
}
