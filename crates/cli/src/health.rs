//! `trunkline health`: asks the server on this machine how it is, for health checks of containers and scripts.

use crate::command_error::CommandError;
use clap::{Args, ValueEnum};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use trunkline::config::Config;

/// Longest answer that is read; the server's has some hundred bytes.
const ANSWER_BYTES_MAX: u64 = 65_536;

#[derive(Debug, Args)]
pub(crate) struct HealthArgs {
    /// What to ask.
    #[arg(value_enum, default_value_t = HealthQuestion::Health)]
    question: HealthQuestion,
    /// Milliseconds to wait for the answer.
    #[arg(long, default_value_t = 5_000)]
    timeout_ms: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum HealthQuestion {
    /// Does everything work?
    Health,
    /// Or does the process have to be started again?
    Live,
    /// Does it take new calls?
    Ready,
}

impl HealthQuestion {
    fn path(self) -> &'static str {
        match self {
            Self::Health => "/health",
            Self::Live => "/health/live",
            Self::Ready => "/health/ready",
        }
    }
}

/// Prints the server's answer; an error if it is not 200, or does not come.
pub(crate) async fn run(config: &Config, args: HealthArgs) -> Result<String, CommandError> {
    let address = reachable(config.api.listen);
    let asking = ask(address, args.question.path());
    let (status, body) = match tokio::time::timeout(Duration::from_millis(args.timeout_ms), asking).await {
        Ok(answer) => answer.map_err(|error| format!("{address} (api.listen): {error}"))?,
        Err(_) => return Err(format!("{address} (api.listen): no answer in {} ms", args.timeout_ms).into()),
    };
    if status == "200" { Ok(body) } else { Err(format!("the server answers {status}: {body}").into()) }
}

/// A server that listens on every address listens on loopback too.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// Returns the status code and the body.
async fn ask(address: SocketAddr, path: &str) -> std::io::Result<(String, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let no_http = || std::io::Error::other("this is no HTTP server");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(no_http)?;
    let status = head.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)).ok_or_else(no_http)?;
    Ok((status.to_owned(), body.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    /// A server that answers once.
    async fn asked(answer: &'static str) -> Result<String, String> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let mut config = Config::default();
        config.api.listen = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), listener.local_addr().unwrap().port());
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1_024];
            let count = stream.read(&mut request).await.unwrap();
            assert!(request[..count].starts_with(b"GET /health/ready HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).await.unwrap();
        };
        let args = HealthArgs { question: HealthQuestion::Ready, timeout_ms: 5_000 };
        let (result, ()) = tokio::join!(run(&config, args), server);
        result.map_err(|error| error.message)
    }

    #[tokio::test]
    async fn an_answer_other_than_200_is_an_error() {
        let well = asked("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
        assert_eq!(well.as_deref(), Ok("{}"));
        let ill = asked("HTTP/1.1 503 Service Unavailable\r\n\r\n{\"sip\":\"failed\"}").await.unwrap_err();
        assert_eq!(ill, "the server answers 503: {\"sip\":\"failed\"}");
        assert!(asked("220 mail.example.com ESMTP\r\n").await.unwrap_err().contains("no HTTP server"));
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_named_with_its_setting() {
        let mut config = Config::default();
        config.api.listen = "127.0.0.1:1".parse().unwrap();
        let args = HealthArgs { question: HealthQuestion::Health, timeout_ms: 5_000 };
        let message = run(&config, args).await.unwrap_err().message;
        assert!(message.starts_with("127.0.0.1:1 (api.listen): "), "{message}");
    }
}
