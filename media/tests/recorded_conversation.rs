//! Conversations with recorded speech in virtual time: end of turn, barge-in, and DTMF talk-off. Prints a table (`make
//! bench` shows it) and holds it to its limits.
//!
//! The voice is that of Debian's asterisk-core-sounds-en-wav, whose texts are known. STT is a stand-in that
//! knows the text: interim words lag by 200 ms and come every 200 ms, a pause of 300 ms ends an utterance 100 ms later, a
//! last word that is asked for comes after 80 ms.
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "the table is what it is for")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};
use trunkline_media::codec::Companding;
use trunkline_media::detect::dtmf;
use trunkline_media::frame::{FRAME_SAMPLES, Frame, level_dbfs};
use trunkline_media::leg::{Leg, LegConfig, LegEvent, PortKind, StreamConfig};
use trunkline_media::playout::queue::SegmentId;
use trunkline_media::rtp::packet::RtpPacket;
use trunkline_media::turn::barge_in;
use trunkline_media::turn::end_of_turn::{self, EndOfTurnDetector};

const FOLDER: &str = "/usr/share/asterisk/sounds/en_US_f_Allison";
const MS: Duration = Duration::from_millis(1);
/// Level of a caller on a phone call.
const SPEECH_DBFS: f64 = -20.0;

/// Whole sentences with their texts.
const SENTENCES: &[(&str, &str)] = &[
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

fn recording(name: &str) -> Vec<i16> {
    let path = format!("{FOLDER}/{name}.wav");
    let reader = hound::WavReader::open(&path)
        .unwrap_or_else(|error| panic!("{path}: {error} (make test installs asterisk-core-sounds-en-wav)"));
    reader.into_samples::<i16>().map(Result::unwrap).collect()
}

fn rms(samples: &[f64]) -> f64 {
    (samples.iter().map(|s| s * s).sum::<f64>() / samples.len().max(1) as f64).sqrt()
}

/// Its sounding part brought to a level; silence at both ends cut off.
fn at_level(samples: &[i16], dbfs: f64) -> Vec<f64> {
    let float: Vec<f64> = samples.iter().map(|s| f64::from(*s)).collect();
    let loud: Vec<f64> = float.chunks(FRAME_SAMPLES).filter(|frame| rms(frame) > 200.0).flatten().copied().collect();
    let gain = 32_768.0 * 10f64.powf(dbfs / 20.0) / rms(&loud);
    let first = float.chunks(FRAME_SAMPLES).position(|frame| rms(frame) > 200.0).unwrap() * FRAME_SAMPLES;
    let last =
        float.chunks(FRAME_SAMPLES).rposition(|frame| rms(frame) > 200.0).unwrap() * FRAME_SAMPLES + FRAME_SAMPLES;
    float[first..last.min(float.len())].iter().map(|s| s * gain).collect()
}

/// Babble noise of four speakers at a level.
fn babble(dbfs: f64, seconds: usize) -> Vec<f64> {
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
struct NoiseGenerator(u64);

impl NoiseGenerator {
    fn next(&mut self, dbfs: f64) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) as f64 / (1u64 << 52) as f64 - 1.0) * 32_768.0 * 10f64.powf(dbfs / 20.0) * 1.73
    }
}

/// A leg and a perfect network, 20 ms a step.
struct TestCall {
    now: Instant,
    leg: Leg,
    sequence: u16,
    noise: NoiseGenerator,
    noise_dbfs: f64,
    /// Our voice as it left, frame by frame.
    sent: Vec<(Instant, Frame)>,
    events: Vec<LegEvent>,
    echo: Option<(usize, f64)>,
}

impl TestCall {
    fn new() -> Self {
        let now = Instant::now();
        let remote: SocketAddr = "127.0.0.1:4000".parse().unwrap();
        let config = LegConfig {
            barge_in: barge_in::BargeInConfig::default(),
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

    fn step(&mut self, said: &[f64]) {
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

    fn last_sound(&self) -> Instant {
        self.sent.iter().rfind(|(_, frame)| level_dbfs(frame) > -40.0).unwrap().0
    }
}

/// Continuous agent speech.
fn agent(seconds: usize) -> Vec<i16> {
    let folder = format!("{}/../fixtures/audio", env!("CARGO_MANIFEST_DIR"));
    let phrase = |name: &str| -> Vec<i16> {
        let reader = hound::WavReader::open(format!("{folder}/{name}.wav")).unwrap();
        reader.into_samples().map(Result::unwrap).collect()
    };
    let names = ["opening_hours", "where_is_my_order", "order_number", "speak_to_human", "no_thank_you"];
    let one: Vec<i16> = names.iter().flat_map(|name| at_level(&phrase(name), SPEECH_DBFS)).map(|s| s as i16).collect();
    one.iter().copied().cycle().take(seconds * 8_000).collect()
}

fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share).round() as usize]
}

/// Words of a sentence by what of it has been said.
struct SimulatedStt {
    words: Vec<&'static str>,
    /// For each frame, whether it sounds.
    voiced: Vec<bool>,
}

impl SimulatedStt {
    fn words_until(&self, frame: usize) -> usize {
        let total = self.voiced.iter().filter(|v| **v).count();
        let heard = self.voiced.iter().take(frame).filter(|v| **v).count();
        self.words.len() * heard / total
    }
}

/// When the turn was held for finished, relative to the last sound; negative: too early.
fn end_of_turn(name: &str, text: &'static str, noise_dbfs: f64) -> f64 {
    let speech = at_level(&recording(name), SPEECH_DBFS);
    let frames: Vec<&[f64]> = speech.chunks(FRAME_SAMPLES).collect();
    let floor = 32_768.0 * 10f64.powf((SPEECH_DBFS - 25.0) / 20.0);
    let stand =
        SimulatedStt { words: text.split(' ').collect(), voiced: frames.iter().map(|f| rms(f) > floor).collect() };
    let last = stand.voiced.iter().rposition(|v| *v).unwrap() + 1;
    let mut link = TestCall::new();
    link.noise_dbfs = noise_dbfs;
    for _ in 0..50 {
        link.step(&[]);
    }
    let began = link.now;
    let mut endpoint = EndOfTurnDetector::new(end_of_turn::EndOfTurnConfig::default());
    // Frame and word of what STT has finished with; what it owes us, and when.
    let (mut settled, mut quiet, mut last_interim) = (0, 0, 0);
    let mut owed: Vec<(usize, usize)> = vec![];
    let mut asked = false;
    for frame in 0..frames.len() + 200 {
        link.step(frames.get(frame).copied().unwrap_or(&[]));
        for event in std::mem::take(&mut link.events) {
            match event {
                LegEvent::SpeechStarted { at } => {
                    endpoint.handle_speech_started(at);
                    asked = false;
                }
                LegEvent::SpeechEnded { last_sound } => endpoint.handle_speech_ended(last_sound),
                _ => {}
            }
        }
        let voiced = stand.voiced.get(frame).copied().unwrap_or(false);
        quiet = if voiced { 0 } else { quiet + 1 };
        let heard = stand.words_until(frame.saturating_sub(10));
        if frame % 10 == 0 && heard > settled && heard != last_interim {
            last_interim = heard;
            endpoint.handle_interim(link.now, &stand.words[settled..heard].join(" "));
        }
        if quiet == 15 && stand.words_until(frame) > settled {
            owed.push((frame + 5, stand.words_until(frame)));
        }
        if endpoint.is_likely_over() && endpoint.is_waiting_for_final() && !asked {
            asked = true;
            owed.push((frame + 4, stand.words_until(frame)));
        }
        for (due, words) in owed.clone() {
            if due == frame && words > settled {
                endpoint.handle_final(link.now, &stand.words[settled..words].join(" "), Some(0.95), true);
                settled = words;
            }
        }
        if endpoint.poll_turn(link.now).is_some() {
            let ended = began + 20 * MS * last as u32;
            let late = link.now.saturating_duration_since(ended).as_secs_f64();
            let early = ended.saturating_duration_since(link.now).as_secs_f64();
            return (late - early) * 1_000.0;
        }
    }
    panic!("{name}: the turn never ended");
}

#[test]
fn end_of_turn_latency_and_early_cuts_are_bounded() {
    for (noise, limit) in [(-60.0, 0.02), (-40.0, 0.02)] {
        let delays: Vec<f64> = SENTENCES.iter().map(|(name, text)| end_of_turn(name, text, noise)).collect();
        let cut = delays.iter().filter(|delay| **delay < 0.0).count();
        let mut whole: Vec<f64> = delays.iter().copied().filter(|delay| *delay >= 0.0).collect();
        let (p50, p95) = (percentile(&mut whole, 0.5), percentile(&mut whole, 0.95));
        println!(
            "end of turn, noise {noise} dBFS: p50 {p50:.0} ms, p95 {p95:.0} ms, cut off {cut} of {}",
            delays.len()
        );
        assert!(p50 <= 350.0, "p50 {p50}");
        assert!(cut as f64 <= limit * delays.len() as f64, "{cut} of {}", delays.len());
    }
}

/// Plays the call's part while the agent is held: goes on when nothing comes of it.
fn judge(link: &mut TestCall, held: &mut Option<Instant>, counts: &mut (usize, usize)) {
    for event in std::mem::take(&mut link.events) {
        match event {
            LegEvent::PlayoutPaused { .. } => {
                counts.0 += 1;
                *held = Some(link.now + 2_500 * MS);
            }
            LegEvent::PlayoutFlushed { .. } => {
                counts.1 += 1;
                *held = None;
            }
            LegEvent::SpeechEnded { .. } if held.is_some() => *held = Some(link.now + 350 * MS),
            _ => {}
        }
    }
    if held.is_some_and(|at| link.now >= at) {
        *held = None;
        link.leg.resume();
    }
}

#[test]
fn people_talking_behind_the_caller_do_not_stop_the_agent() {
    const SECONDS: usize = 600;
    for below_db in [10.0, 15.0] {
        let background = babble(SPEECH_DBFS - below_db, SECONDS);
        let mut link = TestCall::new();
        let (mut held, mut counts) = (None, (0, 0));
        let mut response_id = 0;
        for (index, frame) in background.chunks(FRAME_SAMPLES).enumerate() {
            // A new answer every twenty seconds, after a pause.
            if index % 1_000 == 100 {
                response_id += 1;
                link.leg.play(SegmentId { response_id, index: 0 }, agent(17), true);
            }
            link.step(frame);
            judge(&mut link, &mut held, &mut counts);
        }
        let minutes = SECONDS as f64 / 60.0 * 0.85;
        let (holds, stops) = (counts.0 as f64 / minutes, counts.1 as f64 / minutes);
        println!(
            "babble {below_db} dB below a caller: {stops:.2} false stops and {holds:.2} short pauses in a minute of agent speech"
        );
        assert!(stops <= 0.1, "{stops} false stops a minute");
    }
}

/// From the caller's first sound to our last one.
fn silenced_after(name: &str, background: &[f64], echo: Option<(usize, f64)>) -> Option<f64> {
    let mut link = TestCall::new();
    link.echo = echo;
    link.leg.play(SegmentId { response_id: 1, index: 0 }, agent(30), true);
    let mut behind = background.chunks(FRAME_SAMPLES).cycle();
    let mut next = |said: &[f64]| -> Vec<f64> {
        let base = behind.next().unwrap_or(&[]);
        (0..FRAME_SAMPLES).map(|n| said.get(n).copied().unwrap_or(0.0) + base.get(n).copied().unwrap_or(0.0)).collect()
    };
    let (mut held, mut counts) = (None, (0, 0));
    for _ in 0..250 {
        let frame = next(&[]);
        link.step(&frame);
        judge(&mut link, &mut held, &mut counts);
    }
    let began = link.now;
    for frame in at_level(&recording(name), SPEECH_DBFS).chunks(FRAME_SAMPLES) {
        let frame = next(frame);
        link.step(&frame);
    }
    let stopped = link.events.iter().any(|event| matches!(event, LegEvent::PlayoutFlushed { barge_in: true, .. }));
    stopped.then(|| link.last_sound().saturating_duration_since(began).as_secs_f64() * 1_000.0)
}

#[test]
fn barge_in_latency_is_bounded() {
    let crowd = babble(SPEECH_DBFS - 15.0, 40);
    let silence = vec![0.0; FRAME_SAMPLES];
    type Case<'a> = (&'a str, &'a [f64], Option<(usize, f64)>, f64);
    let cases: [Case<'_>; 3] = [
        ("quiet line", &silence, None, 200.0),
        ("echo of -15 dB after 180 ms", &silence, Some((180, -15.0)), 400.0),
        ("babble 15 dB below", &crowd, None, 600.0),
    ];
    for (what, background, echo, limit) in cases {
        let after: Vec<Option<f64>> =
            SENTENCES.iter().step_by(2).map(|(name, _)| silenced_after(name, background, echo)).collect();
        let missed = after.iter().filter(|one| one.is_none()).count();
        let mut found: Vec<f64> = after.into_iter().flatten().collect();
        let (p50, p95) = (percentile(&mut found, 0.5), percentile(&mut found, 0.95));
        println!("onset to silence, {what}: p50 {p50:.0} ms, p95 {p95:.0} ms, missed {missed}");
        assert!(p95 <= limit, "{what}: {p95}");
        assert!(missed <= 1, "{what}: {missed} missed");
    }
}

#[test]
fn cough_pauses_without_losing_words() {
    let mut whole = 0;
    for (name, _) in SENTENCES {
        let mut link = TestCall::new();
        let speech = agent(6);
        link.leg.play(SegmentId { response_id: 1, index: 0 }, speech.clone(), true);
        let (mut held, mut counts) = (None, (0, 0));
        let cough = at_level(&recording(name), SPEECH_DBFS);
        for index in 0..500 {
            let said =
                cough[..2_400].chunks(FRAME_SAMPLES).nth(if index >= 100 { index - 100 } else { 99 }).unwrap_or(&[]);
            link.step(said);
            let finished = link.events.iter().any(|event| {
                matches!(event, LegEvent::SegmentFinished { heard, .. } if heard.sent_samples == speech.len() as u64)
            });
            whole += usize::from(finished);
            judge(&mut link, &mut held, &mut counts);
        }
        assert_eq!(counts.1, 0, "{name}: 300 ms stopped the agent");
    }
    println!("resumed after 300 ms of speech: {whole} of {} answers heard whole", SENTENCES.len());
    assert_eq!(whole, SENTENCES.len());
}

#[test]
fn echo_does_not_barge_in() {
    let mut minutes = 0.0;
    for delay_ms in [40, 120, 240, 400, 600] {
        for level_db in [-15.0, -20.0, -30.0] {
            let mut link = TestCall::new();
            link.echo = Some((delay_ms, level_db));
            link.leg.play(SegmentId { response_id: 1, index: 0 }, agent(30), true);
            for _ in 0..1_600 {
                link.step(&[]);
            }
            let holds = link.events.iter().filter(|event| matches!(event, LegEvent::PlayoutPaused { .. })).count();
            assert_eq!(holds, 0, "echo of {level_db} dB after {delay_ms} ms");
            minutes += 0.5;
        }
    }
    println!("echo of -15 to -30 dB after 40 to 600 ms: nothing interrupted in {minutes} minutes of agent speech");
}

#[test]
fn dtmf_talk_off_and_talk_down() {
    // Talk-off: every recording of the set, none of which holds a key.
    let (mut seconds, mut false_keys) = (0.0, vec![]);
    for entry in std::fs::read_dir(FOLDER).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let Some(name) = name.strip_suffix(".wav") else { continue };
        if name.contains("tone") || name.contains("beep") {
            continue;
        }
        let samples = recording(name);
        let mut receiver = dtmf::DtmfDetector::default();
        for frame in samples.as_chunks::<FRAME_SAMPLES>().0 {
            let link: Frame = frame.map(|sample| Companding::MuLaw.decode(Companding::MuLaw.encode(sample)));
            false_keys.extend(receiver.handle_frame(&link).map(|key| (name.to_owned(), key)));
        }
        seconds += samples.len() as f64 / 8_000.0;
    }
    println!("talk-off: {} false keys in {:.0} minutes of speech", false_keys.len(), seconds / 60.0);
    assert!(false_keys.len() as f64 <= seconds / 1_800.0, "{false_keys:?}");
    // Talk-down: keys of 100 ms over a person's voice.
    let tones = |key: char, n: usize| -> f64 {
        let at = "123A456B789C*0#D".find(key).unwrap();
        let (row, column) = ([697.0, 770.0, 852.0, 941.0][at / 4], [1_209.0, 1_336.0, 1_477.0, 1_633.0][at % 4]);
        let sine = |hz: f64| (std::f64::consts::TAU * hz * n as f64 / 8_000.0).sin();
        (sine(row) + sine(column)) * 32_768.0 * 10f64.powf(-13.0 / 20.0)
    };
    for below_db in [20.0, 15.0, 10.0] {
        let (mut pressed, mut read) = (0, 0);
        for (index, (name, _)) in SENTENCES.iter().enumerate() {
            let voice = at_level(&recording(name), -10.0 - below_db);
            let key = char::from(b"0123456789*#"[index % 12]);
            let mut receiver = dtmf::DtmfDetector::default();
            let mixed: Vec<i16> = voice
                .iter()
                .enumerate()
                .map(|(n, s)| if (4_000..4_800).contains(&n) { s + tones(key, n) } else { *s })
                .map(|s| Companding::MuLaw.decode(Companding::MuLaw.encode(s.clamp(-32_768.0, 32_767.0) as i16)))
                .collect();
            let keys: Vec<char> =
                mixed.as_chunks::<FRAME_SAMPLES>().0.iter().filter_map(|f| receiver.handle_frame(f)).collect();
            pressed += 1;
            read += usize::from(keys == [key]);
        }
        println!("talk-down: {read} of {pressed} keys read over a voice {below_db} dB below them");
        assert!(below_db < 15.0 || read * 100 >= pressed * 90, "{read} of {pressed}");
    }
}
