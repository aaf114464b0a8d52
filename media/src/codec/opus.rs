//! Opus (RFC 6716) at 8 kHz: libopus decodes to 8 kHz and encodes from 8 kHz, whatever bandwidth the
//! remote side uses. On the wire its clock is always 48 kHz (RFC 7587 section 4.1).
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use crate::frame::{FRAME_SAMPLES, SAMPLE_RATE_HZ};
use opus::{Application, Bitrate, Channels, Decoder, Encoder, Signal, packet};

/// Ticks of the RTP clock for one sample of ours.
pub const CLOCK_SCALE: u32 = 48_000 / SAMPLE_RATE_HZ;
/// Samples of the shortest Opus frame, 2.5 ms. Concealment works in multiples of it.
const QUANTUM: usize = SAMPLE_RATE_HZ as usize / 400;
/// Longest packet, 120 ms (RFC 7587 section 4.2).
pub const PACKET_SAMPLES_MAX: usize = SAMPLE_RATE_HZ as usize * 120 / 1_000;
/// Enough for transparent narrow-band speech, including in-band redundancy for a lost packet.
const BITRATE: i32 = 20_000;
/// 3 of 10. Takes half the CPU time of 9; the difference is not audible in narrowband speech.
const COMPLEXITY: i32 = 3;
/// Minimum packet loss the redundancy is tuned for, because browsers on wireless networks lose packets.
const LOSS_PERCENT_MIN: i32 = 5;
/// Silent frames that are still sent so that the remote decoder settles. We do not use the encoder's DTX, because it
/// mistakes a steady tone or hold music for noise. We know when the agent is silent.
const SILENCE_FRAMES_SENT: u32 = 4;
/// After that, one packet per this many frames keeps the remote comfort noise and the network path alive (RFC 6716
/// section 2.1.9: every 400 ms).
const KEEP_ALIVE_FRAMES: u32 = 20;
/// An empty SILK packet, narrow band, 20 ms. It announces DTX (RFC 6716 section 3.1).
const EMPTY_PACKET: u8 = 1 << 3;
/// A packet of at most this many bytes announces DTX.
const DTX_BYTES_MAX: usize = 2;

/// Both directions of one stream.
pub struct Opus {
    decoder: Decoder,
    encoder: Encoder,
    /// Samples lost in front of the next packet, which may carry a copy of the last of them.
    missing: usize,
    silent_frames: u32,
    loss_percent: i32,
    /// The remote side has announced DTX.
    peer_silent: bool,
}

impl std::fmt::Debug for Opus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opus").field("missing", &self.missing).finish_non_exhaustive()
    }
}

/// Number of samples in a packet; `None` if it is not valid Opus.
pub fn packet_samples(payload: &[u8]) -> Option<usize> {
    packet::get_nb_samples(payload, SAMPLE_RATE_HZ).ok().filter(|samples| (1..=PACKET_SAMPLES_MAX).contains(samples))
}

/// True for a packet that only announces DTX.
pub fn is_dtx(payload: &[u8]) -> bool {
    payload.len() <= DTX_BYTES_MAX
}

impl Opus {
    /// `None` if libopus cannot allocate its state.
    pub fn new() -> Option<Self> {
        let mut encoder = Encoder::new(SAMPLE_RATE_HZ, Channels::Mono, Application::Voip).ok()?;
        encoder.set_bitrate(Bitrate::Bits(BITRATE)).ok()?;
        encoder.set_complexity(COMPLEXITY).ok()?;
        encoder.set_signal(Signal::Voice).ok()?;
        encoder.set_inband_fec(true).ok()?;
        encoder.set_packet_loss_perc(LOSS_PERCENT_MIN).ok()?;
        let decoder = Decoder::new(SAMPLE_RATE_HZ, Channels::Mono).ok()?;
        // Starts in silence, so nothing is encoded before the first word.
        let silent_frames = SILENCE_FRAMES_SENT;
        Some(Self { decoder, encoder, missing: 0, silent_frames, loss_percent: LOSS_PERCENT_MIN, peer_silent: false })
    }

    /// Sets the packet loss reported by the remote side; it controls the in-band redundancy.
    pub fn set_expected_loss(&mut self, fraction: f32) {
        let percent = ((fraction * 100.0) as i32).clamp(LOSS_PERCENT_MIN, 30);
        if percent != self.loss_percent && self.encoder.set_packet_loss_perc(percent).is_ok() {
            self.loss_percent = percent;
        }
    }

    /// Notes samples that never arrived. They are synthesized with the next packet or by [`Opus::conceal`].
    pub fn note_lost(&mut self, samples: usize) {
        self.missing = self.missing.saturating_add(samples);
    }

    /// Returns true if the last decoded packet announced DTX: the peer sends nothing until it speaks again.
    pub fn is_peer_silent(&self) -> bool {
        self.peer_silent
    }

    /// Synthesizes all missing samples.
    pub fn conceal(&mut self, out: &mut dyn FnMut(&[i16])) {
        let missing = std::mem::take(&mut self.missing);
        self.synthesize(missing, out);
    }

    fn synthesize(&mut self, mut missing: usize, out: &mut dyn FnMut(&[i16])) {
        let mut samples = [0; FRAME_SAMPLES];
        while missing > 0 {
            let take = missing.min(FRAME_SAMPLES);
            let whole = take - take % QUANTUM;
            samples.fill(0);
            let (made, _) = samples.split_at_mut(whole);
            if whole > 0 && self.decoder.decode(&[], made, false).is_err() {
                samples.fill(0);
            }
            out(samples.get(..take).unwrap_or(&samples));
            missing = missing.saturating_sub(take);
        }
    }

    /// Decodes a packet, and the copy of the lost packet before it when it carries one.
    pub fn decode(&mut self, payload: &[u8], out: &mut dyn FnMut(&[i16])) {
        let mut samples = [0; PACKET_SAMPLES_MAX];
        let length = self::packet_samples(payload).unwrap_or(0);
        let missing = std::mem::take(&mut self.missing);
        if missing > 0 {
            let copied = missing.min(length) / QUANTUM * QUANTUM;
            self.synthesize(missing.saturating_sub(copied), out);
            if let Some(copy) = samples.get_mut(..copied).filter(|copy| !copy.is_empty()) {
                let made = self.decoder.decode(payload, copy, true).unwrap_or(0);
                copy.iter_mut().skip(made).for_each(|sample| *sample = 0);
                out(copy);
            }
        }
        self.peer_silent = is_dtx(payload);
        match self.decoder.decode(payload, &mut samples, false) {
            Ok(decoded) => out(samples.get(..decoded).unwrap_or(&samples)),
            // The packet has a valid length but does not decode. Conceal its duration.
            Err(_) => self.synthesize(length, out),
        }
    }

    /// Encodes a frame. `None` if nothing has to be sent. After a period of silence nothing is encoded either.
    pub fn encode<'a>(&mut self, frame: &[i16; FRAME_SAMPLES], out: &'a mut [u8]) -> Option<&'a [u8]> {
        let silent = frame.iter().all(|sample| *sample == 0);
        self.silent_frames = if silent { self.silent_frames.saturating_add(1) } else { 0 };
        if self.silent_frames > SILENCE_FRAMES_SENT {
            // Sent once at the start of a pause, to announce it, and then at intervals.
            let since = self.silent_frames - SILENCE_FRAMES_SENT - 1;
            let (nothing, _) = out.split_first_chunk_mut::<1>()?;
            *nothing = [EMPTY_PACKET];
            return since.is_multiple_of(KEEP_ALIVE_FRAMES).then_some(nothing);
        }
        let length = self.encoder.encode(frame, out).ok()?;
        out.get(..length).filter(|packet| !packet.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::level_dbfs;

    fn tone(frame: usize) -> [i16; FRAME_SAMPLES] {
        std::array::from_fn(|i| {
            let t = (frame * FRAME_SAMPLES + i) as f32 / SAMPLE_RATE_HZ as f32;
            ((t * 440.0 * std::f32::consts::TAU).sin() * 8_000.0) as i16
        })
    }

    /// A vowel: pulses at 120 Hz through a formant.
    fn vowel(frame: usize) -> [i16; FRAME_SAMPLES] {
        std::array::from_fn(|i| {
            let t = (frame * FRAME_SAMPLES + i) as f32 / SAMPLE_RATE_HZ as f32;
            let harmonics = 1..20;
            let sum: f32 = harmonics.map(|n| (t * 120.0 * n as f32 * std::f32::consts::TAU).sin() / n as f32).sum();
            (sum * 6_000.0) as i16
        })
    }

    #[test]
    fn tone_keeps_its_level() {
        let (mut near, mut far) = (Opus::new().unwrap(), Opus::new().unwrap());
        let mut heard = vec![];
        for frame in 0..50 {
            let mut buffer = [0; 200];
            let packet = near.encode(&tone(frame), &mut buffer).expect("speech is sent");
            assert_eq!(packet_samples(packet), Some(FRAME_SAMPLES));
            far.decode(packet, &mut |samples| heard.extend_from_slice(samples));
        }
        assert_eq!(heard.len(), 50 * FRAME_SAMPLES);
        let (sent, got) = (level_dbfs(&tone(7)), level_dbfs(&heard[20 * FRAME_SAMPLES..]));
        assert!((sent - got).abs() < 1.5, "{sent} dBFS became {got}");
    }

    #[test]
    fn silence_uses_dtx_and_speech_resumes_at_once() {
        let mut opus = Opus::new().unwrap();
        let mut buffer = [0; 200];
        let sent = (0..500).filter(|_| opus.encode(&[0; FRAME_SAMPLES], &mut buffer).is_some()).count();
        assert!(sent <= 26, "ten seconds of silence took {sent} packets");
        assert!(opus.encode(&tone(0), &mut buffer).is_some());
        let after = (0..100).filter(|_| opus.encode(&[0; FRAME_SAMPLES], &mut buffer).is_some()).count();
        assert!(after <= 9, "{after} packets after the last word");
    }

    #[test]
    fn lost_packet_is_recovered_from_in_band_fec() {
        let (mut near, mut far) = (Opus::new().unwrap(), Opus::new().unwrap());
        near.set_expected_loss(0.2);
        let mut heard = vec![];
        for frame in 0..40 {
            let mut buffer = [0; 200];
            let packet = near.encode(&vowel(frame), &mut buffer).unwrap();
            if frame % 4 == 3 {
                far.note_lost(FRAME_SAMPLES);
            } else {
                far.decode(packet, &mut |samples| heard.extend_from_slice(samples));
            }
        }
        far.conceal(&mut |samples| heard.extend_from_slice(samples));
        assert_eq!(heard.len(), 40 * FRAME_SAMPLES, "time is kept");
        let levels: Vec<f32> = heard.chunks(FRAME_SAMPLES).map(level_dbfs).collect();
        assert!(levels[8..36].iter().all(|level| *level > -22.0), "{levels:?}");
    }

    #[test]
    fn invalid_packets_decode_to_bounded_length() {
        let mut opus = Opus::new().unwrap();
        assert_eq!(packet_samples(&[]), None);
        assert_eq!(packet_samples(&[0xff, 0xff, 0xff]), None, "63 frames are more than 120 ms");
        let mut heard = 0;
        opus.decode(&[0x0b, 0x82, 1, 2, 3], &mut |samples| heard += samples.len());
        assert!(heard <= PACKET_SAMPLES_MAX);
    }
}
