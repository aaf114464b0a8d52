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

#[test]
fn calls_in_the_frames_of_chat_templates_are_made_and_not_spoken() {
    for text in [
        "<|START_ACTION|>[\n{\"tool_call_id\": \"0\", \"tool_name\": \"find_order\", \"parameters\": {\"number\":\"12\"}}\n]<|END_ACTION|>",
        "functools[{\"name\": \"find_order\", \"arguments\": {\"number\": \"12\"}}]",
        "<｜tool_calls_begin｜><｜tool_call_begin｜>function<｜tool_sep｜><steptml:invoke name=\"find_order\"><steptml:parameter name=\"number\">12</steptml:parameter></steptml:invoke><｜tool_call_end｜><｜tool_calls_end｜>",
        "<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"find_order\">\n<｜DSML｜parameter name=\"number\" string=\"true\">12</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>",
        "<minimax:tool_call>\n<invoke name=\"find_order\">\n<parameter name=\"number\">12</parameter>\n</invoke>\n</minimax:tool_call>",
        "<seed:tool_call><function=find_order><parameter=number>12</parameter></function></seed:tool_call>",
        "<|tool_call_start|>[find_order(number=\"12\")]<|tool_call_end|>",
        "<|tool_call_start|>\n```python\nfind_order(number=\"12\")\n```\n<|tool_call_end|>",
        "<|python_tag|>find_order.call(number=\"12\")",
        "<|python_start|>[find_order(number=\"12\")]<|python_end|>",
        "find_order.call(number=\"12\")",
        "<find_order><number>12</number></find_order>",
        "<find_order>\n<number>12</number>\n</find_order>",
        "<find_order number=\"12\"/>",
        "<find_order number=\"12\"></find_order>",
        "<find_order>{\"number\": 12}</find_order>",
        "<TOOLCALL>[{\"name\": \"find_order\", \"arguments\": {\"number\": \"12\"}}]</TOOLCALL>",
        "<|tools_prefix|>[{\"find_order\": {\"number\":\"12\"}}]<|tools_suffix|>",
        "<|action_start|><|plugin|>\n{\"name\": \"find_order\", \"parameters\": {\"number\":\"12\"}}<|action_end|>",
        "<start_function_call>call:find_order{number:<escape>12<escape>}<end_function_call>",
        "<|tool_call>call:find_order{number:<|\"|>12<|\"|>}<tool_call|>",
        "✿FUNCTION✿: find_order\n✿ARGS✿: {\"number\":\"12\"}\n✿RESULT✿",
        "<use_mcp_tool><server_name>shop</server_name><tool_name>find_order</tool_name><arguments>{\"number\":\"12\"}</arguments></use_mcp_tool>",
        "Action: find_order\nAction Input: {\"number\": \"12\"}",
        "Action: find_order\nAction Input: {\"number\": \"12\"}\nObservation: It is lost.\nFinal Answer: It is lost.",
        "action: find_order\naction input: 12",
        "Action: find_order\nInput: \"12\"\n",
        "Action: find_order[12]",
        "Action: find_order(number=\"12\")",
        "**Action:** `find_order`\n**Action Input:** `12`",
        "Action:\n```json\n{\"action\": \"find_order\", \"action_input\": {\"number\": \"12\"}}\n```",
        "Action: ```json\n[{\"tool_name\": \"find_order\", \"parameters\": {\"number\": \"12\"}}]\n```",
    ] {
        let number = if text.contains("\": 12}") { "{\"number\":12}" } else { "{\"number\":\"12\"}" };
        for (text, words) in [(text.to_owned(), ""), (format!("One moment.\n{text}"), "One moment.")] {
            for size in [1, 2, 3, 5, 1_000] {
                let (said, calls) = read(&text, size);
                let values: Vec<(&str, serde_json::Value)> = calls
                    .iter()
                    .map(|(name, arguments)| (name.as_str(), serde_json::from_str(arguments).unwrap()))
                    .collect();
                let wanted = serde_json::from_str(number).unwrap();
                assert_eq!((said.as_str(), values), (words, vec![("find_order", wanted)]), "{text:?} in {size}");
            }
        }
    }
    check("Action: book", "", &[("book", "{}")]);
    check("<book><people>2</people><day>Friday</day></book>", "", &[("book", "{\"day\":\"Friday\",\"people\":2}")]);
    check("<book/> Done.", "Done.", &[("book", "{}")]);
    check("<find_order><number>12</num", "", &[]);
}

#[test]
fn words_that_look_like_frames_of_calls_are_spoken() {
    for text in [
        "Action: we will call you.",
        "Action: none",
        "Action Input: yes.",
        "Actions speak louder than words.",
        "The next step.\nAction: wait for the parcel.",
        "functools are great.",
        "You may <book> a table.",
        "<booking>7</booking>",
        "<b>7</b> and <x:y>",
        "find_order.",
        "I use find_order. Then book.",
        "Say call:me{now}.",
        "{\"other\": {\"a\": 1}}",
        "**",
        "Act",
        "<｜DS",
    ] {
        check(text, text, &[]);
    }
}
