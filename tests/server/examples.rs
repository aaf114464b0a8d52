//! The programs of `examples/`, as a customer runs them.

use super::support::{NUMBER, Server, program};
use serde_json::json;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use trunkline_lab::caller::script::CallScript;

const PATIENCE: Duration = Duration::from_secs(60);

/// An example that runs, and what it has printed.
struct Example {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    printed: Vec<String>,
}

impl Example {
    /// With the server's address and key.
    fn of(server: &Server, name: &str, more: &[&str]) -> Self {
        let url = format!("http://{}", server.app.api_addr);
        Self::start(name, &[&["--url", &url, "--key", &server.key], more].concat())
    }

    fn start(name: &str, arguments: &[&str]) -> Self {
        // `cargo test` without a target, and the gate, put examples beside the server's binary.
        let folder = program().parent().unwrap().to_owned();
        let mut child = Command::new(folder.join("examples").join(name))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("`cargo build --examples` builds it");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, printed: vec![] }
    }

    /// The next line, unless it has ended.
    async fn line(&mut self) -> Option<String> {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await;
        let line = line.unwrap_or_else(|_| panic!("it says nothing more: {:?}", self.printed)).unwrap();
        self.printed.extend(line.clone());
        line
    }

    /// Reads on to a line with these words.
    async fn until(&mut self, words: &str) -> String {
        while let Some(line) = self.line().await {
            if line.contains(words) {
                return line;
            }
        }
        panic!("it never says {words:?}: {:?}", self.printed);
    }

    /// Reads on to its end.
    async fn end(&mut self) -> ExitStatus {
        while self.line().await.is_some() {}
        tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it does not end").unwrap()
    }

    fn has_printed(&self, wanted: &[&str]) {
        for line in wanted {
            assert!(self.printed.iter().any(|printed| printed == line), "{line:?} is not in {:?}", self.printed);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outbound_call_prints_the_transcript() {
    let mut server = Server::start().await;
    let mut example = Example::of(&server, "outbound_call", &["--to", "+15550199"]);
    let call = tokio::time::timeout(PATIENCE, server.incoming.recv()).await.expect("no call arrives").unwrap();
    let script = CallScript::parse("listen; say yes_correct; listen; say goodbye; listen").unwrap();
    let report = server.phone.answer(call, &script, None).await;
    assert!(report.failure.is_none(), "{report:?}");
    assert!(example.end().await.success(), "{:?}", example.printed);
    example.has_printed(&[
        "status: completed",
        "end reason: agent_hung_up",
        "assistant: Hello, this is Acme. Is your delivery address still correct?",
        "user: Yes, that is correct.",
        "user: Thank you, goodbye.",
    ]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outbound_call_shows_a_refusal() {
    let server = Server::start().await;
    let mut example = Example::of(&server, "outbound_call", &["--to", "nobody"]);
    assert!(!example.end().await.success(), "{:?}", example.printed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhook_receiver_prints_what_is_signed_and_refuses_the_rest() {
    let server = Server::start().await;
    let secret = "whsec_c2VjcmV0IG9mIHRoZSBleGFtcGxl";
    let mut example = Example::start("webhook_receiver", &["--secret", secret, "--listen", "127.0.0.1:0"]);
    let line = example.until("listening on ").await;
    let url = line.trim_start_matches("listening on ");
    let hook = json!({"webhook_url": url, "webhook_secret": secret});
    let (status, body) = server.send("PATCH", &format!("/agents/{}", server.agent), Some(hook)).await;
    assert_eq!(status, 200, "{body}");
    let report = server.call("listen; say goodbye; listen").await;
    assert!(report.failure.is_none(), "{report:?}");
    example.until("end-of-call-report: ").await;
    example.until("  user: Thank you, goodbye.").await;
    let request = format!("assistant-request: +15550100 calls {NUMBER}");
    example.has_printed(&[&request, "status-update: in-progress", "status-update: ended"]);

    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    for (sent_s, reason) in [(now, "wrong signature"), (now - 3_600, "too old")] {
        let forged = server.http.post(format!("{url}/status-update")).header("webhook-id", "forged");
        let forged = forged.header("webhook-timestamp", sent_s.to_string()).header("webhook-signature", "v1,AAAA");
        assert_eq!(forged.body("{}").send().await.unwrap().status(), 401);
        example.until(&format!("refused /status-update: {reason}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_transcript_follows_the_next_call() {
    let server = Server::start().await;
    let mut example = Example::of(&server, "live_transcript", &[]);
    example.until("waiting for a call").await;
    let report = server.call("listen; say hello; listen; say goodbye; listen").await;
    assert!(report.failure.is_none(), "{report:?}");
    assert!(example.end().await.success(), "{:?}", example.printed);
    example.has_printed(&[
        "assistant: Good morning, this is Acme.",
        "user: Hello, good morning.",
        "user: Thank you, goodbye.",
        "status: completed",
    ]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_transcript_shows_a_refusal() {
    let server = Server::start().await;
    let mut example = Example::of(&server, "live_transcript", &["--call", "01a1fe5c-0000-7000-8000-000000000000"]);
    assert!(!example.end().await.success(), "{:?}", example.printed);
}
