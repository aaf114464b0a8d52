//! What an Identity header says (RFC 8224), a PASSporT of the `shaken` kind (RFC 8225, RFC 8588), and whether it is to be
//! believed, given the certificates it names. No I/O.

use crate::domain::attestation::Attestation;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

/// Bytes of a header that are read; real ones have about a thousand.
const HEADER_BYTES_MAX: usize = 8 * 1_024;
/// Certificates between ours and the root's.
const CHAIN_MAX: usize = 6;

/// Why an Identity header is not believed, with the status that says so (RFC 8224 section 6.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdentityError {
    /// Response code to refuse the call with: 403, 436, 437 or 438.
    pub sip_status: u16,
    /// Why, in words for logs and the `problem` of a call.
    pub reason: &'static str,
}

const fn invalid(why: &'static str) -> IdentityError {
    IdentityError { sip_status: 438, reason: why }
}

const fn unsupported(why: &'static str) -> IdentityError {
    IdentityError { sip_status: 437, reason: why }
}

#[derive(Deserialize)]
struct PassportHeader {
    alg: String,
    #[serde(default)]
    ppt: String,
    x5u: String,
}

#[derive(Deserialize)]
struct PassportOrigin {
    tn: String,
}

#[derive(Deserialize)]
struct PassportDestinations {
    tn: Vec<String>,
}

#[derive(Deserialize)]
struct PassportClaims {
    attest: Attestation,
    dest: PassportDestinations,
    iat: i64,
    orig: PassportOrigin,
    origid: String,
}

/// An Identity header that could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passport {
    /// `attest`: how far the provider vouches for the number; trusted only after verification.
    pub attestation: Attestation,
    /// Names the part of the first provider's network.
    pub origid: String,
    /// Where its certificates are.
    pub info: String,
    orig: String,
    dest: Vec<String>,
    issued_s: i64,
    /// The signed text, and the signature: r and s of 32 bytes.
    signed: String,
    signature: Vec<u8>,
}

impl Passport {
    /// Reads `header.claims.signature;info=<https://…>;alg=ES256;ppt=shaken`.
    pub fn parse(value: &str) -> Result<Self, IdentityError> {
        if value.len() > HEADER_BYTES_MAX {
            return Err(invalid("it is too long"));
        }
        let (token, params) = value.trim().split_once(';').unwrap_or((value.trim(), ""));
        let param = |name: &str| {
            let given = params.split(';').filter_map(|param| param.trim().split_once('='));
            given
                .into_iter()
                .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim().trim_matches('"'))
        };
        let info = param("info").map(|info| info.trim_start_matches('<').trim_end_matches('>'));
        let info = info.ok_or(IdentityError { sip_status: 436, reason: "it has no info parameter" })?;
        let parts: Vec<&str> = token.trim().split('.').collect();
        let [head, claims, signature] = parts[..] else { return Err(invalid("it is not a token of three parts")) };
        if head.is_empty() || claims.is_empty() {
            return Err(invalid("its token is of the compact form"));
        }
        let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| invalid("its token is not base64url"));
        let read: PassportHeader =
            serde_json::from_slice(&bytes(head)?).map_err(|_| invalid("its header cannot be read"))?;
        if read.alg != "ES256" || param("alg").is_some_and(|alg| alg != "ES256") {
            return Err(unsupported("its algorithm is not ES256"));
        }
        if read.ppt != "shaken" || param("ppt").is_some_and(|ppt| ppt != "shaken") {
            return Err(unsupported("it is not of the kind shaken"));
        }
        if read.x5u != info {
            return Err(IdentityError { sip_status: 436, reason: "info and x5u differ" });
        }
        let said: PassportClaims =
            serde_json::from_slice(&bytes(claims)?).map_err(|_| invalid("its claims cannot be read"))?;
        Ok(Self {
            attestation: said.attest,
            origid: said.origid.chars().take(100).collect(),
            info: info.to_owned(),
            orig: said.orig.tn,
            dest: said.dest.tn,
            issued_s: said.iat,
            signed: format!("{head}.{claims}"),
            signature: bytes(signature)?,
        })
    }

    /// Whether it is about this call, and fresh. Numbers are compared by their digits (RFC 8224 section 8.3).
    pub fn fits(&self, from: &str, to: &str, now_s: i64, max_age_s: i64) -> Result<(), IdentityError> {
        if (now_s - self.issued_s).abs() > max_age_s {
            return Err(IdentityError { sip_status: 403, reason: "it is not fresh" });
        }
        let digits = |number: &str| number.chars().filter(char::is_ascii_digit).collect::<String>();
        if digits(&self.orig) != digits(from) {
            return Err(invalid("it is about another caller"));
        }
        if !self.dest.iter().any(|number| digits(number) == digits(to)) {
            return Err(invalid("it is about another callee"));
        }
        Ok(())
    }

    /// Whether these certificates, the signer's first, lead to one of the roots and have signed it.
    pub fn verify(&self, pem: &[u8], roots: &[TrustAnchor<'_>], now_s: i64) -> Result<(), IdentityError> {
        let chain: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(pem)
            .take(CHAIN_MAX)
            .collect::<Result<_, _>>()
            .map_err(|_| unsupported("its certificates cannot be read"))?;
        let (first, between) = chain.split_first().ok_or(unsupported("it names no certificate"))?;
        let signer = EndEntityCert::try_from(first).map_err(|_| unsupported("its certificate cannot be read"))?;
        let algorithms = [webpki::aws_lc_rs::ECDSA_P256_SHA256, webpki::aws_lc_rs::ECDSA_P384_SHA384];
        let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now_s.max(0) as u64));
        // These certificates carry a list of numbers or a provider's code (RFC 8226) and no extended key usage.
        let usage = KeyUsage::client_auth();
        signer
            .verify_for_usage(&algorithms, roots, between, at, usage, None, None)
            .map_err(|_| unsupported("its certificate leads to no configured root"))?;
        let signature = asn1(&self.signature).ok_or(invalid("its signature has another length"))?;
        signer
            .verify_signature(webpki::aws_lc_rs::ECDSA_P256_SHA256, self.signed.as_bytes(), &signature)
            .map_err(|_| invalid("its signature is wrong"))
    }
}

/// An ECDSA signature as certificates have it, from the two numbers that tokens have (RFC 7518 section 3.4).
fn asn1(fixed: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = fixed.split_at_checked(32).filter(|(_, s)| s.len() == 32)?;
    let mut body = Vec::with_capacity(72);
    for number in [r, s] {
        let from = number.iter().position(|byte| *byte != 0).unwrap_or(31);
        let number = &number[from..];
        let sign = number.first().is_some_and(|byte| byte & 0x80 != 0);
        body.extend_from_slice(&[2, number.len() as u8 + u8::from(sign)]);
        body.extend(sign.then_some(0));
        body.extend_from_slice(number);
    }
    Some([&[0x30, body.len() as u8], body.as_slice()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use serde_json::json;

    const INFO: &str = "https://certificates.example/shaken.pem";
    const NOW: i64 = 1_790_000_000;

    struct TestCertificateAuthority {
        root: CertifiedIssuer<'static, KeyPair>,
        chain: String,
        key: EcdsaKeyPair,
    }

    fn authority() -> TestCertificateAuthority {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![]).unwrap().signed_by(&key, &root).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key.serialize_der()).unwrap();
        TestCertificateAuthority { chain: leaf.pem(), root, key: pair }
    }

    fn token(authority: &TestCertificateAuthority, head: &serde_json::Value, claims: &serde_json::Value) -> String {
        let part = |json: &serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!("{}.{}", part(head), part(claims));
        let signature = authority.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{};info=<{INFO}>;alg=ES256;ppt=shaken", URL_SAFE_NO_PAD.encode(signature))
    }

    fn head() -> serde_json::Value {
        json!({"alg": "ES256", "ppt": "shaken", "typ": "passport", "x5u": INFO})
    }

    fn claims() -> serde_json::Value {
        json!({"attest": "A", "dest": {"tn": ["12155550131"]}, "iat": NOW, "orig": {"tn": "12155550121"}, "origid": "123e4567-e89b-12d3-a456-426655440000"})
    }

    #[test]
    fn a_signed_call_is_believed_and_nothing_else() {
        let (ours, other) = (authority(), authority());
        let passport = Passport::parse(&token(&ours, &head(), &claims())).unwrap();
        assert_eq!((passport.attestation, passport.info.as_str()), (Attestation::A, INFO));
        let root =
            |one: &TestCertificateAuthority| webpki::anchor_from_trusted_cert(one.root.der()).unwrap().to_owned();
        let verify = |passport: &Passport, chain: &str, anchor| passport.verify(chain.as_bytes(), &[anchor], NOW);
        // rcgen's certificates are valid from 1975 on.
        assert_eq!(verify(&passport, &ours.chain, root(&ours)), Ok(()));
        let why = |result: Result<(), IdentityError>| result.unwrap_err();
        assert_eq!(why(verify(&passport, &ours.chain, root(&other))).sip_status, 437);
        assert_eq!(why(verify(&passport, &other.chain, root(&other))), invalid("its signature is wrong"));
        assert_eq!(why(verify(&passport, "hello", root(&ours))).sip_status, 437);
        let mut forged = passport;
        forged.signed.push('x');
        assert_eq!(why(verify(&forged, &ours.chain, root(&ours))).sip_status, 438);
    }

    #[test]
    fn it_is_about_one_call_at_one_time() {
        let passport = Passport::parse(&token(&authority(), &head(), &claims())).unwrap();
        let fits = |from, to, now| passport.fits(from, to, now, 60).map_err(|problem| problem.sip_status);
        assert_eq!(fits("+12155550121", "+1 215 555 0131", NOW + 59), Ok(()));
        assert_eq!(fits("+12155550121", "+12155550131", NOW + 61), Err(403));
        assert_eq!(fits("+12155550121", "+12155550131", NOW - 61), Err(403));
        assert_eq!(fits("+12155550122", "+12155550131", NOW), Err(438));
        assert_eq!(fits("+12155550121", "+12155550132", NOW), Err(438));
    }

    #[test]
    fn what_cannot_be_read_has_its_status() {
        let ours = authority();
        let status = |value: &str| Passport::parse(value).map(|_| 0).unwrap_or_else(|problem| problem.sip_status);
        let changed = |name: &str, value: serde_json::Value| {
            let mut head = head();
            head[name] = value;
            token(&ours, &head, &claims())
        };
        let whole = token(&ours, &head(), &claims());
        for (value, wanted) in [
            ("", 436),
            ("hello;info=<https://a.example>", 438),
            (&format!("..c2ln;info=<{INFO}>"), 438),
            (&format!("a.b.c;info=<{INFO}>"), 438),
            (&changed("alg", json!("none")), 437),
            (&changed("ppt", json!("div")), 437),
            (&changed("x5u", json!("https://other.example")), 436),
            (&whole.replace("ppt=shaken", "ppt=rph"), 437),
            (&"x".repeat(10_000), 438),
            (&token(&ours, &head(), &json!({"attest": "D"})), 438),
            (&whole, 0),
        ] {
            assert_eq!(status(value), wanted, "{value:.80}");
        }
    }

    #[test]
    fn signatures_become_asn1() {
        let mut fixed = [0u8; 64];
        (fixed[31], fixed[32]) = (5, 0x80);
        let coded = asn1(&fixed).unwrap();
        assert_eq!(coded[..7], [0x30, 38, 2, 1, 5, 2, 33]);
        assert_eq!((coded[7], coded[8], coded.len()), (0, 0x80, 40));
        assert_eq!(asn1(&[0; 63]), None);
    }
}
