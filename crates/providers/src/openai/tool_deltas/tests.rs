//! Calls in pieces, as servers send them.

use super::*;
use serde_json::json;

/// The calls that these deltas make, as `id name arguments`.
fn calls(deltas: &[Value]) -> Vec<String> {
    let mut tools = ToolDeltas::default();
    deltas.iter().for_each(|delta| tools.take(delta));
    tools.finish().into_iter().map(|call| format!("{} {} {}", call.id, call.name, call.arguments)).collect()
}

fn piece(index: Value, id: Value, name: Value, arguments: Value) -> Value {
    json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

#[test]
fn parallel_calls_that_share_an_index_or_have_none_stay_apart() {
    let both = ["a look {\"day\":1}", "b look {\"day\":2}"];
    for (one, two) in [(json!(0), json!(0)), (json!(null), json!(null)), (json!(0), json!(1)), (json!("0"), json!("0"))]
    {
        let first = piece(one, json!("a"), json!("look"), json!("{\"day\":1}"));
        let second = piece(two, json!("b"), json!("look"), json!("{\"day\":2}"));
        assert_eq!(calls(&[json!([first]), json!([second])]), both);
        assert_eq!(calls(&[json!([first, second])]), both);
        assert_eq!(calls(&[first.clone(), second.clone()]), both, "one call instead of a list");
        let (mut first, mut second) = (first, second);
        for one in [&mut first, &mut second] {
            one.as_object_mut().unwrap().remove("id");
        }
        assert_eq!(calls(&[json!([first]), json!([second])]), ["call_0 look {\"day\":1}", "call_1 look {\"day\":2}"]);
    }
    let cut = |index: u64, id: &str| json!([piece(json!(index), json!(id), json!("look"), json!("{\"day\":"))]);
    assert_eq!(
        calls(&[
            cut(0, "a"),
            json!([piece(json!(0), json!("a"), json!(null), json!("1}"))]),
            cut(0, "b"),
            json!([piece(json!(0), json!("b"), json!(null), json!("2}"))])
        ]),
        both,
        "in pieces with ids"
    );
    assert_eq!(
        calls(&[
            cut(0, "a"),
            json!([{"index": 0, "function": {"arguments": "1}"}}]),
            cut(0, "b"),
            json!([{"index": 0, "function": {"arguments": "2}"}}])
        ]),
        both,
        "the later call of an index goes on"
    );
}

#[test]
fn calls_with_one_id_are_told_by_their_place_or_arguments() {
    let whole =
        |index: u64, day: u64| piece(json!(index), json!("x"), json!("look"), json!(format!("{{\"day\":{day}}}")));
    let wanted = ["x look {\"day\":1}", "call_1 look {\"day\":2}"];
    assert_eq!(calls(&[json!([whole(0, 1), whole(1, 2)])]), wanted);
    assert_eq!(calls(&[json!([whole(0, 1), whole(0, 2)])]), wanted);
    let open = |index: u64| piece(json!(index), json!("x"), json!("look"), json!(""));
    let rest = |index: u64, day: u64| json!({"index": index, "id": "x", "function": {"arguments": format!("{{\"day\":{day}}}")}});
    assert_eq!(calls(&[json!([open(0), open(1)]), json!([rest(0, 1), rest(1, 2)])]), wanted);
}

#[test]
fn what_comes_twice_is_taken_once() {
    let whole = piece(json!(0), json!("a"), json!("look"), json!("{\"day\":1}"));
    assert_eq!(calls(&[json!([whole]), json!([whole])]), ["a look {\"day\":1}"]);
    let again = |part: &str| json!([piece(json!(0), json!("a"), json!("look"), json!(part))]);
    assert_eq!(calls(&[again("{\"day\""), again(":1}"), again("")]), ["a look {\"day\":1}"], "name and id in each");
    let object = json!([piece(json!(0), json!("a"), json!("look"), json!({"day": 1}))]);
    assert_eq!(calls(&[object.clone(), object]), ["a look {\"day\":1}"]);
    assert_eq!(calls(&[again("{}"), json!([{"index": 0, "function": {"name": "look"}}])]), ["a look {}"]);
}

#[test]
fn missing_null_and_empty_fields_are_absent() {
    let pieces = json!([piece(json!(null), json!(null), json!("look"), json!(null)), null, 7, "x"]);
    assert_eq!(calls(&[pieces, json!(null), json!([]), json!({})]), ["call_0 look {}"]);
    for id in [json!(null), json!(""), json!("null"), json!(7), json!(" ")] {
        let first = json!([piece(json!(0), id, json!("look"), json!(""))]);
        let rest = json!([{"index": 0, "id": null, "function": {"name": null, "arguments": "{\"day\":1}"}}]);
        assert_eq!(calls(&[first, rest]), ["call_0 look {\"day\":1}"]);
    }
    assert_eq!(calls(&[json!([{"index": 0, "id": "a"}]), json!([{"function": null}])]), [] as [&str; 0], "no name");
    assert_eq!(calls(&[json!([{"id": "a", "name": "look", "arguments": "{}"}])]), ["a look {}"], "without function");
}

#[test]
fn a_late_id_and_a_name_in_pieces_find_their_call() {
    let name = |part: &str| json!([{"index": 0, "function": {"name": part}}]);
    let late = json!([{"index": 0, "id": "a", "function": {"arguments": "{}"}}]);
    assert_eq!(calls(&[name("lo"), name("ok"), late.clone()]), ["a look {}"]);
    assert_eq!(calls(&[name("lo"), name("look"), late]), ["a look {}"], "the name so far");
}

#[test]
fn an_older_servers_function_call_is_one_call() {
    let mut tools = ToolDeltas::default();
    tools.take_legacy(&json!({"name": "look", "arguments": ""}));
    tools.take_legacy(&json!(null));
    tools.take_legacy(&json!({"arguments": "{\"day\":1}"}));
    assert!(tools.are_whole());
    assert_eq!(tools.finish(), [ToolCall::new("call_0".into(), "look".into(), "{\"day\":1}".into())]);
}

#[test]
fn a_call_is_whole_with_a_name_and_an_object() {
    let whole = |pieces: Value| {
        let mut tools = ToolDeltas::default();
        tools.take(&pieces);
        tools.are_whole()
    };
    assert!(whole(json!([piece(json!(0), json!("a"), json!("look"), json!("{\"day\":1}"))])));
    assert!(!whole(json!([piece(json!(0), json!("a"), json!("look"), json!("{\"day\": \"12"))])));
    assert!(!whole(json!([piece(json!(0), json!("a"), json!("look"), json!(""))])), "more may follow");
    assert!(!whole(json!([])));
}

#[test]
fn a_model_that_calls_and_calls_fills_no_memory() {
    let mut tools = ToolDeltas::default();
    for number in 0..10_000 {
        tools.take(&json!([piece(json!(number), json!(format!("id{number}")), json!("look"), json!("{}"))]));
    }
    assert_eq!(tools.finish().len(), TOOL_CALLS_MAX);
}

#[test]
fn the_extension_of_a_call_is_kept() {
    let mut tools = ToolDeltas::default();
    let mut first = piece(json!(0), json!("a"), json!("look"), json!("{}"));
    first["extra_content"] = json!({"google": {"thought_signature": "s"}});
    tools.take(&json!([first]));
    let opaque = tools.finish().remove(0).opaque.unwrap();
    assert_eq!(opaque.fields["extra_content"]["google"]["thought_signature"], json!("s"));
}

#[test]
fn arguments_that_grow_with_each_piece_are_the_last_of_them() {
    let of = |parts: &[&str]| {
        let deltas: Vec<Value> =
            parts.iter().map(|part| json!([piece(json!(0), json!("a"), json!("look"), json!(part))])).collect();
        calls(&deltas)
    };
    let wanted = ["a look {\"day\":1}"];
    assert_eq!(of(&["{\"day\":", "{\"day\":1}"]), wanted);
    assert_eq!(of(&["", "{", "{\"day\"", "{\"day\":1", "{\"day\":1}"]), wanted);
    assert_eq!(of(&["{\"day\":", "1}"]), wanted, "pieces that follow each other");
    assert_eq!(of(&["{\"day\":", "{\"day\":1}", "}"]), ["a look {\"day\":{\"day\":1}}"], "an object in an object");
}

#[test]
fn arguments_in_a_string_or_a_code_block_are_read() {
    for text in ["\"{\\\"day\\\":1}\"", "```json\n{\"day\":1}\n```"] {
        let one = piece(json!(0), json!("a"), json!("look"), json!(text));
        assert_eq!(calls(&[json!([one])]), ["a look {\"day\":1}"], "{text}");
    }
    let fence = |part: &str| json!([{"index": 0, "function": {"arguments": part}}]);
    let pieces =
        [json!([piece(json!(0), json!("a"), json!("look"), json!("```json"))]), fence("\n{\"day\":1}"), fence("\n```")];
    assert_eq!(calls(&pieces), ["a look {\"day\":1}"]);
}

#[test]
fn a_name_may_follow_its_arguments() {
    let first = piece(json!(0), json!("a"), json!(null), json!("{\"day\":"));
    let rest = piece(json!(0), json!(null), json!(null), json!("1}"));
    for name in
        [json!({"index": 0, "function": {"name": "look"}}), piece(json!(0), json!("a"), json!("look"), json!(""))]
    {
        assert_eq!(calls(&[json!([first]), json!([rest]), json!([name])]), ["a look {\"day\":1}"], "{name}");
    }
    let both = [
        piece(json!(0), json!("a"), json!(null), json!("{}")),
        piece(json!(1), json!("b"), json!(null), json!("{}")),
        piece(json!(1), json!("b"), json!("note"), json!(null)),
        piece(json!(0), json!("a"), json!("look"), json!(null)),
    ];
    assert_eq!(calls(&both.map(|one| json!([one]))), ["a look {}", "b note {}"]);
}
