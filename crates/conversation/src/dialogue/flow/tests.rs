//! Conversations with flows: slots, corrections, documents, tools, and words of every kind.

use super::*;
use crate::dialogue::history::RESULT_PENDING;
use crate::dialogue::phrases::message_phrases;
use crate::dialogue::spoken::value::ValueContext;
use serde_json::{Value, json};
use trunkline_domain::agent::AgentFields;
use trunkline_domain::chat::{ChatMessage, ToolCall, ToolOffer};
use trunkline_domain::flow::Flow;

/// A conversation with a flow, as the history of a call has it.
struct Conversation {
    dialogue: FlowDialogue,
    messages: Vec<ChatMessage>,
    found: FaqFound,
}

fn context(language: &str) -> ValueContext {
    value_context(&AgentFields::default(), language, language, jiff::civil::date(2026, 11, 28))
}

fn tools() -> Vec<ToolOffer> {
    let offer =
        |name: &str| ToolOffer { name: name.to_owned(), parameters: json!({"type": "object"}), ..ToolOffer::default() };
    ["order_status", "transfer_call", "end_call"].map(offer).into()
}

fn shop() -> Value {
    json!({
        "start": "menu",
        "states": {
            "menu": {"type": "menu", "question": "What can I do for you?", "reask": "Orders, or a person?", "exhausted": "person",
                "choices": [{"intent": "order", "key": "1", "next": "order"}, {"intent": "book", "next": "day"}]},
            "order": {"type": "ask", "slot": "order", "next": "lookup", "exhausted": "person"},
            "lookup": {"type": "tool", "tool": "order_status", "text": "One moment.", "arguments": {"order": "{{slots.order}}"},
                "results": {"status": "$.status"}, "next": "told", "failed": "lost"},
            "told": {"type": "branch", "slot": "status", "cases": {"sent": "sent"}, "otherwise": "lost"},
            "sent": {"type": "say", "text": "Order {{slots.order}} was sent.", "next": "menu"},
            "lost": {"type": "say", "text": "I cannot find it.", "next": "person"},
            "day": {"type": "ask", "slot": "day", "next": "size", "exhausted": "person"},
            "size": {"type": "ask", "slot": "size", "next": "email", "exhausted": "person"},
            "email": {"type": "ask", "slot": "email", "next": "booked", "exhausted": "person"},
            "booked": {"type": "say", "text": "Booked for {{slots.day}}, {{slots.size}}.", "next": "menu"},
            "person": {"type": "transfer", "destination": "desk", "failed": "message"},
            "message": {"type": "take_message", "next": "bye"},
            "bye": {"type": "end", "text": "Goodbye, {{slots.message_name|whoever you are}}."},
        },
        "slots": {
            "order": {"type": "number", "question": "What is your order number?", "reask": "Your number, please?", "min_digits": 2},
            "day": {"type": "date", "question": "On which day?"},
            "size": {"type": "choice", "question": "A small or a large room?", "choices": {"small": ["little"], "large": ["big"]}},
            "email": {"type": "email", "question": "What is your e-mail address?"},
        },
        "intents": [
            {"name": "order", "phrases": ["where is my order", "order status"]},
            {"name": "book", "phrases": ["book a room"]},
            {"name": "person", "phrases": ["speak to a person"], "next": "person"},
            {"name": "parking", "phrases": ["parking"], "answer": "You can park behind the house."},
        ],
        "documents": [{"title": "Opening hours", "text": "We are open from nine to five."}],
    })
}

impl Conversation {
    fn new(flow: Value, language: &str, role: FlowRole) -> Self {
        let flow: Flow = serde_json::from_value(flow).unwrap();
        assert_eq!(flow.check(), []);
        Self {
            dialogue: FlowDialogue::new(flow, context(language), role),
            messages: Vec::new(),
            found: FaqFound::new(),
        }
    }

    fn shop() -> Self {
        Self::new(shop(), "en", FlowRole::Agent)
    }

    fn answer(&self) -> FlowAnswer {
        self.dialogue.answer(&self.messages, &tools(), &self.found)
    }

    /// The caller says this; the answer is not heard yet.
    fn hears(&mut self, text: &str) -> FlowAnswer {
        if text.contains("open") {
            self.found.insert(text.to_owned(), vec![0]);
        }
        self.messages.push(ChatMessage::User(text.to_owned()));
        self.answer()
    }

    fn heard(&mut self, content: &str, tool_calls: Vec<ToolCall>) {
        self.messages.push(ChatMessage::Assistant { content: content.to_owned(), tool_calls });
    }

    /// The caller says this and hears the whole answer.
    fn says(&mut self, text: &str) -> String {
        let answer = self.hears(text);
        self.heard(&answer.text, answer.calls.clone());
        answer.text
    }

    /// The caller says this, which calls a tool; returns its name and arguments.
    fn calls(&mut self, text: &str) -> (String, String) {
        let answer = self.hears(text);
        self.heard(&answer.text, answer.calls.clone());
        let call = answer.calls.into_iter().next().expect("a call");
        self.messages.push(ChatMessage::Tool { call_id: call.id, content: RESULT_PENDING.to_owned() });
        (call.name, call.arguments)
    }

    /// The tool that was called last answers, and the caller hears what is said about it.
    fn result(&mut self, content: &str) -> FlowAnswer {
        let last = self.messages.iter_mut().rev().find_map(|message| match message {
            ChatMessage::Tool { content, .. } => Some(content),
            _ => None,
        });
        content.clone_into(last.unwrap());
        let answer = self.answer();
        self.heard(&answer.text, answer.calls.clone());
        answer
    }
}

#[test]
fn an_order_is_looked_up_and_told() {
    let mut shop = Conversation::shop();
    assert_eq!(shop.says("Hi, where is my order?"), "What is your order number?");
    assert_eq!(shop.calls("it's four two seven one"), ("order_status".into(), r#"{"order":"4271"}"#.into()));
    assert_eq!(shop.answer(), FlowAnswer::default(), "the result is awaited");
    assert_eq!(shop.result(r#"{"status": "sent"}"#).text, "Order 4 2 7 1 was sent. What can I do for you?");
    assert_eq!(shop.dialogue.collected(&shop.messages, &shop.found)["order"], "4271");
}

#[test]
fn a_failed_tool_and_a_failed_transfer_lead_to_a_message() {
    let mut shop = Conversation::shop();
    shop.says("order status");
    shop.calls("42");
    let answer = shop.result("error: the tool did not answer");
    assert_eq!(answer.text, "I cannot find it. One moment, I will put you through.");
    assert_eq!(answer.calls[0].name, "transfer_call");
    shop.messages.push(ChatMessage::Tool { call_id: "x".into(), content: "error: nobody answered".into() });
    let answer = shop.answer();
    assert_eq!(answer.text, "I will take a message. What is your name?");
    shop.heard(&answer.text, vec![]);
    assert_eq!(shop.says("My name is Ann Lee"), "On which number can we call you back?");
    assert_eq!(shop.says("oh two oh, one two three four five six seven"), "I have 0 2 0 1 2 3 4 5 6 7. Is that right?");
    assert_eq!(shop.says("yes"), "What is your message?");
    let answer = shop.hears("Please ask a person to look for my order.");
    assert_eq!((answer.text.as_str(), answer.calls[0].name.as_str()), ("Goodbye, Ann Lee.", "end_call"));
    let collected = shop.dialogue.collected(&shop.messages, &shop.found);
    assert_eq!(collected["message_text"], "Please ask a person to look for my order.");
    assert_eq!(collected["message_phone"], "0201234567");
}

#[test]
fn a_question_in_the_middle_of_a_slot_is_answered_and_the_slot_comes_again() {
    let mut shop = Conversation::shop();
    shop.says("where is my order");
    for _ in 0..5 {
        assert_eq!(shop.says("When are you open?"), "We are open from nine to five. What is your order number?");
        assert_eq!(shop.says("is there parking?"), "You can park behind the house. What is your order number?");
        assert_eq!(shop.says("what?"), "What is your order number?", "and none of it is a try");
    }
    assert_eq!(shop.says("I do not have it here"), "Your number, please?");
    assert_eq!(shop.calls("forty two").1, r#"{"order":"42"}"#);
}

#[test]
fn a_slot_is_asked_for_as_often_as_it_says() {
    let mut shop = Conversation::shop();
    shop.says("order status");
    assert_eq!(shop.says("hm"), "Your number, please?");
    assert_eq!(shop.says("seven"), "Your number, please?", "too few digits");
    assert_eq!(shop.calls("no idea").0, "transfer_call");
    let mut menu = Conversation::shop();
    menu.says("hello");
    assert_eq!(menu.says("purple"), "Orders, or a person?");
    assert_eq!(menu.says("purple"), "Orders, or a person?");
    assert_eq!(menu.calls("purple").0, "transfer_call");
}

#[test]
fn a_correction_changes_the_slot_before_and_what_follows_from_it() {
    let mut shop = Conversation::shop();
    shop.says("book a room");
    assert_eq!(shop.says("on the third of December"), "A small or a large room?");
    assert_eq!(shop.says("No, I meant the fourth of December"), "I have December 4, 2026. A small or a large room?");
    assert_eq!(shop.says("a big one"), "What is your e-mail address?");
    assert_eq!(shop.says("no, the little one"), "I have small. What is your e-mail address?");
    assert_eq!(shop.says("ann at shop dot com"), "I have a n n at shop dot com. Is that right?");
    assert_eq!(shop.says("no, it's anna at shop dot com"), "I have a n n a at shop dot com. Is that right?");
    assert_eq!(shop.says("hm"), "Please say yes or no: is that right?");
    assert!(shop.says("correct").starts_with("Booked for December 4, 2026, small."));
    let mut shop = Conversation::shop();
    shop.says("order status");
    shop.calls("forty two");
    shop.result(r#"{"status": "sent"}"#);
    let again = shop.calls("no, I meant forty three");
    assert_eq!(again, ("order_status".into(), r#"{"order":"43"}"#.into()), "the tool is asked again");
}

#[test]
fn a_question_that_was_not_heard_is_asked_again() {
    let mut shop = Conversation::shop();
    shop.says("book a room");
    // Nothing of the answer was heard, then a part of it.
    shop.hears("tomorrow");
    assert_eq!(shop.hears("hello?").text, "A small or a large room?");
    shop.heard("A small", vec![]);
    for _ in 0..5 {
        assert_eq!(shop.hears("sorry I was away").text, "A small or a large room?", "it is no try");
        shop.heard("A", vec![]);
    }
    shop.heard("small or a large room?", vec![]);
    assert_eq!(shop.hears("purple").text, "Sorry, I did not get that. Could you say it again?", "now it was heard");
    let mut agreed = Conversation::shop();
    agreed.says("book a room");
    agreed.says("tomorrow");
    agreed.says("small");
    agreed.hears("ann at shop dot com");
    agreed.heard("I have", vec![]);
    assert!(agreed.hears("yes").text.starts_with("I have"), "what was not heard was not agreed to");
    let mut message = Conversation::shop();
    message.says("speak to a person");
    message.messages.push(ChatMessage::Tool { call_id: "x".into(), content: "error: busy".into() });
    message.heard("I will take", vec![]);
    assert_eq!(message.hears("just a second").text, "What is your name?", "what is said is not the name");
}

#[test]
fn what_a_tool_brought_is_said_even_if_the_caller_spoke_first() {
    let mut shop = Conversation::shop();
    shop.says("order status");
    shop.calls("forty two");
    assert_eq!(shop.says("are you there?"), "One moment please, I am still on it.");
    let (place, _) = shop.messages.iter().enumerate().find(|(_, m)| matches!(m, ChatMessage::Tool { .. })).unwrap();
    shop.messages[place] = ChatMessage::Tool { call_id: "x".into(), content: r#"{"status": "sent"}"#.into() };
    assert_eq!(shop.answer().text, "Order 4 2 was sent. What can I do for you?");
}

#[test]
fn a_call_that_was_interrupted_before_it_was_made_is_made_later_or_not() {
    let mut shop = Conversation::shop();
    shop.hears("speak to a person");
    shop.heard("One moment", vec![]);
    assert_eq!(shop.hears("where is parking").text, "You can park behind the house.");
    let mut shop = Conversation::shop();
    shop.hears("speak to a person");
    shop.heard("One moment", vec![]);
    assert!(shop.hears("no").text.starts_with("I will take a message."));
    let mut shop = Conversation::shop();
    shop.hears("speak to a person");
    shop.heard("One moment", vec![]);
    assert_eq!(shop.hears("thanks").calls[0].name, "transfer_call");
}

#[test]
fn keys_choose_and_count_as_said() {
    let mut shop = Conversation::shop();
    shop.says("hello");
    assert_eq!(shop.says("[DTMF 1]"), "What is your order number?");
    assert_eq!(shop.calls("[DTMF 4711]").1, r#"{"order":"4711"}"#);
}

#[test]
fn a_call_without_a_word_of_the_caller_begins_with_the_question() {
    let shop = Conversation::shop();
    assert_eq!(shop.answer().text, "What can I do for you?");
    let mut greeted = Conversation::shop();
    greeted.heard("Good morning, this is the shop.", vec![]);
    assert_eq!(greeted.says("good morning"), "What can I do for you?");
    assert_eq!(greeted.says("good morning"), "What can I do for you?", "a greeting is no try");
}

fn stand_in_conversation(language: &str, destination: Option<&str>) -> Conversation {
    let flow = serde_json::to_value(stand_in(language, destination)).unwrap();
    let mut conversation = Conversation::new(flow, language, FlowRole::StandIn);
    conversation.heard("Good morning, how can I help?", vec![]);
    conversation
}

#[test]
fn the_stand_in_takes_a_message_in_each_language() {
    for (language, yes, name, number, text) in [
        ("en-GB", "yes please", "Ann Lee", "oh two oh seven nine four six oh nine five eight", "Call me back."),
        (
            "nl",
            "ja graag",
            "Mijn naam is Jan de Vries",
            "nul twee nul, een twee drie, vier vijf, zes zeven",
            "Bel me terug.",
        ),
        (
            "de",
            "ja, gerne",
            "Anna Müller",
            "null drei null, zwölf vierunddreißig sechsundfünfzig",
            "Bitte rufen Sie an.",
        ),
        (
            "fr",
            "oui",
            "Marie Dupont",
            "zéro six, douze, trente-quatre, cinquante-six, soixante-dix-huit",
            "Rappelez-moi.",
        ),
        ("es", "sí", "Ana Ruiz", "seis doce, treinta y cuatro, cincuenta y seis, setenta y ocho", "Llámeme."),
        ("it", "sì", "Luca Rossi", "zero sei, dodici, trentaquattro, cinquantasei, settantotto", "Mi richiami."),
        ("pt", "sim", "João Silva", "nove um dois, trezentos e quarenta e cinco, seis sete oito", "Ligue-me."),
    ] {
        let mut call = stand_in_conversation(language, None);
        let phrases = message_phrases(language);
        assert_eq!(call.says("..."), format!("{} {}", phrases.sorry, phrases.offer_message));
        assert_eq!(call.says(yes), format!("{} {}", phrases.take, phrases.ask_name), "{language}");
        assert_eq!(call.says(name), phrases.ask_phone, "{language}");
        let read_back = call.says(number);
        assert!(
            read_back.matches(|c: char| c.is_ascii_digit()).count() > 8 && read_back.ends_with('?'),
            "{language}: {read_back}"
        );
        assert_eq!(call.says(yes), phrases.ask_text, "{language}");
        let end = call.hears(text);
        assert_eq!((end.text.as_str(), end.calls[0].name.as_str()), (phrases.taken, "end_call"), "{language}");
        assert_eq!(call.dialogue.collected(&call.messages, &call.found)["message_text"], text);
    }
}

#[test]
fn the_stand_in_puts_callers_through_if_there_is_somebody() {
    let mut call = stand_in_conversation("en", Some("desk"));
    assert!(call.says("I need help").ends_with("Shall I put you through to somebody?"));
    let (name, arguments) = call.calls("yes");
    assert_eq!((name.as_str(), arguments.as_str()), ("transfer_call", r#"{"destination":"desk"}"#));
    assert!(call.result("error: nobody answered").text.ends_with("Shall I take a message?"));
    let end = call.hears("no");
    assert_eq!((end.text.as_str(), end.calls[0].name.as_str()), ("Then please call again later. Goodbye.", "end_call"));
}

#[test]
fn the_model_comes_back_and_the_stand_in_goes_on_where_it_was() {
    let mut call = stand_in_conversation("en", None);
    call.messages.push(ChatMessage::User("what do you sell".into()));
    call.heard("Shoes.", vec![]);
    assert!(call.says("which ones").starts_with("I am sorry"));
    assert!(call.says("yes").ends_with("What is your name?"));
    assert_eq!(call.says("Ann"), "On which number can we call you back?");
    // The model answers the next turn, and is away for the one after it.
    call.messages.push(ChatMessage::User("why?".into()));
    call.heard("I am back. Do you want red shoes?", vec![]);
    let answer = call.says("yes");
    assert_eq!(
        answer,
        "I am sorry, our assistant cannot be reached at the moment. On which number can we call you back?"
    );
    assert!(call.says("+31 20 123 4567").starts_with("I have plus 3 1, 2 0 1, 2 3 4, 5 6 7."));
    assert_eq!(call.dialogue.collected(&call.messages, &call.found)["message_name"], "Ann");
}

#[test]
fn words_of_others_do_not_move_the_flow() {
    // Whether the caller is still there is asked by the server.
    let mut call = stand_in_conversation("en", None);
    call.says("hello");
    call.heard("Are you still there?", vec![]);
    assert!(call.says("yes").ends_with("What is your name?"), "the offer is answered");
    // A model that is sorry too is no stand-in.
    let mut sorry = stand_in_conversation("en", None);
    sorry.messages.push(ChatMessage::User("do you sell cars".into()));
    sorry.heard("I am sorry.", vec![]);
    assert!(sorry.says("yes").ends_with("Shall I take a message?"));
    // An agent that had the call before has asked for something else.
    let mut next = Conversation::shop();
    next.messages.push(ChatMessage::User("where is my order".into()));
    next.heard("I will hand you over to my colleague.", vec![]);
    assert_eq!(next.says("order status please"), "What is your order number?");
}

#[test]
fn any_words_have_an_answer() {
    use rand::{RngExt as _, SeedableRng as _};
    let mut random = rand::rngs::StdRng::seed_from_u64(6);
    let words = "where order is my 42 no yes I meant book a room what ? [DTMF 1] \u{0} {{slots.order}} {{ }} person \
                 ann@shop.com tomorrow 😀 ﷺ a\u{301} 日本語 \" NEAR( %s open  "
        .split(' ')
        .collect::<Vec<_>>();
    for role in [FlowRole::Agent, FlowRole::Fallback, FlowRole::StandIn] {
        for _ in 0..10 {
            let mut call = Conversation::new(shop(), "en", role);
            for _ in 0..12 {
                let count = random.random_range(0..8);
                let text: Vec<&str> = (0..count).map(|_| words[random.random_range(0..words.len())]).collect();
                let answer = call.hears(&text.join(" "));
                assert!(!answer.text.is_empty() || !answer.calls.is_empty(), "{text:?}");
                assert_eq!(answer, call.answer(), "the same conversation has the same answer");
                // The caller hears all of it, a part of it, or nothing.
                let cut = answer.text.floor_char_boundary(random.random_range(0..=answer.text.len()));
                match random.random_range(0..4) {
                    0 => {}
                    1 => call.heard(&answer.text[..cut], vec![]),
                    _ => {
                        call.heard(&answer.text, answer.calls.clone());
                        if let Some(made) = answer.calls.first() {
                            let content =
                                ["error: x", r#"{"status": "sent"}"#, "", RESULT_PENDING][random.random_range(0..4)];
                            call.messages.push(ChatMessage::Tool { call_id: made.id.clone(), content: content.into() });
                        }
                    }
                }
            }
        }
    }
    let mut long = Conversation::shop();
    long.says(&"order ".repeat(50_000));
    long.says(&"\u{301}".repeat(100_000));
}

#[test]
fn a_flow_that_was_never_checked_ends_no_call() {
    let round: Flow = serde_json::from_value(json!({"start": "a", "states": {
        "a": {"type": "say", "text": "x", "next": "b"}, "b": {"type": "branch", "slot": "s", "cases": {}, "otherwise": "a"}}}))
    .unwrap();
    let nowhere: Flow = serde_json::from_value(json!({"start": "x", "states": {}})).unwrap();
    for flow in [round, nowhere] {
        let dialogue = FlowDialogue::new(flow, context("en"), FlowRole::Agent);
        for text in ["hello", "what", "42"] {
            let messages = [ChatMessage::User(text.into()), ChatMessage::User("and?".into())];
            let _ = dialogue.answer(&messages, &tools(), &FaqFound::new());
        }
    }
}

#[test]
fn the_stand_in_takes_a_message_in_every_language_with_stock_phrases() {
    for (language, yes, name, number) in [
        ("sv", "Ja tack", "Anna Svensson", "+46 70 123 45 67"),
        ("da", "Ja, gerne", "Lars Jensen", "+45 20 12 34 56"),
        ("nb", "Ja takk", "Kari Hansen", "+47 412 34 567"),
        ("pt-BR", "Sim, por favor", "João Silva", "+55 11 91234 5678"),
        ("pl", "Tak, poproszę", "Jan Kowalski", "+48 601 234 567"),
        ("cs", "Ano", "Petr Novák", "+420 601 234 567"),
        ("ru", "Да", "Иван Петров", "+7 912 345 67 89"),
        ("uk", "Так", "Олена Коваль", "+380 67 123 45 67"),
        ("fi", "Kyllä", "Matti Virtanen", "+358 40 123 4567"),
        ("tr", "Evet, lütfen", "Ayşe Yılmaz", "+90 532 123 45 67"),
        ("ar", "نعم", "محمد علي", "+٩٧١ ٥٠ ١٢٣ ٤٥٦٧"),
        ("hi", "जी हाँ", "रवि कुमार", "+९१ ९८१२३ ४५६७८"),
        ("ja", "はい、お願いします。", "田中", "+81 90 1234 5678"),
        ("zh", "好的", "王小明", "+86 138 1234 5678"),
        ("ko", "네, 부탁드려요", "김민수", "+82 10 1234 5678"),
    ] {
        let mut call = stand_in_conversation(language, None);
        let phrases = message_phrases(language);
        assert_eq!(call.says("..."), format!("{} {}", phrases.sorry, phrases.offer_message));
        assert_eq!(call.says(yes), format!("{} {}", phrases.take, phrases.ask_name), "{language}");
        assert_eq!(call.says(name), phrases.ask_phone, "{language}");
        let read_back = call.says(number);
        assert!(read_back.matches(|c: char| c.is_ascii_digit()).count() > 8, "{language}: {read_back}");
        assert_eq!(call.says(yes), phrases.ask_text, "{language}");
        assert_eq!(call.hears(name).text, phrases.taken, "{language}");
    }
}
