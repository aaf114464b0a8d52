//! Which text is spoken next: the one whose listener runs out of sound first. Texts are spoken piece by piece, so whoever
//! hears nothing yet waits for one piece of another text at most, and nobody's sentence has a gap because somebody else's
//! is made to its end. Pure: the time is an argument.

use std::time::{Duration, Instant};
use trunkline_local_speech::message::RequestId;

/// When whoever hears nothing should hear something. Of those who have sound, whose sound ends sooner comes first.
const FIRST_SOUND: Duration = Duration::from_millis(250);
/// How much later for each text of the same organization that has not begun either: many calls of one organization do not
/// delay the first words of another.
const EACH_BEFORE: Duration = Duration::from_millis(40);
/// A second thread helps with what is due so soon. What has more sound before it is left to the first one, and the rest
/// of the machine to others.
const URGENT: Duration = Duration::from_millis(600);

/// A text on the agenda, with what it takes to speak it.
#[derive(Debug)]
pub(super) struct Entry<T> {
    pub(super) id: RequestId,
    tenant: u64,
    /// When the sound that the listener has ends.
    sound_until: Instant,
    /// When the next piece is needed.
    due: Instant,
    is_begun: bool,
    pub(super) text: T,
}

impl<T> Entry<T> {
    /// A piece of it was spoken.
    pub(super) fn has_spoken(&mut self, now: Instant, piece: Duration) {
        if !piece.is_zero() {
            self.is_begun = true;
            self.sound_until = self.sound_until.max(now) + piece;
            self.due = self.sound_until;
        }
    }
}

/// The texts that wait for a thread.
#[derive(Debug)]
pub(super) struct Agenda<T> {
    entries: Vec<Entry<T>>,
    entries_max: usize,
}

impl<T> Agenda<T> {
    pub(super) fn new(entries_max: usize) -> Self {
        Self { entries: Vec::new(), entries_max }
    }

    /// Takes a text of an organization, whose listener has so much sound before it. False if there is no room.
    pub(super) fn push(&mut self, now: Instant, id: RequestId, tenant: u64, sound: Duration, text: T) -> bool {
        if self.entries.len() >= self.entries_max {
            return false;
        }
        let before = self.entries.iter().filter(|other| other.tenant == tenant && !other.is_begun).count();
        let sound_until = now + sound;
        let due = sound_until + FIRST_SOUND + EACH_BEFORE * before as u32;
        self.entries.push(Entry { id, tenant, sound_until, due, is_begun: false, text });
        true
    }

    /// A text that was taken, and is not over yet.
    pub(super) fn put_back(&mut self, entry: Entry<T>) {
        self.entries.push(entry);
    }

    /// What is spoken next; those that are over, because nobody waits, before all others. A helping thread only takes what
    /// is urgent.
    pub(super) fn take(&mut self, now: Instant, is_helper: bool, is_over: impl Fn(&T) -> bool) -> Option<Entry<T>> {
        let over = self.entries.iter().position(|entry| is_over(&entry.text));
        let place = over.or_else(|| {
            let all = self.entries.iter().enumerate();
            let (place, first) = all.min_by_key(|(_, entry)| (entry.due, entry.id))?;
            (!is_helper || first.due <= now + URGENT).then_some(place)
        })?;
        Some(self.entries.swap_remove(place))
    }

    /// When a helping thread has something to do, if nothing else comes.
    pub(super) fn next_urgent(&self) -> Option<Instant> {
        self.entries.iter().map(|entry| entry.due.checked_sub(URGENT).unwrap_or(entry.due)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// One thread that takes 80 ms for a piece of 320, 640, 960 ... ms, in virtual time.
    struct Thread {
        agenda: Agenda<u64>,
        now: Instant,
        start: Instant,
        /// Pieces of a text, and when the listener had nothing to hear, in milliseconds.
        spoken: Vec<(u64, u64)>,
        gap_ms: u64,
    }

    impl Thread {
        #[expect(clippy::disallowed_methods, reason = "a test needs some time")]
        fn new() -> Self {
            let now = Instant::now();
            Self { agenda: Agenda::new(32), now, start: now, spoken: Vec::new(), gap_ms: 0 }
        }

        fn ask(&mut self, id: u64, tenant: u64, sound_ms: u64) {
            assert!(self.agenda.push(self.now, RequestId(id), tenant, MS(sound_ms), 0));
        }

        /// Speaks one piece of a text of this many.
        fn speak(&mut self, pieces: u64) -> bool {
            let Some(mut entry) = self.agenda.take(self.now, false, |_| false) else { return false };
            self.now += MS(80);
            if entry.is_begun {
                self.gap_ms =
                    self.gap_ms.max((self.now.saturating_duration_since(entry.sound_until)).as_millis() as u64);
            }
            entry.text += 1;
            entry.has_spoken(self.now, MS(320 * entry.text.min(3)));
            self.spoken.push((entry.id.0, (self.now - self.start).as_millis() as u64));
            if entry.text < pieces {
                self.agenda.put_back(entry);
            }
            true
        }

        fn first(&self, id: u64) -> u64 {
            self.spoken.iter().find(|(other, _)| *other == id).expect("spoken").1
        }
    }

    #[test]
    fn five_who_hear_nothing_hear_something_before_anyone_hears_the_rest() {
        let mut thread = Thread::new();
        (1..=5).for_each(|id| thread.ask(id, 1, 0));
        while thread.speak(6) {}
        assert_eq!((1..=5).map(|id| thread.first(id)).collect::<Vec<_>>(), [80, 160, 240, 320, 480]);
        assert!(thread.gap_ms <= 80, "no sentence has a gap that is heard: {} ms", thread.gap_ms);
    }

    #[test]
    fn who_has_sound_comes_after_who_has_none_and_before_it_ends() {
        let mut thread = Thread::new();
        thread.ask(1, 1, 2_000);
        thread.ask(2, 1, 0);
        thread.speak(9);
        thread.speak(9);
        assert_eq!(thread.spoken, [(2, 80), (2, 160)], "its sound ends first");
        thread.ask(3, 2, 0);
        thread.speak(9);
        assert_eq!(thread.spoken.last(), Some(&(3, 240)));
    }

    #[test]
    fn a_busy_organization_delays_the_first_words_of_another_by_little() {
        let mut thread = Thread::new();
        (1..=12).for_each(|id| thread.ask(id, 1, 0));
        thread.ask(99, 2, 0);
        while thread.speak(6) {}
        assert!(thread.first(99) <= 240, "{} ms", thread.first(99));
        // Also while all of its calls are late.
        let mut thread = Thread::new();
        (1..=12).for_each(|id| thread.ask(id, 1, 0));
        (0..40).for_each(|_| assert!(thread.speak(100)));
        let asked = thread.now;
        thread.ask(99, 2, 0);
        (0..12).for_each(|_| assert!(thread.speak(100)));
        let waited = thread.first(99) - (asked - thread.start).as_millis() as u64;
        assert!(waited <= 800, "{waited} ms");
    }

    #[test]
    fn a_helper_leaves_what_has_time_and_what_is_over_goes_first() {
        let mut thread = Thread::new();
        thread.ask(1, 1, 5_000);
        let at = thread.agenda.next_urgent().expect("later");
        assert!(thread.agenda.take(thread.now, true, |_| false).is_none());
        assert_eq!(at - thread.now, MS(5_000) + FIRST_SOUND - URGENT);
        thread.ask(2, 1, 0);
        assert_eq!(thread.agenda.take(thread.now, true, |_| false).map(|entry| entry.id.0), Some(2));
        assert!(thread.agenda.take(at, true, |_| false).is_some());
        thread.ask(3, 1, 0);
        thread.ask(4, 1, 9_000);
        thread.agenda.entries[1].text = 7;
        assert_eq!(thread.agenda.take(thread.now, true, |text| *text == 7).map(|entry| entry.id.0), Some(4));
        let mut full = Agenda::new(1);
        assert!(full.push(at, RequestId(1), 1, MS(0), ()) && !full.push(at, RequestId(2), 1, MS(0), ()));
    }
}
