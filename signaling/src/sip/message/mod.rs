//! SIP messages: syntax only, no semantics.

pub mod framing;
pub mod headers;
pub mod parse;
pub mod peek;
pub mod print;
pub mod scan;
pub mod uri;
mod validate;
mod wire_text;

pub use headers::{CSeq, Header, HeaderName, Headers, Via};
pub use uri::{NameAddr, Scheme, Uri};

/// Methods an endpoint tells apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    Invite,
    Ack,
    Bye,
    Cancel,
    Options,
    Info,
    Update,
    Register,
    Prack,
    Refer,
    Notify,
    Subscribe,
    Message,
    Publish,
    /// A method no RFC names: answered 501.
    Unknown(Box<str>),
}

impl Method {
    /// Method names are case sensitive (RFC 3261 section 7.1).
    pub fn parse(text: &str) -> Self {
        match text {
            "INVITE" => Self::Invite,
            "ACK" => Self::Ack,
            "BYE" => Self::Bye,
            "CANCEL" => Self::Cancel,
            "OPTIONS" => Self::Options,
            "INFO" => Self::Info,
            "UPDATE" => Self::Update,
            "REGISTER" => Self::Register,
            "PRACK" => Self::Prack,
            "REFER" => Self::Refer,
            "NOTIFY" => Self::Notify,
            "SUBSCRIBE" => Self::Subscribe,
            "MESSAGE" => Self::Message,
            "PUBLISH" => Self::Publish,
            other => Self::Unknown(other.into()),
        }
    }

    pub fn as_str(&self) -> &str {
        match self {
            Self::Invite => "INVITE",
            Self::Ack => "ACK",
            Self::Bye => "BYE",
            Self::Cancel => "CANCEL",
            Self::Options => "OPTIONS",
            Self::Info => "INFO",
            Self::Update => "UPDATE",
            Self::Register => "REGISTER",
            Self::Prack => "PRACK",
            Self::Refer => "REFER",
            Self::Notify => "NOTIFY",
            Self::Subscribe => "SUBSCRIBE",
            Self::Message => "MESSAGE",
            Self::Publish => "PUBLISH",
            Self::Unknown(name) => name,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: Method,
    pub uri: Uri,
    pub headers: Headers,
    pub body: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub reason: String,
    pub headers: Headers,
    pub body: Vec<u8>,
}

impl Response {
    /// A response to a request with the headers RFC 3261 section 8.2.6.2 copies; the To tag is added
    /// when the request has none.
    pub fn to_request(headers: &Headers, status: u16, to_tag: Option<&str>) -> Self {
        let mut copied = Headers::with_capacity(10);
        // Skip Via lines without any element; they would hide the first real Via.
        for via in headers.all(&HeaderName::Via).filter(|via| scan::split_element(via).is_some()) {
            copied.push(HeaderName::Via, via);
        }
        for name in [HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq] {
            let Some(value) = headers.get(&name) else { continue };
            match to_tag {
                Some(tag) if name == HeaderName::To && headers.to_tag().is_none() => {
                    copied.push(name, format!("{value};tag={tag}"));
                }
                _ => copied.push(name, value),
            }
        }
        Self { status, reason: print::reason_phrase(status).to_owned(), headers: copied, body: Vec::new() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SipMessage {
    Request(Request),
    Response(Response),
}
