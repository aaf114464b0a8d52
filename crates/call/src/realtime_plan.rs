//! What a realtime model is told when its session begins, and which of its audio belongs to which segment.
//!
//! Pure: the driver opens the session and carries its audio.

use super::machine::{CallSpec, RealtimeCapabilities};
use super::provider_plan;
use crate::dialogue::prompt;
use crate::dialogue::tools::ToolSet;
use crate::domain::built_in_tools::BuiltInTools;
use crate::providers::realtime::{RealtimeSessionConfig, RealtimeVendor};
use trunkline_media::audio::AudioFormat;
use trunkline_media::codec::Companding;
use trunkline_media::playout::queue::SegmentId;

/// Settings of a realtime session for the agent of a call, on a line with this format.
pub fn session_config(spec: &CallSpec, vendor: &dyn RealtimeVendor, line: AudioFormat) -> RealtimeSessionConfig {
    let config = provider_plan::llm(&spec.agent);
    let messages = prompt::system_messages(&spec.agent, spec.task.as_ref());
    let transfers = spec.agent.transfers();
    // It hears and answers by itself, so nobody could ask for a value beside it.
    let built_in = spec.agent.built_in_tools.clone().map(|chosen| BuiltInTools { collect_value: None, ..chosen });
    let abilities = ToolSet {
        custom: &config.tools,
        built_in: built_in.as_ref(),
        destinations: &transfers.destinations,
        handovers: &[],
        languages: &[],
        voicemail: spec.runs_amd(),
        remote: &[],
    };
    RealtimeSessionConfig {
        model: config.model.clone(),
        voice: config.voice.clone(),
        instructions: prompt::instructions(&messages),
        first_message: spec.first_message().map(str::to_owned),
        language: spec.language().to_owned(),
        tools: abilities.offers(),
        encoding: vendor.encoding(provider_plan::encoding(provider_plan::companding(line))),
        silence_ms: spec.agent.turn().endpointing_ms,
    }
}

/// What the agent's realtime model can do. `fallback` is the LLM that takes over when it fails.
pub fn capabilities(spec: &CallSpec, vendor: &dyn RealtimeVendor, fallback: Option<String>) -> RealtimeCapabilities {
    let config = provider_plan::llm(&spec.agent);
    RealtimeCapabilities {
        name: format!("{}/{}", config.provider.name(), config.model),
        can_say: vendor.can_say(),
        greets: vendor.greets_first(),
        fallback,
    }
}

/// The audio format that a session's encoding names, both ways.
pub fn format_of(encoding: &str) -> AudioFormat {
    AudioFormat::G711(if encoding == "alaw" { Companding::ALaw } else { Companding::MuLaw })
}

/// Items of the model that are being spoken: item number, segment, samples so far.
#[derive(Debug, Default)]
pub struct OpenItems(Vec<(u32, SegmentId, u64)>);

impl OpenItems {
    /// Audio of an item arrived.
    pub fn add(&mut self, item: u32, segment: SegmentId, samples: u64) {
        match self.0.iter_mut().find(|(_, known, _)| *known == segment) {
            Some((_, _, total)) => *total += samples,
            None => self.0.push((item, segment, samples)),
        }
    }

    /// No more audio will come for an item, or for any item if none is named: the segments that end, with their samples.
    pub fn end(&mut self, item: Option<u32>) -> Vec<(SegmentId, u64)> {
        let is_over = |number: u32| item.is_none_or(|item| item == number);
        let open = std::mem::take(&mut self.0);
        let (over, open): (Vec<_>, Vec<_>) = open.into_iter().partition(|(number, _, _)| is_over(*number));
        self.0 = open;
        over.into_iter().map(|(_, segment, total)| (segment, total)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::provider_config::LlmProvider;
    use crate::providers::vendors::realtime_vendor;
    use serde_json::json;

    fn segment(index: u32) -> SegmentId {
        SegmentId { response_id: 1, index }
    }

    fn spec() -> CallSpec {
        let agent = json!({
            "name": "Agent", "system_prompt": "Be kind.", "first_message": "Hello.",
            "llm_config": {"provider": "openai_realtime", "model": "m", "voice": "alloy"},
            "transfer_config": {"destinations": [{"name": "desk", "target": "+31201234567"}]},
        });
        CallSpec {
            agent_id: None,
            agent: serde_json::from_value(agent).unwrap(),
            task: None,
            fixed_texts: Default::default(),
            known: Default::default(),
            spoken: None,
            is_web: false,
            today: jiff::civil::date(2026, 11, 28),
        }
    }

    #[test]
    fn a_session_begins_with_the_agents_words_and_tools() {
        let vendor = realtime_vendor(LlmProvider::OpenaiRealtime).unwrap();
        let config = session_config(&spec(), vendor, AudioFormat::G711(Companding::ALaw));
        assert_eq!((config.model.as_str(), config.voice.as_deref()), ("m", Some("alloy")));
        assert!(config.instructions.contains("Be kind."), "{}", config.instructions);
        assert_eq!((config.first_message.as_deref(), config.language.as_str()), (Some("Hello."), "en"));
        assert!(config.tools.iter().any(|tool| tool.name.contains("transfer")), "{:?}", config.tools);
        assert_eq!(config.encoding, vendor.encoding("alaw"));
        let able = capabilities(&spec(), vendor, Some("openai/gpt".into()));
        assert_eq!((able.name.as_str(), able.fallback.as_deref()), ("openai_realtime/m", Some("openai/gpt")));
        assert_eq!((able.can_say, able.greets), (vendor.can_say(), vendor.greets_first()));
    }

    #[test]
    fn a_session_has_the_format_of_its_encoding() {
        assert_eq!(format_of("alaw"), AudioFormat::G711(Companding::ALaw));
        assert_eq!(format_of("mulaw"), AudioFormat::G711(Companding::MuLaw));
    }

    #[test]
    fn an_item_ends_with_all_its_samples_and_the_others_go_on() {
        let mut items = OpenItems::default();
        items.add(1, segment(0), 160);
        items.add(2, segment(1), 80);
        items.add(1, segment(0), 160);
        assert_eq!(items.end(Some(1)), [(segment(0), 320)]);
        assert_eq!(items.end(Some(1)), []);
        items.add(3, segment(2), 10);
        assert_eq!(items.end(None), [(segment(1), 80), (segment(2), 10)]);
    }
}
