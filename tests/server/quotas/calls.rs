//! Calls of every direction, however they begin and end.

use super::{OFFER, limit, nothing_is_held, ring};
use crate::support::{CustomerServer, NUMBER, Server, until};
use futures_util::future::join_all;
use serde_json::json;
use std::time::{Duration, Instant};
use trunkline_signaling::sip::end_cause::EndCause;
use trunkline_signaling::sip::user_agent::{SipEvent, Transport};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_invites_at_once_as_many_are_answered_as_may_be() {
    let server = Server::start().await;
    limit(&server, json!({"max_concurrent_calls": 7})).await;
    for round in 0..2 {
        let rung = join_all((0..100).map(|_| ring(&server))).await;
        let answered: Vec<_> = rung.iter().filter(|rung| rung.status == 200).collect();
        assert_eq!(answered.len(), 7, "round {round}");
        let refused = rung.iter().find(|rung| rung.status != 200).unwrap();
        assert!(
            rung.iter().all(|rung| matches!(rung.status, 200 | 486)),
            "busy, not out of order: {:?}",
            rung.iter().map(|rung| rung.status).collect::<Vec<_>>()
        );
        assert_eq!(refused.why.as_ref().and_then(|why| why.q850), Some(17));
        // A browser finds no room either, and no task.
        let (status, body) = server.send("POST", "/calls/web", Some(json!({"agent_id": server.agent}))).await;
        assert_eq!(
            (status, &body["details"]["code"], &body["details"]["limit"]),
            (429, &json!("quota_exceeded"), &json!("max_concurrent_calls"))
        );
        for rung in &rung {
            server.phone.sip.hang_up(rung.call).await;
        }
        nothing_is_held(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trunk_holds_so_many_calls_and_another_trunk_has_room() {
    let server = Server::start().await;
    let (status, _) =
        server.send("PATCH", &format!("/trunks/{}", server.trunk), Some(json!({"max_concurrent_calls": 1}))).await;
    assert_eq!(status, 200);
    let rung = [ring(&server).await, ring(&server).await];
    assert_eq!(rung.each_ref().map(|rung| rung.status), [200, 486]);
    // A browser's call is on no trunk.
    server.post("/calls/web", json!({"agent_id": server.agent})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_every_direction_count_together() {
    let mut server = Server::start().await;
    limit(&server, json!({"max_concurrent_calls": 2})).await;
    let web = server.post("/calls/web", json!({"agent_id": server.agent})).await;
    let inbound = ring(&server).await;
    assert_eq!((inbound.status, ring(&server).await.status), (200, 486));
    let task = server.post("/tasks", json!({"agent_id": server.agent, "to_number": "+15550199"})).await;
    let path = format!("/tasks/{}/execute", task["task"]["id"].as_str().unwrap());
    let queued = server.post(&path, json!({})).await;
    assert!(queued["message"].as_str().unwrap().starts_with("Call queued"), "{queued}");
    // The line that becomes free is the task's.
    server.phone.sip.hang_up(inbound.call).await;
    let outbound = tokio::time::timeout(Duration::from_secs(20), server.incoming.recv()).await.unwrap().unwrap();
    assert_eq!(ring(&server).await.status, 486);
    server.phone.sip.reject(outbound.incoming.call, 486, None).await;
    server.post(&format!("/calls/{}/cancel", web["call_id"].as_str().unwrap()), json!({})).await;
    nothing_is_held(&server).await;
    assert_eq!(ring(&server).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_a_call_ends_its_line_is_given_back() {
    let mut server = Server::start().await;
    limit(&server, json!({"max_concurrent_calls": 1})).await;
    // The caller hangs up.
    let rung = ring(&server).await;
    server.phone.sip.hang_up(rung.call).await;
    nothing_is_held(&server).await;
    // An offer that cannot be answered.
    let dial = server.dial_to(NUMBER, Transport::Udp);
    let video =
        b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video 49900 RTP/AVP 96\r\n";
    let (_, mut events) = server.phone.sip.send_invite(dial.invite(video.to_vec())).await.unwrap();
    let refused = async {
        while let Some(event) = events.recv().await {
            if let SipEvent::Ended { cause: EndCause::Rejected { status, .. }, .. } = event {
                return status;
            }
        }
        0
    };
    assert_eq!(refused.await, 488);
    nothing_is_held(&server).await;
    // The caller gives up before the answer.
    let slow = CustomerServer::start(|_| (200, "{}".into(), Duration::from_secs(3))).await;
    let number = json!({"number": "+31207650001", "webhook_url": slow.url, "trunk_id": server.trunk});
    server.post("/phone-numbers", number).await;
    let dial = server.dial_to("+31207650001", Transport::Udp);
    let (call, _events) = server.phone.sip.send_invite(dial.invite(OFFER.to_vec())).await.unwrap();
    until("it rings", || async { (server.app.services.admission.held() == 1).then_some(()) }).await;
    server.phone.sip.hang_up(call).await;
    nothing_is_held(&server).await;
    // A callee is busy; a browser never comes.
    let task = server.post("/tasks", json!({"agent_id": server.agent, "to_number": "+15550199"})).await;
    server.post(&format!("/tasks/{}/execute", task["task"]["id"].as_str().unwrap()), json!({})).await;
    let outbound = server.incoming.recv().await.unwrap();
    assert_eq!(ring(&server).await.status, 486);
    server.phone.sip.reject(outbound.incoming.call, 486, None).await;
    nothing_is_held(&server).await;
    let web = server.post("/calls/web", json!({"agent_id": server.agent})).await;
    server.post(&format!("/calls/{}/end", web["call_id"].as_str().unwrap()), json!({})).await;
    nothing_is_held(&server).await;
    assert_eq!(ring(&server).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sides_hang_up_at_once_and_one_line_is_given_back() {
    let server = Server::start().await;
    limit(&server, json!({"max_concurrent_calls": 2})).await;
    let stays = ring(&server).await;
    for _ in 0..5 {
        let rung = ring(&server).await;
        assert_eq!(rung.status, 200);
        let calls = server.get("/calls?limit=1").await;
        let path = format!("/calls/{}/end", calls["calls"][0]["id"].as_str().unwrap());
        tokio::join!(server.send("POST", &path, None), server.phone.sip.hang_up(rung.call));
        until("one is held", || async { (server.app.services.admission.held() == 1).then_some(()) }).await;
    }
    let (third, fourth) = (ring(&server).await, ring(&server).await);
    assert_eq!((third.status, fourth.status), (200, 486), "two, and not three");
    server.phone.sip.hang_up(stays.call).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_that_is_spent_and_a_rate_refuse_calls_that_come_in() {
    let server = Server::start_with(|config| config.prices.telephony_per_minute = 600.0).await;
    limit(&server, json!({"calls_per_second": 0.5})).await;
    let (first, second) = (ring(&server).await, ring(&server).await);
    assert_eq!((first.status, second.status, second.retry_after_s.is_some()), (200, 480, true));
    let (status, body) = server.send("POST", "/calls/web", Some(json!({"agent_id": server.agent}))).await;
    assert_eq!((status, &body["details"]["limit"]), (429, &json!("calls_per_second")));
    limit(&server, json!({"calls_per_second": null, "max_spend_per_day": 1.0})).await;
    // The first call goes on, has no bill yet, and counts.
    let refused = until("the day is spent", || async {
        let rung = ring(&server).await;
        server.phone.sip.hang_up(rung.call).await;
        (rung.status != 200).then_some(rung)
    })
    .await;
    assert_eq!(refused.status, 480);
    assert!(refused.retry_after_s.is_some_and(|wait_s| wait_s <= 86_400), "{:?}", refused.retry_after_s);
    let (status, body) = server.send("POST", "/calls/web", Some(json!({"agent_id": server.agent}))).await;
    assert_eq!((status, &body["details"]["code"]), (403, &json!("daily_limit_reached")));
    server.phone.sip.hang_up(first.call).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_have_a_budget_and_take_nothing_of_the_calls() {
    let server = Server::start_with(|config| {
        config.calls.calls_max = 4;
        config.quotas.trunk_tests_per_minute = 12;
    })
    .await;
    // A socket that never answers.
    let hole = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let trunk = json!({"name": "Hole", "host": "127.0.0.1", "port": hole.local_addr().unwrap().port()});
    let trunk = server.post("/trunks", trunk).await["trunk"]["id"].as_str().unwrap().to_owned();
    let path = format!("/trunks/{trunk}/test");
    let begun = Instant::now();
    let probes = join_all((0..20).map(|_| server.send("POST", &path, None)));
    let calls = async {
        until("probes under way", async || {
            let snapshot = server.app.services.sip.snapshot().await.unwrap();
            (snapshot.client_transactions > 0).then_some(())
        })
        .await;
        // Every slot of the server is a call's.
        let mut rung = Vec::new();
        for _ in 0..4 {
            rung.push(ring(&server).await);
        }
        rung
    };
    let (probes, rung) = tokio::join!(probes, calls);
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_eq!(rung.iter().map(|rung| rung.status).collect::<Vec<_>>(), [200; 4]);
    let said = |code: u16| probes.iter().filter(|(status, _)| *status == code).count();
    assert_eq!((said(200), said(200) + said(429)), (4, 20), "{probes:?}");
    let limits = probes.iter().filter(|(status, _)| *status == 429).map(|(_, body)| body["details"]["limit"].clone());
    let limits: std::collections::BTreeSet<_> = limits.map(|limit| limit.as_str().unwrap().to_owned()).collect();
    assert_eq!(limits.into_iter().collect::<Vec<_>>(), ["probes_at_once", "trunk_tests_per_minute"]);
    let unanswered = probes.iter().find(|(status, _)| *status == 200).unwrap();
    assert_eq!(unanswered.1["data"]["reachable"], json!(false));
    let snapshot = server.app.services.sip.snapshot().await.unwrap();
    assert_eq!(snapshot.calls, 4);
    assert!(snapshot.client_transactions == 0, "the transactions of the probes are gone: {snapshot:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_of_one_organization_keep_no_call_waiting() {
    let server = Server::start().await;
    // More lists at once than there are connections, and a call meanwhile.
    let lists = join_all((0..200).map(|_| server.send("GET", "/calls?q=hello", None)));
    let call = async {
        let begun = Instant::now();
        (ring(&server).await.status, begun.elapsed())
    };
    let (lists, (status, took)) = tokio::join!(lists, call);
    assert_eq!(status, 200);
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(lists.iter().all(|(status, _)| matches!(status, 200 | 429)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_one_organization_leave_room_for_anothers() {
    let server = Server::start_with(|config| config.calls.calls_max = 20).await;
    let services = &server.app.services;
    let other = services.store.bootstrap("Other", "other@example.com", "x").await.unwrap();
    services.admission.refresh_other_nodes().await.unwrap();
    let rung = join_all((0..20).map(|_| ring(&server))).await;
    assert_eq!(rung.iter().filter(|rung| rung.status == 200).count(), 18);
    assert_eq!(rung.iter().filter(|rung| rung.status == 503).count(), 2);
    assert!(
        services.admission.admit(other.scope, None).await.is_ok(),
        "the last tenth is for organizations with few calls"
    );
}
