//! The queue of a leg's events on their way to the call.

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use trunkline_media::io::worker::LegEventSink;
use trunkline_media::leg::LegEvent;

/// Frames that may wait for the call: two seconds of audio.
const FRAMES_MAX: usize = 100;
/// Room that frames leave to other events. A call that lost one of those would wait for it in vain.
const RESERVED: usize = 156;

/// The worker's end of the queue, and the call's.
pub(super) fn leg_event_queue() -> (LegEventSink, mpsc::Receiver<LegEvent>) {
    let (sender, events) = mpsc::channel(FRAMES_MAX + RESERVED);
    let sink = move |event: LegEvent| {
        if matches!(event, LegEvent::Audio { .. } | LegEvent::BothSides { .. }) && sender.capacity() <= RESERVED {
            count_drop("audio");
            return !sender.is_closed();
        }
        match sender.try_send(event) {
            Ok(()) => true,
            Err(TrySendError::Closed(_)) => false,
            Err(TrySendError::Full(_)) => {
                count_drop("other");
                true
            }
        }
    };
    (Box::new(sink), events)
}

fn count_drop(kind: &'static str) {
    metrics::counter!("trunkline_media_events_dropped_total", "kind" => kind).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;
    use trunkline_media::audio::AudioFrame;
    use trunkline_media::codec::Companding;

    #[test]
    fn audio_that_nobody_takes_leaves_room_for_other_events() {
        let (mut sink, mut events) = leg_event_queue();
        let frame = || LegEvent::Audio {
            frame: AudioFrame::g711(Companding::MuLaw, &[0xFF; 160]).unwrap(),
            at: Instant::now(),
        };
        for _ in 0..1_000 {
            assert!(sink(frame()));
        }
        for _ in 0..RESERVED {
            assert!(sink(LegEvent::DtmfSent));
        }
        assert!(sink(LegEvent::DtmfSent), "the leg of a call that is slow goes on");
        let (mut audio, mut other) = (0, 0);
        while let Ok(event) = events.try_recv() {
            match event {
                LegEvent::Audio { .. } => audio += 1,
                _ => other += 1,
            }
        }
        assert_eq!((audio, other), (FRAMES_MAX, RESERVED));
        drop(events);
        assert!(!sink(frame()) && !sink(LegEvent::DtmfSent), "the call is gone");
    }

    #[test]
    fn a_leg_whose_full_queue_was_left_ends() {
        let (mut sink, events) = leg_event_queue();
        let frame = || LegEvent::Audio {
            frame: AudioFrame::g711(Companding::MuLaw, &[0xFF; 160]).unwrap(),
            at: Instant::now(),
        };
        for _ in 0..2 * FRAMES_MAX {
            assert!(sink(frame()));
        }
        drop(events);
        assert!(!sink(frame()), "also where it would drop the frame");
    }
}
