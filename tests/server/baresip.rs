//! baresip, a third-party phone, calls an agent and is understood: with every codec, unencrypted and encrypted.

use super::support::{NUMBER, PATIENCE, Server, exited, lines, poll, tls_files};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Ends the phone with the test.
struct Baresip(Child);

impl Drop for Baresip {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Baresip {
    /// Hangs up and writes what it has heard.
    async fn quit(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.0.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        exited("baresip", &mut self.0).await;
    }
}

/// A file at 8 kHz for a phone to play.
pub fn silence_and_speech(folder: &Path, phrase: &str) -> String {
    speech(folder, phrase, &BaresipSetup::plain("PCMA"))
}

/// Configuration of the phone and of the trunk.
struct BaresipSetup {
    codec: &'static str,
    module: &'static str,
    rate_hz: usize,
    channels: usize,
    media_encryption: Option<&'static str>,
    nat: Option<&'static str>,
    transport: &'static str,
    trunk: Value,
}

impl BaresipSetup {
    fn plain(codec: &'static str) -> Self {
        Self {
            codec,
            module: "g711.so",
            rate_hz: 8_000,
            channels: 1,
            media_encryption: None,
            nat: None,
            transport: "udp",
            trunk: json!({}),
        }
    }
}

/// Three seconds for the greeting, the phrase, and silence; at the phone's sampling rate.
fn speech(folder: &Path, phrase: &str, setup: &BaresipSetup) -> String {
    let path = folder.join("speech.wav");
    let source = format!("{}/fixtures/audio/{phrase}.wav", env!("CARGO_MANIFEST_DIR"));
    let mut reader = hound::WavReader::open(source).unwrap();
    let spec = hound::WavSpec { sample_rate: setup.rate_hz as u32, channels: setup.channels as u16, ..reader.spec() };
    let mut writer = hound::WavWriter::create(&path, spec).unwrap();
    let words: Vec<i16> = reader.samples::<i16>().map(Result::unwrap).collect();
    let silence = |seconds: usize| std::iter::repeat_n(0i16, seconds * 8_000);
    let all: Vec<i16> = silence(3).chain(words).chain(silence(20)).collect();
    let times = setup.rate_hz / 8_000;
    for pair in all.windows(2) {
        for step in 0..times {
            let (from, to) = (i32::from(pair[0]), i32::from(pair[1]));
            let sample = from + (to - from) * step as i32 / times as i32;
            (0..setup.channels).for_each(|_| writer.write_sample(sample as i16).unwrap());
        }
    }
    writer.finalize().unwrap();
    path.display().to_string()
}

fn start(folder: &Path, setup: &BaresipSetup, port: u16) -> Baresip {
    let speech = speech(folder, "hello", setup);
    let heard = folder.display().to_string();
    let mut config = String::new();
    let encryption = match setup.media_encryption {
        Some("dtls_srtp") => "module dtls_srtp.so",
        Some(_) => "module srtp.so",
        None => "",
    };
    for line in [
        "module_path /usr/lib/baresip/modules",
        "module aufile.so",
        &format!("module {}", setup.module),
        encryption,
        setup.nat.map_or("", |_| "module ice.so"),
        "module account.so",
        "module_app menu.so",
        &format!("audio_source aufile,{speech}"),
        "module sndfile.so",
        &format!("snd_path {heard}"),
        "sip_listen 127.0.0.1:0",
        "rtcp_mux yes",
        &format!("audio_srate {}", setup.rate_hz),
        &format!("audio_channels {}", setup.channels),
    ] {
        writeln!(config, "{line}").unwrap();
    }
    std::fs::write(folder.join("config"), config).unwrap();
    let codec = setup.codec;
    let media = setup.media_encryption.map(|name| format!(";mediaenc={name}")).unwrap_or_default();
    let nat = setup.nat.map(|name| format!(";medianat={name}")).unwrap_or_default();
    let account =
        format!("<sip:+15550100@127.0.0.1;transport={}>;regint=0;audio_codecs={codec}{media}{nat}\n", setup.transport);
    std::fs::write(folder.join("accounts"), account).unwrap();
    std::fs::write(folder.join("contacts"), "").unwrap();
    let dial = format!("/dial sip:{NUMBER}@127.0.0.1:{port};transport={}", setup.transport);
    let child = Command::new("baresip")
        .args(["-f", &folder.display().to_string(), "-t", "30", "-e", &dial])
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(folder.join("log")).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .expect("baresip is not installed (make test installs baresip-core)");
    Baresip(child)
}

/// Level of the loudest half second that the phone played, in dB below full scale.
fn heard_level_db(folder: &Path) -> f64 {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let decoded = files.into_iter().find(|path| path.to_string_lossy().ends_with("-dec.wav"));
    level_db(&decoded.map(|path| std::fs::read(path).unwrap()).unwrap_or_default())
}

/// The same of the bytes of a WAV file.
pub fn level_db(bytes: &[u8]) -> f64 {
    let samples: Vec<f64> =
        bytes.get(44..).unwrap_or(&[]).chunks_exact(2).map(|b| f64::from(i16::from_le_bytes([b[0], b[1]]))).collect();
    let loudest =
        samples.chunks(4_000).map(|c| c.iter().map(|s| s * s).sum::<f64>() / c.len() as f64).fold(1e-9, f64::max);
    20.0 * (loudest.sqrt() / 32_768.0).log10()
}

/// The agent greets, understands and answers the phone; returns the call's row afterwards.
/// Waits for the agent's answer to the phone's phrase. The phone writes a log.
pub async fn phone_is_answered(server: &Server, name: &str, folder: &Path) -> Value {
    poll(PATIENCE, &format!("{name}: an answer to the phrase"), async || {
        let calls = server.get("/calls?limit=1").await;
        if let Some(id) = calls["calls"][0]["id"].as_str() {
            let call = server.get(&format!("/calls/{id}")).await["call"].clone();
            if call["transcript"].as_array().is_some_and(|turns| turns.len() >= 3) {
                return Ok(call);
            }
        }
        let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        Err(format!("{calls}\n{log}"))
    })
    .await
}

async fn converses(setup: BaresipSetup) -> Value {
    let name = format!("{} {:?} {}", setup.codec, setup.media_encryption, setup.transport);
    let files = tls_files();
    let server = Server::start_with(|config| {
        if setup.transport == "tls" {
            config.sip.tls.listen = Some(([127, 0, 0, 1], 0).into());
            config.sip.tls.certificate = files.certificate.display().to_string();
            config.sip.tls.private_key = files.private_key.display().to_string();
        }
    })
    .await;
    server.send("PATCH", &format!("/trunks/{}", server.trunk), Some(setup.trunk.clone())).await;
    let folder = server.folder.path().join("baresip");
    std::fs::create_dir_all(&folder).unwrap();
    let local = server.app.services.sip.local();
    let port = if setup.transport == "tls" { local.tls.unwrap().port() } else { local.udp.port() };
    let mut phone = start(&folder, &setup, port);
    let call = phone_is_answered(&server, &name, &folder).await;
    let said = lines(&call);
    assert_eq!(said[..2], ["assistant: Good morning, this is Acme.", "user: Hello, good morning."], "{name}");
    assert!(said[2].starts_with("assistant: Good morning!"), "{name}: {said:?}");
    phone.quit().await;
    if let Some(nat) = setup.nat {
        let log = std::fs::read_to_string(folder.join("log")).unwrap();
        assert!(log.contains(&format!("mnat '{nat}' connected")), "{log}");
    }
    let level = heard_level_db(&folder);
    assert!(level > -35.0, "{name}: the phone heard {level:.1} dB");
    let call = server.last_call().await;
    assert_eq!(call["end_reason"], json!("customer_hung_up"), "{name}");
    call
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn baresip_is_greeted_understood_and_answered() {
    for codec in ["PCMA", "PCMU"] {
        let call = converses(BaresipSetup::plain(codec)).await;
        let mos = call["metrics"]["media"]["mos"].as_f64().unwrap();
        assert!((4.0..=4.5).contains(&mos), "{mos}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn baresip_speaks_wide_band_codecs() {
    let trunk = json!({"codecs": ["G722", "OPUS", "PCMU"]});
    converses(BaresipSetup { module: "g722.so", rate_hz: 16_000, trunk: trunk.clone(), ..BaresipSetup::plain("G722") })
        .await;
    converses(BaresipSetup { module: "opus.so", rate_hz: 48_000, channels: 2, trunk, ..BaresipSetup::plain("opus") })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn baresip_encrypts_its_media() {
    for (policy, media_encryption) in [("mandatory", "srtp-mand"), ("preferred", "srtp")] {
        let trunk = json!({"srtp": policy});
        let setup = BaresipSetup { media_encryption: Some(media_encryption), trunk, ..BaresipSetup::plain("PCMA") };
        let call = converses(setup).await;
        // baresip sends its last RTCP BYE in the clear when it hangs up: that one is refused, and nothing else.
        let refused = call["metrics"]["media"]["packets_unauthentic"].as_u64().unwrap();
        assert!(refused <= 1, "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn baresip_shakes_hands_on_its_media() {
    let trunk = json!({"srtp": "mandatory"});
    let call =
        converses(BaresipSetup { media_encryption: Some("dtls_srtp"), trunk, ..BaresipSetup::plain("PCMA") }).await;
    assert!(call["metrics"]["media"]["packets_received"].as_u64().unwrap() > 100, "{call}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn baresip_calls_over_tcp_and_tls() {
    for transport in ["tcp", "tls"] {
        converses(BaresipSetup { transport, ..BaresipSetup::plain("PCMU") }).await;
    }
}

/// Its own ICE checks our path, chooses it, and sound goes both ways.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn baresip_finds_its_path_with_ice() {
    let call = converses(BaresipSetup { nat: Some("ice"), ..BaresipSetup::plain("PCMU") }).await;
    assert_eq!(call["metrics"]["media"]["packets_unauthentic"], json!(0));
}
