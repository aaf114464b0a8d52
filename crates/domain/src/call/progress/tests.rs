//! Every combination of columns is read as it is, and what a call writes of itself is regular.

use super::*;

const ANSWERED: UnixMs = UnixMs(5);
const ENDED: UnixMs = UnixMs(9);

type Columns = (CallStatus, Option<EndReason>, Option<UnixMs>, Option<UnixMs>);

fn columns(progress: &CallProgress) -> Columns {
    (progress.status(), progress.end_reason(), progress.answered_at(), progress.ended_at())
}

fn read((status, end_reason, answered_at, ended_at): Columns) -> CallProgress {
    CallProgress::from_columns(status, end_reason, answered_at, ended_at)
}

/// Every status with every reason or none, answered or not, ended or not.
fn all_columns() -> Vec<Columns> {
    let reasons = || std::iter::once(None).chain(EndReason::ALL.iter().copied().map(Some));
    let mut all = Vec::new();
    for status in CallStatus::ALL {
        for reason in reasons() {
            for answered_at in [None, Some(ANSWERED)] {
                all.extend([None, Some(ENDED)].map(|ended_at| (*status, reason, answered_at, ended_at)));
            }
        }
    }
    all
}

#[test]
fn every_row_is_read_as_it_is_whatever_version_wrote_it() {
    for row in all_columns() {
        assert_eq!(columns(&read(row)), row);
    }
}

#[test]
fn only_rows_that_this_version_would_not_write_are_irregular() {
    let regular = all_columns().into_iter().filter(|row| !matches!(read(*row), CallProgress::Irregular(_)));
    // Before the end there is one row for each state; each end is one row with an answer and one without.
    assert_eq!(regular.count(), 2 + 2 * EndReason::ALL.len());
    for (status, end_reason, answered_at, ended_at) in [
        (CallStatus::Completed, None, Some(ANSWERED), Some(ENDED)),
        (CallStatus::Failed, None, None, Some(ENDED)),
        (CallStatus::Failed, Some(EndReason::Busy), None, None),
        (CallStatus::Completed, Some(EndReason::Busy), Some(ANSWERED), Some(ENDED)),
        (CallStatus::Completed, Some(EndReason::CustomerHungUp), None, Some(ENDED)),
        (CallStatus::Failed, Some(EndReason::Voicemail), Some(ANSWERED), Some(ENDED)),
        (CallStatus::InProgress, None, None, None),
        (CallStatus::Initiated, None, Some(ANSWERED), None),
        (CallStatus::InProgress, Some(EndReason::Fax), Some(ANSWERED), Some(ENDED)),
    ] {
        let progress = CallProgress::from_columns(status, end_reason, answered_at, ended_at);
        assert!(matches!(progress, CallProgress::Irregular(_)), "{progress:?}");
    }
}

#[test]
fn what_a_call_goes_through_is_regular_and_ends_as_its_reason_says() {
    let started = CallProgress::Initiated;
    let answered = started.answer(ANSWERED);
    assert_eq!(columns(&answered), (CallStatus::InProgress, None, Some(ANSWERED), None));
    for reason in EndReason::ALL.iter().copied() {
        let status = if reason.is_failure() { CallStatus::Failed } else { CallStatus::Completed };
        for (before, wanted) in [
            (answered, (status, Some(reason), Some(ANSWERED), Some(ENDED))),
            (started, (CallStatus::Failed, Some(reason), None, Some(ENDED))),
        ] {
            let over = before.end(reason, ENDED);
            assert_eq!((columns(&over), read(wanted)), (wanted, over));
        }
    }
}

#[test]
fn an_end_is_final() {
    for row in all_columns().into_iter().filter(|(status, ..)| status.is_over()) {
        let over = read(row);
        assert_eq!((over.answer(UnixMs(20)), over.end(EndReason::Overload, UnixMs(20))), (over, over));
    }
}

#[test]
fn an_irregular_call_that_goes_on_can_be_answered_and_ended() {
    for row in all_columns().into_iter().filter(|(status, ..)| !status.is_over()) {
        assert_eq!(read(row).answer(UnixMs(7)), CallProgress::InProgress { answered_at: UnixMs(7) });
        let (reason, ended_at) = (EndReason::ServerCrash, UnixMs(20));
        assert_eq!(read(row).end(reason, ended_at), CallProgress::Over { answered_at: row.2, ended_at, reason });
    }
}
