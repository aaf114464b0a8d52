//! `trunkline check-trunk` as a shell sees it, against carriers with faults and programs that are not ours.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::Value;
use std::process::{Child, Command, Output, Stdio};
use trunkline_lab::carrier::{CalleeAnswer, CalleeAudio, Carrier, CarrierBehavior, CarrierSrtp};

const TO: &str = "+31201234567";

fn command(carrier: &str, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trunkline"));
    let base = ["check-trunk", "--host", carrier, "--to", TO, "--from", "+31207654321", "--json"];
    command.args(base).args(more).env_clear().stdin(Stdio::null());
    command.current_dir(std::env::temp_dir()).env("TRUNKLINE_SIP__ADVERTISED_ADDRESS", "127.0.0.1");
    command
}

async fn check(behavior: CarrierBehavior, more: &[&str]) -> (Output, Value, Carrier) {
    let carrier = Carrier::start(behavior).await.unwrap();
    let mut command = command(&carrier.addr().to_string(), more);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("no report: {}", String::from_utf8_lossy(&output.stderr)));
    (output, report, carrier)
}

/// The finding with this check and verdict that has these words.
#[track_caller]
fn assert_finding(report: &Value, check: &str, verdict: &str, words: &str) {
    let findings = report["findings"].as_array().unwrap();
    let is_it = |finding: &&Value| {
        let text = format!("{} {}", finding["seen"], finding["advice"]);
        finding["check"] == check && finding["verdict"] == verdict && text.contains(words)
    };
    assert!(findings.iter().any(|finding| is_it(&finding)), "{check} {verdict} {words:?} is not in {report:#}");
}

const SHORT: &[&str] = &["--seconds", "6"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pleasant_carrier_that_echoes_has_no_problem() {
    let behavior = CarrierBehavior { account: Some(("account", "a-secret-word")), ..CarrierBehavior::default() };
    let carrier = Carrier::start(behavior).await.unwrap();
    let mut command = command(&carrier.addr().to_string(), &["--username", "account", "--password-env", "PW"]);
    command.args(["--seconds", "12"]).env("PW", "a-secret-word");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("a-secret-word"), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["problems"], 0);
    for (check, words) in [
        ("credentials", "accepted"),
        ("codecs", "chose PCMU"),
        ("codecs", "Offered alone, PCMU and PCMA were taken"),
        ("dtmf", "159# was sent and came back complete"),
        ("hold", "answered recvonly"),
        ("transfer", "Allow lists REFER"),
        ("session_timer", "1800 s; we refresh"),
        ("echo", "The far end echoes"),
        ("hang_up", "BYE was answered 200"),
    ] {
        assert_finding(&report, check, "ok", words);
    }
    assert_eq!((carrier.dialed(), carrier.open_calls()), (3, 0), "everything that was dialed is hung up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_of_a_carrier_is_found() {
    let plain =
        CarrierBehavior { audio: CalleeAudio::Tone, codecs: vec!["PCMU", "PCMA"], ..CarrierBehavior::default() };
    let one_codec = ["--seconds", "6", "--codecs", "PCMA"];
    let silent = CarrierBehavior { audio: CalleeAudio::Nothing, ..plain.clone() };
    let early = CarrierBehavior { answer: CalleeAnswer::AfterEarlyMedia, ..plain.clone() };
    let no_hold = CarrierBehavior { refuses_hold: true, ..plain.clone() };
    let timer = CarrierBehavior { min_se_s: 3_600, ..plain.clone() };
    let slow = CarrierBehavior { ptime_ms: 30, ..plain.clone() };
    let event_96 = CarrierBehavior { event_payload_type: 96, ..plain.clone() };
    let pressed_96 = CarrierBehavior { pressed_payload_type: 96, ..plain.clone() };
    let no_events = CarrierBehavior { event_payload_type: 0, ..plain.clone() };
    let no_refer = CarrierBehavior { allow: "INVITE, ACK, BYE, CANCEL", ..plain.clone() };
    let no_bye = CarrierBehavior { ignores_bye: true, ..plain.clone() };
    let cases: Vec<(CarrierBehavior, &str, &str, &str)> = vec![
        (silent, "audio", "problem", "No packet came"),
        (early, "early_media", "ok", "183 came with a session description"),
        (no_hold, "hold", "problem", "refused with 488"),
        (timer, "session_timer", "note", "3600 s at least"),
        (slow, "ptime", "note", "wants 30 ms"),
        (event_96, "dtmf", "note", "payload type 96"),
        (pressed_96, "dtmf", "problem", "payload type 96, which was not agreed on"),
        (no_events, "dtmf", "problem", "no telephone-event"),
        (no_refer, "transfer", "note", "does not list REFER"),
        (no_bye, "hang_up", "problem", "BYE was not answered"),
    ];
    let mut checks = tokio::task::JoinSet::new();
    for (behavior, name, verdict, words) in cases {
        checks.spawn(async move {
            let (output, report, carrier) = check(behavior, &one_codec).await;
            assert_finding(&report, name, verdict, words);
            let problems = report["problems"].as_u64().unwrap();
            assert_eq!(output.status.code(), Some(i32::from(problems > 0)), "{report:#}");
            assert_eq!(carrier.open_calls(), 0, "{name}");
        });
    }
    while let Some(done) = checks.join_next().await {
        done.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carrier_with_one_codec_is_found_by_calls_with_one_each() {
    let (_, report, carrier) =
        check(CarrierBehavior { codecs: vec!["PCMA"], ..CarrierBehavior::default() }, SHORT).await;
    assert_finding(&report, "codecs", "ok", "chose PCMA");
    assert_finding(&report, "codecs", "note", "only PCMA was taken; PCMU was refused");
    assert_eq!((carrier.dialed(), carrier.open_calls()), (2, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_off_is_measured() {
    let behavior = CarrierBehavior { audio: CalleeAudio::Tone, drift_ppm: 200.0, ..CarrierBehavior::default() };
    let (_, report, _) = check(behavior, &["--seconds", "24", "--codecs", "PCMA"]).await;
    assert_finding(&report, "clock", "note", "ppm fast");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn srtp_that_is_refused_is_left_out_of_a_second_call() {
    let behavior = CarrierBehavior { srtp: CarrierSrtp::Refused, ..CarrierBehavior::default() };
    let (_, report, carrier) = check(behavior, &["--seconds", "6", "--codecs", "PCMA", "--srtp", "preferred"]).await;
    assert_finding(&report, "srtp", "note", "the same call without it was made");
    assert_finding(&report, "call", "ok", "Answered");
    assert_eq!(carrier.dialed(), 1);
}

/// Whoever offers it must and may: what comes back is decrypted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn srtp_that_is_taken_carries_audio_and_digits() {
    let behavior = CarrierBehavior { srtp: CarrierSrtp::Taken, ..CarrierBehavior::default() };
    for policy in ["preferred", "mandatory"] {
        let (output, report, carrier) =
            check(behavior.clone(), &["--seconds", "6", "--codecs", "PCMA", "--srtp", policy]).await;
        assert_finding(&report, "srtp", "ok", "taken");
        assert_finding(&report, "dtmf", "ok", "159# was sent and came back complete");
        assert_finding(&report, "hold", "ok", "Audio went on afterwards");
        assert_eq!((output.status.code(), carrier.dialed(), carrier.open_calls()), (Some(0), 1, 0), "{report:#}");
    }
}

/// The callee answers only after PRACK, in a call whose INVITE was challenged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reliable_responses_are_acknowledged() {
    for answer in [CalleeAnswer::Soon, CalleeAnswer::AfterEarlyMedia] {
        let behavior = CarrierBehavior { is_reliable: true, answer, ..CarrierBehavior::default() };
        let (output, report, carrier) = check(behavior, &["--seconds", "6", "--codecs", "PCMU"]).await;
        assert_finding(&report, "prack", "ok", "PRACK was taken");
        assert_finding(&report, "hang_up", "ok", "BYE was answered 200");
        assert_eq!((output.status.code(), carrier.dialed(), carrier.open_calls()), (Some(0), 1, 0), "{report:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_is_reported_as_the_carrier_reports_it() {
    let arguments = ["--seconds", "6", "--codecs", "PCMU", "--refer-to", "sip:+31207654399@127.0.0.1"];
    for (transfer, verdict, words) in [
        (&["SIP/2.0 100 Trying", "SIP/2.0 200 OK"][..], "ok", "reported SIP/2.0 100 Trying and SIP/2.0 200 OK"),
        (&["SIP/2.0 180 Ringing", "SIP/2.0 486 Busy Here"], "problem", "ended with SIP/2.0 486 Busy Here"),
        (&[], "note", "no NOTIFY told how it went"),
    ] {
        let (_, report, carrier) = check(CarrierBehavior { transfer, ..CarrierBehavior::default() }, &arguments).await;
        assert_finding(&report, "transfer", verdict, words);
        assert_eq!(carrier.open_calls(), 0);
    }
}

/// It registers for as long as the registrar wants, and takes its contact back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registration_is_granted_and_taken_back() {
    let behavior =
        CarrierBehavior { account: Some(("account", "word")), min_expires_s: 7_200, ..CarrierBehavior::default() };
    let carrier = Carrier::start(behavior).await.unwrap();
    let arguments =
        ["--username", "account", "--password-env", "PW", "--register", "--seconds", "6", "--codecs", "PCMU"];
    let mut command = command(&carrier.addr().to_string(), &arguments);
    command.env("PW", "word");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_finding(&report, "registration", "ok", "Registered for 7200 s");
    assert_finding(&report, "credentials", "ok", "accepted");
    assert_eq!((carrier.registrations(), carrier.registered(), carrier.dialed()), (1, 0, 1), "{report:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_credentials_are_a_problem_and_no_further_call_is_made() {
    let behavior = CarrierBehavior { account: Some(("account", "right")), ..CarrierBehavior::default() };
    let carrier = Carrier::start(behavior).await.unwrap();
    let mut command = command(&carrier.addr().to_string(), &["--username", "account", "--password-env", "PW"]);
    command.env("PW", "a-wrong-word");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_finding(&report, "credentials", "problem", "answered 401");
    assert_eq!((output.status.code(), carrier.dialed()), (Some(1), 0));
    assert!(!format!("{output:?}").contains("a-wrong-word"));
}

/// Ctrl-C while it rings: the call is canceled and what was seen is reported.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_rings_is_canceled_by_ctrl_c() {
    let carrier =
        Carrier::start(CarrierBehavior { answer: CalleeAnswer::Never, ..CarrierBehavior::default() }).await.unwrap();
    let child =
        command(&carrier.addr().to_string(), &[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let ringing = async {
        while carrier.open_calls() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), ringing).await.unwrap();
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_finding(&report, "check", "not_tried", "Ctrl-C");
    assert_eq!(carrier.open_calls(), 0, "it is canceled");
}

#[test]
fn wrong_arguments_end_with_2() {
    for arguments in [
        &["check-trunk"][..],
        &["check-trunk", "Carrier"],
        &["check-trunk", "--host", "127.0.0.1", "--to", "12"],
        &["check-trunk", "--host", "127.0.0.1", "--to", TO, "--codecs", "G729"],
        &["check-trunk", "--host", "127.0.0.1", "--to", TO, "--username", "a", "--password-env", "NOT_SET"],
        &["check-trunk", "--host", "127.0.0.1:port", "--to", TO],
        &["check-trunk", "--host", "127.0.0.1", "--to", TO, "--seconds", "1"],
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_trunkline"));
        let output = command.args(arguments).current_dir(&folder).env_clear().output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}: {output:?}");
    }
}

/// Ends a program of others with the test.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port outside of the system's ephemeral range that nobody has.
fn free_port() -> u16 {
    let free = |port: &u16| std::net::UdpSocket::bind(("127.0.0.1", *port)).is_ok();
    (24_000..25_000).step_by(7).map(|port| port + (std::process::id() % 7) as u16).find(free).unwrap()
}

async fn listens(port: u16) {
    // Read, not tried: who binds the port to try it may take it from the program that is starting.
    let is_bound = || {
        let sockets =
            std::fs::read_to_string("/proc/net/udp").unwrap() + &std::fs::read_to_string("/proc/net/tcp").unwrap();
        sockets
            .lines()
            .any(|line| line.split_whitespace().nth(1).is_some_and(|at| at.ends_with(&format!(":{port:04X}"))))
    };
    let bound = async {
        while !is_bound() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), bound).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sipp_is_checked() {
    let port = free_port();
    let media = (port + 2_000).to_string();
    let mut sipp = Command::new("sipp");
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/sip/uas_hold.xml");
    sipp.args(["-sf", scenario, "-i", "127.0.0.1", "-p", &port.to_string(), "-mp", &media, "-rtp_echo", "-nostdin"]);
    sipp.current_dir(std::env::temp_dir()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let _peer = Peer(sipp.spawn().expect("sipp is not installed (make test installs sip-tester)"));
    listens(port).await;
    let mut command = command(&format!("127.0.0.1:{port}"), &["--seconds", "6", "--codecs", "PCMU"]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_finding(&report, "call", "ok", "Answered");
    assert_finding(&report, "codecs", "ok", "chose PCMU");
    assert_finding(&report, "dtmf", "ok", "159# was sent and came back complete");
    assert_finding(&report, "session_timer", "ok", "no session timer");
    assert_finding(&report, "hold", "ok", "answered recvonly");
    assert_finding(&report, "transfer", "note", "does not list REFER");
    assert_finding(&report, "echo", "ok", "The far end echoes");
    assert_finding(&report, "hang_up", "ok", "BYE was answered 200");
}

/// A minute of a tone as a WAV file of 8 kHz.
fn tone() -> Vec<u8> {
    let samples: Vec<i16> = (0..480_000).map(|n| (6_000.0 * (f64::from(n) * 0.345).sin()) as i16).collect();
    let bytes = samples.len() as u32 * 2;
    let mut file = b"RIFF".to_vec();
    file.extend((bytes + 36).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data");
    file.extend(bytes.to_le_bytes());
    file.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn baresip_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port() + 3;
    let config = format!(
        "module_path /usr/lib/baresip/modules\nmodule aufile.so\nmodule g711.so\nmodule account.so\nmodule_app menu.so\n\
         audio_source aufile,{0}/tone.wav\naudio_player aufile,{0}/heard.wav\nsip_listen 127.0.0.1:{port}\naudio_srate 8000\naudio_channels 1\n",
        folder.path().display()
    );
    std::fs::write(folder.path().join("config"), config).unwrap();
    std::fs::write(folder.path().join("tone.wav"), tone()).unwrap();
    let account = format!("<sip:{TO}@127.0.0.1>;regint=0;answermode=auto;audio_codecs=PCMA\n");
    std::fs::write(folder.path().join("accounts"), account).unwrap();
    std::fs::write(folder.path().join("contacts"), "").unwrap();
    let mut baresip = Command::new("baresip");
    baresip.args(["-f", &folder.path().display().to_string(), "-t", "60"]).stdin(Stdio::null());
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let spawned = baresip.stdout(log).stderr(Stdio::null()).spawn();
    let _peer = Peer(spawned.expect("baresip is not installed (make test installs baresip-core)"));
    listens(port).await;
    let mut command = command(&format!("127.0.0.1:{port}"), &["--seconds", "6", "--codecs", "PCMA"]);
    command.args(["--transport", "udp"]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}\n{log}"));
    for (check, words) in
        [("call", "Answered"), ("codecs", "chose PCMA"), ("dtmf", "payload type 101"), ("hang_up", "200")]
    {
        let text = format!("{report:#}\n{log}");
        assert!(text.contains(words), "{check}: {text}");
        assert_finding(&report, check, "ok", words);
    }
    assert_finding(&report, "hold", "ok", "Audio went on afterwards");
}
