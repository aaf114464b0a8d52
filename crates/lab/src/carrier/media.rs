//! The carrier's packets: an echo, or a tone by a clock that is off.

use super::behavior::{CalleeAudio, CarrierBehavior};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A period of 1 kHz in mu-law and A-law, 18 dB below full scale.
const TONE_MU_LAW: [u8; 8] = [0x3e, 0x2b, 0x2b, 0x3e, 0xbe, 0xab, 0xab, 0xbe];
const TONE_A_LAW: [u8; 8] = [0x14, 0x01, 0x01, 0x14, 0x94, 0x81, 0x81, 0x94];
const PCMU: u8 = 0;
const SSRC: u32 = 0x0043_4152;
/// When the callee presses a key: packets of the tone.
const PRESSED_AFTER: Duration = Duration::from_secs(2);

/// State of a stream, shared with its thread.
#[derive(Default)]
struct Switches {
    is_started: AtomicBool,
    is_held: AtomicBool,
    is_over: AtomicBool,
}

/// The media of a call; ends with it.
pub(super) struct CarrierMedia {
    port: u16,
    switches: Arc<Switches>,
}

impl Drop for CarrierMedia {
    fn drop(&mut self) {
        self.switches.is_over.store(true, Ordering::Relaxed);
    }
}

impl CarrierMedia {
    pub(super) fn open(behavior: &CarrierBehavior, target: SocketAddr, payload_type: u8) -> std::io::Result<Self> {
        let socket = UdpSocket::bind(("127.0.0.1", 0))?;
        let port = socket.local_addr()?.port();
        let switches = Arc::<Switches>::default();
        let stream = Stream { socket, target, payload_type, switches: switches.clone(), behavior: behavior.clone() };
        std::thread::Builder::new().name("carrier-rtp".to_owned()).spawn(move || stream.run())?;
        Ok(Self { port, switches })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn start(&self) {
        self.switches.is_started.store(true, Ordering::Relaxed);
    }

    pub(super) fn set_sending(&self, sends: bool) {
        self.switches.is_held.store(!sends, Ordering::Relaxed);
    }
}

struct Stream {
    socket: UdpSocket,
    target: SocketAddr,
    payload_type: u8,
    switches: Arc<Switches>,
    behavior: CarrierBehavior,
}

impl Stream {
    fn run(self) {
        match self.behavior.audio {
            CalleeAudio::Echo => self.echo(),
            CalleeAudio::Tone => self.tone(),
            CalleeAudio::Nothing => {}
        }
    }

    fn is_over(&self) -> bool {
        self.switches.is_over.load(Ordering::Relaxed)
    }

    fn sends(&self) -> bool {
        self.switches.is_started.load(Ordering::Relaxed) && !self.switches.is_held.load(Ordering::Relaxed)
    }

    fn echo(&self) {
        let _ = self.socket.set_read_timeout(Some(Duration::from_millis(100)));
        let mut buffer = [0; 2_048];
        while !self.is_over() {
            let Ok((len, from)) = self.socket.recv_from(&mut buffer) else { continue };
            if self.sends() {
                let _ = self.socket.send_to(buffer.get(..len).unwrap_or_default(), from);
            }
        }
    }

    fn tone(&self) {
        let tone = if self.payload_type == PCMU { TONE_MU_LAW } else { TONE_A_LAW };
        let samples = u32::from(self.behavior.ptime_ms) * 8;
        let payload: Vec<u8> = tone.into_iter().cycle().take(samples as usize).collect();
        let step = Duration::from_secs_f64(f64::from(samples) / 8_000.0 / (1.0 + self.behavior.drift_ppm / 1e6));
        let (mut sequence, mut timestamp) = (7u16, 7_000u32);
        let mut next = Instant::now();
        let mut started: Option<Instant> = None;
        let mut pressed = false;
        while !self.is_over() {
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            next += step;
            if self.sends() {
                let since = started.get_or_insert_with(Instant::now).elapsed();
                if self.behavior.pressed_payload_type > 0 && !pressed && since > PRESSED_AFTER {
                    pressed = true;
                    // The digit 5 in one packet with its end.
                    let event = [5, 0x8a, 0x03, 0x20];
                    self.send(self.behavior.pressed_payload_type, &mut sequence, timestamp, &event);
                }
                self.send(self.payload_type, &mut sequence, timestamp, &payload);
            }
            timestamp = timestamp.wrapping_add(samples);
        }
    }

    fn send(&self, payload_type: u8, sequence: &mut u16, timestamp: u32, payload: &[u8]) {
        let mut packet = vec![0x80, payload_type];
        packet.extend(sequence.to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend(SSRC.to_be_bytes());
        packet.extend(payload);
        let _ = self.socket.send_to(&packet, self.target);
        *sequence = sequence.wrapping_add(1);
    }
}
