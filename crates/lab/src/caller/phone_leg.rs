//! The media leg of a scripted caller.

use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use trunkline::call::driver::OutgoingLeg;
use trunkline_media::io::worker::{LegHandle, MediaWorkers, TransportSetup};
use trunkline_media::leg::{AnalysisConfig, AudioDelivery, Latching, LegConfig, LegEvent, StreamConfig};
use trunkline_media::playout::pacer::SpurtStart;
use trunkline_media::rtp::rtcp::NtpClock;

const LEG_EVENTS_MAX: usize = 1_024;

/// When a leg begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LegStart {
    /// Before the answer: recording, if wanted, begins with the call.
    EarlyMedia,
    /// With the call.
    Answered,
}

/// A running leg with its events, each with the instant at which the media thread had it.
#[derive(Debug)]
pub(super) struct PhoneLeg {
    pub handle: LegHandle,
    pub events: mpsc::Receiver<(Instant, LegEvent)>,
    pub is_recorded: bool,
}

impl OutgoingLeg for PhoneLeg {
    fn handle(&self) -> &LegHandle {
        &self.handle
    }
}

impl PhoneLeg {
    pub(super) fn start(
        workers: &MediaWorkers, stream: StreamConfig, wire: TransportSetup, recording: Option<PathBuf>, begin: LegStart,
    ) -> Result<Self, String> {
        let (sender, events) = mpsc::channel(LEG_EVENTS_MAX);
        let is_recorded = recording.is_some();
        let config = leg_config(stream, is_recorded && begin == LegStart::Answered);
        // The instant is taken on the media thread: what happens to this task later does not count.
        let sink = Box::new(move |event| sender.try_send((Instant::now(), event)).is_ok());
        let handle = workers.add(config, wire, recording, sink).map_err(|_| "media is overloaded".to_owned())?;
        Ok(Self { handle, events, is_recorded })
    }
}

fn leg_config(stream: StreamConfig, record: bool) -> LegConfig {
    LegConfig {
        stream,
        latching: Latching::default(),
        ssrc: rand::random(),
        first_sequence: rand::random(),
        first_timestamp: rand::random(),
        clock: NtpClock { origin: Instant::now(), ntp_origin: 0 },
        cname: "caller".to_owned(),
        analysis: AnalysisConfig::Off,
        network_timeout: Duration::from_secs(3_600),
        record,
        audio: AudioDelivery::G711,
        spurt_start: SpurtStart::OnGrid,
        ambience: None,
    }
}
