//! Causes of the network, in the words of a call's record.

use super::*;

fn why(sip: Option<u16>, q850: Option<u8>) -> Option<Reason> {
    Some(Reason { sip, q850, text: None })
}

fn rejected(status: u16, q850: Option<u8>) -> EndCause {
    let reason_header = q850.and_then(|q850| why(None, Some(q850)));
    EndCause::Rejected { status, reason: "Busy Here".to_owned(), retry_after_s: None, reason_header }
}

#[test]
fn ends_are_named_by_the_networks_cause() {
    for (status, q850, wanted) in [
        (480, Some(17), EndReason::Busy),
        (480, Some(1), EndReason::InvalidNumber),
        (503, Some(21), EndReason::Rejected),
        (503, Some(34), EndReason::TrunkError),
        (480, None, EndReason::NoAnswer),
        (486, Some(16), EndReason::Busy),
    ] {
        assert_eq!(end_reason_of_unanswered(&rejected(status, q850)), wanted, "{status} {q850:?}");
    }
    for (sip, q850, wanted) in [
        (None, Some(16), EndReason::CustomerHungUp),
        (None, Some(38), EndReason::TrunkError),
        (Some(408), None, EndReason::NetworkLost),
        (Some(408), Some(31), EndReason::NetworkLost),
        (Some(408), Some(16), EndReason::CustomerHungUp),
        (Some(200), None, EndReason::CustomerHungUp),
        (Some(488), Some(65), EndReason::TrunkError),
        (Some(606), None, EndReason::TrunkError),
        (None, Some(88), EndReason::TrunkError),
    ] {
        let bye = EndCause::RemoteBye { reason_header: why(sip, q850) };
        assert_eq!(end_reason_of_cause(&bye), wanted, "{sip:?} {q850:?}");
    }
    assert_eq!(end_reason_of_cause(&EndCause::RemoteBye { reason_header: None }), EndReason::CustomerHungUp);
}

#[test]
fn every_end_of_a_dialog_has_a_reason_before_and_after_the_answer() {
    let hang_up = || EndCause::RemoteBye { reason_header: None };
    let cancel = || EndCause::RemoteCancel { reason_header: None };
    let redirected = || EndCause::Redirected { status: 302, contacts: Vec::new() };
    for (cause, unanswered, unacknowledged, answered) in [
        (hang_up(), EndReason::TrunkError, EndReason::CustomerHungUp, EndReason::CustomerHungUp),
        (cancel(), EndReason::TrunkError, EndReason::Canceled, EndReason::CustomerHungUp),
        (rejected(486, None), EndReason::Busy, EndReason::NetworkLost, EndReason::TrunkError),
        (redirected(), EndReason::TrunkError, EndReason::NetworkLost, EndReason::TrunkError),
        (EndCause::NoResponse, EndReason::TrunkError, EndReason::NetworkLost, EndReason::NetworkLost),
        (EndCause::NotAcknowledged, EndReason::TrunkError, EndReason::NetworkLost, EndReason::NetworkLost),
        (EndCause::Unreachable("refused".into()), EndReason::TrunkError, EndReason::NetworkLost, EndReason::TrunkError),
        (EndCause::DialogLost, EndReason::TrunkError, EndReason::NetworkLost, EndReason::NetworkLost),
        (EndCause::SessionExpired, EndReason::TrunkError, EndReason::NetworkLost, EndReason::NetworkLost),
        (EndCause::LocalHangUp, EndReason::Canceled, EndReason::NetworkLost, EndReason::AgentHungUp),
        (EndCause::UnusableMedia, EndReason::TrunkError, EndReason::TrunkError, EndReason::TrunkError),
        (EndCause::InternalError, EndReason::ServerCrash, EndReason::ServerCrash, EndReason::ServerCrash),
    ] {
        assert_eq!(end_reason_of_unanswered(&cause), unanswered, "{cause:?}");
        assert_eq!(end_reason_before_ack(&cause), unacknowledged, "{cause:?}");
        assert_eq!(end_reason_of_cause(&cause), answered, "{cause:?}");
    }
}

#[test]
fn a_call_shows_status_cause_and_text_of_its_end() {
    let facts = |cause| Value::Object(reason_facts(&cause));
    assert_eq!(facts(rejected(486, Some(17))), json!({"sip_status": 486, "sip_reason": "Busy Here", "q850_cause": 17}));
    let bye = Reason { sip: Some(200), q850: None, text: Some("done".into()) };
    let bye = EndCause::RemoteBye { reason_header: Some(bye) };
    assert_eq!(facts(bye), json!({"reason_sip_cause": 200, "reason_text": "done"}));
    assert_eq!(facts(EndCause::Redirected { status: 302, contacts: Vec::new() }), json!({"sip_status": 302}));
    assert_eq!(facts(EndCause::Unreachable("refused".into())), json!({"problem": "refused"}));
    assert_eq!(facts(EndCause::NoResponse), json!({"problem": "no answer from the trunk"}));
    let unusable = json!({"problem": "the media that the peer described cannot be used"});
    assert_eq!(facts(EndCause::UnusableMedia), unusable);
    assert_eq!(facts(EndCause::LocalHangUp), json!({}));
}

#[test]
fn a_call_that_is_answered_after_a_redirection_does_not_show_it() {
    let mut facts = Map::from_iter([("headers".to_owned(), json!({"x-a": "1"}))]);
    facts.extend(reason_facts(&EndCause::Redirected { status: 302, contacts: Vec::new() }));
    facts.extend(reason_facts(&rejected(486, Some(17))));
    forget_refusal(&mut facts);
    assert_eq!(Value::Object(facts), json!({"headers": {"x-a": "1"}}));
}

#[test]
fn progress_of_a_referral_is_taken_over() {
    use user_agent::ReferStatus;
    assert!(matches!(refer_progress(ReferStatus::Accepted), ReferProgress::Accepted));
    assert!(matches!(refer_progress(ReferStatus::Rejected { status: 603 }), ReferProgress::Refused { status: 603 }));
    let notified = refer_progress(ReferStatus::Notified { status: 200, last: true });
    assert!(matches!(notified, ReferProgress::Progress { status: 200, last: true }));
}
