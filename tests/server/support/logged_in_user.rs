//! A person at the console.

use super::{OWNER, PASSWORD, Server};
use serde_json::{Value, json};
use std::time::Duration;

/// A user who is logged in with a separate browser.
pub struct LoggedInUser {
    http: reqwest::Client,
    base: String,
    pub cookie: String,
}

impl LoggedInUser {
    pub async fn log_in(server: &Server, email: &str, password: &str) -> Self {
        // A connection that has been idle may be closed by the server in the moment it is used again.
        let http = reqwest::Client::builder().pool_idle_timeout(Duration::from_secs(1)).build().unwrap();
        let base = format!("http://{}/api/v1", server.app.api_addr);
        let login = json!({"email": email, "password": password});
        let answer = http.post(format!("{base}/auth/login")).json(&login).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
        Self { http, base, cookie }
    }

    pub async fn owner(server: &Server) -> Self {
        Self::log_in(server, OWNER, PASSWORD).await
    }

    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let pair = self.cookie.split(';').next().unwrap();
        self.http.request(method.parse().unwrap(), format!("{}{path}", self.base)).header("cookie", pair)
    }

    pub async fn send(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// What succeeded.
    pub async fn done(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let (status, answer) = self.send(method, path, body).await;
        assert!(status < 300, "{method} {path}: {status} {answer}");
        answer["data"].clone()
    }
}
