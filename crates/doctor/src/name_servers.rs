//! Name servers of the settings (`sip.dns_server`, `egress.dns_server`): whether they answer.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::timeout;
use trunkline::config::Config;
use trunkline::domain::finding::Finding;

const CHECK: &str = "dns";
const DEADLINE: Duration = Duration::from_secs(3);
/// A packet is lost now and then.
const ATTEMPTS: u32 = 2;
/// A reply without its names.
const HEADER_BYTES: usize = 12;
/// A query for the name servers of the root, which every resolver knows.
const QUESTION: [u8; 5] = [0, 0, 2, 0, 1];

/// Why no reply was read.
#[derive(Clone, Debug, PartialEq, Eq)]
enum NoReply {
    Silence,
    Refused(String),
}

/// Asks each of them.
pub(crate) async fn look(config: &Config) -> Vec<Finding> {
    let servers = [("sip.dns_server", config.sip.dns_server), ("egress.dns_server", config.egress.dns_server)];
    let asked = servers.into_iter().filter_map(|(setting, server)| Some((setting, server?)));
    let asked = asked.map(|(setting, server)| async move {
        let id: u16 = rand::random();
        finding(setting, server, ask(server, id).await.map(|reply| response_code(&reply, id)))
    });
    futures_util::future::join_all(asked).await
}

/// A query (RFC 1035 section 4.1) with one question, and recursion wanted.
fn query(id: u16) -> Vec<u8> {
    let mut query = id.to_be_bytes().to_vec();
    query.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    query.extend(QUESTION);
    query
}

/// The code of a reply to our query; none if it is no reply to it.
fn response_code(reply: &[u8], id: u16) -> Option<u8> {
    let header = reply.get(..HEADER_BYTES)?;
    let is_ours = header.starts_with(&id.to_be_bytes()) && header.get(2)? & 0x80 != 0;
    is_ours.then_some(header.get(3)? & 0x0f)
}

async fn ask(server: SocketAddr, id: u16) -> Result<Vec<u8>, NoReply> {
    let fault = |error: std::io::Error| NoReply::Refused(error.to_string());
    let any: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).await.map_err(fault)?;
    socket.connect(server).await.map_err(fault)?;
    let mut reply = vec![0; 1_500];
    for _ in 0..ATTEMPTS {
        socket.send(&query(id)).await.map_err(fault)?;
        if let Ok(received) = timeout(DEADLINE / ATTEMPTS, socket.recv(&mut reply)).await {
            reply.truncate(received.map_err(fault)?);
            return Ok(reply);
        }
    }
    Err(NoReply::Silence)
}

fn finding(setting: &str, server: SocketAddr, reply: Result<Option<u8>, NoReply>) -> Finding {
    let advice = format!("mend the name server, or set {setting} to another one (without it the system's are asked)");
    match reply {
        // No error, or a name that does not exist: it looked.
        Ok(Some(0 | 3)) => Finding::ok(CHECK, format!("{server} answers ({setting})")),
        Ok(Some(5)) => Finding::error(
            CHECK,
            format!("{server} refuses to answer this machine ({setting})"),
            format!("allow this machine in its settings, or set {setting} to another one"),
        ),
        Ok(Some(code)) => Finding::warning(CHECK, format!("{server} answers with error {code} ({setting})"), advice),
        Ok(None) => Finding::error(CHECK, format!("{server} is no name server ({setting})"), advice),
        Err(NoReply::Silence) => {
            Finding::error(CHECK, format!("{server} did not answer in {} s ({setting})", DEADLINE.as_secs()), advice)
        }
        Err(NoReply::Refused(why)) => {
            Finding::error(CHECK, format!("{server} cannot be asked ({setting}): {why}"), advice)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline::domain::finding::Level;

    #[test]
    fn replies_are_read_by_their_id_and_code() {
        let reply = |id: u16, flags: [u8; 2]| [&id.to_be_bytes()[..], &flags, &[0, 1, 0, 0, 0, 0, 0, 0]].concat();
        assert_eq!(response_code(&reply(7, [0x81, 0x80]), 7), Some(0));
        assert_eq!(response_code(&reply(7, [0x81, 0x85]), 7), Some(5));
        assert_eq!(response_code(&reply(8, [0x81, 0x80]), 7), None, "another's");
        assert_eq!(response_code(&query(7), 7), None, "an echo of the query");
        assert_eq!(response_code(&[0, 7, 0x81], 7), None, "cut off");
    }

    #[test]
    fn what_a_name_server_says_names_its_setting() {
        let server = "192.0.2.53:53".parse().unwrap();
        let of = |reply| finding("sip.dns_server", server, reply);
        assert_eq!((of(Ok(Some(0))).level, of(Ok(Some(3))).level), (Level::Ok, Level::Ok));
        assert_eq!((of(Ok(Some(2))).level, of(Ok(Some(5))).level), (Level::Warning, Level::Error));
        for reply in [Ok(None), Err(NoReply::Silence), Err(NoReply::Refused("refused".to_owned()))] {
            let finding = of(reply);
            assert!(finding.level == Level::Error && finding.found.contains("sip.dns_server"), "{finding:?}");
        }
    }

    #[tokio::test]
    async fn a_port_without_a_name_server_is_told() {
        let echo = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let at = echo.local_addr().unwrap();
        let serve = async {
            let mut query = [0; 100];
            let (len, from) = echo.recv_from(&mut query).await.unwrap();
            query[2] |= 0x80;
            echo.send_to(&query[..len], from).await.unwrap();
        };
        let (reply, ()) = tokio::join!(ask(at, 9), serve);
        assert_eq!(response_code(&reply.unwrap(), 9), Some(0));
        drop(echo);
        assert!(matches!(ask(at, 9).await, Err(NoReply::Refused(_))));
    }
}
