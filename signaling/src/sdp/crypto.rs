//! Keys of SRTP in session descriptions (SDES, RFC 4568; GCM: RFC 7714).
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use crate::sip::message::scan::digits;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::fmt::Write as _;

/// Padding is optional, because some peers omit it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Longest key and salt: AES-256 with 14 bytes.
pub const KEY_BYTES_MAX: usize = 46;

/// SRTP crypto suite of an `a=crypto` line (RFC 4568 section 6.2, RFC 7714 section 14.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CryptoSuite {
    /// AES-128 in counter mode with an 80-bit HMAC-SHA1 tag; every implementation must have it.
    AesCm128HmacSha1_80,
    /// AES-128 in counter mode with a 32-bit HMAC-SHA1 tag on RTP packets.
    AesCm128HmacSha1_32,
    /// AES-128 in Galois/Counter Mode with a 128-bit tag.
    AeadAes128Gcm,
    /// AES-256 in Galois/Counter Mode with a 128-bit tag.
    AeadAes256Gcm,
}

impl CryptoSuite {
    /// In order of preference; the first is the mandatory one.
    pub const ALL: [Self; 4] =
        [Self::AesCm128HmacSha1_80, Self::AesCm128HmacSha1_32, Self::AeadAes256Gcm, Self::AeadAes128Gcm];

    /// Returns the registered name of the suite, as written in `a=crypto`.
    pub fn name(self) -> &'static str {
        match self {
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// Bytes of master key and salt together.
    fn key_bytes(self) -> usize {
        let (key, salt) = self.lengths();
        key.saturating_add(salt)
    }

    /// Bytes of the master key, and of the salt behind it.
    pub fn lengths(self) -> (usize, usize) {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => (16, 14),
            Self::AeadAes128Gcm => (16, 12),
            Self::AeadAes256Gcm => (32, 12),
        }
    }
}

/// A master key with its salt. Not shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SdesKey {
    bytes: [u8; KEY_BYTES_MAX],
    /// Not more than [`KEY_BYTES_MAX`].
    len: usize,
}

impl std::fmt::Debug for SdesKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

impl SdesKey {
    /// The part of some random bytes that a suite needs.
    pub fn from_random(suite: CryptoSuite, random: &[u8; KEY_BYTES_MAX]) -> Self {
        let len = suite.key_bytes();
        let mut bytes = *random;
        bytes.iter_mut().skip(len).for_each(|unused| *unused = 0);
        Self { bytes, len }
    }

    /// Key and salt of a suite; `None` when they have another length.
    fn read(suite: CryptoSuite, text: &[u8]) -> Option<Self> {
        let mut bytes = [0; KEY_BYTES_MAX];
        bytes.get_mut(..text.len()).filter(|_| text.len() == suite.key_bytes())?.copy_from_slice(text);
        Some(Self { bytes, len: text.len() })
    }

    /// Master key and salt.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// An `a=crypto` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CryptoLine {
    /// Number of the line, unique in its media description; the answer repeats the tag of the line it accepts.
    pub tag: u32,
    /// Crypto suite, which sets the length of the key.
    pub suite: CryptoSuite,
    /// Master key and salt that the writer of the line encrypts with.
    pub key: SdesKey,
}

impl CryptoLine {
    /// `1 AES_CM_128_HMAC_SHA1_80 inline:…|2^20|1:4`. Lines with parameters that change the packet format are not
    /// supported (section 6.3: they must be understood).
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split_ascii_whitespace();
        let tag: u32 = digits(parts.next()?)?;
        let name = parts.next()?;
        let suite = CryptoSuite::ALL.into_iter().find(|suite| suite.name().eq_ignore_ascii_case(name))?;
        let params = parts.next()?;
        let mut inline = params.split(';').next()?.strip_prefix("inline:")?.split('|');
        let bytes = BASE64.decode(inline.next()?).ok()?;
        // A master key identifier (MKI) would be part of every packet.
        if inline.any(|part| part.contains(':')) || params.contains(';') {
            return None;
        }
        if parts.any(|session| !session.starts_with("KDR=0") && !session.starts_with("WSH=")) {
            return None;
        }
        Some(Self { tag, suite, key: SdesKey::read(suite, &bytes)? })
    }

    /// Appends the line to a session description, from `a=crypto:` to CRLF, without lifetime and MKI.
    pub fn print(&self, text: &mut String) {
        let _ = write!(
            text,
            "a=crypto:{} {} inline:{}\r\n",
            self.tag,
            self.suite.name(),
            BASE64.encode(self.key.as_bytes())
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_written() {
        // The example of RFC 4568 section 9.1, without its master key identifier.
        let text = "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20";
        let line = CryptoLine::parse(text).unwrap();
        assert_eq!((line.tag, line.suite, line.key.as_bytes().len()), (1, CryptoSuite::AesCm128HmacSha1_80, 30));
        let mut printed = String::new();
        line.print(&mut printed);
        assert_eq!(CryptoLine::parse(printed.trim_start_matches("a=crypto:").trim_end()), Some(line));
        for suite in CryptoSuite::ALL {
            let line = CryptoLine { tag: 7, suite, key: SdesKey::from_random(suite, &[0xA5; KEY_BYTES_MAX]) };
            let mut printed = String::new();
            line.print(&mut printed);
            assert_eq!(CryptoLine::parse(printed.trim_start_matches("a=crypto:").trim_end()), Some(line), "{printed}");
        }
    }

    #[test]
    fn unsupported_crypto_parameters_are_rejected() {
        let key = "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
        for bad in [
            format!("1 AES_CM_128_HMAC_SHA1_80 {key}|2^20|1:4"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {key} UNENCRYPTED_SRTP"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {key} KDR=4"),
            format!("1 F8_128_HMAC_SHA1_80 {key}"),
            format!("1 AEAD_AES_128_GCM {key}"),
            format!("x AES_CM_128_HMAC_SHA1_80 {key}"),
            "1 AES_CM_128_HMAC_SHA1_80 inline:short".to_owned(),
            "1 AES_CM_128_HMAC_SHA1_80 inline:!!!".to_owned(),
            String::new(),
        ] {
            assert_eq!(CryptoLine::parse(&bad), None, "{bad}");
        }
        assert!(CryptoLine::parse(&format!("1 AES_CM_128_HMAC_SHA1_80 {key} WSH=64")).is_some());
    }
}
