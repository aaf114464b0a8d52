//! What is said arrives, on both sides, whole and on time.

use crate::line::{LossyLine, MS, fixture, segment};
use crate::reference_g711;
use std::time::Instant;
use trunkline_media::audio::AudioFrame;
use trunkline_media::codec::Companding;
use trunkline_media::frame::{FRAME_SAMPLES, level_dbfs};
use trunkline_media::leg::LegEvent;
use trunkline_media::rtp::packet::RtpPacket;

#[test]
fn what_the_caller_says_arrives_bit_exact_on_a_good_line() {
    for companding in [Companding::MuLaw, Companding::ALaw] {
        let mut link = LossyLine::new(companding);
        // Speech, then every octet there is, coded by the tables of the recommendation and not by the codec.
        let speech = fixture("hello").into_iter().map(|sample| reference_g711::encode(companding, sample));
        let mut sent: Vec<u8> = speech.chain(0..=255).collect();
        sent.resize(sent.len().next_multiple_of(FRAME_SAMPLES), reference_g711::encode(companding, 0));
        let payload_type = if companding == Companding::MuLaw { 0 } else { 8 };
        for payload in sent.chunks(FRAME_SAMPLES) {
            link.send_packet(payload_type, payload);
            link.timestamp = link.timestamp.wrapping_add(FRAME_SAMPLES as u32);
            link.pass(20);
        }
        link.pass(40);
        let frames: Vec<&AudioFrame> = link
            .events
            .iter()
            .filter_map(|event| if let LegEvent::Audio { frame, .. } = event { Some(frame) } else { None })
            .collect();
        assert!(frames.iter().all(|frame| frame.rate_hz() == 8_000 && frame.duration() == 20 * MS));
        let octets: Vec<u8> = frames.iter().flat_map(|frame| frame.as_g711().unwrap().1).copied().collect();
        // Mu-law has two zeros, of which the positive one is handed on.
        let wanted: Vec<u8> = sent
            .iter()
            .map(|octet| if companding == Companding::MuLaw && *octet == 0x7F { 0xFF } else { *octet })
            .collect();
        assert_eq!(octets, wanted);
        let values: Vec<i16> = sent.iter().map(|octet| reference_g711::value(companding, *octet)).collect();
        assert_eq!(link.heard(), values);
    }
}

#[test]
fn a_tone_arrives_with_its_level_and_frequency() {
    for (companding, hz, dbfs) in [(Companding::MuLaw, 440.0, -12.0), (Companding::ALaw, 1_800.0, -24.0)] {
        let mut link = LossyLine::new(companding);
        let step = hz * std::f32::consts::TAU / 8_000.0;
        let peak = 32_768.0 * std::f32::consts::SQRT_2 * 10f32.powf(dbfs / 20.0);
        link.speak(&(0..16_000).map(|n| ((n as f32 * step).sin() * peak) as i16).collect::<Vec<i16>>());
        link.pass(40);
        let heard = link.heard();
        assert_eq!(heard.len(), 16_000);
        assert!((level_dbfs(&heard) - dbfs).abs() < 0.1, "{} for {dbfs} dBFS", level_dbfs(&heard));
        // Nearly all of the energy is at the frequency that was sent.
        let (mut re, mut im, mut all) = (0.0, 0.0, 0.0);
        for (n, sample) in heard.iter().enumerate() {
            let (sample, angle) = (f64::from(*sample), n as f64 * f64::from(step));
            re += sample * angle.cos();
            im += sample * angle.sin();
            all += sample * sample;
        }
        let share = 2.0 * (re * re + im * im) / (16_000.0 * all);
        assert!(share > 0.99, "{share} of the energy is at {hz} Hz");
    }
}

#[test]
fn speech_keeps_its_length_and_level_on_a_line_with_loss_and_jitter() {
    let mut link = LossyLine::new(Companding::ALaw);
    link.burst_loss_permille = 10;
    link.jitter_ms = 60;
    let speech = fixture("where_is_my_order");
    for _ in 0..10 {
        link.speak(&speech);
    }
    link.pass(300);
    let heard = link.heard();
    let wanted = (speech.len() * 10) as i64;
    assert!((heard.len() as i64 - wanted).abs() < 4_000, "{} of {wanted} samples", heard.len());
    assert!((level_dbfs(&heard) - level_dbfs(&speech)).abs() < 1.0);
    let stats = link.leg.stats();
    assert!(stats.packets_lost > 10 && stats.packets_reordered > 10 && stats.concealed_ms > 200, "{stats:?}");
}

#[test]
fn speech_starts_and_ends_are_found_within_a_tenth_of_a_second() {
    let mut link = LossyLine::new(Companding::MuLaw);
    link.silence_ms(1_000);
    let began = link.now;
    link.speak(&fixture("order_number"));
    let ended = link.now;
    link.silence_ms(1_000);
    let starts: Vec<Instant> = link
        .events
        .iter()
        .filter_map(|e| if let LegEvent::SpeechStarted { at } = e { Some(*at) } else { None })
        .collect();
    let ends: Vec<Instant> = link
        .events
        .iter()
        .filter_map(|e| if let LegEvent::SpeechEnded { last_sound } = e { Some(*last_sound) } else { None })
        .collect();
    let (first, last) = (starts[0], *ends.last().unwrap());
    assert!(link.ms(first).abs_diff(link.ms(began)) < 120, "start {} began {}", link.ms(first), link.ms(began));
    assert!(link.ms(last).abs_diff(link.ms(ended)) < 150, "end {} ended {}", link.ms(last), link.ms(ended));
}

#[test]
fn line_noise_is_not_speech() {
    let mut link = LossyLine::new(Companding::MuLaw);
    link.silence_ms(20_000);
    assert!(!link.events.iter().any(|e| matches!(e, LegEvent::SpeechStarted { .. })));
}

#[test]
fn agent_speech_leaves_in_the_next_slot_and_then_every_20_ms() {
    let mut link = LossyLine::new(Companding::MuLaw);
    link.silence_ms(206);
    let asked = link.now;
    link.leg.play(segment(1, 0), fixture("opening_hours"), true);
    link.silence_ms(4_000);
    let voiced = link.voiced();
    assert!(voiced[0] - asked <= 24 * MS, "first sound after {:?}", voiced[0] - asked);
    let spurt: Vec<&(Instant, Vec<u8>)> = link.sent.iter().filter(|(at, _)| *at > asked).collect();
    assert!(spurt[0].0 - asked <= 2 * MS && RtpPacket::parse(&spurt[0].1).unwrap().marker);
    let frames = fixture("opening_hours").len().div_ceil(160);
    assert!(spurt[..frames].windows(2).all(|pair| pair[1].0 - pair[0].0 == 20 * MS));
    let packets: Vec<RtpPacket<'_>> = link.sent.iter().map(|(_, bytes)| RtpPacket::parse(bytes).unwrap()).collect();
    assert!(packets.windows(2).all(|p| p[1].sequence == p[0].sequence.wrapping_add(1)));
    assert!(packets.windows(2).all(|p| p[1].timestamp == p[0].timestamp.wrapping_add(160)));
}

#[test]
fn caller_talks_over_greeting_on_lossy_line() {
    let mut link = LossyLine::new(Companding::ALaw);
    link.burst_loss_permille = 10;
    link.jitter_ms = 10;
    let greeting: Vec<i16> = (0..6).flat_map(|_| fixture("opening_hours")).collect();
    link.leg.play(segment(1, 0), greeting, true);
    link.silence_ms(1_500);
    let began = link.now;
    link.speak(&fixture("speak_to_human"));
    link.silence_ms(500);
    let last = *link.voiced().last().unwrap();
    assert!(last - began <= 300 * MS, "agent went on for {:?}", last - began);
    let flushed = link.events.iter().find_map(|event| match event {
        LegEvent::PlayoutFlushed { barge_in, heard, .. } => Some((*barge_in, heard.clone())),
        _ => None,
    });
    let (barge_in, heard) = flushed.unwrap();
    assert!(barge_in && !heard[0].complete);
    let held =
        link.events.iter().find_map(|e| if let LegEvent::PlayoutPaused { at, .. } = e { Some(*at) } else { None });
    let at = held.unwrap();
    let sent_ms = heard[0].sent_samples / 8;
    assert!(u128::from(sent_ms).abs_diff(link.ms(at)) <= 60, "heard {sent_ms} ms at {} ms", link.ms(at));
    // What arrives of the interrupted reply afterwards is never heard.
    link.leg.play(segment(1, 1), fixture("opening_hours"), true);
    let before = link.voiced().len();
    link.silence_ms(1_000);
    assert_eq!(link.voiced().len(), before);
}

#[test]
fn each_gap_in_the_agents_speech_is_counted_once() {
    let mut link = LossyLine::new(Companding::MuLaw);
    let words = fixture("opening_hours");
    for (part, ended) in [(&words[..4_000], false), (&words[4_000..8_000], false), (&words[8_000..], true)] {
        link.leg.play(segment(1, 0), part.to_vec(), ended);
        link.silence_ms(part.len() / 8 + 300);
    }
    assert_eq!(link.leg.stats().underruns, 2, "none at the end");
}

/// RFC 3551 section 4.2 asks for 200 ms; recorders of old send more.
#[test]
fn long_packets_are_heard() {
    for ms in [60_usize, 200, 240, 300] {
        let mut link = LossyLine::new(Companding::MuLaw);
        link.silence_ms(100);
        let codes = vec![Companding::MuLaw.encode(8_000); ms * 8];
        for _ in 0..10 {
            link.send_packet(0, &codes);
            link.timestamp = link.timestamp.wrapping_add(ms as u32 * 8);
            link.pass(ms as u32);
        }
        let loud = link.heard().iter().filter(|sample| **sample > 4_000).count();
        assert!(loud >= 9 * ms * 8, "{ms} ms: {loud} samples");
    }
}
