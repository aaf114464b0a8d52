//! Against fraud: what an organization may spend in a day, and who vouches for a caller's number.

use super::sipp::{arguments, scenario, sipp};
use super::support::{CustomerServer, LoggedInUser, NUMBER, Server, until};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

async fn execute(server: &Server) -> (u16, Value) {
    let task = json!({"agent_id": server.agent, "to_number": "+15550199"});
    let task = server.post("/tasks", task).await["task"]["id"].as_str().unwrap().to_owned();
    server.send("POST", &format!("/tasks/{task}/execute"), Some(json!({}))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn daily_limits_are_enforced() {
    // A minute costs sixty: a second costs one.
    let mut server = Server::start_with(|config| config.prices.telephony_per_minute = 60.0).await;
    let owner = LoggedInUser::owner(&server).await;
    let organization = owner.done("GET", "/auth/me", None).await["organization"]["id"].as_str().unwrap().to_owned();
    let path = format!("/organizations/{organization}");
    for (field, bad) in [("max_minutes_per_day", json!(0)), ("max_spend_per_day", json!(0.001))] {
        let (status, body) = owner.send("PATCH", &path, Some(json!({field: bad}))).await;
        assert_eq!((status, &body["details"]["field"]), (400, &json!(field)), "{body}");
    }
    let limits = json!({"max_minutes_per_day": 600, "max_spend_per_day": 1.5});
    let changed = owner.done("PATCH", &path, Some(limits)).await["organization"].clone();
    assert_eq!((&changed["max_minutes_per_day"], &changed["max_spend_per_day"]), (&json!(600), &json!(1.5)));
    let (status, body) = execute(&server).await;
    assert_eq!(status, 200, "{body}");
    let call = server.incoming.recv().await.unwrap();
    let script = trunkline_lab::caller::script::CallScript::parse("pause 6000; hangup").unwrap();
    // The call goes on, has no bill yet, and counts.
    let (_, refused) = tokio::join!(server.phone.answer(call, &script, None), async {
        let services = &server.app.services;
        let scope = services.store.authenticate(&server.key).await.unwrap().unwrap().scope;
        until("a call that goes on is counted", async || {
            (!services.admission.is_within_daily_limits(scope).await.unwrap()).then_some(())
        })
        .await;
        execute(&server).await
    });
    assert_eq!((refused.0, &refused.1["details"]["code"]), (403, &json!("daily_limit_reached")), "{}", refused.1);
    server.last_call().await;
    let (status, body) = execute(&server).await;
    assert_eq!((status, &body["details"]["code"]), (403, &json!("daily_limit_reached")), "{body}");
    // A task that is due waits for the next day.
    let due =
        json!({"agent_id": server.agent, "to_number": "+15550177", "scheduled_at": jiff::Timestamp::now().to_string()});
    let id = server.post("/tasks", due).await["task"]["id"].as_str().unwrap().to_owned();
    let services = &server.app.services;
    until("the task waits for the next day", async || {
        let due = services.store.due_tasks(100, 100, None).await.unwrap().0;
        (!due.iter().any(|due| due.task.to_string() == id)).then_some(())
    })
    .await;
    assert_eq!(server.get(&format!("/tasks/{id}")).await["task"]["status"], json!("pending"));
    // Without a limit it goes on.
    owner.done("PATCH", &path, Some(json!({"max_minutes_per_day": null, "max_spend_per_day": null}))).await;
    let (status, body) = execute(&server).await;
    assert_eq!(status, 200, "{body}");
}

/// A token as a provider signs it, by Node's cryptography.
const SIGN: &str = r#"
const { sign } = require("node:crypto");
const [key, info, iat, from, to, attest] = process.argv.slice(1);
const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const signed = part({ alg: "ES256", ppt: "shaken", typ: "passport", x5u: info }) + "." +
  part({ attest, dest: { tn: [to] }, iat: Number(iat), orig: { tn: from }, origid: "123e4567-e89b-12d3-a456-426655440000" });
const signature = sign("sha256", Buffer.from(signed), { key, dsaEncoding: "ieee-p1363" }).toString("base64url");
console.log(`${signed}.${signature};info=<${info}>;alg=ES256;ppt=shaken`);
"#;

fn signed(key: &str, info: &str, age_s: u64, attest: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() - age_s;
    let to = NUMBER.trim_start_matches('+');
    let all = ["-e", SIGN, "--", key, info, &now.to_string(), "15550100", to, attest];
    let output = Command::new("node").args(all).output().expect("node is not installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A call that is refused with this status.
async fn refused(server: &Server, identity: &str, status: u16) {
    let text = std::fs::read_to_string(scenario("uac_refused")).unwrap();
    let header = if identity.is_empty() { String::new() } else { format!("Identity: {identity}") };
    let text = text.replace("[identity]\n", &if header.is_empty() { header } else { format!("{header}\n") });
    let file = server.folder.path().join(format!("refused-{status}.xml"));
    std::fs::write(&file, text.replace("STATUS", &status.to_string())).unwrap();
    let file = file.display().to_string();
    let output = sipp(server.folder.path(), arguments(server, "u1", &["-sf", &file, "-m", "1"])).await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{status}: {text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attestation_is_shown_and_may_be_required() {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let chain = CertificateParams::new(vec![]).unwrap().signed_by(&key, &root).unwrap().pem();
    let repository = CustomerServer::start(move |_| (200, chain.clone(), Duration::ZERO)).await;
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, root.pem()).unwrap();
    let server = Server::start_with(|config| {
        config.sip.stir.roots = roots.display().to_string();
        config.sip.stir.allow_private = true;
    })
    .await;
    let (key, info) = (key.serialize_pem(), format!("{}/shaken.pem", repository.url));
    let file = scenario("uac_identity");
    let call = async |identity: &str| {
        let all = ["-sf", &file, "-m", "1", "-key", "identity", identity];
        let output = sipp(server.folder.path(), arguments(&server, "u1", &all)).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        server.last_call().await["signalling"]["identity"].clone()
    };
    let origid = "123e4567-e89b-12d3-a456-426655440000";
    let believed = json!({"attestation": "A", "origid": origid, "verification": "passed"});
    assert_eq!(call(&signed(&key, &info, 0, "A")).await, believed);
    // A failed verification does not end the call: the fault is shown.
    let other = KeyPair::generate().unwrap().serialize_pem();
    let forged = call(&signed(&other, &info, 0, "A")).await;
    let wanted =
        json!({"attestation": "A", "origid": origid, "verification": "failed", "problem": "its signature is wrong"});
    assert_eq!(forged, wanted);
    assert_eq!(repository.told("/shaken.pem").len(), 1, "certificates are kept");
    let required = json!({"require_attestation": "B"});
    server.send("PATCH", &format!("/trunks/{}", server.trunk), Some(required)).await;
    refused(&server, "", 428).await;
    refused(&server, &signed(&other, &info, 0, "A"), 438).await;
    refused(&server, &signed(&key, &info, 0, "C"), 403).await;
    refused(&server, &signed(&key, &info, 120, "A"), 403).await;
    refused(&server, &signed(&key, "http://127.0.0.1:9/none.pem", 0, "A"), 436).await;
    assert_eq!(call(&signed(&key, &info, 0, "B")).await["attestation"], json!("B"));
}
