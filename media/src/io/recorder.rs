//! Writes recordings on a thread of its own. After every block the WAV header is right, so that a file
//! is playable also when the process dies.

use crate::frame::RATE_HZ;
use crate::limits;
use crate::stats::WorkerStats;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::collections::HashMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

type Writer = hound::WavWriter<BufWriter<File>>;

enum Order {
    Open { leg: u64, path: PathBuf },
    Block { leg: u64, block: Vec<i16> },
    Close { leg: u64, done: Done },
}

/// Called on the recorder's thread with the stereo samples written.
pub type Done = Box<dyn FnOnce(Result<u64, String>) + Send>;

/// Hands blocks to the recorder's thread.
#[derive(Clone, Debug)]
pub struct Recorder {
    orders: Sender<Order>,
    stats: Arc<WorkerStats>,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Order")
    }
}

impl Recorder {
    pub fn start(stats: Arc<WorkerStats>) -> std::io::Result<Self> {
        let (orders, queue) = bounded(limits::RECORD_BLOCKS_MAX);
        std::thread::Builder::new().name("recorder".into()).spawn(move || run(&queue))?;
        Ok(Self { orders, stats })
    }

    pub fn open(&self, leg: u64, path: PathBuf) {
        self.order(Order::Open { leg, path });
    }

    /// A disk that does not keep up loses blocks; it never slows a call.
    pub fn block(&self, leg: u64, block: Vec<i16>) {
        self.order(Order::Block { leg, block });
    }

    pub fn close(&self, leg: u64, done: Done) {
        if let Err(
            TrySendError::Full(Order::Close { done, .. }) | TrySendError::Disconnected(Order::Close { done, .. }),
        ) = self.orders.try_send(Order::Close { leg, done })
        {
            done(Err("recorder is overloaded".into()));
        }
    }

    fn order(&self, order: Order) {
        if self.orders.try_send(order).is_err() {
            self.stats.recording_blocks_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn run(queue: &Receiver<Order>) {
    let mut files: HashMap<u64, Result<Writer, String>> = HashMap::new();
    for order in queue {
        match order {
            Order::Open { leg, path } => {
                files.insert(leg, open(&path).map_err(|error| error.to_string()));
            }
            Order::Block { leg, block } => {
                if let Some(file @ Ok(_)) = files.get_mut(&leg)
                    && let Ok(writer) = file
                    && let Err(error) = write(writer, &block)
                {
                    tracing::error!(%error, "recording cannot be written");
                    *file = Err(error.to_string());
                }
            }
            Order::Close { leg, done } => done(match files.remove(&leg) {
                Some(Ok(writer)) => {
                    let samples = u64::from(writer.duration());
                    writer.finalize().map(|()| samples).map_err(|error| error.to_string())
                }
                Some(Err(error)) => Err(error),
                None => Err("recording was never opened".into()),
            }),
        }
    }
}

fn open(path: &std::path::Path) -> Result<Writer, hound::Error> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: RATE_HZ,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec)?;
    writer.flush()?;
    Ok(writer)
}

fn write(writer: &mut Writer, block: &[i16]) -> Result<(), hound::Error> {
    let mut samples = writer.get_i16_writer(block.len() as u32);
    for sample in block {
        samples.write_sample(*sample);
    }
    samples.flush()?;
    writer.flush()
}
