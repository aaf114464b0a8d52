//! What callers of the demo can say without a microphone.

use crate::caller::script::SpokenTexts;
use crate::emulator;
use trunkline::api::DemoPhrase;

/// Recorded phrases that the agent on emulated providers understands.
const RECORDED: &[&str] =
    &["hello", "where_is_my_order", "order_number", "opening_hours", "wait_stop", "no_thank_you", "goodbye"];

/// What the shop may be asked, for example.
pub(super) const EXAMPLES: &[&str] = &[
    "Are you open on Saturdays?",
    "How much does delivery cost?",
    "Can I bring back something that doesn't fit?",
    "Where can I park?",
    "Where is my order?",
    "One two three four five six.",
    "Can I talk to a real person?",
    "I'd like to leave a message.",
    "Sorry, what did you say?",
    "No thanks, goodbye.",
];

/// The recorded ones, as the console offers them.
///
/// # Errors
///
/// A sound that cannot be written.
pub fn recorded() -> Result<Vec<DemoPhrase>, String> {
    let all = emulator::fixture_phrases().into_iter().filter(|phrase| RECORDED.contains(&phrase.name.as_str()));
    all.map(|phrase| Ok(DemoPhrase { name: phrase.name, text: phrase.text, sound: wav(&phrase.samples)? })).collect()
}

/// The examples in a voice.
pub(super) fn examples(spoken: &SpokenTexts) -> Result<Vec<DemoPhrase>, String> {
    let all = EXAMPLES.iter().enumerate().filter_map(|(place, text)| Some((place, *text, spoken.get(*text)?)));
    all.map(|(place, text, samples)| {
        Ok(DemoPhrase { name: format!("example_{}", place + 1), text: text.to_owned(), sound: wav(samples)? })
    })
    .collect()
}

/// A WAV file at 8 kHz.
fn wav(samples: &[i16]) -> Result<Vec<u8>, String> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut sound = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut sound, spec).map_err(|error| error.to_string())?;
    for sample in samples {
        writer.write_sample(*sample).map_err(|error| error.to_string())?;
    }
    writer.finalize().map_err(|error| error.to_string())?;
    Ok(sound.into_inner())
}
