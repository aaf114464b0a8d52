//! The words of reports, compared with `fixtures/trunk_check`, and each trouble that carriers make.

use super::super::observation::*;
use super::super::report::CheckReport;
use super::super::rtp_statistics::{ClockDrift, RtpStatistics};
use super::*;

fn reply(status: u16, reason: &str) -> Reply {
    Reply {
        status,
        reason: reason.to_owned(),
        software: Some("softswitch".to_owned()),
        allow: Some(["INVITE", "ACK", "BYE", "UPDATE", "INFO", "PRACK", "REFER"].map(str::to_owned).to_vec()),
        supported: vec!["timer".to_owned(), "replaces".to_owned()],
        after_ms: 12,
        ..Reply::default()
    }
}

fn answered(status: u16, reason: &str) -> Exchange {
    Exchange {
        outcome: ExchangeOutcome::Answered(reply(status, reason)),
        authentication: Authentication::Answered { realm: "carrier.example".to_owned() },
        seen_as: Some(([192, 0, 2, 1], 5_070).into()),
    }
}

fn media() -> RtpStatistics {
    RtpStatistics {
        sent: 800,
        received: 798,
        listened_s: 16.0,
        first_s: Some(0.04),
        rtcp_received: 3,
        jitter_ms: 1.2,
        drift: ClockDrift::Measured { ppm: 12.0, error_ppm: 4.0, seconds: 15.8 },
        packet_ms: Some(20),
        payload_types: [(8, 798)].into(),
        sources: vec![([198, 51, 100, 7], 20_000).into()],
        ssrcs: 1,
        level_dbfs: Some(-21.0),
        ..RtpStatistics::default()
    }
}

fn call(purpose: CallPurpose) -> CallObservation {
    CallObservation {
        purpose,
        offered_srtp: false,
        invite: answered(200, "OK"),
        timer: TimerObservation { asked_s: 1_800, raised_to_s: None, agreed: Some((1_800, Some("uac".to_owned()))) },
        provisionals: vec![Provisional {
            status: 180,
            after_ms: 300,
            has_description: false,
            reliable: None,
            early_media_header: None,
        }],
        answer: Some(AnswerObservation {
            after_ms: 2_300,
            description: Ok(AnswerDescription {
                codecs: vec!["PCMA".to_owned()],
                ptime_ms: Some(20),
                maxptime_ms: None,
                telephone_events: vec![(101, 8_000)],
                comfort_noise: None,
                is_secure: false,
                addr: Some(([198, 51, 100, 7], 20_000).into()),
                direction: "sendrecv",
                audio: Some((8, 8_000)),
            }),
        }),
        early: RtpStatistics::default(),
        media: media(),
        hold: HoldObservation::Held {
            direction: Some("recvonly"),
            packets_on_hold: 0,
            resumed: Some(200),
            resumed_direction: Some("sendrecv"),
            packets_after: 100,
            packets_before: 100,
        },
        refer: ReferObservation::NotTried,
        sent_digits: "159#".to_owned(),
        end: CallEnd::ByUs { status: Some(200) },
        peer_requests: Vec::new(),
    }
}

fn pleasant() -> TrunkObservations {
    TrunkObservations {
        settings: CheckSettings {
            transport: "UDP",
            codecs: vec!["PCMU".to_owned(), "PCMA".to_owned()],
            srtp: SrtpRequest::Off,
            has_credentials: true,
            local_port: 5_070,
            server_port: 5_060,
            advertised: [192, 0, 2, 1].into(),
            identity_header: None,
            ptime_ms: 20,
            refer_to: None,
        },
        name: NameObservation {
            host: "sip.carrier.example".to_owned(),
            naptr: Vec::new(),
            srv: vec!["a.carrier.example:5060".to_owned()],
            addresses: Ok(vec![([198, 51, 100, 1], 5_060).into()]),
        },
        connection: ConnectionObservation::Datagrams,
        options: answered(200, "OK"),
        registration: None,
        calls: vec![
            call(CallPurpose::Full),
            call(CallPurpose::OneCodec("PCMU".to_owned())),
            call(CallPurpose::OneCodec("PCMA".to_owned())),
        ],
        completion: Completion::Complete,
    }
}

fn compare(name: &str, seen: &TrunkObservations) {
    let mut settings = insta::Settings::new();
    settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/trunk_check"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let report = CheckReport::new("Carrier", "+31201234567", seen).to_string();
    settings.bind(|| insta::assert_snapshot!(name, report));
}

#[test]
fn a_pleasant_carrier_has_no_problem() {
    let seen = pleasant();
    assert_eq!(CheckReport::new("Carrier", "+31201234567", &seen).problems, 0);
    compare("pleasant", &seen);
}

#[test]
fn a_carrier_with_many_faults_is_described() {
    let mut seen = pleasant();
    seen.options.seen_as = Some(([203, 0, 113, 9], 31_000).into());
    let call = &mut seen.calls[0];
    call.timer.raised_to_s = Some(3_600);
    call.timer.agreed = Some((3_600, None));
    call.provisionals[0] = Provisional {
        status: 183,
        after_ms: 400,
        has_description: true,
        reliable: Some(None),
        early_media_header: Some("sendrecv".to_owned()),
    };
    call.early.received = 40;
    call.hold = HoldObservation::Refused(Some(488));
    call.end = CallEnd::ByPeer { after_ms: 32_100, reason: Some("Q.850;cause=102".to_owned()) };
    call.media.order.lost = 60;
    call.media.drift = ClockDrift::Measured { ppm: -200.0, error_ppm: 10.0, seconds: 15.0 };
    call.media.comfort_noise = 12;
    call.media.level_dbfs = Some(-50.0);
    call.media.sources = vec![([198, 51, 100, 99], 20_000).into()];
    call.media.packet_ms = Some(30);
    call.media.rtcp_received = 0;
    call.media.digits.keys = "1".to_owned();
    call.media.digits.payload_type = Some(96);
    seen.calls[1].invite = answered(488, "Not Acceptable Here");
    seen.calls[1].answer = None;
    compare("faults", &seen);
}

#[test]
fn a_carrier_that_cannot_be_reached_is_described() {
    let mut seen = pleasant();
    seen.calls.clear();
    seen.options = Exchange::default();
    seen.name.addresses = Err("no such name".to_owned());
    seen.connection = ConnectionObservation::NotTried;
    compare("no_address", &seen);
    let mut seen = pleasant();
    seen.connection = ConnectionObservation::NotSecured("certificate not valid for name \"carrier\"".to_owned());
    seen.options = Exchange::default();
    seen.calls.clear();
    compare("bad_certificate", &seen);
}

/// The finding of a check after a change of what was seen.
fn finding(check: &str, change: impl FnOnce(&mut TrunkObservations)) -> Finding {
    let mut seen = pleasant();
    change(&mut seen);
    let found = judge(&seen);
    let worst = |verdict: Verdict| found.iter().find(|finding| finding.check == check && finding.verdict == verdict);
    let order = [Verdict::Problem, Verdict::Note, Verdict::NotTried, Verdict::Ok];
    order.into_iter().find_map(worst).unwrap_or_else(|| panic!("no {check} in {found:?}")).clone()
}

/// The same of the thorough call.
fn in_call(check: &str, change: impl FnOnce(&mut CallObservation)) -> Finding {
    finding(check, |seen| change(&mut seen.calls[0]))
}

fn assert_finding(found: &Finding, verdict: Verdict, words: &str) {
    assert_eq!(found.verdict, verdict, "{found:?}");
    let all = format!("{} {}", found.seen, found.advice.as_deref().unwrap_or(""));
    assert!(all.contains(words), "{words:?} is not in {found:?}");
    assert!(verdict != Verdict::Problem || found.advice.is_some(), "a problem needs advice: {found:?}");
}

#[test]
fn one_way_audio_is_told_from_a_silent_callee() {
    let silent = |call: &mut CallObservation| (call.media.received, call.media.rtcp_received) = (0, 0);
    assert_finding(&in_call("audio", silent), Verdict::Problem, "sip.advertised_address");
    assert_finding(&in_call("audio", |call| call.media.received = 0), Verdict::Problem, "RTCP comes");
    assert_finding(&in_call("audio", |call| call.media.first_s = Some(3.0)), Verdict::Note, "first came 3.0 s");
}

#[test]
fn digits() {
    let events = |events: Vec<(u8, u32)>| {
        move |call: &mut CallObservation| {
            if let Some(Ok(answer)) = call.answer.as_mut().map(|answer| answer.description.as_mut()) {
                answer.telephone_events = events;
            }
        }
    };
    assert_finding(&in_call("dtmf", events(vec![])), Verdict::Problem, "no telephone-event");
    assert_finding(&in_call("dtmf", events(vec![(96, 8_000)])), Verdict::Note, "payload type 101");
    assert_finding(&in_call("dtmf", events(vec![(110, 48_000)])), Verdict::Problem, "48000 Hz");
    let wrong = |call: &mut CallObservation| {
        (call.media.digits.keys, call.media.digits.payload_type) = ("5".to_owned(), Some(96));
    };
    assert_finding(&in_call("dtmf", wrong), Verdict::Problem, "not agreed on");
    let lossy = |call: &mut CallObservation| {
        (call.media.digits.keys, call.media.digits.payload_type) = ("19#".to_owned(), Some(101));
        call.media.echo_ms = Some(80.0);
    };
    assert_finding(&in_call("dtmf", lossy), Verdict::Problem, "lost or repeated");
}

#[test]
fn session_timers() {
    let agreed = |agreed| move |call: &mut CallObservation| call.timer.agreed = agreed;
    assert_finding(&in_call("session_timer", |call| call.timer.raised_to_s = Some(7_200)), Verdict::Note, "7200");
    assert_finding(&in_call("session_timer", agreed(Some((60, None)))), Verdict::Problem, "below the minimum");
    assert_finding(&in_call("session_timer", agreed(Some((1_800, None)))), Verdict::Note, "does not say who");
    assert_finding(&in_call("session_timer", agreed(None)), Verdict::Ok, "no session timer");
}

#[test]
fn early_media() {
    let came = |count, has_description| {
        move |call: &mut CallObservation| {
            (call.early.received, call.provisionals[0].has_description) = (count, has_description);
        }
    };
    assert_finding(&in_call("early_media", came(5, false)), Verdict::Ok, "without audio");
    assert_finding(&in_call("early_media", came(50, false)), Verdict::Note, "without a session description");
    assert_finding(&in_call("early_media", came(0, true)), Verdict::Note, "no audio followed");
    assert_finding(&in_call("early_media", came(5, true)), Verdict::Ok, "5 packets");
}

#[test]
fn packet_time() {
    assert_finding(&in_call("ptime", |call| call.media.packet_ms = Some(40)), Verdict::Note, "sends 40 ms");
    let changes = |call: &mut CallObservation| call.media.other_packet_ms = Some(40);
    assert_finding(&in_call("ptime", changes), Verdict::Note, "changes in the call");
}

#[test]
fn hold() {
    let held = |direction, resumed, packets_after| {
        move |call: &mut CallObservation| {
            call.hold = HoldObservation::Held {
                direction,
                packets_on_hold: 90,
                resumed,
                resumed_direction: Some("sendrecv"),
                packets_after,
                packets_before: 100,
            };
        }
    };
    assert_finding(&in_call("hold", held(Some("sendrecv"), Some(200), 100)), Verdict::Note, "recvonly or inactive");
    assert_finding(&in_call("hold", held(Some("recvonly"), Some(200), 0)), Verdict::Problem, "no packet came");
    assert_finding(&in_call("hold", held(Some("recvonly"), Some(500), 0)), Verdict::Problem, "refused with 500");
    assert_finding(
        &in_call("hold", |call| call.hold = HoldObservation::Refused(None)),
        Verdict::Problem,
        "not answered",
    );
}

#[test]
fn transfer() {
    let allow = |allow: Option<Vec<String>>| {
        move |call: &mut CallObservation| {
            if let ExchangeOutcome::Answered(reply) = &mut call.invite.outcome {
                reply.allow = allow;
            }
        }
    };
    assert_finding(&in_call("transfer", allow(Some(vec!["INVITE".to_owned()]))), Verdict::Note, "does not list REFER");
    assert_finding(&in_call("transfer", allow(None)), Verdict::NotTried, "--refer-to");
    let referred = |status, reports: &[&str]| {
        let reports = reports.iter().map(|report| (*report).to_owned()).collect();
        move |call: &mut CallObservation| call.refer = ReferObservation::Answered { status, reports }
    };
    let done = referred(Some(202), &["SIP/2.0 100 Trying", "SIP/2.0 200 OK"]);
    assert_finding(&in_call("transfer", done), Verdict::Ok, "202");
    assert_finding(&in_call("transfer", referred(Some(202), &["SIP/2.0 486 Busy"])), Verdict::Problem, "486");
    assert_finding(&in_call("transfer", referred(Some(202), &[])), Verdict::Note, "no NOTIFY");
    assert_finding(&in_call("transfer", referred(Some(405), &[])), Verdict::Problem, "405");
}

#[test]
fn srtp() {
    let offered = |status, is_secure: Option<bool>| {
        move |seen: &mut TrunkObservations| {
            seen.settings.srtp = SrtpRequest::Preferred;
            let call = &mut seen.calls[0];
            (call.offered_srtp, call.invite) = (true, answered(status, "x"));
            match (is_secure, call.answer.as_mut().map(|answer| answer.description.as_mut())) {
                (Some(is_secure), Some(Ok(answer))) => answer.is_secure = is_secure,
                _ => call.answer = None,
            }
        }
    };
    assert_finding(&finding("srtp", offered(200, Some(true))), Verdict::Ok, "taken");
    assert_finding(&finding("srtp", offered(200, Some(false))), Verdict::Note, "plain RTP");
    assert_finding(&finding("srtp", offered(488, None)), Verdict::Note, "was refused");
    let mandatory = |seen: &mut TrunkObservations| {
        offered(488, None)(seen);
        seen.settings.srtp = SrtpRequest::Mandatory;
    };
    assert_finding(&finding("srtp", mandatory), Verdict::Problem, "mandatory");
}

#[test]
fn credentials() {
    let with = |status, authentication: Authentication| {
        move |seen: &mut TrunkObservations| {
            for exchange in std::iter::once(&mut seen.options).chain(seen.calls.iter_mut().map(|call| &mut call.invite))
            {
                *exchange = Exchange { authentication: authentication.clone(), ..answered(status, "x") };
            }
        }
    };
    let realm = || "r".to_owned();
    let no = with(401, Authentication::NoCredentials { realm: realm() });
    assert_finding(&finding("credentials", no), Verdict::Problem, "no credentials");
    let wrong = with(403, Authentication::Answered { realm: realm() });
    assert_finding(&finding("credentials", wrong), Verdict::Problem, "wrong");
    let again = with(401, Authentication::Repeated { realm: realm() });
    assert_finding(&finding("credentials", again), Verdict::Problem, "wrong");
    let bound = with(403, Authentication::NotAsked);
    assert_finding(&finding("credentials", bound), Verdict::Problem, "--port 5060");
    let unknown = with(401, Authentication::NotUnderstood { challenge: "Bearer".to_owned() });
    assert_finding(&finding("credentials", unknown), Verdict::Problem, "Bearer");
}

#[test]
fn network_clock_and_silence() {
    assert_finding(&in_call("network", |call| call.media.order.lost = 20), Verdict::Problem, "20 of 818");
    assert_finding(&in_call("network", |call| call.media.reported_loss = Some(0.1)), Verdict::Problem, "10.0 %");
    let fast = |call: &mut CallObservation| {
        call.media.drift = ClockDrift::Measured { ppm: 200.0, error_ppm: 10.0, seconds: 15.0 };
    };
    assert_finding(&in_call("clock", fast), Verdict::Note, "200 ppm fast");
    let vague = |call: &mut CallObservation| {
        call.media.drift = ClockDrift::Measured { ppm: 200.0, error_ppm: 90.0, seconds: 15.0 };
    };
    assert_finding(&in_call("clock", vague), Verdict::Ok, "± 180");
    assert_finding(&in_call("silence", |call| call.media.pauses = 3), Verdict::Note, "suppresses silence");
    let other = |call: &mut CallObservation| call.media.payload_types = [(0, 798)].into();
    assert_finding(&in_call("payload", other), Verdict::Problem, "another codec");
    assert_finding(&in_call("echo", |call| call.media.echo_ms = Some(600.0)), Verdict::Note, "600 ms");
}

#[test]
fn ends_of_calls() {
    let end = |end| move |call: &mut CallObservation| call.end = end;
    assert_finding(&in_call("hang_up", end(CallEnd::ByUs { status: None })), Verdict::Problem, "not answered");
    assert_finding(&in_call("hang_up", end(CallEnd::ByUs { status: Some(481) })), Verdict::Problem, "481");
    let after = |after_ms| CallEnd::ByPeer { after_ms, reason: None };
    assert_finding(&in_call("hang_up", end(after(32_000))), Verdict::Problem, "lost their ACK");
    assert_finding(&in_call("hang_up", end(after(5_000))), Verdict::Note, "hung up 5.0 s");
}
