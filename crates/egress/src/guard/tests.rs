//! Every way to write an address that is not of the public internet, and what is let through.

use super::*;

fn guard(networks: &[&str]) -> EgressGuard {
    let networks: Vec<IpNet> = networks.iter().map(|text| text.parse().unwrap()).collect();
    let own = OwnListeners { addresses: vec!["9.9.9.9".parse().unwrap()], ports: vec![3_008] };
    EgressGuard::new(EgressReach::default(), &networks, own, None)
}

/// Every notation that a resolver, ours or another, has accepted as an IPv4 address.
fn spellings(addr: std::net::Ipv4Addr) -> Vec<String> {
    let [a, b, c, d] = addr.octets();
    let (whole, low, lower) = (u32::from(addr), u32::from(addr) & 0xff_ffff, u32::from(addr) & 0xffff);
    let mut all = vec![
        format!("{a}.{b}.{c}.{d}"),
        format!("{a}.{b}.{c}.{d}."),
        format!("{whole}"),
        format!("{whole}."),
        format!("0x{whole:x}"),
        format!("0X{whole:08X}"),
        format!("0{whole:o}"),
        format!("000{whole:o}"),
        format!("{a}.{low}"),
        format!("{a}.0x{low:x}"),
        format!("0x{a:x}.{low}"),
        format!("0{a:o}.0{low:o}"),
        format!("{a}.{b}.{lower}"),
        format!("{a}.{b}.0x{lower:x}"),
        format!("0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}"),
        format!("0x{a:02X}.0x{b:02X}.0x{c:02X}.0x{d:02X}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("00{a:o}.0{b:o}.0x{c:x}.{d}"),
        format!("{a}%2e{b}%2E{c}.{d}"),
        format!("{a}\u{3002}{b}\u{ff0e}{c}\u{ff61}{d}"),
        format!("user:pass@{a}.{b}.{c}.{d}"),
        format!("example.com@{a}.{b}.{c}.{d}"),
        format!("example.com%40x@{a}.{b}.{c}.{d}"),
        format!("[::ffff:{a}.{b}.{c}.{d}]"),
        format!("[::ffff:{:x}:{:x}]", whole >> 16, lower),
        format!("[0:0:0:0:0:ffff:{a}.{b}.{c}.{d}]"),
        format!("[::{a}.{b}.{c}.{d}]"),
        format!("[::ffff:0:{a}.{b}.{c}.{d}]"),
        format!("[64:ff9b::{a}.{b}.{c}.{d}]"),
        format!("[64:FF9B::{:X}:{:X}]", whole >> 16, lower),
        format!("[64:ff9b:1::{a}.{b}.{c}.{d}]"),
        format!("[2002:{:x}:{:x}::]", whole >> 16, lower),
        format!("[2002:{:x}:{:x}:1::1]", whole >> 16, lower),
        format!("[2001:0:4136:e378:8000:63bf:{:x}:{:x}]", !(whole >> 16) & 0xffff, !lower & 0xffff),
        format!("[2a00:1450::5efe:{a}.{b}.{c}.{d}]"),
        format!("[2a00:1450::200:5efe:{a}.{b}.{c}.{d}]"),
    ];
    // The same in full-width digits and letters.
    let wide = |c: char| if c.is_ascii_alphanumeric() { char::from_u32(c as u32 + 0xfee0).unwrap_or(c) } else { c };
    let names: Vec<String> = all.iter().filter(|text| !text.contains(['[', '@', '%'])).cloned().collect();
    all.extend(names.iter().map(|text| text.chars().map(wide).collect()));
    all
}

#[test]
fn an_address_is_found_in_whichever_way_it_is_written() {
    let guard = guard(&[]);
    let private = [
        "127.0.0.1",
        "127.1.2.3",
        "10.0.0.1",
        "10.255.255.254",
        "172.16.0.1",
        "172.31.9.9",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.127.255.254",
        "192.0.0.192",
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.7",
        "203.0.113.9",
        "0.0.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "168.63.129.16",
    ];
    let mut tried = 0;
    for addr in private {
        for host in spellings(addr.parse().unwrap()) {
            for url in [
                format!("https://{host}/"),
                format!("https://{host}:8443/x?y#z"),
                format!("HTTPS://{host}#@example.com/"),
                format!("https://{host}?@example.com/"),
                format!("https:\\\\{host}\\x"),
                format!("https:{host}"),
                format!(" https://{host}/ "),
            ] {
                assert!(guard.check(&url).is_err(), "{url}");
                assert!(guard.check_base(&url).is_err(), "{url}");
                tried += 1;
            }
        }
    }
    assert!(tried > 5_000, "{tried}");
    // The spellings are what they are meant to be: of a public address most are let through.
    let public = spellings("8.8.4.4".parse().unwrap());
    let through = public.iter().filter(|host| guard.check(&format!("https://{host}/")).is_ok()).count();
    assert!(through * 4 > public.len() * 3, "{through} of {}", public.len());
}

/// Without an address of the public internet, or not HTTPS.
const BAD_URLS: &[&str] = &[
    "",
    " ",
    "x",
    "//127.0.0.1/",
    "https://",
    "https:///",
    "https://:1/",
    "https://[::]/",
    "https://[::1]/",
    "https://[::1%25lo]/",
    "https://[fe80::1%25eth0]/",
    "https://[fe80::1]/",
    "https://[fc00::1]/",
    "https://[fec0::1]/",
    "https://[ff02::1]/",
    "https://0/",
    "https://0.0.0.0/",
    "https://0x/",
    "https://localhost/",
    "https://LOCALHOST/",
    "https://localhost./",
    "https://localhost../",
    "https://a.localhost/",
    "https://a.b.localhost./",
    "https://router.local/",
    "https://metadata.google.internal/",
    "https://metadata.google.internal./",
    "https://lo\u{ad}calhost/",
    "https://\u{24db}ocalhost/",
    "https://loc%61lhost/",
    "http://example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_x",
    "ws://example.com/",
    "wss://example.com/",
    "javascript:1",
    "data:,x",
    "blob:https://x.y/",
    "https://9.9.9.9:3008/",
    "https://{{host}}/x",
    "https://a\"b.example/",
    "https://./",
    TOO_LONG_A_NAME,
];

const TOO_LONG_A_NAME: &str = concat!(
    "https://",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.",
    "aaaaaaaaaaaaaaaaaaaaaa.example/"
);

const GOOD_URLS: &[&str] = &[
    "https://example.com/hook?x=1#y",
    "https://example.com:8443/",
    "https://user:pass@example.com/",
    "https://localhost.example/",
    "https://xn--mnchen-3ya.example/",
    "https://m\u{fc}nchen.example/",
    "https://9.9.9.9/",
    "https://8.8.8.8:3008/",
    "https://127.0.0.1.example.com/",
    "https://1.2.3.4.example/",
];

#[test]
fn urls_that_lead_nowhere_good() {
    let guard = guard(&[]);
    for bad in BAD_URLS {
        assert!(guard.check(bad).is_err(), "{bad:?}");
    }
    for good in GOOD_URLS {
        assert!(guard.check(good).is_ok(), "{good:?}");
    }
    for extra in ["?", "?x", "#", "#x", "/#/", "/?#"] {
        assert_eq!(guard.check_base(&format!("https://example.com/v1{extra}")), Err(EgressError::NotABase), "{extra}");
    }
    assert_eq!(guard.check_base("https://user@example.com/v1"), Err(EgressError::NotABase));
    assert_eq!(guard.check_base("https://:p@example.com/v1"), Err(EgressError::NotABase));
    assert!(guard.check_base("https://example.com/v1/").is_ok());
}

#[test]
fn networks_of_the_operators_list_are_within_reach_and_nothing_beside_them() {
    let guard = guard(&["10.1.0.0/16", "127.0.0.2/32", "fd00:1::/32", "169.254.7.0/24"]);
    for good in [
        "https://10.1.2.3/",
        "http://10.1.2.3:8000/v1",
        "http://127.0.0.2:1/",
        "http://[fd00:1::7]/",
        "http://[::ffff:10.1.0.1]/",
        "http://169.254.7.1/",
        "https://example.com/",
        "http://vllm.internal:8000/",
        "https://localhost/",
        "http://example.com/",
    ] {
        assert!(guard.check(good).is_ok(), "{good}");
    }
    for bad in [
        "https://10.2.0.1/",
        "http://8.8.8.8/",
        "https://127.0.0.1/",
        "http://127.0.0.3/",
        "http://[fd00:2::7]/",
        "https://169.254.169.254/",
        "http://[64:ff9b::10.1.2.3]/",
        "ftp://10.1.2.3/",
        "http://9.9.9.9/",
    ] {
        assert!(guard.check(bad).is_err(), "{bad}");
    }
    assert!(
        EgressGuard::unrestricted().check("http://127.0.0.1:9/").is_ok()
            && EgressGuard::unrestricted().check("file:///etc/passwd").is_err()
    );
}

#[test]
fn sip_hosts() {
    let guard = guard(&[]);
    for bad in [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "::1",
        "[::1]",
        "[::ffff:10.0.0.1]",
        "localhost",
        "pbx.local",
        "0.0.0.0",
    ] {
        assert!(guard.check_host(bad, 5_060).is_err(), "{bad}");
    }
    assert!(guard.check_host("9.9.9.9", 3_008).is_err() && guard.check_host("9.9.9.9", 5_060).is_ok());
    // A name is judged when it is resolved: whatever a resolver makes of these.
    for name in ["sip.example.com", "2130706433", "0x7f.1", "127.1"] {
        assert!(guard.check_host(name, 5_060).is_ok(), "{name}");
    }
}
