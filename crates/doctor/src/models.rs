//! Speech models of this machine. All of their files are read: a wrong bit changes nothing but the contents.

use std::path::{Path, PathBuf};
use trunkline::config::Config;
use trunkline::domain::finding::Finding;
use trunkline_local_speech::io::model_files::ModelState;
use trunkline_local_speech::models::MODELS;

const CHECK: &str = "models";

/// Looks at every model. They are an option; one that is damaged is not.
pub(crate) async fn look(config: &Config) -> Vec<Finding> {
    let folder = PathBuf::from(&config.providers.local.models_folder);
    // Contained: whatever becomes of it, the other checks are told.
    match trunkline::supervision::spawn_blocking("doctor_models", move || findings(&folder)).await {
        Ok(Ok(findings)) => findings,
        _ => vec![Finding::warning(CHECK, "they could not be looked at", "look at the log")],
    }
}

fn findings(folder: &Path) -> Vec<Finding> {
    let mut there = Vec::new();
    let mut findings = Vec::new();
    for model in MODELS {
        match model.check(folder) {
            ModelState::Present => there.push(model.name),
            ModelState::Absent => {}
            state => {
                let found = state.advice(model).unwrap_or_default();
                let meanwhile = "until then the next of an agent's fallbacks hears or speaks";
                let advice = format!("trunkline models fetch --model {}; {meanwhile}", model.name);
                findings.push(Finding::error(CHECK, found, advice));
            }
        }
    }
    if findings.is_empty() {
        let found = if there.is_empty() { "none is on this machine".to_owned() } else { there.join(", ") };
        findings.push(Finding::ok(CHECK, found));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline::domain::finding::Level;
    use trunkline_local_speech::models::PIPER_JOE;

    #[test]
    fn a_model_with_other_contents_of_the_right_length_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let none = findings(folder.path());
        assert!(none.len() == 1 && none[0].level == Level::Ok, "{none:?}");
        std::fs::create_dir_all(PIPER_JOE.folder(folder.path())).unwrap();
        for file in PIPER_JOE.all_files() {
            let made = std::fs::File::create(PIPER_JOE.folder(folder.path()).join(file.name)).unwrap();
            made.set_len(file.bytes).unwrap();
        }
        let damaged = findings(folder.path());
        assert!(damaged.len() == 1 && damaged[0].level == Level::Error, "{damaged:?}");
        assert!(damaged[0].found.contains("is not the file that was published"), "{damaged:?}");
        assert!(damaged[0].advice.as_ref().unwrap().contains("models fetch --model piper-joe"), "{damaged:?}");
    }
}
