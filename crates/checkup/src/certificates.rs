//! The end of a certificate.

use crate::domain::finding::Finding;
use std::time::Duration;
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, Error, KeyUsage};

const DAY_S: u64 = 86_400;
/// Let's Encrypt renews thirty days before the end.
const SOON_DAYS: u64 = 21;
/// No certificate is valid then.
const FAR_FUTURE: Duration = Duration::from_secs(100_000_000_000);

/// When a certificate ends, in Unix seconds; none if it cannot be read. Whoever asks about a day on which it is not valid
/// is told it.
pub fn not_after(der: &[u8]) -> Option<u64> {
    let certificate = CertificateDer::from_slice(der);
    let leaf = EndEntityCert::try_from(&certificate).ok()?;
    let asked = UnixTime::since_unix_epoch(FAR_FUTURE);
    let outcome = leaf.verify_for_usage(ALL_VERIFICATION_ALGS, &[], &[], asked, KeyUsage::server_auth(), None, None);
    match outcome.err()? {
        Error::CertExpired { not_after, .. } => Some(not_after.as_secs()),
        _ => None,
    }
}

/// A certificate's end. `what` names it with its setting, `renew` says what to do.
pub fn end_of(check: &'static str, what: &str, end_s: Option<u64>, now_s: u64, renew: &str) -> Finding {
    match end_s {
        None => Finding::warning(
            check,
            format!("{what}: the certificate's end cannot be read"),
            "look at it with openssl x509 -dates",
        ),
        Some(end_s) if end_s <= now_s => {
            Finding::error(check, format!("{what}: the certificate ended {} days ago", (now_s - end_s) / DAY_S), renew)
        }
        Some(end_s) => {
            let days = (end_s - now_s) / DAY_S;
            let found = format!("{what}: the certificate ends in {days} days");
            if days < SOON_DAYS { Finding::warning(check, found, renew) } else { Finding::ok(check, found) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::finding::Level;

    fn certificate() -> Vec<u8> {
        let mut params = rcgen::CertificateParams::new(vec!["sip.example.com".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 3, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_end_of_a_certificate_is_counted_in_days() {
        let end_s = not_after(&certificate());
        assert_eq!(end_s, Some(1_772_323_200), "2026-03-01");
        let at = |now_s: u64| end_of("certificates", "it", end_s, now_s, "renew it");
        assert_eq!(at(1_772_323_200 - 100 * DAY_S).level, Level::Ok);
        let soon = at(1_772_323_200 - 5 * DAY_S);
        assert!(soon.level == Level::Warning && soon.found.contains("ends in 5 days"), "{soon:?}");
        assert_eq!(at(1_772_323_200).level, Level::Error);
        assert_eq!(not_after(b"nonsense"), None);
        assert_eq!(end_of("certificates", "it", None, 0, "renew it").level, Level::Warning);
    }
}
