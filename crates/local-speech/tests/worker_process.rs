//! The server's side of the worker with real processes: one that works, and ones that crash, hang and write garbage.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails by panicking, and needs deadlines")]

use std::time::{Duration, Instant};
use trunkline_local_speech::io::{PendingAnswer, SpeechWorker, WorkerProgram};
use trunkline_local_speech::limits::WAITING_MAX;
use trunkline_local_speech::message::{SessionId, Urgency, VERSION};
use trunkline_local_speech::request::{SpeechAnswer, SpeechError, SpeechRequest, Tenant};

const PATIENCE: Duration = Duration::from_secs(10);

fn worker(start: &str) -> SpeechWorker {
    let arguments = if start.is_empty() { vec![] } else { vec![start.to_owned()] };
    SpeechWorker::new(WorkerProgram { program: env!("CARGO_BIN_EXE_fake-speech-worker").into(), arguments })
}

/// A request whose first sample tells the fake worker what to do.
fn audio(session: u64, first: i16) -> SpeechRequest {
    let mut samples = vec![0; 1_600];
    (samples[0], samples[1]) = (first, 12_345);
    SpeechRequest::Transcribe { session: SessionId(session), urgency: Urgency::Final, samples }
}

async fn ask(worker: &SpeechWorker, request: SpeechRequest) -> SpeechAnswer {
    worker.request(Tenant(1), request, PATIENCE).next().await.unwrap()
}

async fn words(mut pending: PendingAnswer) -> Result<String, SpeechError> {
    match pending.next().await.unwrap() {
        SpeechAnswer::Transcript { text, .. } => Ok(text),
        SpeechAnswer::Failed(error) => Err(error),
        other => panic!("{other:?}"),
    }
}

fn kill(worker: &SpeechWorker) {
    let id = worker.process_id().expect("a process").to_string();
    assert!(std::process::Command::new("kill").args(["-9", &id]).status().unwrap().success());
}

#[tokio::test]
async fn sessions_share_one_worker() {
    let worker = worker("");
    worker.warm_up().await.unwrap();
    let id = worker.process_id();
    assert!(id.is_some());
    let pending: Vec<PendingAnswer> =
        (1..=20).map(|session| worker.request(Tenant(1), audio(session, 0), PATIENCE)).collect();
    for (session, pending) in (1..).zip(pending) {
        assert_eq!(words(pending).await, Ok(format!("session {session} said 1600 samples")));
    }
    let mut speech = worker.request(
        Tenant(1),
        SpeechRequest::Synthesize { sound_ms: 0, voice: "fake".into(), speed_permille: 1_000, text: "one two".into() },
        PATIENCE,
    );
    let mut answers = Vec::new();
    while let Some(answer) = speech.next().await {
        answers.push(answer);
    }
    let audio = SpeechAnswer::Audio { rate_hz: 22_050, samples: vec![2_000; 2_205] };
    assert_eq!(answers, [audio.clone(), audio, SpeechAnswer::Done]);
    assert_eq!(worker.process_id(), id, "the same process");
}

#[tokio::test]
async fn a_worker_that_is_killed_in_mid_sentence_costs_no_call() {
    let worker = worker("");
    worker.warm_up().await.unwrap();
    // The first request is in the worker's hands, the others wait.
    let pending: Vec<PendingAnswer> = (1..=3)
        .map(|session| worker.request(Tenant(1), audio(session, if session == 1 { -3 } else { 0 }), PATIENCE))
        .collect();
    let first = worker.process_id();
    kill(&worker);
    for (session, pending) in (1..).zip(pending) {
        assert_eq!(words(pending).await, Ok(format!("session {session} said 1600 samples")), "asked once more");
    }
    assert_ne!(worker.process_id(), first);
}

#[tokio::test]
async fn audio_that_crashes_the_worker_costs_one_sentence() {
    let worker = worker("");
    for (what, crashes) in [("an exit", -1), ("half a message", -6)] {
        let bad = worker.request(Tenant(1), audio(1, crashes), PATIENCE);
        let good = worker.request(Tenant(1), audio(2, 0), PATIENCE);
        let Err(SpeechError::Crashed(why)) = words(bad).await else { panic!("{what}: not lost") };
        assert!(why.contains(if crashes == -1 { "exit status: 3" } else { "within a message" }), "{why}");
        assert_eq!(words(good).await, Ok("session 2 said 1600 samples".to_owned()), "{what}");
    }
}

#[tokio::test]
async fn garbage_on_the_pipe_ends_the_worker_and_not_the_server() {
    for first in [-4, -5] {
        let worker = worker("");
        let Err(SpeechError::Crashed(why)) = words(worker.request(Tenant(1), audio(1, first), PATIENCE)).await else {
            panic!("taken for a message")
        };
        assert!(why.starts_with("it writes something else than messages: a frame of"), "{why}");
        assert_eq!(
            words(worker.request(Tenant(1), audio(2, 0), PATIENCE)).await,
            Ok("session 2 said 1600 samples".to_owned())
        );
    }
    let Err(SpeechError::Crashed(why)) = worker("garbage").warm_up().await else { panic!("taken for a hello") };
    assert!(why.contains("something else than messages"), "{why}");
}

#[tokio::test]
async fn a_worker_that_cannot_work_says_why_at_once() {
    let missing = worker("files-missing").warm_up().await;
    let why = "encoder_model.ort is missing: run `trunkline models fetch`";
    assert_eq!(missing, Err(SpeechError::Unavailable(why.into())));
    let Err(SpeechError::Unavailable(why)) = worker("other-version").warm_up().await else { panic!("asked") };
    assert!(why.contains(&format!("speaks version {} of the protocol", VERSION + 1)), "{why}");
    let Err(SpeechError::Crashed(why)) = worker("dies").warm_up().await else { panic!("works") };
    assert_eq!(why, "exit status: 7; its last words: the models are broken");
    let nowhere = WorkerProgram { program: "/nonexistent/worker".into(), arguments: vec![] };
    let Err(SpeechError::Crashed(why)) = SpeechWorker::new(nowhere).warm_up().await else { panic!("works") };
    assert!(why.starts_with("/nonexistent/worker cannot be started"), "{why}");
}

#[tokio::test]
async fn a_slow_worker_costs_its_requests_their_deadline_only() {
    let worker = worker("");
    worker.warm_up().await.unwrap();
    let began = Instant::now();
    let silent = worker.request(Tenant(1), audio(1, -2), Duration::from_millis(200));
    assert_eq!(words(silent).await, Err(SpeechError::Deadline));
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(
        words(worker.request(Tenant(1), audio(2, 0), PATIENCE)).await,
        Ok("session 2 said 1600 samples".to_owned())
    );
    // What nobody waits for is cancelled, and the next is asked.
    drop(worker.request(Tenant(1), audio(3, -2), PATIENCE));
    assert_eq!(
        words(worker.request(Tenant(1), audio(4, 0), PATIENCE)).await,
        Ok("session 4 said 1600 samples".to_owned())
    );
    assert_eq!(ask(&worker, audio(5, -7)).await, SpeechAnswer::Failed(SpeechError::Model("no such input".into())));
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let worker = worker("");
    worker.warm_up().await.unwrap();
    let pending: Vec<PendingAnswer> = (0..WAITING_MAX as u64 + 5)
        .map(|n| worker.request(Tenant(1), audio(n, if n == 0 { -3 } else { 0 }), PATIENCE))
        .collect();
    let mut refused = 0;
    for pending in pending {
        match words(pending).await {
            Ok(_) => {}
            Err(SpeechError::QueueFull) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(refused, 4, "one is with the worker, and the queue is full");
}

#[tokio::test]
async fn the_worker_sees_no_keys_and_ends_with_its_last_handle() {
    let worker = worker("environment");
    worker.warm_up().await.unwrap();
    let id = worker.process_id().unwrap();
    let environment = std::fs::read(format!("/proc/{id}/environ")).unwrap();
    let environment = String::from_utf8_lossy(&environment).into_owned();
    assert!(environment.contains("PATH=") && !environment.contains("CARGO"), "{environment}");
    drop(worker);
    let end = Instant::now() + PATIENCE;
    while std::path::Path::new(&format!("/proc/{id}")).exists() {
        assert!(Instant::now() < end, "it still runs");
        tokio::task::yield_now().await;
    }
}
