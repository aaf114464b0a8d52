//! Looks for a text in everything that the process logs, at every level.

use std::fmt::{Debug, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// What is looked for; one test of a process does so.
static NEEDLE: OnceLock<&'static str> = OnceLock::new();
static LINES: AtomicUsize = AtomicUsize::new(0);
static FOUND: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Watch;

#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, "{}={value:?} ", field.name());
    }
}

fn look(line: Line) {
    LINES.fetch_add(1, Ordering::Relaxed);
    if NEEDLE.get().is_some_and(|needle| line.0.contains(needle)) {
        FOUND.lock().unwrap().push(line.0);
    }
}

impl<S: Subscriber> Layer<S> for Watch {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        look(line);
    }

    fn on_new_span(&self, span: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        let mut line = Line::default();
        span.record(&mut line);
        look(line);
    }

    fn on_record(&self, _: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        values.record(&mut line);
        look(line);
    }
}

/// From here on lines of the log are searched.
pub fn watch_log(needle: &'static str) {
    assert_eq!(*NEEDLE.get_or_init(|| needle), needle, "one text in a process");
    let all = Targets::new().with_default(Level::DEBUG).with_target("trunkline", Level::TRACE);
    tracing_subscriber::registry().with(Watch.with_filter(all)).init();
    tracing::trace!(target: "trunkline", "{needle}");
    assert_eq!(FOUND.lock().unwrap().drain(..).count(), 1, "it finds what is there");
}

/// Lines that were logged so far, and those with the text in them.
pub fn watched_log() -> (usize, Vec<String>) {
    (LINES.load(Ordering::Relaxed), FOUND.lock().unwrap().clone())
}
