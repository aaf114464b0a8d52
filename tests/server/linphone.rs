//! linphone, a third-party phone, calls an agent and is called by one: real sound in both directions.

use super::baresip::{level_db, phone_is_answered, silence_and_speech};
use super::support::{NUMBER, Server, exited, free_port, lines};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

/// Ends the phone with the test.
struct Linphone {
    child: Child,
    input: ChildStdin,
}

impl Drop for Linphone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Linphone {
    /// `encryption`: none or srtp.
    fn start(folder: &Path, port: u16, encryption: &str, arguments: &[&str]) -> Self {
        let config = format!(
            "[sip]\nsip_port={port}\nsip_tcp_port={port}\nsip_tls_port=-1\ndefault_proxy=-1\nmedia_encryption={encryption}\n\
             use_ipv6=0\nauto_net_state_mon=0\nregister_only_when_network_is_up=0\n\
             [rtp]\naudio_rtp_port=12000-12999\n[sound]\nechocancellation=0\n[net]\nmtu=1300\n\
             [audio_codec_0]\nmime=PCMA\nrate=8000\nchannels=1\nenabled=1\n"
        );
        for needed in [".local/share/linphone", ".config/linphone"] {
            std::fs::create_dir_all(folder.join(needed)).unwrap();
        }
        let path = folder.join("linphonerc");
        std::fs::write(&path, config).unwrap();
        let mut child = Command::new("linphonec")
            .args(["-c", &path.display().to_string()])
            .args(arguments)
            .env("HOME", folder)
            .stdin(Stdio::piped())
            .stdout(std::fs::File::create(folder.join("log")).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .expect("linphonec is not installed (make test installs linphone-cli)");
        let input = child.stdin.take().unwrap();
        let mut phone = Self { child, input };
        phone.say("soundcard use files");
        phone
    }

    fn say(&mut self, command: &str) {
        writeln!(self.input, "{command}").unwrap();
        self.input.flush().unwrap();
    }

    /// Hangs up; the file of what it heard is complete afterwards.
    async fn quit(&mut self) {
        self.say("terminate all");
        self.say("quit");
        exited("linphone", &mut self.child).await;
    }
}

async fn converses(encryption: &str, trunk: Value, calls_out: bool) -> Value {
    let server = Server::start().await;
    server.send("PATCH", &format!("/trunks/{}", server.trunk), Some(trunk)).await;
    let folder = server.folder.path().join("linphone");
    std::fs::create_dir_all(&folder).unwrap();
    let (speech, heard) = (silence_and_speech(&folder, "hello"), folder.join("heard.wav"));
    let port = free_port();
    let mut phone = Linphone::start(&folder, port, encryption, if calls_out { &["-a"] } else { &[] });
    phone.say(&format!("record {}", heard.display()));
    phone.say(&format!("play {speech}"));
    if calls_out {
        let body = json!({"host": "127.0.0.1", "port": port});
        server.send("PATCH", &format!("/trunks/{}", server.trunk), Some(body)).await;
        super::sipp::listens(port).await;
        let task = json!({"agent_id": server.agent, "to_number": "+15550100"});
        let task = server.post("/tasks", task).await["task"]["id"].as_str().unwrap().to_owned();
        server.post(&format!("/tasks/{task}/execute"), json!({})).await;
    } else {
        phone.say(&format!("call sip:{NUMBER}@127.0.0.1:{}", server.sip_port()));
    }
    let call = phone_is_answered(&server, encryption, &folder).await;
    let said = lines(&call);
    assert!(said.contains(&"user: Hello, good morning.".to_owned()), "{encryption}: {said:?}");
    phone.quit().await;
    let level = level_db(&std::fs::read(&heard).unwrap());
    assert!(level > -35.0, "the phone heard {level:.1} dB");
    let call = server.last_call().await;
    assert_eq!(call["end_reason"], json!("customer_hung_up"));
    call
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linphone_is_greeted_understood_and_answered() {
    converses("none", json!({}), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linphone_encrypts_its_media() {
    let call = converses("srtp", json!({"srtp": "mandatory"}), false).await;
    assert_eq!(call["metrics"]["media"]["packets_unauthentic"], json!(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linphone_is_called() {
    converses("none", json!({}), true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linphone_is_called_and_shakes_hands_on_its_media() {
    let call = converses("dtls", json!({"srtp": "mandatory", "srtp_keying": "dtls"}), true).await;
    assert!(call["metrics"]["media"]["packets_received"].as_u64().unwrap() > 100, "{call}");
}
