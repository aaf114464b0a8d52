//! The certificate of SIP over TLS: whether it can be used, whether its chain is whole, for whom it is, and until when.

use crate::certificate_names::{self, CHECK};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use trunkline::checkup::certificates::{end_of, not_after};
use trunkline::config::Config;
use trunkline::domain::finding::Finding;
use trunkline_signaling::io::tls::{CertificateFiles, TlsCertificates};
use webpki::EndEntityCert;

/// Certificates of a file that are read.
const CHAIN_MAX: usize = 16;

/// The certificate of the settings, if there is one.
pub(crate) async fn look(config: &Config) -> Vec<Finding> {
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
    let chain = chain_of(Path::new(&tls.certificate));
    let what = format!("{} (sip.tls.certificate)", tls.certificate);
    let renew = "renew it; the server reads the file again by itself";
    let mut findings = vec![end_of(CHECK, &what, chain.first().and_then(|leaf| not_after(leaf)), now_s(), renew)];
    findings.extend(gap(&what, &chain));
    if let Some(leaf) = chain.first() {
        findings.extend(certificate_names::look(config, &what, leaf).await);
    }
    findings
}

pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn chain_of(path: &Path) -> Vec<CertificateDer<'static>> {
    let certificates = CertificateDer::pem_file_iter(path).into_iter().flatten();
    certificates.take(CHAIN_MAX).filter_map(Result::ok).collect()
}

/// A certificate that is followed by none, though another one has signed it: peers that know the roots alone refuse it. Or one
/// that is followed by another than its issuer's.
fn gap(what: &str, chain: &[CertificateDer<'_>]) -> Option<Finding> {
    let names = |der: &CertificateDer<'_>| {
        let certificate = EndEntityCert::try_from(der).ok()?;
        Some((certificate.subject().to_vec(), certificate.issuer().to_vec()))
    };
    let (subject, issuer) = names(chain.first()?)?;
    let found = match chain.get(1) {
        None if subject != issuer => format!("{what}: the certificate stands alone, without that of its issuer"),
        Some(next) if names(next).is_some_and(|(subject, _)| subject != issuer) => {
            format!("{what}: the second certificate is not that of the first one's issuer")
        }
        _ => return None,
    };
    let advice = "use the whole chain (fullchain.pem of an ACME client), the server's certificate first";
    Some(Finding::warning(CHECK, found, advice))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
    use trunkline::domain::finding::Level;

    fn authority(name: &str) -> (CertificateDer<'static>, Issuer<'static, KeyPair>) {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().der().clone(), Issuer::new(params, key))
    }

    #[test]
    fn a_chain_with_a_gap_is_told() {
        let (root, issuer) = authority("A root");
        let (other, _) = authority("Another root");
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["sip.example.com".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "sip.example.com");
        let signed = params.signed_by(&key, &issuer).unwrap().der().clone();
        assert_eq!(gap("it", &[signed.clone(), root.clone()]), None);
        assert_eq!(gap("it", std::slice::from_ref(&root)), None, "signed by itself");
        let alone = gap("it", std::slice::from_ref(&signed)).unwrap();
        assert!(alone.level == Level::Warning && alone.found.contains("stands alone"), "{alone:?}");
        assert!(gap("it", &[signed, other]).unwrap().found.contains("second certificate"));
        assert_eq!(gap("it", &[]), None);
    }

    #[test]
    fn a_file_with_an_end_that_is_near_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cert.pem");
        let params = CertificateParams::new(vec!["sip.example.com".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        std::fs::write(&path, params.self_signed(&key).unwrap().pem()).unwrap();
        assert_eq!(chain_of(&path).len(), 1);
        std::fs::write(&path, "nonsense").unwrap();
        assert!(chain_of(&path).is_empty());
        assert!(chain_of(&folder.path().join("none")).is_empty());
    }
}
