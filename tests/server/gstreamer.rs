//! GStreamer as the receiver of our audio: its jitter buffer and depayloader take the stream of a call that SIP has described
//! in plain text, and every sample of it comes out.

use super::sip_peer::{SipPeer, sdp_at};
use super::support::{Server, exited, until};
use serde_json::json;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Ends the pipeline with the test.
struct Pipeline(Child);

impl Drop for Pipeline {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Pipeline {
    /// Writes the A-law audio that comes to a port as samples to a file.
    async fn start(port: u16, file: &Path) -> Self {
        let caps = "caps=application/x-rtp,media=audio,clock-rate=8000,encoding-name=PCMA,payload=8";
        let child = Command::new("gst-launch-1.0")
            .args(["--quiet", "--eos-on-shutdown", "udpsrc", "address=127.0.0.1", &format!("port={port}"), caps])
            .args(["!", "rtpjitterbuffer", "latency=200", "!", "rtppcmadepay", "!", "alawdec"])
            .args(["!", "filesink", &format!("location={}", file.display())])
            .stdout(Stdio::null())
            .spawn()
            .expect("gst-launch-1.0 is not installed (make test installs gstreamer1.0-tools)");
        let listening = format!(" 0100007F:{port:04X} ");
        until("GStreamer listens", async || {
            std::fs::read_to_string("/proc/net/udp").ok()?.contains(&listening).then_some(())
        })
        .await;
        Self(child)
    }

    /// Lets it write what it holds.
    async fn finish(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.0.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
        exited("GStreamer", &mut self.0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gstreamer_gets_every_sample_of_an_outbound_call() {
    let server = Server::start().await;
    let mut peer = SipPeer::open().await;
    let trunk = json!({"host": "127.0.0.1", "port": peer.port(), "codecs": ["PCMA"]});
    let (status, answer) = server.send("PATCH", &format!("/trunks/{}", server.trunk), Some(trunk)).await;
    assert_eq!(status, 200, "{answer}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("heard.raw");
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut pipeline = Pipeline::start(port, &file).await;
    let task = json!({"agent_id": server.agent, "to_number": "+15550123"});
    let task = server.post("/tasks", task).await["task"]["id"].as_str().unwrap().to_owned();
    server.post(&format!("/tasks/{task}/execute"), json!({})).await;
    let invite = peer.request("INVITE").await;
    peer.answer(&invite, "a", &sdp_at(port)).await;
    // Two seconds of samples.
    until("audio", async || (std::fs::metadata(&file).ok()?.len() > 2 * 2 * 8_000).then_some(())).await;
    peer.hang_up(&invite, "a").await;
    let call = server.last_call().await;
    pipeline.finish().await;
    let octets = std::fs::read(&file).unwrap();
    let samples: Vec<i16> = octets.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    let sent = call["metrics"]["media"]["packets_sent"].as_u64().unwrap_or_else(|| panic!("{call}")) as usize;
    assert_eq!(samples.len() % 160, 0, "whole packets");
    assert!(samples.len() / 160 == sent, "{} packets of {sent} came out", samples.len() / 160);
    let peak = samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
    assert!(peak > 2_000, "the greeting is heard: {peak}");
}
