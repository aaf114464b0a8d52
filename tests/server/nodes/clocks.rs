//! Processes whose clocks differ.

use super::{DEAD_AFTER, LONG_CALL, cluster};
use serde_json::{Value, json};
use std::collections::HashMap;
use tokio::sync::mpsc;
use trunkline::domain::time::UnixMs;

/// A library that shifts the wall clock of its process by some seconds.
fn wrong_clock(folder: &std::path::Path) -> String {
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    let text = "#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <stdlib.h>\n#include <time.h>\n\
        int clock_gettime(clockid_t id, struct timespec *at) {\n\
        static int (*real)(clockid_t, struct timespec *);\n\
        if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, \"clock_gettime\");\n\
        int result = real(id, at);\n\
        const char *wrong = getenv(\"WRONG_BY_S\");\n\
        if (wrong && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) at->tv_sec += atoi(wrong);\n\
        return result; }\n";
    std::fs::write(&source, text).unwrap();
    let made =
        std::process::Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).args([&library, &source]).output();
    let made = made.unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    library.display().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn different_clocks_declare_no_node_dead_and_repeat_no_call() {
    let folder = tempfile::tempdir().unwrap();
    let library = wrong_clock(folder.path());
    let mut cluster = cluster(3, |node, settings| {
        // Ten minutes ahead, right, and ten minutes behind.
        let wrong_by = 600 * (1 - node as i64);
        settings.extend([("LD_PRELOAD".to_owned(), library.clone()), ("WRONG_BY_S".to_owned(), wrong_by.to_string())]);
    })
    .await;
    let clocks: Vec<i64> = futures_util::future::join_all(cluster.nodes.iter().map(|node| async {
        let health: Value = node.http.get(format!("{}/health", node.api)).send().await.unwrap().json().await.unwrap();
        health["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second()
    }))
    .await;
    assert!(clocks[0] > clocks[1] + 500 && clocks[1] > clocks[2] + 500, "{clocks:?}");
    let mut incoming = std::mem::replace(&mut cluster.incoming, mpsc::channel(1).1);
    let work = async {
        cluster.until_calls(1, "in_progress", 3).await;
        for number in 0..12 {
            let at = UnixMs(trunkline::store::now().0 + 500).rfc3339();
            let task =
                json!({"agent_id": cluster.agent, "to_number": format!("+155503{number:05}"), "scheduled_at": at});
            cluster.nodes[number % 3].call("POST", "/tasks", Some(task)).await;
        }
        let mut called: HashMap<String, u32> = HashMap::new();
        while let Ok(Some(call)) = tokio::time::timeout(DEAD_AFTER * 2, incoming.recv()).await {
            *called.entry(call.incoming.request_uri.user_plain().unwrap()).or_default() += 1;
            cluster.phone.sip.reject(call.incoming.call, 486, None).await;
        }
        assert!(called.len() == 12 && called.values().all(|times| *times == 1), "{called:?}");
        let failed = cluster.calls(1, "failed").await;
        assert!(failed.iter().all(|call| call["end_reason"] == "busy"), "{failed:?}");
    };
    let (first, second, third, ()) =
        tokio::join!(cluster.dial(0, LONG_CALL), cluster.dial(1, LONG_CALL), cluster.dial(2, LONG_CALL), work);
    for report in [first, second, third] {
        assert!(report.failure.is_none() && report.ended_by_agent, "{report:?}");
    }
    cluster.until_calls(1, "completed", 3).await;
}
