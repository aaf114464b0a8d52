//! `trunkline demo` with the real speech models, where `make deps` has put them: its scripted callers are understood.

use super::support::{program, speech_models};
use std::process::Stdio;
use std::time::Duration;
use trunkline_local_speech::io::model_files::ModelState;
use trunkline_local_speech::models::PIPER_JOE;

/// Four calls at the same time take some forty seconds.
const DEADLINE: Duration = Duration::from_secs(150);

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stderr, reason = "says what it skips")]
async fn callers_of_the_demo_are_understood_in_their_own_words() {
    let Some(models) = speech_models() else { return };
    if PIPER_JOE.glance(&models) != ModelState::Present {
        return eprintln!("skipped: espeak-ng, which would say the callers' words, is not understood well enough");
    }
    let folder = tempfile::tempdir().unwrap();
    let child = tokio::process::Command::new(program())
        .args(["demo", "--exit", "--at-once", "--api", "127.0.0.1:0", "--sip", "127.0.0.1:0", "--web", "127.0.0.1:0"])
        .arg("--models")
        .arg(models)
        .arg("--folder")
        .arg(folder.path().join("demo"))
        .current_dir(&folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(DEADLINE, child).await.expect("the demo takes too long").unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    for wanted in [
        "moonshine-tiny-en hears",
        // Questions, the first answer interrupted.
        "assistant  We are open from Monday",
        "← interrupted",
        "Delivery costs four euros",
        "One moment, I am looking for order 1 2 3 4 5 6.",
        "Your order has left our shop",
        // A message.
        "What is your name?",
        "we will call you back",
        // A transfer, a task.
        "connected with shop",
        "inbound  completed  transferred",
        "Your parcel comes tomorrow",
        "outbound  completed  agent_hung_up",
    ] {
        assert!(said.contains(wanted), "{wanted:?} is missing:\n{said}");
    }
}
