//! Thoughts in all shapes, cut at every place.

use super::marks::{FIRST_TAGS, THOUGHT_TAGS};
use super::*;

/// What is heard of a text that comes in pieces of so many characters.
fn heard_of(text: &str, size: usize, start: AnswerStart) -> (String, Option<AnswerStart>) {
    let mut filter = ThoughtFilter::new(start);
    let mut heard = String::new();
    let chars: Vec<char> = text.chars().collect();
    for piece in chars.chunks(size) {
        let part = filter.push(&piece.iter().collect::<String>());
        if part.is_retraction {
            heard.clear();
        }
        heard.push_str(&part.text);
    }
    heard.push_str(&filter.finish());
    (heard, filter.observed_start())
}

fn check(text: &str, wanted: &str) {
    for size in [1, 2, 3, 5, 7, 1_000] {
        assert_eq!(heard_of(text, size, AnswerStart::Marked).0, wanted, "{text:?} in pieces of {size}");
    }
}

#[test]
fn thoughts_between_tags_are_not_heard() {
    check(
        "<think>The caller wants an order.\nKeep it short.</think>\n\nYour order is on its way.",
        "Your order is on its way.",
    );
    check("<THINK>Hm</Think>Yes.", "Yes.");
    check("<think>\n\n</think>\n\nYes.", "Yes.");
    check("<thinking>a < b</thinking>Yes.", "Yes.");
    check("[THINK]Hm[/THINK] Yes.", "Yes.");
    check("◁think▷Hm◁/think▷Yes.", "Yes.");
    check("<reasoning>Hm</reasoning>Yes.", "Yes.");
    check("<|begin_of_thought|>Hm<|end_of_thought|><|begin_of_solution|>Yes.<|end_of_solution|>", "Yes.");
    check("One moment. <think>Look.</think>It is 7.", "One moment. It is 7.");
    check("<think>Hm</think><think>Hm</think>Yes.", "Yes.");
    check("<think>Hm</think></think>Yes.", "Yes.");
}

#[test]
fn either_tag_alone_is_enough() {
    check(
        "The caller wants an order. Keep it short.</think>\n\nYour order is on its way.",
        "Your order is on its way.",
    );
    check("<think>The caller wants", "");
    check("Hm. <think>Hm", "Hm. ");
    assert_eq!(heard_of("Hm.</think>Yes.", 3, AnswerStart::Marked).1, Some(AnswerStart::InThoughts));
    assert_eq!(heard_of("<think>Hm.</think>Yes.", 3, AnswerStart::Marked).1, None);
}

#[test]
fn channels_that_are_not_for_the_caller_are_not_heard() {
    let answer = "<|channel|>analysis<|message|>The caller greets.<|end|><|start|>assistant<|channel|>final<|message|>Hello again.";
    check(answer, "Hello again.");
    check(&format!("{answer}<|return|>"), "Hello again.");
    check("<|start|>assistant<|channel|>analysis<|message|>Hm<|end|>Hello.", "Hello.");
    check("<|channel|>commentary to=functions.find <|constrain|>json<|message|>{}<|call|>", "");
    check("<|channel|>final<|message|>Hello.", "Hello.");
    check("<|channel>thought\nHm<channel|>Hello.", "Hello.");
    check("analysisThe caller greets.assistantfinalHello again.", "Hello again.");
    check("analysis is what we do.", "analysis is what we do.");
}

#[test]
fn words_are_not_touched() {
    for text in [
        "Hello there.",
        "  a < b and [whispers] yes",
        "<break time=\"1s\"/> 4 7 1",
        "<thi",
        "[th",
        "It is <b>7</b>.",
        "analys",
        "<think",
    ] {
        check(text, text.trim_start());
    }
    check("Hello.<|im_end|>", "Hello.");
}

#[test]
fn a_model_whose_answers_begin_in_thoughts_is_heard_after_them() {
    for size in [1, 4, 1_000] {
        let start = AnswerStart::InThoughts;
        let mut filter = ThoughtFilter::new(start);
        assert_eq!(filter.push("The caller wants an order. It").text, "", "nothing is passed on early");
        assert_eq!(heard_of("Hm. Hm.</think>Yes.", size, start), ("Yes.".into(), Some(AnswerStart::InThoughts)));
        assert_eq!(heard_of("<think>Hm.</think>Yes.", size, start).0, "Yes.");
        assert_eq!(heard_of("Just words.", size, start), ("Just words.".into(), Some(AnswerStart::Marked)));
    }
}

#[test]
fn names_of_models_say_which_templates_open_the_thoughts() {
    for model in [
        "QwQ-32B",
        "deepseek-ai/DeepSeek-R1",
        "deepseek-r1:8b",
        "DeepSeek-R1-Distill-Qwen-7B",
        "Qwen3-4B-Thinking-2507",
    ] {
        assert_eq!(AnswerStart::of_model(model), AnswerStart::InThoughts, "{model}");
    }
    for model in ["gpt-4o-mini", "qwen/qwen3-32b", "llama3.1:8b", "deepseek-chat"] {
        assert_eq!(AnswerStart::of_model(model), AnswerStart::Marked, "{model}");
    }
}

#[test]
fn a_whole_answer_loses_its_thoughts_and_json_stays() {
    let answer = "{\"summary\": \"He said <think>.\"}";
    assert_eq!(without_thoughts(answer.into()), answer);
    assert_eq!(without_thoughts(format!("<think>Short.</think>{answer}")), answer);
    assert_eq!(without_thoughts(format!("Short.</think>\n{answer}")), answer);
    assert_eq!(
        without_thoughts(format!("<|channel|>analysis<|message|>{{}}<|end|><|channel|>final<|message|>{answer}")),
        answer
    );
    assert_eq!(
        without_thoughts(format!("<think>{{}} or so</think>{answer} </think> Bye")),
        format!("{answer} </think> Bye")
    );
    assert_eq!(without_thoughts("<think>{}".into()), "<think>{}");
    assert_eq!(without_thoughts("No.</think>".into()), "No.</think>");
}

#[test]
fn tags_have_attributes_blanks_and_other_names() {
    for name in THOUGHT_TAGS {
        check(&format!("<{name}>Secret.</{name}>Yes."), "Yes.");
        check(&format!("<{}\n type=\"x > y\" a='1' b=2 >Secret.</{name} >Yes.", name.to_uppercase()), "Yes.");
    }
    check("<think type=x>Secret.</ think>Yes.", "Yes.");
    check("<think/>Yes.", "Yes.");
    check("<reflection>secret</reflection><answer>Bye now.</answer>", "Bye now.");
    for words in ["<thinking about it, yes.", "I <reason 5 > 4", "a <think", "<analysis=", "<thinker>", "</ thin"] {
        check(words, words);
    }
    let long = format!("<think {}", "a=1 ".repeat(100));
    check(&long, &long);
}

#[test]
fn thoughts_within_thoughts_end_with_the_last_of_their_tags() {
    check("<think>Secret <think>inner</think> outer secret.</think>Your order is here.", "Your order is here.");
    check("<think>a<think>b<think>c</think>d</think>e</think>Yes.", "Yes.");
    check("<think>I use <think> here.</think>Your order is here.", "Your order is here.");
    assert_eq!(heard_of("<think>a<think>b</think>c</think>Yes.", 3, AnswerStart::Marked).1, None);
}

#[test]
fn headers_and_bare_channels_are_not_heard() {
    check("<|start_header_id|>assistant<|end_header_id|>\n\nBye now.<|eot_id|>", "Bye now.");
    check("assistantanalysisSecret words.assistantfinalHello again.", "Hello again.");
    check("analysisSecret one.assistantanalysisSecret two.assistantfinalHello again.", "Hello again.");
    check("assistantfinalHello again.", "Hello again.");
    check("<|start|>assistant Hello again.", "Hello again.");
    check("assist you? Yes.", "assist you? Yes.");
    check("assistants are here.", "assistants are here.");
}

#[test]
fn calls_in_channels_are_read() {
    for text in [
        "<|channel|>commentary to=functions.find <|constrain|>json<|message|>{\"a\":1}<|call|>",
        "<|channel|>analysis<|message|>Hm<|end|><|start|>assistant to=functions.find<|channel|>commentary json<|message|>{\"a\":1}",
        "analysisSecret.assistantcommentary to=functions.find json{\"a\":1}",
        "assistantcommentary to=functions.find json{\"a\":1}",
    ] {
        for size in [1, 3, 1_000] {
            let mut filter = ThoughtFilter::new(AnswerStart::Marked);
            let chars: Vec<char> = text.chars().collect();
            let said: String =
                chars.chunks(size).map(|piece| filter.push(&piece.iter().collect::<String>()).text).collect();
            assert_eq!(said + &filter.finish(), "", "{text}");
            assert_eq!(filter.take_calls(), [("functions.find".to_owned(), "{\"a\":1}".to_owned())], "{text}");
        }
    }
}

#[test]
fn thoughts_in_the_frames_of_chat_templates_are_not_heard() {
    for frame in [
        "<|START_THINKING|>{}<|END_THINKING|><|START_RESPONSE|>",
        "<|start_thinking|>{}<|end_thinking|><|start_text|>",
        "<unused94>thought\n{}<unused95>",
        "[|thought|]{}[|endofthought|]",
        "<|thinking|>{}<|/thinking|>",
        "<|think|>{}<|/think|>\n",
        "<|Reasoning|>{}<|/Reasoning|>",
        "<antThinking>{}</antThinking>",
        "<plan>{}</plan>",
        "<plan>\n{}\n</plan>\n",
        "<internal>{}</internal>",
        "<Internal tone=\"calm\">{}</Internal>",
        "<internal_monologue>{}</internal_monologue>",
        "< think >{}</ think >",
        "< thinking>{}</thinking >",
        "```thinking\n{}\n```\n",
        "```thought {}```",
        "```REASONING\n{}\n```",
        "*thinks: {}* ",
        "*Thinking: {}*\n\n",
        "(thinking: {}) ",
        "[Thought: {}] ",
        "<details type=\"reasoning\" done=\"true\" duration=\"2\">\n<summary>Thought for 2 s</summary>\n> {}\n</details>\n",
        "<details class=\"thinking\"><summary>Thoughts</summary>{}</DETAILS>",
    ] {
        let framed = frame.replace("{}", "The caller wants < 7 of `it`.");
        check(&format!("{framed}It is here."), "It is here.");
        if !frame.to_lowercase().contains("plan") && !frame.to_lowercase().contains("<internal") {
            check(&format!("One moment. {framed}It is here."), "One moment. It is here.");
        }
        assert_eq!(heard_of(&format!("{framed}Yes."), 3, AnswerStart::InThoughts).0, "Yes.", "{frame}");
    }
    // Templates that open the thoughts themselves.
    for close in ["<|END_THINKING|>", "<unused95>", "[|endofthought|]", "<|/thinking|>"] {
        check(&format!("The caller wants it.{close}It is here."), "It is here.");
    }
    check("<plan>a <think>b</think> c</plan>Yes.", "Yes.");
    check("<think>I need a <plan> or </plan> for that.</think>Yes.", "Yes.");
    assert_eq!(without_thoughts("```thinking\n{\"a\": 0}\n```\n{\"a\": 1}".into()), "{\"a\": 1}");
}

#[test]
fn words_that_look_like_frames_of_thoughts_are_heard() {
    for words in [
        "Choose a <plan> or an <internal> number.",
        "The <plan>basic</plan> is here.",
        "<details>Open me.</details>",
        "I say *thinks* and (thinking about it) yes.",
        "*thinking:* of you.",
        "(Thoughts are free.)",
        "```think_of_it = 1```",
        "<|thinker|> yes",
        "Is 4 < thirty?",
        "[thinking] of it",
        "<unused9",
        "``",
        "(thinking:",
    ] {
        check(words, words);
    }
    for name in FIRST_TAGS {
        check(&format!("Take <{name}> now."), &format!("Take <{name}> now."));
        check(&format!("<{name}>Secret.</{name}>Yes."), "Yes.");
    }
}

/// Each mark is looked at once, although none of them has an end.
#[test]
fn a_whole_answer_of_marks_without_ends_is_read_in_one_pass() {
    for mark in
        ["```thinking\n", "*thinks: ", "(thought: ", "[thinking: ", "<details type=\"reasoning\" ", "<think", "<plan>"]
    {
        let text = mark.repeat(20_000) + "{\"summary\": ";
        assert!(without_thoughts(text.clone()).ends_with("{\"summary\": "), "{mark}");
        let closed = format!("{mark}no *thoughts ) ] ```> {{\"summary\": 1}}");
        assert!(without_thoughts(closed).ends_with("{\"summary\": 1}"), "{mark}");
    }
    assert!(without_thoughts("*thinks: é*{".to_owned()).ends_with('{'));
}
