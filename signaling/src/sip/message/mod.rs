//! SIP messages: syntax only, no semantics.

pub mod body;
pub mod framing;
pub mod headers;
pub mod parse;
pub mod peek;
pub mod print;
mod reason_phrase;
pub mod scan;
pub mod uri;
mod validate;
mod wire_text;

pub use headers::{CSeq, Header, HeaderName, Headers, Via};
pub use reason_phrase::reason_phrase;
pub use uri::{NameAddr, Scheme, Uri};

/// Methods a user agent tells apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Begins a call, or changes it as a re-INVITE (RFC 3261 section 13).
    Invite,
    /// Acknowledges the final response to an INVITE (RFC 3261 section 13.2.2.4).
    Ack,
    /// Ends a call (RFC 3261 section 15).
    Bye,
    /// Cancels an INVITE that has no final response yet (RFC 3261 section 9).
    Cancel,
    /// Asks what the peer can do, or whether it is there (RFC 3261 section 11).
    Options,
    /// Carries application data in a dialog, mostly DTMF (RFC 6086).
    Info,
    /// Changes media or refreshes the session, also before the answer (RFC 3311).
    Update,
    /// Registers a contact address (RFC 3261 section 10). We send it; a received one is answered 405.
    Register,
    /// Acknowledges a reliable provisional response (RFC 3262).
    Prack,
    /// Asks the peer to call a third party (RFC 3515).
    Refer,
    /// Reports an event; here the progress of a REFER (RFC 6665, RFC 3515).
    Notify,
    /// Asks for event reports (RFC 6665); a received one is answered 405.
    Subscribe,
    /// Carries a text message (RFC 3428); a received one is answered 405.
    Message,
    /// Publishes event state (RFC 3903); a received one is answered 405.
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

    /// Returns the method name as on the wire, in upper case; of an unknown method as received.
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

/// A SIP request (RFC 3261 section 7.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Method of the request line.
    pub method: Method,
    /// Request-URI: the target of the request.
    pub uri: Uri,
    /// Headers in order; Content-Length is written from the body.
    pub headers: Headers,
    /// Body bytes, empty without one; Content-Type names their format.
    pub body: Vec<u8>,
}

/// A SIP response (RFC 3261 section 7.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status code, 100 to 699.
    pub status: u16,
    /// Reason phrase for people, as received; may be empty.
    pub reason: String,
    /// Headers in order; Content-Length is written from the body.
    pub headers: Headers,
    /// Body bytes, empty without one; Content-Type names their format.
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
        Self { status, reason: reason_phrase(status).to_owned(), headers: copied, body: Vec::new() }
    }
}

/// A complete SIP message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SipMessage {
    /// A message that starts with a request line.
    Request(Request),
    /// A message that starts with a status line.
    Response(Response),
}
