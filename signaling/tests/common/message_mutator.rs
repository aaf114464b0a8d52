//! Systematic message mutator: every mutation of every header the user agent reads. The tests run all of them against
//! an endpoint in virtual time, and the fuzzer picks from them.
#![allow(dead_code, reason = "each user of it takes a part")]

/// Header values of one name, as lines: none for a header that is missing.
pub type Values = Vec<Vec<u8>>;

/// Headers the endpoint reads, with a good value each. Those that a message needs are filled in by [`Draft`].
pub const HEADERS: [(&str, &str); 49] = [
    ("Via", "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKhostile;rport"),
    ("v", "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKhostile"),
    ("From", "\"A\" <sip:a@10.0.0.1>;tag=peer"),
    ("To", "<sip:+31201234567@10.9.9.9>"),
    ("Call-ID", "hostile@10.0.0.1"),
    ("CSeq", "2 INFO"),
    ("Max-Forwards", "70"),
    ("Contact", "<sip:a@10.0.0.1:5060>"),
    ("Content-Length", "5"),
    ("l", "5"),
    ("Content-Type", "application/sdp"),
    ("Content-Encoding", "identity"),
    ("Route", "<sip:10.0.0.8;lr>"),
    ("Record-Route", "<sip:10.0.0.8;lr>"),
    ("Allow", "INVITE, UPDATE"),
    ("Supported", "100rel, timer"),
    ("Require", "timer"),
    ("Proxy-Require", "timer"),
    ("Unsupported", "timer"),
    ("Accept", "application/sdp"),
    ("Expires", "3600"),
    ("Min-Expires", "3600"),
    ("Session-Expires", "1800;refresher=uac"),
    ("x", "90"),
    ("Min-SE", "90"),
    ("RSeq", "1"),
    ("RAck", "1 1 INVITE"),
    ("Retry-After", "5;duration=60"),
    ("Reason", "Q.850;cause=16;text=\"Normal\""),
    (
        "Authorization",
        "Digest username=\"u\", realm=\"r\", nonce=\"1.a.b\", uri=\"sip:h\", response=\"0\", qop=auth, nc=00000001, cnonce=\"c\"",
    ),
    ("Proxy-Authorization", "Digest username=\"u\", realm=\"r\", nonce=\"1.a.b\", uri=\"sip:h\", response=\"0\""),
    ("WWW-Authenticate", "Digest realm=\"r\", nonce=\"n\", qop=\"auth\", algorithm=SHA-256, stale=true"),
    ("Proxy-Authenticate", "Digest realm=\"r\", nonce=\"n\""),
    ("Replaces", "call@h;to-tag=1;from-tag=2"),
    ("Refer-To", "<sip:b@10.0.0.7?Replaces=c%40h%3Bto-tag%3D1%3Bfrom-tag%3D2>"),
    ("Referred-By", "<sip:a@10.0.0.1>"),
    ("Event", "refer;id=1"),
    ("Subscription-State", "terminated;reason=noresource"),
    ("P-Asserted-Identity", "\"A\" <sip:+3120@10.0.0.1>, <tel:+3120>"),
    ("Privacy", "id;critical"),
    ("Diversion", "<sip:b@10.0.0.1>;reason=unconditional;counter=1"),
    ("Identity", "eyJ.eyJ.sig;info=<https://c.example/c.pem>;alg=ES256;ppt=shaken"),
    ("Date", "Thu, 21 Feb 2002 13:02:03 GMT"),
    ("Subject", "hello"),
    ("User-Agent", "x/1 (y)"),
    ("Warning", "399 h \"no\""),
    ("Path", "<sip:10.0.0.8;lr>"),
    ("Service-Route", "<sip:10.0.0.8;lr>"),
    ("X-Customer", "a=b"),
];

/// Numbers at and beyond the limits of everything that holds one.
const NUMBERS: [&str; 21] = [
    "0",
    "1",
    "-1",
    "+1",
    "255",
    "256",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999999999999999",
    "1e9",
    "0x10",
    "00000000000000000000000000000000000001",
    "1.5",
];

fn is_numeric(byte: u8) -> bool {
    byte.is_ascii_digit()
}

/// The first run of digits of a value replaced.
fn with_number(good: &[u8], number: &str) -> Vec<u8> {
    let start = good.iter().position(|byte| is_numeric(*byte)).unwrap_or(good.len());
    let end = good[start..].iter().position(|byte| !is_numeric(*byte)).map_or(good.len(), |len| start + len);
    [&good[..start], number.as_bytes(), &good[end..]].concat()
}

/// The last one.
fn with_last_number(good: &[u8], number: &str) -> Vec<u8> {
    let end = good.iter().rposition(|byte| is_numeric(*byte)).map_or(good.len(), |at| at + 1);
    let start = good[..end].iter().rposition(|byte| !is_numeric(*byte)).map_or(0, |at| at + 1);
    [&good[..start.min(end)], number.as_bytes(), &good[end..]].concat()
}

/// The start, behind each separator, and the end: where something is inserted.
fn places(good: &[u8]) -> impl Iterator<Item = usize> {
    let is_separator = |byte: u8| b" ,;:=<>@\"/.".contains(&byte);
    (0..good.len()).filter(move |at| *at == 0 || is_separator(good[at - 1])).chain([good.len()])
}

/// Every way in which one header is put wrong.
pub fn mutations(good: &[u8]) -> Vec<(String, Values)> {
    let mut ways = Mutations { wanted: None, count: 0, made: vec![] };
    ways.visit(good);
    ways.made
}

/// One of them, by number: the others, some of which are long, are not made.
pub fn mutation(good: &[u8], number: usize) -> (String, Values) {
    let mut all = Mutations { wanted: Some(usize::MAX), count: 0, made: vec![] };
    all.visit(good);
    let mut ways = Mutations { wanted: Some(number % all.count), count: 0, made: vec![] };
    ways.visit(good);
    ways.made.pop().expect("a way of that number")
}

/// Enumerates mutations and builds the selected ones.
struct Mutations {
    wanted: Option<usize>,
    count: usize,
    made: Vec<(String, Values)>,
}

impl Mutations {
    fn add(&mut self, name: impl FnOnce() -> String, values: impl FnOnce() -> Values) {
        if self.wanted.is_none_or(|wanted| wanted == self.count) {
            self.made.push((name(), values()));
        }
        self.count += 1;
    }

    fn named(&mut self, name: &str, values: impl FnOnce() -> Values) {
        self.add(|| name.to_owned(), values);
    }

    fn visit(&mut self, good: &[u8]) {
        // A value that was already lengthened is not mutated in every place.
        let good = good.get(..400).unwrap_or(good);
        self.named("as it should be", || vec![good.to_vec()]);
        self.named("missing", Vec::new);
        self.named("empty", || vec![vec![]]);
        self.named("twice", || vec![good.to_vec(), good.to_vec()]);
        self.named("twice, the first empty", || vec![vec![], good.to_vec()]);
        self.named("twice, the first a comma", || vec![b" ,".to_vec(), good.to_vec()]);
        self.named("twice, the second another", || vec![good.to_vec(), b"other".to_vec()]);
        self.named("a hundred times", || vec![good.to_vec(); 100]);
        self.named("two hundred times", || vec![good.to_vec(); 200]);
        self.visit_surroundings(good);
        self.visit_insertions(good);
        self.visit_numbers_and_lengths(good);
        for at in 0..good.len() {
            self.add(|| format!("cut at {at}"), || vec![good[..at].to_vec()]);
        }
    }

    /// Something before or behind the value.
    fn visit_surroundings(&mut self, good: &[u8]) {
        let with = |before: &str, after: &str| vec![[before.as_bytes(), good, after.as_bytes()].concat()];
        for (before, after) in [
            (",", ""),
            (" , ,", ""),
            ("", ","),
            ("", ",,\t,"),
            (",é,", ""),
            (";", ""),
            ("", ";"),
            ("", ";;=;=;"),
            ("<", ""),
            (">", ""),
            ("\"", ""),
            ("", "\""),
            ("", ";x=\"open"),
            ("\"\\", ""),
            ("", "\\"),
            ("", "<"),
            ("", ">"),
            ("(", ""),
            ("", " (c (c"),
            ("", ";=x"),
            ("", ";rport;RPORT=é;received=é"),
            ("", ";tag=é"),
            ("", ";branch=é"),
            ("\t ", " \t"),
            ("\r\n ", ""),
            ("", "\r\n \r\n\t"),
            ("", "\r x"),
            ("[", "]"),
            ("[::1", ""),
            ("%", "%"),
            ("", ";expires=4294967296;q=NaN"),
        ] {
            self.add(|| format!("{before:?} before, {after:?} behind"), || with(before, after));
        }
    }

    /// Bytes in every place that may matter.
    fn visit_insertions(&mut self, good: &[u8]) {
        for what in [
            &b"\xC3\xA9"[..],
            b"\xE9",
            b"\x80",
            b"\xC3",
            b"\xEF\x9C\x8A",
            b"\xF0\x9F\x92\xA9",
            b"\0",
            b"\x01\x1B\x7F",
            b"\r",
            b",",
            b"\"",
            b";",
            b"%00",
        ] {
            for at in places(good) {
                let value = || [&good[..at], what, &good[at..]].concat();
                self.add(|| format!("{:?} at {at}", what.escape_ascii().to_string()), || vec![value()]);
            }
        }
    }

    /// Numbers beyond their range, and values of every length.
    fn visit_numbers_and_lengths(&mut self, good: &[u8]) {
        let with = |before: &str, after: &str| vec![[before.as_bytes(), good, after.as_bytes()].concat()];
        for number in NUMBERS {
            self.add(|| format!("first number {number}"), || vec![with_number(good, number)]);
            self.add(|| format!("last number {number}"), || vec![with_last_number(good, number)]);
            self.add(|| format!("only {number}"), || vec![number.as_bytes().to_vec()]);
        }
        for (length, what) in
            [(300, "x"), (20_000, "x"), (20_000, ";p=1"), (20_000, ",a"), (9_000, "é"), (16_000, "(("), (60_000, "\"")]
        {
            let long = || what.repeat(length / what.len());
            self.add(|| format!("{length} bytes of {what:?} behind"), || with("", &long()));
            self.add(|| format!("{length} bytes of {what:?} before"), || with(&long(), ""));
        }
        self.named("three hundred elements", || vec![vec![good; 300].join(&b","[..])]);
    }
}

/// A message to be mutated.
#[derive(Clone, Debug)]
pub struct MessageDraft {
    pub start: Vec<u8>,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

fn full_name(name: &str) -> &str {
    match name {
        "v" => "Via",
        "l" => "Content-Length",
        "x" => "Session-Expires",
        other => other,
    }
}

impl MessageDraft {
    pub fn new(start: &str, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
        Self { start: start.as_bytes().to_vec(), headers, body: body.to_vec() }
    }

    /// The value a header has in this message, or would have.
    pub fn good(&self, name: &str, usual: &str) -> Vec<u8> {
        if full_name(name) == "Content-Length" {
            return self.body.len().to_string().into_bytes();
        }
        let there = self.headers.iter().find(|(there, _)| there == full_name(name));
        there.map_or_else(|| usual.as_bytes().to_vec(), |(_, value)| value.clone())
    }

    /// The header replaced by these lines, in its place.
    pub fn with(&self, name: &str, values: &Values) -> Self {
        let mut changed = self.clone();
        let at =
            changed.headers.iter().position(|(there, _)| there == full_name(name)).unwrap_or(changed.headers.len());
        changed.headers.retain(|(there, _)| there != full_name(name));
        let at = at.min(changed.headers.len());
        changed.headers.splice(at..at, values.iter().map(|value| (name.to_owned(), value.clone())));
        if values.is_empty() && full_name(name) == "Content-Length" {
            changed.headers.push(("No-Length".to_owned(), vec![]));
        }
        changed
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = [&self.start[..], b"\r\n"].concat();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        if !self.headers.iter().any(|(name, _)| matches!(name.as_str(), "Content-Length" | "l" | "No-Length")) {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n", self.body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// Start lines that are none, or only just.
pub fn start_lines(method: &str) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = vec![];
    for uri in [
        "sip:a@10.9.9.9",
        "sips:a@10.9.9.9",
        "tel:+3120",
        "tel:",
        "sip:",
        "sip:@",
        "sip:é@h",
        "sip:a@é",
        "sip:a@h:0",
        "sip:a@h:65535",
        "sip:a@h:65536",
        "sip:a@h:99999999999999999999",
        "sip:a@[::1",
        "sip:a@[::1]:5060",
        "sip:%00@h",
        "sip:%@h",
        "sip:a;x=é@h;y=é?z=é",
        "http://h",
        "*",
        "<sip:a@h>",
        "\"",
        "",
    ] {
        all.push(format!("{method} {uri} SIP/2.0").into_bytes());
    }
    for network in [
        "{} sip:a@h SIP/2.0 ",
        "{}  sip:a@h SIP/2.0",
        "{} sip:a@h SIP/3.0",
        "{} sip:a@h",
        "{}",
        "é sip:a@h SIP/2.0",
        "SIP/2.0 200",
        "SIP/2.0 099 x",
        "SIP/2.0 é",
    ] {
        all.push(network.replace("{}", method).into_bytes());
    }
    for byte in [0, b'\r', 0x80, 0xE9, 0x7F] {
        all.push([method.as_bytes(), b" sip:a", &[byte], b"@h SIP/2.0"].concat());
        all.push([method.as_bytes(), &[byte], b" sip:a@h SIP/2.0"].concat());
    }
    all
}

/// The ways in which bytes of messages arrive on a stream.
pub fn chunks(bytes: &[u8], way: usize) -> Vec<Vec<u8>> {
    match way % 5 {
        0 => vec![bytes.to_vec()],
        1 => bytes.iter().map(|byte| vec![*byte]).collect(),
        2 => bytes.chunks(7).map(<[u8]>::to_vec).collect(),
        3 => bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect(),
        _ => vec![[b"\r\n\r\n\0\r\n", bytes, b"\r\n"].concat()],
    }
}

/// xorshift.
pub struct Rng(pub u64);

impl Rng {
    pub fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below.max(1) as u64) as usize
    }
}

/// One header put wrong in one way, both picked by numbers.
pub fn spoiled(draft: &MessageDraft, header: usize, mutation: usize) -> (String, MessageDraft) {
    let (name, usual) = HEADERS[header % HEADERS.len()];
    let (way, values) = self::mutation(&draft.good(name, usual), mutation);
    (format!("{name}: {way}"), draft.with(name, &values))
}
