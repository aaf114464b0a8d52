//! Digest authentication (RFC 2617, RFC 7616, RFC 8760), as client and as server.

use super::message::scan::split_unquoted;
use super::token::hex;
use crate::limits;
use md5::Md5;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use std::time::Duration;

/// How long a nonce of ours is accepted.
pub const NONCE_LIFETIME: Duration = Duration::from_secs(300);

/// User name and password of a digest account.
#[derive(Clone, Debug)]
pub struct DigestCredentials {
    /// User name, compared with regard to letter case.
    pub username: String,
    /// Password in the clear, as digest needs it.
    pub password: SecretString,
}

/// Tells changed settings from unchanged ones; its time shows nothing of the password.
impl PartialEq for DigestCredentials {
    fn eq(&self, other: &Self) -> bool {
        let [ours, theirs] = [self, other].map(|one| one.password.expose_secret().as_bytes());
        self.username == other.username && equal_in_constant_time(ours, theirs)
    }
}

impl Eq for DigestCredentials {}

/// Hash algorithm of a digest, the weaker before the stronger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DigestAlgorithm {
    /// MD5 (RFC 2617); assumed when a challenge names none.
    Md5,
    /// MD5 with a session key that includes nonce and client nonce.
    Md5Sess,
    /// SHA-256 (RFC 7616).
    Sha256,
    /// SHA-256 with a session key that includes nonce and client nonce.
    Sha256Sess,
}

impl DigestAlgorithm {
    fn parse(text: &str) -> Option<Self> {
        [Self::Md5, Self::Md5Sess, Self::Sha256, Self::Sha256Sess]
            .into_iter()
            .find(|a| a.name().eq_ignore_ascii_case(text))
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Md5Sess => "MD5-sess",
            Self::Sha256 => "SHA-256",
            Self::Sha256Sess => "SHA-256-sess",
        }
    }

    fn hash(self, text: &str) -> String {
        match self {
            Self::Md5 | Self::Md5Sess => hex(&Md5::digest(text.as_bytes())),
            Self::Sha256 | Self::Sha256Sess => hex(&Sha256::digest(text.as_bytes())),
        }
    }

    fn is_session(self) -> bool {
        matches!(self, Self::Md5Sess | Self::Sha256Sess)
    }
}

/// A challenge from `WWW-Authenticate` or `Proxy-Authenticate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestChallenge {
    /// Realm that the credentials are asked for, without quotes.
    pub realm: String,
    /// Nonce of the server, to be sent back unchanged.
    pub nonce: String,
    /// Value to be sent back unchanged; `None` if the challenge has none.
    pub opaque: Option<String>,
    /// Hash algorithm to use; MD5 if the challenge names none.
    pub algorithm: DigestAlgorithm,
    /// The challenge offers `qop=auth`; without any qop the RFC 2069 form is used.
    pub qop_auth: bool,
    /// The last nonce expired and the password was right: try again with this one.
    pub stale: bool,
}

impl DigestChallenge {
    /// `None` for other schemes, unknown algorithms and challenges that offer only `auth-int`.
    pub fn parse(value: &str) -> Option<Self> {
        let fields = DigestFields::parse(value)?;
        let algorithm = fields.get("algorithm").map_or(Some(DigestAlgorithm::Md5), DigestAlgorithm::parse)?;
        let qop = fields.get("qop");
        let qop_auth = qop.is_some_and(|q| q.split(',').any(|one| one.trim().eq_ignore_ascii_case("auth")));
        if qop.is_some_and(|q| !q.trim().is_empty()) && !qop_auth {
            return None;
        }
        Some(Self {
            realm: fields.get("realm")?.to_owned(),
            nonce: fields.get("nonce")?.to_owned(),
            opaque: fields.get("opaque").map(str::to_owned),
            algorithm,
            qop_auth,
            stale: fields.get("stale").is_some_and(|s| s.eq_ignore_ascii_case("true")),
        })
    }

    /// The challenges of one header. RFC 3261 section 7.3.1 wants a header for each; some servers join them by commas.
    pub fn parse_all(value: &str) -> Vec<Self> {
        let (mut found, mut rest) = (Vec::new(), value);
        while found.len() < limits::CHALLENGES_MAX {
            let end = next_challenge(rest);
            let (first, others) = end.and_then(|at| rest.split_at_checked(at)).unwrap_or((rest, ""));
            found.extend(Self::parse(first.trim().trim_end_matches(',')));
            if others.is_empty() {
                break;
            }
            rest = others;
        }
        found
    }
}

/// A client's session with one nonce: the count rises with every request that uses it.
#[derive(Clone, Debug)]
pub struct DigestClientSession {
    challenge: DigestChallenge,
    cnonce: String,
    count: u32,
}

impl DigestClientSession {
    /// Starts at nonce count 0. `cnonce` is the client nonce of every request in this session.
    pub fn new(challenge: DigestChallenge, cnonce: String) -> Self {
        Self { challenge, cnonce, count: 0 }
    }

    /// Returns the challenge that this session answers.
    pub fn challenge(&self) -> &DigestChallenge {
        &self.challenge
    }

    /// Value of the Authorization header for one request.
    pub fn authorize(&mut self, credentials: &DigestCredentials, method: &str, uri: &str) -> String {
        self.count = self.count.saturating_add(1);
        let c = &self.challenge;
        let nc = format!("{:08x}", self.count);
        let response = response_hash(&DigestInput {
            algorithm: c.algorithm,
            username: &credentials.username,
            password: credentials.password.expose_secret(),
            realm: &c.realm,
            nonce: &c.nonce,
            method,
            uri,
            qop: c.qop_auth.then_some(("auth", &nc, &self.cnonce)),
            session_cnonce: &self.cnonce,
        });
        let mut value = format!(
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{uri}\", response=\"{response}\", algorithm={}",
            quote(&credentials.username),
            quote(&c.realm),
            quote(&c.nonce),
            c.algorithm.name()
        );
        if let Some(opaque) = &c.opaque {
            value.push_str(&format!(", opaque=\"{}\"", quote(opaque)));
        }
        if c.qop_auth {
            value.push_str(&format!(", qop=auth, nc={nc}, cnonce=\"{}\"", self.cnonce));
        } else if c.algorithm.is_session() {
            value.push_str(&format!(", cnonce=\"{}\"", self.cnonce));
        }
        value
    }
}

/// Result of verifying an Authorization header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DigestCheck {
    /// Valid if this nonce count was not used before.
    Verified(NonceUse),
    /// Valid password with an expired nonce; challenge again with `stale=true`.
    Stale,
    /// Wrong user, password, realm or algorithm, a nonce that is not ours, or an unreadable header.
    Invalid,
}

/// Creates a stateless nonce from the creation time, a unique token and the recipient, signed by `keyed` with our
/// secret. It is valid from any source address, because a gateway may have several.
pub fn nonce(second: u64, unique: &str, peer: &[u8], keyed: impl Fn(&[u8]) -> String) -> String {
    let recipient = recipient(second, unique, peer, &keyed);
    sign(second, &format!("{unique}-{recipient}"), keyed)
}

fn sign(second: u64, unique: &str, keyed: impl Fn(&[u8]) -> String) -> String {
    let stem = format!("{second:x}.{unique}");
    let signature = keyed(format!("nonce{stem}").as_bytes());
    format!("{stem}.{signature}")
}

fn recipient(second: u64, unique: &str, peer: &[u8], keyed: impl Fn(&[u8]) -> String) -> String {
    keyed(&[format!("recipient{second:x}.{unique}").as_bytes(), peer].concat())
}

/// The parts of a nonce: second and what is unique about it.
fn parts(nonce: &str) -> Option<(u64, &str)> {
    let (stem, _) = nonce.rsplit_once('.')?;
    let (second, unique) = stem.split_once('.')?;
    Some((u64::from_str_radix(second, 16).ok()?, unique))
}

fn is_fresh(made_s: u64, second: u64) -> bool {
    second.checked_sub(made_s).is_some_and(|age_s| age_s <= NONCE_LIFETIME.as_secs())
}

/// The second a nonce of ours was made; none when it is not ours.
fn nonce_created_at(nonce: &str, keyed: impl Fn(&[u8]) -> String) -> Option<u64> {
    let (second, unique) = parts(nonce)?;
    (sign(second, unique, keyed) == nonce).then_some(second)
}

/// Whether this nonce is ours, not expired, and was sent to that peer.
pub fn was_sent_to(nonce: &str, peer: &[u8], second: u64, keyed: impl Fn(&[u8]) -> String) -> bool {
    let Some((made_s, unique)) = parts(nonce).filter(|(made_s, _)| is_fresh(*made_s, second)) else { return false };
    let Some((unique, sent_to)) = unique.rsplit_once('-') else { return false };
    recipient(made_s, unique, peer, keyed) == sent_to
}

/// Identifies one use of a nonce, for replay protection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NonceUse {
    /// The nonce as received, made by us.
    pub nonce: String,
    /// When we made the nonce, in seconds since the user agent started.
    pub made_s: u64,
    /// None without qop.
    pub count: Option<u32>,
}

/// Unverified user name, nonce and algorithm of an Authorization header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestClaim {
    /// User name as claimed, without quotes.
    pub username: String,
    /// Nonce as claimed; empty if the header has none.
    pub nonce: String,
    /// Algorithm as claimed; `None` for one that is not known.
    pub algorithm: Option<DigestAlgorithm>,
}

impl DigestClaim {
    /// `None` when the header names no user.
    pub fn from_header(value: &str) -> Option<Self> {
        let fields = DigestFields::parse(value)?;
        let username = fields.get("username")?.to_owned();
        let algorithm = fields.get("algorithm").map_or(Some(DigestAlgorithm::Md5), DigestAlgorithm::parse);
        Some(Self { username, nonce: fields.get("nonce").unwrap_or("").to_owned(), algorithm })
    }
}

/// Verifies an Authorization header against the password of the user it names.
pub fn verify(
    value: &str, credentials: &DigestCredentials, realm: &str, method: &str, second: u64,
    keyed: impl Fn(&[u8]) -> String,
) -> DigestCheck {
    let Some(fields) = DigestFields::parse(value) else { return DigestCheck::Invalid };
    let wanted = |name| fields.get(name).unwrap_or("");
    let Some(algorithm) = fields.get("algorithm").map_or(Some(DigestAlgorithm::Md5), DigestAlgorithm::parse) else {
        return DigestCheck::Invalid;
    };
    if wanted("realm") != realm || wanted("username") != credentials.username {
        return DigestCheck::Invalid;
    }
    let qop = match fields.get("qop") {
        Some("auth") => Some(("auth", wanted("nc"), wanted("cnonce"))),
        Some(_) => return DigestCheck::Invalid,
        None => None,
    };
    let expected = response_hash(&DigestInput {
        algorithm,
        username: &credentials.username,
        password: credentials.password.expose_secret(),
        realm,
        nonce: wanted("nonce"),
        method,
        uri: wanted("uri"),
        qop,
        session_cnonce: wanted("cnonce"),
    });
    if !equal_in_constant_time(expected.as_bytes(), wanted("response").as_bytes()) {
        return DigestCheck::Invalid;
    }
    let count = qop.and_then(|(_, nc, _)| u32::from_str_radix(nc, 16).ok());
    if qop.is_some() && count.is_none() {
        return DigestCheck::Invalid;
    }
    match nonce_created_at(wanted("nonce"), keyed) {
        Some(made_s) if is_fresh(made_s, second) => {
            DigestCheck::Verified(NonceUse { nonce: wanted("nonce").to_owned(), made_s, count })
        }
        _ => DigestCheck::Stale,
    }
}

struct DigestInput<'a> {
    algorithm: DigestAlgorithm,
    username: &'a str,
    password: &'a str,
    realm: &'a str,
    nonce: &'a str,
    method: &'a str,
    uri: &'a str,
    qop: Option<(&'a str, &'a str, &'a str)>,
    session_cnonce: &'a str,
}

fn response_hash(p: &DigestInput<'_>) -> String {
    let mut ha1 = p.algorithm.hash(&format!("{}:{}:{}", p.username, p.realm, p.password));
    if p.algorithm.is_session() {
        ha1 = p.algorithm.hash(&format!("{ha1}:{}:{}", p.nonce, p.session_cnonce));
    }
    let ha2 = p.algorithm.hash(&format!("{}:{}", p.method, p.uri));
    match p.qop {
        Some((qop, nc, cnonce)) => p.algorithm.hash(&format!("{ha1}:{}:{nc}:{cnonce}:{qop}:{ha2}", p.nonce)),
        None => p.algorithm.hash(&format!("{ha1}:{}:{ha2}", p.nonce)),
    }
}

fn equal_in_constant_time(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |acc, (x, y)| acc | (x ^ y)) == 0
}

fn quote(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// Where the second challenge of a header begins: behind a comma, a scheme and a space come before the next `=`.
fn next_challenge(value: &str) -> Option<usize> {
    let mut at = 0_usize;
    loop {
        let (field, after) = split_unquoted(value.get(at..)?, b',')?;
        at = at.saturating_add(field.len()).saturating_add(1);
        let next = split_unquoted(after, b',').map_or(after, |(next, _)| next);
        if next.split_once('=').is_some_and(|(name, _)| name.trim().contains([' ', '\t'])) {
            return Some(at);
        }
    }
}

/// `name=value` pairs of a Digest header.
struct DigestFields(Vec<(String, String)>);

impl DigestFields {
    fn parse(value: &str) -> Option<Self> {
        let (scheme, rest) = value.trim().split_once([' ', '\t'])?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let mut fields = Vec::new();
        let mut rest = Some(rest);
        while let Some(text) = rest {
            let (field, after) = match split_unquoted(text, b',') {
                Some((field, after)) => (field, Some(after)),
                None => (text, None),
            };
            rest = after;
            let Some((name, value)) = field.split_once('=') else { continue };
            if fields.len() >= limits::DIGEST_FIELDS_MAX {
                return None;
            }
            let value = value.trim();
            let value = match value.strip_prefix('"').and_then(|v| v.strip_suffix('"')) {
                Some(quoted) => unquote(quoted),
                None => value.to_owned(),
            };
            fields.push((name.trim().to_ascii_lowercase(), value));
        }
        Some(Self(fields))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

fn unquote(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    out
}

#[cfg(test)]
mod tests;
