//! Addresses, tokens and ICE sessions in virtual time.
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]

use super::*;

const VALID: Duration = Duration::from_secs(60);

#[test]
fn an_address_holds_so_many_calls_at_once() {
    let mut calls = WebCallCounts::default();
    let (here, there) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
    assert!(calls.take_address(here, 2).is_ok() && calls.take_address(here, 2).is_ok());
    assert_eq!(calls.take_address(here, 2), Err(WebCallError::AddressFull));
    assert!(calls.take_address(there, 2).is_ok());
    calls.release_address(here);
    assert!(calls.take_address(here, 2).is_ok());
    for address in [here, here, there, there] {
        calls.release_address(address);
    }
    assert!(calls.addresses.is_empty());
}

#[test]
fn the_first_offer_of_a_token_goes_to_its_call_and_later_ones_to_others() {
    let (mut calls, now) = (WebCallCounts::default(), Instant::now());
    let token = CallId::new();
    assert_eq!(calls.use_token(token, 2, VALID, now), Ok(CallOfOffer::OfToken));
    calls.release_token_use(token);
    let uses = [(); 3].map(|()| calls.use_token(token, 2, VALID, now));
    assert_eq!(uses, [Ok(CallOfOffer::OfToken), Ok(CallOfOffer::Another), Err(WebCallError::TokenUsed)]);
    assert_eq!(calls.use_token(CallId::new(), 2, VALID, now), Ok(CallOfOffer::OfToken));
}

#[test]
fn a_token_is_remembered_while_one_of_its_calls_goes_on() {
    let (mut calls, now) = (WebCallCounts::default(), Instant::now());
    let (token, call, stranger) = (CallId::new(), CallId::new(), CallId::new());
    calls.use_token(token, 1, VALID, now).unwrap();
    calls.record_call_started(token, call, "abcd".into());
    assert!(calls.owns(token, token) && calls.owns(token, call) && !calls.owns(token, stranger));
    assert_eq!(calls.ice_session(call).as_deref(), Some("abcd"));
    calls.record_ice_restart(call, "efgh".into());
    assert_eq!(calls.ice_session(call).as_deref(), Some("efgh"));
    let later = now + VALID * 2;
    assert_eq!(calls.use_token(token, 1, VALID, later), Err(WebCallError::TokenUsed));
    calls.forget(call);
    assert_eq!(calls.ice_session(call), None);
    assert_eq!(calls.use_token(token, 1, VALID, later - Duration::from_secs(1)), Err(WebCallError::TokenUsed));
    assert_eq!(calls.use_token(token, 1, VALID, later), Ok(CallOfOffer::OfToken), "forgotten: its own time is over");
}

#[test]
fn what_is_switched_off_is_said_before_what_is_full() {
    assert_eq!(check_web_call(true, true, true), Ok(()));
    assert_eq!(check_web_call(false, false, false), Err(WebCallError::Disabled));
    assert_eq!(check_web_call(true, false, false), Err(WebCallError::AgentInactive));
    assert_eq!(check_web_call(true, true, false), Err(WebCallError::Overloaded));
}

#[test]
fn only_a_bad_offer_gives_the_token_back() {
    assert_eq!(after_offer(&Ok(())), AfterOffer::Record);
    assert_eq!(after_offer::<()>(&Err(WebCallError::Offer("no audio".into()))), AfterOffer::ReleaseToken);
    for error in [WebCallError::CallEnded, WebCallError::Overloaded, WebCallError::TokenUsed] {
        assert_eq!(after_offer::<()>(&Err(error)), AfterOffer::KeepToken);
    }
}

#[test]
fn a_call_that_no_browser_reached_was_not_answered() {
    assert_eq!(end_reason_before_answer(EndReason::EndedByApi), EndReason::Canceled);
    assert_eq!(end_reason_before_answer(EndReason::CustomerHungUp), EndReason::Canceled);
    assert_eq!(end_reason_before_answer(EndReason::ServerShutdown), EndReason::ServerShutdown);
    let at = Instant::now();
    assert_eq!(connected(Some(&LegEvent::Connected { at })), Some(Ok(())));
    assert_eq!(connected(Some(&LegEvent::PeerClosed)), Some(Err(EndReason::Canceled)));
    for lost in [Some(&LegEvent::NetworkLost), Some(&LegEvent::InternalError), None] {
        assert_eq!(connected(lost), Some(Err(EndReason::NetworkLost)));
    }
    assert_eq!(connected(Some(&LegEvent::DtmfSent)), None);
}
