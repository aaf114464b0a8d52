//! A customer's server, which is told of calls and answers.

use super::polling::{PATIENCE, peer_takes, poll};
use serde_json::Value;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A customer's server: keeps the requests and gives the configured answers.
pub struct CustomerServer {
    pub url: String,
    told: Arc<Mutex<Vec<CustomerRequest>>>,
}

/// One request to a customer's server.
#[derive(Clone, Debug)]
pub struct CustomerRequest {
    pub path: String,
    pub headers: HashMap<String, String>,
    pub text: String,
    pub body: Value,
}

/// Status, body, and how long it takes.
pub type CannedAnswer = (u16, String, Duration);

pub fn at_once(body: &Value) -> CannedAnswer {
    (200, body.to_string(), Duration::ZERO)
}

impl CustomerServer {
    pub async fn start(answer: impl Fn(&CustomerRequest) -> CannedAnswer + Send + Sync + 'static) -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST, answer).await
    }

    /// At an address of loopback.
    pub async fn start_at(
        at: Ipv4Addr, answer: impl Fn(&CustomerRequest) -> CannedAnswer + Send + Sync + 'static,
    ) -> Self {
        use axum::body::Bytes;
        use axum::http::{HeaderMap, StatusCode, Uri};
        let told = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (told.clone(), Arc::new(answer));
        let handle = async move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let text = String::from_utf8_lossy(&body).into_owned();
            let headers = headers.iter().map(|(n, v)| (n.to_string(), v.to_str().unwrap_or("").to_owned())).collect();
            let body = serde_json::from_str(&text).unwrap_or_default();
            let one = CustomerRequest { path: uri.path().to_owned(), headers, text, body };
            let (status, text, wait) = answer(&one);
            kept.lock().unwrap().push(one);
            peer_takes(wait).await;
            (StatusCode::from_u16(status).unwrap(), text)
        };
        let listener = tokio::net::TcpListener::bind((at, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(handle);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, told }
    }

    /// What came to a path so far.
    pub fn told(&self, path: &str) -> Vec<CustomerRequest> {
        self.told.lock().unwrap().iter().filter(|one| one.path == path).cloned().collect()
    }

    pub fn paths(&self) -> Vec<String> {
        self.all().into_iter().map(|one| one.path).collect()
    }

    pub fn all(&self) -> Vec<CustomerRequest> {
        self.told.lock().unwrap().clone()
    }

    /// Waits for as many to a path.
    pub async fn wait(&self, path: &str, count: usize) -> Vec<CustomerRequest> {
        poll(PATIENCE, &format!("{count} requests to {path}"), async || {
            let told = self.told(path);
            if told.len() >= count { Ok(told) } else { Err(format!("{} came, of {:?}", told.len(), self.paths())) }
        })
        .await
    }
}
