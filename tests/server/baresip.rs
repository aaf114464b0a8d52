//! baresip, a telephone we did not write, calls an agent and is understood.

use super::support::{NUMBER, Server, lines};
use serde_json::json;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Ends the telephone with the test.
struct Phone(Child);

impl Drop for Phone {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Two seconds for the greeting, the phrase, and a second of silence.
fn speech(folder: &Path, phrase: &str) -> String {
    let path = folder.join("speech.wav");
    let source = format!("{}/fixtures/audio/{phrase}.wav", env!("CARGO_MANIFEST_DIR"));
    let mut reader = hound::WavReader::open(source).unwrap();
    let mut writer = hound::WavWriter::create(&path, reader.spec()).unwrap();
    let silence = |seconds: usize| std::iter::repeat_n(0i16, seconds * 8_000);
    let words: Vec<i16> = reader.samples::<i16>().map(Result::unwrap).collect();
    for sample in silence(3).chain(words).chain(silence(20)) {
        writer.write_sample(sample).unwrap();
    }
    writer.finalize().unwrap();
    path.display().to_string()
}

fn start(folder: &Path, speech: &str, codec: &str, port: u16) -> Phone {
    let heard = folder.join("heard.wav").display().to_string();
    let mut config = String::new();
    for line in [
        "module_path /usr/lib/baresip/modules",
        "module account.so",
        "module g711.so",
        "module aufile.so",
        "module_app menu.so",
        &format!("audio_source aufile,{speech}"),
        &format!("audio_player aufile,{heard}"),
        "sip_listen 127.0.0.1:0",
        "audio_srate 8000",
        "audio_channels 1",
    ] {
        writeln!(config, "{line}").unwrap();
    }
    std::fs::write(folder.join("config"), config).unwrap();
    let account = format!("<sip:+15550100@127.0.0.1>;regint=0;audio_codecs={codec}\n");
    std::fs::write(folder.join("accounts"), account).unwrap();
    std::fs::write(folder.join("contacts"), "").unwrap();
    let dial = format!("/dial sip:{NUMBER}@127.0.0.1:{port}");
    let child = Command::new("baresip")
        .args(["-f", &folder.display().to_string(), "-t", "30", "-e", &dial])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("baresip is not installed (make test installs baresip-core)");
    Phone(child)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn baresip_is_greeted_understood_and_answered() {
    for codec in ["PCMA", "PCMU"] {
        let server = Server::start().await;
        let folder = server.folder.path().join("baresip");
        std::fs::create_dir_all(&folder).unwrap();
        let phone = start(&folder, &speech(&folder, "hello"), codec, server.sip_port());
        let deadline = Instant::now() + Duration::from_secs(25);
        let call = loop {
            let calls = server.get("/calls?limit=1").await;
            if let Some(id) = calls["calls"][0]["id"].as_str() {
                let call = server.get(&format!("/calls/{id}")).await["call"].clone();
                if call["transcript"].as_array().is_some_and(|turns| turns.len() >= 3) {
                    break call;
                }
            }
            assert!(Instant::now() < deadline, "{codec}: {calls}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let said = lines(&call);
        assert_eq!(said[..2], ["assistant: Good morning, this is Acme.", "user: Hello, good morning."], "{codec}");
        assert!(said[2].starts_with("assistant: Good morning!"), "{codec}: {said:?}");
        // The telephone goes away without a word: its packets stop, or its BYE arrives.
        drop(phone);
        let id = call["id"].as_str().unwrap();
        let (status, ended) = server.send("POST", &format!("/calls/{id}/end"), Some(json!({}))).await;
        assert!(status == 200 || ended["details"]["code"] == json!("invalid_state"), "{ended}");
    }
}
