//! Texts that are compared with files, and what is replaced in them because it differs from run to run.

use super::Server;
use serde_json::{Value, json};

/// The snapshots of one test: insta compares each text with `fixtures/FOLDER/NAME.snap`.
pub struct SnapshotFolder {
    settings: insta::Settings,
    compared: std::collections::BTreeSet<String>,
    differing: Vec<String>,
}

impl SnapshotFolder {
    /// Snapshots in this folder of `fixtures/`.
    pub fn new(folder: &str) -> Self {
        let mut settings = insta::Settings::new();
        settings.set_snapshot_path(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(folder));
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        Self { settings, compared: Default::default(), differing: Vec::new() }
    }

    /// Compares one text. The test goes on after a difference, so that one run reports all of them, although insta
    /// prints that it stopped on the first.
    pub fn compare(&mut self, name: &str, text: &str) {
        let assertion = || self.settings.bind(|| insta::assert_snapshot!(name, text));
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(assertion)).is_err() {
            self.differing.push(name.to_owned());
        }
        self.compared.insert(format!("{name}.snap"));
    }

    /// Fails if a text differed, or if nothing was compared with a file of the folder: insta alone does not look for
    /// such files.
    pub fn finish(self) {
        let files = std::fs::read_dir(self.settings.snapshot_path()).unwrap();
        let orphans: Vec<_> = files
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .filter(|n| !self.compared.contains(n) && !n.ends_with(".snap.new"))
            .collect();
        let differing = self.differing;
        assert!(
            differing.is_empty() && orphans.is_empty(),
            "snapshots differ: {differing:?}; nothing was compared with {orphans:?}"
        );
    }
}

/// Fields that say how long something took.
const TIMED: [&str; 22] = [
    "latency_ms",
    "oldest_turn_ms",
    "oldest_ms",
    "silent_ms",
    "recogniser_ms",
    "decision_ms",
    "model_ms",
    "sentence_ms",
    "voice_ms",
    "playout_ms",
    "last_voice_ms",
    "recogniser_final_ms",
    "decided_ms",
    "first_sentence_ms",
    "first_packet_ms",
    "started_at_ms",
    "ended_at_ms",
    "end_of_turn_ms",
    "first_audio_ms",
    "first_token_ms",
    "response_ms",
    "speech_ended_at_ms",
];

/// Fields whose figure is another one each time.
const COUNTED: [&str; 9] = [
    "queued",
    "duration_seconds",
    "seconds",
    "confidence",
    "port",
    "prompt_tokens",
    "completion_tokens",
    "calls",
    "cost",
];

/// Replaces what differs from run to run, so that the rest can be pinned.
pub struct SnapshotMask {
    /// Identifiers of the present text; the same one has the same name.
    ids: Vec<String>,
    host: String,
}

impl SnapshotMask {
    pub fn new(server: &Server) -> Self {
        Self { ids: Vec::new(), host: server.app.api_addr.to_string() }
    }

    pub fn clear(&mut self) {
        self.ids.clear();
    }

    pub fn path(&mut self, path: &str) -> String {
        path.split('/').map(|part| self.text(part)).collect::<Vec<_>>().join("/")
    }

    fn text(&mut self, text: &str) -> String {
        if text.len() == 36 && uuid::Uuid::try_parse(text).is_ok() {
            let index = self.ids.iter().position(|id| id == text).unwrap_or_else(|| {
                self.ids.push(text.to_owned());
                self.ids.len() - 1
            });
            return format!("<id {}>", index + 1);
        }
        if text.len() == 24 && text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok() {
            return "<time>".to_owned();
        }
        for scheme in ["http", "ws"] {
            if let Some(rest) = text.strip_prefix(&format!("{scheme}://{}/", self.host)) {
                return format!("{scheme}://<host>/{}", self.path(rest));
            }
        }
        text.to_owned()
    }

    pub fn value(&mut self, name: &str, value: Value) -> Value {
        match value {
            Value::String(_) if name == "request_id" => json!("<request id>"),
            Value::String(_) if name == "sip_call_id" => json!("<sip call id>"),
            // Which fields there are is pinned, how long things took is not.
            Value::Number(_) if TIMED.contains(&name) => json!("<ms>"),
            Value::Number(_) if COUNTED.contains(&name) => json!("<number>"),
            Value::String(text) if ["key", "token", "invitation_token"].contains(&name) && text.len() > 20 => {
                json!("<secret>")
            }
            Value::String(text) if name == "prefix" && text.starts_with("va_") => json!("<start of the key>"),
            Value::String(text) if text.len() == 10 && text.starts_with("20") => json!("<day>"),
            Value::String(text) => json!(self.text(&text)),
            Value::Object(_) if name == "decision" => json!("<why the turn was over>"),
            Value::Object(_) if name == "media" => json!("<figures of the media leg>"),
            Value::Array(items) => items.into_iter().map(|item| self.value(name, item)).collect(),
            Value::Object(fields) => {
                fields.into_iter().map(|(name, value)| (name.clone(), self.value(&name, value))).collect()
            }
            other => other,
        }
    }
}
