//! The listen socket: audio in, events out, kept alive, made again when it breaks.

use super::message;
use crate::providers::{Deadlines, Endpoint, Failure, Stream, SttEvent};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

/// Audio waiting while a connection is made: ten seconds, then the oldest is lost.
const AUDIO_MAX: usize = 500;
/// A socket without audio is held by a KeepAlive at least every ten seconds (close code NET-0001).
const KEEP_ALIVE: Duration = Duration::from_secs(4);
/// Connections made for one call, the first included.
const ATTEMPTS_MAX: u32 = 4;
/// Not one message in this time while audio flows: the socket is half open.
const SILENT_MAX: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
pub struct Listen {
    pub model: String,
    pub language: String,
    pub keyterms: Vec<String>,
    /// `mulaw` or `alaw`: the line's own codec, passed through.
    pub encoding: &'static str,
    pub endpointing_ms: u64,
}

/// What a call tells its recogniser.
#[derive(Clone, Debug)]
pub enum Input {
    /// G.711 codes.
    Audio(Bytes),
    /// The caller finished: give back what is left.
    Finalize,
    /// The present connection hears nothing: make another.
    Restart,
}

/// A recogniser of one call.
#[derive(Debug)]
pub struct Session {
    pub input: mpsc::Sender<Input>,
    pub stream: Stream<SttEvent>,
}

/// Starts to connect at once; audio may be sent right away.
pub fn listen(endpoint: &Endpoint, deadlines: Deadlines, listen: Listen) -> Session {
    let (input, queue) = mpsc::channel(AUDIO_MAX);
    let endpoint = endpoint.clone();
    let stream = Stream::spawn(|events| async move {
        let mut session = Running { endpoint, deadlines, listen, queue, events };
        if let Err(failure) = session.run().await {
            let _ = session.events.send(SttEvent::Failed(failure)).await;
        }
    });
    Session { input, stream }
}

struct Running {
    endpoint: Endpoint,
    deadlines: Deadlines,
    listen: Listen,
    queue: mpsc::Receiver<Input>,
    events: mpsc::Sender<SttEvent>,
}

/// Why one connection ended.
enum End {
    /// The call is over.
    Finished,
    Broken(Failure),
}

impl Running {
    async fn run(&mut self) -> Result<(), Failure> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let failure = match self.connect().await {
                Ok(mut socket) => {
                    let _ = self.events.send(SttEvent::Ready).await;
                    let connected = Instant::now();
                    let end = self.serve(&mut socket).await;
                    let _ = timeout(Duration::from_millis(200), socket.close(None)).await;
                    match end {
                        End::Finished => return Ok(()),
                        End::Broken(failure) => {
                            // A connection that held for a minute earns the full number again.
                            if connected.elapsed() > Duration::from_secs(60) {
                                attempt = 1;
                            }
                            failure
                        }
                    }
                }
                Err(failure) => failure,
            };
            if attempt >= ATTEMPTS_MAX || !failure.is_retryable() {
                return Err(failure);
            }
            if self.events.send(SttEvent::Reconnecting(failure)).await.is_err() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100) * (1 << attempt)).await;
        }
    }

    async fn connect(&self) -> Result<Socket, Failure> {
        let key = self.endpoint.api_key.as_deref().ok_or(Failure::NotConfigured)?;
        let url = self.url();
        let mut request =
            url.as_str().into_client_request().map_err(|error| Failure::Unreachable(error.to_string()))?;
        let token = HeaderValue::from_str(&format!("Token {key}")).map_err(|_| Failure::NotConfigured)?;
        request.headers_mut().insert("authorization", token);
        // The default buffers are 128 kB each; a call needs a few hundred bytes at a time.
        let config =
            WebSocketConfig::default().read_buffer_size(4_096).write_buffer_size(0).max_message_size(Some(1 << 20));
        match timeout(self.deadlines.connect, connect_async_with_config(request, Some(config), true)).await {
            Ok(Ok((socket, _))) => Ok(socket),
            Ok(Err(Error::Http(response))) => {
                let body = response.body().as_deref().unwrap_or_default();
                let mut message = String::from_utf8_lossy(body).into_owned();
                message.truncate(message.floor_char_boundary(300));
                Err(Failure::Refused { status: response.status().as_u16(), message })
            }
            Ok(Err(error)) => Err(Failure::Unreachable(error.to_string())),
            Err(_) => Err(Failure::Deadline("connection")),
        }
    }

    fn url(&self) -> String {
        let base = self.endpoint.base_url.replacen("http", "ws", 1);
        let listen = &self.listen;
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("model", &listen.model)
            .append_pair("language", &listen.language)
            .append_pair("encoding", listen.encoding)
            .append_pair("sample_rate", "8000")
            .append_pair("channels", "1")
            .append_pair("interim_results", "true")
            .append_pair("smart_format", "true")
            .append_pair("vad_events", "false")
            .append_pair("endpointing", &listen.endpointing_ms.to_string())
            .append_pair("utterance_end_ms", "1000");
        for term in &listen.keyterms {
            query.append_pair("keyterm", term);
        }
        format!("{base}/v1/listen?{}", query.finish())
    }

    async fn serve(&mut self, socket: &mut Socket) -> End {
        // A fresh socket wants real audio within ten seconds; KeepAlive alone does not hold it.
        let silence = if self.listen.encoding == "alaw" { 0xD5 } else { 0xFF };
        if let Err(error) = socket.send(Message::Binary(vec![silence; 160].into())).await {
            return End::Broken(Failure::Dropped(error.to_string()));
        }
        let mut last_heard = Instant::now();
        let mut last_sent = Instant::now();
        loop {
            let keep_alive = tokio::time::sleep_until(last_sent + KEEP_ALIVE);
            tokio::select! {
                input = self.queue.recv() => {
                    let message = match input {
                        Some(Input::Audio(codes)) => Message::Binary(codes),
                        Some(Input::Finalize) => Message::text("{\"type\":\"Finalize\"}"),
                        Some(Input::Restart) => return End::Broken(Failure::Deadline("transcript")),
                        None => {
                            let _ = socket.send(Message::text("{\"type\":\"CloseStream\"}")).await;
                            return End::Finished;
                        }
                    };
                    last_sent = Instant::now();
                    match timeout(self.deadlines.between_bytes, socket.send(message)).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => return End::Broken(Failure::Dropped(error.to_string())),
                        Err(_) => return End::Broken(Failure::Deadline("room to send")),
                    }
                    if last_heard.elapsed() > SILENT_MAX {
                        return End::Broken(Failure::Deadline("transcript"));
                    }
                }
                message = socket.next() => {
                    last_heard = Instant::now();
                    match message {
                        Some(Ok(Message::Text(text))) => match message::parse(&text) {
                            Ok(Some(event)) => if self.events.send(event).await.is_err() {
                                return End::Finished;
                            },
                            Ok(None) => {}
                            Err(what) => return End::Broken(Failure::Garbage(what)),
                        },
                        Some(Ok(Message::Close(frame))) => {
                            let why = frame.map(|f| format!("{} {}", f.code, f.reason)).unwrap_or_default();
                            return End::Broken(Failure::Dropped(why));
                        }
                        Some(Ok(_)) => {}
                        Some(Err(error)) => return End::Broken(Failure::Dropped(error.to_string())),
                        None => return End::Broken(Failure::Dropped("end of stream".to_owned())),
                    }
                }
                () = keep_alive => {
                    last_sent = Instant::now();
                    if let Err(error) = socket.send(Message::text("{\"type\":\"KeepAlive\"}")).await {
                        return End::Broken(Failure::Dropped(error.to_string()));
                    }
                }
            }
        }
    }
}
