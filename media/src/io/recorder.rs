//! Writes recordings on a separate thread. The WAV header is updated after every block, so that a file stays playable
//! if the process dies.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

use crate::frame::SAMPLE_RATE_HZ;
use crate::limits;
use crate::stats::{Heartbeat, WorkerStats};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use std::collections::HashMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use trunkline_supervision::contain_sync;

type WavFileWriter = hound::WavWriter<BufWriter<File>>;

enum RecorderCommand {
    Open { leg: u64, path: PathBuf },
    Block { leg: u64, block: Vec<i16> },
    Close { leg: u64, done: RecordingDone },
}

/// Called on the recorder's thread with the stereo samples written.
pub type RecordingDone = Box<dyn FnOnce(Result<u64, String>) + Send>;

/// Metric label of panics in a recording.
const PART_RECORDER: &str = "recorder";
/// Error text of a recording whose writing panicked.
const INTERNAL_ERROR: &str = "internal error";

/// Hands blocks to the recorder's thread.
#[derive(Clone, Debug)]
pub struct Recorder {
    orders: Sender<RecorderCommand>,
    stats: Arc<WorkerStats>,
    heartbeat: Arc<Heartbeat>,
}

impl std::fmt::Debug for RecorderCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Order")
    }
}

impl Recorder {
    /// `name` is that of its thread.
    pub fn start(name: &str, stats: Arc<WorkerStats>) -> std::io::Result<Self> {
        let (orders, queue) = bounded(limits::RECORD_BLOCKS_MAX);
        let heartbeat = Arc::new(Heartbeat::new(name, Instant::now()));
        let (alive, dropped) = (heartbeat.clone(), stats.clone());
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let mut files = OpenRecordings::default();
            // Each order contains its own panic; should the loop itself panic, the recordings go on.
            while contain_sync(PART_RECORDER, || run(&queue, &mut files, &alive, &dropped)).is_err() {
                std::thread::sleep(limits::RESTART_PAUSE);
            }
        })?;
        Ok(Self { orders, stats, heartbeat })
    }

    /// Heartbeat of the recorder thread.
    pub fn heartbeat(&self) -> &Arc<Heartbeat> {
        &self.heartbeat
    }

    /// Creates a leg's stereo WAV file (16 bits, 8 kHz) with its folders. `close` reports a failure.
    pub fn open(&self, leg: u64, path: PathBuf) {
        self.send(RecorderCommand::Open { leg, path });
    }

    /// If the disk does not keep up, blocks are dropped; a call is never slowed.
    pub fn block(&self, leg: u64, block: Vec<i16>) {
        self.send(RecorderCommand::Block { leg, block });
    }

    /// Completes a leg's file. `done` gets the stereo samples written, or the first error of the recording.
    pub fn close(&self, leg: u64, done: RecordingDone) {
        if let Err(
            TrySendError::Full(RecorderCommand::Close { done, .. })
            | TrySendError::Disconnected(RecorderCommand::Close { done, .. }),
        ) = self.orders.try_send(RecorderCommand::Close { leg, done })
        {
            done(Err("recorder is overloaded".into()));
        }
    }

    fn send(&self, order: RecorderCommand) {
        if self.orders.try_send(order).is_err() {
            self.stats.recording_blocks_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Recordings in progress by the number of their leg.
type OpenRecordings = HashMap<u64, Result<WavFileWriter, String>>;

/// Runs until every handle is dropped.
fn run(queue: &Receiver<RecorderCommand>, files: &mut OpenRecordings, alive: &Heartbeat, stats: &WorkerStats) {
    loop {
        alive.record_heartbeat(Instant::now());
        match queue.recv_timeout(limits::IDLE_CYCLE_MAX) {
            Ok(order) => execute(order, files, stats),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// A panic ends the one recording it happened in.
fn execute(order: RecorderCommand, files: &mut OpenRecordings, stats: &WorkerStats) {
    let broken = |_| Err(INTERNAL_ERROR.to_owned());
    match order {
        RecorderCommand::Open { leg, path } => {
            let opened = contain_sync(PART_RECORDER, || open(&path).map_err(|error| error.to_string()));
            files.insert(leg, opened.unwrap_or_else(broken));
        }
        RecorderCommand::Block { leg, block } => {
            let Some(file @ Ok(_)) = files.get_mut(&leg) else { return };
            let Ok(writer) = file else { return };
            if !has_room(writer, &block) {
                stats.recording_blocks_dropped.fetch_add(1, Ordering::Relaxed);
                return;
            }
            match contain_sync(PART_RECORDER, || write(writer, &block)) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::error!(%error, "cannot write the recording");
                    *file = Err(error.to_string());
                }
                Err(error) => *file = broken(error),
            }
        }
        RecorderCommand::Close { leg, done } => {
            let closed = contain_sync(PART_RECORDER, || match files.remove(&leg) {
                Some(Ok(writer)) => {
                    let samples = u64::from(writer.duration());
                    writer.finalize().map(|()| samples).map_err(|error| error.to_string())
                }
                Some(Err(error)) => Err(error),
                None => Err("the recording was not opened".into()),
            });
            let _ = contain_sync(PART_RECORDER, || done(closed.unwrap_or_else(|_| Err(INTERNAL_ERROR.to_owned()))));
        }
    }
}

fn has_room(writer: &WavFileWriter, block: &[i16]) -> bool {
    let samples = u64::from(writer.len()).saturating_add(block.len() as u64);
    samples.saturating_mul(2) <= limits::RECORDING_BYTES_MAX
}

fn open(path: &std::path::Path) -> Result<WavFileWriter, hound::Error> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: SAMPLE_RATE_HZ,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec)?;
    writer.flush()?;
    Ok(writer)
}

fn write(writer: &mut WavFileWriter, block: &[i16]) -> Result<(), hound::Error> {
    let Ok(len) = u32::try_from(block.len()) else { return Err(hound::Error::TooWide) };
    let mut samples = writer.get_i16_writer(len);
    for sample in block {
        samples.write_sample(*sample);
    }
    samples.flush()?;
    writer.flush()
}
