//! Asks a webhook's receiver whether it is there, with `HEAD`: a connection, TLS and one request that is no event, so that nothing
//! happens there. Names resolve and certificates are verified as for webhooks.

use super::sender::{WebhookError, WebhookSender, unreachable};
use crate::checkup::certificates::not_after;
use crate::checkup::webhooks::ReceiverAnswer;
use reqwest::Method;
use reqwest::tls::TlsInfo;
use std::time::Duration;
use tokio::time::timeout;

/// Somebody waits for the report.
const DEADLINE: Duration = Duration::from_secs(5);

impl WebhookSender {
    /// What the receiver at a URL answers to `HEAD`, after five seconds at the latest.
    pub async fn ask_receiver(&self, url: &str) -> ReceiverAnswer {
        let sent = match self.checks.guard().check(url).and_then(|url| self.checks.request(Method::HEAD, url)) {
            Ok(request) => request.send(),
            Err(why) => return ReceiverAnswer::Refused(why.to_string()),
        };
        match timeout(DEADLINE, sent).await {
            Ok(Ok(response)) => {
                let tls = response.extensions().get::<TlsInfo>().and_then(TlsInfo::peer_certificate);
                ReceiverAnswer::Status {
                    status: response.status().as_u16(),
                    certificate_end_s: tls.and_then(not_after),
                }
            }
            Ok(Err(error)) => match unreachable(&error) {
                WebhookError::Unreachable(why) => ReceiverAnswer::Unreachable(why),
                other => ReceiverAnswer::Unreachable(other.to_string()),
            },
            Err(_) => ReceiverAnswer::Unreachable(WebhookError::Deadline.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::{EgressGuard, EgressReach, OwnListeners};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_receiver_is_asked_with_head_and_redirects_are_its_answer() {
        let sender = WebhookSender::new(&EgressGuard::unrestricted()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?token=secret", listener.local_addr().unwrap());
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4_096];
            let len = stream.read(&mut request).await.unwrap();
            stream.write_all(b"HTTP/1.1 307 Moved\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            String::from_utf8_lossy(&request[..len]).into_owned()
        };
        let (answer, request) = tokio::join!(sender.ask_receiver(&url), serve);
        assert_eq!(answer, ReceiverAnswer::Status { status: 307, certificate_end_s: None });
        assert!(request.starts_with("HEAD /hook?token=secret ") && !request.contains("webhook-id"), "{request}");
        drop(listener);
        let ReceiverAnswer::Unreachable(why) = sender.ask_receiver(&url).await else { panic!("nobody is there") };
        assert!(!why.contains("secret"), "{why}");
    }

    #[tokio::test]
    async fn a_receiver_inside_our_network_is_not_asked() {
        let guard = EgressGuard::new(EgressReach::default(), &[], OwnListeners::default(), None);
        let sender = WebhookSender::new(&guard).unwrap();
        for url in ["https://127.0.0.1/", "https://10.0.0.1/", "http://example.com/"] {
            assert!(matches!(sender.ask_receiver(url).await, ReceiverAnswer::Refused(_)), "{url}");
        }
    }
}
