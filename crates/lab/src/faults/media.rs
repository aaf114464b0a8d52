//! Calls whose RTP is damaged: sources, ports, clocks, lengths and digits.

use super::caller::{FaultCaller, RtpHead};
use super::message::sdp;
use super::target::{FaultTarget, number};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::{MissedTickBehavior, interval, sleep};

type Outcome = Result<(), String>;

const AUDIO: RtpHead = RtpHead { payload_type: 0, timestamp: 0, ssrc: 1 };
const EVENT: u8 = 101;

/// Packets of one source every 20 ms.
struct Sound {
    head: RtpHead,
    /// Ticks of the clock between two packets.
    step: u32,
    payload: Vec<u8>,
}

impl Sound {
    fn pcmu() -> Self {
        Self { head: AUDIO, step: 160, payload: vec![0x30; 160] }
    }

    async fn play(&mut self, caller: &mut FaultCaller, from: &UdpSocket, packets: usize) {
        let mut pace = interval(Duration::from_millis(20));
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for _ in 0..packets {
            pace.tick().await;
            caller.rtp_packet(from, self.head, &self.payload).await;
            self.head.timestamp = self.head.timestamp.wrapping_add(self.step);
        }
    }
}

async fn in_a_call(target: &Arc<FaultTarget>) -> Result<(FaultCaller, UdpSocket), String> {
    let mut caller = FaultCaller::new(target, number::PLAIN).await?;
    caller.call().await?;
    let from = UdpSocket::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
    // The caller's own port stays with it; packets leave from there.
    let from = std::mem::replace(&mut caller.rtp, from);
    Ok((caller, from))
}

fn event(key: u8, is_end: bool, duration: u16) -> [u8; 4] {
    let [high, low] = duration.to_be_bytes();
    [key, if is_end { 0x8a } else { 10 }, high, low]
}

/// Events with an SSRC of their own between the packets of the audio.
pub(super) async fn digits_with_their_own_source(target: Arc<FaultTarget>) -> Outcome {
    let (mut caller, from) = in_a_call(&target).await?;
    let mut sound = Sound::pcmu();
    sound.play(&mut caller, &from, 10).await;
    for at in 1..=9u16 {
        sound.play(&mut caller, &from, 1).await;
        let head = RtpHead { payload_type: EVENT, timestamp: 1_600, ssrc: 2 };
        caller.rtp_packet(&from, head, &event(5, at > 6, at.min(7) * 160)).await;
    }
    caller.bye().await
}

/// The same stream goes on from another port after a pause, and so it does after a hold.
pub(super) async fn moved_port(target: Arc<FaultTarget>) -> Outcome {
    let (mut caller, from) = in_a_call(&target).await?;
    let mut sound = Sound::pcmu();
    sound.play(&mut caller, &from, 30).await;
    sleep(Duration::from_millis(1_200)).await;
    let other = UdpSocket::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
    sound.play(&mut caller, &other, 30).await;
    let offer = caller.offer().replace("a=ptime:20", "a=sendonly");
    caller.invite(&[], &offer).await?;
    caller.ack("").await?;
    caller.invite(&[], &offer.replace("sendonly", "sendrecv")).await?;
    caller.ack("").await?;
    sound.play(&mut caller, &from, 10).await;
    caller.bye().await
}

/// Every few packets come from another source.
pub(super) async fn new_sources(target: Arc<FaultTarget>) -> Outcome {
    let (mut caller, from) = in_a_call(&target).await?;
    let mut sound = Sound::pcmu();
    for ssrc in 1..12 {
        sound.head.ssrc = ssrc * 0x1111;
        sound.head.timestamp = sound.head.timestamp.wrapping_mul(7);
        sound.play(&mut caller, &from, 5).await;
    }
    caller.bye().await
}

/// A key held for longer than its duration can say, and end packets with timestamps of their own.
pub(super) async fn long_keys(target: Arc<FaultTarget>) -> Outcome {
    let (mut caller, from) = in_a_call(&target).await?;
    let mut head = RtpHead { payload_type: EVENT, ..AUDIO };
    for duration in [0x4000, 0x8000, 0xc000, u16::MAX] {
        caller.rtp_packet(&from, head, &event(5, false, duration)).await;
    }
    head.timestamp = 0xffff;
    for is_end in [false, true, true, true] {
        caller.rtp_packet(&from, head, &event(5, is_end, 1_000)).await;
        head.timestamp += if is_end { 160 } else { 0 };
    }
    Sound::pcmu().play(&mut caller, &from, 5).await;
    caller.bye().await
}

/// Packets of 128 and of 200 ms.
pub(super) async fn long_packets(target: Arc<FaultTarget>) -> Outcome {
    let (mut caller, from) = in_a_call(&target).await?;
    for len in [1_024, 1_600] {
        let mut sound = Sound { head: AUDIO, step: len, payload: vec![0x30; len as usize] };
        sound.play(&mut caller, &from, 10).await;
    }
    caller.bye().await
}

/// Opus with the clock of G.711.
pub(super) async fn opus_with_a_wrong_clock(target: Arc<FaultTarget>) -> Outcome {
    let mut caller = FaultCaller::new(&target, number::OPUS).await?;
    let attributes = ["rtpmap:111 opus/48000/2", "rtpmap:101 telephone-event/48000"];
    let offer = sdp("127.0.0.1", caller.rtp_port(), "RTP/AVP 111 101", &attributes);
    caller.invite(&[], &offer).await?;
    caller.ack("").await?;
    let from = UdpSocket::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
    let from = std::mem::replace(&mut caller.rtp, from);
    // DTX silence of 20 ms.
    let mut sound = Sound { head: RtpHead { payload_type: 111, ..AUDIO }, step: 160, payload: vec![0xf8, 0xff, 0xfe] };
    sound.play(&mut caller, &from, 50).await;
    caller.bye().await
}

/// RTP that is none: short, of other versions, with extensions and padding that lie.
pub(super) async fn malformed_packets(target: Arc<FaultTarget>) -> Outcome {
    let (caller, from) = in_a_call(&target).await?;
    for len in 0..40usize {
        let packet: Vec<u8> = (0..len).map(|at| if at == 0 { 0xbf } else { rand::random() }).collect();
        let _ = from.send_to(&packet, caller.media).await;
    }
    let mut caller = caller;
    caller.bye().await
}
