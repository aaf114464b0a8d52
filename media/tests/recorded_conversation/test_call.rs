//! A caller with a recorded voice, noise and echo, and the leg that hears it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};
use trunkline_media::codec::Companding;
use trunkline_media::frame::{FRAME_SAMPLES, Frame, level_dbfs};
use trunkline_media::leg::{AnalysisConfig, Leg, LegConfig, LegEvent, PortKind, StreamConfig};
use trunkline_media::rtp::packet::RtpPacket;
use trunkline_media::turn::barge_in;

pub const FOLDER: &str = "/usr/share/asterisk/sounds/en_US_f_Allison";
pub const MS: Duration = Duration::from_millis(1);
/// Level of a caller on a phone call.
pub const SPEECH_DBFS: f64 = -20.0;

/// Whole sentences with their texts.
pub const SENTENCES: &[(&str, &str)] = &[
    ("agent-newlocation", "Please enter a new extension, followed by pound."),
    ("agent-pass", "Please enter your password followed by the pound key."),
    ("all-circuits-busy-now", "All circuits are busy now."),
    ("cannot-complete-as-dialed", "Your call cannot be completed as dialed."),
    ("check-number-dial-again", "Please check the number and dial again."),
    ("conf-extended", "The conference has been extended."),
    ("conf-full", "That conference is full."),
    ("conf-getchannel", "Please enter the channel number followed by the pound key."),
    ("conf-getpin", "Please enter the conference pin number."),
    ("conf-invalidpin", "That pin is invalid for this conference."),
    ("conf-leaderhasleft", "The leader has left the conference."),
    ("conf-noempty", "No empty conferences currently exist."),
    ("conf-now-muted", "The conference is now muted."),
    ("conf-onlyone", "There is currently one other participant in the conference."),
    ("conf-onlyperson", "You are currently the only person in this conference."),
    ("conf-placeintoconf", "You will now be placed into the conference."),
    ("conf-roll-callcomplete", "Playback of the list of people attending is complete."),
    ("conf-waitforleader", "The conference will begin when the leader arrives."),
    ("confbridge-invalid", "You have entered an invalid option."),
    ("confbridge-lock-no-join", "The conference is currently locked and cannot be joined."),
    ("confbridge-pin-bad", "You have entered too many invalid personal identification numbers."),
    ("confbridge-pin", "Please enter your personal identification number followed by the pound, or hash key."),
    ("demo-echodone", "The echo test has been completed."),
    ("dir-instr", "If this is the person you are looking for press 1 now, otherwise please press star now."),
    ("dir-nomatch", "No directory entries match your search."),
    ("dir-nomore", "There are no more compatible entries in the directory."),
    ("enter-num-blacklist", "Please enter the number to be blacklisted."),
    ("feature-not-avail-line", "That feature is not available on this line."),
    ("number-not-answering", "The number is not answering."),
    ("please-try-call-later", "Please try your call again later."),
    ("pls-hold-while-try", "Please hold while we try to connect you."),
    ("priv-recordintro", "At the tone, please say your name."),
    ("privacy-incorrect", "I'm sorry, that number is not valid."),
    ("privacy-prompt", "Please enter your phone number, starting with the area code."),
    ("privacy-unident", "The party you are trying to reach does not accept unidentified calls."),
    ("queue-youarenext", "Your call is now first in line and will be answered by the next available representative."),
    ("something-terribly-wrong", "Something is terribly wrong!"),
    ("speed-dial-empty", "The speed dial entry you've accessed is empty."),
    ("transfer", "Please hold while I try that extension."),
    ("vm-changeto", "Change to which folder?"),
    ("vm-delete", "Press 7 to delete this message."),
    ("vm-helpexit", "Press star for help or pound to exit."),
    ("vm-msgforwarded", "Your message has been successfully forwarded."),
    ("vm-msgsaved", "Your message has been saved."),
    ("vm-newpassword", "Please enter your new password followed by the pound key."),
    ("vm-rec-busy", "After the tone say your busy message and then press the pound key."),
    ("vm-rec-temp", "After the tone, say your temporary message, and then press the pound key."),
    ("vm-savefolder", "Which folder should I save the message to?"),
    ("vm-sorry", "I'm sorry I did not understand your response."),
    ("vm-whichbox", "To leave a message, please enter a mailbox number."),
];

pub fn recording(name: &str) -> Vec<i16> {
    let path = format!("{FOLDER}/{name}.wav");
    let reader = hound::WavReader::open(&path)
        .unwrap_or_else(|error| panic!("{path}: {error} (make test installs asterisk-core-sounds-en-wav)"));
    reader.into_samples::<i16>().map(Result::unwrap).collect()
}

pub fn rms(samples: &[f64]) -> f64 {
    (samples.iter().map(|s| s * s).sum::<f64>() / samples.len().max(1) as f64).sqrt()
}

/// Its sounding part brought to a level; silence at both ends cut off.
pub fn at_level(samples: &[i16], dbfs: f64) -> Vec<f64> {
    let float: Vec<f64> = samples.iter().map(|s| f64::from(*s)).collect();
    let loud: Vec<f64> = float.chunks(FRAME_SAMPLES).filter(|frame| rms(frame) > 200.0).flatten().copied().collect();
    let gain = 32_768.0 * 10f64.powf(dbfs / 20.0) / rms(&loud);
    let first = float.chunks(FRAME_SAMPLES).position(|frame| rms(frame) > 200.0).unwrap() * FRAME_SAMPLES;
    let last =
        float.chunks(FRAME_SAMPLES).rposition(|frame| rms(frame) > 200.0).unwrap() * FRAME_SAMPLES + FRAME_SAMPLES;
    float[first..last.min(float.len())].iter().map(|s| s * gain).collect()
}

/// Babble noise of four speakers at a level.
pub fn babble(dbfs: f64, seconds: usize) -> Vec<f64> {
    let mut mixed = vec![0.0; seconds * 8_000];
    for person in 0..4 {
        let mut at = person * 3_000;
        for (name, _) in SENTENCES.iter().cycle().skip(person * 11) {
            if at >= mixed.len() {
                break;
            }
            for sample in at_level(&recording(name), SPEECH_DBFS) {
                if let Some(place) = mixed.get_mut(at) {
                    *place += sample;
                }
                at += 1;
            }
            at += 1_600;
        }
    }
    let gain = 32_768.0 * 10f64.powf(dbfs / 20.0) / rms(&mixed);
    mixed.iter().map(|s| s * gain).collect()
}

/// Line noise from a seed.
pub struct NoiseGenerator(pub u64);

impl NoiseGenerator {
    pub fn next(&mut self, dbfs: f64) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) as f64 / (1u64 << 52) as f64 - 1.0) * 32_768.0 * 10f64.powf(dbfs / 20.0) * 1.73
    }
}

/// A leg and a perfect network, 20 ms a step.
pub struct TestCall {
    pub now: Instant,
    pub leg: Leg,
    pub sequence: u16,
    pub noise: NoiseGenerator,
    pub noise_dbfs: f64,
    /// Our voice as it left, frame by frame.
    pub sent: Vec<(Instant, Frame)>,
    pub events: Vec<LegEvent>,
    pub echo: Option<(usize, f64)>,
}

impl TestCall {
    pub fn new() -> Self {
        let now = Instant::now();
        let remote: SocketAddr = "127.0.0.1:4000".parse().unwrap();
        let config = LegConfig {
            analysis: AnalysisConfig::voice(barge_in::BargeInConfig::default()),
            record: false,
            ..LegConfig::basic(now, StreamConfig::pcmu(remote))
        };
        Self {
            now,
            leg: Leg::new(now, config),
            sequence: 0,
            noise: NoiseGenerator(7),
            noise_dbfs: -60.0,
            sent: vec![],
            events: vec![],
            echo: None,
        }
    }

    pub fn step(&mut self, said: &[f64]) {
        let echo = self.echo.and_then(|(delay, db)| {
            let at = self.sent.len().checked_sub(delay / 20)?;
            Some((self.sent.get(at)?.1, 10f64.powf(db / 20.0)))
        });
        let codes: Vec<u8> = (0..FRAME_SAMPLES)
            .map(|n| {
                let voice = said.get(n).copied().unwrap_or(0.0) + self.noise.next(self.noise_dbfs);
                let back = echo.map_or(0.0, |(frame, gain)| f64::from(frame[n]) * gain);
                Companding::MuLaw.encode((voice + back).clamp(-32_768.0, 32_767.0) as i16)
            })
            .collect();
        let packet = RtpPacket {
            payload_type: 0,
            marker: false,
            sequence: self.sequence,
            timestamp: u32::from(self.sequence) * FRAME_SAMPLES as u32,
            ssrc: 9,
            payload: &codes,
        };
        let mut buffer = [0; 300];
        let len = packet.write(&mut buffer).unwrap();
        self.sequence = self.sequence.wrapping_add(1);
        self.leg.handle_rtp(self.now, "127.0.0.1:4000".parse().unwrap(), &buffer[..len]);
        let end = self.now + 20 * MS;
        while self.leg.due(end) <= end {
            let due = self.leg.due(end);
            let sent = &mut self.sent;
            self.leg.tick(due, due, &mut |port, _, bytes| {
                if port == PortKind::Rtp {
                    let payload = RtpPacket::parse(bytes).unwrap().payload;
                    let mut frame = [0; FRAME_SAMPLES];
                    Companding::MuLaw.decode_into(payload, &mut frame);
                    sent.push((due, frame));
                }
            });
        }
        self.now = end;
        while let Some(event) = self.leg.poll_event() {
            self.events.push(event);
        }
    }

    pub fn last_sound(&self) -> Instant {
        self.sent.iter().rfind(|(_, frame)| level_dbfs(frame) > -40.0).unwrap().0
    }
}

/// Continuous agent speech.
pub fn agent(seconds: usize) -> Vec<i16> {
    let folder = format!("{}/../fixtures/audio", env!("CARGO_MANIFEST_DIR"));
    let phrase = |name: &str| -> Vec<i16> {
        let reader = hound::WavReader::open(format!("{folder}/{name}.wav")).unwrap();
        reader.into_samples().map(Result::unwrap).collect()
    };
    let names = ["opening_hours", "where_is_my_order", "order_number", "speak_to_human", "no_thank_you"];
    let one: Vec<i16> = names.iter().flat_map(|name| at_level(&phrase(name), SPEECH_DBFS)).map(|s| s as i16).collect();
    one.iter().copied().cycle().take(seconds * 8_000).collect()
}

pub fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share).round() as usize]
}
