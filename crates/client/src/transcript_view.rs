//! A live transcript as lines of a terminal: a turn that grows is continued in its line, one that was changed is shown
//! again, and what comes a second time after a reconnection is not.

use crate::text::clean;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What has been shown.
#[derive(Debug, Default)]
pub(crate) struct TranscriptView {
    shown: BTreeMap<u64, String>,
    /// The turn whose line has no end yet.
    open: Option<u64>,
}

impl TranscriptView {
    /// What to write for a turn; empty if it is known.
    pub(crate) fn turn(&mut self, turn: &Value) -> String {
        let (Some(position), Some(content)) = (turn["position"].as_u64(), turn["content"].as_str()) else {
            return String::new();
        };
        let content = clean(content);
        let known = self.shown.insert(position, content.clone());
        if known.as_deref() == Some(content.as_str()) {
            return String::new();
        }
        if let (Some(known), true) = (&known, self.open == Some(position))
            && let Some(more) = content.strip_prefix(known.as_str())
        {
            return more.to_owned();
        }
        let mut out = self.end_of_line();
        let seconds = turn["started_at_ms"].as_u64().unwrap_or_default() / 1_000;
        let who = match turn["role"].as_str().unwrap_or_default() {
            "assistant" => "agent".to_owned(),
            "user" => "caller".to_owned(),
            other => clean(other),
        };
        let note = match (known.is_some(), turn["interrupted"].as_bool()) {
            (true, Some(true)) => " (interrupted, heard)",
            (true, _) => " (corrected)",
            (false, _) => "",
        };
        let _ = write!(out, "[{:02}:{:02}] {who}{note}: {content}", seconds / 60, seconds % 60);
        self.open = Some(position);
        out
    }

    /// What to write for words of ours between the turns.
    pub(crate) fn note(&mut self, words: &str) -> String {
        format!("{}-- {}\n", self.end_of_line(), clean(words))
    }

    /// Ends a line that is open.
    pub(crate) fn end_of_line(&mut self) -> String {
        if self.open.take().is_some() { "\n".to_owned() } else { String::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn turn(position: u64, role: &str, content: &str) -> Value {
        json!({"position": position, "role": role, "content": content, "started_at_ms": position * 61_000, "interrupted": false})
    }

    #[test]
    fn turns_grow_in_their_line_and_come_once() {
        let mut view = TranscriptView::default();
        let mut all = String::new();
        for next in [
            turn(0, "assistant", "Good"),
            turn(0, "assistant", "Good morning."),
            turn(1, "user", "Hello."),
            // After a reconnection everything comes again.
            turn(0, "assistant", "Good morning."),
            turn(1, "user", "Hello."),
            turn(2, "tool", "look\u{1b}up"),
        ] {
            all.push_str(&view.turn(&next));
        }
        all.push_str(&view.note("the call has ended"));
        assert_eq!(
            all,
            "[00:00] agent: Good morning.\n[01:01] caller: Hello.\n[02:02] tool: look�up\n-- the call has ended\n"
        );
    }

    #[test]
    fn an_interrupted_turn_is_shown_as_it_was_heard() {
        let mut view = TranscriptView::default();
        view.turn(&turn(0, "assistant", "One two three."));
        view.turn(&turn(1, "user", "Stop."));
        let mut heard = turn(0, "assistant", "One");
        heard["interrupted"] = json!(true);
        assert_eq!(view.turn(&heard), "\n[00:00] agent (interrupted, heard): One");
    }

    #[test]
    fn interim_words_and_nonsense_are_left_out() {
        let mut view = TranscriptView::default();
        for none in
            [json!({"role": "user", "content": "hel", "position": null}), json!({}), json!([]), json!({"position": 1})]
        {
            assert_eq!(view.turn(&none), "");
        }
        assert_eq!(view.end_of_line(), "");
    }
}
