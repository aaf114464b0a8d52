//! The cases of RFC 4475 (SIP torture test messages), rewritten from the point of each, each with the answer that
//! the RFC asks of an element like ours. Methods of a registrar are refused by name: their syntax has to be right for that.
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::*;
use std::time::Instant;
use trunkline_signaling::sip::user_agent::UserAgent;

/// Status of the answer to a message; 0 when there is none.
fn answer(text: &str) -> u16 {
    let now = Instant::now();
    let mut user_agent = UserAgent::new(now, config(CALLEE, vec![trunk("127.0.0.1", None)]), [3; 32]);
    user_agent.handle_datagram(now, CALLER.parse().unwrap(), text.as_bytes());
    let mut status = 0;
    while let Some(transmit) = user_agent.poll_transmit() {
        let text = String::from_utf8_lossy(&transmit.bytes).into_owned();
        status = text.split(' ').nth(1).unwrap().parse().unwrap();
        assert!(text.contains("CSeq:") || status == 400, "{text}");
    }
    status
}

/// Request line, headers that are added or replace the usual ones, body.
fn request(network: &str, changes: &[(&str, &str)], body: &str) -> String {
    let method = network.split(' ').next().unwrap();
    let mut headers = vec![
        ("Via".to_owned(), "SIP/2.0/UDP host1.example.com;rport;branch=z9hG4bK-torture".to_owned()),
        ("Max-Forwards".to_owned(), "70".to_owned()),
        ("From".to_owned(), "<sip:caller@example.net>;tag=torture".to_owned()),
        ("To".to_owned(), "<sip:user@example.com>".to_owned()),
        ("Call-ID".to_owned(), "torture.0ha0isndaksdj".to_owned()),
        ("CSeq".to_owned(), format!("8 {method}")),
        ("Contact".to_owned(), "<sip:caller@host1.example.com>".to_owned()),
        ("Content-Length".to_owned(), body.len().to_string()),
    ];
    for (name, value) in changes {
        match headers.iter_mut().find(|(known, _)| known == name) {
            Some(header) if *value == "-" => header.0.clear(),
            Some(header) => header.1 = (*value).to_owned(),
            None => headers.push(((*name).to_owned(), (*value).to_owned())),
        }
    }
    let lines: String = headers
        .iter()
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    format!("{network}\r\n{lines}\r\n{body}")
}

const INVITE: &str = "INVITE sip:user@example.com SIP/2.0";
const OPTIONS: &str = "OPTIONS sip:user@example.com SIP/2.0";
const REGISTER: &str = "REGISTER sip:example.com SIP/2.0";

#[test]
fn valid_messages_are_understood() {
    let mut faults = vec![];
    let tortuous = "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\r\n\
        TO :\r\n sip:vivekg@chair-dnrc.example.com ;   tag    = \r\n\
        from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8\r\n\
        MaX-fOrWaRdS: 0068\r\nCall-ID: wsinv.ndaksdj@192.0.2.1\r\nContent-Length   : 150\r\n\
        cseq: 0009\r\n  INVITE\r\nVia  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw\r\n\
        s :\r\nNewFangledHeader:   newfangled value\r\n continued newfangled value\r\n\
        UnknownHeaderWithUnusualValue: ;;,,;;,;\r\nContent-Type: application/sdp\r\nRoute:\r\n \
        <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\r\n\
        v:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n SIP  /    2.0   / UDP  \
        192.168.255.111   ; branch=\r\n z9hG4bK30239\r\nm:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =\r\n      \
        newvalue ;\r\n  secondparam ; q = 0.33\r\n\r\n";
    let body = "v=0\r\no=mhandley 29739 7272939 IN IP4 192.0.2.3\r\ns=-\r\nc=IN IP4 192.0.2.4\r\nt=0 0\r\nm=audio 49217 RTP/AVP 0 12\r\n";
    let tortuous = tortuous.replace("150", &body.len().to_string()).replace("tag    = \r\n", "\r\n") + body;
    let unusual = "!interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com SIP/2.0";
    let long = "x".repeat(3_000);
    for (name, text, wanted) in [
        ("wsinv: a short tortuous INVITE", tortuous, 100),
        ("intmeth: an unusual method", request(unusual, &[], ""), 501),
        ("esc01: escapes in the user", request("INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0", &[], ""), 100),
        ("escnull: escaped NULs", request(REGISTER, &[("To", "sip:null-%00-null@example.com")], ""), 405),
        ("esc02: a percent sign that is no escape", request("RE%47IST%45R sip:registrar.example.com SIP/2.0", &[], ""), 501),
        ("lwsdisp: no space before the angle bracket", request(OPTIONS, &[("From", "caller<sip:caller@example.com>;tag=323")], ""), 200),
        (
            "longreq: long values",
            request(INVITE, &[("From", &format!("\"{long}\" <sip:{long}@example.net>;tag={long}")), ("X-Long", &long)], ""),
            100,
        ),
        ("dblreq: octets behind the message", request(REGISTER, &[], "") + "INVITE sip:joe@example.com SIP/2.0\r\n", 405),
        ("semiuri: a semicolon in the user", request("OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0", &[], ""), 200),
        (
            "transports: Vias of every kind",
            request(
                OPTIONS,
                &[("Via", "SIP/2.0/UDP t1.example.com;branch=z9hG4bKkdjuw, SIP/2.0/SCTP t2.example.com;branch=z9hG4bKklasjdhf, \
                    SIP/2.0/UNKNOWN t5.example.com;branch=z9hG4bKkdjuw")],
                "",
            ),
            200,
        ),
        ("unreason: any reason phrase", "SIP/2.0 200 = 2**3 * 5**2 \u{43d}\u{43e}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
            To: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n".to_owned(), 0),
        ("noreason: none at all", "SIP/2.0 100 \r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\n\
            Call-ID: x\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n".to_owned(), 0),
        ("baddate: a time zone that is none", request(INVITE, &[("Date", "Fri, 01 Jan 2010 16:00:00 EST")], ""), 100),
        ("badbranch: the cookie alone", request(OPTIONS, &[("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK")], ""), 200),
        ("inv2543: from before RFC 3261", request(INVITE, &[("Via", "SIP/2.0/UDP iftgw.example.com"), ("Max-Forwards", "-")], ""), 100),
        ("bcast: another client's response", "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923\r\n\
            From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 3 INVITE\r\nContent-Length: 0\r\n\r\n".to_owned(), 0),
    ] {
        let status = answer(&text);
        if status != wanted {
            faults.push(format!("{name}: {status} instead of {wanted}"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// What a message is called, its bytes, and the status of its answer: 0 for none.
type TortureCase = (&'static str, String, u16);

/// Messages that cannot be read.
fn unreadable_messages() -> Vec<TortureCase> {
    vec![
        ("badinv01: separators without end", request(INVITE, &[("Via", "SIP/2.0/UDP 192.0.2.15;;,;,,")], ""), 400),
        ("clerr: more announced than there is", request(INVITE, &[("Content-Length", "9999")], "short"), 400),
        ("ncl: less than nothing", request(INVITE, &[("Content-Length", "-999")], ""), 400),
        ("scalar02: a CSeq beyond every number", request(INVITE, &[("CSeq", "36893488147419103232 INVITE")], ""), 400),
        ("quotbal: a quote without end", request(INVITE, &[("To", "\"Mr. J. User <sip:j.user@example.com>")], ""), 400),
        (
            "ltgtruri: angle brackets around the Request-URI",
            request("INVITE <sip:user@example.com> SIP/2.0", &[], ""),
            400,
        ),
        ("lwsruri: space in the Request-URI", request("INVITE sip:user@example.com; lr SIP/2.0", &[], ""), 400),
        ("lwsstart: two spaces in the start line", request("INVITE  sip:user@example.com  SIP/2.0", &[], ""), 400),
        // The RFC leaves this one open: white space at the end does no harm.
        ("trws: spaces behind the start line", request("OPTIONS sip:user@example.com SIP/2.0  ", &[], ""), 200),
        (
            "escruri: headers in the Request-URI",
            request("INVITE sip:user@example.com?Route=%3Csip:example.com%3E SIP/2.0", &[], ""),
            400,
        ),
        ("badvers: a version from the future", request("OPTIONS sip:user@example.com SIP/7.0", &[], ""), 505),
        ("mismatch01: CSeq of another method", request(OPTIONS, &[("CSeq", "8 INVITE")], ""), 400),
        (
            "mismatch02: of another unknown one",
            request("NEWMETHOD sip:user@example.com SIP/2.0", &[("CSeq", "8 INVITE")], ""),
            400,
        ),
    ]
}

/// Messages that can be read and are wrong.
fn wrong_messages() -> Vec<TortureCase> {
    let more =
        |header: &str| request(INVITE, &[], "").replace("Content-Length", &format!("{header}\r\nContent-Length"));
    vec![
        (
            "bigcode: a status beyond every number",
            "SIP/2.0 4294967301 better not break\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\
            From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
                .to_owned(),
            0,
        ),
        ("insuf: without Call-ID", request(INVITE, &[("Call-ID", "-")], ""), 400),
        ("insuf: without From", request(INVITE, &[("From", "-")], ""), 400),
        ("insuf: without To", request(INVITE, &[("To", "-")], ""), 400),
        ("insuf: without CSeq", request(INVITE, &[("CSeq", "-")], ""), 400),
        (
            "unkscm: an unknown scheme",
            request("OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0", &[], ""),
            416,
        ),
        ("novelsc: a scheme of something else", request("OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0", &[], ""), 416),
        (
            "bext01: unknown extensions",
            request(INVITE, &[("Require", "nothingSupportsThis, nothingSupportsThisEither")], ""),
            420,
        ),
        (
            "invut: a body of an unknown type",
            request(INVITE, &[("Content-Type", "application/unknownformat")], "<audio/>"),
            415,
        ),
        ("multi01: a second CSeq", more("CSeq: 59 INVITE"), 400),
        ("multi01: a second Call-ID", more("Call-ID: other"), 400),
        ("multi01: a second From", more("From: <sip:other@example.com>;tag=2"), 400),
        ("mcl01: two lengths", more("Content-Length: 15"), 400),
        ("zeromf: no hops left", request(INVITE, &[("Max-Forwards", "0")], ""), 483),
    ]
}

#[test]
fn invalid_messages_get_their_refusal() {
    let mut faults = vec![];
    for (name, text, wanted) in [unreadable_messages(), wrong_messages()].concat() {
        let status = answer(&text);
        if status != wanted {
            faults.push(format!("{name}: {status} instead of {wanted}"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}
