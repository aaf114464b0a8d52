//! What the carrier does in an answered call: digits, hold, transfer, and the end.

use super::finding::Verdict::{NotTried, Note, Ok as Good, Problem};
use super::finding::{Findings, and, reply, seconds};
use crate::trunk_check::observation::{
    AnswerDescription, CallEnd, CallObservation, HoldObservation, ReferObservation, TrunkObservations,
};
use crate::trunk_check::offer::EVENT_OFFERED;

pub(super) fn judge(seen: &TrunkObservations, call: &CallObservation, findings: &mut Findings) {
    if let Some(Ok(answer)) = call.answer.as_ref().map(|answer| answer.description.as_ref()) {
        digits(call, answer, findings);
    }
    hold(call, findings);
    methods(call, findings);
    transfer(seen, call, findings);
    end(seen, call, findings);
}

fn digits(call: &CallObservation, answer: &AnswerDescription, findings: &mut Findings) {
    let Some((_, clock_hz)) = answer.audio else { return };
    let fitting = answer.telephone_events.iter().find(|(_, clock)| *clock == clock_hz);
    let Some((payload_type, _)) = fitting else {
        let words = match answer.telephone_events.first() {
            None => "The answer has no telephone-event: digits cannot be sent as events.".to_owned(),
            Some((number, clock)) => {
                format!(
                    "telephone-event has payload type {number} with a clock of {clock} Hz, but the audio has {clock_hz} Hz."
                )
            }
        };
        return findings.advise(
            "dtmf",
            Problem,
            words,
            "Digits go as tones in the audio, which menus behind codecs other than G.711 misread. Ask the carrier for \
             RFC 4733 (RFC 2833) events.",
        );
    };
    let words = digits_words(call, *payload_type, clock_hz);
    let received = call.media.digits.payload_type;
    let event_sent = answer.telephone_events.iter().map(|(number, _)| *number);
    let wrong = received.filter(|number| *number != EVENT_OFFERED && !event_sent.clone().any(|sent| sent == *number));
    if let Some(wrong) = wrong {
        return findings.advise(
            "dtmf",
            Problem,
            format!("{words} The carrier's digits have payload type {wrong}, which was not agreed on."),
            "Digits of callers are not recognized. Ask the carrier to send the payload type of the offer (101).",
        );
    }
    let partial = !call.media.digits.keys.is_empty() && call.media.digits.keys != call.sent_digits;
    if partial && is_echo(call) {
        findings.advise(
            "dtmf",
            Problem,
            words,
            "The far end echoes, and digits were lost or repeated on the way. Send the carrier a recording of this call.",
        );
    } else if *payload_type != EVENT_OFFERED && clock_hz == 8_000 {
        findings.advise(
            "dtmf",
            Note,
            format!(
                "{words} We offered payload type {EVENT_OFFERED}; the carrier wants another one for what it receives."
            ),
            "Calls follow it. If digits are not recognized, ask the carrier for payload type 101 in both directions.",
        );
    } else {
        findings.add("dtmf", Good, words);
    }
}

/// What was agreed on and what became of our digits.
fn digits_words(call: &CallObservation, payload_type: u8, clock_hz: u32) -> String {
    let mut words = format!("Digits are events with payload type {payload_type} and {clock_hz} Hz.");
    if !call.sent_digits.is_empty() {
        words.push_str(&format!(" {} was sent", call.sent_digits));
        words.push_str(&match call.media.digits.keys.as_str() {
            "" => "; none came back, as none do from most callees.".to_owned(),
            digits if digits == call.sent_digits => " and came back complete.".to_owned(),
            digits => format!("; {digits} came back."),
        });
    }
    words
}

fn is_echo(call: &CallObservation) -> bool {
    call.media.echo_ms.is_some()
}

fn hold(call: &CallObservation, findings: &mut Findings) {
    match &call.hold {
        HoldObservation::NotTried => findings.add("hold", NotTried, "The call was over before hold was tried."),
        HoldObservation::Refused(status) => {
            let how = status.map_or("was not answered".to_owned(), |status| format!("was refused with {status}"));
            findings.advise(
                "hold",
                Problem,
                format!("A re-INVITE that puts the call on hold {how}."),
                "Transfers with a consultation and session refreshes by re-INVITE may fail. Ask the carrier for re-INVITE \
                 with sendonly (RFC 3264).",
            );
        }
        HoldObservation::Held {
            direction,
            packets_on_hold,
            resumed,
            resumed_direction,
            packets_after,
            packets_before,
        } => {
            let held = direction.unwrap_or("no direction");
            let is_resumed = resumed.is_some_and(|status| (200..300).contains(&status));
            if !is_resumed {
                let how = resumed.map_or("was not answered".to_owned(), |status| format!("was refused with {status}"));
                return findings.advise(
                    "hold",
                    Problem,
                    format!("Hold was answered {held}, but the re-INVITE that resumes {how}."),
                    "Calls stay silent after hold. Send this report to the carrier.",
                );
            }
            if *packets_after == 0 && *packets_before > 0 {
                return findings.advise(
                    "hold",
                    Problem,
                    format!("Hold was answered {held}. After the call was resumed no packet came."),
                    "Calls stay silent after hold. Send this report to the carrier.",
                );
            }
            if let Some(direction) = resumed_direction.filter(|direction| *direction != "sendrecv") {
                return findings.advise(
                    "hold",
                    Problem,
                    format!("Hold was answered {held}. The re-INVITE that resumes was answered {direction} instead of sendrecv."),
                    "Calls stay one-way after hold. Send this report to the carrier.",
                );
            }
            held_well(*direction, *packets_on_hold, findings);
        }
    }
}

/// Hold worked; whether its answer was right.
fn held_well(direction: Option<&'static str>, packets_on_hold: u64, findings: &mut Findings) {
    let held = direction.unwrap_or("no direction");
    let on_hold = match packets_on_hold {
        0 => "nothing was sent meanwhile".to_owned(),
        packets => format!("{packets} packets came meanwhile"),
    };
    if matches!(direction, Some("recvonly" | "inactive")) {
        findings.add("hold", Good, format!("Hold was answered {held}; {on_hold}. Audio went on afterwards."));
    } else {
        findings.advise(
            "hold",
            Note,
            format!("Hold (sendonly) was answered {held}; {on_hold}. Audio went on afterwards."),
            "The answer should be recvonly or inactive (RFC 3264). The carrier may not pass hold on to its side.",
        );
    }
}

/// What Allow and Supported say.
fn methods(call: &CallObservation, findings: &mut Findings) {
    let Some(reply) = reply(&call.invite) else { return };
    let Some(allow) = &reply.allow else {
        return findings.add(
            "methods",
            Note,
            "The answer has no Allow header: which methods the carrier knows is open.",
        );
    };
    let has = |name: &str| allow.iter().any(|method| method.eq_ignore_ascii_case(name));
    let (known, missing): (Vec<&str>, Vec<&str>) =
        ["UPDATE", "INFO", "PRACK"].into_iter().partition(|method| has(method));
    let list = |names: &[&str]| and(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    let mut words = match (known.is_empty(), missing.is_empty()) {
        (_, true) => format!("Allow lists {}.", list(&known)),
        (true, false) => format!("Allow does not list {}.", list(&missing)),
        (false, false) => format!("Allow lists {}, but not {}.", list(&known), list(&missing)),
    };
    if !reply.supported.is_empty() {
        words.push_str(&format!(" Supported: {}.", and(&reply.supported)));
    }
    findings.add("methods", Good, words);
}

fn transfer(seen: &TrunkObservations, call: &CallObservation, findings: &mut Findings) {
    let reply = reply(&call.invite);
    let allow = reply.and_then(|reply| reply.allow.as_ref());
    let listed = allow.map(|allow| allow.iter().any(|method| method.eq_ignore_ascii_case("REFER")));
    let replaces = reply.is_some_and(|reply| reply.supported.iter().any(|one| one.eq_ignore_ascii_case("replaces")));
    let replaces = if replaces { " Replaces is supported, so attended transfers are possible." } else { "" };
    if let ReferObservation::Answered { status, reports } = &call.refer {
        return referred(*status, reports, findings);
    }
    if seen.settings.refer_to.is_some() {
        findings.add("transfer", NotTried, "The call was over before REFER was tried.");
        return;
    }
    match listed {
        Some(true) => findings.add(
            "transfer",
            Good,
            format!("Allow lists REFER.{replaces} Use --refer-to to see whether it is really carried out."),
        ),
        Some(false) => findings.advise(
            "transfer",
            Note,
            "Allow does not list REFER: the carrier transfers no calls.",
            "Transfers by REFER will be refused. Let Trunkline connect both calls instead, or ask the carrier to enable REFER.",
        ),
        None => findings.add("transfer", NotTried, "No Allow header says whether REFER is taken. Use --refer-to to try."),
    }
}

fn referred(status: Option<u16>, reports: &[String], findings: &mut Findings) {
    match status {
        Some(status) if (200..300).contains(&status) => {
            let last = reports.last();
            let has_success = last.is_some_and(|last| last.split(' ').nth(1).is_some_and(|code| code.starts_with('2')));
            match last {
                Some(_) if has_success => {
                    findings.add("transfer", Good, format!("REFER was accepted ({status}) and reported {}.", and(reports)));
                }
                Some(last) => findings.advise(
                    "transfer",
                    Problem,
                    format!("REFER was accepted ({status}), but the transfer ended with {last}."),
                    "Check the number after --refer-to, and whether the account may call it.",
                ),
                None => findings.advise(
                    "transfer",
                    Note,
                    format!("REFER was accepted ({status}), but no NOTIFY told how it went."),
                    "Trunkline waits for the outcome in vain. Ask the carrier for NOTIFY with message/sipfrag (RFC 3515).",
                ),
            }
        }
        Some(status) => findings.advise(
            "transfer",
            Problem,
            format!("REFER was refused with {status}."),
            "Let Trunkline connect both calls instead, or ask the carrier to enable REFER.",
        ),
        None => {
            findings.advise("transfer", Problem, "REFER was not answered.", "Ask the carrier whether it takes REFER.")
        }
    }
}

fn end(seen: &TrunkObservations, call: &CallObservation, findings: &mut Findings) {
    let others = seen.calls.iter().filter(|other| matches!(other.end, CallEnd::ByUs { status: None })).count();
    match &call.end {
        CallEnd::NotAnswered | CallEnd::Canceled { .. } => {}
        CallEnd::ByUs { status: Some(status) } if (200..300).contains(status) && others == 0 => {
            findings.add("hang_up", Good, format!("We hung up, and BYE was answered {status}."));
        }
        CallEnd::ByUs { status: Some(status) } if !(200..300).contains(status) => findings.advise(
            "hang_up",
            Problem,
            format!("BYE was answered {status}."),
            "The carrier may charge on. Send it this report: BYE goes to the Contact and the Record-Route of its answer.",
        ),
        CallEnd::ByUs { .. } => findings.advise(
            "hang_up",
            Problem,
            "BYE was not answered.",
            "The carrier may charge on, because the address in its Contact or Record-Route cannot be reached from here.",
        ),
        CallEnd::ByPeer { after_ms, reason } => {
            let why = reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            let words = format!("The other side hung up {} after the answer{why}.", seconds(*after_ms));
            let about_32_s = (30_000..36_000).contains(after_ms);
            let advice = if about_32_s {
                "Calls that end after 32 s have lost their ACK: check that the Contact of the answer can be reached, and NAT."
            } else {
                "What is missing above was not tried. Use a number that stays on the line, or fewer --seconds."
            };
            findings.advise("hang_up", if about_32_s { Problem } else { Note }, words, advice);
        }
    }
}
