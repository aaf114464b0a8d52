//! Calls in every form that models write, cut at every place.

use super::*;
use serde_json::json;

fn tools() -> Vec<ToolOffer> {
    let tool = |name: &str, properties| ToolOffer {
        name: name.into(),
        parameters: json!({"type": "object", "properties": properties}),
        ..ToolOffer::default()
    };
    vec![
        tool("find_order", json!({"number": {"type": "string"}})),
        tool("book", json!({"day": {"type": "string"}, "people": {"type": "integer"}})),
    ]
}

/// Words and calls of a text that comes in pieces of so many characters.
fn read(text: &str, size: usize) -> (String, Vec<(String, String)>) {
    let mut filter = WrittenCalls::new(&tools());
    let chars: Vec<char> = text.chars().collect();
    let mut words: String = chars.chunks(size).map(|piece| filter.push(&piece.iter().collect::<String>())).collect();
    words.push_str(&filter.finish());
    (words.trim().to_owned(), filter.take().into_iter().map(|call| (call.name, call.arguments)).collect())
}

fn check(text: &str, words: &str, calls: &[(&str, &str)]) {
    let calls: Vec<(String, String)> = calls.iter().map(|(name, json)| ((*name).into(), (*json).into())).collect();
    for size in [1, 2, 3, 7, 1_000] {
        assert_eq!(read(text, size), (words.to_owned(), calls.clone()), "{text:?} in pieces of {size}");
    }
}

#[test]
fn calls_in_every_form_are_made_and_not_spoken() {
    let twelve = [("find_order", "{\"number\":\"12\"}")];
    for text in [
        "<tool_call>\n{\"name\": \"find_order\", \"arguments\": {\"number\": \"12\"}}\n</tool_call>",
        "<tool_call>{\"name\":\"find_order\",\"arguments\":{\"number\":\"12\"}}</tool_call>",
        "<tool_call>\n{\"name\": \"find_order\", \"arguments\": {\"number\": \"12\"}}",
        "<TOOL_CALL>{\"name\":\"functions.find_order\",\"parameters\":{\"number\":\"12\"}}</tool_call>",
        "[TOOL_CALLS][{\"name\":\"find_order\",\"arguments\":{\"number\":\"12\"}}]",
        "[TOOL_CALLS]find_order[ARGS]{\"number\":\"12\"}",
        "<|tool_call_begin|>functions.find_order:0<|tool_call_argument_begin|>{\"number\":\"12\"}<|tool_call_end|>",
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.find_order:0<|tool_call_argument_begin|>{\"number\":\"12\"}<|tool_call_end|><|tool_calls_section_end|>",
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>find_order\n```json\n{\"number\":\"12\"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        "<function=find_order>{\"number\":\"12\"}</function>",
        "<function=find_order>\n<parameter=number>\n12\n</parameter>\n</function>",
        "<tool_call>\n<function=find_order>\n<parameter=number>\n12\n</parameter>\n</function>\n</tool_call>",
        "<tool_call>find_order\n<arg_key>number</arg_key>\n<arg_value>12</arg_value>\n</tool_call>",
        "<function_calls><invoke name=\"find_order\"><parameter name=\"number\">12</parameter></invoke></function_calls>",
        "```tool_code\nfind_order(\"12\")\n```",
        "```json\n{\"name\":\"find_order\",\"arguments\":{\"number\":\"12\"}}\n```",
        "{\"name\": \"find_order\", \"parameters\": {\"number\":\"12\"}}",
        "{\"type\":\"function\",\"function\":{\"name\":\"find_order\",\"arguments\":\"{\\\"number\\\":\\\"12\\\"}\"}}",
        "{\"tool_calls\":[{\"function\":{\"name\":\"find_order\",\"arguments\":{\"number\":\"12\"}}}]}",
        "[{\"name\":\"find_order\",\"arguments\":{\"number\":\"12\"}}]",
        "<|python_tag|>{\"name\":\"find_order\",\"parameters\":{\"number\":\"12\"}}<|eom_id|>",
        "find_order(number=\"12\")",
        "[find_order(number='12')]",
        "functions.find_order(number='12')",
    ] {
        check(text, "", &twelve);
        check(&format!("One moment.\n{text}"), "One moment.", &twelve);
    }
    check(
        "<tool_call>{\"name\":\"book\",\"arguments\":{\"people\":2}}</tool_call> Done. <tool_call>{\"name\":\"find_order\"}</tool_call>",
        "Done.",
        &[("book", "{\"people\":2}")],
    );
    check("book(day=\"Friday, at 8\", people=2)", "", &[("book", "{\"day\":\"Friday, at 8\",\"people\":2}")]);
    check("Sure! find_order(number=\"12\") I look.", "Sure!  I look.", &twelve);
    check("Sure! functions.find_order(\"12\")", "Sure!", &twelve);
    check("<function=book><parameter=people>2</parameter></function>", "", &[("book", "{\"people\":2}")]);
}

#[test]
fn calls_of_unknown_tools_are_dropped() {
    for text in [
        "<tool_call>{\"name\":\"no_such\",\"arguments\":{}}</tool_call>",
        "{\"name\":\"no_such\",\"arguments\":{\"a\":1}}",
        "```json\n{\"name\":\"no_such\",\"parameters\":{}}\n```",
        "<tool_call>garbage</tool_call>",
        "<tool_call>{\"name\":\"find_order\",\"argum",
        "{\"name\":\"find_order\",\"argum",
        "find_order(number=\"12",
    ] {
        check(text, "", &[]);
    }
}

#[test]
fn words_are_not_touched() {
    for text in [
        "If a < b, then [whispers] press `1`.",
        "I use find_order (number 12) for that.",
        "find it: bookings are open.",
        "Dear {{customer_name}}, hello.",
        "{{customer_name}}, hello.",
        "{\"answer\": \"Hello\"}",
        "[sighs] Well. <b>7</b>",
        "<tool",
        "boo",
        "{",
        "book(s) are there.",
        "I book(ed) it for 2. See functions.",
        "I pre_find_order(12) it.",
    ] {
        check(text, text, &[]);
    }
}

#[test]
fn a_call_without_end_fills_no_memory() {
    let mut filter = WrittenCalls::new(&tools());
    for _ in 0..1_000 {
        assert_eq!(filter.push(&"<tool_call>{\"name\":\"x\", \"y\": \"".repeat(10)), "");
        assert!(filter.pending.len() <= 2 * CALL_BYTES_MAX);
    }
}

#[test]
fn a_name_with_something_around_it_is_the_tool_that_is_meant() {
    let calls = WrittenCalls::new(&tools());
    for name in [
        "find_order",
        "functions.find_order",
        "functions.find_order:0",
        "default_api.find_order",
        "tool/find_order",
        " find_order ",
    ] {
        assert_eq!(calls.meant_by(name), Some("find_order"), "{name}");
    }
    for name in ["", "find", "find_order_now", "functions.", "12"] {
        assert_eq!(calls.meant_by(name), None, "{name}");
    }
}

#[test]
fn a_placeholder_at_the_beginning_of_a_line_is_words() {
    check("{{\"name\"}} is here.", "{{\"name\"}} is here.", &[]);
    let mut filter = WrittenCalls::new(&tools());
    assert_eq!(filter.push("{{\"na"), "{{\"na", "nothing is held back");
}
