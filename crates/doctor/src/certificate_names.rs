//! Whether the certificate of SIP over TLS is for a name or an address that peers reach this server by.

use std::net::IpAddr;
use std::time::Duration;
use tokio::net::lookup_host;
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use trunkline::config::Config;
use trunkline::domain::finding::Finding;
use url::{Host, Url};
use webpki::{EndEntityCert, Error};

/// The name of the check of certificates.
pub(crate) const CHECK: &str = "certificates";
const DEADLINE: Duration = Duration::from_secs(4);
/// Names of a certificate that are looked up.
const NAMES_MAX: usize = 8;

/// A name of the certificate, and the addresses that it leads to; why it leads nowhere.
type Lookup = (String, Result<Vec<IpAddr>, String>);

/// What the certificate is for.
struct CertificateNames {
    /// It has any names or addresses.
    has_any: bool,
    /// It has names with a wildcard, which lead nowhere by themselves.
    has_wildcard: bool,
    /// The other names.
    lookups: Vec<Lookup>,
}

/// Compares the names with the addresses that are advertised. None of what cannot be known, such as where names of a
/// wildcard lead.
pub(crate) async fn look(config: &Config, what: &str, leaf: &CertificateDer<'_>) -> Option<Finding> {
    let advertised: Vec<IpAddr> =
        std::iter::once(config.advertised()).chain(config.sip.advertised_address_other).collect();
    let certificate = EndEntityCert::try_from(leaf).ok()?;
    let compared = |name: ServerName<'_>| certificate.verify_is_valid_for_subject_name(&name);
    let is_for = |name: ServerName<'_>| compared(name).is_ok();
    if advertised.iter().any(|ip| is_for(ServerName::from(*ip))) {
        return Some(Finding::ok(CHECK, format!("{what}: the certificate is for {}", list(&advertised))));
    }
    if let Some(host) = public_host(config).filter(|host| ServerName::try_from(host.as_str()).is_ok_and(&is_for)) {
        return Some(Finding::ok(CHECK, format!("{what}: the certificate is for {host} (api.public_url)")));
    }
    let names: Vec<String> = certificate.valid_dns_names().take(NAMES_MAX).map(str::to_owned).collect();
    let (wild, whole): (Vec<String>, Vec<String>) = names.into_iter().partition(|name| name.starts_with('*'));
    let refused = compared(ServerName::from(config.advertised()));
    let names = CertificateNames {
        has_any: !matches!(refused, Err(Error::CertNotValidForName(context)) if context.presented.is_empty()),
        has_wildcard: !wild.is_empty(),
        lookups: futures_util::future::join_all(whole.into_iter().map(looked_up)).await,
    };
    finding(what, &names, &advertised)
}

/// The name that the API's address has, which is often that of SIP too.
fn public_host(config: &Config) -> Option<String> {
    match Url::parse(&config.api.public_url).ok()?.host()? {
        Host::Domain(name) => Some(name.to_owned()),
        _ => None,
    }
}

async fn looked_up(name: String) -> Lookup {
    let found = match timeout(DEADLINE, lookup_host((name.as_str(), 0))).await {
        Ok(Ok(found)) => Ok(found.map(|address| address.ip()).collect()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer in {} s", DEADLINE.as_secs())),
    };
    (name, found)
}

/// None where carriers may dial any name of a wildcard.
fn finding(what: &str, names: &CertificateNames, advertised: &[IpAddr]) -> Option<Finding> {
    let leads_here = |(_, found): &&Lookup| {
        found.as_ref().is_ok_and(|ips| ips.iter().any(|ip| advertised.contains(&ip.to_canonical())))
    };
    if let Some((name, _)) = names.lookups.iter().find(leads_here) {
        return Some(Finding::ok(CHECK, format!("{what}: the certificate is for {name}, which leads here")));
    }
    if !names.has_any {
        return Some(Finding::warning(
            CHECK,
            format!("{what}: the certificate has no names (subjectAltName), and peers do not look at its common name"),
            "get one for the name that carriers dial; with openssl: -addext subjectAltName=DNS:sip.example.com",
        ));
    }
    let here = list(advertised);
    let told = names.lookups.iter().map(|(name, found)| match found {
        Ok(ips) if ips.is_empty() => format!("{name} has no address"),
        Ok(ips) => format!("{name} leads to {}", list(ips)),
        Err(why) => format!("{name} cannot be looked up ({why})"),
    });
    let told = told.collect::<Vec<_>>().join(", ");
    let found = match (names.has_wildcard, told.as_str()) {
        (true, "") => return None,
        (false, "") => format!("{what}: the certificate is for other addresses than {here}, the advertised one"),
        _ => format!("{what}: none of the certificate's names leads to {here}, the advertised address: {told}"),
    };
    let advice = "carriers that check the name hang up: let the name that they dial lead here, get a certificate for it, \
                  or set sip.advertised_address to where it leads";
    Some(Finding::warning(CHECK, found, advice))
}

fn list(ips: &[IpAddr]) -> String {
    let mut shown: Vec<String> = ips.iter().map(IpAddr::to_string).collect();
    shown.dedup();
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair};
    use trunkline::domain::finding::Level;

    fn certificate(names: &[&str]) -> CertificateDer<'static> {
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "sip.example.com");
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    async fn of(names: &[&str], advertised: &str, public_url: &str) -> Option<(Level, String)> {
        let mut config = Config::default();
        config.sip.advertised_address = Some(advertised.parse().unwrap());
        config.api.public_url = public_url.to_owned();
        let finding = look(&config, "it", &certificate(names)).await?;
        assert_eq!(finding.advice.is_none(), finding.level == Level::Ok, "{finding:?}");
        Some((finding.level, finding.found))
    }

    #[tokio::test]
    async fn a_certificate_fits_by_address_by_the_apis_name_or_by_a_name_that_leads_here() {
        for (names, advertised, public_url) in [
            (["203.0.113.7"].as_slice(), "203.0.113.7", ""),
            (&["2001:db8::7"], "2001:db8::7", ""),
            (&["voice.invalid"], "203.0.113.7", "https://voice.invalid/"),
            (&["*.example.invalid"], "203.0.113.7", "https://voice.example.invalid:8443"),
            (&["nowhere.invalid", "localhost"], "127.0.0.1", ""),
        ] {
            let found = of(names, advertised, public_url).await.unwrap();
            assert_eq!(found.0, Level::Ok, "{names:?}: {found:?}");
        }
    }

    #[tokio::test]
    async fn a_certificate_for_somebody_else_is_told_with_where_its_names_lead() {
        for (names, advertised, public_url, words) in [
            (["localhost"].as_slice(), "203.0.113.7", "", "localhost leads to"),
            (&["nowhere.invalid"], "203.0.113.7", "", "nowhere.invalid cannot be looked up"),
            (&["203.0.113.8"], "203.0.113.7", "", "other addresses than 203.0.113.7"),
            (&["nowhere.invalid"], "203.0.113.7", "https://voice.invalid", "nowhere.invalid"),
            (&["nowhere.invalid", "*.example.invalid"], "203.0.113.7", "", "nowhere.invalid"),
            (&[], "203.0.113.7", "", "subjectAltName"),
        ] {
            let found = of(names, advertised, public_url).await.unwrap();
            assert!(found.0 == Level::Warning && found.1.contains(words), "{names:?}: {found:?}");
        }
        assert_eq!(of(&["*.example.invalid"], "203.0.113.7", "").await, None, "carriers may dial any of its names");
    }
}
