//! Packets, their way, their clock and what is in them.

use super::finding::Verdict::{NotTried, Note, Ok as Good, Problem};
use super::finding::{Findings, and};
use crate::trunk_check::observation::{CallObservation, TrunkObservations};
use crate::trunk_check::rtp_statistics::{ClockDrift, DRIFT_SECONDS_MIN, RtpStatistics};

/// A clock that differs by less is within the tolerance of cheap quartzes.
const DRIFT_PPM_MAX: f64 = 100.0;
const LOSS_SHARE_MAX: f64 = 0.01;
const JITTER_MS_MAX: f64 = 30.0;
/// Audio that is hardly heard, and audio that is cut.
const LEVEL_DBFS_MIN: f32 = -45.0;
const LEVEL_DBFS_MAX: f32 = -6.0;
const ECHO_MS_MAX: f64 = 400.0;

pub(super) fn judge(_: &TrunkObservations, call: &CallObservation, findings: &mut Findings) {
    let Some(Ok(answer)) = call.answer.as_ref().map(|answer| answer.description.as_ref()) else { return };
    let media = &call.media;
    if media.undecryptable > 0 && media.received == 0 {
        return findings.add("audio", Problem, "No packet could be decrypted: see srtp.");
    }
    if media.received == 0 {
        return nothing(media, answer.direction, findings);
    }
    audio(media, findings);
    source(media, answer.addr, findings);
    loss(media, findings);
    drift(media, findings);
    silence(media, answer.comfort_noise, findings);
    level(media, findings);
    payloads(media, answer.audio.map(|(number, _)| number), findings);
    if let Some(echo_ms) = media.echo_ms {
        let words = format!("The far end echoes: the round trip of audio takes {echo_ms:.0} ms.");
        if echo_ms > ECHO_MS_MAX {
            findings.advise(
                "echo",
                Note,
                words,
                "Callers notice delays above 300 ms. Choose a region of the carrier nearer to the server.",
            );
        } else {
            findings.add("echo", Good, words);
        }
    }
    rtcp(media, findings);
}

/// One-way media: nothing came.
fn nothing(media: &RtpStatistics, direction: &str, findings: &mut Findings) {
    let words =
        format!("No packet came in {:.0} s after the answer, while {} were sent.", media.listened_s, media.sent);
    let advice = match (direction, media.rtcp_received) {
        ("sendonly" | "sendrecv", 0) => {
            "Open the RTP range (media.port_first to media.port_last, UDP) in the firewall, and check that the address in \
             our SDP is the public one (sip.advertised_address). If both are right, the carrier sends elsewhere: ask it \
             for the address it sent to."
        }
        ("sendonly" | "sendrecv", _) => {
            "RTCP comes, so the path is open: the callee sends no audio. Try a number that speaks."
        }
        _ => "The answer says that the carrier does not send. Try a number that speaks.",
    };
    findings.advise("audio", Problem, words, advice);
}

fn audio(media: &RtpStatistics, findings: &mut Findings) {
    let late = media.first_s.filter(|first_s| *first_s > 1.0);
    let words = format!("{} packets received, {} sent in {:.0} s.", media.received, media.sent, media.listened_s);
    match late {
        Some(first_s) => findings.advise(
            "audio",
            Note,
            format!("{words} The first came {first_s:.1} s after the answer."),
            "The first words of callees are lost. Ask the carrier whether it waits for our packets first.",
        ),
        None => findings.add("audio", Good, words),
    }
}

fn source(media: &RtpStatistics, described: Option<std::net::SocketAddr>, findings: &mut Findings) {
    let Some(described) = described else { return };
    let others: Vec<String> =
        media.sources.iter().filter(|source| **source != described).map(ToString::to_string).collect();
    match (others.as_slice(), media.sources.contains(&described)) {
        ([], _) => {
            findings.add("media_source", Good, format!("Packets come from {described}, the address of its SDP."))
        }
        (_, false) => findings.advise(
            "media_source",
            Note,
            format!(
                "Packets come from {}, but SDP names {described}: there is a NAT, or a media gateway behind it.",
                and(&others)
            ),
            "Calls send where packets come from (symmetric RTP). If audio is one-way, set media.latching = \"any\".",
        ),
        (_, true) => findings.advise(
            "media_source",
            Note,
            format!("Packets come from {} as well as from {described}.", and(&others)),
            "The media moved in the call. Calls follow it; ask the carrier if words are missing.",
        ),
    }
    if media.ssrcs > 1 {
        findings.add(
            "media_source",
            Note,
            format!("The stream changed its SSRC; {} were seen. Calls follow it.", media.ssrcs),
        );
    }
}

fn loss(media: &RtpStatistics, findings: &mut Findings) {
    let expected = (media.received + media.order.lost).max(1);
    let share = media.order.lost as f64 / expected as f64;
    let mut words = format!("{} of {expected} packets lost ({:.1} %)", media.order.lost, share * 100.0);
    words.push_str(&format!(
        ", {} out of order, {} repeated; jitter {:.0} ms.",
        media.order.reordered, media.order.duplicates, media.jitter_ms
    ));
    let theirs = media.reported_loss.filter(|loss| f64::from(*loss) > LOSS_SHARE_MAX);
    if let Some(theirs) = theirs {
        words.push_str(&format!(" The carrier reports {:.1} % loss of our packets.", theirs * 100.0));
    }
    if share > LOSS_SHARE_MAX || theirs.is_some() {
        findings.advise(
            "network",
            Problem,
            words,
            "Look for the loss with mtr towards the carrier's media address, in both directions.",
        );
    } else if media.jitter_ms > JITTER_MS_MAX {
        findings.advise(
            "network",
            Note,
            words,
            "High jitter delays what is heard. A busy machine and a busy uplink are the usual reasons.",
        );
    } else {
        findings.add("network", Good, words);
    }
}

fn drift(media: &RtpStatistics, findings: &mut Findings) {
    match media.drift {
        ClockDrift::NotMeasured => findings.add(
            "clock",
            NotTried,
            format!("Clock drift needs {DRIFT_SECONDS_MIN:.0} s of audio without a pause; use --seconds 16 or more."),
        ),
        ClockDrift::Measured { ppm, error_ppm, seconds } => {
            let speed = if ppm > 0.0 { "fast" } else { "slow" };
            let words = format!(
                "The carrier's clock is {:.0} ppm {speed} (± {:.0}, over {seconds:.0} s).",
                ppm.abs(),
                2.0 * error_ppm
            );
            if ppm.abs() > DRIFT_PPM_MAX && ppm.abs() > 4.0 * error_ppm {
                let per_hour_ms = ppm.abs() * 3.6;
                findings.advise(
                    "clock",
                    Note,
                    words,
                    format!(
                        "That is {per_hour_ms:.0} ms in an hour. Calls and recordings keep the time, but a gateway with a \
                         fixed jitter buffer clicks. Ask the carrier whether its gateway has a clock reference."
                    ),
                );
            } else {
                findings.add("clock", Good, words);
            }
        }
    }
}

fn silence(media: &RtpStatistics, comfort_noise: Option<u8>, findings: &mut Findings) {
    if media.comfort_noise == 0 && media.pauses == 0 {
        return findings.add("silence", Good, "Packets come also in silence.");
    }
    let agreed = if comfort_noise.is_some() { "" } else { ", although comfort noise was not agreed on" };
    let words = format!(
        "The carrier suppresses silence: {} pauses, {} packets of comfort noise{agreed}.",
        media.pauses, media.comfort_noise
    );
    findings.advise(
        "silence",
        Note,
        words,
        "The ends of words may be cut. Ask the carrier to turn silence suppression (VAD) off.",
    );
}

fn level(media: &RtpStatistics, findings: &mut Findings) {
    let Some(level) = media.level_dbfs else { return };
    let words = format!("What is heard has {level:.0} dBFS on average.");
    if level < -60.0 {
        findings.advise(
            "level",
            Note,
            format!("{words} That is silence."),
            "Try a number that speaks, such as an announcement.",
        );
    } else if level < LEVEL_DBFS_MIN {
        findings.advise(
            "level",
            Note,
            words,
            "That is very quiet: speech recognition suffers. Ask the carrier for its gain.",
        );
    } else if level > LEVEL_DBFS_MAX {
        findings.advise("level", Note, words, "That is so loud that it is probably cut: speech recognition suffers.");
    } else {
        findings.add("level", Good, words);
    }
}

/// Packets with payload types that were not agreed on.
fn payloads(media: &RtpStatistics, audio: Option<u8>, findings: &mut Findings) {
    let Some(audio) = audio else { return };
    let agreed = media.payload_types.get(&audio).copied().unwrap_or_default();
    // Comfort noise and digits are judged elsewhere.
    let foreign = media.payload_types.iter().filter(|(number, _)| **number != audio && **number != 13 && **number < 72);
    if let Some((number, count)) = foreign.max_by_key(|(_, count)| **count) {
        findings.advise(
            "payload",
            if agreed == 0 { Problem } else { Note },
            format!("{count} packets have payload type {number}, {agreed} the agreed {audio}."),
            "The carrier sends another codec than its answer chose: what it sends is not heard. Send it this report.",
        );
    }
}

fn rtcp(media: &RtpStatistics, findings: &mut Findings) {
    if media.rtcp_received > 0 {
        findings.add("rtcp", Good, format!("{} RTCP reports came.", media.rtcp_received));
    } else if media.listened_s >= 10.0 {
        findings.add(
            "rtcp",
            Note,
            "No RTCP came: loss of our own packets cannot be seen, and a muted callee looks like a dead call.",
        );
    } else {
        findings.add("rtcp", NotTried, "No RTCP came, but it was listened for less than 10 s.");
    }
}
