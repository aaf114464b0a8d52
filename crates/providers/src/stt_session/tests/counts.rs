//! What `trunkline_stt_failbacks_total` counts: each trial once, by how it ended.

use super::*;
use metrics::{Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Counters of this test's thread, by name and labels.
#[derive(Debug, Default)]
struct Counters(Mutex<BTreeMap<String, Arc<Count>>>);

#[derive(Debug, Default)]
struct Count(AtomicU64);

impl CounterFn for Count {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Ordering::Relaxed);
    }

    fn absolute(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

impl Recorder for Counters {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let labels: Vec<String> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let mut counts = self.0.lock().unwrap();
        Counter::from_arc(Arc::clone(counts.entry(format!("{} {}", key.name(), labels.join(" "))).or_default()))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

impl Counters {
    /// Trials that the service passed, and that it failed.
    fn trials(&self) -> (u64, u64) {
        let counts = self.0.lock().unwrap();
        let of = |result| {
            let count = counts.get(&format!("trunkline_stt_failbacks_total result={result}"));
            count.map_or(0, |count| count.0.load(Ordering::Relaxed))
        };
        (of("passed"), of("failed"))
    }
}

#[tokio::test(start_paused = true)]
async fn trials_are_counted_by_their_result() {
    let counters = Counters::default();
    let _guard = metrics::set_default_local_recorder(&counters);
    let (vendor, local) = (Service::new(Mode::Refuses), Service::new(HEARS));
    let mut caller = Caller::new(vendor, local);
    caller.says_three_words().await;
    caller.says_three_words().await;
    assert_eq!(counters.trials(), (0, 0), "a service that refuses the connection has no trial");
    vendor.set(Mode::Hears(1_200 * MS));
    caller.says_three_words().await;
    assert_eq!(counters.trials(), (0, 1), "its words came too late: {:?}", caller.told);
    vendor.set(Mode::Breaks);
    caller.silence(20_000 * MS).await;
    let (_, failed) = counters.trials();
    caller.says_three_words().await;
    let (passed, broken) = counters.trials();
    assert!(passed == 0 && broken > failed, "it broke off: {passed} passed, {broken} failed, {failed} before");
    vendor.set(HEARS);
    caller.silence(20_000 * MS).await;
    caller.says_three_words().await;
    let trials = counters.trials();
    assert_eq!(trials.0, 1, "it listens again: {:?}", caller.told);
    assert_eq!(caller.switches().last().unwrap(), "local vendor recovered");
    caller.says_three_words().await;
    assert_eq!(counters.trials(), trials, "no trial without a fallback that listens");
}
