//! Keys that are pressed before the answer.

use super::*;

#[test]
fn digits_before_the_answer_are_kept_for_the_answered_call() {
    let digit = |digit| SipEvent::DigitReceived { call: CALL, digit };
    let mut call = Harness::start(OfferMode::Early, RedirectPolicy::Anywhere);
    call.event(digit('9'));
    call.ended(redirected(&["sip:desk@x.example"]));
    call.event(digit('1'));
    call.early_media("a", 6_000);
    call.event(digit('2'));
    call.call.handle_early_digit('3');
    for _ in 0..2 * EARLY_DIGITS_MAX {
        call.event(digit('0'));
    }
    call.answered("a", Some(sdp(6_000)));
    call.event(digit('4'));
    let Some(Ok(answered)) = call.call.result() else { panic!() };
    assert_eq!(answered.early_digits[..3], *"123", "of this callee alone, in their order");
    assert_eq!(answered.early_digits.len(), EARLY_DIGITS_MAX);
}
