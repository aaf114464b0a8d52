//! The last service that works is kept, and no circuit breaker holds it back.

use super::*;

impl Caller {
    /// The call has waited for final words, and asks for another service.
    fn asks_for_another(&self) {
        self.session.input.try_send(SttInput::Restart).unwrap();
    }

    async fn waits_in_vain(&mut self) {
        self.session.input.try_send(SttInput::SpeechStarted).unwrap();
        self.frames(self.next_word, 30).await;
        self.next_word += 1;
        self.silence(200 * MS).await;
        self.session.input.try_send(SttInput::SpeechEnded).unwrap();
        self.silence(1_000 * MS).await;
        self.asks_for_another();
        self.silence(3_000 * MS).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_service_is_not_left_for_one_that_is_down() {
    for outage in [Mode::Refuses, Mode::Mute, Mode::Wordless] {
        let (vendor, local) = (Service::new(outage), Service::new(Mode::Hears(2_500 * MS)));
        let mut caller = Caller::new(vendor, local);
        for _ in 0..7 {
            caller.waits_in_vain().await;
        }
        let failed = caller.told.iter().any(|event| matches!(event, SttEvent::Failed(_)));
        let back = caller.switches().iter().filter(|one| one.starts_with("local")).count();
        assert!(!failed && back == 0, "{outage:?}: {:?}", caller.told);
        assert!(caller.finals().len() >= 5, "{outage:?}: {:?}", caller.told);
        vendor.set(HEARS);
        caller.silence(20_000 * MS).await;
        caller.says_three_words().await;
        assert_eq!(caller.switches().last().unwrap(), "local vendor recovered", "{outage:?}");
    }
}

/// Both are late: the second one is kept, unless it fails.
#[tokio::test(start_paused = true)]
async fn a_service_that_fails_is_left_for_one_that_was_down() {
    let (vendor, local) = (Service::new(Mode::Refuses), Service::new(Mode::Breaks));
    let mut caller = Caller::new(vendor, local);
    caller.silence(100 * MS).await;
    vendor.set(HEARS);
    caller.says_three_words().await;
    assert!(!caller.finals().is_empty(), "{:?}", caller.told);
}

#[tokio::test(start_paused = true)]
async fn the_circuit_of_the_last_service_holds_nothing_back() {
    let (vendor, local) = (Service::new(Mode::Refuses), Service::new(HEARS));
    let candidates = vec![
        candidate(vendor, ProviderAccount::Deepgram, "vendor", false),
        candidate(local, ProviderAccount::Local, "local", true),
    ];
    let providers = providers();
    let access = access(ProviderAccount::Local);
    let permit = |insist| providers.circuits.acquire(providers.tenant(), &access, PipelineStage::Stt, now(), insist);
    for _ in 0..5 {
        permit(true).unwrap().failed(now(), &LATE);
    }
    assert!(permit(false).is_err(), "it is open");
    let session = open_stt_session(&providers, candidates);
    let mut caller = Caller { session, next_word: 1, told: vec![] };
    let words = caller.says_three_words().await.0;
    assert_eq!(caller.finals(), [words], "{:?}", caller.told);
}
