//! The check's own socket for SIP: UDP, TCP or TLS.

use super::observation::ConnectionObservation;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use trunkline_signaling::io::tls::TlsCertificates;
use trunkline_signaling::sip::message::framing::{Framed, Framer};
use trunkline_signaling::sip::message::parse::{self, ParsedMessage};
use trunkline_signaling::sip::transport::Transport;

const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> ByteStream for T {}

enum Socket {
    Udp(UdpSocket, SocketAddr),
    Stream(Box<dyn ByteStream>, Framer),
}

/// An open way to the carrier.
pub(super) struct SipConnection {
    socket: Socket,
    pub transport: Transport,
    /// Our end.
    pub local: SocketAddr,
}

/// The address from which packets to the peer leave.
pub(super) async fn source_address(peer: SocketAddr) -> std::io::Result<IpAddr> {
    let probe = UdpSocket::bind(any(peer, 0)).await?;
    probe.connect(peer).await?;
    Ok(probe.local_addr()?.ip())
}

fn any(peer: SocketAddr, port: u16) -> SocketAddr {
    match peer {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, port).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, port).into(),
    }
}

impl SipConnection {
    /// Opens it; `name` is what the certificate has to be for. Port 0 takes any.
    pub(super) async fn open(
        transport: Transport, peer: SocketAddr, port: u16, name: &str, certificates: &TlsCertificates,
    ) -> Result<(Self, ConnectionObservation), ConnectionObservation> {
        let words = |error: std::io::Error| ConnectionObservation::NotConnected(format!("{peer}: {error}"));
        if transport == Transport::Udp {
            let socket = UdpSocket::bind(any(peer, port)).await.map_err(words)?;
            let local = socket.local_addr().map_err(words)?;
            let socket = Socket::Udp(socket, peer);
            return Ok((Self { socket, transport, local }, ConnectionObservation::Datagrams));
        }
        let stream = match tokio::time::timeout(CONNECT_DEADLINE, connect(peer, port)).await {
            Ok(stream) => stream.map_err(words)?,
            Err(_) => return Err(ConnectionObservation::NotConnected(format!("{peer} did not accept in 5 s"))),
        };
        let local = stream.local_addr().map_err(words)?;
        let (stream, seen): (Box<dyn ByteStream>, _) = if transport == Transport::Tls {
            let secured = tokio::time::timeout(CONNECT_DEADLINE, certificates.connect(name, stream)).await;
            let (stream, words) = secured
                .map_err(|_| ConnectionObservation::NotSecured(format!("{peer} did not finish the handshake in 5 s")))?
                .map_err(ConnectionObservation::NotSecured)?;
            (Box::new(stream), ConnectionObservation::Secured(words))
        } else {
            (Box::new(stream), ConnectionObservation::Connected)
        };
        Ok((Self { socket: Socket::Stream(stream, Framer::default()), transport, local }, seen))
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match &mut self.socket {
            Socket::Udp(socket, peer) => match socket.send_to(bytes, *peer).await {
                // An ICMP error of an earlier datagram: silence will tell.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Ok(()),
                sent => sent.map(|_| ()),
            },
            Socket::Stream(stream, _) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    /// The next message. May be dropped while it waits.
    pub(super) async fn receive(&mut self) -> std::io::Result<ParsedMessage> {
        match &mut self.socket {
            Socket::Udp(socket, _) => {
                let mut buffer = vec![0; 65_535];
                loop {
                    match socket.recv_from(&mut buffer).await {
                        Ok((len, _)) => return Ok(parse::datagram(buffer.get(..len).unwrap_or_default())),
                        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
                        Err(error) => return Err(error),
                    }
                }
            }
            Socket::Stream(stream, framer) => loop {
                match framer.next() {
                    Some(Framed::Complete(parsed)) => return Ok(parsed),
                    Some(Framed::Unreadable(_)) => return Err(std::io::Error::other("unreadable bytes in the stream")),
                    None => {}
                }
                let mut buffer = [0; 8_192];
                match stream.read(&mut buffer).await? {
                    0 => return Err(std::io::Error::other("the carrier closed the connection")),
                    len => framer.push(buffer.get(..len).unwrap_or_default()),
                }
            },
        }
    }
}

async fn connect(peer: SocketAddr, port: u16) -> std::io::Result<TcpStream> {
    if port == 0 {
        return TcpStream::connect(peer).await;
    }
    let socket = if peer.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(any(peer, port))?;
    socket.connect(peer).await
}
