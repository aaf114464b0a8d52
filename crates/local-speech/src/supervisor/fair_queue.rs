//! What waits for the worker, in an order in which no organization waits for more than its share of another one's work:
//! start-time fair queueing, by the length of the work. Within an organization comes first what is needed first.
//! <https://doi.org/10.1109/90.649569>

use super::work::Work;
use crate::message::RequestId;
use crate::request::Tenant;
use std::collections::HashMap;

/// Requests of one urgency.
#[derive(Debug, Default)]
pub(super) struct FairQueue {
    /// In the order in which they came, each with the time at which it may begin, in work done.
    waiting: Vec<(u64, Work)>,
    /// Of the work that was taken last.
    clock: u64,
    /// When the work of an organization is done; those that are done already are left out.
    done: HashMap<Tenant, u64>,
}

impl FairQueue {
    /// Takes work in.
    pub(super) fn push(&mut self, work: Work) {
        let start = self.done.get(&work.tenant()).copied().unwrap_or_default().max(self.clock);
        self.done.insert(work.tenant(), start.saturating_add(work.length()));
        self.waiting.push((start, work));
    }

    /// Takes work back that was taken out: it is next.
    pub(super) fn put_back(&mut self, work: Work) {
        self.waiting.insert(0, (0, work));
    }

    /// Puts work in the place of waiting work that it makes useless; what was replaced.
    pub(super) fn replace(&mut self, is_useless: impl Fn(&Work) -> bool, work: Work) -> Result<RequestId, Work> {
        match self.waiting.iter_mut().find(|(_, other)| is_useless(other)) {
            Some((_, other)) => Ok(std::mem::replace(other, work).id()),
            None => Err(work),
        }
    }

    /// What the worker does next.
    pub(super) fn pop(&mut self) -> Option<Work> {
        let (start, tenant) =
            self.waiting.iter().map(|(start, work)| (*start, work.tenant())).min_by_key(|(start, _)| *start)?;
        let of_tenant = self.waiting.iter().enumerate().filter(|(_, (_, work))| work.tenant() == tenant);
        let (place, _) = of_tenant.min_by_key(|(_, (_, work))| work.deadline())?;
        let (other_start, work) = self.waiting.remove(place);
        // The work that had the first turn gets the turn of the one that is taken.
        if let Some((own, _)) = self.waiting.iter_mut().find(|(own, work)| *own == start && work.tenant() == tenant) {
            *own = other_start;
        }
        self.clock = self.clock.max(start);
        self.done.retain(|_, done| *done > self.clock);
        Some(work)
    }

    /// How many requests of this organization wait.
    pub(super) fn count_of(&self, tenant: Tenant) -> usize {
        self.waiting.iter().filter(|(_, work)| work.tenant() == tenant).count()
    }

    /// The organization that has most requests here, and how many.
    pub(super) fn busiest(&self) -> Option<(Tenant, usize)> {
        let all = self.waiting.iter().map(|(_, work)| (work.tenant(), self.count_of(work.tenant())));
        all.max_by_key(|(_, count)| *count)
    }

    /// Gives up the last request of an organization.
    pub(super) fn drop_last(&mut self, tenant: Tenant) -> Option<RequestId> {
        let place = self.waiting.iter().rposition(|(_, work)| work.tenant() == tenant)?;
        Some(self.waiting.remove(place).1.id())
    }

    /// Takes out what no longer counts.
    pub(super) fn take_if(&mut self, is_over: impl Fn(&Work) -> bool) -> Vec<RequestId> {
        let over = self.waiting.iter().filter(|(_, work)| is_over(work)).map(|(_, work)| work.id()).collect();
        self.waiting.retain(|(_, work)| !is_over(work));
        over
    }

    /// All that waits.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Work> {
        self.waiting.iter().map(|(_, work)| work)
    }

    /// How much waits.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{SessionId, Urgency};
    use crate::request::SpeechRequest;
    use std::time::{Duration, Instant};

    fn work(id: u64, tenant: u64, samples: usize) -> Work {
        due(id, tenant, samples, 0)
    }

    /// Work that is needed after so many seconds.
    #[expect(clippy::disallowed_methods, reason = "a time to count from")]
    fn due(id: u64, tenant: u64, samples: usize, seconds: u64) -> Work {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        let request =
            SpeechRequest::Transcribe { session: SessionId(id), urgency: Urgency::Final, samples: vec![0; samples] };
        Work::new(RequestId(id), Tenant(tenant), request, deadline)
    }

    fn order(queue: &mut FairQueue) -> Vec<u64> {
        std::iter::from_fn(|| queue.pop()).map(|work| work.id().0).collect()
    }

    #[test]
    fn organizations_take_turns_however_much_one_of_them_asks() {
        let mut queue = FairQueue::default();
        (1..=6).for_each(|id| queue.push(work(id, 1, 100)));
        (11..=12).for_each(|id| queue.push(work(id, 2, 100)));
        assert_eq!(order(&mut queue), [1, 11, 2, 12, 3, 4, 5, 6]);
        assert!(queue.done.len() <= 1, "what is done is forgotten");
    }

    #[test]
    fn long_work_counts_for_more_than_short_work() {
        let mut queue = FairQueue::default();
        (1..=3).for_each(|id| queue.push(work(id, 1, 300)));
        (11..=16).for_each(|id| queue.push(work(id, 2, 100)));
        assert_eq!(order(&mut queue), [1, 11, 12, 13, 2, 14, 15, 16, 3]);
    }

    #[test]
    fn who_was_silent_has_saved_nothing_up() {
        let mut queue = FairQueue::default();
        (1..=4).for_each(|id| queue.push(work(id, 1, 100)));
        assert_eq!(queue.pop().map(|work| work.id().0), Some(1));
        assert_eq!(queue.pop().map(|work| work.id().0), Some(2));
        (11..=14).for_each(|id| queue.push(work(id, 2, 100)));
        assert_eq!(order(&mut queue), [11, 3, 12, 4, 13, 14], "one after the other from now on");
    }

    #[test]
    fn an_organization_gets_first_what_it_needs_first_and_no_more_than_its_share() {
        let mut queue = FairQueue::default();
        [(1, 30), (2, 10), (3, 20)].into_iter().for_each(|(id, seconds)| queue.push(due(id, 1, 100, seconds)));
        [(11, 30), (12, 25)].into_iter().for_each(|(id, seconds)| queue.push(due(id, 2, 100, seconds)));
        assert_eq!(order(&mut queue), [2, 12, 3, 11, 1]);
    }

    #[test]
    fn what_comes_back_is_next_and_what_is_over_is_gone() {
        let mut queue = FairQueue::default();
        (1..=3).for_each(|id| queue.push(work(id, 1, 100)));
        let first = queue.pop().unwrap();
        queue.put_back(first);
        assert_eq!(queue.take_if(|work| work.id().0 == 2), [RequestId(2)]);
        assert_eq!((queue.busiest(), queue.drop_last(Tenant(1))), (Some((Tenant(1), 2)), Some(RequestId(3))));
        assert_eq!(order(&mut queue), [1]);
    }
}
