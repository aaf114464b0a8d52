//! TLS certificates for SIP: reloads our own, verifies remote ones against roots (RFC 5922).

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, RwLock, Weak};
use std::time::{Duration, SystemTime};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use trunkline_supervision::spawn;

/// How often the certificate's file is looked at.
const RELOAD_INTERVAL: Duration = Duration::from_secs(10);

/// Files of TLS, all PEM.
#[derive(Clone, Debug, Default)]
pub struct CertificateFiles {
    /// Our certificate chain, our own certificate first; read again when the file changes. `None`: no inbound TLS.
    pub certificate: Option<PathBuf>,
    /// Private key of our certificate; without it the certificate is not used.
    pub private_key: Option<PathBuf>,
    /// Roots of the clients' certificates; without them none is asked for.
    pub client_roots: Option<PathBuf>,
    /// Reject clients without a certificate.
    pub client_certificate_required: bool,
    /// Further roots that servers' certificates may come from.
    pub roots: Option<PathBuf>,
}

/// TLS acceptor and connector.
#[derive(Clone)]
pub struct TlsCertificates {
    pub(super) acceptor: Option<TlsAcceptor>,
    pub(super) connector: TlsConnector,
    watched: Option<Arc<WatchedCertificate>>,
}

impl std::fmt::Debug for TlsCertificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsCertificates").field("server", &self.acceptor.is_some()).finish_non_exhaustive()
    }
}

/// Current certificate and the files it comes from; replaced when they change. Existing connections stay open.
#[derive(Debug)]
struct WatchedCertificate {
    key: RwLock<Arc<CertifiedKey>>,
    certificate: PathBuf,
    private_key: PathBuf,
}

impl WatchedCertificate {
    /// Keeps the old one if the files cannot be used.
    fn reload(&self) -> io::Result<()> {
        let key = load_certificate(&self.certificate, &self.private_key)?;
        if let Ok(mut slot) = self.key.write() {
            *slot = key;
        }
        Ok(())
    }
}

impl ResolvesServerCert for WatchedCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.key.read().ok().map(|key| key.clone())
    }
}

fn fault(what: &str, path: &std::path::Path, error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what} {}: {error}", path.display()))
}

fn load_certificate(certificate: &PathBuf, private_key: &PathBuf) -> io::Result<Arc<CertifiedKey>> {
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(certificate).map_err(|error| fault("certificate", certificate, error))?.collect();
    let chain = chain.map_err(|error| fault("certificate", certificate, error))?;
    let key = PrivateKeyDer::from_pem_file(private_key).map_err(|error| fault("private key", private_key, error))?;
    let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
        .map_err(|error| fault("certificate", certificate, error))?;
    Ok(Arc::new(key))
}

fn roots(path: &PathBuf) -> io::Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    let read = CertificateDer::pem_file_iter(path).map_err(|error| fault("roots", path, error))?;
    for certificate in read {
        let certificate = certificate.map_err(|error| fault("roots", path, error))?;
        store.add(certificate).map_err(|error| fault("roots", path, error))?;
    }
    Ok(store)
}

impl TlsCertificates {
    /// No certificate for us; the public roots to verify those of peers.
    pub fn none() -> Self {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let client = client_builder().with_root_certificates(roots).with_no_client_auth();
        Self { acceptor: None, connector: TlsConnector::from(Arc::new(client)), watched: None }
    }

    /// Opens TLS to a server and verifies its certificate for this name or address. Returns the connection, and its
    /// version and cipher in words. Fails with what is wrong with the certificate or the handshake.
    pub async fn connect(&self, name: &str, stream: TcpStream) -> Result<(TlsStream<TcpStream>, String), String> {
        let server = ServerName::try_from(name.to_owned()).map_err(|error| format!("{name}: {error}"))?;
        let stream = self.connector.connect(server, stream).await.map_err(|error| error.to_string())?;
        let (_, session) = stream.get_ref();
        let version = session.protocol_version().and_then(|version| version.as_str().map(str::to_owned));
        let cipher = session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str().map(str::to_owned));
        let words: Vec<String> = [version, cipher].into_iter().flatten().collect();
        Ok((stream, words.join(", ")))
    }

    /// Reads the files. With a certificate its file is watched for a new one from here on.
    pub fn load(files: &CertificateFiles) -> io::Result<Self> {
        let mut trusted = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(path) = &files.roots {
            trusted.extend(roots(path)?.roots);
        }
        let client = client_builder().with_root_certificates(trusted);
        let (Some(certificate), Some(private_key)) = (&files.certificate, &files.private_key) else {
            let connector = TlsConnector::from(Arc::new(client.with_no_client_auth()));
            return Ok(Self { acceptor: None, connector, watched: None });
        };
        let key = load_certificate(certificate, private_key)?;
        // Trunks with mutual TLS know us by the same certificate.
        let own =
            PrivateKeyDer::from_pem_file(private_key).map_err(|error| fault("private key", private_key, error))?;
        let client = client
            .with_client_auth_cert(key.cert.clone(), own)
            .map_err(|error| fault("certificate", certificate, error))?;
        let current = Arc::new(WatchedCertificate {
            key: RwLock::new(key),
            certificate: certificate.clone(),
            private_key: private_key.clone(),
        });
        let provider = Arc::new(aws_lc_rs::default_provider());
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
        let server = match &files.client_roots {
            None => server.with_no_client_auth(),
            Some(path) => {
                let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(path)?), provider);
                let builder = if files.client_certificate_required { builder } else { builder.allow_unauthenticated() };
                server.with_client_cert_verifier(builder.build().map_err(|error| fault("roots", path, error))?)
            }
        };
        let server = server.with_cert_resolver(current.clone());
        spawn("sip_certificates", watch(Arc::downgrade(&current)));
        let acceptor = Some(TlsAcceptor::from(Arc::new(server)));
        Ok(Self { acceptor, connector: TlsConnector::from(Arc::new(client)), watched: Some(current) })
    }

    /// Reads our certificate and key again, for connections from now on; false if there is none. Fails if the files
    /// cannot be used: the old ones stay.
    pub fn reload(&self) -> io::Result<bool> {
        match &self.watched {
            Some(watched) => watched.reload().map(|()| true),
            None => Ok(false),
        }
    }
}

fn client_builder() -> tokio_rustls::rustls::ConfigBuilder<ClientConfig, tokio_rustls::rustls::WantsVerifier> {
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap_or_else(|_| unreachable!("the provider has the default versions"))
}

/// Looks for new files until the last listener has ended.
async fn watch(watched: Weak<WatchedCertificate>) {
    let changed = |path: PathBuf| async move { tokio::fs::metadata(path).await.and_then(|meta| meta.modified()).ok() };
    let Some((certificate, private_key)) =
        watched.upgrade().map(|current| (current.certificate.clone(), current.private_key.clone()))
    else {
        return;
    };
    let mut seen: (Option<SystemTime>, Option<SystemTime>) =
        (changed(certificate.clone()).await, changed(private_key.clone()).await);
    loop {
        tokio::time::sleep(RELOAD_INTERVAL).await;
        let now = (changed(certificate.clone()).await, changed(private_key.clone()).await);
        let Some(current) = watched.upgrade() else { return };
        if now == seen {
            continue;
        }
        // While the two files are being replaced they may not match: keep the old pair and retry.
        match current.reload() {
            Ok(()) => {
                seen = now;
                tracing::info!("TLS certificate reloaded");
            }
            Err(error) => tracing::warn!(%error, "TLS certificate not reloaded"),
        }
    }
}
