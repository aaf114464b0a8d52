//! Our public address, learned from a STUN server.

use crate::stun;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::UdpSocket;

/// Requests that are sent before it is given up, and the wait after the first; doubled each time (RFC 8489 section
/// 6.2.1).
const ATTEMPTS: u32 = 4;
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The address that `server` (`host:port`) sees when a packet comes from here. `random` must not be guessable.
pub async fn public_address(server: &str, random: [u8; 12]) -> io::Result<IpAddr> {
    let fault = |why: String| io::Error::other(format!("STUN {server}: {why}"));
    let server_addr = tokio::net::lookup_host(server).await.map_err(|error| fault(error.to_string()))?.next();
    let server_addr = server_addr.ok_or_else(|| fault("no address".to_owned()))?;
    let any: SocketAddr = if server_addr.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server_addr).await?;
    let request = stun::binding_request(random);
    let mut buffer = [0; 1_500];
    for attempt in 0..ATTEMPTS {
        let _ = socket.send(&request).await;
        let until = tokio::time::Instant::now() + FIRST_WAIT * 2u32.pow(attempt);
        while let Ok(received) = tokio::time::timeout_at(until, socket.recv(&mut buffer)).await {
            let Ok(len) = received else { break }; // refused: try the next attempt
            if let Some(mapped) = stun::mapped_address(&buffer[..len], random) {
                return Ok(mapped.ip());
            }
        }
    }
    Err(fault("no answer".to_owned()))
}
