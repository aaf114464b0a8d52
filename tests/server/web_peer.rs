//! A WebRTC peer that we did not write: the `webrtc` crate calls, speaks PCMU, and hears.

use super::support::{Server, lines};
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use trunkline_media::codec::Companding;
use trunkline_media::frame::{FRAME_SAMPLES, level_dbfs};
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder,
    RTCIceGatheringState, RTCPeerConnectionState, Registry, register_default_interceptors,
};
use webrtc::runtime::default_runtime;

enum PeerEvent {
    Gathered,
    Connected,
    Frame(Vec<u8>),
}

#[derive(Clone)]
struct PeerEventHandler(mpsc::Sender<PeerEvent>);

#[async_trait::async_trait]
impl PeerConnectionEventHandler for PeerEventHandler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            let _ = self.0.send(PeerEvent::Gathered).await;
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        if state == RTCPeerConnectionState::Connected {
            let _ = self.0.send(PeerEvent::Connected).await;
        }
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let heard = self.0.clone();
        tokio::spawn(async move {
            while let Some(event) = track.poll().await {
                if let TrackRemoteEvent::OnRtpPacket(packet) = event {
                    let _ = heard.send(PeerEvent::Frame(packet.payload.to_vec())).await;
                }
            }
        });
    }
}

const SSRC: u32 = 77;

/// A peer on loopback that speaks nothing but PCMU, and the track of its microphone.
async fn peer(sender: mpsc::Sender<PeerEvent>) -> (impl PeerConnection, Arc<TrackLocalStaticRTP>) {
    let pcmu = RTCRtpCodec {
        mime_type: "audio/PCMU".to_owned(),
        clock_rate: 8_000,
        channels: 0,
        sdp_fmtp_line: String::new(),
        rtcp_feedback: vec![],
    };
    let mut media = MediaEngine::default();
    let parameters = RTCRtpCodecParameters { rtp_codec: pcmu.clone(), payload_type: 0 };
    media.register_codec(parameters, RtpCodecKind::Audio).unwrap();
    let registry = register_default_interceptors(Registry::new(), &mut media).unwrap();
    let builder = PeerConnectionBuilder::new()
        .with_configuration(RTCConfigurationBuilder::new().build())
        .with_media_engine(media)
        .with_interceptor_registry(registry)
        .with_handler(Arc::new(PeerEventHandler(sender)))
        .with_runtime(default_runtime().unwrap());
    let builder = builder.with_udp_addrs(vec!["127.0.0.1:0".to_owned()]);
    let peer = builder.build().await.unwrap();
    let coding = RTCRtpCodingParameters { ssrc: Some(SSRC), ..Default::default() };
    let encoding = RTCRtpEncodingParameters { rtp_coding_parameters: coding, codec: pcmu, ..Default::default() };
    let names = ("stream".to_owned(), "track".to_owned(), "microphone".to_owned());
    let track = MediaStreamTrack::new(names.0, names.1, names.2, RtpCodecKind::Audio, vec![encoding]);
    let track = Arc::new(TrackLocalStaticRTP::new(track));
    peer.add_track(track.clone() as Arc<dyn TrackLocal>).await.unwrap();
    (peer, track)
}

/// Asks for a web call and exchanges descriptions.
async fn negotiate(server: &Server, peer: &impl PeerConnection, heard: &mut mpsc::Receiver<PeerEvent>) {
    let offer = peer.create_offer(None).await.unwrap();
    peer.set_local_description(offer).await.unwrap();
    while !matches!(heard.recv().await, Some(PeerEvent::Gathered)) {}
    let offer = peer.local_description().await.unwrap().sdp;
    let placed = server.post("/calls/web", json!({"agent_id": server.agent})).await;
    let response = server
        .http
        .post(placed["whip_url"].as_str().unwrap())
        .bearer_auth(placed["token"].as_str().unwrap())
        .header("content-type", "application/sdp")
        .body(offer)
        .send()
        .await
        .unwrap();
    let (status, text) = (response.status(), response.text().await.unwrap());
    assert_eq!(status, 201, "{text}");
    let answer = RTCSessionDescription::answer(text).unwrap();
    peer.set_remote_description(answer).await.unwrap();
}

/// 20 ms of the phrase, or of silence.
fn packet(index: u32, speech: Option<&[i16]>) -> rtc::rtp::Packet {
    let mut codes = vec![Companding::MuLaw.silence(); FRAME_SAMPLES];
    if let Some(speech) = speech {
        Companding::MuLaw.encode_into(speech, &mut codes);
    }
    let mut packet = rtc::rtp::Packet::default();
    packet.header.version = 2;
    packet.header.ssrc = SSRC;
    packet.header.sequence_number = index as u16;
    packet.header.timestamp = index * FRAME_SAMPLES as u32;
    packet.payload = codes.into();
    packet
}

/// Calls, asks for its order once the agent is silent, and hangs up after the answer. Returns the received audio.
async fn call(server: &Server) -> Vec<i16> {
    let (sender, mut heard) = mpsc::channel(4_096);
    let (peer, track) = peer(sender).await;
    negotiate(server, &peer, &mut heard).await;
    let phrase =
        trunkline_lab::emulator::fixture_phrases().into_iter().find(|one| one.name == "opening_hours").unwrap();
    let (mut samples, mut connected, mut frames) = (Vec::new(), false, 0_u32);
    let mut clock = tokio::time::interval(Duration::from_millis(20));
    let mut spoken = phrase.samples.chunks_exact(FRAME_SAMPLES);
    let talk = async {
        // The greeting takes under four seconds; the answer comes within another four.
        while frames < 600 {
            tokio::select! {
                one = heard.recv() => match one.unwrap() {
                    PeerEvent::Connected => connected = true,
                    PeerEvent::Frame(codes) => samples.extend(codes.iter().map(|code| Companding::MuLaw.decode(*code))),
                    PeerEvent::Gathered => {}
                },
                _ = clock.tick(), if connected => {
                    let speech = if frames < 200 { None } else { spoken.next() };
                    track.write_rtp(packet(frames, speech)).await.unwrap();
                    frames += 1;
                }
            }
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(40), talk).await;
    assert!(in_time.is_ok(), "connected: {connected}, {frames} frames");
    peer.close().await.unwrap();
    samples
}

#[tokio::test(flavor = "multi_thread")]
async fn the_webrtc_crate_talks_with_the_agent() {
    let server = Server::start().await;
    let samples = call(&server).await;
    let loud = samples.chunks_exact(FRAME_SAMPLES).filter(|frame| level_dbfs(frame) > -40.0).count();
    assert!(loud > 100, "{loud} loud frames of {}", samples.len() / FRAME_SAMPLES);
    let call = server.last_call().await;
    assert_eq!(call["end_reason"], "customer_hung_up", "{call}");
    let said = lines(&call);
    assert_eq!(said[1], "user: What are your opening hours?", "{said:?}");
    assert!(said.len() > 2, "{said:?}");
}
