//! One process of the worker: what it reads and writes, and how it ends. It is killed when its handle is dropped.

use crate::frame::FrameReader;
use crate::message::{ServerMessage, WorkerMessage};
use std::path::PathBuf;
use std::process::Stdio;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use trunkline_supervision::ContainedTask;

/// Messages to the process that may wait: requests are sent one at a time, so only cancellations add to them.
const MESSAGES_MAX: usize = 64;
/// Bytes that are read at once.
const PIECE_BYTES: usize = 65_536;
/// How much of its last words a report has.
const LAST_WORDS_BYTES: usize = 300;

/// The C library's allocator, which the native library uses, and ours give memory back that was freed: models are loaded
/// in large pieces, which would stay in the process.
const ALLOCATOR: [(&str, &str); 4] = [
    ("MALLOC_ARENA_MAX", "2"),
    ("MALLOC_MMAP_THRESHOLD_", "1000000"),
    ("MALLOC_TRIM_THRESHOLD_", "1000000"),
    ("_RJEM_MALLOC_CONF", "narenas:2,dirty_decay_ms:1000"),
];

/// How the worker is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerProgram {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// What a process reports; the number says which process.
#[derive(Debug)]
pub(super) enum ProcessEvent {
    /// It has sent a message.
    Message(u64, WorkerMessage),
    /// It has ended, or writes no messages; in words. Nothing more comes of it.
    Ended(u64, String),
}

/// A running process.
#[derive(Debug)]
pub(super) struct WorkerProcess {
    /// Which process this is.
    pub(super) number: u64,
    /// Its id in the system.
    pub(super) id: Option<u32>,
    messages: mpsc::Sender<Vec<u8>>,
    tasks: [ContainedTask<()>; 2],
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        // The child is killed with its task.
        self.tasks.iter().for_each(|task| task.abort());
    }
}

impl WorkerProcess {
    /// Starts a process; fails in words. It sees nothing of the server's environment, which may hold keys.
    pub(super) fn start(
        program: &WorkerProgram, number: u64, events: mpsc::Sender<ProcessEvent>,
    ) -> Result<Self, String> {
        let kept = ["PATH", "HOME", "LANG", "LC_ALL", "TMPDIR"];
        let environment = kept.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        let mut child = Command::new(&program.program)
            .args(&program.arguments)
            .env_clear()
            .envs(environment)
            .envs(ALLOCATOR)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", program.program.display()))?;
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err("the speech worker has no pipes".to_owned());
        };
        let (messages, queue) = mpsc::channel(MESSAGES_MAX);
        let id = child.id();
        let writer = trunkline_supervision::spawn("speech_worker_input", write(stdin, queue));
        let reader = trunkline_supervision::spawn("speech_worker_output", async move {
            let why = read(&mut child, stdout, stderr, number, &events).await;
            let _ = child.start_kill();
            let _ = events.send(ProcessEvent::Ended(number, why)).await;
        });
        Ok(Self { number, id, messages, tasks: [writer, reader] })
    }

    /// Sends a message. False if the process reads nothing.
    pub(super) fn send(&self, message: &ServerMessage) -> bool {
        self.messages.try_send(message.frame().encode()).is_ok()
    }
}

async fn write(mut stdin: ChildStdin, mut queue: mpsc::Receiver<Vec<u8>>) {
    while let Some(bytes) = queue.recv().await {
        // The end of the process is seen at its output.
        if stdin.write_all(&bytes).await.is_err() || stdin.flush().await.is_err() {
            return;
        }
    }
}

/// Reads until the process ends or writes something else; returns why, in words.
async fn read(
    child: &mut Child, mut stdout: ChildStdout, mut stderr: ChildStderr, number: u64,
    events: &mpsc::Sender<ProcessEvent>,
) -> String {
    let mut frames = FrameReader::default();
    let (mut piece, mut said) = (vec![0; PIECE_BYTES], vec![0; LAST_WORDS_BYTES]);
    let (mut last_words, mut says) = (Vec::new(), true);
    loop {
        let count = tokio::select! {
            read = stdout.read(&mut piece) => read.unwrap_or_default(),
            read = stderr.read(&mut said), if says => {
                let count = read.unwrap_or_default();
                says = count > 0;
                last_words.extend_from_slice(said.get(..count).unwrap_or_default());
                let surplus = last_words.len().saturating_sub(LAST_WORDS_BYTES);
                last_words.drain(..surplus);
                continue;
            }
        };
        if count == 0 {
            let status = child.wait().await;
            let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
            if frames.finish().is_err() {
                return format!("{status}, within a message");
            }
            // The pipe of an ended process is short; a child of it may hold it open.
            let rest = stderr.read_to_end(&mut last_words);
            let _ = tokio::time::timeout(std::time::Duration::from_millis(200), rest).await;
            let from = last_words.len().saturating_sub(LAST_WORDS_BYTES);
            let last_words = String::from_utf8_lossy(last_words.get(from..).unwrap_or_default());
            let last_line = last_words.trim().lines().next_back().unwrap_or_default();
            return if last_line.is_empty() { status } else { format!("{status}; its last words: {last_line}") };
        }
        frames.push(piece.get(..count).unwrap_or_default());
        loop {
            let message = match frames.next_frame() {
                Ok(Some(frame)) => WorkerMessage::read(&frame).map_err(|error| error.to_string()),
                Ok(None) => break,
                Err(error) => Err(error.to_string()),
            };
            match message {
                Ok(message) => {
                    if events.send(ProcessEvent::Message(number, message)).await.is_err() {
                        return "the server has ended".to_owned();
                    }
                }
                Err(error) => return format!("it writes something else than messages: {error}"),
            }
        }
    }
}
