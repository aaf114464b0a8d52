//! Messages of the listen socket. Unknown types and fields are skipped: the provider adds some often.

use crate::providers::SttEvent;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(tag = "type")]
enum Message {
    Results {
        channel: Channel,
        #[serde(default)]
        is_final: bool,
        #[serde(default)]
        speech_final: bool,
    },
    UtteranceEnd {},
    Error {
        #[serde(default)]
        description: String,
    },
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Deserialize)]
struct Channel {
    #[serde(default)]
    alternatives: Vec<Alternative>,
}

#[derive(Debug, Deserialize)]
struct Alternative {
    #[serde(default)]
    transcript: String,
    confidence: Option<f32>,
}

/// What a text frame means; `Ok(None)` for messages that carry nothing for us.
pub fn parse(text: &str) -> Result<Option<SttEvent>, String> {
    let message: Message = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(match message {
        Message::Results { channel, is_final, speech_final } => {
            let best = channel.alternatives.into_iter().next();
            let (text, confidence) = best.map(|a| (a.transcript, a.confidence)).unwrap_or_default();
            if is_final {
                let confidence = confidence.filter(|_| !text.is_empty());
                Some(SttEvent::Final { text, confidence, speech_final })
            } else {
                (!text.is_empty()).then_some(SttEvent::Interim(text))
            }
        }
        Message::UtteranceEnd {} => Some(SttEvent::UtteranceEnd),
        Message::Error { description } => return Err(description),
        Message::Unknown => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_become_events_and_the_rest_is_skipped() {
        let results = |is_final: bool, speech_final: bool, transcript: &str| {
            format!(
                "{{\"type\":\"Results\",\"channel_index\":[0,1],\"duration\":1.0,\"start\":0.0,\"is_final\":{is_final},\
                 \"speech_final\":{speech_final},\"channel\":{{\"alternatives\":[{{\"transcript\":\"{transcript}\",\"confidence\":0.9,\"words\":[]}}]}}}}"
            )
        };
        assert_eq!(parse(&results(false, false, "ja")), Ok(Some(SttEvent::Interim("ja".into()))));
        assert_eq!(parse(&results(false, false, "")), Ok(None));
        assert_eq!(
            parse(&results(true, true, "ja dat klopt")),
            Ok(Some(SttEvent::Final { text: "ja dat klopt".into(), confidence: Some(0.9), speech_final: true }))
        );
        assert_eq!(
            parse("{\"type\":\"UtteranceEnd\",\"channel\":[0,1],\"last_word_end\":6.1}"),
            Ok(Some(SttEvent::UtteranceEnd))
        );
        assert_eq!(parse("{\"type\":\"SomethingNew\",\"x\":1}"), Ok(None));
        assert!(parse("{\"type\":\"Results\",\"channel\":7}").is_err());
        assert!(parse("<html>").is_err());
    }
}
