//! The port of all callees, and the registrar of two accounts.

use super::message::{Message, response};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

/// Messages of one call that wait for its callee.
const WAITING_MAX: usize = 64;
type Inbox = mpsc::Sender<(Message, SocketAddr)>;

/// The port of all callees.
#[derive(Debug)]
pub(super) struct Callees {
    socket: UdpSocket,
    /// By dialled number until the first INVITE, then by Call-ID.
    inboxes: Mutex<HashMap<String, Inbox>>,
}

impl Callees {
    pub(super) async fn open() -> std::io::Result<Arc<Self>> {
        let callees =
            Arc::new(Self { socket: UdpSocket::bind("127.0.0.1:0").await?, inboxes: Mutex::new(HashMap::new()) });
        let listening = callees.clone();
        tokio::spawn(async move { listening.listen().await });
        Ok(callees)
    }

    pub(super) fn port(&self) -> u16 {
        self.socket.local_addr().map_or(0, |addr| addr.port())
    }

    async fn listen(&self) {
        let mut packet = vec![0; 16_000];
        loop {
            let Ok((len, from)) = self.socket.recv_from(&mut packet).await else { return };
            let message = Message(String::from_utf8_lossy(&packet[..len]).into_owned());
            match message.method() {
                "REGISTER" => self.register(&message, from).await,
                "OPTIONS" => self.send(&response(&message, "200 OK", "o", &[], ""), from).await,
                _ => {
                    let inbox = self.inbox(&message);
                    if let Some(inbox) = inbox {
                        let _ = inbox.try_send((message, from));
                    } else if !matches!(message.method(), "" | "ACK") {
                        // Its callee is gone: whatever comes is refused, so that the server does not repeat it.
                        self.send(&response(&message, "481 Gone", "g", &[], ""), from).await;
                    }
                }
            }
        }
    }

    fn inbox(&self, message: &Message) -> Option<Inbox> {
        let inboxes = self.inboxes.lock().unwrap_or_else(PoisonError::into_inner);
        inboxes.get(message.header("Call-ID")).or_else(|| inboxes.get(message.target_user())).cloned()
    }

    /// Grants what is asked for; one of the accounts gets a way for its requests (RFC 3608).
    async fn register(&self, request: &Message, from: SocketAddr) {
        let contact = format!("Contact: {};expires=3600", request.header("Contact"));
        let way = format!("Service-Route: <sip:127.0.0.1:{};lr>", self.port());
        let lines = [contact.as_str(), "Expires: 3600", way.as_str()];
        let count = if request.header("To").contains("second") { 3 } else { 2 };
        self.send(&response(request, "200 OK", "r", &lines[..count], ""), from).await;
    }

    async fn send(&self, text: &str, to: SocketAddr) {
        let _ = self.socket.send_to(text.as_bytes(), to).await;
    }

    /// Sends from the port of all callees.
    pub(super) async fn send_text(&self, text: &str, to: SocketAddr) {
        self.send(text, to).await;
    }

    pub(super) fn await_call(&self, key: String) -> mpsc::Receiver<(Message, SocketAddr)> {
        let (sender, inbox) = mpsc::channel(WAITING_MAX);
        self.inboxes.lock().unwrap_or_else(PoisonError::into_inner).insert(key, sender);
        inbox
    }

    /// Messages of a Call-ID go where those of its number went.
    pub(super) fn follow(&self, number: &str, call_id: &str) {
        let mut inboxes = self.inboxes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(inbox) = inboxes.get(number).cloned() {
            inboxes.insert(call_id.to_owned(), inbox);
        }
    }

    pub(super) fn forget(&self, keys: &[String]) {
        let mut inboxes = self.inboxes.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            inboxes.remove(key);
        }
    }
}
