//! Limits of this crate, each with its reason.

use std::time::Duration;

/// Largest RTP packet taken: 300 ms of G.711 with extensions and the tag of SRTP. Ethernet carries up to 1,500 bytes.
pub const PACKET_BYTES_MAX: usize = 2_600;
/// Longest packet time in samples: a receiver should accept 200 ms (RFC 3551 section 4.2), and recorders of old send 240
/// and 300. What is longer is ignored.
pub const PACKET_SAMPLES_MAX: usize = 2_400;
/// Samples of the longest packet of ours, 60 ms.
pub const PACKET_OUT_SAMPLES_MAX: usize = 480;
/// Octets of a frame handed to a call: 20 ms of G.711. Up to 128 frames wait for a call, and each takes this room. A leg
/// that hands on PCM at 16 kHz needs 640 for 20 ms, or hands on frames of 5 ms.
pub const AUDIO_FRAME_BYTES_MAX: usize = 160;
/// Packets held out of order. 64 packets of 20 ms are 1.3 s, far beyond the longest wait of 200 ms.
pub const JITTER_PACKETS_MAX: usize = 64;
/// Shortest and longest wait for a missing packet.
pub const JITTER_WAIT_MIN: Duration = Duration::from_millis(20);
/// Longest wait for a missing packet, whatever the jitter.
pub const JITTER_WAIT_MAX: Duration = Duration::from_millis(200);
/// A larger jump of the RTP timestamp is a new timeline, not a pause.
pub const TIMESTAMP_JUMP_SAMPLES_MAX: i64 = 16_000;
/// Speech waiting to be played: 60 s, twice what the longest single answer needs. More is refused.
pub const PLAYOUT_SAMPLES_MAX: usize = 60 * 8_000;
/// Digits waiting to be sent.
pub const DTMF_DIGITS_MAX: usize = 64;
/// Addresses of one browser over a call, as its description names them, and again as its checks come from them: some
/// ten each time it changes networks. A peer that knows the ICE password could otherwise forge any number of sources.
pub const ICE_ADDRESSES_MAX: usize = 128;
/// Legs of one worker: at 0.2 % of a core each, more would not fit a core anyway.
pub const LEGS_PER_WORKER_MAX: usize = 2_000;
/// Commands waiting for a worker, two per leg. When full, the sender gets an error and its call ends. The memory is
/// allocated once.
pub const WORKER_COMMANDS_MAX: usize = 4_096;
/// Recording blocks waiting for the disk over all calls: 16 kB each, 128 MiB at most. More are dropped and counted.
pub const RECORD_BLOCKS_MAX: usize = 8_192;
/// Stereo sample pairs in one recording block: half a second is lost at most when the process dies.
pub const RECORD_BLOCK_PAIRS: usize = 4_000;
/// Maximum skew between the two recorded channels before they are realigned.
pub const RECORD_SKEW_SAMPLES_MAX: usize = 960;
/// Lateness after which a worker stops catching up and starts a new timeline.
pub const CATCH_UP_MAX: Duration = Duration::from_millis(500);
/// Datagrams read from one socket per turn: ten times the traffic of a call.
pub const RECEIVE_BATCH_MAX: usize = 32;
/// Sockets read before the clock is read again: 16 packets take about 0.2 ms.
pub const SOCKETS_BATCH: usize = 16;
/// Commands carried out before the clock is looked at again; starting a leg is the longest.
pub const COMMANDS_BATCH: usize = 8;
/// Longest sleep of an idle thread, so that its heartbeat stays fresh.
pub const IDLE_CYCLE_MAX: Duration = Duration::from_secs(1);
/// A thread without a turn for this long is stuck: five idle turns, and ten times the longest catch-up.
pub const STUCK_AFTER: Duration = Duration::from_secs(5);
/// Pause before a worker that panicked outside of a leg's turn goes on: a bug that panics in every cycle must not use a
/// whole core.
pub const RESTART_PAUSE: Duration = Duration::from_millis(100);
/// Bytes of sound in one recording: the length field of WAV has 32 bits. That is 37 hours; what comes after is dropped
/// and counted.
pub const RECORDING_BYTES_MAX: u64 = u32::MAX as u64 - 65_536;
/// Events of a leg waiting inside it until the worker hands them on.
pub const LEG_EVENTS_MAX: usize = 256;
/// Datagrams read from the browsers' port per turn: five times what a thousand talking browsers send in it.
pub const WEBRTC_BATCH_MAX: usize = 512;
/// How long a handshake or a check for a path may take, while a call waits for it. Both repeat themselves after a
/// second, two and four.
pub const PATH_DEADLINE: Duration = Duration::from_secs(10);
/// Smallest packet on a TCP connection: the header of RTCP.
pub const PACKET_BYTES_MIN: usize = 8;
/// Connections accepted at the browsers' port before other sockets have their turn.
pub const ACCEPT_BATCH_MAX: usize = 32;
/// Bytes queued for a slow ICE-TCP connection: two thirds of a second of Opus. More is dropped.
pub const UNSENT_BYTES_MAX: usize = 32 * 1_024;
