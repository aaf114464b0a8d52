//! The answer to the INVITE: codecs, packet time, SRTP, early media and session timers.

use super::finding::Verdict::{NotTried, Note, Ok as Good, Problem};
use super::finding::{Findings, and, reply, seconds, status_of, status_words};
use crate::trunk_check::observation::{
    AnswerDescription, CallEnd, CallObservation, CallPurpose, SrtpRequest, TrunkObservations,
};

pub(super) fn judge(seen: &TrunkObservations, call: &CallObservation, findings: &mut Findings) {
    outcome(call, findings);
    identity(seen, call, findings);
    codecs(seen, findings);
    srtp(seen, findings);
    early_media(call, findings);
    timers(call, findings);
    if let Some(Ok(answer)) = call.answer.as_ref().map(|answer| answer.description.as_ref()) {
        packet_time(seen, call, answer, findings);
    }
}

fn outcome(call: &CallObservation, findings: &mut Findings) {
    let rang = call.provisionals.iter().any(|provisional| provisional.status >= 180);
    match (&call.answer, reply(&call.invite)) {
        (Some(answer), _) => match &answer.description {
            Ok(_) => findings.add("call", Good, format!("Answered after {}.", seconds(answer.after_ms))),
            Err(why) => findings.advise(
                "call",
                Problem,
                format!(
                    "Answered after {}, but the session description cannot be used: {why}.",
                    seconds(answer.after_ms)
                ),
                "Send this report to the carrier: there can be no audio.",
            ),
        },
        (None, Some(reply)) if !matches!(call.end, CallEnd::Canceled { .. }) => findings.advise(
            "call",
            Problem,
            format!("The call was refused: {}.", status_words(reply)),
            advice_for(reply.status),
        ),
        _ if rang => findings.advise(
            "call",
            Problem,
            "It rang, and nobody answered.",
            "Use a number that answers by itself, such as another agent or an echo test.",
        ),
        _ => findings.advise(
            "call",
            Problem,
            "INVITE was not answered.",
            "A large INVITE over UDP may be lost as fragments: offer fewer codecs, or use transport tcp.",
        ),
    }
}

fn advice_for(status: u16) -> &'static str {
    match status {
        401 | 407 => "See credentials.",
        402 => "The account has no credit.",
        403 => {
            "The carrier does not allow this call: wrong caller number (from_user, identity_header), a destination that is \
                not enabled, or an address it does not know."
        }
        404 | 484 | 604 => "The carrier does not know the number in this form: see dial_string and country_code.",
        408 | 480 | 504 => "The number cannot be reached. Try another one.",
        420 | 421 => "The carrier wants or refuses a SIP extension. Send it this report.",
        422 => "The carrier names no Min-SE with its 422. Set sip.session_expires_s to what it wants.",
        486 | 600 => "The number is busy. Try another one.",
        488 | 606 | 415 => "The offer was refused: see codecs and srtp.",
        500..=599 => "The carrier cannot make the call now. Try again, and send it this report.",
        _ => "Send this report to the carrier.",
    }
}

fn identity(seen: &TrunkObservations, call: &CallObservation, findings: &mut Findings) {
    let with = seen.settings.identity_header.map(|name| format!(" and {name}")).unwrap_or_default();
    match status_of(call) {
        Some(200..=299) => findings.add("caller", Good, format!("The call was taken with our From{with}.")),
        Some(403 | 433 | 428 | 436..=438 | 606 | 607 | 608) => findings.advise(
            "caller",
            Note,
            format!("The call was refused with our From{with}; the caller's number may be the reason."),
            "Ask the carrier in which header and format it wants your number, and which numbers you may show.",
        ),
        _ => findings.add("caller", NotTried, "No call was answered that would show it."),
    }
}

/// Codecs of the answer, and of the calls with one codec each.
fn codecs(seen: &TrunkObservations, findings: &mut Findings) {
    let offered = &seen.settings.codecs;
    let taken = seen.calls.iter().filter(|call| !matches!(call.purpose, CallPurpose::OneCodec(_)));
    let taken = taken.filter_map(|call| call.answer.as_ref()?.description.as_ref().ok()).next_back();
    let alone: Vec<(&String, Option<u16>, bool)> = seen
        .calls
        .iter()
        .filter_map(|call| match &call.purpose {
            CallPurpose::OneCodec(codec) => {
                let usable = call.answer.as_ref().is_some_and(|answer| answer.description.is_ok());
                Some((codec, status_of(call), usable))
            }
            CallPurpose::Full | CallPurpose::WithoutSrtp => None,
        })
        .collect();
    let Some(answer) = taken else {
        if alone.iter().all(|(.., usable)| !usable) {
            let refused = seen.calls.iter().any(|call| matches!(status_of(call), Some(488 | 606 | 415)));
            if refused {
                findings.advise(
                    "codecs",
                    Problem,
                    format!("{} offered, and none was taken.", and(offered)),
                    "Ask the carrier which codecs it supports and put them into codecs. Every one has PCMA or PCMU.",
                );
            } else {
                findings.add("codecs", NotTried, "No call was answered.");
            }
            return;
        }
        return one_by_one(&alone, None, findings);
    };
    let foreign: Vec<String> = answer.codecs.iter().filter(|codec| !offered.contains(codec)).cloned().collect();
    if !foreign.is_empty() {
        findings.advise(
            "codecs",
            Problem,
            format!(
                "The answer lists {}, which {} not offered.",
                and(&foreign),
                if foreign.len() == 1 { "was" } else { "were" }
            ),
            "An answer may only list what was offered (RFC 3264). Send this report to the carrier.",
        );
    }
    if let Some(first) = answer.codecs.first() {
        let of = and(offered);
        let more = if answer.codecs.len() > 1 {
            format!(" (the answer lists {})", and(&answer.codecs))
        } else {
            String::new()
        };
        findings.add("codecs", Good, format!("Of {of} the carrier chose {first}{more}."));
    }
    one_by_one(&alone, answer.codecs.first(), findings);
}

fn one_by_one(alone: &[(&String, Option<u16>, bool)], chosen: Option<&String>, findings: &mut Findings) {
    let names = |wanted: bool| -> Vec<String> {
        alone.iter().filter(|(.., usable)| *usable == wanted).map(|(codec, ..)| (*codec).clone()).collect()
    };
    let (yes, no) = (names(true), names(false));
    match (yes.is_empty(), no.is_empty()) {
        (_, true) if alone.is_empty() => {}
        (_, true) => findings.add("codecs", Good, format!("Offered alone, {} {} taken.", and(&yes), were(&yes))),
        (false, false) => findings.advise(
            "codecs",
            Note,
            format!("Offered alone, only {} {} taken; {} {} refused.", and(&yes), were(&yes), and(&no), were(&no)),
            format!("Put {} first in codecs. Calls that offer only {} fail.", and(&yes), and(&no)),
        ),
        (true, false) => {
            let but = chosen.map(|codec| format!(", although {codec} was chosen before")).unwrap_or_default();
            findings.advise(
                "codecs",
                Note,
                format!("Offered alone, {} {} refused{but}.", and(&no), were(&no)),
                "The number may refuse calls that follow each other quickly. Try again later.",
            );
        }
    }
}

fn were(names: &[String]) -> &'static str {
    if names.len() == 1 { "was" } else { "were" }
}

fn packet_time(seen: &TrunkObservations, call: &CallObservation, answer: &AnswerDescription, findings: &mut Findings) {
    if let (Some(most), Some(other)) = (call.media.packet_ms, call.media.other_packet_ms) {
        findings.advise(
            "ptime",
            Note,
            format!("The packet time changes in the call: {most} ms and {other} ms a packet."),
            "Calls take it. Other programs hear it garbled: ask the carrier whether it can repacketize.",
        );
    }
    let ours = seen.settings.ptime_ms;
    let asked = answer.ptime_ms;
    let sends = call.media.packet_ms;
    let max = answer.maxptime_ms.map(|max| format!(", at most {max} ms")).unwrap_or_default();
    let says = asked.map_or("names no packet time".to_owned(), |ms| format!("wants {ms} ms a packet"));
    match (asked.unwrap_or(ours), sends) {
        (asked, _) if asked != ours => findings.advise(
            "ptime",
            Note,
            format!("The carrier {says}{max}; we asked for {ours} ms{}.", sent_words(sends)),
            format!("Calls follow the carrier. Set ptime_ms = {asked} to ask for it from the beginning."),
        ),
        (_, Some(sends)) if sends != ours => findings.advise(
            "ptime",
            Note,
            format!("The carrier {says}{max}, but sends {sends} ms a packet; we asked for {ours} ms."),
            "Calls take it. Programs that count on the agreed packet time hear it choppy: ask the carrier why it differs.",
        ),
        _ => findings.add("ptime", Good, format!("The carrier {says}{max}{}.", sent_words(sends))),
    }
}

fn sent_words(sends: Option<u16>) -> String {
    sends.map(|ms| format!("; it sends {ms} ms")).unwrap_or_default()
}

fn srtp(seen: &TrunkObservations, findings: &mut Findings) {
    let offered = seen.calls.iter().find(|call| call.offered_srtp);
    let Some(call) = offered else {
        return findings.add(
            "srtp",
            NotTried,
            "The trunk has srtp off. Set it to preferred to see whether the carrier takes it.",
        );
    };
    let secure =
        call.answer.as_ref().and_then(|answer| answer.description.as_ref().ok()).map(|answer| answer.is_secure);
    let mandatory = seen.settings.srtp == SrtpRequest::Mandatory;
    match (secure, status_of(call)) {
        (Some(true), _) if call.media.undecryptable > 0 && call.media.received == 0 => findings.advise(
            "srtp",
            Problem,
            format!("SRTP was agreed on, but {} packets could not be authenticated.", call.media.undecryptable),
            "The carrier encrypts with another key than its answer names, or not at all. Send it this report.",
        ),
        (Some(true), _) => findings.add("srtp", Good, "SRTP was offered with keys in SDP and taken."),
        (Some(false), _) if mandatory => findings.advise(
            "srtp",
            Problem,
            "SRTP is mandatory for the trunk, and the carrier answered without it.",
            "Calls fail. Ask the carrier for SRTP, which often needs transport tls, or set srtp to preferred.",
        ),
        (Some(false), _) => findings.add("srtp", Note, "SRTP was offered and the carrier chose plain RTP."),
        (None, Some(488 | 606 | 415)) if mandatory => findings.advise(
            "srtp",
            Problem,
            "SRTP is mandatory for the trunk, and the carrier refused the offer.",
            "Ask the carrier for SRTP, which often needs transport tls, or set srtp to preferred.",
        ),
        (None, Some(488 | 606 | 415)) => findings.advise(
            "srtp",
            Note,
            "The offer of SRTP was refused; the same call without it was made afterwards.",
            "Set srtp to off: it saves one attempt in each call.",
        ),
        (None, _) => findings.add("srtp", NotTried, "The call with SRTP was not answered for another reason."),
    }
}

fn early_media(call: &CallObservation, findings: &mut Findings) {
    let with_description = call.provisionals.iter().find(|provisional| provisional.has_description);
    let statuses: Vec<String> = {
        let mut all: Vec<u16> = call.provisionals.iter().map(|provisional| provisional.status).collect();
        all.dedup();
        all.into_iter().map(|status| status.to_string()).collect()
    };
    // A few packets overtake the answer.
    let packets = if with_description.is_some() { call.early.received } else { call.early.received.saturating_sub(10) };
    let header = call.provisionals.iter().find_map(|provisional| provisional.early_media_header.clone());
    let header = header.map(|value| format!(" P-Early-Media: {value}.")).unwrap_or_default();
    match (with_description, packets) {
        _ if statuses.is_empty() && call.answer.is_none() => {}
        (None, 0) if statuses.is_empty() => findings.add("early_media", Good, "The call was answered without ringing."),
        (None, 0) => findings.add("early_media", Good, format!("{} came before the answer, without audio.{header}", and(&statuses))),
        (None, packets) => findings.advise(
            "early_media",
            Note,
            format!("{packets} or more packets of audio came before the answer, without a session description.{header}"),
            "Without a description its codec is not known: announcements before the answer may not be heard.",
        ),
        (Some(early), 0) => findings.advise(
            "early_media",
            Note,
            format!("{} came with a session description after {}, but no audio followed before the answer.{header}",
                early.status, seconds(early.after_ms)),
            "If callees or announcements should be heard before the answer, check the firewall: see media.",
        ),
        (Some(early), packets) => findings.add(
            "early_media",
            Good,
            format!("{} came with a session description after {}, and {packets} packets of audio before the answer.{header}",
                early.status, seconds(early.after_ms)),
        ),
    }
    let reliable: Vec<Option<u16>> = call.provisionals.iter().filter_map(|provisional| provisional.reliable).collect();
    let failed = reliable.iter().find(|status| !status.is_some_and(|status| (200..300).contains(&status)));
    match (reliable.is_empty(), failed) {
        (true, _) => {}
        (false, None) => {
            findings.add("prack", Good, "Responses before the answer are reliable (100rel), and PRACK was taken.")
        }
        (false, Some(status)) => {
            let how = status.map_or("not answered".to_owned(), |status| format!("answered {status}"));
            findings.advise(
                "prack",
                Problem,
                format!("The carrier asked for PRACK, and ours was {how}."),
                "The call may end before the answer. Send this report to the carrier: the PRACK goes to the Contact of its 183.",
            );
        }
    }
}

fn timers(call: &CallObservation, findings: &mut Findings) {
    let timer = &call.timer;
    if let Some(min_s) = timer.raised_to_s {
        findings.advise(
            "session_timer",
            Note,
            format!(
                "A session interval of {} s was refused (422); the carrier wants {min_s} s at least.",
                timer.asked_s
            ),
            format!("Set sip.session_expires_s = {min_s}: it saves one attempt in each call."),
        );
    }
    if call.answer.is_none() {
        return;
    }
    match &timer.agreed {
        None => findings.add(
            "session_timer",
            Good,
            "The answer has no session timer: the carrier does not watch whether calls are alive in this way.",
        ),
        Some((agreed_s, _)) if *agreed_s < 90 => findings.advise(
            "session_timer",
            Problem,
            format!("The carrier wants a session interval of {agreed_s} s, below the minimum of 90 s (RFC 4028)."),
            "Long calls may be cut. Ask the carrier for 1,800 s.",
        ),
        Some((agreed_s, refresher)) => {
            let who = match refresher.as_deref() {
                Some(name) if name.eq_ignore_ascii_case("uas") => "the carrier refreshes",
                Some(_) => "we refresh",
                None => "it does not say who refreshes",
            };
            let words = format!("Session timer of {agreed_s} s; {who}.");
            if refresher.is_some() {
                findings.add("session_timer", Good, words);
            } else {
                findings.advise(
                    "session_timer",
                    Note,
                    words,
                    "If calls end after this time, ask the carrier to name the refresher.",
                );
            }
        }
    }
}
