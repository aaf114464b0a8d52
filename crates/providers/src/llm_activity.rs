//! Whether a model works on an answer before its first word: tokens of a thought or of a tool call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Tokens that are no words keep an answer alive for this long.
const THINKING_MAX: Duration = Duration::from_secs(30);
/// A longer event is no ping.
const PING_BYTES_MAX: usize = 64;

/// Whether any of the models that are asked at once has sent a token.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModelActivity(Arc<AtomicBool>);

impl ModelActivity {
    pub(crate) fn is_working(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The progress of one attempt.
    pub(crate) fn thinking(&self) -> Thinking {
        Thinking { first_byte: None, span: None, activity: self.clone() }
    }

    /// When a silent model is asked once more beside the first try, and when both are given up; `None` once it works.
    pub(crate) fn silence_limit(
        &self, began: std::time::Instant, limit: Duration, retried: bool,
    ) -> Option<std::time::Instant> {
        (!self.is_working()).then(|| began + if retried { limit } else { limit / 2 })
    }
}

/// Tokens of one attempt before its first word.
#[derive(Debug)]
pub(crate) struct Thinking {
    /// Until when the first one is waited for, once the request is on its way.
    first_byte: Option<Instant>,
    /// When the first came, and the last.
    span: Option<(Instant, Instant)>,
    activity: ModelActivity,
}

impl Thinking {
    /// Records tokens.
    pub(crate) fn record(&mut self, now: Instant) {
        self.span = Some((self.span.map_or(now, |(first, _)| first), now));
        self.activity.0.store(true, Ordering::Relaxed);
    }

    /// The request was sent: its first token is waited for until then.
    pub(crate) fn until(self, first_byte: Instant) -> Self {
        Self { first_byte: Some(first_byte), ..self }
    }

    /// Until when the next token is waited for, `limit` after the last one, and its name for errors.
    pub(crate) fn deadline(&self, limit: Duration) -> (Instant, &'static str) {
        match (self.span, self.first_byte) {
            (Some((first, last)), _) => ((last + limit).min(first + THINKING_MAX), "end of thinking"),
            (None, first_byte) => (first_byte.unwrap_or_else(|| Instant::now() + limit), "first token"),
        }
    }
}

/// Whether an event is a sign of work. A ping says that the server lives, not that the model works.
pub(crate) fn is_token(data: &str) -> bool {
    data.len() >= PING_BYTES_MAX || !data.contains("\"ping\"")
}

/// Sleeps until an instant, or for ever without one.
pub(crate) async fn sleep_until_some(at: Option<std::time::Instant>) {
    match at {
        Some(at) => sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn tokens_of_any_kind_keep_an_answer_alive_up_to_a_limit() {
        let began = Instant::now();
        let mut thinking = ModelActivity::default().thinking().until(began + 8 * SECOND);
        assert_eq!(thinking.deadline(8 * SECOND), (began + 8 * SECOND, "first token"));
        for second in 1..=10 {
            thinking.record(began + second * SECOND);
        }
        assert_eq!(thinking.deadline(8 * SECOND).0, began + 18 * SECOND, "it goes on");
        thinking.record(began + 29 * SECOND);
        assert_eq!(thinking.deadline(8 * SECOND).0, began + 31 * SECOND, "30 s after the first");
    }

    #[test]
    fn a_silent_model_is_asked_again_at_half_time_and_a_working_one_is_not() {
        let (began, activity) = (std::time::Instant::now(), ModelActivity::default());
        assert_eq!(activity.silence_limit(began, 8 * SECOND, false), Some(began + 4 * SECOND));
        assert_eq!(activity.silence_limit(began, 8 * SECOND, true), Some(began + 8 * SECOND));
        activity.thinking().record(Instant::now());
        assert_eq!(activity.silence_limit(began, 8 * SECOND, false), None);
    }

    #[test]
    fn pings_are_no_tokens() {
        assert!(!is_token("{\"type\": \"ping\"}"));
        assert!(is_token("{\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"hm \"}}]}"));
    }
}
