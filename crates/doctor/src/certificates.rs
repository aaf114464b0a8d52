//! The certificate of SIP over TLS: whether it can be used, and until when.

use crate::finding::Finding;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use trunkline::config::Config;
use trunkline_signaling::io::tls::{CertificateFiles, TlsCertificates};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, Error, KeyUsage};

const CHECK: &str = "certificates";
const DAY_S: u64 = 86_400;
/// Let's Encrypt renews thirty days before the end.
const SOON_DAYS: u64 = 21;
/// No certificate is valid then.
const FAR_FUTURE: Duration = Duration::from_secs(100_000_000_000);

/// The certificate of the settings, if there is one.
pub(crate) fn look(config: &Config) -> Vec<Finding> {
    let tls = &config.sip.tls;
    if tls.certificate.is_empty() {
        return Vec::new();
    }
    let path = |text: &str| (!text.is_empty()).then(|| PathBuf::from(text));
    let files = CertificateFiles {
        certificate: path(&tls.certificate),
        private_key: path(&tls.private_key),
        client_roots: path(&tls.client_roots),
        client_certificate_required: tls.client_certificate_required,
        roots: path(&tls.roots),
    };
    if let Err(error) = TlsCertificates::load(&files) {
        let advice = "look at sip.tls: the files' owner and mode, and whether key and certificate belong together";
        return vec![Finding::error(CHECK, format!("sip.tls cannot be used: {error}"), advice)];
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    vec![end_of(Path::new(&tls.certificate), now)]
}

fn end_of(path: &Path, now_s: u64) -> Finding {
    let name = path.display();
    let renew = "renew it; the server reads the file again by itself";
    match not_after(path) {
        None => {
            Finding::warning(CHECK, format!("{name}: its end cannot be read"), "look at it with openssl x509 -dates")
        }
        Some(end_s) if end_s <= now_s => Finding::error(
            CHECK,
            format!("{name} ended {} days ago (sip.tls.certificate)", (now_s - end_s) / DAY_S),
            renew,
        ),
        Some(end_s) => {
            let days = (end_s - now_s) / DAY_S;
            let found = format!("{name} ends in {days} days (sip.tls.certificate)");
            if days < SOON_DAYS { Finding::warning(CHECK, found, renew) } else { Finding::ok(CHECK, found) }
        }
    }
}

/// The end of the first certificate of a file. Whoever asks about a day on which it is not valid is told it.
fn not_after(path: &Path) -> Option<u64> {
    let certificate = CertificateDer::from_pem_file(path).ok()?;
    let leaf = EndEntityCert::try_from(&certificate).ok()?;
    let asked = UnixTime::since_unix_epoch(FAR_FUTURE);
    let outcome = leaf.verify_for_usage(ALL_VERIFICATION_ALGS, &[], &[], asked, KeyUsage::server_auth(), None, None);
    match outcome.err()? {
        Error::CertExpired { not_after, .. } => Some(not_after.as_secs()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Level;

    #[test]
    fn the_end_of_a_certificate_is_counted_in_days() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cert.pem");
        let mut params = rcgen::CertificateParams::new(vec!["sip.example.com".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 3, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        std::fs::write(&path, params.self_signed(&key).unwrap().pem()).unwrap();
        let end_s = not_after(&path).unwrap();
        assert_eq!(end_s, 1_772_323_200, "2026-03-01");
        assert_eq!(end_of(&path, end_s - 100 * DAY_S).level, Level::Ok);
        let soon = end_of(&path, end_s - 5 * DAY_S);
        assert!(soon.level == Level::Warning && soon.found.contains("ends in 5 days"), "{soon:?}");
        assert_eq!(end_of(&path, end_s + DAY_S).level, Level::Error);
        std::fs::write(&path, "nonsense").unwrap();
        assert_eq!(end_of(&path, 0).level, Level::Warning);
    }
}
