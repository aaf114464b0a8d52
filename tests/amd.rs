//! AMD on recordings of people, voicemail, menus and machines in virtual time; prints the table that
//! `make bench` shows. The voices are those of Debian's asterisk-core-sounds-en-wav and of `fixtures/audio`; words come
//! as an STT service would tell them, 300 ms after they were said, and not at all where the table says so.
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#![expect(clippy::print_stdout, reason = "the table is what it is for")]

use std::time::{Duration, Instant};
use trunkline::call::amd::AmdDetector;
use trunkline_media::codec::Companding;
use trunkline_media::detect::tone;
use trunkline_media::frame::{FRAME_SAMPLES, Frame};
use trunkline_media::vad::{SpeechChange, VadConfig, VoiceActivityDetector};

const FRAME: Duration = Duration::from_millis(20);
/// Words lag behind the voice by this many frames.
const LAG: usize = 15;

/// What is heard one after the other: recordings with their texts, pauses, tones.
enum ConversationPart {
    Said(&'static str, &'static str),
    /// A recording that STT does not understand.
    Foreign(&'static str),
    Pause(usize),
    Tone(f64, usize),
}

use ConversationPart::{Foreign, Pause, Said, Tone};

fn recording(name: &str) -> Vec<i16> {
    let own = format!("{}/fixtures/audio/{name}.wav", env!("CARGO_MANIFEST_DIR"));
    let other = format!("/usr/share/asterisk/sounds/en_US_f_Allison/{name}.wav");
    let reader = hound::WavReader::open(&own).or_else(|_| hound::WavReader::open(&other));
    let reader =
        reader.unwrap_or_else(|error| panic!("{name}: {error} (make test installs asterisk-core-sounds-en-wav)"));
    reader.into_samples::<i16>().map(Result::unwrap).collect()
}

/// The verdict, and when it was reached after the answer.
fn listen(parts: &[ConversationPart]) -> (&'static str, u128) {
    let start = Instant::now();
    let (mut detection, mut detector, mut tones) =
        (AmdDetector::new(start), VoiceActivityDetector::new(VadConfig::default()), tone::ToneDetector::default());
    let mut samples = vec![0i16; 4_000];
    // Frame and text: interim words as they grow, then the whole.
    let mut words: Vec<(usize, String, bool)> = vec![];
    for part in parts {
        let from = samples.len() / FRAME_SAMPLES;
        match part {
            Said(name, text) => {
                samples.extend(recording(name));
                let all: Vec<&str> = text.split(' ').collect();
                let frames = samples.len() / FRAME_SAMPLES - from;
                for count in 1..=all.len() {
                    let at = from + frames * count / all.len() + LAG;
                    words.push((at, all[..count].join(" "), count == all.len()));
                }
            }
            Foreign(name) => samples.extend(recording(name)),
            Pause(ms) => samples.extend(vec![0; ms * 8]),
            Tone(hz, ms) => samples.extend(
                (0..ms * 8)
                    .map(|n| ((std::f64::consts::TAU * hz * f64::from(n as u32) / 8_000.0).sin() * 6_000.0) as i16),
            ),
        }
    }
    samples.extend(vec![0; 24_000]);
    let mut noise = 1u64;
    let mut human = None;
    for (index, frame) in samples.as_chunks::<FRAME_SAMPLES>().0.iter().enumerate() {
        let now = start + FRAME * (index as u32 + 1);
        let line: Frame = frame.map(|sample| {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            Companding::MuLaw.decode(Companding::MuLaw.encode(sample.saturating_add(((noise >> 40) % 33) as i16 - 16)))
        });
        match detector.handle_frame(now, &line) {
            Some(SpeechChange::Started(at)) => detection.handle_speech_started(at),
            Some(SpeechChange::Ended(last)) => detection.handle_speech_ended(last),
            None => {}
        }
        let mut found = tones.handle_frame(&line).and_then(|tone| detection.handle_tone(now, &tone));
        for (_, text, is_final) in words.iter().filter(|(at, ..)| *at == index) {
            found = detection.handle_words(now, text, *is_final).or(found);
        }
        found = detection.handle_timeout(now).or(found);
        let ms = now.duration_since(start).as_millis();
        match found {
            Some(amd) if amd.name() != "human" => return (amd.name(), ms),
            Some(_) => human = human.or(Some(ms)),
            None => {}
        }
    }
    human.map_or(("nobody", 0), |ms| ("human", ms))
}

const MAILBOX: &str = "Hi this is John and I can't come to the phone right now.";
const INTRO: &str = "Please leave your message after the tone. When done, hang up or press the pound key.";

/// What is called, what is heard, and the verdict.
type Case = (&'static str, Vec<ConversationPart>, &'static str);

fn people() -> Vec<Case> {
    vec![
        ("a person: hello", vec![Said("hello", "Hello.")], "human"),
        ("a person: hello, world", vec![Said("hello-world", "Hello world.")], "human"),
        ("a person: one moment", vec![Said("one-moment-please", "One moment, please.")], "human"),
        ("a person: good morning", vec![Said("hello", "Hello, good morning."), Pause(500)], "human"),
        ("a person in another language", vec![Foreign("pakket_nl")], "human"),
        (
            "a company: who then waits",
            vec![Said("queue-youarenext", "Acme, good morning, this is Anna speaking.")],
            "nobody",
        ),
    ]
}

fn mailboxes() -> Vec<Case> {
    vec![
        ("a mailbox: recorded by a person, real", vec![Said("vm-intro", INTRO)], "voicemail"),
        (
            "a mailbox: nobody is available, real",
            vec![Said("vm-nobodyavail", "Nobody is available to take your call at the moment")],
            "voicemail",
        ),
        (
            "a mailbox: real words, real beep",
            vec![
                Said("vm-theperson", "The person at extension"),
                Said("vm-isunavail", "is unavailable"),
                Pause(600),
                Foreign("beep"),
            ],
            "voicemail",
        ),
        (
            "a mailbox: full, real",
            vec![Said("vm-mailboxfull", "sorry but the user's mail box can't accept more messages")],
            "voicemail",
        ),
        (
            "a mailbox: like a person first",
            vec![
                Said("hello", "Hello."),
                Pause(900),
                Said("mailbox", MAILBOX),
                Pause(500),
                Said("leave_message", "Please leave a message after the tone."),
            ],
            "voicemail",
        ),
        (
            "a mailbox: nothing understood, beep",
            vec![Foreign("vm-nobodyavail"), Pause(400), Foreign("beep")],
            "voicemail",
        ),
        (
            "a mailbox: nothing understood, 620 Hz",
            vec![Foreign("queue-youarenext"), Pause(300), Tone(620.0, 500)],
            "voicemail",
        ),
        ("a mailbox: nothing understood, endless", vec![Foreign("demo-congrats")], "voicemail"),
    ]
}

fn other_machines() -> Vec<Case> {
    vec![
        (
            "a screening service",
            vec![Said("screening", "Please state your name and the reason for your call.")],
            "screening",
        ),
        (
            "a screening service, real voice",
            vec![Said("priv-recordintro", "At the tone, please say your name.")],
            "screening",
        ),
        ("a menu, real", vec![Said("vm-leavemsg", "For sales press one, for support press two.")], "ivr"),
        ("a fax: 2100 Hz", vec![Tone(2_100.0, 3_000)], "fax"),
        ("a fax that calls: 1100 Hz", vec![Tone(1_100.0, 500), Pause(1_000)], "fax"),
        ("silence", vec![Pause(3_000)], "nobody"),
    ]
}

#[test]
fn amd_distinguishes_people_and_machines() {
    let mut wrong = vec![];
    for (what, parts, wanted) in people().into_iter().chain(mailboxes()).chain(other_machines()) {
        let (found, ms) = listen(&parts);
        println!("{what:45} {found:10} after {ms:5} ms");
        if found != wanted {
            wrong.push(format!("{what}: {found} instead of {wanted}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
