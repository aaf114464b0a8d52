//! Connections that we open ourselves, for protocols that our HTTP client does not support (WebSockets).

use super::{EgressError, EgressGuard};
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The guard refuses every address of the host, or its name does not resolve.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// No connection to the last address that was tried.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl EgressGuard {
    /// Connects to the first address of a host that may be connected to and answers. The deadline is the caller's.
    pub async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, ConnectError> {
        let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let mut last = ConnectError::Egress(EgressError::NoPublicAddress);
        for addr in self.resolver().lookup(host).await? {
            let addr = SocketAddr::new(addr, port);
            match self.permits(addr) {
                Err(EgressError::NotPublic) => {}
                Err(why) => last = why.into(),
                Ok(()) => match TcpStream::connect(addr).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => last = error.into(),
                },
            }
        }
        Err(last)
    }
}
