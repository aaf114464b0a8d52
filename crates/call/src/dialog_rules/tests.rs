//! Requests of the peer during an answered call.

use super::*;
use crate::domain::ids::{CallId, OrganizationId};
use crate::domain::time::UnixMs;
use serde_json::{Value, json};

fn call(direction: Direction) -> Call {
    let mut call = Call::begun(CallId::new(), OrganizationId::new(), direction, UnixMs(0));
    (call.from_number, call.to_number) = ("+31201111111".into(), "+31202222222".into());
    call
}

fn trunk(settings: Value) -> TrunkFields {
    let mut all = json!({"name": "Carrier"});
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

#[test]
fn one_third_party_is_called_at_a_time_and_only_for_the_dialog_that_carries_the_call() {
    assert_eq!(ReferSituation::of(false, true, false), ReferSituation::Possible);
    assert_eq!(ReferSituation::of(true, true, false), ReferSituation::Calling);
    assert_eq!(ReferSituation::of(false, false, false), ReferSituation::OtherDialog);
    assert_eq!(ReferSituation::of(false, true, true), ReferSituation::WebRtc);
}

#[test]
fn a_second_party_sees_our_number_and_never_a_browsers_name() {
    assert_eq!(our_number(&call(Direction::Inbound)), "+31202222222");
    assert_eq!(our_number(&call(Direction::Outbound)), "+31201111111");
    assert_eq!(consultation_from(&call(Direction::Inbound)), "+31202222222");
    assert_eq!(consultation_from(&call(Direction::Outbound)), "+31201111111");
    assert_eq!(consultation_from(&call(Direction::Web)), "");
}

#[test]
fn a_dialog_is_replaced_only_where_nothing_must_be_verified() {
    assert_eq!(may_be_replaced(false, Some(None)), Ok(()));
    for (is_webrtc, required, wanted, status) in [
        (true, Some(None), ReplacesError::WebRtc, 488),
        (false, Some(Some(Attestation::C)), ReplacesError::NeedsAttestation, 403),
        (false, None, ReplacesError::NeedsAttestation, 403),
    ] {
        assert_eq!(may_be_replaced(is_webrtc, required), Err(wanted));
        assert_eq!(wanted.sip_status(), status);
    }
    assert_eq!(ReplacesError::OtherOrganization.sip_status(), 481);
}

#[test]
fn a_number_is_referred_to_as_the_trunk_dials_it() {
    let number = TransferTarget::parse("+31203333333").unwrap();
    let full = trunk(json!({"host": "a.example", "port": 5070, "dial_string": "00{number}"}));
    assert_eq!(refer_uri(&number, Some(&full)), "sip:0031203333333@a.example:5070");
    assert_eq!(refer_uri(&number, Some(&trunk(json!({"host": "a.example"})))), "sip:+31203333333@a.example");
    assert_eq!(refer_uri(&number, Some(&trunk(json!({})))), "tel:+31203333333");
    assert_eq!(refer_uri(&number, None), "tel:+31203333333");
    let uri = TransferTarget::parse("sip:desk@pbx.example").unwrap();
    assert_eq!(refer_uri(&uri, Some(&full)), "sip:desk@pbx.example");
    assert!(refer_needs_trunk(&number) && !refer_needs_trunk(&uri));
}
