//! Header names, the ordered header list and the typed views of the headers a user agent reads.

use super::scan;
use super::uri::{self, NameAddr, UriError};
use compact_str::CompactString;

macro_rules! header_names {
    ($($variant:ident $name:literal $($compact:literal)?),* $(,)?) => {
        /// A header's name; compact forms and letter case are gone after parsing.
        #[derive(Clone, Debug)]
        pub enum HeaderName {
            $(#[doc = concat!("The `", $name, "` header.")] $variant,)*
            /// A header that is not in the list, its name spelled as received.
            Other(CompactString),
        }

        impl HeaderName {
            /// Parses a full or compact name in any letter case; a name that is not in the list becomes `Other`.
            pub fn parse(text: &str) -> Self {
                $(if text.eq_ignore_ascii_case($name) $(|| text.eq_ignore_ascii_case($compact))? { return Self::$variant; })*
                Self::Other(text.into())
            }

            /// Returns the full name in its usual spelling, such as `Call-ID`; of `Other` as received.
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
    Date "Date", Subject "Subject" "s", ContentEncoding "Content-Encoding" "e", ContentDisposition "Content-Disposition",
    InfoPackage "Info-Package", RecvInfo "Recv-Info", ReferTo "Refer-To" "r",
    ReferredBy "Referred-By" "b", Event "Event" "o", SubscriptionState "Subscription-State",
    Replaces "Replaces", Path "Path", ServiceRoute "Service-Route", MinExpires "Min-Expires", Diversion "Diversion",
    Identity "Identity" "y", AcceptEncoding "Accept-Encoding", AcceptLanguage "Accept-Language", ProxyRequire "Proxy-Require",
    PEarlyMedia "P-Early-Media",
}

/// Names are compared without letter case (RFC 3261 section 7.3.1), also those that are not in the list.
impl PartialEq for HeaderName {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Other(one), Self::Other(two)) => one.eq_ignore_ascii_case(two),
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl Eq for HeaderName {}

/// One header line: name and value, folding undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Name of the header, compact forms expanded.
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
    /// Creates an empty list with room for `count` headers.
    pub fn with_capacity(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    /// Appends a header at the end, even if one of that name is there.
    pub fn push(&mut self, name: HeaderName, value: impl Into<CompactString>) {
        self.0.push(Header { name, value: value.into() });
    }

    /// Appends all headers of another list, in their order.
    pub fn extend(&mut self, others: Headers) {
        self.0.extend(others.0);
    }

    /// Inserts a header before all others, as a Via needs it.
    pub fn push_front(&mut self, name: HeaderName, value: impl Into<CompactString>) {
        self.0.insert(0, Header { name, value: value.into() });
    }

    /// Replaces every header of that name by one, in the place of the first.
    pub fn set(&mut self, name: HeaderName, value: impl Into<CompactString>) {
        let mut value = Some(value.into());
        self.0.retain_mut(|header| {
            if header.name != name {
                return true;
            }
            let first = value.take();
            let is_first = first.is_some();
            header.value = first.unwrap_or_default();
            is_first
        });
        if let Some(value) = value {
            self.push(name, value);
        }
    }

    /// Changes the first element of a list and leaves the others; empty elements before it are taken out.
    pub fn edit_first_element(&mut self, name: &HeaderName, edit: impl FnOnce(&str) -> String) {
        for header in self.0.iter_mut().filter(|header| header.name == *name) {
            let Some((first, others)) = scan::split_element(&header.value) else { continue };
            let mut edited = edit(first);
            if scan::split_element(others).is_some() {
                edited.push(',');
                edited.push_str(others);
            }
            header.value = edited.into();
            return;
        }
    }

    /// Removes every header of that name; does nothing without one.
    pub fn remove(&mut self, name: &HeaderName) {
        self.0.retain(|h| h.name != *name);
    }

    /// First value of that name.
    pub fn get(&self, name: &HeaderName) -> Option<&str> {
        self.0.iter().find(|h| h.name == *name).map(|h| h.value.as_str())
    }

    /// Returns the values of all headers of that name, in order; comma separated lists are not split.
    pub fn all<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a str> + 'a {
        self.0.iter().filter(move |h| h.name == *name).map(|h| h.value.as_str())
    }

    /// Returns how many header lines have that name; a comma separated list counts once.
    pub fn count(&self, name: &HeaderName) -> usize {
        self.0.iter().filter(|h| h.name == *name).count()
    }

    /// Returns all headers in the order of the wire.
    pub fn iter(&self) -> impl Iterator<Item = &Header> {
        self.0.iter()
    }

    /// Returns the number of header lines.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there is no header at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Elements of a comma separated header over all its lines (RFC 3261 section 7.3.1).
    pub fn list<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a str> + 'a {
        self.all(name).flat_map(scan::elements)
    }

    /// Returns the topmost Via; `None` if it is missing or unreadable.
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

    /// Parses the From header: `None` without one, an error if it is not a valid name-addr.
    pub fn from(&self) -> Option<Result<NameAddr, UriError>> {
        self.get(&HeaderName::From).map(NameAddr::parse)
    }

    /// Parses the To header: `None` without one, an error if it is not a valid name-addr.
    pub fn to(&self) -> Option<Result<NameAddr, UriError>> {
        self.get(&HeaderName::To).map(NameAddr::parse)
    }

    /// Tag of the From header without a full parse of its URI.
    pub fn from_tag(&self) -> Option<&str> {
        self.get(&HeaderName::From).and_then(tag_of)
    }

    /// Returns the tag of the To header; `None` outside of a dialog.
    pub fn to_tag(&self) -> Option<&str> {
        self.get(&HeaderName::To).and_then(tag_of)
    }

    /// Returns the value of Call-ID; empty if it is missing.
    pub fn call_id(&self) -> &str {
        self.get(&HeaderName::CallId).unwrap_or("")
    }

    /// Returns the CSeq; `None` if it is missing or malformed.
    pub fn cseq(&self) -> Option<CSeq<'_>> {
        self.get(&HeaderName::CSeq).and_then(CSeq::parse)
    }

    /// Parses the first Contact: `None` without one, an error if it is not a valid name-addr, such as `*`.
    pub fn contact(&self) -> Option<Result<NameAddr, UriError>> {
        self.list(&HeaderName::Contact).next().map(NameAddr::parse_contact)
    }

    /// The number a value begins with, parameters and comments left off; one too large for its type is the largest.
    pub fn number(&self, name: &HeaderName) -> Option<u32> {
        self.get(name).and_then(|value| scan::seconds(value.trim_start().split([';', ' ', '\t', '(']).next()?))
    }
}

/// Tag parameter of a From or To value.
pub fn tag_of(value: &str) -> Option<&str> {
    let mut tags = scan::params(uri::header_params(value)?).filter(|(name, _)| name.eq_ignore_ascii_case("tag"));
    tags.find(|(_, tag)| !tag.is_empty()).map(|(_, tag)| tag)
}

/// A Via element (RFC 3261 section 20.42).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// Transport in upper case, such as `UDP`; also names that we do not know.
    pub transport: String,
    /// Host of the sender as it names itself, IPv6 without brackets; may be a private address.
    pub host: String,
    /// Port of the sender, 1 to 65535; `None` for the default port of the transport.
    pub port: Option<u16>,
    /// Parameters with the leading semicolon, such as `;branch=z9hG4bK1;rport`, or empty.
    pub params: String,
}

impl Via {
    /// Parses one Via element; `None` if it is not `SIP/2.0`, has a bad host or port, or more than 64 parameters.
    pub fn parse(text: &str) -> Option<Self> {
        let parts = ViaParts::split(text)?;
        Some(Self {
            transport: parts.transport.to_ascii_uppercase(),
            host: parts.host.to_owned(),
            port: parts.port,
            params: parts.params.trim_end().to_owned(),
        })
    }

    /// Returns the branch, which identifies the transaction; `None` if it is missing or empty.
    pub fn branch(&self) -> Option<&str> {
        branch_of(&self.params)
    }
}

fn branch_of(params: &str) -> Option<&str> {
    scan::param(params, "branch").filter(|branch| !branch.is_empty())
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
        let (sent_by, params) = scan::split_before(rest, ';');
        if transport.is_empty() || !transport.bytes().all(scan::is_token) || scan::has_too_many_params(params) {
            return None;
        }
        let (host, port) = uri::split_host_port(sent_by.trim())?;
        Some(Self { transport, host, port, params })
    }
}

/// A CSeq header: number and method of a request (RFC 3261 section 20.16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// Sequence number, below 2^31.
    pub number: u32,
    /// Method as written; a response repeats that of its request.
    pub method: &'a str,
}

impl<'a> CSeq<'a> {
    /// Parses `314159 INVITE`; `None` for a number of 2^31 or above, or a method that is no token.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (number, method) = text.trim().split_once([' ', '\t'])?;
        let method = method.trim();
        // RFC 3261 section 8.1.1.5: below 2^31.
        let number: u32 = scan::digits(number).filter(|n| *n < 1 << 31)?;
        (!method.is_empty() && method.bytes().all(scan::is_token)).then_some(Self { number, method })
    }
}

/// A RAck header (RFC 3262 section 7.2): which response to which request a PRACK is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RAck<'a> {
    /// RSeq number of the provisional response that is acknowledged.
    pub rseq: u32,
    /// CSeq of the request which that response answers.
    pub cseq: CSeq<'a>,
}

impl<'a> RAck<'a> {
    /// Parses `776656 1 INVITE`; `None` if a part is missing or out of range.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (rseq, cseq) = text.trim().split_once([' ', '\t'])?;
        Some(Self { rseq: scan::digits(rseq)?, cseq: CSeq::parse(cseq)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn via_takes_spaces_around_slashes_and_ipv6() {
        let via = Via::parse("SIP / 2.0 / UDP [2001:db8::9]:5070;rport;branch=z9hG4bK1").unwrap();
        assert_eq!((via.host.as_str(), via.port, via.branch()), ("2001:db8::9", Some(5070), Some("z9hG4bK1")));
        assert_eq!(Via::parse("SIP/7.0/UDP host"), None);
    }

    #[test]
    fn names_have_no_letter_case() {
        let mut list = Headers::default();
        list.push(HeaderName::parse("x-account-ID"), "7");
        assert_eq!(list.get(&HeaderName::parse("X-Account-Id")), Some("7"));
        assert_eq!(list.get(&HeaderName::parse("X-Account")), None);
        assert_eq!(HeaderName::parse("SUBJECT"), HeaderName::parse("s"));
        assert_ne!(HeaderName::parse("Subject"), HeaderName::parse("To"));
    }

    #[test]
    fn cseq_is_bounded() {
        assert_eq!(CSeq::parse("1 INVITE"), Some(CSeq { number: 1, method: "INVITE" }));
        assert_eq!(
            RAck::parse("1  2 INVITE").map(|rack| (rack.rseq, rack.cseq.number, rack.cseq.method)),
            Some((1, 2, "INVITE"))
        );
        for text in ["", "1", "1 2", "1 INVITE", "4294967296 1 INVITE", "1 2147483648 INVITE", "1 2 é"] {
            assert_eq!(RAck::parse(text), None, "{text}");
        }
        for text in ["2147483648 INVITE", "+1 INVITE", "-1 INVITE", "1", "x INVITE", "1 IN VITE"] {
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
        assert_eq!(headers.iter().map(|h| h.name.as_str()).collect::<Vec<_>>(), ["To", "Via"]);
        headers.set(HeaderName::CSeq, "1 X");
        assert_eq!(headers.get(&HeaderName::CSeq), Some("1 X"));
    }

    #[test]
    fn the_first_element_is_edited_wherever_it_stands() {
        for (values, wanted) in [
            (&["a;x=é, b"][..], &["[a;x=é], b"][..]),
            (&[" ,, a,b"], &["[a],b"]),
            (&[",", "a ,"], &[",", "[a]"]),
            (&["\"x, é\" <a,b>,c", "d"], &["[\"x, é\" <a,b>],c", "d"]),
            (&["", ","], &["", ","]),
        ] {
            let mut headers = Headers::default();
            values.iter().for_each(|value| headers.push(HeaderName::Via, *value));
            headers.edit_first_element(&HeaderName::Via, |first| format!("[{first}]"));
            assert_eq!(headers.all(&HeaderName::Via).collect::<Vec<_>>(), wanted);
        }
    }
}
