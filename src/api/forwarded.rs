//! What a proxy says about the client's connection: whether it was encrypted.

use axum::http::{HeaderMap, HeaderName, header};

/// The scheme of the client's connection.
pub(super) const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Whether the client's own connection was encrypted: `X-Forwarded-Proto`, or `Forwarded` (RFC 7239). In a chain of
/// proxies the first entry is the client's.
pub(super) fn is_encrypted(headers: &HeaderMap) -> bool {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = text(&FORWARDED_PROTO).and_then(|list| list.split(',').next()).map(str::trim);
    let scheme = scheme.filter(|scheme| !scheme.is_empty()).or_else(|| {
        let first = text(&header::FORWARDED)?.split(',').next()?;
        let mut parameters = first.split(';').filter_map(|one| one.split_once('='));
        let (_, scheme) = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("proto"))?;
        Some(scheme.trim().trim_matches('"'))
    });
    // Some proxies name the scheme of a WebSocket.
    scheme.is_some_and(|scheme| ["https", "wss"].iter().any(|encrypted| scheme.eq_ignore_ascii_case(encrypted)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(name: &'static str, value: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        is_encrypted(&headers)
    }

    #[test]
    fn the_clients_scheme_is_read_from_either_header() {
        for value in ["https", "HTTPS", "wss", "https, http", " https ,http"] {
            assert!(is("x-forwarded-proto", value), "{value}");
        }
        for value in ["http", "ws", "", "http, https", "httpsx", "ftp"] {
            assert!(!is("x-forwarded-proto", value), "{value}");
        }
        for value in ["proto=https", "for=192.0.2.1;proto=https;by=10.0.0.1", "for=_a; Proto=\"https\", proto=http"] {
            assert!(is("forwarded", value), "{value}");
        }
        for value in ["proto=http", "for=192.0.2.1", "proto", "for=\"a\", proto=https"] {
            assert!(!is("forwarded", value), "{value}");
        }
        assert!(!is_encrypted(&HeaderMap::new()));
    }
}
