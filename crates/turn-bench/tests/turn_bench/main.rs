//! The measure on rows with known answers.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]

mod goals;
mod overlaps;
mod refusals;
mod scores;
mod speakers;
mod turns;

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use trunkline_turn_bench::data::{self, Selection, Turn};
use trunkline_turn_bench::row::TurnRow;
use trunkline_turn_bench::words::WordSource;

/// A folder that is gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("turns-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }

    fn rows(&self, rows: &[String]) {
        std::fs::write(self.0.join("rows.jsonl"), rows.join("\n")).unwrap();
    }

    fn wav(&self, name: &str, rate_hz: u32, samples: &[i16]) {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: rate_hz,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(self.0.join(name), spec).unwrap();
        samples.iter().for_each(|sample| writer.write_sample(*sample).unwrap());
        writer.finalize().unwrap();
    }

    fn read(&self, words: WordSource) -> Result<Vec<Turn>, String> {
        data::read(&self.0, &Selection::default(), words)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A row of two words around a pause.
fn valid() -> Value {
    json!({
        "id": "one", "language": "en", "audio": "one.wav",
        "silence_spans": [{"start": 1.0, "end": 1.5, "label": "hold", "kind": "clause", "seam": "joined"},
            {"start": 2.0, "end": 3.0, "label": "eot"}],
        "messages": [{"role": "assistant", "content": "Hello."}, {"role": "user", "content": null}],
        "words": [{"word": "one", "start": 0.5, "end": 1.0}, {"word": "two.", "start": 1.5, "end": 2.0}],
        "kind": "digits", "half": "tune", "speaker": "allison", "source": "prompts", "noise": "clean",
    })
}

/// A row with these holds, half a second of speech before each of them and before the end.
fn with_holds(id: &str, lengths_ms: &[u64]) -> TurnRow {
    let mut at = 0.5;
    let mut spans = Vec::new();
    for length in lengths_ms {
        let end = at + *length as f64 / 1_000.0;
        spans.push(json!({"start": at, "end": end}));
        at = end + 0.5;
    }
    spans.push(json!({"start": at, "end": at + 1.0}));
    let row = json!({"id": id, "language": "en", "audio": "a.wav", "silence_spans": spans});
    TurnRow::parse(&row.to_string()).unwrap()
}
