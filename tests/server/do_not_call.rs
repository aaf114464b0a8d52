//! The do-not-call list: who is on it is called neither by a task nor by the scheduler, whatever the number's spelling.

use super::support::{Server, until};
use serde_json::{Value, json};
use trunkline::domain::time::UnixMs;
use trunkline::store::now;

const NUMBER: &str = "+15550142";

async fn create_task(server: &Server, more: Value) -> (u16, Value) {
    let mut body = json!({"agent_id": server.agent, "to_number": NUMBER});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    server.send("POST", "/tasks", Some(body)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_on_the_list_is_called() {
    let server = Server::start().await;
    let (_, before) = create_task(&server, json!({})).await;
    let before = before["data"]["task"]["id"].as_str().unwrap().to_owned();
    let due = UnixMs(now().0 + 1_000).rfc3339();
    let (_, scheduled) = create_task(&server, json!({"scheduled_at": due})).await;
    let scheduled = scheduled["data"]["task"]["id"].as_str().unwrap().to_owned();
    server.post("/do-not-call", json!({"numbers": ["+1 (555) 0142"], "reason": "Asked on the phone"})).await;

    let (status, body) = server.send("POST", &format!("/tasks/{before}/execute"), None).await;
    assert_eq!((status, &body["details"]["field"]), (400, &json!("to_number")), "{body}");
    let (status, body) = create_task(&server, json!({})).await;
    assert_eq!((status, &body["details"]["field"]), (400, &json!("to_number")), "{body}");
    // A due task fails: it would be refused at every tick.
    until("the due task of a listed number fails", async || {
        let task = server.get(&format!("/tasks/{scheduled}")).await;
        (task["task"]["status"] == json!("failed")).then_some(())
    })
    .await;
    let why = server.get(&format!("/tasks/{scheduled}")).await["task"]["failure_reason"].clone();
    assert_eq!(why, json!("The number is on the do-not-call list of this organization"));
    assert_eq!(server.get("/calls").await["total"], json!(0), "nobody was called");
    let reset = server.post(&format!("/tasks/{scheduled}/reset"), json!({})).await;
    assert_eq!(reset["task"].get("failure_reason"), None, "{reset}");

    server.delete_number().await;
    let (status, body) = server.send("POST", &format!("/tasks/{before}/execute"), None).await;
    assert_eq!(status, 200, "{body}");
}

impl Server {
    async fn delete_number(&self) {
        assert_eq!(self.send("DELETE", &format!("/do-not-call/{NUMBER}"), None).await.0, 200);
        assert_eq!(self.send("DELETE", "/do-not-call/%2B15550142", None).await.0, 404, "it is gone");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_keeps_each_number_once_and_says_what_is_wrong_with_others() {
    let server = Server::start().await;
    let add = async |body: Value| server.send("POST", "/do-not-call", Some(body)).await;
    let (status, added) = add(json!({"numbers": ["+31201234567", "+31 20 123 4567", "+31201234568"]})).await;
    assert_eq!((status, &added["data"]), (201, &json!({"added": 2, "already_listed": 0})));
    let (_, again) = add(json!({"numbers": ["+31201234568", "+31201234569"], "reason": "later"})).await;
    assert_eq!(again["data"], json!({"added": 1, "already_listed": 1}));
    let page = server.get("/do-not-call?limit=2").await;
    assert_eq!((&page["total"], &page["do_not_call"][0]["number"]), (&json!(3), &json!("+31201234569")));
    let last = page["do_not_call"][1]["id"].as_str().unwrap();
    let rest = server.get(&format!("/do-not-call?limit=2&before={last}")).await;
    assert_eq!(rest["do_not_call"].as_array().unwrap().len(), 1);
    let one = server.get("/do-not-call?number=%2B31201234568").await;
    assert_eq!((&one["total"], &one["do_not_call"][0]["reason"]), (&json!(1), &Value::Null), "{one}");

    for (body, field) in [
        (json!({}), "numbers"),
        (json!({"numbers": []}), "numbers"),
        (json!({"numbers": "+31201234567"}), "numbers"),
        (json!({"numbers": ["+31201234567", "020 123"]}), "numbers[1]"),
        (json!({"numbers": ["sip:+31201234567@pbx.example"]}), "numbers[0]"),
        (json!({"numbers": vec!["+31201234567"; 1_001]}), "numbers"),
        (json!({"numbers": ["+31201234570"], "reason": "r".repeat(501)}), "reason"),
        (json!({"numbers": ["+31201234570"], "because": "x"}), "because"),
    ] {
        let (status, answer) = add(body).await;
        assert_eq!((status, &answer["details"]["field"]), (400, &json!(field)), "{answer}");
    }
    assert_eq!(server.send("GET", "/do-not-call?number=12", None).await.0, 400);
    assert_eq!(server.send("DELETE", "/do-not-call/12", None).await.0, 400);
    assert_eq!(server.get("/do-not-call").await["total"], json!(3), "a refused request adds nothing");
}
