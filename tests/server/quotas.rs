//! What one organization may hold and use, whatever it does: calls of every direction, families, what is stored, probes,
//! and that slow organizations do not delay the others.

use super::support::{CustomerServer, LoggedInUser, NUMBER, Server, agent, until};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use trunkline::domain::delivery::{Delivery, DeliveryChannel};
use trunkline::domain::fair_share::{FairShares, ShareLimits};
use trunkline::domain::ids::{DeliveryId, OrganizationId};
use trunkline::domain::quota::QuotaOverrides;
use trunkline::store::{OrgScope, Store, now};
use trunkline_lab::caller::softphone::Softphone;
use trunkline_signaling::sip::end_cause::EndCause;
use trunkline_signaling::sip::reason::Reason;
use trunkline_signaling::sip::user_agent::{CallId, SipEvent, Transport};

const OFFER: &[u8] = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
    m=audio 49900 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";

/// A call that was placed, and the answer.
struct PlacedTestCall {
    call: CallId,
    status: u16,
    retry_after_s: Option<u32>,
    why: Option<Reason>,
    _events: mpsc::Receiver<SipEvent>,
}

async fn ring_from(server: &Server, phone: &Softphone, number: &str) -> PlacedTestCall {
    let mut dial = server.dial_to(number, Transport::Udp);
    dial.from.port = Some(phone.sip.local_udp().port());
    let (call, mut events) = phone.sip.send_invite(dial.invite(OFFER.to_vec())).await.unwrap();
    let (status, retry_after_s, why) = loop {
        match events.recv().await.expect("an answer") {
            SipEvent::Answered { .. } => break (200, None, None),
            SipEvent::Ended { cause: EndCause::Rejected { status, retry_after_s, reason_header: why, .. }, .. } => {
                break (status, retry_after_s, why);
            }
            SipEvent::Ended { cause, .. } => panic!("{cause:?}"),
            _ => {}
        }
    };
    PlacedTestCall { call, status, retry_after_s, why, _events: events }
}

async fn ring(server: &Server) -> PlacedTestCall {
    ring_from(server, &server.phone, NUMBER).await
}

async fn limit(server: &Server, limits: Value) {
    let owner = LoggedInUser::owner(server).await;
    owner.done("PATCH", &format!("/organizations/{}", own_id(&owner).await), Some(limits)).await;
}

async fn own_id(person: &LoggedInUser) -> String {
    person.done("GET", "/auth/me", None).await["organization"]["id"].as_str().unwrap().to_owned()
}

fn scope_of(server: &Server) -> impl Future<Output = OrgScope> {
    let (store, key) = (server.app.services.store.clone(), server.key.clone());
    async move { store.authenticate(&key).await.unwrap().unwrap().scope }
}

async fn nothing_is_held(server: &Server) {
    until("every line is given back", || async { (server.app.services.admission.held() == 0).then_some(()) }).await;
}

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

/// An organization below the server's, with an owner, a key, a number and a trunk for a separate phone.
struct ChildOrganization {
    id: String,
    key: String,
    owner: LoggedInUser,
    phone: Softphone,
}

async fn child(server: &Server, person: &LoggedInUser, parent: &str, name: &str, limits: Value) -> ChildOrganization {
    let email = format!("{name}@example.com");
    let mut body = json!({"name": name, "parent_org_id": parent, "owner_email": email});
    body.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
    let made = person.done("POST", "/organizations", Some(body)).await;
    let accept = json!({"token": made["invitation_token"], "name": name, "password": "a password of some length"});
    let accepted = server.http.post(server.url("/invitations/accept")).json(&accept).send().await.unwrap();
    assert_eq!(accepted.status(), 201);
    let octet = 10 + name.bytes().map(u32::from).sum::<u32>() % 200;
    let addr = format!("127.0.0.{octet}:0").parse().unwrap();
    ChildOrganization {
        id: made["organization"]["id"].as_str().unwrap().to_owned(),
        key: made["api_key"]["key"].as_str().unwrap().to_owned(),
        owner: LoggedInUser::log_in(server, &email, "a password of some length").await,
        phone: Softphone::open(addr, (46_000, 47_998)).await.unwrap().0,
    }
}

impl ChildOrganization {
    async fn send(&self, server: &Server, method: &str, path: &str, body: Value) -> (u16, Value) {
        let request = server.http.request(method.parse().unwrap(), server.url(path)).bearer_auth(&self.key);
        let answer = request.json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn number(&self, server: &Server, number: &str) {
        let made = self.send(server, "POST", "/agents", agent()).await.1["data"]["agent"]["id"].clone();
        let address = self.phone.sip.local_udp().ip().to_string();
        let trunk = self.send(server, "POST", "/trunks", json!({"name": "T", "allowed_addresses": [address]})).await;
        let number = json!({"number": number, "agent_id": made, "trunk_id": trunk.1["data"]["trunk"]["id"]});
        assert_eq!(self.send(server, "POST", "/phone-numbers", number).await.0, 201);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_child_uses_counts_for_its_root() {
    let server = Server::start().await;
    let owner = LoggedInUser::owner(&server).await;
    let root = own_id(&owner).await;
    let one = child(&server, &owner, &root, "one", json!({})).await;
    let two = child(&server, &one.owner, &one.id, "two", json!({})).await;
    one.number(&server, "+31207654321").await;
    two.number(&server, "+31207654322").await;
    limit(&server, json!({"max_concurrent_calls": 2})).await;
    let of_two = ring_from(&server, &two.phone, "+31207654322").await;
    let of_one = ring_from(&server, &one.phone, "+31207654321").await;
    assert_eq!((of_two.status, of_one.status), (200, 200));
    assert_eq!(ring_from(&server, &two.phone, "+31207654322").await.status, 486, "the root's two are taken");
    assert_eq!(ring(&server).await.status, 486);
    two.phone.sip.hang_up(of_two.call).await;
    until("a line is free", || async { (server.app.services.admission.held() == 1).then_some(()) }).await;
    assert_eq!(ring(&server).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_lifts_nothing_that_its_parent_has_set() {
    let server = Server::start().await;
    let owner = LoggedInUser::owner(&server).await;
    let root = own_id(&owner).await;
    let one = child(&server, &owner, &root, "one", json!({"max_spend_per_day": 5, "max_concurrent_calls": 4})).await;
    let own = format!("/organizations/{}", one.id);
    let refused = |answer: (u16, Value), field: &str| {
        let said = (answer.0, answer.1["details"]["code"].clone(), answer.1["details"]["field"].clone());
        assert_eq!(said, (403, json!("limit_of_parent"), json!(field)));
    };
    for (field, bad) in [
        ("max_spend_per_day", json!(null)),
        ("max_spend_per_day", json!(5.01)),
        ("max_concurrent_calls", json!(null)),
        ("max_concurrent_calls", json!(100_000)),
    ] {
        refused(one.owner.send("PATCH", &own, Some(json!({field: bad}))).await, field);
        // Beside a change that is allowed as well: all or nothing.
        refused(one.owner.send("PATCH", &own, Some(json!({"name": "x", field: bad}))).await, field);
    }
    assert_eq!(one.owner.done("GET", &own, None).await["organization"]["name"], json!("one"));
    one.owner.done("PATCH", &own, Some(json!({"max_concurrent_calls": 3, "calls_per_second": 1}))).await;
    refused(one.owner.send("PATCH", &own, Some(json!({"max_concurrent_calls": 4}))).await, "max_concurrent_calls");
    // The organization cannot be moved, and cannot name another payer.
    for field in ["parent_org_id", "billing_org_id", "id", "quotas", "settings"] {
        let (status, body) = one.owner.send("PATCH", &own, Some(json!({field: null}))).await;
        assert_eq!((status, &body["details"]["field"]), (400, &json!(field)), "{body}");
    }
    assert_eq!(one.owner.send("PATCH", &format!("/organizations/{root}"), Some(json!({"name": "x"}))).await.0, 404);
    // Its child has at most the limits of its parent, no matter who sets them.
    let over = json!({"name": "two", "parent_org_id": one.id, "max_concurrent_calls": 9});
    refused(one.owner.send("POST", "/organizations", Some(over)).await, "max_concurrent_calls");
    let two = child(&server, &one.owner, &one.id, "two", json!({})).await;
    let below = format!("/organizations/{}", two.id);
    refused(one.owner.send("PATCH", &below, Some(json!({"max_spend_per_day": 6}))).await, "max_spend_per_day");
    refused(owner.send("PATCH", &below, Some(json!({"max_spend_per_day": 6}))).await, "max_spend_per_day");
    one.owner.done("PATCH", &below, Some(json!({"max_spend_per_day": 4}))).await;
    refused(two.owner.send("PATCH", &below, Some(json!({"max_spend_per_day": null}))).await, "max_spend_per_day");
    // The parent lifts it, and not over its own.
    limit(&server, json!({"max_concurrent_calls": 50})).await;
    refused(owner.send("PATCH", &own, Some(json!({"max_concurrent_calls": 51}))).await, "max_concurrent_calls");
    owner.done("PATCH", &own, Some(json!({"max_concurrent_calls": 50, "max_spend_per_day": null}))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn families_have_limits_and_organizations_need_a_parent() {
    let server = Server::start_with(|config| config.quotas.organizations = 5).await;
    let owner = LoggedInUser::owner(&server).await;
    for body in [json!({"name": "free"}), json!({"name": "free", "parent_org_id": null})] {
        let (status, body) = owner.send("POST", "/organizations", Some(body)).await;
        assert_eq!((status, &body["details"]["code"]), (403, &json!("parent_required")), "{body}");
    }
    let mut parent = own_id(&owner).await;
    for level in 2..=4 {
        let body = json!({"name": format!("level {level}"), "parent_org_id": parent});
        let made = owner.done("POST", "/organizations", Some(body)).await;
        parent = made["organization"]["id"].as_str().unwrap().to_owned();
    }
    let (status, body) =
        owner.send("POST", "/organizations", Some(json!({"name": "level 5", "parent_org_id": parent}))).await;
    assert_eq!((status, &body["details"]["field"]), (403, &json!("parent_org_id")), "{body}");
    // Four there are; of many who ask at once one gets the fifth.
    let root = own_id(&owner).await;
    let all = join_all((0..8).map(|n| {
        owner.send("POST", "/organizations", Some(json!({"name": format!("more {n}"), "parent_org_id": root})))
    }))
    .await;
    assert_eq!(all.iter().filter(|(status, _)| *status == 201).count(), 1, "{all:?}");
    let (_, body) = all.iter().find(|(status, _)| *status == 403).unwrap();
    assert_eq!(
        (&body["details"]["code"], &body["details"]["limit"]),
        (&json!("quota_exceeded"), &json!("organizations"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_parent_and_child_who_change_at_once_the_parent_has_the_last_word() {
    let server = Server::start().await;
    let owner = LoggedInUser::owner(&server).await;
    let root = own_id(&owner).await;
    let one = child(&server, &owner, &root, "one", json!({"max_concurrent_calls": 10})).await;
    let path = format!("/organizations/{}", one.id);
    for max in (1..10).rev() {
        // The child writes what it has just read, the parent lowers it meanwhile.
        let lower = owner.done("PATCH", &path, Some(json!({"max_concurrent_calls": max})));
        let touch = one.owner.send("PATCH", &path, Some(json!({"name": format!("one {max}")})));
        tokio::join!(lower, touch);
        let now = owner.done("GET", &path, None).await["organization"]["max_concurrent_calls"].clone();
        assert_eq!(now, json!(max));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organization_holds_so_many_of_everything_also_when_it_asks_all_at_once() {
    let server = Server::start_with(|config| {
        let quotas = &mut config.quotas;
        (quotas.agents, quotas.tasks, quotas.trunks, quotas.phone_numbers) = (4, 3, 3, 3);
        (quotas.api_keys, quotas.users, quotas.invitations) = (3, 2, 3);
    })
    .await;
    let owner = LoggedInUser::owner(&server).await;
    let n = std::sync::atomic::AtomicU32::new(0);
    let next = || n.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let bodies: [(&str, &str, u32, &dyn Fn() -> Value); 6] = [
        ("/agents", "agents", 4, &agent),
        ("/tasks", "tasks", 3, &|| json!({"agent_id": server.agent, "to_number": "+15550199"})),
        ("/trunks", "trunks", 3, &|| json!({"name": "T"})),
        ("/phone-numbers", "phone_numbers", 3, &|| json!({"number": format!("+3120{:07}", next())})),
        ("/api-keys", "api_keys", 3, &|| json!({"name": "k"})),
        ("/users/invite", "invitations", 3, &|| json!({"email": format!("i{}@example.com", next())})),
    ];
    for (path, limit, max, body) in bodies {
        let all = join_all((0..12).map(|_| owner.send("POST", path, Some(body())))).await;
        let listed = match path {
            "/users/invite" => all.iter().filter(|(status, _)| *status < 300).count() as i64,
            _ => owner.done("GET", path, None).await["total"].as_i64().unwrap(),
        };
        assert_eq!(listed, i64::from(max), "{path}: {all:?}");
        let (_, refused) = all.iter().find(|(status, _)| *status == 403).unwrap();
        let details = &refused["details"];
        assert_eq!((&details["code"], &details["limit"]), (&json!("quota_exceeded"), &json!(limit)), "{path}");
    }
    // What goes makes room; the operator makes more.
    let tasks = owner.done("GET", "/tasks", None).await;
    owner.done("DELETE", &format!("/tasks/{}", tasks["tasks"][0]["id"].as_str().unwrap()), None).await;
    let task = || json!({"agent_id": server.agent, "to_number": "+15550199"});
    assert_eq!(owner.send("POST", "/tasks", Some(task())).await.0, 201);
    assert_eq!(owner.send("POST", "/tasks", Some(task())).await.0, 403);
    let organization = scope_of(&server).await.organization();
    let more = QuotaOverrides([("tasks".to_owned(), 5)].into());
    assert!(server.app.services.store.set_quota_overrides(organization, &more).await.unwrap());
    assert_eq!(owner.send("POST", "/tasks", Some(task())).await.0, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_do_not_multiply_what_their_root_may_hold() {
    let server = Server::start_with(|config| config.quotas.trunks = 1).await;
    let owner = LoggedInUser::owner(&server).await;
    let root = own_id(&owner).await;
    let mut made = 1; // the server's organization
    for n in 0..12 {
        let child = json!({"name": format!("c{n}"), "parent_org_id": root});
        let key = owner.done("POST", "/organizations", Some(child)).await["api_key"]["key"].clone();
        let request = server.http.post(server.url("/trunks")).bearer_auth(key.as_str().unwrap());
        let answer = request.json(&json!({"name": "T"})).send().await.unwrap();
        made += usize::from(answer.status() == 201);
    }
    assert_eq!(made, 10, "ten times what one organization may");
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
        tokio::time::sleep(Duration::from_millis(500)).await;
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
async fn an_organization_asks_so_often_in_a_minute_whatever_keys_it_has() {
    let server = Server::start_with(|config| config.quotas.requests_per_minute = 30).await;
    let owner = LoggedInUser::owner(&server).await;
    let second = owner.done("POST", "/api-keys", Some(json!({"name": "k"}))).await["api_key"]["key"].clone();
    let mut refused = None;
    for n in 0..40 {
        let key = if n % 2 == 0 { &server.key } else { second.as_str().unwrap() };
        let answer = server.http.get(server.url("/agents")).bearer_auth(key).send().await.unwrap();
        if answer.status() == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("a refusal");
    assert!(refused.headers().contains_key("retry-after"));
    let body: Value = refused.json().await.unwrap();
    assert_eq!(
        (&body["details"]["code"], &body["details"]["limit"]),
        (&json!("quota_exceeded"), &json!("requests_per_minute"))
    );
    assert_eq!(owner.send("GET", "/agents", None).await.0, 429, "its people are counted with its keys");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_connections_of_one_organization_are_bounded_and_come_back() {
    use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
    let server = Server::start_with(|config| config.quotas.live_connections = 3).await;
    let open = || async {
        let mut request = format!("ws://{}/ws/events", server.app.api_addr).into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {}", server.key).parse().unwrap());
        tokio_tungstenite::connect_async(request).await
    };
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(open().await.unwrap().0);
    }
    let Err(tokio_tungstenite::tungstenite::Error::Http(refused)) = open().await else { panic!("a fourth connection") };
    assert_eq!(refused.status(), 429);
    // The live transcript of a call counts with them: its refusal is a close code.
    let web = server.post("/calls/web", json!({"agent_id": server.agent})).await;
    let url = format!("{}?api_key={}", web["websocket_url"].as_str().unwrap(), server.key);
    let (mut socket, _) = tokio_tungstenite::connect_async(&url).await.unwrap();
    use futures_util::StreamExt as _;
    let first: Value = serde_json::from_str(socket.next().await.unwrap().unwrap().to_text().unwrap()).unwrap();
    assert_eq!((&first["type"], &first["details"]["limit"]), (&json!("error"), &json!("live_connections")));
    drop(held.pop());
    until("a place is free", || async { open().await.ok().map(drop) }).await;
}

fn delivery(organization: OrganizationId, n: usize, target: &str) -> Delivery {
    Delivery {
        id: DeliveryId::new(),
        organization,
        channel: DeliveryChannel::Webhook,
        order_key: format!("{organization} {n}"),
        call: None,
        task: None,
        agent: None,
        event_type: "status-update".into(),
        target: target.to_owned(),
        body: "{}".into(),
        created_at: now(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_receiver_does_not_delay_other_tenants_webhooks() {
    let server = Server::start().await;
    let slow = CustomerServer::start(|_| (200, "{}".into(), Duration::from_secs(9))).await;
    let quick = CustomerServer::start(|_| (200, "{}".into(), Duration::ZERO)).await;
    let store = &server.app.services.store;
    let greedy = scope_of(&server).await.organization();
    let modest = store.bootstrap("Modest", "modest@example.com", "x").await.unwrap().scope.organization();
    for n in 0..1_000 {
        server.app.services.journal.record_delivery(delivery(greedy, n, &format!("{}/slow", slow.url))).await;
    }
    assert!(server.app.services.journal.flush(Duration::from_secs(60)).await);
    until("the slow ones are under way", || async { (!slow.told("/slow").is_empty()).then_some(()) }).await;
    let begun = Instant::now();
    for n in 0..20 {
        server.app.services.journal.record_delivery(delivery(modest, n, &format!("{}/quick", quick.url))).await;
    }
    until("the others'", || async { (quick.told("/quick").len() == 20).then_some(()) }).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(slow.told("/slow").len() <= 32, "{} at once of one organization", slow.told("/slow").len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outbox_that_is_full_keeps_what_comes_and_sends_none_of_it() {
    let server = Server::start_with(|config| config.quotas.deliveries_waiting = 10).await;
    let slow = CustomerServer::start(|_| (500, "{}".into(), Duration::ZERO)).await;
    let own = scope_of(&server).await.organization();
    for n in 0..10 {
        server.app.services.journal.record_delivery(delivery(own, n, &format!("{}/slow", slow.url))).await;
    }
    assert!(server.app.services.journal.flush(Duration::from_secs(10)).await);
    server.app.services.store.count_waiting().await.unwrap();
    server.app.services.journal.record_delivery(delivery(own, 99, &format!("{}/late", slow.url))).await;
    assert!(server.app.services.journal.flush(Duration::from_secs(10)).await);
    let listed = server.get("/webhook-deliveries?status=failed").await;
    assert_eq!(listed["total"], json!(1), "{listed}");
    assert!(listed["webhook_deliveries"][0]["error"].as_str().unwrap().contains("deliveries_waiting"));
    let path = format!("/webhook-deliveries/{}/resend", listed["webhook_deliveries"][0]["id"].as_str().unwrap());
    let (status, body) = server.send("POST", &path, None).await;
    assert_eq!((status, &body["details"]["limit"]), (403, &json!("deliveries_waiting")), "{body}");
    assert!(slow.told("/late").is_empty());
}

async fn opened() -> (Store, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&super::support::database_url(folder.path()).await).await.unwrap();
    store.migrate().await.unwrap();
    (store, folder)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn due_tasks_of_many_organizations_are_looked_at_in_turns() {
    let (store, _folder) = opened().await;
    let mut scopes = Vec::new();
    for n in 0..3 {
        scopes.push(store.bootstrap("O", &format!("o{n}@example.com"), "x").await.unwrap().scope);
    }
    for (scope, count) in scopes.iter().zip([300, 1, 1]) {
        let made = store.create_agent(*scope, serde_json::from_value(agent()).unwrap()).await.unwrap();
        for priority in 0..count {
            let fields = json!({"to_number": "+15550199", "priority": priority % 100, "scheduled_at": now().rfc3339()});
            store.create_task(*scope, made.id, serde_json::from_value(fields).unwrap()).await.unwrap();
        }
    }
    tokio::time::sleep(Duration::from_millis(5)).await;
    let (due, last) = store.due_tasks(20, 400, None).await.unwrap();
    assert_eq!((due.len(), last), (22, None), "twenty of the first, one of each other");
    let first: std::collections::HashSet<_> = due[..3].iter().map(|due| due.scope).collect();
    assert_eq!(first.len(), 3, "everybody's first comes before anybody's second");
    // Where a round does not reach everybody, the next one begins with the rest.
    let (mut seen, mut after) = (std::collections::HashSet::new(), None);
    for _ in 0..3 {
        let (due, last) = store.due_tasks(20, 20, after).await.unwrap();
        seen.extend(due.iter().map(|due| due.scope));
        after = last;
    }
    assert_eq!(seen.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_are_shared_between_organizations_and_families() {
    let (store, _folder) = opened().await;
    let journal = trunkline::store::journal::Journal::start(
        store.clone(),
        "test",
        &trunkline::supervision::Supervisor::default(),
    );
    let greedy = store.bootstrap("Greedy", "g@example.com", "x").await.unwrap().scope;
    let modest = store.bootstrap("Modest", "m@example.com", "x").await.unwrap().scope;
    let parent = store.organization(greedy, greedy.organization()).await.unwrap().unwrap();
    let mut family = vec![greedy.organization()];
    for n in 0..5 {
        family.push(store.create_organization(&parent, &format!("c{n}"), Default::default()).await.unwrap().id);
    }
    for organization in &family {
        for n in 0..50 {
            journal.record_delivery(delivery(*organization, n, "http://127.0.0.1:9/")).await;
        }
    }
    for n in 0..3 {
        journal.record_delivery(delivery(modest.organization(), n, "http://127.0.0.1:9/")).await;
    }
    assert!(journal.flush(Duration::from_secs(30)).await);
    let mut shares = FairShares::new(ShareLimits { of_one: 8, of_family: 12, in_all: 20 });
    let claimed = store.claim_deliveries(&mut shares, 60_000).await.unwrap();
    let of = |organization| claimed.iter().filter(|one| one.scope.organization() == organization).count();
    assert_eq!(of(modest.organization()), 3, "all of the organization that has few");
    assert_eq!(claimed.iter().filter(|one| one.root == greedy.organization()).count(), 12);
    assert!(family.iter().all(|one| of(*one) <= 8));
    assert!(
        store.claim_deliveries(&mut shares, 60_000).await.unwrap().is_empty(),
        "what is under way is not taken twice"
    );
    for one in &claimed {
        shares.give_back(one.scope.organization(), one.root);
    }
    assert_eq!(store.claim_deliveries(&mut shares, 60_000).await.unwrap().len(), 12, "the modest one has none left");
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
