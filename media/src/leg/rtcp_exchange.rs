//! RTCP of a leg: our reports about the peer's stream, and what the peer reports about ours.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use super::peer_stream::PeerStream;
use crate::jitter::buffer::JitterBuffer;
use crate::rtp::packetizer::Packetizer;
use crate::rtp::rtcp::{self, NtpClock, ReceivedRtcp, ReceptionReport, VoipMetrics};
use std::time::{Duration, Instant};

/// Room for a compound packet of ours.
pub(super) const RTCP_BYTES_MAX: usize = 256;

/// Reports of both sides.
#[derive(Debug)]
pub(super) struct RtcpExchange {
    clock: NtpClock,
    cname: String,
    next_report: Instant,
    /// The peer has reported loss of our stream.
    has_reception_report: bool,
    /// MOS of our stream in the peer's last VoIP metrics; `None` if it did not say.
    peer_mos: Option<f32>,
}

/// The streams of both sides that a report of ours is about.
pub(super) struct ReportedStreams<'a> {
    pub ours: &'a Packetizer,
    pub peer: &'a mut PeerStream,
    pub buffer: &'a JitterBuffer,
    /// Ticks of the RTP clock in a sample: reports have the units of the wire.
    pub clock_scale: u32,
}

/// What a report of the peer says about our stream and its path.
#[derive(Clone, Copy, Debug)]
pub(super) struct PathReport {
    /// Loss since its previous report, 0 to 1.
    pub loss: f32,
    pub round_trip: Option<Duration>,
}

impl RtcpExchange {
    pub(super) fn new(now: Instant, clock: NtpClock, cname: String) -> Self {
        Self { clock, cname, next_report: now + rtcp::INTERVAL / 2, has_reception_report: false, peer_mos: None }
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        now >= self.next_report
    }

    /// Takes what the peer reports.
    pub(super) fn handle(&mut self, now: Instant, received: &ReceivedRtcp) -> Option<PathReport> {
        if let Some(voip) = received.voip {
            self.peer_mos = voip.mos;
        }
        let block = received.report?;
        self.has_reception_report = true;
        let loss = f32::from(block.fraction_lost) / 256.0;
        Some(PathReport { loss, round_trip: self.clock.round_trip(now, &block) })
    }

    /// MOS of our stream at the peer: as reported by the peer, else computed from the loss that it reported.
    pub(super) fn peer_mos(&self, computed: impl FnOnce() -> f32) -> Option<f32> {
        self.peer_mos.or_else(|| self.has_reception_report.then(computed))
    }

    /// Writes our next report, with the BYE of a leg that closes. Returns its length; `None` if it does not fit.
    pub(super) fn write(
        &mut self, now: Instant, streams: ReportedStreams<'_>, voip: VoipMetrics, bye: bool,
        buffer: &mut [u8; RTCP_BYTES_MAX],
    ) -> Option<usize> {
        let ours = streams.ours;
        self.next_report = now + interval(ours);
        let (rtp_timestamp, reception) = (ours.timestamp().wrapping_mul(streams.clock_scale), reception(now, streams));
        let out = rtcp::OutgoingRtcp {
            ssrc: ours.ssrc,
            ntp: self.clock.ntp(now),
            rtp_timestamp,
            packets: ours.packets,
            octets: ours.octets,
            cname: &self.cname,
            reception,
            voip: reception.is_some().then_some(voip),
            bye,
        };
        rtcp::write(&out, buffer)
    }
}

/// Time to the next report: another one each time, from half of the interval to one and a half (section 6.3.1), so that calls
/// that are set up together do not report together.
fn interval(ours: &Packetizer) -> Duration {
    let mixed = ours.ssrc.wrapping_add(ours.timestamp()).wrapping_mul(0x9E37_79B1) >> 22;
    rtcp::INTERVAL.mul_f32(0.5 + mixed as f32 / 1_024.0)
}

/// What is reported about the source that is heard, once there is one.
fn reception(now: Instant, streams: ReportedStreams<'_>) -> Option<ReceptionReport> {
    let jitter = streams.buffer.jitter_samples().saturating_mul(streams.clock_scale);
    let source = streams.peer.main_source_mut()?;
    let (last_sr, at) = source.sender_report.unwrap_or((0, now));
    let delay = if last_sr == 0 { 0.0 } else { now.saturating_duration_since(at).as_secs_f64() };
    Some(ReceptionReport {
        ssrc: source.ssrc,
        fraction_lost: source.reception.take_fraction_lost(),
        cumulative_lost: source.reception.lost(),
        highest_sequence: source.reception.highest_sequence(),
        jitter,
        last_sr,
        delay_since_last_sr: (delay * 65_536.0) as u32,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::rtcp::ReportBlock;

    #[test]
    fn intervals_between_reports_differ_within_half_of_their_length() {
        let mut ours = Packetizer::new(7, 1, 1);
        let intervals: Vec<f32> = (0..200)
            .map(|_| {
                let next = interval(&ours);
                ours.advance((next.as_millis() * 8) as u32);
                next.as_secs_f32()
            })
            .collect();
        assert!(intervals.iter().all(|one| (2.5..=7.5).contains(one)), "{intervals:?}");
        assert!(intervals.windows(2).filter(|pair| (pair[0] - pair[1]).abs() > 0.1).count() > 150, "{intervals:?}");
        let mean = intervals.iter().sum::<f32>() / 200.0;
        assert!((4.5..5.5).contains(&mean), "{mean}");
    }

    #[test]
    fn score_of_our_stream_is_that_of_the_peer_or_follows_from_its_reports() {
        #[expect(clippy::disallowed_methods, reason = "origin of virtual time")]
        let now = Instant::now();
        let mut exchange = RtcpExchange::new(now, NtpClock { origin: now, ntp_origin: 0 }, "test".into());
        assert_eq!(exchange.peer_mos(|| 4.0), None, "it has reported nothing");
        let block = ReportBlock { ssrc: 7, fraction_lost: 0, jitter: 0, last_sr: 0, delay_since_last_sr: 0 };
        exchange.handle(now, &ReceivedRtcp { report: Some(block), ..ReceivedRtcp::default() });
        assert_eq!(exchange.peer_mos(|| 4.0), Some(4.0));
        let voip = VoipMetrics {
            loss_rate: 0,
            discard_rate: 0,
            round_trip_ms: 0,
            end_system_ms: 0,
            r_factor: None,
            mos: Some(3.1),
        };
        exchange.handle(now, &ReceivedRtcp { voip: Some(voip), ..ReceivedRtcp::default() });
        assert_eq!(exchange.peer_mos(|| 4.0), Some(3.1));
    }
}
