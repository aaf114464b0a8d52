//! Resolves host names from outside. The code that connects checks the results.

use super::error::EgressError;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// A name that takes longer has no address for us.
const DEADLINE: Duration = Duration::from_secs(5);
/// Names that the system resolves at once: each holds a thread, and slow names must not hold all of them.
const SYSTEM_LOOKUPS_MAX: usize = 64;
/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 16;

/// Who is asked.
#[derive(Debug)]
pub(super) enum EgressResolver {
    /// The system, with its hosts file.
    System(Arc<Semaphore>),
    /// A name server of the operator's choice.
    Server(Box<TokioResolver>),
    /// The server's settings cannot be used.
    Unavailable,
}

impl EgressResolver {
    pub(super) fn new(server: Option<SocketAddr>) -> Self {
        let Some(server) = server else { return Self::System(Arc::new(Semaphore::new(SYSTEM_LOOKUPS_MAX))) };
        let mut known = NameServerConfig::udp_and_tcp(server.ip());
        for connection in &mut known.connections {
            connection.port = server.port();
        }
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![known]);
        let built = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).build();
        built.map_or(Self::Unavailable, |resolver| Self::Server(Box::new(resolver)))
    }

    /// The addresses of a name, or of an address that is written out.
    pub(super) async fn lookup(&self, host: &str) -> Result<Vec<IpAddr>, EgressError> {
        let looking = async {
            match self {
                Self::System(slots) => {
                    let _slot = slots.acquire().await.map_err(|_| EgressError::NotResolved)?;
                    let found = tokio::net::lookup_host((host, 0)).await.map_err(|_| EgressError::NotResolved)?;
                    Ok(found.map(|addr| addr.ip()).take(ADDRESSES_MAX).collect())
                }
                Self::Server(resolver) => {
                    let found = resolver.lookup_ip(host).await.map_err(|_| EgressError::NotResolved)?;
                    Ok(found.iter().take(ADDRESSES_MAX).collect())
                }
                Self::Unavailable => Err(EgressError::NotResolved),
            }
        };
        tokio::time::timeout(DEADLINE, looking).await.unwrap_or(Err(EgressError::NotResolved))
    }
}
