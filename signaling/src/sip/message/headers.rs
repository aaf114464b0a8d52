//! Header names, the ordered header list and the typed views of the headers an endpoint reads.

use super::uri::{self, NameAddr, UriFault};
use compact_str::CompactString;

macro_rules! header_names {
    ($($variant:ident $name:literal $($compact:literal)?),* $(,)?) => {
        /// A header's name; compact forms and letter case are gone after parsing.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum HeaderName { $($variant,)* Other(CompactString) }

        impl HeaderName {
            pub fn parse(text: &str) -> Self {
                $(if text.eq_ignore_ascii_case($name) $(|| text.eq_ignore_ascii_case($compact))? { return Self::$variant; })*
                Self::Other(text.into())
            }

            pub fn as_str(&self) -> &str {
                match self { $(Self::$variant => $name,)* Self::Other(name) => name }
            }
        }
    };
}

header_names! {
    Via "Via" "v", From "From" "f", To "To" "t", CallId "Call-ID" "i", CSeq "CSeq", Contact "Contact" "m",
    MaxForwards "Max-Forwards", ContentLength "Content-Length" "l", ContentType "Content-Type" "c",
    Route "Route", RecordRoute "Record-Route", Allow "Allow", Supported "Supported" "k", Require "Require",
    Unsupported "Unsupported", Accept "Accept", UserAgent "User-Agent", Server "Server", Expires "Expires",
    Authorization "Authorization", ProxyAuthorization "Proxy-Authorization",
    WwwAuthenticate "WWW-Authenticate", ProxyAuthenticate "Proxy-Authenticate",
    RetryAfter "Retry-After", Reason "Reason", Warning "Warning", SessionExpires "Session-Expires" "x",
    MinSe "Min-SE", PAssertedIdentity "P-Asserted-Identity", Privacy "Privacy", RSeq "RSeq", RAck "RAck",
    Date "Date", Subject "Subject" "s", ContentEncoding "Content-Encoding" "e", ReferTo "Refer-To" "r",
    ReferredBy "Referred-By" "b", Event "Event" "o", SubscriptionState "Subscription-State",
    Replaces "Replaces", Path "Path", ServiceRoute "Service-Route", MinExpires "Min-Expires", Diversion "Diversion",
    Identity "Identity" "y", AcceptEncoding "Accept-Encoding", AcceptLanguage "Accept-Language", ProxyRequire "Proxy-Require",
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub name: HeaderName,
    /// Most values are short and live in the header itself.
    pub value: CompactString,
}

/// Headers in the order of the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<Header>);

impl From<Vec<Header>> for Headers {
    fn from(headers: Vec<Header>) -> Self {
        Self(headers)
    }
}

impl Headers {
    pub fn with_capacity(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    pub fn push(&mut self, name: HeaderName, value: impl Into<CompactString>) {
        self.0.push(Header { name, value: value.into() });
    }

    pub fn extend(&mut self, others: Headers) {
        self.0.extend(others.0);
    }

    pub fn push_front(&mut self, name: HeaderName, value: impl Into<CompactString>) {
        self.0.insert(0, Header { name, value: value.into() });
    }

    /// Replaces every header of that name by one, in the place of the first.
    pub fn set(&mut self, name: HeaderName, value: impl Into<CompactString>) {
        let value = value.into();
        match self.0.iter().position(|h| h.name == name) {
            Some(at) => {
                self.0[at].value = value;
                let mut index = 0;
                self.0.retain(|h| {
                    index += 1;
                    h.name != name || index - 1 <= at
                });
            }
            None => self.push(name, value),
        }
    }

    /// Changes the first header of that name and leaves the others.
    pub fn replace_first(&mut self, name: &HeaderName, value: CompactString) {
        if let Some(header) = self.0.iter_mut().find(|h| h.name == *name) {
            header.value = value;
        }
    }

    pub fn remove(&mut self, name: &HeaderName) {
        self.0.retain(|h| h.name != *name);
    }

    /// First value of that name.
    pub fn get(&self, name: &HeaderName) -> Option<&str> {
        self.0.iter().find(|h| h.name == *name).map(|h| h.value.as_str())
    }

    pub fn all<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a str> + 'a {
        self.0.iter().filter(move |h| h.name == *name).map(|h| h.value.as_str())
    }

    pub fn count(&self, name: &HeaderName) -> usize {
        self.0.iter().filter(|h| h.name == *name).count()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Header> {
        self.0.iter()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Elements of a comma separated header over all its lines (RFC 3261 section 7.3.1).
    pub fn list<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a str> + 'a {
        self.all(name).flat_map(split_list)
    }

    pub fn top_via(&self) -> Option<Via> {
        self.list(&HeaderName::Via).next().and_then(Via::parse)
    }

    /// There is a readable Via on top.
    pub fn has_via(&self) -> bool {
        self.list(&HeaderName::Via).next().and_then(ViaParts::split).is_some()
    }

    /// Every Via can be read: those of others too, which answers carry back.
    pub fn are_vias_readable(&self) -> bool {
        self.list(&HeaderName::Via).all(|via| ViaParts::split(via).is_some())
    }

    /// Branch of the topmost Via.
    pub fn branch(&self) -> Option<&str> {
        self.list(&HeaderName::Via).next().and_then(ViaParts::split).and_then(|via| branch_of(via.params))
    }

    pub fn from(&self) -> Option<Result<NameAddr, UriFault>> {
        self.get(&HeaderName::From).map(NameAddr::parse)
    }

    pub fn to(&self) -> Option<Result<NameAddr, UriFault>> {
        self.get(&HeaderName::To).map(NameAddr::parse)
    }

    /// Tag of the From header without a full parse of its URI.
    pub fn from_tag(&self) -> Option<&str> {
        self.get(&HeaderName::From).and_then(tag_of)
    }

    pub fn to_tag(&self) -> Option<&str> {
        self.get(&HeaderName::To).and_then(tag_of)
    }

    pub fn call_id(&self) -> &str {
        self.get(&HeaderName::CallId).unwrap_or("")
    }

    pub fn cseq(&self) -> Option<CSeq<'_>> {
        self.get(&HeaderName::CSeq).and_then(CSeq::parse)
    }

    pub fn contact(&self) -> Option<Result<NameAddr, UriFault>> {
        self.list(&HeaderName::Contact).next().map(NameAddr::parse)
    }

    pub fn number(&self, name: &HeaderName) -> Option<u32> {
        self.get(name).and_then(|value| value.trim_start().split([';', ' ', '(']).next()?.parse().ok())
    }
}

/// Tag parameter of a From or To value.
pub fn tag_of(value: &str) -> Option<&str> {
    let params = match uri::find_unquoted(value, b'>') {
        Some(at) => &value[at + 1..],
        None => &value[value.find(';')?..],
    };
    uri::param(params, "tag").filter(|tag| !tag.is_empty())
}

/// Splits at commas outside of quotes and angle brackets.
pub fn split_list(value: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut quoted = false;
        let mut bracket = false;
        let mut end = text.len();
        for (at, byte) in text.bytes().enumerate() {
            match byte {
                b'"' => quoted = !quoted,
                b'<' if !quoted => bracket = true,
                b'>' if !quoted => bracket = false,
                b',' if !quoted && !bracket => {
                    end = at;
                    break;
                }
                _ => {}
            }
        }
        rest = text.get(end + 1..);
        Some(text[..end].trim())
    })
    .filter(|element| !element.is_empty())
}

/// A Via element (RFC 3261 section 20.42).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    pub transport: String,
    pub host: String,
    pub port: Option<u16>,
    pub params: String,
}

impl Via {
    pub fn parse(text: &str) -> Option<Self> {
        let parts = ViaParts::split(text)?;
        Some(Self {
            transport: parts.transport.to_ascii_uppercase(),
            host: parts.host.to_owned(),
            port: parts.port,
            params: parts.params.trim_end().to_owned(),
        })
    }

    pub fn branch(&self) -> Option<&str> {
        branch_of(&self.params)
    }
}

fn branch_of(params: &str) -> Option<&str> {
    uri::param(params, "branch").filter(|branch| !branch.is_empty())
}

/// A Via element's parts inside its text.
struct ViaParts<'a> {
    transport: &'a str,
    host: &'a str,
    port: Option<u16>,
    params: &'a str,
}

impl<'a> ViaParts<'a> {
    fn split(text: &'a str) -> Option<Self> {
        // "SIP / 2.0 / UDP host" with white space around the slashes is legal.
        let mut parts = text.splitn(3, '/');
        let name = parts.next()?.trim();
        let version = parts.next()?.trim();
        if !name.eq_ignore_ascii_case("SIP") || version != "2.0" {
            return None;
        }
        let rest = parts.next()?.trim_start();
        let (transport, rest) = rest.split_once([' ', '\t'])?;
        let (sent_by, params) = rest.find(';').map_or((rest, ""), |at| rest.split_at(at));
        let (host, port) = uri::split_host_port(sent_by.trim())?;
        Some(Self { transport, host, port, params })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    pub number: u32,
    pub method: &'a str,
}

impl<'a> CSeq<'a> {
    pub fn parse(text: &'a str) -> Option<Self> {
        let (number, method) = text.trim().split_once([' ', '\t'])?;
        let method = method.trim();
        // RFC 3261 section 8.1.1.5: below 2^31.
        let number: u32 = number.parse().ok().filter(|n| *n < 1 << 31)?;
        (!method.is_empty() && method.bytes().all(super::parse::is_token)).then_some(Self { number, method })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_split_outside_of_quotes_and_brackets() {
        let all: Vec<_> = split_list("<sip:a@b;x=1,2>, \"x, y\" <sip:c@d> ,, e").collect();
        assert_eq!(all, ["<sip:a@b;x=1,2>", "\"x, y\" <sip:c@d>", "e"]);
    }

    #[test]
    fn via_takes_spaces_around_slashes_and_ipv6() {
        let via = Via::parse("SIP / 2.0 / UDP [2001:db8::9]:5070;rport;branch=z9hG4bK1").unwrap();
        assert_eq!((via.host.as_str(), via.port, via.branch()), ("2001:db8::9", Some(5070), Some("z9hG4bK1")));
        assert_eq!(Via::parse("SIP/7.0/UDP host"), None);
    }

    #[test]
    fn cseq_is_bounded() {
        assert_eq!(CSeq::parse("1 INVITE"), Some(CSeq { number: 1, method: "INVITE" }));
        for text in ["2147483648 INVITE", "-1 INVITE", "1", "x INVITE", "1 IN VITE"] {
            assert_eq!(CSeq::parse(text), None, "{text}");
        }
    }

    #[test]
    fn set_keeps_one_of_a_name() {
        let mut headers = Headers::default();
        headers.push(HeaderName::To, "a");
        headers.push(HeaderName::Via, "1");
        headers.push(HeaderName::Via, "2");
        headers.set(HeaderName::Via, "3");
        assert_eq!(headers.all(&HeaderName::Via).collect::<Vec<_>>(), ["3"]);
    }
}
