//! What tells transactions apart (RFC 3261 section 17).

use crate::sip::message::{HeaderName, Headers, Method, Request, Via};
use std::sync::Arc;

/// Key of a client transaction: branch of its Via and method of its CSeq.
pub(super) fn client_key(branch: &str, method: &str) -> Arc<str> {
    format!("{branch} {method}").into()
}

/// What merged requests have in common (section 8.2.2.2).
pub(super) fn merge_key(headers: &Headers) -> Arc<str> {
    let (from_tag, cseq) = (headers.from_tag().unwrap_or(""), headers.get(&HeaderName::CSeq).unwrap_or(""));
    format!("{from_tag}\n{}\n{cseq}", headers.call_id()).into()
}

/// Key of a server transaction (RFC 3261 section 17.2.3): branch, sent-by and method, ACK counted as
/// its INVITE. Without the magic cookie the headers that RFC 2543 matched on.
pub(super) fn server_key(request: &Request) -> Option<Arc<str>> {
    let via = request.headers.top_via()?;
    let method = match request.method {
        Method::Ack => "INVITE",
        ref method => method.as_str(),
    };
    if let Some(key) = server_key_from_via(&via, method) {
        return Some(key);
    }
    let (headers, port) = (&request.headers, via.port.unwrap_or(0));
    let cseq = headers.cseq()?.number;
    let from = headers.from_tag().unwrap_or("");
    Some(format!("2543|{}|{from}|{cseq}|{}:{port}|{method}", headers.call_id(), via.host).into())
}

/// The same of its Via alone, where that has the magic cookie.
pub(super) fn server_key_from_via(via: &Via, method: &str) -> Option<Arc<str>> {
    let branch = via.branch().filter(|branch| branch.starts_with("z9hG4bK"))?;
    Some(format!("{branch}|{}:{}|{method}", via.host, via.port.unwrap_or(0)).into())
}
