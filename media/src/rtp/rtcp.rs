//! Sender and receiver reports (RFC 3550 section 6): parsing and writing.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use std::time::{Duration, Instant};

/// Interval between reports (section 6.2); the first comes after half of it.
pub const INTERVAL: Duration = Duration::from_secs(5);

/// What is in a compound packet, as far as a leg uses it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ReceivedRtcp {
    /// Middle 32 bits of the sender's NTP time, for the LSR field of our next report.
    pub sender_report: Option<u32>,
    /// The peer's last report block about our stream; `None` if there is none.
    pub report: Option<ReportBlock>,
    /// VoIP metrics of our stream (RFC 3611 section 4.7).
    pub voip: Option<VoipMetrics>,
    /// The peer ends its stream (BYE, RFC 3550 section 6.6).
    pub bye: bool,
}

/// What a VoIP metrics block says, as far as it is used here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VoipMetrics {
    /// Lost packets and packets discarded as late, in 1/256.
    pub loss_rate: u8,
    /// Packets that came too late for the jitter buffer, in 1/256 of those expected.
    pub discard_rate: u8,
    /// Last measured round trip in ms; 0 if unknown.
    pub round_trip_ms: u16,
    /// Delay of jitter buffer and playout.
    pub end_system_ms: u16,
    /// Rating factor and mean opinion score of listening; none where the sender did not know.
    pub r_factor: Option<u8>,
    /// Listening quality (MOS-LQ), 1.0 to 5.0 in tenths; `None` if unknown.
    pub mos: Option<f32>,
}

/// Value of a field that is not known (section 4.7.5).
const UNKNOWN: u8 = 127;

/// What the peer says about reception of our stream (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReportBlock {
    /// SSRC of the stream it is about: ours.
    pub ssrc: u32,
    /// Loss since the previous report, in 1/256.
    pub fraction_lost: u8,
    /// Interarrival jitter in ticks of the RTP clock.
    pub jitter: u32,
    /// Middle 32 bits of the NTP time of our last sender report; 0 if none has arrived.
    pub last_sr: u32,
    /// Time from that sender report to this block in 1/65,536 s.
    pub delay_since_last_sr: u32,
}

/// Sender SSRC of a compound packet: that of its first packet.
pub fn sender_ssrc(bytes: &[u8]) -> Option<u32> {
    word(bytes, 1)
}

/// Reads a compound packet; stops at the first thing that is not RTCP.
pub fn parse(bytes: &[u8], our_ssrc: u32) -> ReceivedRtcp {
    let mut received = ReceivedRtcp::default();
    let mut rest = bytes;
    while let [first, kind, high, low, ..] = *rest {
        let Some((packet, after)) = rest.split_at_checked(words(high, low)).filter(|_| first >> 6 == 2) else { break };
        rest = after;
        let blocks_at = match kind {
            200 => {
                received.sender_report = word(packet, 2).zip(word(packet, 3)).map(|(hi, lo)| hi << 16 | lo >> 16);
                Some(28)
            }
            201 => Some(8),
            203 => {
                received.bye = true;
                None
            }
            207 => {
                received.voip = voip_metrics(packet, our_ssrc).or(received.voip);
                None
            }
            _ => None,
        };
        if let Some(start) = blocks_at {
            let (blocks, _) = packet.get(start..).unwrap_or_default().as_chunks::<24>();
            let mut told = blocks.iter().take(usize::from(first & 0x1f)).map(report_block);
            received.report = told.rfind(|block| block.ssrc == our_ssrc).or(received.report);
        }
    }
    received
}

/// The VoIP metrics block about our stream in an extended report.
fn voip_metrics(packet: &[u8], our_ssrc: u32) -> Option<VoipMetrics> {
    let mut rest = packet.get(8..)?;
    while let [kind, _, high, low, ..] = *rest {
        let (block, after) = rest.split_at_checked(words(high, low))?;
        if let Some(block) = block.first_chunk::<36>()
            && kind == 7
            && word(block, 1) == Some(our_ssrc)
        {
            let known = |value: u8| (value != UNKNOWN).then_some(value);
            return Some(VoipMetrics {
                loss_rate: block[8],
                discard_rate: block[9],
                round_trip_ms: u16::from_be_bytes([block[16], block[17]]),
                end_system_ms: u16::from_be_bytes([block[18], block[19]]),
                r_factor: known(block[24]),
                mos: known(block[26]).map(|tenths| f32::from(tenths) / 10.0),
            });
        }
        rest = after;
    }
    None
}

/// Octets of a packet or block, by the length in its header: words of four octets, less one.
fn words(high: u8, low: u8) -> usize {
    usize::from(u16::from_be_bytes([high, low])).saturating_add(1).saturating_mul(4)
}

fn word(bytes: &[u8], index: usize) -> Option<u32> {
    bytes.get(index.checked_mul(4)?..)?.first_chunk().map(|four| u32::from_be_bytes(*four))
}

fn report_block(block: &[u8; 24]) -> ReportBlock {
    let at = |index| word(block, index).unwrap_or(0);
    ReportBlock { ssrc: at(0), fraction_lost: block[4], jitter: at(3), last_sr: at(4), delay_since_last_sr: at(5) }
}

/// What goes into our report.
#[derive(Clone, Copy, Debug)]
pub struct OutgoingRtcp<'a> {
    /// SSRC of the stream we send.
    pub ssrc: u32,
    /// NTP time of the report: seconds since 1900 in the upper half, fraction in the lower.
    pub ntp: u64,
    /// RTP timestamp of the same instant as the NTP time.
    pub rtp_timestamp: u32,
    /// Packets sent under this SSRC.
    pub packets: u32,
    /// Payload bytes sent under this SSRC.
    pub octets: u32,
    /// Our canonical name (RFC 3550 section 6.5.1); cut after 64 bytes.
    pub cname: &'a str,
    /// What we received of the peer; `None` before its first packet.
    pub reception: Option<ReceptionReport>,
    /// Goes with the reception, of the same stream.
    pub voip: Option<VoipMetrics>,
    /// Append BYE: the last report of a leg.
    pub bye: bool,
}

/// Reception statistics of the peer's stream.
#[derive(Clone, Copy, Debug)]
pub struct ReceptionReport {
    /// SSRC of the peer's stream.
    pub ssrc: u32,
    /// Loss since our previous report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost since the start; the field has 24 bits, 0x7fffff is the most written.
    pub cumulative_lost: u32,
    /// Sequence number of the packet received last.
    pub highest_sequence: u32,
    /// Interarrival jitter in timestamp units (RFC 3550 section 6.4.1).
    pub jitter: u32,
    /// Middle 32 bits of the NTP time of the peer's last sender report; 0 before the first.
    pub last_sr: u32,
    /// Time since that sender report arrived in 1/65,536 s; 0 before the first.
    pub delay_since_last_sr: u32,
}

/// Writes sender report, CNAME and, at the end, BYE. `None` when the buffer is too small.
pub fn write(out: &OutgoingRtcp<'_>, buffer: &mut [u8]) -> Option<usize> {
    let mut at = 0;
    let mut put = |bytes: &[u8]| -> Option<()> {
        buffer.get_mut(at..)?.get_mut(..bytes.len())?.copy_from_slice(bytes);
        at = at.checked_add(bytes.len())?;
        Some(())
    };
    let blocks = u8::from(out.reception.is_some());
    let words: u16 = 6 + 6 * u16::from(blocks);
    put(&[0x80 | blocks, 200])?;
    put(&words.to_be_bytes())?;
    put(&out.ssrc.to_be_bytes())?;
    put(&out.ntp.to_be_bytes())?;
    put(&out.rtp_timestamp.to_be_bytes())?;
    put(&out.packets.to_be_bytes())?;
    put(&out.octets.to_be_bytes())?;
    if let Some(r) = &out.reception {
        put(&r.ssrc.to_be_bytes())?;
        let lost = u32::from(r.fraction_lost) << 24 | r.cumulative_lost.min(0x7f_ffff);
        put(&lost.to_be_bytes())?;
        for value in [r.highest_sequence, r.jitter, r.last_sr, r.delay_since_last_sr] {
            put(&value.to_be_bytes())?;
        }
    }
    let name = out.cname.as_bytes();
    let name = name.get(..64).unwrap_or(name);
    let chunk = 4 + 2 + name.len() + 1; // SSRC, item header, text, end
    let padded = chunk.div_ceil(4) * 4;
    put(&[0x81, 202])?;
    put(&(u16::try_from(padded / 4).ok()?).to_be_bytes())?;
    put(&out.ssrc.to_be_bytes())?;
    put(&[1, u8::try_from(name.len()).ok()?])?;
    put(name)?;
    put([0; 4].get(..padded - chunk + 1)?)?;
    if let (Some(voip), Some(reception)) = (&out.voip, &out.reception) {
        put(&[0x80, 207, 0, 10])?;
        put(&out.ssrc.to_be_bytes())?;
        put(&[7, 0, 0, 8])?;
        put(&reception.ssrc.to_be_bytes())?;
        let (tenths, [rtt_hi, rtt_lo], [end_hi, end_lo]) = (
            voip.mos.map_or(UNKNOWN, |mos| (mos * 10.0).round().clamp(10.0, 50.0) as u8),
            voip.round_trip_ms.to_be_bytes(),
            voip.end_system_ms.to_be_bytes(),
        );
        // Bursts and gaps are not told apart, levels not measured: the values that mean so.
        put(&[voip.loss_rate, voip.discard_rate, 0, 0, 0, 0, 0, 0, rtt_hi, rtt_lo, end_hi, end_lo])?;
        put(&[UNKNOWN, UNKNOWN, UNKNOWN, 16, voip.r_factor.unwrap_or(UNKNOWN), UNKNOWN, tenths, tenths])?;
        // Enhanced concealment, adaptive jitter buffer; its delays.
        put(&[0b1011_0000, 0, end_hi, end_lo, end_hi, end_lo, 0, 200])?;
    }
    if out.bye {
        put(&[0x81, 203, 0, 1])?;
        put(&out.ssrc.to_be_bytes())?;
    }
    Some(at)
}

/// Relates the monotonic clock to NTP time; taken once per leg.
#[derive(Clone, Copy, Debug)]
pub struct NtpClock {
    /// Instant that stands for `ntp_origin`.
    pub origin: Instant,
    /// NTP time of `origin`: seconds since 1900 in the upper half, fraction in the lower.
    pub ntp_origin: u64,
}

impl NtpClock {
    /// NTP time in 64 bits: seconds since 1900 in the upper half, fraction in the lower.
    pub fn ntp(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.origin);
        let fraction = (u64::from(passed.subsec_nanos()) << 32) / 1_000_000_000;
        self.ntp_origin.wrapping_add((passed.as_secs() << 32) + fraction)
    }

    /// NTP time as report blocks carry it: 16 bits of seconds, 16 bits of fraction (RFC 3550 section 4).
    pub fn middle_32_bits(&self, now: Instant) -> u32 {
        (self.ntp(now) >> 16) as u32
    }

    /// Round trip from the echo of our last report (section 6.4.1).
    pub fn round_trip(&self, now: Instant, block: &ReportBlock) -> Option<Duration> {
        if block.last_sr == 0 {
            return None;
        }
        let units = self.middle_32_bits(now).wrapping_sub(block.last_sr).wrapping_sub(block.delay_since_last_sr);
        // Clock steps and nonsense give huge values.
        (units < 60 << 16).then(|| Duration::from_secs_f64(f64::from(units) / 65_536.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_round_trips_and_yields_round_trip_time() {
        #[expect(clippy::disallowed_methods, reason = "origin of virtual time")]
        let origin = Instant::now();
        let clock = NtpClock { origin, ntp_origin: 5 << 32 };
        let sent_at = origin + Duration::from_secs(10);
        let echo = ReceptionReport {
            ssrc: 77,
            fraction_lost: 64,
            cumulative_lost: 9,
            highest_sequence: 1,
            jitter: 80,
            last_sr: clock.middle_32_bits(sent_at),
            delay_since_last_sr: 65_536 / 2,
        };
        let out = OutgoingRtcp {
            ssrc: 1,
            ntp: 3 << 32,
            rtp_timestamp: 0,
            packets: 0,
            octets: 0,
            cname: "a@b",
            reception: Some(echo),
            voip: Some(VoipMetrics {
                loss_rate: 12,
                discard_rate: 3,
                round_trip_ms: 80,
                end_system_ms: 40,
                r_factor: Some(88),
                mos: Some(4.2),
            }),
            bye: true,
        };
        let mut buffer = [0; 200];
        let len = write(&out, &mut buffer).unwrap();
        assert_eq!(len % 4, 0);
        let received = parse(&buffer[..len], 77);
        assert_eq!(received.voip, out.voip);
        let block = received.report.unwrap();
        assert_eq!((received.sender_report, received.bye, block.fraction_lost), (Some(3 << 16), true, 64));
        let round_trip = clock.round_trip(sent_at + Duration::from_millis(620), &block).unwrap();
        assert!((round_trip.as_secs_f64() - 0.12).abs() < 0.001, "{round_trip:?}");
        assert!(!parse(&buffer[..len - 1], 1).bye, "a cut tail is ignored");
    }
}
