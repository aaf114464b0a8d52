//! Damaged calls of the server: early dialogs, forks, challenges, answers that are missing or useless.

use super::callee::Callee;
use super::message::sdp;
use super::target::{FaultTarget, number};
use std::sync::Arc;

type Outcome = Result<(), String>;

/// The answer came in a reliable 183; the 200 has none.
pub(super) async fn answer_in_a_reliable_183(target: Arc<FaultTarget>) -> Outcome {
    let mut callee = Callee::called(&target, number::PLAIN).await?;
    let answer = callee.answer();
    callee.respond("183 Progress", "a", &["Require: 100rel", "RSeq: 1"], &answer).await;
    let prack = callee.next("PRACK").await?;
    callee.respond_to(&prack, "200 OK").await;
    callee.accept("a", "").await?;
    callee.bye("a").await
}

/// The reliable 183 is never followed by anything; its PRACK is not answered.
pub(super) async fn early_dialog_without_an_end(target: Arc<FaultTarget>) -> Outcome {
    let mut callee = Callee::called(&target, number::PLAIN).await?;
    let answer = callee.answer();
    callee.respond("183 Progress", "a", &["Require: 100rel", "RSeq: 1"], &answer).await;
    callee.next("PRACK").await?;
    target.end_call(&callee.call).await?;
    cancelled(&mut callee, "a").await
}

/// Answers a CANCEL and its INVITE.
async fn cancelled(callee: &mut Callee, tag: &str) -> Outcome {
    let cancel = callee.next("CANCEL").await?;
    callee.respond_to(&cancel, "200 OK").await;
    callee.respond("487 Terminated", tag, &[], "").await;
    callee.next("ACK").await.map(drop)
}

/// Two forks with two answers; one of them answers the call without repeating its own.
pub(super) async fn forks_with_answers(target: Arc<FaultTarget>) -> Outcome {
    let mut callee = Callee::called(&target, number::PLAIN).await?;
    let answer = callee.answer();
    for tag in ["a", "b", "c"] {
        callee.respond("183 Progress", tag, &[], &answer).await;
    }
    callee.accept("b", "").await?;
    callee.bye("b").await
}

/// Two forks answer: the second one is acknowledged and hung up.
pub(super) async fn two_forks_answer(target: Arc<FaultTarget>) -> Outcome {
    let mut callee = Callee::called(&target, number::PLAIN).await?;
    let answer = callee.answer();
    callee.accept("a", &answer).await?;
    callee.respond("200 OK", "b", &[], &answer).await;
    callee.hears_bye().await?;
    callee.bye("a").await
}

/// An UPDATE in the early dialog moves the media; the 200 has no description.
pub(super) async fn update_before_the_answer(target: Arc<FaultTarget>) -> Outcome {
    let mut callee = Callee::called(&target, number::PLAIN).await?;
    let answer = callee.answer();
    callee.respond("183 Progress", "a", &["Require: 100rel", "RSeq: 1"], &answer).await;
    let prack = callee.next("PRACK").await?;
    callee.respond_to(&prack, "200 OK").await;
    let update = callee.request("UPDATE", "a", &sdp("127.0.0.1", 9_998, "RTP/AVP 0", &[])).await?;
    if update.status() != 200 {
        return Err(format!("UPDATE answered {}", update.status()));
    }
    callee.accept("a", "").await?;
    callee.bye("a").await
}

/// A proxy and the callee each want credentials; the ACK repeats both.
pub(super) async fn two_challengers(target: Arc<FaultTarget>) -> Outcome {
    let mut callee = Callee::called(&target, number::PLAIN).await?;
    let proxy = r#"Proxy-Authenticate: Digest realm="a", nonce="1", algorithm=MD5, qop="auth""#;
    refuse(&mut callee, "407 Proxy Authentication Required", proxy).await?;
    refuse(&mut callee, "401 Unauthorized", r#"WWW-Authenticate: Digest realm="b", nonce="2", algorithm=MD5"#).await?;
    let has_both = |text: &str| text.contains("Proxy-Authorization") && text.contains("\r\nAuthorization");
    if !has_both(&callee.invite.0) {
        return Err("the third INVITE has not both credentials".to_owned());
    }
    let answer = callee.answer();
    let ack = callee.accept("a", &answer).await?;
    callee.bye("a").await?;
    if has_both(&ack.0) { Ok(()) } else { Err("the ACK has no credentials".to_owned()) }
}

/// Refuses the INVITE; another one follows.
async fn refuse(callee: &mut Callee, status: &str, line: &str) -> Outcome {
    let lines = [line];
    callee.respond(status, "r", &lines[..usize::from(!line.is_empty())], "").await;
    callee.next("ACK").await?;
    callee.next_invite().await
}

/// The same challenge for ever: a wrong password.
pub(super) async fn challenged_again_and_again(target: Arc<FaultTarget>) -> Outcome {
    let mut callee = Callee::called(&target, number::PLAIN).await?;
    let line = r#"WWW-Authenticate: Digest realm="a", nonce="1", algorithm=MD5"#;
    refuse(&mut callee, "401 Unauthorized", line).await?;
    callee.respond("401 Unauthorized", "r", &[line], "").await;
    callee.next("ACK").await.map(drop)
}

/// Keys that are optional are refused; the plain INVITE is answered.
pub(super) async fn optional_keys_refused(target: Arc<FaultTarget>) -> Outcome {
    let mut callee = Callee::called(&target, number::SRTP).await?;
    refuse(&mut callee, "488 Not Acceptable Here", "").await?;
    let answer = callee.answer();
    callee.accept("a", &answer).await?;
    callee.bye("a").await
}

/// The answer has a name in the place of an address.
pub(super) async fn name_in_the_answer(target: Arc<FaultTarget>) -> Outcome {
    let mut callee = Callee::called(&target, number::PLAIN).await?;
    callee.accept("a", &sdp("localhost", 9_998, "RTP/AVP 0", &[])).await?;
    callee.bye("a").await
}

/// The answer takes the audio away: the server acknowledges and hangs up.
pub(super) async fn answer_with_port_zero(target: Arc<FaultTarget>) -> Outcome {
    let mut callee = Callee::called(&target, number::PLAIN).await?;
    callee.accept("a", &sdp("127.0.0.1", 0, "RTP/AVP 0", &[])).await?;
    callee.hears_bye().await
}

/// The call goes the way that the registrar asked for.
pub(super) async fn by_the_service_route(target: Arc<FaultTarget>) -> Outcome {
    let mut callee = Callee::called(&target, number::ACCOUNTS[1]).await?;
    let has_route = callee.invite.header("Route").contains(";lr");
    callee.respond("486 Busy Here", "a", &[], "").await;
    callee.next("ACK").await?;
    if has_route { Ok(()) } else { Err("no Route".to_owned()) }
}

/// DTLS that never starts in a call that the server makes; the callee re-INVITEs with `actpass` meanwhile.
pub(super) async fn dtls_answer_that_never_starts(target: Arc<FaultTarget>) -> Outcome {
    let mut callee = Callee::called(&target, number::DTLS).await?;
    let fingerprint = callee.invite.body().lines().find(|line| line.starts_with("a=fingerprint"));
    let fingerprint = fingerprint.and_then(|line| line.strip_prefix("a=")).ok_or("no fingerprint")?.to_owned();
    let body = |setup| sdp("127.0.0.1", 9_998, "UDP/TLS/RTP/SAVP 0", &[setup, &fingerprint, "rtcp-mux"]);
    callee.accept("a", &body("setup:passive")).await?;
    let again = callee.request("INVITE", "a", &body("setup:actpass")).await?;
    callee.request("ACK", "a", "").await?;
    if again.status() != 200 {
        return Err(format!("re-INVITE answered {}", again.status()));
    }
    callee.hears_bye().await
}

/// Opus is agreed on.
pub(super) async fn opus_is_answered(target: Arc<FaultTarget>) -> Outcome {
    let mut callee = Callee::called(&target, number::OPUS).await?;
    let offered =
        callee.invite.body().lines().find_map(|line| line.strip_prefix("a=rtpmap:")?.strip_suffix(" opus/48000/2"));
    let payload_type = offered.ok_or("no Opus")?;
    let answer =
        sdp("127.0.0.1", 9_998, &format!("RTP/AVP {payload_type}"), &[&format!("rtpmap:{payload_type} opus/48000/2")]);
    callee.accept("a", &answer).await?;
    callee.bye("a").await
}

/// The callee answers and is gone: not even our BYE is answered.
pub(super) async fn callee_vanishes(target: Arc<FaultTarget>) -> Outcome {
    let mut callee = Callee::called(&target, number::PLAIN).await?;
    let answer = callee.answer();
    callee.accept("a", &answer).await?;
    target.end_call(&callee.call).await?;
    callee.next("BYE").await.map(drop)
}

/// Busy, and the ACK is lost: the refusal is repeated.
pub(super) async fn busy(target: Arc<FaultTarget>) -> Outcome {
    let mut callee = Callee::called(&target, number::PLAIN).await?;
    for _ in 0..2 {
        callee.respond("486 Busy Here", "a", &[], "").await;
        callee.next("ACK").await?;
    }
    Ok(())
}
