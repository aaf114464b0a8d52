//! How requests of the peer are answered.

use super::*;

const SDP: &str = "Content-Type: application/sdp\r\n\r\nv=0\r\n";

/// RFC 3261 section 7.1: the version in start lines is compared without regard to the letter case.
#[test]
fn a_call_in_lower_case_is_a_call() {
    let mut call = InboundCall::new();
    let lower = |text: String| text.replacen(" SIP/2.0\r\n", " sip/2.0\r\n", 1);
    let invite = call.text("INVITE", &format!("Contact: <sip:them@192.0.2.7>\r\n{SDP}"));
    assert_eq!(status(&call.hear(&lower(invite))[0]), "100");
    let Some(SipEvent::Incoming(incoming)) = call.bench.events.pop() else { panic!("no call") };
    call.id = incoming.call;
    call.answer();
    let ack = call.text("ACK", "");
    call.hear(&lower(ack));
    assert!(call.is_acknowledged());
    call.bench.user_agent.hang_up(call.bench.now, call.id).unwrap();
    let bye = call.bench.only("BYE");
    let copied = ["Via", "From", "To", "Call-ID", "CSeq"]
        .map(|name| format!("{name}: {}\r\n", bye.header(&name.to_ascii_lowercase()).unwrap()))
        .concat();
    call.hear(&format!("sip/2.0 200 OK\r\n{copied}Content-Length: 0\r\n\r\n"));
    assert_eq!(call.bench.user_agent.calls(), 0);
    call.bench.pass(Duration::from_secs(1));
    assert!(call.bench.sent().is_empty(), "the BYE was answered");
}

/// An ACK is found by Call-ID, tags and CSeq, whatever its Via says.
#[test]
fn an_ack_without_a_readable_via_confirms_the_call() {
    for via in ["", "Via: what?\r\n", "Via: SIP/2.0/UDP\r\n", "Via:\r\n"] {
        let mut call = InboundCall::new();
        call.ring(&format!("Contact: <sip:them@192.0.2.7>\r\n{SDP}"));
        call.answer();
        let ack = call.text("ACK", "");
        let (start, rest) = ack.split_once("Via: ").unwrap();
        let (_, rest) = rest.split_once("\r\n").unwrap();
        let without = format!("{start}{via}{rest}");
        let foreign = without.replace("tag=theirs", "tag=other");
        call.hear(&foreign);
        assert!(!call.is_acknowledged(), "{foreign}");
        call.hear(&without);
        assert!(call.is_acknowledged(), "{without}");
        call.bench.pass(Duration::from_secs(40));
        assert!(call.bench.sent().is_empty() && call.bench.ends().is_empty(), "the call goes on");
    }
}

/// RFC 3261 section 8.1.1.8: our Contact has a user part, the same in the whole dialog.
#[test]
fn our_contact_keeps_its_user_part() {
    let user = |message: &SentRequest| message.header("contact").unwrap().split('@').next().unwrap().to_owned();
    let mut call = InboundCall::new();
    call.ring(&format!("Contact: <sip:them@192.0.2.7>\r\nSupported: 100rel\r\n{SDP}"));
    call.bench.user_agent.send_provisional(call.bench.now, call.id, 180, None).unwrap();
    assert_eq!(user(&call.bench.sent()[0]), "<sip:agent");
    assert_eq!(user(&call.answer()), "<sip:agent");
    call.ask("ACK", "");
    for method in ["INVITE", "UPDATE"] {
        call.ask(method, &format!("Contact: <sip:them@192.0.2.7>\r\n{SDP}"));
        call.bench.user_agent.answer_reoffer(call.bench.now, call.id, Some(b"v=0\r\n".to_vec())).unwrap();
        let ok = call.bench.sent().pop().unwrap();
        assert_eq!((status(&ok), user(&ok).as_str()), ("200", "<sip:agent"), "{method}");
        if method == "INVITE" {
            call.ask("ACK", "");
        }
    }
    let ok = call.ask("UPDATE", "Contact: <sip:them@192.0.2.7>").pop().unwrap();
    assert_eq!((status(&ok), user(&ok).as_str()), ("200", "<sip:agent"), "without an offer");
    call.bench.user_agent.send_info(call.bench.now, call.id, "application/dtmf-relay", b"Signal=1".to_vec()).unwrap();
    assert_eq!(user(&call.bench.only("INFO")), "<sip:agent");
}

/// A Contact with port 0 leads nowhere, and is no reason to refuse the call: the peer is where it was met.
#[test]
fn a_contact_with_port_zero_is_passed_by() {
    for contact in ["<sip:u@192.0.2.7:0>", "<sip:u@pbx.example:0>", "sip:u@192.0.2.7:0"] {
        let mut call = InboundCall::talking_with(&format!("Contact: {contact}"));
        call.ask("UPDATE", &format!("Contact: {contact}"));
        call.bench.user_agent.hang_up(call.bench.now, call.id).unwrap();
        let bye = call.bench.only("BYE");
        assert_eq!(bye.to, CARRIER, "{contact}");
    }
    for contact in ["<sip:u@192.0.2.7:99999>", "<sip:u@192.0.2.7:x>"] {
        let refused = InboundCall::new().ask("INVITE", &format!("Contact: {contact}"));
        assert_eq!(status(&refused[0]), "400", "{contact}");
    }
    // And of the callee.
    let mut bench = UserAgentTest::new();
    let id = bench.answered("sip:1@192.0.2.7", "<sip:peer@192.0.2.7:0>", "");
    bench.sent();
    bench.user_agent.hang_up(bench.now, id).unwrap();
    assert_eq!(bench.only("BYE").to, CARRIER);
}

/// RFC 3261 sections 8.2.2.3, 8.2.1 and 11.2.
#[test]
fn refusals_and_capabilities_name_what_there_is() {
    let refused = InboundCall::new().ask("INVITE", "Contact: <sip:t@192.0.2.7>\r\nRequire: 100rel, magic, timer, more");
    assert_eq!((status(&refused[0]), refused[0].header("unsupported")), ("420", Some("magic, more")));
    let mut call = InboundCall::talking();
    let refused = call.ask("UPDATE", "Require: magic").pop().unwrap();
    assert_eq!((status(&refused), refused.header("unsupported")), ("420", Some("magic")));
    for (method, wanted) in [("SUBSCRIBE", "405"), ("PUBLISH", "405"), ("MAGIC", "501")] {
        for mut call in [InboundCall::new(), InboundCall::talking()] {
            let refused = call.ask(method, "").pop().unwrap();
            assert!(["405", "501"].contains(&status(&refused)), "{method}: {}", refused.text);
            assert!(status(&refused) == wanted || method != "MAGIC", "{}", refused.text);
            assert!(refused.header("allow").unwrap().contains("INVITE"), "{}", refused.text);
        }
    }
    for mut call in [InboundCall::new(), InboundCall::talking()] {
        let answer = call.ask("OPTIONS", "").pop().unwrap();
        assert_eq!(status(&answer), "200");
        let allowed: Vec<&str> = answer.header("allow").unwrap().split(", ").collect();
        for method in ["INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "INFO", "UPDATE", "PRACK", "REFER", "NOTIFY"] {
            assert!(allowed.contains(&method), "{method}");
        }
        assert!(answer.header("accept").unwrap().contains("application/sdp"));
        for extension in ["100rel", "timer", "replaces"] {
            assert!(answer.header("supported").unwrap().contains(extension), "{extension}");
        }
    }
}

/// RFC 3261 section 8.2.6.2: Via values in their order.
#[test]
fn responses_repeat_every_via_in_order() {
    let mut call = InboundCall::new();
    let text = call.text("OPTIONS", "Via: SIP/2.0/TCP a;branch=z9hG4bKa, SIP/2.0/UDP b;branch=z9hG4bKb");
    let answer = call.hear(&text).pop().unwrap();
    let vias = values(&answer, "via").join(", ");
    let at = |what: &str| vias.find(what).unwrap();
    assert!(at("192.0.2.7") < at("z9hG4bKa") && at("z9hG4bKa") < at("z9hG4bKb"), "{vias}");
    for name in ["from", "call-id", "cseq"] {
        assert!(
            text.to_ascii_lowercase()
                .contains(&format!("{name}: {}", answer.header(name).unwrap().to_ascii_lowercase()))
        );
    }
    assert!(answer.header("to").unwrap().contains(";tag="));
}

/// RFC 4028 section 9: whoever refreshes must know that it has to.
#[test]
fn an_answer_with_a_session_timer_requires_it_of_the_caller_that_refreshes() {
    for (asked, refresher, required) in [
        ("Supported: timer\r\nSession-Expires: 1800;refresher=uac", "uac", true),
        ("Supported: timer\r\nSession-Expires: 1800;refresher=uas", "uas", false),
        ("Session-Expires: 1800", "uas", false),
    ] {
        let mut call = InboundCall::new();
        call.ring(&format!("Contact: <sip:them@192.0.2.7>\r\n{asked}\r\n{SDP}"));
        let ok = call.answer();
        assert_eq!(ok.header("session-expires"), Some(format!("1800;refresher={refresher}").as_str()), "{asked}");
        let requires = ok.header("require").is_some_and(|all| all.contains("timer"));
        assert!(requires || !required, "{asked}: {}", ok.text);
        assert!(!requires || asked.contains("Supported"), "a caller that does not know it is not asked: {}", ok.text);
    }
}

/// RFC 3261 section 12.2.2 and RFC 3311 section 5.2: a new Contact is the new target.
#[test]
fn a_new_contact_is_taken_from_reinvite_and_update() {
    for (method, body) in [("INVITE", SDP), ("UPDATE", SDP), ("UPDATE", "")] {
        let mut call = InboundCall::talking();
        call.ask(
            method,
            &format!("Contact: <sip:moved@192.0.2.8:5070>\r\n{body}")
                .trim_end_matches("\r\n")
                .to_owned()
                .replace("v=0", "v=0\r\n"),
        );
        if !body.is_empty() {
            call.bench.user_agent.answer_reoffer(call.bench.now, call.id, Some(b"v=0\r\n".to_vec())).unwrap();
            call.bench.sent();
        }
        if method == "INVITE" {
            call.ask("ACK", "");
        }
        call.bench.user_agent.hang_up(call.bench.now, call.id).unwrap();
        let bye = call.bench.only("BYE");
        assert!(bye.text.starts_with("BYE sip:moved@192.0.2.8:5070 SIP/2.0\r\n"), "{method}: {}", bye.text);
        assert_eq!(bye.to, SECOND, "{method}");
    }
}

/// RFC 3515 section 2.1: exactly one Refer-To.
#[test]
fn a_refer_with_two_targets_or_none_is_refused() {
    let mut call = InboundCall::talking();
    for targets in ["Refer-To: <sip:a@h>\r\nRefer-To: <sip:b@h>", "Refer-To: <sip:a@h>, <sip:b@h>", ""] {
        let refused = call.ask("REFER", targets).pop().unwrap();
        assert_eq!(status(&refused), "400", "{targets}: {}", refused.text);
    }
    assert!(call.bench.events.is_empty(), "its owner hears of none");
}

/// RFC 3262 section 3: an answer that is never acknowledged is followed by a refusal.
#[test]
fn a_missing_prack_refuses_the_invite_and_a_wrong_one_is_unknown() {
    let mut call = InboundCall::new();
    call.ring(&format!("Contact: <sip:them@192.0.2.7>\r\nSupported: 100rel\r\n{SDP}"));
    call.bench.user_agent.send_provisional(call.bench.now, call.id, 183, Some(b"v=0\r\n".to_vec())).unwrap();
    let early = call.bench.sent().pop().unwrap();
    assert!(early.header("require").unwrap().contains("100rel"));
    let rseq: u32 = early.header("rseq").unwrap().parse().unwrap();
    let before = call.to.clone();
    call.to = early.header("to").unwrap().to_owned();
    for rack in [format!("{} 1 INVITE", rseq + 1), format!("{rseq} 9 INVITE"), format!("{rseq} 1 UPDATE")] {
        let refused = call.ask("PRACK", &format!("RAck: {rack}")).pop().unwrap();
        assert_eq!(status(&refused), "481", "{rack}");
    }
    call.to = before;
    call.bench.pass(Duration::from_secs(40));
    let sent = call.bench.sent();
    let refusal = sent.iter().find(|one| !matches!(status(one), "183")).unwrap();
    assert_eq!((status(refusal), refusal.header("cseq")), ("504", Some("1 INVITE")), "{}", refusal.text);
    assert_eq!(call.bench.ends().len(), 1);
}

/// RFC 3891 section 3: a dialog that has ended is declined, one that never was is unknown.
#[test]
fn replaces_of_a_call_that_has_ended_is_declined() {
    let mut call = InboundCall::talking();
    let ours = call.to.split("tag=").nth(1).unwrap().to_owned();
    let replaces = |tag: &str| format!("Contact: <sip:other@192.0.2.7>\r\nReplaces: c1;to-tag={tag};from-tag=theirs");
    let invite = |call: &mut InboundCall, id: &str, rest: &str| {
        let (to, cseq) = (std::mem::replace(&mut call.to, "<sip:+3120@127.0.0.1>".to_owned()), call.cseq);
        let text = call.text("INVITE", rest).replace("Call-ID: c1", &format!("Call-ID: {id}"));
        let text = text.replace("branch=z9hG4bK", &format!("branch=z9hG4bK{id}"));
        (call.to, call.cseq) = (to, cseq);
        let answers = call.hear(&text);
        status(answers.iter().rfind(|one| one.header("call-id") == Some(id)).unwrap()).to_owned()
    };
    assert_eq!(invite(&mut call, "unknown", &replaces("nobody")), "481");
    call.bench.user_agent.hang_up(call.bench.now, call.id).unwrap();
    call.bench.sent();
    assert_eq!(invite(&mut call, "late", &replaces(&ours)), "603");
}

/// RFC 3515 section 2.4.6: reports on a second REFER of a dialog name it.
#[test]
fn reports_on_a_later_refer_have_its_number() {
    let mut bench = UserAgentTest::new();
    let id = bench.dial("sip:1@192.0.2.7", |invite| invite.accept_refer = true);
    let invite = bench.invite();
    bench.answer(&invite, "200 OK", "Contact: <sip:peer@192.0.2.7>\r\n");
    bench.sent();
    let (us, them) = (invite.header("from").unwrap().to_owned(), invite.header("to").unwrap().to_owned());
    let refer = |bench: &mut UserAgentTest, number: u32, accept: bool| {
        let text = format!(
            "REFER sip:us@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKr{number}\r\n\
             Max-Forwards: 70\r\nFrom: {them};tag=peer\r\nTo: {us}\r\nCall-ID: {}\r\nCSeq: {number} REFER\r\n\
             Refer-To: <sip:third@192.0.2.8>\r\nContent-Length: 0\r\n\r\n",
            invite.header("call-id").unwrap()
        );
        bench.user_agent.handle_datagram(bench.now, CARRIER.parse().unwrap(), text.as_bytes());
        bench.sent();
        bench.user_agent.answer_refer(bench.now, id, accept).unwrap();
        let mut sent = bench.sent();
        sent.retain(|one| one.method() == "NOTIFY");
        sent
    };
    let event = |sent: &[SentRequest]| sent[0].header("event").unwrap().to_owned();
    let first = refer(&mut bench, 5, true);
    assert_eq!(event(&first), "refer");
    bench.answer(&first[0], "200 OK", "");
    bench.user_agent.send_refer_notify(bench.now, id, 486).unwrap();
    let last = bench.only("NOTIFY");
    assert_eq!(last.header("event"), Some("refer"));
    bench.answer(&last, "200 OK", "");
    let second = refer(&mut bench, 8, true);
    assert_eq!(event(&second), "refer;id=8");
    bench.answer(&second[0], "200 OK", "");
    bench.user_agent.send_refer_notify(bench.now, id, 503).unwrap();
    assert_eq!(bench.only("NOTIFY").header("event"), Some("refer;id=8"));
    assert!(refer(&mut bench, 9, false).is_empty(), "declined");
    assert_eq!(event(&refer(&mut bench, 11, true)), "refer;id=11");
}

/// RFC 3262 section 5: the 2xx of a PRACK answers its offer; RFC 3311 for UPDATE.
#[test]
fn offers_of_a_caller_before_the_answer_are_answered_in_their_own_2xx() {
    let mut call = InboundCall::new();
    let sdp = "Content-Type: application/sdp\r\n\r\nv=0\r\n";
    call.ring(&format!("Contact: <sip:them@192.0.2.7>\r\nSupported: 100rel\r\n{sdp}"));
    let first = Some(b"v=0\r\ns=first\r\n".to_vec());
    call.bench.user_agent.send_provisional(call.bench.now, call.id, 183, first).unwrap();
    let ringing = call.bench.sent().pop().unwrap();
    call.to = ringing.header("to").unwrap().to_owned();
    let rack = format!("RAck: {} {} INVITE\r\n", ringing.header("rseq").unwrap(), call.cseq);
    for (method, headers) in [("PRACK", rack.as_str()), ("UPDATE", "Contact: <sip:them@192.0.2.7>\r\n")] {
        assert!(call.ask(method, &format!("{headers}{sdp}s={method}\r\n")).is_empty(), "the owner answers");
        let offer = call.bench.events.drain(..).find_map(|event| match event {
            SipEvent::ReofferReceived { sdp, .. } => sdp,
            _ => None,
        });
        assert_eq!(offer, Some(format!("v=0\r\ns={method}\r\n").into_bytes()));
        let answer = format!("v=0\r\ns=for {method}\r\n").into_bytes();
        call.bench.user_agent.answer_reoffer(call.bench.now, call.id, Some(answer)).unwrap();
        let ok = call.bench.sent().pop().unwrap();
        assert_eq!((status(&ok), ok.header("cseq").unwrap().ends_with(method)), ("200", true));
        assert!(ok.text.ends_with(&format!("s=for {method}\r\n")), "{}", ok.text);
    }
}
