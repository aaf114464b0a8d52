//! The API under load: requests a second and their p99 at so many connections, beside a bare hyper server
//! that answers "hello" from a separate process in the same run.

use crate::caller::report::percentile;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

pub(super) const CONNECTIONS: usize = 64;
const WARM_UP: Duration = Duration::from_millis(500);
const MEASURED: Duration = Duration::from_secs(3);
/// The bare server listens here.
const HELLO: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 13_009);

/// A bare hyper server: `trunkline bench --hello`.
pub(super) async fn hello() -> Result<(), String> {
    let listener = TcpListener::bind(HELLO).await.map_err(|error| format!("{HELLO}: {error}"))?;
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let service =
            hyper::service::service_fn(|_| async { Ok::<_, Infallible>(hyper::Response::new("hello".to_owned())) });
        tokio::spawn(async move {
            let builder = hyper::server::conn::http1::Builder::new();
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

struct HelloServer(Child);

impl Drop for HelloServer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A request as it goes over the wire.
fn request(method: &str, path: &str, key: &str, body: Option<&Value>) -> Vec<u8> {
    let body = body.map(Value::to_string).unwrap_or_default();
    let kind = if body.is_empty() { "" } else { "content-type: application/json\r\n" };
    format!(
        "{method} {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {key}\r\n{kind}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// One request and its whole answer; the status.
async fn exchange(stream: &mut TcpStream, request: &[u8], buffer: &mut Vec<u8>) -> Result<u16, String> {
    stream.write_all(request).await.map_err(|error| error.to_string())?;
    buffer.clear();
    let (head, length) = loop {
        if stream.read_buf(buffer).await.map_err(|error| error.to_string())? == 0 {
            return Err("the connection was closed".to_owned());
        }
        if let Some(head) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
            let length =
                text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
            break (head + 4, length.ok_or("no content-length")?);
        }
    };
    while buffer.len() < head + length {
        if stream.read_buf(buffer).await.map_err(|error| error.to_string())? == 0 {
            return Err("the connection was closed".to_owned());
        }
    }
    String::from_utf8_lossy(&buffer[9..12]).parse().map_err(|_| "no status".to_owned())
}

/// Requests a second and milliseconds of each, at `connections` at once.
async fn load(
    addr: SocketAddr, request: Vec<u8>, wanted: u16, connections: usize, gap: Duration,
) -> Result<Value, String> {
    let mut clients = JoinSet::new();
    let begin = Instant::now() + WARM_UP;
    let end = begin + MEASURED;
    for _ in 0..connections {
        let request = request.clone();
        clients.spawn(async move {
            let mut stream = TcpStream::connect(addr).await.map_err(|error| error.to_string())?;
            let _ = stream.set_nodelay(true);
            let (mut buffer, mut times) = (Vec::with_capacity(8_192), Vec::new());
            loop {
                let from = Instant::now();
                if from >= end {
                    return Ok::<_, String>(times);
                }
                let status = exchange(&mut stream, &request, &mut buffer).await?;
                if status != wanted {
                    return Err(format!("status {status}: {}", String::from_utf8_lossy(&buffer)));
                }
                if from >= begin {
                    times.push(from.elapsed().as_secs_f64() * 1_000.0);
                }
                if gap > Duration::ZERO {
                    tokio::time::sleep(gap).await;
                }
            }
        });
    }
    let mut all = Vec::new();
    while let Some(times) = clients.join_next().await {
        all.extend(times.map_err(|error| error.to_string())??);
    }
    let per_second = all.len() as f64 / MEASURED.as_secs_f64();
    Ok(
        json!({"requests_per_second": per_second.round(), "p50_ms": percentile(&mut all, 0.5), "p99_ms": percentile(&mut all, 0.99)}),
    )
}

/// GET and POST on agents beside the bare server.
pub(super) async fn throughput(api: SocketAddr, key: &str, agent: &str) -> Result<Value, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let child = Command::new(program).args(["bench", "--hello"]).stdin(Stdio::null()).spawn();
    let _hello = HelloServer(child.map_err(|error| error.to_string())?);
    let deadline = Instant::now() + Duration::from_secs(5);
    while TcpStream::connect(HELLO).await.is_err() {
        if Instant::now() > deadline {
            return Err("the bare server did not start".to_owned());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let at_once = |addr, request, status| load(addr, request, status, CONNECTIONS, Duration::ZERO);
    let bare = at_once(HELLO, request("GET", "/", key, None), 200).await?;
    let get = at_once(api, request("GET", &format!("/api/v1/agents/{agent}"), key, None), 200).await?;
    let again = at_once(HELLO, request("GET", "/", key, None), 200).await?;
    let body = json!({"name": "Bench", "system_prompt": "You are a helpful customer service agent of Acme."});
    let post = at_once(api, request("POST", "/api/v1/agents", key, Some(&body)), 201).await?;
    let rate = |of: &Value| of["requests_per_second"].as_f64().unwrap_or(0.0);
    let hello = f64::midpoint(rate(&bare), rate(&again));
    Ok(
        json!({"connections": CONNECTIONS, "hello": [bare, again], "get_agent": get, "get_share_of_hello": rate(&get) / hello,
        "post_agent": post, "post_share_of_hello": rate(&post) / hello}),
    )
}

/// A few clients that ask in peace, while something else goes on.
pub(super) async fn latency_under_load(api: SocketAddr, key: &str, agent: &str) -> Result<Value, String> {
    load(api, request("GET", &format!("/api/v1/agents/{agent}"), key, None), 200, 4, Duration::from_millis(20)).await
}
