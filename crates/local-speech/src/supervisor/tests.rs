//! The worker in virtual time.

use super::*;
use crate::message::{SessionId, Urgency};

const MS: fn(u64) -> Duration = Duration::from_millis;

struct Worker {
    machine: WorkerSupervisor,
    now: Instant,
}

fn audio(session: u64, urgency: Urgency) -> SpeechRequest {
    SpeechRequest::Transcribe { session: SessionId(session), urgency, samples: vec![1; 320] }
}

fn text() -> SpeechRequest {
    SpeechRequest::Synthesize { sound_ms: 0, voice: "joe".into(), speed_permille: 1_000, text: "Good morning.".into() }
}

fn heard(id: RequestId) -> WorkerMessage {
    WorkerMessage::Transcript { id, text: "yes".into(), confidence_permille: 900, compute_us: 40_000 }
}

fn cancelled(id: RequestId) -> WorkerMessage {
    WorkerMessage::Failed { id, kind: FailureKind::Cancelled, message: String::new() }
}

impl Worker {
    #[expect(clippy::disallowed_methods, reason = "a test needs some time")]
    fn new() -> Self {
        Self { machine: WorkerSupervisor::default(), now: Instant::now() }
    }

    fn ready() -> Self {
        let mut worker = Self::new();
        worker.machine.warm_up(worker.now).unwrap();
        assert_eq!(worker.outputs(), ["start"]);
        worker.hello();
        worker
    }

    fn hello(&mut self) {
        let hello = Hello { version: VERSION, ..Hello::default() };
        self.machine.handle_message(self.now, WorkerMessage::Hello(hello));
    }

    fn ask(&mut self, request: SpeechRequest) -> RequestId {
        self.ask_for(Tenant(1), request)
    }

    fn ask_for(&mut self, tenant: Tenant, request: SpeechRequest) -> RequestId {
        self.machine.request(self.now, tenant, request, self.now + MS(2_000)).unwrap()
    }

    fn sends(&mut self, message: WorkerMessage) {
        self.machine.handle_message(self.now, message);
    }

    fn wait(&mut self, ms: u64) {
        let until = self.now + MS(ms);
        while let Some(next) = self.machine.next_timeout().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            self.machine.handle_timeout(self.now);
        }
        self.now = until;
    }

    /// What was to be done, one word each.
    fn outputs(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.machine.poll_output())
            .map(|output| match output {
                SupervisorOutput::Start => "start".into(),
                SupervisorOutput::Kill => "kill".into(),
                SupervisorOutput::Send(ServerMessage::Transcribe { id, .. } | ServerMessage::Synthesize { id, .. }) => {
                    format!("ask {}", id.0)
                }
                SupervisorOutput::Send(ServerMessage::Cancel { id }) => format!("cancel {}", id.0),
                SupervisorOutput::Send(other) => format!("{other:?}"),
                SupervisorOutput::Deliver(id, SpeechAnswer::Failed(error)) => format!("{} failed: {error}", id.0),
                SupervisorOutput::Deliver(id, SpeechAnswer::Transcript { text, .. }) => {
                    format!("{} heard {text}", id.0)
                }
                SupervisorOutput::Deliver(id, SpeechAnswer::Audio { .. }) => format!("{} audio", id.0),
                SupervisorOutput::Deliver(id, SpeechAnswer::WordEnds(_)) => format!("{} words", id.0),
                SupervisorOutput::Deliver(id, SpeechAnswer::Done) => format!("{} done", id.0),
            })
            .collect()
    }
}

#[test]
fn the_worker_starts_with_the_first_request_and_ends_when_nobody_asks() {
    let mut worker = Worker::new();
    assert_eq!((worker.machine.next_timeout(), worker.outputs()), (None, vec![]));
    let id = worker.ask(audio(1, Urgency::Final));
    assert_eq!(worker.outputs(), ["start"], "asked when it is ready");
    worker.hello();
    assert_eq!(worker.outputs(), ["ask 1"]);
    worker.sends(heard(id));
    assert_eq!(worker.outputs(), ["1 heard yes"]);
    worker.wait(IDLE_MAX.as_millis() as u64 - 1);
    assert!(worker.outputs().is_empty());
    worker.wait(1);
    assert_eq!(worker.outputs(), ["kill"]);
    worker.machine.handle_exit(worker.now, "killed");
    assert_eq!((worker.outputs(), worker.machine.next_timeout()), (vec![], None), "that was no crash");
    worker.ask(audio(1, Urgency::Final));
    assert_eq!(worker.outputs(), ["start"]);
}

#[test]
fn final_words_come_before_partial_ones_of_any_session() {
    let mut worker = Worker::ready();
    let first = worker.ask(audio(1, Urgency::Partial));
    worker.ask(audio(2, Urgency::Partial));
    worker.ask(audio(3, Urgency::Partial));
    assert_eq!(worker.outputs(), ["ask 1"], "one at a time");
    worker.ask(audio(3, Urgency::Partial));
    assert_eq!(worker.outputs(), ["3 failed: replaced by a newer request"]);
    let last = worker.ask(audio(4, Urgency::Final));
    assert_eq!(worker.outputs(), ["cancel 1", "1 failed: replaced by a newer request"]);
    worker.sends(cancelled(first));
    assert_eq!(worker.outputs(), ["ask 5"]);
    worker.ask(audio(5, Urgency::Final));
    assert!(worker.outputs().is_empty(), "a final one is not interrupted");
    worker.sends(heard(last));
    assert_eq!(worker.outputs(), ["5 heard yes", "ask 6"]);
    worker.sends(heard(RequestId(6)));
    assert_eq!(worker.outputs(), ["6 heard yes", "ask 2"]);
}

#[test]
fn speaking_and_hearing_do_not_wait_for_each_other() {
    let mut worker = Worker::ready();
    let spoken = worker.ask(text());
    let next = worker.ask(text());
    let words = worker.ask(audio(1, Urgency::Final));
    assert_eq!(worker.outputs(), ["ask 1", "ask 2", "ask 3"], "texts are spoken by turns");
    worker.sends(WorkerMessage::Audio { id: spoken, rate_hz: 22_050, samples: vec![1] });
    worker.sends(WorkerMessage::Audio { id: next, rate_hz: 22_050, samples: vec![1] });
    worker.sends(heard(words));
    worker.sends(WorkerMessage::Done { id: spoken });
    assert_eq!(worker.outputs(), ["1 audio", "2 audio", "3 heard yes", "1 done"]);
    worker.machine.cancel(worker.now, next);
    assert_eq!(worker.outputs(), ["cancel 2"]);
    worker.sends(WorkerMessage::Audio { id: next, rate_hz: 22_050, samples: vec![1] });
    worker.sends(cancelled(next));
    assert!(worker.outputs().is_empty(), "nobody waits for it");
    // No more at once than the worker takes.
    let asked: Vec<RequestId> = (0..=SPOKEN_AT_ONCE_MAX).map(|_| worker.ask(text())).collect();
    assert_eq!((worker.outputs().len(), worker.machine.waiting()), (SPOKEN_AT_ONCE_MAX, (0, 1)));
    worker.machine.cancel(worker.now, asked[SPOKEN_AT_ONCE_MAX]);
    worker.sends(WorkerMessage::Done { id: asked[0] });
    assert_eq!(worker.outputs(), ["4 done"], "what was not sent is forgotten");
}

/// The worker is killed while it speaks several texts: those that have not begun are asked for again, in their order.
#[test]
fn texts_that_have_not_begun_outlive_the_worker() {
    let mut worker = Worker::ready();
    let ids = [worker.ask(text()), worker.ask(text()), worker.ask(text())];
    worker.sends(WorkerMessage::Audio { id: ids[1], rate_hz: 22_050, samples: vec![1] });
    worker.outputs();
    worker.machine.handle_exit(worker.now, "signal: 9 (SIGKILL)");
    assert_eq!(worker.outputs(), ["2 failed: the speech worker ended: signal: 9 (SIGKILL)"]);
    worker.wait(100);
    worker.hello();
    assert_eq!(worker.outputs(), ["start", "ask 1", "ask 3"]);
    worker.sends(WorkerMessage::Done { id: ids[0] });
    worker.sends(WorkerMessage::Done { id: ids[2] });
    assert_eq!(worker.outputs(), ["1 done", "3 done"]);
}

#[test]
fn one_text_that_hangs_among_others_ends_the_worker() {
    let mut worker = Worker::ready();
    let ids = [worker.ask(text()), worker.ask(text())];
    worker.machine.cancel(worker.now, ids[0]);
    worker.outputs();
    worker.wait(1_900);
    worker.sends(WorkerMessage::Audio { id: ids[1], rate_hz: 22_050, samples: vec![1] });
    worker.sends(WorkerMessage::Done { id: ids[1] });
    assert_eq!(worker.outputs(), ["2 audio", "2 done"]);
    worker.wait(3_100);
    assert_eq!(worker.outputs(), ["kill"]);
}

#[test]
fn a_crash_costs_one_sentence_at_most() {
    let mut worker = Worker::ready();
    worker.ask(audio(1, Urgency::Final));
    worker.ask(audio(2, Urgency::Final));
    worker.outputs();
    worker.machine.handle_exit(worker.now, "signal: 9 (SIGKILL)");
    assert!(worker.outputs().is_empty());
    worker.wait(100);
    assert_eq!(worker.outputs(), ["start"]);
    worker.hello();
    assert_eq!(worker.outputs(), ["ask 1"], "it may have been killed: once more");
    worker.machine.handle_exit(worker.now, "signal: 11 (SIGSEGV)");
    assert_eq!(worker.outputs(), ["1 failed: the speech worker ended: signal: 11 (SIGSEGV)"], "not a third time");
    worker.wait(199);
    assert!(worker.outputs().is_empty(), "the wait grows");
    worker.wait(1);
    worker.hello();
    assert_eq!(worker.outputs(), ["start", "ask 2"]);
    worker.sends(heard(RequestId(2)));
    assert_eq!(worker.outputs(), ["2 heard yes"]);
}

/// By whatever: an operator, a system without memory, a fault in a library. Each time it had worked for a while.
#[test]
fn a_worker_that_is_killed_again_and_again_is_back_within_a_second_and_refuses_nobody() {
    for worked_ms in [10, 1_000, 12_000] {
        let mut worker = Worker::ready();
        for round in 1..=20 {
            worker.wait(worked_ms);
            let id = worker.ask(audio(1, Urgency::Final));
            worker.outputs();
            worker.machine.handle_exit(worker.now, "signal: 9 (SIGKILL)");
            assert_eq!(worker.machine.readiness(), Readiness::Pending, "a call that begins now waits");
            worker.machine.warm_up(worker.now).unwrap();
            worker.wait(1_000);
            worker.hello();
            assert_eq!(worker.outputs(), ["start".to_owned(), format!("ask {}", id.0)], "{worked_ms} ms, {round}");
            worker.sends(heard(id));
            assert_eq!(worker.outputs(), [format!("{} heard yes", id.0)]);
        }
    }
}

#[test]
fn a_worker_that_never_comes_to_work_refuses_who_begins() {
    let mut worker = Worker::new();
    worker.machine.warm_up(worker.now).unwrap();
    worker.machine.handle_exit(worker.now, "exit status: 127");
    assert!(matches!(worker.machine.readiness(), Readiness::Failed(SpeechError::Crashed(_))), "a fallback takes over");
}

#[test]
fn speech_that_has_begun_is_not_said_twice() {
    let mut worker = Worker::ready();
    let id = worker.ask(text());
    worker.sends(WorkerMessage::Audio { id, rate_hz: 22_050, samples: vec![1] });
    worker.machine.handle_exit(worker.now, "signal: 11 (SIGSEGV)");
    assert_eq!(worker.outputs().last().unwrap(), "1 failed: the speech worker ended: signal: 11 (SIGSEGV)");
}

#[test]
fn every_request_has_an_end_in_time() {
    let mut worker = Worker::ready();
    let slow = worker.ask(audio(1, Urgency::Final));
    worker.ask(audio(2, Urgency::Final));
    worker.outputs();
    worker.wait(1_999);
    assert!(worker.outputs().is_empty());
    worker.wait(1);
    let late = "failed: the speech worker gave no answer in time";
    assert_eq!(worker.outputs(), [format!("2 {late}"), "cancel 1".into(), format!("1 {late}")]);
    worker.ask(audio(2, Urgency::Final));
    assert!(worker.outputs().is_empty(), "it is busy");
    worker.sends(heard(slow));
    assert_eq!(worker.outputs(), ["ask 3"], "the late answer is nobody's");
    // It says nothing at all any more.
    worker.wait(2_000 + 5_000);
    let outputs = worker.outputs();
    assert_eq!(outputs, ["cancel 3".into(), format!("3 {late}"), "kill".into()]);
    worker.wait(100);
    assert_eq!(worker.outputs(), ["start"]);
}

#[test]
fn requests_in_a_long_back_off_end_with_what_happened() {
    let mut worker = Worker::new();
    worker.ask(audio(1, Urgency::Final));
    for wait_ms in [100, 200, 400, 800, 1_600] {
        worker.machine.handle_exit(worker.now, "exit status: 1");
        worker.wait(wait_ms);
    }
    let outputs = worker.outputs();
    assert!(outputs.contains(&"1 failed: the speech worker ended: exit status: 1".to_owned()), "{outputs:?}");
    assert_eq!(outputs.iter().filter(|output| *output == "start").count(), 6, "{outputs:?}");
}

#[test]
fn a_full_queue_refuses_and_keeps_final_words() {
    let mut worker = Worker::ready();
    worker.ask(audio(0, Urgency::Final));
    for session in 1..=crate::limits::WAITING_MAX as u64 {
        worker.ask(audio(session, Urgency::Partial));
    }
    worker.outputs();
    let refused = worker.machine.request(worker.now, Tenant(1), audio(1_000, Urgency::Partial), worker.now + MS(1));
    assert_eq!(refused, Err(SpeechError::QueueFull));
    worker.ask(audio(1_001, Urgency::Final));
    assert_eq!(worker.outputs(), ["65 failed: replaced by a newer request"], "a partial one makes room");
    for session in 2_001..2_064 {
        worker.ask(audio(session, Urgency::Final));
    }
    let refused = worker.machine.request(worker.now, Tenant(1), audio(1_000, Urgency::Final), worker.now + MS(1));
    assert_eq!(refused, Err(SpeechError::QueueFull));
}

#[test]
fn a_worker_that_cannot_work_is_not_started_again_at_once() {
    let mut worker = Worker::new();
    worker.ask(audio(1, Urgency::Final));
    worker.outputs();
    let message = "encoder_model.ort is missing: run `trunkline models fetch`".to_owned();
    worker.sends(WorkerMessage::Failed { id: RequestId(0), kind: FailureKind::FilesMissing, message: message.clone() });
    assert_eq!(worker.outputs(), ["kill".to_owned(), format!("1 failed: {message}")]);
    worker.machine.handle_exit(worker.now, "exit status: 1");
    let refused = worker.machine.request(worker.now, Tenant(1), audio(1, Urgency::Final), worker.now + MS(500));
    assert_eq!(refused, Err(SpeechError::Unavailable(message)));
    worker.wait(UNAVAILABLE_FOR.as_millis() as u64);
    assert!(worker.outputs().is_empty(), "only when somebody asks");
    worker.ask(audio(1, Urgency::Final));
    assert_eq!(worker.outputs(), ["start"]);
}

#[test]
fn a_worker_of_another_version_is_not_asked() {
    let mut worker = Worker::new();
    worker.ask(audio(1, Urgency::Final));
    worker.outputs();
    worker.sends(WorkerMessage::Hello(Hello { version: VERSION + 1, ..Hello::default() }));
    let outputs = worker.outputs();
    assert_eq!(outputs[0], "kill");
    let says = format!("speaks version {} of the protocol and the server {VERSION}", VERSION + 1);
    assert!(outputs[1].contains(&says), "{outputs:?}");
}

#[test]
fn a_worker_that_does_not_start_is_killed_and_started_again() {
    let mut worker = Worker::new();
    worker.machine.warm_up(worker.now).unwrap();
    worker.wait(START_MAX.as_millis() as u64);
    assert_eq!(worker.outputs(), ["start", "kill"]);
    worker.wait(100);
    assert_eq!(worker.outputs(), ["start"]);
    worker.hello();
    worker.hello();
    assert_eq!(worker.outputs(), ["kill"], "two hellos are none");
    worker.sends(heard(RequestId(77)));
    assert!(worker.outputs().is_empty(), "an answer that nobody asked for");
}

/// What the worker is asked next when it has answered.
fn answers(worker: &mut Worker, id: u64) -> Vec<u64> {
    worker.sends(heard(RequestId(id)));
    let asked = worker.outputs().into_iter().filter_map(|output| output.strip_prefix("ask ").map(str::to_owned));
    asked.map(|id| id.parse().unwrap()).collect()
}

#[test]
fn a_busy_organization_delays_final_words_of_another_by_one_request() {
    let mut worker = Worker::ready();
    for session in 0..40 {
        worker.ask_for(Tenant(1), audio(session, Urgency::Final));
    }
    let quiet = worker.ask_for(Tenant(2), audio(100, Urgency::Final));
    assert_eq!(worker.outputs(), ["ask 1"]);
    assert_eq!(answers(&mut worker, 1), [quiet.0], "only what was under way");
    assert_eq!(answers(&mut worker, quiet.0), [2]);
    // The same for words so far and for speech.
    let mut worker = Worker::ready();
    for session in 0..20 {
        worker.ask_for(Tenant(1), audio(session, Urgency::Partial));
    }
    let quiet = worker.ask_for(Tenant(2), audio(100, Urgency::Partial));
    assert_eq!((worker.outputs(), answers(&mut worker, 1)), (vec!["ask 1".to_owned()], vec![quiet.0]));
}

#[test]
fn a_full_queue_loses_what_is_of_the_organization_that_filled_it() {
    let mut worker = Worker::ready();
    for session in 0..=crate::limits::WAITING_MAX as u64 {
        worker.ask_for(Tenant(1), audio(session, Urgency::Final));
    }
    worker.outputs();
    let quiet = worker.ask_for(Tenant(2), audio(100, Urgency::Final));
    assert_eq!(worker.outputs(), ["65 failed: too many requests wait for the speech worker"], "the newest of them");
    assert_eq!(answers(&mut worker, 1), [quiet.0]);
    assert_eq!(worker.machine.waiting(), (crate::limits::WAITING_MAX - 1, 0));
    // Words so far of another organization do not push out final words.
    worker.ask_for(Tenant(1), audio(101, Urgency::Final));
    let refused = worker.machine.request(worker.now, Tenant(3), audio(1, Urgency::Partial), worker.now + MS(1));
    assert_eq!(refused, Err(SpeechError::QueueFull));
}
