//! Conversations with recorded speech in virtual time: end of turn, barge-in, and DTMF talk-off. Prints a table (`make
//! bench` shows it) and holds it to its limits.
//!
//! The voice is that of Debian's asterisk-core-sounds-en-wav, whose texts are known. STT is a stand-in that
//! knows the text: interim words lag by 200 ms and come every 200 ms, a pause of 300 ms ends an utterance 100 ms later, a
//! last word that is asked for comes after 80 ms.
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "the table is what it is for")]

mod test_call;

use std::time::Instant;
use test_call::{FOLDER, MS, SENTENCES, SPEECH_DBFS, TestCall, agent, at_level, babble, percentile, recording, rms};
use trunkline_media::codec::Companding;
use trunkline_media::detect::dtmf;
use trunkline_media::frame::{FRAME_SAMPLES, Frame};
use trunkline_media::leg::LegEvent;
use trunkline_media::playout::queue::SegmentId;
use trunkline_media::turn::end_of_turn::{self, EndOfTurnDetector};

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
    for frame in 0..frames.len() + 200 {
        link.step(frames.get(frame).copied().unwrap_or(&[]));
        for event in std::mem::take(&mut link.events) {
            match event {
                LegEvent::SpeechStarted { at } => endpoint.handle_speech_started(at),
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
        if endpoint.wants_final() {
            endpoint.handle_finalize_asked(link.now);
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
    // Three of the sentences have a pause where they could be over: "Press star for help", "Please enter your password" and
    // "press 1 now". In noise the voice says nothing of it.
    for (noise, limit) in [(-60.0, 0.04), (-40.0, 0.06)] {
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
