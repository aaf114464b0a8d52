//! Damaged calls to the server: acknowledgements, challenges, bodies, Contacts, cancellations. The numbers of the entries
//! are those of `docs/carriers.md` (Soak).

use super::caller::{EVENTS, FaultCaller, GIVEN_UP, PATIENCE, PCMU};
use super::message::sdp;
use super::target::{FaultTarget, number};
use std::sync::Arc;
use std::time::Duration;

type Outcome = Result<(), String>;

/// The ACK of the 200 has the branch of the INVITE.
pub(super) async fn ack_in_the_invites_transaction(target: Arc<FaultTarget>) -> Outcome {
    let mut caller = FaultCaller::new(&target, number::PLAIN).await?;
    let offer = caller.offer();
    caller.invite(&[], &offer).await?;
    let branch = caller.branch("");
    caller.send("ACK", &branch, &[], "").await?;
    caller.press("5").await?;
    caller.bye().await
}

/// No message has a branch, as before RFC 3261.
pub(super) async fn no_branch_at_all(target: Arc<FaultTarget>) -> Outcome {
    let mut caller = FaultCaller::new(&target, number::PLAIN).await?;
    caller.has_branch = false;
    caller.call().await?;
    caller.bye().await
}

/// The ACK of a re-INVITE has its branch, and another re-INVITE follows.
pub(super) async fn reinvites_acked_in_their_transactions(target: Arc<FaultTarget>) -> Outcome {
    let mut caller = FaultCaller::new(&target, number::PLAIN).await?;
    caller.call().await?;
    let offer = caller.offer();
    for _ in 0..2 {
        caller.invite(&[], &offer).await?;
        let branch = caller.branch("");
        caller.send("ACK", &branch, &[], "").await?;
    }
    caller.bye().await
}

/// The answer is never acknowledged; its BYE is answered.
pub(super) async fn no_ack(target: Arc<FaultTarget>) -> Outcome {
    let mut caller = FaultCaller::new(&target, number::PLAIN).await?;
    let offer = caller.offer();
    caller.invite(&[], &offer).await?;
    caller.hears_bye(GIVEN_UP).await
}

/// The caller is gone after the answer: neither ACK nor anything else.
pub(super) async fn gone_before_the_ack(target: Arc<FaultTarget>) -> Outcome {
    let mut caller = FaultCaller::new(&target, number::PLAIN).await?;
    let offer = caller.offer();
    caller.invite(&[], &offer).await.map(drop)
}

/// A re-INVITE that is never acknowledged, and a BYE.
pub(super) async fn reinvite_without_ack(target: Arc<FaultTarget>) -> Outcome {
    let mut caller = FaultCaller::new(&target, number::PLAIN).await?;
    caller.call().await?;
    let offer = caller.offer();
    caller.invite(&[], &offer).await?;
    caller.bye().await
}

/// Two accounts at one registrar, each called by its number.
pub(super) async fn one_registrar_two_accounts(target: Arc<FaultTarget>) -> Outcome {
    for dialled in number::ACCOUNTS {
        let mut caller = FaultCaller::new(&target, dialled).await?;
        caller.call().await?;
        caller.bye().await?;
    }
    Ok(())
}

const FINGERPRINT: &str = "fingerprint:sha-256 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB:4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF";
const CANDIDATE: &str = "candidate:1 1 udp 2130706431 127.0.0.1 9 typ host";

/// Re-INVITEs with `actpass` and without an offer, on DTLS whose handshake has not begun.
pub(super) async fn dtls_reoffered(target: Arc<FaultTarget>) -> Outcome {
    let mut caller = FaultCaller::new(&target, number::DTLS).await?;
    let port = caller.rtp_port();
    let offer = |setup| sdp("127.0.0.1", port, "UDP/TLS/RTP/SAVP 0", &[setup, FINGERPRINT, "rtcp-mux"]);
    caller.invite(&[], &offer("setup:active")).await?;
    caller.ack("").await?;
    caller.invite(&[], &offer("setup:actpass")).await?;
    caller.ack("").await?;
    caller.invite(&[], "").await?;
    caller.ack(&offer("setup:active")).await?;
    caller.bye().await
}

/// DTLS that never starts: the server gives up and hangs up.
pub(super) async fn dtls_that_never_starts(target: Arc<FaultTarget>) -> Outcome {
    let mut caller = FaultCaller::new(&target, number::DTLS).await?;
    let offer = sdp("127.0.0.1", caller.rtp_port(), "UDP/TLS/RTP/SAVP 0", &["setup:active", FINGERPRINT]);
    caller.invite(&[], &offer).await?;
    caller.ack("").await?;
    caller.hears_bye(GIVEN_UP).await
}

/// ICE and DTLS as a PBX offers them: no BUNDLE, no direction, and then no check ever.
pub(super) async fn ice_and_dtls_of_a_pbx(target: Arc<FaultTarget>) -> Outcome {
    let mut caller = FaultCaller::new(&target, number::DTLS).await?;
    let ice = ["ice-ufrag:abcd", "ice-pwd:0123456789012345678901", CANDIDATE, "rtcp-mux", "mid:0"];
    let attributes: Vec<&str> = ice.into_iter().chain(["setup:actpass", FINGERPRINT]).collect();
    let offer = sdp("127.0.0.1", caller.rtp_port(), "UDP/TLS/RTP/SAVP 0", &attributes);
    caller.invite(&[], &offer).await?;
    caller.ack("").await?;
    caller.bye().await
}

/// ICE in the clear, restarted in the call.
pub(super) async fn ice_restart(target: Arc<FaultTarget>) -> Outcome {
    let mut caller = FaultCaller::new(&target, number::PLAIN).await?;
    let port = caller.rtp_port();
    let offer = |ufrag: &str, password: &str| {
        sdp("127.0.0.1", port, PCMU, &[&format!("ice-ufrag:{ufrag}"), &format!("ice-pwd:{password}"), CANDIDATE])
    };
    caller.invite(&[], &offer("abcd", "0123456789012345678901")).await?;
    caller.ack("").await?;
    caller.invite(&[], &offer("efgh", "1098765432109876543210")).await?;
    caller.ack("").await?;
    caller.bye().await
}

/// A re-INVITE without an offer in a call with SDES keys.
pub(super) async fn reinvite_without_an_offer_on_srtp(target: Arc<FaultTarget>) -> Outcome {
    let mut caller = FaultCaller::new(&target, number::SRTP).await?;
    let keys = "crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
    let offer = sdp("127.0.0.1", caller.rtp_port(), "RTP/SAVP 0", &[keys]);
    caller.invite(&[], &offer).await?;
    caller.ack("").await?;
    caller.invite(&[], "").await?;
    caller.ack(&offer).await?;
    caller.bye().await
}

/// INVITEs that are challenged and not tried again, and keep-alives of all kinds, from an address that nobody knows.
pub(super) async fn challenges_without_an_end(target: Arc<FaultTarget>) -> Outcome {
    let host = format!("127.0.9.{}", target.unique() % 250 + 1);
    for _ in 0..3 {
        let mut caller = FaultCaller::from_address(&target, number::DIGEST, &host).await?;
        let stun = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
        for noise in [b"jaK".as_slice(), &stun, b"\r\n\r\n"] {
            caller.sip.send_to(noise, caller.server).await.map_err(|error| error.to_string())?;
        }
        let offer = caller.offer();
        let refusal = caller.request("INVITE", &[], &offer).await?;
        if refusal.status() != 401 {
            return Err(format!("answered {}", refusal.status()));
        }
        caller.ack_refusal(&refusal).await?;
    }
    Ok(())
}

/// Contacts that lead nowhere; the agent hangs up.
pub(super) async fn contact_that_leads_nowhere(target: Arc<FaultTarget>) -> Outcome {
    for contact in ["sip:x@10.255.255.1:5060", "sip:x@0.0.0.0:5060"] {
        let mut caller = FaultCaller::new(&target, number::PLAIN).await?;
        contact.clone_into(&mut caller.contact);
        caller.call().await?;
        caller.press("0").await?;
        caller.hears_bye(PATIENCE).await?;
    }
    Ok(())
}

/// A description among other parts, an optional body alone, and a body that is required and not understood.
pub(super) async fn bodies_of_all_kinds(target: Arc<FaultTarget>) -> Outcome {
    let mut caller = FaultCaller::new(&target, number::PLAIN).await?;
    let offer = caller.offer();
    let parts = format!(
        "--b1\r\nContent-Type: application/sdp\r\n\r\n{offer}\r\n--b1\r\nContent-Type: application/isup\r\n\
         Content-Disposition: signal;handling=optional\r\n\r\nxyz\r\n--b1--\r\n"
    );
    caller.invite(&["Content-Type: multipart/mixed;boundary=b1"], &parts).await?;
    caller.ack("").await?;
    let update = caller.request("UPDATE", &["Content-Type: application/rs-metadata+xml"], "<x/>").await?;
    if update.status() != 415 {
        return Err(format!("UPDATE answered {}", update.status()));
    }
    caller.bye().await?;
    let mut caller = FaultCaller::new(&target, number::PLAIN).await?;
    let optional = ["Content-Type: application/pidf+xml", "Content-Disposition: render;handling=optional"];
    caller.invite(&optional, "<presence/>").await?;
    let answer = sdp("127.0.0.1", caller.rtp_port(), "RTP/AVP 0", &[]);
    caller.ack(&answer).await?;
    caller.bye().await
}

/// A name in the place of the media address: one that exists and one that does not.
pub(super) async fn name_for_an_address(target: Arc<FaultTarget>) -> Outcome {
    for host in ["localhost", "nowhere.invalid"] {
        let mut caller = FaultCaller::new(&target, number::PLAIN).await?;
        let offer = sdp(host, caller.rtp_port(), PCMU, EVENTS);
        caller.invite(&[], &offer).await?;
        caller.ack("").await?;
        caller.bye().await?;
    }
    Ok(())
}

/// `sips:` over a transport that is not secure: answered or refused, and ended.
pub(super) async fn sips_without_tls(target: Arc<FaultTarget>) -> Outcome {
    let mut caller = FaultCaller::new(&target, number::PLAIN).await?;
    caller.target = caller.target.replacen("sip:", "sips:", 1);
    let offer = caller.offer();
    let answer = caller.request("INVITE", &[], &offer).await?;
    if answer.status() >= 300 {
        return caller.ack_refusal(&answer).await;
    }
    caller.ack("").await?;
    caller.target = caller.target.replacen("sips:", "sip:", 1);
    caller.bye().await
}

/// A space behind every start line.
pub(super) async fn spaces_behind_start_lines(target: Arc<FaultTarget>) -> Outcome {
    let mut caller = FaultCaller::new(&target, number::PLAIN).await?;
    caller.start_end = " ";
    caller.call().await?;
    caller.bye().await
}

/// Hold by port 0, and back.
pub(super) async fn hold_by_port_zero(target: Arc<FaultTarget>) -> Outcome {
    let mut caller = FaultCaller::new(&target, number::PLAIN).await?;
    caller.call().await?;
    for port in [0, caller.rtp_port()] {
        let offer = sdp("127.0.0.1", port, PCMU, EVENTS);
        caller.invite(&[], &offer).await?;
        caller.ack("").await?;
    }
    caller.bye().await
}

/// Every form of keys in INFO, and bodies that are none.
pub(super) async fn info_of_all_kinds(target: Arc<FaultTarget>) -> Outcome {
    let mut caller = FaultCaller::new(&target, number::PLAIN).await?;
    caller.call().await?;
    for (kind, body, status) in [
        ("application/dtmf-relay", "Signal=a\r\n", 200),
        ("application/telephone-event", "d=5\r\n", 200),
        ("application/vnd.nortelnetworks.digits", "p=Digit-Collection\r\nd=5\r\n", 200),
        ("application/unknown", "x", 415),
    ] {
        let answer = caller.request("INFO", &[&format!("Content-Type: {kind}")], body).await?;
        if answer.status() != status {
            return Err(format!("INFO {kind} answered {}", answer.status()));
        }
    }
    caller.bye().await
}

/// CANCEL while it rings.
pub(super) async fn given_up_while_ringing(target: Arc<FaultTarget>) -> Outcome {
    let mut caller = FaultCaller::new(&target, number::RINGS).await?;
    let offer = caller.offer();
    caller.cseq = 1;
    let branch = caller.branch("");
    caller.send("INVITE", &branch, &[], &offer).await?;
    caller.wait(PATIENCE, "ringing", |message| matches!(message.status(), 180 | 183)).await?;
    caller.send("CANCEL", &branch, &[], "").await?;
    let refusal = caller.final_response("INVITE").await?;
    if refusal.status() != 487 {
        return Err(format!("answered {}", refusal.status()));
    }
    caller.ack_refusal(&refusal).await
}

/// CANCEL that crosses the answer.
pub(super) async fn cancel_crosses_the_answer(target: Arc<FaultTarget>) -> Outcome {
    let mut caller = FaultCaller::new(&target, number::PLAIN).await?;
    let offer = caller.offer();
    caller.cseq = 1;
    let branch = caller.branch("");
    caller.send("INVITE", &branch, &[], &offer).await?;
    caller.send("CANCEL", &branch, &[], "").await?;
    let answer = caller.final_response("INVITE").await?;
    if answer.status() >= 300 {
        return caller.ack_refusal(&answer).await;
    }
    caller.ack("").await?;
    caller.bye().await
}

/// The caller's REFER is refused, and so is ours.
pub(super) async fn transfers_are_refused(target: Arc<FaultTarget>) -> Outcome {
    let mut caller = FaultCaller::new(&target, number::PLAIN).await?;
    caller.call().await?;
    let answer = caller.request("REFER", &["Refer-To: <sip:x@127.0.0.1>"], "").await?;
    if answer.status() < 300 {
        return Err(format!("REFER answered {}", answer.status()));
    }
    caller.press("1").await?;
    caller.wait(PATIENCE, "REFER", |message| message.method() == "REFER").await?;
    // The call goes on after it.
    let _ = caller.wait(Duration::from_millis(300), "nothing", |_| false).await;
    caller.bye().await
}

/// A number that nobody has, and a refusal that is never acknowledged.
pub(super) async fn refused_and_not_acknowledged(target: Arc<FaultTarget>) -> Outcome {
    let mut caller = FaultCaller::new(&target, "+31999999999").await?;
    let offer = caller.offer();
    let refusal = caller.request("INVITE", &[], &offer).await?;
    if matches!(refusal.status(), 401 | 404) { Ok(()) } else { Err(format!("answered {}", refusal.status())) }
}
