//! Bounds on what every leg costs.

use super::*;

/// What every leg takes, with the detectors of one that listens. The jitter buffer's packets, the recording's blocks and
/// the codec's state come on top, each only where it is used.
#[test]
fn leg_does_not_grow() {
    let (leg, detectors) = (size_of::<Leg>(), size_of::<audio_analysis::VoiceAnalysis>());
    assert!(leg <= 2_824 && leg + detectors <= 7_736, "{leg} and {detectors} octets of a leg");
    assert!(size_of::<LegEvent>() <= 184, "{} octets of a waiting event", size_of::<LegEvent>());
}
