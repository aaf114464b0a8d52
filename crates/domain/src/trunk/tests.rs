//! Validation and numbers of trunks.

use super::fields::default_codecs;
use super::*;
use crate::faults;
use crate::phone_number::PhoneNumber;

/// The field of the first fault; empty without any.
fn first(fields: &TrunkFields) -> String {
    faults(fields).into_iter().next().map(|fault| fault.field).unwrap_or_default()
}

fn fields(change: impl FnOnce(&mut TrunkFields)) -> TrunkFields {
    let mut fields = TrunkFields { name: "t".into(), dial_string: "{e164}".into(), ..TrunkFields::default() };
    fields.codecs = default_codecs();
    change(&mut fields);
    fields
}

#[test]
fn numbers_are_dialled_by_template() {
    let number = PhoneNumber::parse("+31201234567").unwrap();
    for (template, wanted) in [
        ("{e164}", "+31201234567"),
        ("{number}", "31201234567"),
        ("9{number}", "931201234567"),
        ("{national}", "0201234567"),
    ] {
        let fields = fields(|f| {
            f.dial_string = template.into();
            (f.country_code, f.national_prefix) = (Some("31".into()), Some("0".into()));
        });
        assert_eq!(fields.dial(&number), wanted);
        let abroad = PhoneNumber::parse("+442071234567").unwrap();
        assert_eq!(fields.dial(&abroad).contains("00442071234567"), template == "{national}");
    }
}

#[test]
fn numbers_that_come_in_become_e164() {
    let dutch = fields(|f| {
        f.country_code = Some("31".into());
        f.national_prefix = Some("0".into());
        f.international_prefix = Some("00".into());
        f.strip_prefix = Some("99#".into());
    });
    for (text, wanted) in [
        ("0201234567", "+31201234567"),
        ("0031201234567", "+31201234567"),
        ("+31201234567", "+31201234567"),
        ("+31-20-123.45(67)", "+31201234567"),
        ("31201234567", "+31201234567"),
        ("99#0201234567", "+31201234567"),
        ("00442071234567", "+442071234567"),
        ("anonymous", "anonymous"),
        ("", ""),
    ] {
        assert_eq!(dutch.e164(text), wanted, "{text}");
    }
    let american = fields(|f| f.country_code = Some("1".into()));
    assert_eq!(american.e164("2125550100"), "+12125550100");
    assert_eq!(american.e164("12125550100"), "+12125550100");
    assert_eq!(fields(|_| {}).e164("0201234567"), "0201234567", "without rules as written");
}

#[test]
fn destinations_are_allowed_and_denied_by_prefix() {
    let trunk = fields(|f| {
        f.allowed_destinations = vec!["+31".into(), "44".into()];
        f.denied_destinations = vec!["+31900".into()];
    });
    for (number, may) in
        [("+31201234567", true), ("+31900123456", false), ("+442071234567", true), ("+12125550100", false)]
    {
        assert_eq!(trunk.may_call(&PhoneNumber::parse(number).unwrap()), may, "{number}");
    }
    assert!(fields(|_| {}).may_call(&PhoneNumber::parse("+12125550100").unwrap()));
}

#[test]
fn a_number_inside_of_a_uri_is_a_number_all_the_same() {
    let trunk = fields(|f| f.denied_destinations = vec!["+31900".into()]);
    for user in ["+31900123456", "31900123456", "0031900123456", "+31-900-123456", "031900123456"] {
        assert!(!trunk.may_call_user(user), "{user}");
    }
    let dutch = fields(|f| {
        f.denied_destinations = vec!["+31900".into()];
        (f.country_code, f.national_prefix) = (Some("31".into()), Some("0".into()));
    });
    assert!(!dutch.may_call_user("0900123456"));
    for user in ["alice", "100", "+31201234567", "", "sales.31900123456"] {
        assert!(trunk.may_call_user(user), "{user}");
    }
    let only = fields(|f| f.allowed_destinations = vec!["+31".into()]);
    assert!(!only.may_call_user("+12125550100") && only.may_call_user("100") && only.may_call_user("alice"));
}

#[test]
fn faults_name_their_field() {
    type Change = fn(&mut TrunkFields);
    let faults: &[(&str, Change)] = &[
        ("targets", |f| {
            f.targets = vec![TrunkTarget { host: "a b".into(), port: None, transport: None, priority: 0, weight: 1 }]
        }),
        ("outbound_proxy", |f| f.outbound_proxy = Some("p:x".into())),
        ("outbound_proxy", |f| f.outbound_proxy = Some("p;transport=ws".into())),
        ("register", |f| f.register = true),
        ("register_expires_s", |f| f.register_expires_s = Some(5)),
        ("options_interval_s", |f| f.options_interval_s = Some(1)),
        ("codecs", |f| f.codecs = vec!["G729".into()]),
        ("codecs", |f| f.codecs = vec!["PCMU".into(); 5]),
        ("allowed_addresses", |f| f.allowed_addresses = vec!["10.0.0.0/33".into()]),
        ("allowed_addresses", |f| f.allowed_addresses = vec!["192.0.2.1".into(); ALLOWED_ADDRESSES_MAX + 1]),
        ("allowed_destinations", |f| f.allowed_destinations = vec!["+31".into(); DESTINATIONS_MAX + 1]),
        ("denied_destinations", |f| f.denied_destinations = vec!["+31".into(); DESTINATIONS_MAX + 1]),
        ("targets", |f| f.targets = vec![target("h"); TARGETS_MAX + 1]),
        ("ptime_ms", |f| f.ptime_ms = Some(25)),
        ("dial_string", |f| f.dial_string = "{e164}@x".into()),
        ("country_code", |f| f.dial_string = "{national}".into()),
        ("country_code", |f| f.country_code = Some("+31".into())),
        ("denied_destinations", |f| f.denied_destinations = vec!["premium".into()]),
        ("headers", |f| drop(f.headers.insert("Via".into(), "x".into()))),
        ("headers", |f| drop(f.headers.insert("X-A".into(), "a\r\nb".into()))),
        ("headers", |f| drop(f.headers.insert("X A".into(), "a".into()))),
    ];
    for (field, change) in faults {
        assert_eq!(first(&fields(change)), *field);
    }
    assert_eq!(first(&fields(|f| drop(f.headers.insert("X-A".into(), "a".into())))), "");
}

fn target(host: &str) -> TrunkTarget {
    TrunkTarget { host: host.into(), port: None, transport: None, priority: 0, weight: 1 }
}

/// Every text that becomes part of a message, with everything that could end the part, the header or the message.
#[test]
fn no_text_ends_the_header_it_is_put_into() {
    type Set = fn(&mut TrunkFields, String);
    let with_account: Set = |f, text| (f.username, f.password) = (Some(text), Some("p".into()));
    let all: &[(&str, Set)] = &[
        ("host", |f, text| f.host = Some(text)),
        ("registrar", |f, text| f.registrar = Some(text)),
        ("from_domain", |f, text| f.from_domain = Some(text)),
        ("from_user", |f, text| f.from_user = Some(text)),
        ("outbound_proxy", |f, text| f.outbound_proxy = Some(text)),
        ("targets", |f, text| f.targets = vec![target(&text)]),
        ("dial_string", |f, text| f.dial_string = format!("{{e164}}{text}")),
        ("diversion", |f, text| f.diversion = Some(text)),
        ("strip_prefix", |f, text| f.strip_prefix = Some(text)),
        ("username", with_account),
        ("password", |f, text| (f.username, f.password) = (Some("u".into()), Some(text.into()))),
        ("inbound_username", |f, text| (f.inbound_username, f.inbound_password) = (Some(text), Some("p".into()))),
        ("inbound_password", |f, text| {
            (f.inbound_username, f.inbound_password) = (Some("u".into()), Some(text.into()));
        }),
        ("headers", |f, text| drop(f.headers.insert("X-A".into(), text))),
    ];
    for (field, set) in all {
        for bad in ["\r\nVia: x", "\n", "\r", "\0", "\u{7f}", "\u{85}", "a\tb\u{0}"] {
            for text in [bad.to_owned(), format!("a{bad}"), format!("{bad}a")] {
                assert_eq!(first(&fields(|f| set(f, text.clone()))), *field, "{text:?}");
            }
        }
        // Quoted or escaped where they are used; values of headers end at the line only.
        if matches!(*field, "username" | "password" | "inbound_username" | "inbound_password" | "headers") {
            continue;
        }
        for bad in [">", "<sip:x>", "\"", "@evil.example", "a b", "ä", "\\"] {
            let text = format!("a{bad}");
            assert_eq!(first(&fields(|f| set(f, text.clone()))), *field, "{text:?}");
        }
    }
}

#[test]
fn headers_that_make_a_message_what_it_is_are_not_set_from_outside() {
    for name in [
        "Via",
        "v",
        "From",
        "f",
        "To",
        "t",
        "Contact",
        "m",
        "Route",
        "Record-Route",
        "Call-ID",
        "i",
        "CSeq",
        "Content-Length",
        "l",
        "Content-Type",
        "c",
        "Authorization",
        "Proxy-Authorization",
        "Replaces",
        "Refer-To",
        "r",
        "Referred-By",
        "b",
        "Require",
        "Proxy-Require",
        "Supported",
        "k",
        "Max-Forwards",
        "Session-Expires",
        "x",
        "Min-SE",
        "Expires",
        "Event",
        "RAck",
        "RSeq",
        "Content-Encoding",
        "Accept-Encoding",
        "Identity",
        "Diversion",
        "Privacy",
        "Via ",
        "X-A:",
        "X-A\r\nVia",
        "",
        "-",
        "X-",
        "X-\u{e4}",
    ] {
        for cased in [name.to_owned(), name.to_lowercase(), name.to_uppercase()] {
            let set = |f: &mut TrunkFields| drop(f.headers.insert(cased.clone(), "a".into()));
            assert_eq!(first(&fields(set)), "headers", "{cased:?}");
        }
    }
}

#[test]
fn every_fault_is_listed() {
    let faulty = fields(|f| {
        f.name = String::new();
        f.ptime_ms = Some(15);
        f.register_expires_s = Some(1);
        f.country_code = Some("x".into());
    });
    let found: Vec<String> = faults(&faulty).into_iter().map(|fault| fault.field).collect();
    assert_eq!(found, ["country_code", "name", "ptime_ms", "register_expires_s"]);
}

#[test]
fn proxies() {
    let parse = |text| OutboundProxy::parse(text).map(|p| (p.host, p.port, p.transport));
    assert_eq!(parse("p.example"), Some(("p.example".into(), None, None)));
    assert_eq!(parse("p:5070;transport=tcp"), Some(("p".into(), Some(5_070), Some(TrunkTransport::Tcp))));
    assert_eq!(
        parse("[2001:db8::1]:5061;transport=tls"),
        Some(("2001:db8::1".into(), Some(5_061), Some(TrunkTransport::Tls)))
    );
    for bad in ["", "a b", "p:99999", "sip:p;lr"] {
        assert_eq!(parse(bad), None, "{bad}");
    }
}
