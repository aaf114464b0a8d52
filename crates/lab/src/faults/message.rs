//! A SIP message as text: what the peers of the fault soak read, and what they send without a stack that would mend it.

use std::fmt::Write as _;

/// A message as it came.
#[derive(Clone, Debug)]
pub(super) struct Message(pub String);

impl Message {
    /// The first header of this name; empty without one.
    pub(super) fn header(&self, name: &str) -> &str {
        let head = self.0.split_once("\r\n\r\n").map_or(self.0.as_str(), |(head, _)| head);
        let mut lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.find(|(found, _)| found.trim().eq_ignore_ascii_case(name)).map_or("", |(_, value)| value.trim())
    }

    pub(super) fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    fn start(&self) -> &str {
        self.0.lines().next().unwrap_or_default()
    }

    /// Status of a response; 0 for a request.
    pub(super) fn status(&self) -> u16 {
        let status = self.start().strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)?.parse().ok());
        status.unwrap_or(0)
    }

    /// Method of a request; empty for a response.
    pub(super) fn method(&self) -> &str {
        if self.status() == 0 { self.start().split(' ').next().unwrap_or_default() } else { "" }
    }

    /// User part of the Request-URI.
    pub(super) fn target_user(&self) -> &str {
        let uri = self.start().split(' ').nth(1).unwrap_or_default();
        let user = uri.split_once(':').and_then(|(_, rest)| rest.split_once('@'));
        user.map_or("", |(user, _)| user)
    }

    /// Whether this is a request of the method, or a response to a request with this CSeq.
    pub(super) fn is(&self, wanted: &str) -> bool {
        if self.status() == 0 { self.method() == wanted } else { self.header("CSeq") == wanted && self.status() >= 200 }
    }

    pub(super) fn to_tag(&self) -> String {
        self.header("To").split("tag=").nth(1).unwrap_or_default().to_owned()
    }

    /// The URI of the Contact header.
    pub(super) fn contact(&self) -> String {
        let inside = self.header("Contact").split_once('<').and_then(|(_, rest)| rest.split_once('>'));
        inside.map_or_else(String::new, |(uri, _)| uri.to_owned())
    }

    /// Port of the first audio line in the body; 0 without one.
    pub(super) fn audio_port(&self) -> u16 {
        let line = self.body().lines().find_map(|line| line.strip_prefix("m=audio "));
        line.and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap_or(0)
    }
}

/// A response to a request with its Via, From, Call-ID and CSeq. `tag` is added where To has none.
pub(super) fn response(request: &Message, status: &str, tag: &str, lines: &[&str], body: &str) -> String {
    let to = request.header("To");
    let to = if to.contains("tag=") || tag.is_empty() { to.to_owned() } else { format!("{to};tag={tag}") };
    let mut head = format!("SIP/2.0 {status}\r\nTo: {to}\r\n");
    for name in ["Via", "From", "Call-ID", "CSeq"] {
        let _ = write!(head, "{name}: {}\r\n", request.header(name));
    }
    with_body(head, lines, body)
}

/// Adds headers, Content-Type of SDP unless another one is among them, Content-Length and the body.
pub(super) fn with_body(mut head: String, lines: &[&str], body: &str) -> String {
    for line in lines {
        let _ = write!(head, "{line}\r\n");
    }
    if !body.is_empty() && !lines.iter().any(|line| line.starts_with("Content-Type")) {
        head.push_str("Content-Type: application/sdp\r\n");
    }
    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// A description with one audio line: the profile and formats, and further attributes.
pub(super) fn sdp(host: &str, port: u16, media: &str, attributes: &[&str]) -> String {
    let lines: String = attributes.iter().map(|line| format!("a={line}\r\n")).collect();
    format!("v=0\r\no=t 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} {media}\r\n{lines}")
}
