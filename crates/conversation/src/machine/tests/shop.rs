//! The shop of `examples/shop_flow.json`: callers talk to its rules in virtual time.

use super::*;
use crate::dialogue::flow::{FaqFound, FlowAnswer, FlowDialogue, FlowMemory, FlowRole, stand_in, value_context};
use trunkline_store::{IndexedPassage, PassageIndex};

const SHOP: &str = include_str!("../../../../../examples/shop_flow.json");

struct Shop {
    harness: CallHarness,
    dialogue: FlowDialogue,
    index: PassageIndex,
    runtime: tokio::runtime::Runtime,
    /// Requests that were answered.
    answered: usize,
    memory: FlowMemory,
    /// What was asked and answered last.
    last: (Vec<ChatMessage>, FlowAnswer),
}

impl Shop {
    fn new(agent: AgentFields, role: FlowRole) -> Self {
        let context = value_context(&agent, "en", "en", jiff::civil::date(2026, 11, 28));
        let own = agent.llm_config.as_ref().and_then(|config| config.flow.clone());
        let flow = own.unwrap_or_else(|| stand_in("en", None));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut harness = CallHarness::new(agent);
        harness.play_everything();
        let dialogue = FlowDialogue::new(flow, context, role);
        Self {
            harness,
            dialogue,
            index: PassageIndex::default(),
            runtime,
            answered: 0,
            memory: FlowMemory::default(),
            last: Default::default(),
        }
    }

    fn open() -> Self {
        let agent: AgentFields = serde_json::from_str(SHOP).unwrap();
        assert_eq!(trunkline_domain::faults(&agent), []);
        Self::new(agent, FlowRole::Agent)
    }

    fn look_up(&self, messages: &[ChatMessage]) -> FaqFound {
        let passages = self.dialogue.passages().iter();
        let passages: Vec<_> =
            passages.map(|one| IndexedPassage { title: &one.title, text: &one.text, words: &one.words }).collect();
        let searches = self.dialogue.searches(messages).into_iter().map(|search| {
            let places = self.runtime.block_on(self.index.search(&passages, &search.keywords, 5)).unwrap();
            (search.turn, places)
        });
        searches.collect()
    }

    /// The rules answer what the machine asks the model.
    fn answer(&mut self) {
        let asked = self.harness.seen.iter().filter_map(|output| match output {
            CallOutput::RequestLlm { response_id, messages, tools, .. } => {
                Some((*response_id, messages.clone(), tools.clone()))
            }
            _ => None,
        });
        let Some((id, messages, tools)) = asked.skip(self.answered).last() else { return };
        self.answered = self.harness.llm_requests();
        let dropped = self.memory.dropped(&messages);
        let found = self.look_up(&[dropped.as_slice(), &messages].concat());
        let answer = self.memory.answer(&self.dialogue, (messages.as_slice(), dropped.as_slice()), &tools, &found);
        self.last = (messages, answer.clone());
        let (now, harness) = (self.harness.now, &mut self.harness);
        if !answer.text.is_empty() {
            harness.machine.handle_llm_event(now, id, LlmEvent::Text(answer.text));
        }
        if !answer.calls.is_empty() {
            harness.machine.handle_llm_event(now, id, LlmEvent::ToolCalls(answer.calls));
        }
        harness.machine.handle_llm_event(now, id, LlmEvent::Done(TokenUsage::default()));
        harness.drain();
    }

    fn says(&mut self, text: &str) -> String {
        self.harness.caller_says(text);
        self.harness.pass_ms(500);
        self.answer();
        self.harness.play_everything()
    }

    /// The arguments of the last call of a customer's tool, and its id.
    fn called(&self) -> (String, String) {
        let calls = self.harness.seen.iter().rev().find_map(|output| match output {
            CallOutput::CallTool { call, .. } => Some((call.id.clone(), call.arguments.clone())),
            _ => None,
        });
        calls.unwrap()
    }

    fn result(&mut self, text: &str) -> String {
        let (id, _) = self.called();
        self.harness.machine.handle_tool_result(self.harness.now, &id, text);
        self.harness.drain();
        self.answer();
        self.harness.play_everything()
    }
}

/// What callers said when the rules were written is in the document; these words are not.
const WORDINGS: [(&str, &str); 20] = [
    ("What time do you shut on a Friday?", "We are open"),
    ("Are you guys open this weekend?", "We are open"),
    ("Until when can I visit you this evening?", "We are open"),
    ("How do I get to you, where exactly is it?", "You find us"),
    ("Is there a place where I can leave my car?", "You find us"),
    ("I'm looking for the shop, which street is it on?", "You find us"),
    ("The shoes I bought don't fit, can I swap them?", "You can return"),
    ("I'd like my money back for a broken lamp", "You can return"),
    ("What if I want to send something back?", "You can return"),
    ("How much does shipping cost?", "We deliver"),
    ("Do you deliver to my home?", "We deliver"),
    ("How long until you deliver a new table?", "We deliver"),
    ("Has my parcel arrived at the depot yet?", "What is your order number?"),
    ("Last week's order of mine hasn't arrived", "What is your order number?"),
    ("Can you track an order for me?", "What is your order number?"),
    ("I'm still waiting for a package", "What is your order number?"),
    ("Can I talk to a real human being please?", "I will put you through"),
    ("I need to speak with someone from the shop", "I will put you through"),
    ("Could you connect me to an employee?", "I will put you through"),
    ("Can you have them call me back tomorrow?", "I will take a message"),
];

#[test]
fn callers_are_understood_in_words_that_the_rules_were_not_written_with() {
    let mut missed = Vec::new();
    for (words, wanted) in WORDINGS {
        let answer = Shop::open().says(words);
        if !answer.starts_with(wanted) {
            missed.push((words, answer));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

/// Words that no passage has do not keep away the answer that the other words ask for; filler of all kinds neither.
const LONG_WORDINGS: [(&str, &str); 16] = [
    ("I bought a jacket last week and I went to return it", "You can return"),
    ("Well my daughter got this lamp from you and it arrived broken", "You can return"),
    ("I received the wrong item", "You can return"),
    ("How do I get to your store?", "You find us"),
    ("I'm driving over with my sister, can I park my car somewhere near you?", "You find us"),
    ("Hi, mayor, I was wondering if you're open right now", "We are open"),
    ("Hello good morning, I'm calling because I'd like to know whether you open at eight", "We are open"),
    ("Can I pay by credit cards?", "In the shop you can pay"),
    ("How much is a table?", "We sell lamps"),
    ("Do you sell laptops?", "We sell lamps"),
    ("I wanted a gift voucher for my aunt's birthday", "Gift vouchers"),
    ("Hi, I have a question about my order", "What is your order number?"),
    ("I ordered a sofa last week and it hasn't come yet", "What is your order number?"),
    ("My parcel still isn't here", "What is your order number?"),
    ("When will my order be delivered?", "What is your order number?"),
    ("Where does my delivery remain, it is late", "What is your order number?"),
];

/// What people say to a voice beside their business.
const SMALL_WORDS: [(&str, &str); 20] = [
    ("What can you do?", "I am the assistant"),
    ("Who are you?", "I am the assistant"),
    ("Are you a robot?", "I am the assistant"),
    ("Can you help me?", "I am the assistant"),
    ("Thank you very much", "You are welcome"),
    ("Thanks", "You are welcome"),
    ("Okay", "All right"),
    ("Great", "All right"),
    ("No", "Thank you for calling"),
    ("No thanks, that's all", "Thank you for calling"),
    ("No, that's it, thank you", "Thank you for calling"),
    ("Okay thanks, bye", "Thank you for calling"),
    ("Nothing, I'm fine", "Thank you for calling"),
    ("What?", "What else can I do"),
    ("Good morning", "What else can I do"),
    ("I want to cancel my order", "My colleagues can change"),
    ("I'd like to complain", "I am sorry to hear that"),
    ("Can I talk to the manager?", "I will put you through"),
    ("Could you tell somebody to call me back", "I will take a message"),
    ("I'd like to leave a message for a person of yours", "I will take a message"),
];

#[test]
fn long_and_small_words_are_understood_too() {
    let all = LONG_WORDINGS.into_iter().chain(SMALL_WORDS);
    let answers = all.map(|(words, wanted)| (words, wanted, Shop::open().says(words)));
    let missed: Vec<_> = answers.filter(|(_, wanted, answer)| !answer.starts_with(wanted)).collect();
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn what_is_not_understood_gets_no_wrong_answer_and_hears_what_can_be_asked() {
    for words in [
        "Do elephants fly?",
        "My neighbour has a green bicycle",
        "Is it going to rain?",
        "How old are you?",
        "Tell me a joke",
        "What's the weather like today in Paris, France?",
        "I think the president gave a speech about taxes",
        "Hallo, ik spreek alleen Nederlands",
    ] {
        let answer = Shop::open().says(words);
        assert!(answer.starts_with("I can tell you about opening hours"), "{words}: {answer}");
    }
}

#[test]
fn three_turns_in_a_row_that_are_not_understood_lead_to_an_offer() {
    let mut shop = Shop::open();
    for _ in 0..2 {
        assert!(shop.says("Do elephants fly?").starts_with("I can tell you"));
    }
    assert!(shop.says("when do you open").starts_with("We are open"));
    for _ in 0..2 {
        assert!(shop.says("Do elephants fly?").starts_with("I can tell you"));
    }
    assert_eq!(shop.says("Do elephants fly?"), "Shall I put you through to a colleague?");
    assert_eq!(shop.says("okay"), "I will put you through to a colleague.");
}

#[test]
fn an_order_is_looked_up_with_a_question_between() {
    let mut shop = Shop::open();
    assert_eq!(shop.says("where is my order"), "What is your order number?");
    assert!(shop.says("do you charge for delivery?").ends_with("What is your order number?"));
    assert_eq!(shop.says("one two three"), "Your order number has six digits. Could you say it digit by digit?");
    assert!(shop.says("one two three four five six").starts_with("One moment"));
    assert_eq!(shop.called().1, r#"{"order_number":"123456"}"#);
    assert!(shop.result(r#"{"status": "shipped"}"#).starts_with("Your order has left our shop"));
    let goodbye = shop.says("that's all thank you goodbye");
    assert_eq!(goodbye, "Thank you for calling Corner Shop. Goodbye.");
    assert_eq!(shop.harness.hang_up_reasons().len(), 1);
}

/// A history keeps 400 messages: what the flow knows from before them stays.
#[test]
fn a_flow_goes_on_where_it_was_after_more_messages_than_a_history_holds() {
    let mut shop = Shop::open();
    shop.says("where is my order");
    shop.says("one two three four five six");
    assert!(shop.result(r#"{"status": "shipped"}"#).starts_with("Your order has left our shop"));
    let (open, place) = (shop.says("when do you open"), shop.says("where is your shop"));
    // Most turns are written down as they were: each that is answered goes through all before it.
    for _ in 0..9 {
        let history = &mut shop.harness.machine.mode.talk_mut().unwrap().history;
        for (question, answer) in [("when do you open", &open), ("where is your shop", &place)].repeat(25) {
            history.push_user(question);
            history.push_assistant(answer, Vec::new());
        }
        assert_eq!(shop.says("when do you open"), open);
    }
    let is_lost = |message: &ChatMessage| matches!(message, ChatMessage::User(words) if words == "where is my order");
    assert!(!shop.last.0.iter().any(is_lost), "the history has lost its begin, twice");
    assert!(shop.says("put me through").starts_with("I will put you through"));
    let briefing = &shop.last.1.calls[0].arguments;
    assert!(briefing.contains("1 2 3 4 5 6"), "{briefing}");
}

#[test]
fn a_question_that_was_cut_off_is_asked_again() {
    let mut shop = Shop::open();
    shop.harness.caller_says("where is my order");
    shop.harness.pass_ms(1_500);
    shop.answer();
    let (segment, _) = shop.harness.waiting.remove(0);
    shop.harness.machine.handle_tts_done(segment, 16_000);
    shop.harness.machine.handle_segment_started(segment, shop.harness.now);
    shop.harness.pass_ms(300);
    shop.harness.machine.handle_speech_started(shop.harness.now);
    let heard = [SegmentPlayed { segment, sent_samples: 2_400, complete: false }];
    shop.harness.machine.handle_flushed(shop.harness.now, true, segment.response_id, &heard);
    shop.harness.drain();
    assert_eq!(shop.says("sorry the doorbell rang"), "What is your order number?");
    assert!(shop.says("nine eight seven six five four").starts_with("One moment"));
}

#[test]
fn callers_whose_model_is_away_leave_a_message() {
    let mut call = Shop::new(agent(), FlowRole::StandIn);
    assert_eq!(
        call.says("I want to buy a lamp"),
        "I am sorry, our assistant cannot be reached at the moment. Shall I take a message?"
    );
    assert_eq!(call.says("yes please"), "I will take a message. What is your name?");
    assert_eq!(call.says("my name is Ann Lee"), "On which number can we call you back?");
    assert!(call.says("oh two oh one two three four five six seven").ends_with("Is that right?"));
    assert!(call.says("no, it's oh two oh one two three four five six eight").ends_with("Is that right?"));
    assert_eq!(call.says("yes that's right"), "What is your message?");
    assert_eq!(call.says("I want the lamp in the window"), "Thank you, I have noted your message. Goodbye.");
    assert_eq!(call.harness.hang_up_reasons().len(), 1);
}
