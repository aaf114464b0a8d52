//! Services that refuse a connection: weather, or for good.

use super::*;

fn alone(vendor: &'static Service) -> Caller {
    let candidates = vec![candidate(vendor, ProviderAccount::Deepgram, "vendor", false)];
    Caller { session: open_stt_session(&providers(), candidates), next_word: 1, told: vec![] }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_refused_once_is_made_again() {
    for status in [400, 404, 405, 422, 429, 500, 503] {
        let vendor = Service::new(Mode::StatusOnce(status));
        let mut caller = alone(vendor);
        let (said, after) = caller.says_three_words().await;
        assert_eq!(caller.finals(), [said], "{status}: {:?}", caller.told);
        assert!(after.unwrap() <= 400 * MS, "{status}: {after:?}");
        assert!(caller.told.iter().all(|event| !matches!(event, SttEvent::Failed(_))), "{:?}", caller.told);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_ends_the_session_at_once_and_anything_else_with_the_second_refusal() {
    for (status, connections) in [(401, 1), (402, 1), (403, 1), (400, 2), (404, 2)] {
        let vendor = Service::new(Mode::Status(status));
        let mut caller = alone(vendor);
        pass(2_000 * MS).await;
        let told: Vec<SttEvent> = std::iter::from_fn(|| caller.session.stream.events.try_recv().ok()).collect();
        assert_eq!(vendor.connections.load(Ordering::Relaxed), connections, "{status}");
        assert!(matches!(told.last(), Some(SttEvent::Failed(_))), "{status}: {told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_was_refused_once_comes_back_from_its_fallback() {
    for status in [400, 404] {
        let (vendor, local) = (Service::new(Mode::StatusOnce(status)), Service::new(HEARS));
        let mut caller = Caller::new(vendor, local);
        let mut said = Vec::new();
        for _ in 0..3 {
            said.push(caller.says_three_words().await.0);
        }
        assert_eq!(caller.finals(), said, "{status}");
        assert!(caller.switches().contains(&"local vendor recovered".to_owned()), "{:?}", caller.switches());
        // One that goes on refusing is left alone.
        let (vendor, local) = (Service::new(Mode::Status(status)), Service::new(HEARS));
        let mut caller = Caller::new(vendor, local);
        for _ in 0..6 {
            caller.says_three_words().await;
        }
        assert_eq!((caller.finals().len(), vendor.connections.load(Ordering::Relaxed)), (6, 2), "{status}");
    }
}
