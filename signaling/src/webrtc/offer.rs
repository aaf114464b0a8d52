//! Validates an offer before any state is created: is it SDP, within limits, and does it have audio?

use crate::limits;

/// Why an offer is refused, as a message for the client that sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferError {
    /// Larger than 65,536 bytes.
    TooLarge,
    /// No UTF-8, or it does not begin with `v=0`.
    NotSdp,
    /// No audio stream, or only one with port 0.
    NoAudio,
    /// A video stream and no audio stream.
    OnlyVideo,
    /// More than 64 candidates in all streams together.
    TooManyCandidates,
    /// More than 8 `m=` lines.
    TooManyStreams,
    /// A required attribute is missing.
    Missing(&'static str),
}

impl std::fmt::Display for OfferError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLarge => write!(f, "the offer is larger than {} bytes", limits::OFFER_BYTES_MAX),
            Self::NotSdp => f.write_str("the offer is not SDP"),
            Self::NoAudio => f.write_str("the offer has no audio"),
            Self::OnlyVideo => f.write_str("the offer has video only; a call needs audio"),
            Self::TooManyCandidates => {
                write!(f, "the offer has more than {} candidates", limits::OFFER_CANDIDATES_MAX)
            }
            Self::TooManyStreams => write!(f, "the offer has more than {} m= lines", limits::OFFER_STREAMS_MAX),
            Self::Missing(attribute) => write!(f, "the offer has no a={attribute}"),
        }
    }
}

/// The offer as the transport gets it: without candidates. We are ICE-lite, so that nothing is sent before
/// the browser's checks have shown its address; names instead of addresses (mDNS) do not matter either.
pub fn validate(offer: &[u8]) -> Result<String, OfferError> {
    let text = check(offer)?;
    Ok(printed(text, |line| !is_candidate(line) && line != "a=end-of-candidates"))
}

/// The same with candidates, for a peer that sends no checks (ICE-lite) and that we know: it is called by a trunk.
/// Strangers must not choose where our checks go.
pub fn validate_of_lite_peer(offer: &[u8]) -> Result<String, OfferError> {
    check(offer).map(|text| printed(text, |_| true))
}

fn printed(text: &str, is_kept: impl Fn(&str) -> bool) -> String {
    let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty() && is_kept(line));
    lines.map(|line| format!("{line}\r\n")).collect()
}

/// An offer with everything that the library wants written out. A stream without a direction goes both ways (RFC 8866
/// section 6.7).
pub fn complete(offer: &str) -> String {
    let is_direction = |line: &str| matches!(line, "a=sendrecv" | "a=sendonly" | "a=recvonly" | "a=inactive");
    let mut sections: Vec<Vec<&str>> = vec![Vec::new()];
    for line in offer.lines().map(str::trim_end) {
        if line.starts_with("m=") {
            sections.push(Vec::new());
        }
        if let Some(section) = sections.last_mut() {
            section.push(line);
        }
    }
    let of_session = sections.first().and_then(|session| session.iter().copied().find(|line| is_direction(line)));
    for stream in sections.iter_mut().skip(1).filter(|stream| !stream.iter().any(|line| is_direction(line))) {
        stream.push(of_session.unwrap_or("a=sendrecv"));
    }
    sections.into_iter().flatten().map(|line| format!("{line}\r\n")).collect()
}

fn check(offer: &[u8]) -> Result<&str, OfferError> {
    if offer.len() > limits::OFFER_BYTES_MAX {
        return Err(OfferError::TooLarge);
    }
    let text = std::str::from_utf8(offer).map_err(|_| OfferError::NotSdp)?;
    if !text.starts_with("v=0") {
        return Err(OfferError::NotSdp);
    }
    let lines = || text.lines().map(str::trim_end);
    let streams: Vec<&str> = lines().filter_map(|line| line.strip_prefix("m=")).collect();
    let has = |kind: &str| {
        let mut of_kind = streams.iter().filter_map(|stream| stream.strip_prefix(kind)?.strip_prefix(' '));
        of_kind.any(|rest| !rest.starts_with("0 "))
    };
    match (has("audio"), has("video")) {
        (true, _) => {}
        (false, true) => return Err(OfferError::OnlyVideo),
        (false, false) => return Err(OfferError::NoAudio),
    }
    if streams.len() > limits::OFFER_STREAMS_MAX {
        return Err(OfferError::TooManyStreams);
    }
    if lines().filter(|line| is_candidate(line)).count() > limits::OFFER_CANDIDATES_MAX {
        return Err(OfferError::TooManyCandidates);
    }
    for (attribute, start) in
        [("ice-ufrag", "a=ice-ufrag:"), ("ice-pwd", "a=ice-pwd:"), ("fingerprint", "a=fingerprint:")]
    {
        if !lines().any(|line| line.starts_with(start)) {
            return Err(OfferError::Missing(attribute));
        }
    }
    Ok(text)
}

fn is_candidate(line: &str) -> bool {
    line.starts_with("a=candidate:")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=ice-ufrag:abcd\r\na=ice-pwd:p\r\n\
a=fingerprint:sha-256 00\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n";

    #[test]
    fn an_offer_loses_its_candidates_and_nothing_else() {
        let candidates = "a=candidate:1 1 udp 1 6ba7b810-9dad-11d1.local 9 typ host\r\na=end-of-candidates\r\n";
        let offer = format!("{OFFER}{candidates}");
        assert_eq!(validate(offer.as_bytes()).unwrap(), OFFER);
        assert_eq!(validate_of_lite_peer(offer.as_bytes()).unwrap(), offer);
        assert_eq!(validate(OFFER.replace("\r\n", "\n").as_bytes()).unwrap(), OFFER);
    }

    #[test]
    fn a_missing_direction_is_written_out() {
        assert_eq!(complete(OFFER), format!("{OFFER}a=sendrecv\r\n"));
        let held = OFFER.replace("t=0 0", "t=0 0\r\na=inactive") + "m=video 0 X 1\r\na=recvonly\r\n";
        assert_eq!(complete(&held), held.replace("m=video", "a=inactive\r\nm=video"));
    }

    #[test]
    fn unusable_offers_are_rejected_with_reason() {
        let swapped = |from: &str, to: &str| OFFER.replace(from, to).into_bytes();
        let many = |line: &str, count| [OFFER.as_bytes(), line.repeat(count).as_bytes()].concat();
        for (offer, refused) in [
            (vec![b'v'; 1 << 20], OfferError::TooLarge),
            (b"\xff\xfe".to_vec(), OfferError::NotSdp),
            (b"hello".to_vec(), OfferError::NotSdp),
            (swapped("m=audio", "m=application"), OfferError::NoAudio),
            (swapped("m=audio", "m=video"), OfferError::OnlyVideo),
            (swapped("m=audio 9", "m=audio 0"), OfferError::NoAudio),
            (many("a=candidate:1 1 udp 1 10.0.0.1 9 typ host\r\n", 1_000), OfferError::TooManyCandidates),
            (many("m=video 9 UDP/TLS/RTP/SAVPF 96\r\n", 20), OfferError::TooManyStreams),
            (swapped("a=fingerprint", "a=nothing"), OfferError::Missing("fingerprint")),
            (swapped("a=ice-pwd", "a=nothing"), OfferError::Missing("ice-pwd")),
        ] {
            assert_eq!(validate(&offer), Err(refused));
            assert!(!refused.to_string().is_empty());
        }
    }
}
