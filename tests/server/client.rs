//! The program as a client of a running server, and its doctor.

use super::support::{OWNER, PASSWORD, Server, free_port, program};
use serde_json::{Value, json};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output, Stdio};
use trunkline_lab::caller::script::CallScript;

/// The program with the server's key; the folder is its home.
fn client(server: &Server, arguments: &[&str]) -> Command {
    let mut command = anonymous(server, arguments);
    command.env("TRUNKLINE_URL", format!("http://{}", server.app.api_addr)).env("TRUNKLINE_API_KEY", &server.key);
    command
}

/// The program as it is before a login.
fn anonymous(server: &Server, arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(arguments).current_dir(server.folder.path()).env_clear().stdin(Stdio::null());
    command.env("XDG_CONFIG_HOME", server.folder.path().join("home"));
    command
}

async fn finished(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// What a run prints, and its exit code.
async fn run(command: Command) -> (i32, String, String) {
    let output = finished(command).await;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

#[track_caller]
fn json_of(outcome: &(i32, String, String)) -> Value {
    serde_json::from_str(&outcome.1).unwrap_or_else(|_| panic!("{outcome:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_are_created_listed_changed_and_deleted_by_name() {
    let server = Server::start().await;
    let made = run(client(
        &server,
        &[
            "agents",
            "create",
            "--set",
            "name=Sales",
            "--set",
            "llm_config.provider=openai",
            "--set",
            "llm_config.model=gpt-4o",
            "--json",
        ],
    ))
    .await;
    assert_eq!((made.0, &json_of(&made)["agent"]["name"]), (0, &json!("Sales")), "{made:?}");
    let table = run(client(&server, &["agents", "list"])).await;
    assert!(table.1.starts_with("ID") && table.1.contains("Sales") && table.1.contains("Test"), "{table:?}");
    let one = run(client(&server, &["agents", "list", "--limit", "1", "--json"])).await;
    let one = json_of(&one);
    assert_eq!((one["agents"].as_array().map(Vec::len), &one["total"]), (Some(1), &json!(2)));
    let all = json_of(&run(client(&server, &["agents", "list", "--all", "--json"])).await);
    assert_eq!(all["agents"].as_array().map(Vec::len), Some(2));
    let changed = run(client(&server, &["agents", "update", "Sales", "--set", "enabled=false", "--json"])).await;
    assert_eq!(json_of(&changed)["agent"]["is_active"], json!(false));
    let refused =
        run(client(&server, &["agents", "update", "Sales", "--set", "max_duration_seconds=1", "--set", "name="])).await;
    assert!(refused.0 == 3 && refused.2.contains("max_duration_seconds") && refused.2.contains("name"), "{refused:?}");
    let asked = run(client(&server, &["agents", "delete", "Sales"])).await;
    assert!(asked.0 == 2 && asked.2.contains("--yes"), "nobody is asked without a terminal: {asked:?}");
    assert_eq!(run(client(&server, &["agents", "delete", "Sales", "--yes"])).await.0, 0);
    let gone = run(client(&server, &["agents", "get", "Sales"])).await;
    assert!(gone.0 == 2 && gone.2.contains("there is no agent \"Sales\""), "{gone:?}");
    let mut stranger = client(&server, &["numbers", "list"]);
    stranger.env("TRUNKLINE_API_KEY", "va_wrong");
    let stranger = run(stranger).await;
    assert!(
        stranger.0 == 3 && stranger.2.contains("trunkline login") && !stranger.2.contains("va_wrong"),
        "{stranger:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_is_tried_and_kept_for_its_owner_alone() {
    let server = Server::start().await;
    let url = format!("http://{}", server.app.api_addr);
    let log_in = async |key: String| {
        let mut command = anonymous(&server, &["login", "--url", &url, "--key-stdin"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().unwrap();
            child.stdin.take().unwrap().write_all(key.as_bytes()).unwrap();
            child.wait_with_output().unwrap()
        });
        output.await.unwrap()
    };
    let file = server.folder.path().join("home/trunkline/credentials.toml");
    let wrong = log_in("va_wrong".to_owned()).await;
    assert!(wrong.status.code() == Some(3) && !file.exists(), "{wrong:?}");
    let right = log_in(format!("{}\n", server.key)).await;
    assert!(right.status.success() && !String::from_utf8_lossy(&right.stdout).contains(&server.key), "{right:?}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let list = run(anonymous(&server, &["numbers", "list"])).await;
    assert!(list.0 == 0 && list.1.contains("+31201234567"), "{list:?}");
    assert_eq!(run(anonymous(&server, &["logout"])).await.0, 0);
    assert_eq!(run(anonymous(&server, &["numbers", "list"])).await.0, 2);
    // A person gets a key for this machine.
    let mut person = anonymous(&server, &["login", "--url", &url, "--email", OWNER]);
    person.env("TRUNKLINE_PASSWORD", PASSWORD);
    let person = run(person).await;
    assert_eq!(person.0, 0, "{person:?}");
    assert_eq!(run(anonymous(&server, &["agents", "list"])).await.0, 0);
}

const FILE: &str = "\
secrets:
  - {name: Ours, provider: openai, value: {env: OPENAI_KEY}}
trunks:
  - name: Carrier
    host: sip.example.com
    username: acme
    password: {env: SIP_PASSWORD}
agents:
  - name: Front
    system_prompt: {file: prompt.md}
    webhook_url: https://acme.example.com/hooks
    webhook_secret: {env: HOOK_SECRET}
    llm_config: {provider: openai, model: gpt-4o-mini, temperature: 0.3}
    tts_config: {provider: elevenlabs, voice_id: v, language: en, speed: 1.1}
    silence_config: {goodbye: Bye.}
    handover_config:
      agents:
        - {agent: Back, name: back}
  - name: Back
    llm_config: {provider: openai, model: gpt-4o-mini}
    handover_config:
      agents:
        - {agent: Front, name: front}
numbers:
  - number: +31201234568
    agent: Front
    trunk: Carrier
";

/// `trunkline apply` of a text.
async fn apply(server: &Server, text: &str, more: &[&str]) -> (i32, String, String) {
    std::fs::write(server.folder.path().join("acme.yaml"), text).unwrap();
    std::fs::write(server.folder.path().join("prompt.md"), "You are at the front.\n").unwrap();
    let mut command = client(server, &["apply", "-f", "acme.yaml"]);
    command.args(more).env("SIP_PASSWORD", "pw-of-the-trunk").env("HOOK_SECRET", "key-of-the-hooks");
    command.env("OPENAI_KEY", "sk-of-ours").env("TRUNKLINE_EMAIL", OWNER).env("TRUNKLINE_PASSWORD", PASSWORD);
    let outcome = run(command).await;
    for secret in ["pw-of-the-trunk", "key-of-the-hooks", "sk-of-ours"] {
        assert!(!outcome.1.contains(secret) && !outcome.2.contains(secret), "{outcome:?}");
    }
    outcome
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_applied_once_and_a_second_run_changes_nothing() {
    let server = Server::start().await;
    let dry = apply(&server, FILE, &["--dry-run"]).await;
    assert!(dry.0 == 0 && dry.1.contains("5 to create") && dry.1.contains("nothing was changed"), "{dry:?}");
    assert_eq!(server.get("/agents").await["total"], json!(1));
    let first = apply(&server, FILE, &["--yes"]).await;
    assert!(first.0 == 0 && first.1.contains("created agent Front"), "{first:?}");
    let second = json_of(&apply(&server, FILE, &["--yes", "--json"]).await);
    let states: Vec<&Value> = second["items"].as_array().unwrap().iter().map(|item| &item["action"]).collect();
    assert_eq!(states, vec!["unchanged"; 5], "{second:#}");
    let front = json_of(&run(client(&server, &["agents", "get", "Front", "--json"])).await)["agent"].clone();
    let back = json_of(&run(client(&server, &["agents", "get", "Back", "--json"])).await)["agent"].clone();
    assert_eq!(front["handover_config"]["agents"][0]["agent_id"], back["id"], "they hand over to each other");
    assert_eq!(back["handover_config"]["agents"][0]["agent_id"], front["id"]);
    assert_eq!(front["system_prompt"], json!("You are at the front."));
    let changed =
        FILE.replace("temperature: 0.3", "temperature: 0.4").replace("    silence_config: {goodbye: Bye.}\n", "");
    let third = apply(&server, &changed, &["--yes"]).await;
    let words = third.1.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(third.0 == 0 && words.contains("update agent Front llm_config"), "{third:?}");
    assert!(third.1.contains("0 to create, 1 to update, 4 unchanged"), "{third:?}");
    let now = server.get(&format!("/agents/{}", front["id"].as_str().unwrap())).await["agent"].clone();
    assert_eq!((&now["llm_config"]["temperature"], &now["silence_config"]["goodbye"]), (&json!(0.4), &json!("Bye.")));
    let secrets = json_of(&apply(&server, &changed, &["--dry-run", "--update-secrets", "--json"]).await);
    assert_eq!(secrets["items"][1]["fields"], json!(["password"]), "{secrets:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_file_changes_nothing_and_one_that_is_refused_half_way_can_be_finished() {
    let server = Server::start_with(|config| config.quotas.agents = 2).await;
    let broken = FILE.replace("voice_id: v", "voice: v").replace("sip.example.com", "'not a host'");
    let refused = apply(&server, &broken, &["--yes"]).await;
    assert_eq!(refused.0, 2, "{refused:?}");
    for place in ["acme.yaml:5: trunks[0].host: ", "acme.yaml:14: agents[0].tts_config.voice: unknown field"] {
        assert!(refused.2.contains(place), "{place} is not in {}", refused.2);
    }
    let nowhere = apply(&server, &FILE.replace("agent: Front\n", "agent: Nobody\n"), &["--yes"]).await;
    assert!(nowhere.0 == 2 && nowhere.2.contains("acme.yaml:26: numbers[0].agent: neither"), "{nowhere:?}");
    assert_eq!(server.get("/trunks").await["total"], json!(1), "nothing was written");
    // The organization may have two agents, and has one.
    let half = apply(&server, FILE, &["--yes"]).await;
    assert_eq!(half.0, 3, "{half:?}");
    assert!(half.2.contains("failed: agent Back") && half.2.contains("not applied: number +31201234568"), "{half:?}");
    assert!(half.2.contains("trunk Carrier") && half.2.contains("run it again"), "{half:?}");
    let numbers = server.get("/phone-numbers").await;
    let number = numbers["phone_numbers"][0]["id"].as_str().unwrap();
    server.send("DELETE", &format!("/phone-numbers/{number}"), None).await;
    assert_eq!(server.send("DELETE", &format!("/agents/{}", server.agent), None).await.0, 200);
    let rest = apply(&server, FILE, &["--yes"]).await;
    assert!(rest.0 == 0 && rest.1.contains("created agent Back"), "{rest:?}");
    let last = apply(&server, FILE, &["--yes"]).await;
    assert!(last.0 == 0 && last.1.contains("0 to create, 0 to update, 5 unchanged"), "{last:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_made_followed_and_judged_by_its_end() {
    let mut server = Server::start().await;
    let call = client(&server, &["call", "+15550199", "--agent", "Test", "--context", "customer=Jan"]);
    let tail = client(&server, &["calls", "tail"]);
    let (made, followed) = (tokio::spawn(run(call)), tokio::spawn(run(tail)));
    let ringing = server.incoming.recv().await.unwrap();
    let script = CallScript::parse("listen; say hello; listen; hangup").unwrap();
    let report = server.phone.answer(ringing, &script, None).await;
    assert_eq!(report.failure, None);
    let (made, followed) = (made.await.unwrap(), followed.await.unwrap());
    assert_eq!(made.0, 0, "{made:?}");
    for lines in [&made.1, &followed.1] {
        assert!(lines.contains("agent: Good morning, this is Acme.") && lines.contains("caller: "), "{lines}");
        assert!(lines.contains("-- completed: customer_hung_up"), "{lines}");
    }
    let busy = tokio::spawn(run(client(&server, &["call", "+15550199", "--agent", "Test", "--json"])));
    let ringing = server.incoming.recv().await.unwrap();
    server.phone.sip.reject(ringing.incoming.call, 486, None).await;
    let busy = busy.await.unwrap();
    assert!(busy.0 == 5 && busy.2.contains("busy"), "{busy:?}");
    assert_eq!(json_of(&busy)["call"]["end_reason"], json!("busy"));
    let nobody = run(client(&server, &["calls", "tail", "01a1fe5c-0000-7000-8000-000000000000"])).await;
    assert_eq!(nobody.0, 3, "{nobody:?}");
}

/// The findings of a check.
fn levels<'a>(report: &'a Value, check: &str) -> Vec<&'a str> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings.filter(|finding| finding["check"] == check).map(|finding| finding["level"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_finds_nothing_wrong_beside_a_server_that_works_and_names_what_is_broken() {
    let mut url = String::new();
    let server = Server::start_with(|config| config.database.url.expose().clone_into(&mut url)).await;
    let fields = json!({"host": "127.0.0.1", "port": server.sip_port()});
    server.send("PATCH", &format!("/trunks/{}", server.trunk), Some(fields)).await;
    let held = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = |port: u16| format!("127.0.0.1:{port}");
    let doctor = |changes: &[(&str, String)]| {
        let mut command = anonymous(&server, &["doctor", "--json"]);
        let base = [
            ("TRUNKLINE_API__LISTEN", server.app.api_addr.to_string()),
            ("TRUNKLINE_SIP__LISTEN", port(server.sip_port())),
            ("TRUNKLINE_SIP__ALLOW_PRIVATE", "true".to_owned()),
            ("TRUNKLINE_WEBRTC__ENABLED", "false".to_owned()),
            ("TRUNKLINE_DATABASE__URL", url.clone()),
            ("TRUNKLINE_SECRETS__MASTER_KEY", "a master key of the tests".to_owned()),
            ("TRUNKLINE_PROVIDERS__ALLOW_PRIVATE", "true".to_owned()),
            ("TRUNKLINE_PROVIDERS__OPENAI__BASE_URL", server.emulator.address_of("openai")),
            ("TRUNKLINE_PROVIDERS__OPENAI__API_KEY", "test".to_owned()),
            ("PATH", std::env::var("PATH").unwrap()),
        ];
        command.envs(base).envs(changes.iter().cloned());
        command
    };
    let well = run(doctor(&[])).await;
    let report = json_of(&well);
    assert_eq!((well.0, report["level"] == "error"), (0, false), "{report:#}");
    assert_eq!(levels(&report, "server"), ["ok"], "{report:#}");
    assert_eq!(levels(&report, "database"), ["ok"]);
    assert_eq!(levels(&report, "master_key"), ["ok"]);
    assert!(levels(&report, "ports").iter().all(|level| *level == "ok"), "{report:#}");
    assert_eq!(levels(&report, "trunks"), ["ok"], "{report:#}");
    let ill = run(doctor(&[
        ("TRUNKLINE_API__LISTEN", held.local_addr().unwrap().to_string()),
        ("TRUNKLINE_SIP__LISTEN", port(free_port())),
        ("TRUNKLINE_PROVIDERS__OPENAI__API_KEY", "invalid".to_owned()),
        ("TRUNKLINE_RECORDINGS__FOLDER", "/proc/none".to_owned()),
    ]))
    .await;
    let report = json_of(&ill);
    assert_eq!((ill.0, &report["level"]), (1, &json!("error")), "{report:#}");
    assert!(levels(&report, "ports").contains(&"error"), "{report:#}");
    assert!(levels(&report, "providers").contains(&"error"), "{report:#}");
    assert!(levels(&report, "folders").contains(&"error"), "{report:#}");
    let words = report.to_string();
    assert!(words.contains("api.listen") && words.contains("providers.openai.api_key"), "{report:#}");
    assert!(!words.contains("a master key of the tests"), "{report:#}");
    let settings = run(doctor(&[("TRUNKLINE_SIP__NONE", "1".to_owned())])).await;
    assert!(settings.0 == 1 && settings.1.contains("sip.none"), "{settings:?}");
}
