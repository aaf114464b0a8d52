//! Who vouches for a caller's number (STIR/SHAKEN): Identity headers are read, and believed where their certificates
//! lead to a configured root.

pub mod passport;

use crate::domain::attestation::Attestation;
use crate::domain::time::UnixMs;
use crate::egress::EgressGuard;
use crate::egress::http::{GuardedHttp, RedirectPolicy};
use passport::{IdentityError, Passport};
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, TrustAnchor};

/// A caller waits for no certificate longer than this.
const FETCH_DEADLINE: Duration = Duration::from_secs(1);
/// Bytes of certificates that are read: a chain has about four thousand.
const CHAIN_BYTES_MAX: usize = 64 * 1_024;
/// How long certificates are kept, and how long it is remembered that there were none.
const CACHE_TTL_MS: i64 = 3_600_000;
const NEGATIVE_CACHE_TTL_MS: i64 = 60_000;
const CACHE_MAX: u64 = 1_000;

/// How Identity headers are verified, from `sip.stir` of the settings.
#[derive(Clone, Debug)]
pub struct StirSettings {
    /// PEM of the roots; without any, headers are shown and not believed.
    pub roots: Option<Vec<u8>>,
    /// Seconds that `iat` of a PASSporT may be away from now; 60 by default.
    pub max_age_s: i64,
    /// Where certificates may be.
    pub guard: EgressGuard,
}

/// What became of an Identity header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityResult {
    /// What the header claims, verified or not. `None` if it cannot be read.
    pub attestation: Option<Attestation>,
    origid: Option<String>,
    /// `None` where there was nothing to check it with.
    pub verified: Option<Result<(), IdentityError>>,
}

impl IdentityResult {
    /// As a call shows it.
    pub fn facts(&self) -> Map<String, Value> {
        let (verification, problem) = match self.verified {
            Some(Ok(())) => ("passed", None),
            Some(Err(problem)) => ("failed", Some(problem.reason)),
            None => ("not_checked", None),
        };
        let facts = json!({
            "attestation": self.attestation.map(Attestation::name), "origid": self.origid,
            "verification": verification, "problem": problem,
        });
        match facts {
            Value::Object(facts) => facts.into_iter().filter(|(_, value)| !value.is_null()).collect(),
            _ => Map::new(),
        }
    }
}

/// Chains by address, each with the Unix time in milliseconds until which it counts.
type CertificateCache = moka::sync::Cache<String, (i64, Option<Arc<[u8]>>)>;

/// Checks Identity headers.
#[derive(Clone, Debug)]
pub struct IdentityVerifier {
    roots: Arc<[TrustAnchor<'static>]>,
    max_age_s: i64,
    /// None where nothing is checked.
    http: Option<GuardedHttp>,
    certificates: CertificateCache,
}

impl IdentityVerifier {
    /// Creates a verifier. Fails if the PEM holds no usable root, or if the HTTP client cannot be built.
    pub fn new(settings: &StirSettings) -> Result<Self, String> {
        let pem = settings.roots.as_deref().unwrap_or_default();
        let roots = CertificateDer::pem_slice_iter(pem)
            .map(|der| {
                let der = der.map_err(|error| error.to_string())?;
                let anchor = webpki::anchor_from_trusted_cert(&der).map_err(|error| error.to_string())?;
                Ok(anchor.to_owned())
            })
            .collect::<Result<Vec<_>, String>>()?;
        if settings.roots.is_some() && roots.is_empty() {
            return Err("no certificate in it".to_owned());
        }
        let builder = || {
            reqwest::Client::builder()
                .timeout(FETCH_DEADLINE)
                .user_agent(concat!("trunkline/", env!("CARGO_PKG_VERSION")))
        };
        let http = settings.roots.as_ref().map(|_| GuardedHttp::new(&settings.guard, RedirectPolicy::None, builder));
        Ok(Self {
            roots: roots.into(),
            max_age_s: settings.max_age_s,
            http: http.transpose().map_err(|error| error.to_string())?,
            certificates: CertificateCache::new(CACHE_MAX),
        })
    }

    /// Headers can be checked: there are roots.
    pub fn checks(&self) -> bool {
        !self.roots.is_empty()
    }

    /// Reads a header of a call from one number to another; takes a second at most.
    pub async fn identify(&self, value: &str, from: &str, to: &str, at: UnixMs) -> IdentityResult {
        let now_s = at.0 / 1_000;
        let passport = match Passport::parse(value) {
            Ok(passport) => passport,
            Err(problem) => return IdentityResult { attestation: None, origid: None, verified: Some(Err(problem)) },
        };
        let verified = match self.checks() {
            true => Some(self.verify(&passport, from, to, now_s, at).await),
            false => None,
        };
        IdentityResult { attestation: Some(passport.attestation), origid: Some(passport.origid), verified }
    }

    async fn verify(
        &self, passport: &Passport, from: &str, to: &str, now_s: i64, at: UnixMs,
    ) -> Result<(), IdentityError> {
        passport.fits(from, to, now_s, self.max_age_s)?;
        let gone = IdentityError { sip_status: 436, reason: "its certificates cannot be fetched" };
        let chain = self.certificates(&passport.info, at).await.ok_or(gone)?;
        passport.verify(&chain, &self.roots, now_s)
    }

    async fn certificates(&self, url: &str, at: UnixMs) -> Option<Arc<[u8]>> {
        if let Some((until, chain)) = self.certificates.get(url)
            && at.0 < until
        {
            return chain;
        }
        let chain = self.fetch(url).await;
        let kept = if chain.is_some() { CACHE_TTL_MS } else { NEGATIVE_CACHE_TTL_MS };
        self.certificates.insert(url.to_owned(), (at.0 + kept, chain.clone()));
        chain
    }

    async fn fetch(&self, url: &str) -> Option<Arc<[u8]>> {
        let http = self.http.as_ref()?;
        let request = match http.guard().check(url).and_then(|url| http.request(Method::GET, url)) {
            Ok(request) => request,
            Err(why) => {
                tracing::warn!(error = %why, "certificates of an Identity header are not fetched");
                return None;
            }
        };
        let mut response = request.send().await.ok()?.error_for_status().ok()?;
        let mut chain = Vec::new();
        while let Some(part) = response.chunk().await.ok()? {
            if chain.len() + part.len() > CHAIN_BYTES_MAX {
                return None;
            }
            chain.extend_from_slice(&part);
        }
        Some(chain.into())
    }
}
