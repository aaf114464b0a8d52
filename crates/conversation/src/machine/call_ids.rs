//! Ids of tool calls that are unique in a call. Some servers number the calls of each answer from the start, and results
//! are told apart by them, also those that come when another agent has the call.

use std::collections::{HashMap, HashSet};
use trunkline_domain::chat::ToolCall;

/// Ids that are remembered: far more than a call has. Beyond them every id gets the number of its answer.
const IDS_MAX: usize = 10_000;
/// Ids that a realtime model knows under another name, at once.
const RENAMED_MAX: usize = 256;

/// All ids of a call's tool calls so far.
#[derive(Debug, Default)]
pub(super) struct CallIds {
    known: HashSet<String>,
    /// Ids that the model of a realtime session has given, by ours.
    renamed: HashMap<String, String>,
}

impl CallIds {
    /// Gives calls without an id, and those whose id the call has had, ids of their own; `response_id` is the number of
    /// their answer. What the model reads later has these ids at the call and at its result.
    pub(super) fn make_unique(&mut self, calls: &mut [ToolCall], response_id: u32) {
        for call in calls {
            if !call.id.is_empty() && self.add(&call.id) {
                continue;
            }
            let stem = if call.id.is_empty() { "call" } else { call.id.as_str() };
            let first = format!("{stem}-{response_id}");
            call.id = match self.add(&first) {
                true => first,
                false => self.numbered(&first),
            };
        }
    }

    /// The same for calls of a realtime model, which knows its own ids alone.
    pub(super) fn make_unique_for_realtime(&mut self, calls: &mut [ToolCall], response_id: u32) {
        let own: Vec<String> = calls.iter().map(|call| call.id.clone()).collect();
        self.make_unique(calls, response_id);
        for (call, own) in calls.iter().zip(own).filter(|(call, own)| call.id != *own) {
            if self.renamed.len() < RENAMED_MAX {
                self.renamed.insert(call.id.clone(), own);
            }
        }
    }

    /// The id that the model of a realtime session gave a call.
    pub(super) fn take_own(&mut self, id: &str) -> String {
        self.renamed.remove(id).unwrap_or_else(|| id.to_owned())
    }

    fn numbered(&mut self, first: &str) -> String {
        // More calls than are remembered have had as many numbers.
        let mut ids = (2_u64..).map(|number| format!("{first}-{number}"));
        ids.find(|id| self.known.len() >= IDS_MAX && !self.known.contains(id) || self.add(id)).unwrap_or_default()
    }

    /// Remembers an id; false if it is known, or if there are too many to know.
    fn add(&mut self, id: &str) -> bool {
        self.known.len() < IDS_MAX && self.known.insert(id.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(ids: &[&str]) -> Vec<ToolCall> {
        ids.iter().map(|id| ToolCall { id: (*id).to_owned(), ..ToolCall::default() }).collect()
    }

    fn unique(ids: &mut CallIds, given: &[&str], response_id: u32) -> Vec<String> {
        let mut calls = calls(given);
        ids.make_unique(&mut calls, response_id);
        calls.into_iter().map(|call| call.id).collect()
    }

    #[test]
    fn an_id_is_given_once_in_a_call() {
        let mut ids = CallIds::default();
        assert_eq!(unique(&mut ids, &["call_0", "call_1"], 1), ["call_0", "call_1"]);
        assert_eq!(unique(&mut ids, &["call_0", "call_7"], 4), ["call_0-4", "call_7"]);
        assert_eq!(unique(&mut ids, &["call_0", "call_0", "call_0"], 5), ["call_0-5", "call_0-5-2", "call_0-5-3"]);
        assert_eq!(unique(&mut ids, &["", ""], 6), ["call-6", "call-6-2"]);
        assert_eq!(unique(&mut ids, &["call_0-9", "call_0"], 9), ["call_0-9", "call_0-9-2"]);
    }

    #[test]
    fn ids_differ_also_when_no_more_are_remembered() {
        let mut ids = CallIds::default();
        for number in 0..IDS_MAX {
            ids.add(&number.to_string());
        }
        let (first, second) = (unique(&mut ids, &["a", "b"], 7), unique(&mut ids, &["a"], 8));
        assert!(first[0] != first[1] && first[0] != second[0], "{first:?} {second:?}");
        assert_eq!(ids.known.len(), IDS_MAX);
    }

    #[test]
    fn a_realtime_model_gets_its_own_id_back() {
        let mut ids = CallIds::default();
        ids.make_unique(&mut calls(&["1"]), 1);
        let mut again = calls(&["1", "2"]);
        ids.make_unique_for_realtime(&mut again, 2);
        assert_eq!((again[0].id.as_str(), again[1].id.as_str()), ("1-2", "2"));
        assert_eq!((ids.take_own("1-2"), ids.take_own("2")), ("1".to_owned(), "2".to_owned()));
    }
}
