//! Damaged messages for the tests of vendors' protocols: each field missing, null, empty, of another type, twice; messages
//! left out, twice, swapped, late, of unknown types.

use serde_json::{Value, json};

/// The pointers to every field and item of a message.
fn pointers(value: &Value, at: &str, all: &mut Vec<String>) {
    let mut visit = |name: &str, child: &Value| {
        let at = format!("{at}/{name}");
        pointers(child, &at, all);
        all.push(at);
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, child)| visit(name, child)),
        Value::Array(items) => items.iter().enumerate().for_each(|(index, child)| visit(&index.to_string(), child)),
        _ => {}
    }
}

fn without(message: &Value, pointer: &str) -> Value {
    let mut message = message.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match message.pointer_mut(parent) {
        Some(Value::Object(fields)) => {
            fields.remove(name);
        }
        Some(Value::Array(items)) => {
            items.remove(name.parse().unwrap());
        }
        _ => {}
    }
    message
}

/// One message in every state of damage.
pub(crate) fn damaged(message: &Value) -> Vec<String> {
    let mut all = Vec::new();
    pointers(message, "", &mut all);
    let odd = [
        json!(null),
        json!(""),
        json!([]),
        json!({}),
        json!(7),
        json!(-1.5),
        json!(true),
        json!("\u{0}é?"),
        json!([null]),
    ];
    let mut texts = vec![
        "{}".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        json!({"type": "something.new", "data": [1, {"x": null}]}).to_string(),
    ];
    for pointer in &all {
        texts.push(without(message, pointer).to_string());
        for value in &odd {
            let mut damaged = message.clone();
            *damaged.pointer_mut(pointer).unwrap() = value.clone();
            texts.push(damaged.to_string());
        }
    }
    // Each field twice, in the text itself.
    for (name, value) in message.as_object().into_iter().flatten() {
        let whole = message.to_string();
        texts.push(format!("{{{}:{value},{}", json!(name), &whole[1..]));
        texts.push(format!("{{{}:null,{}", json!(name), &whole[1..]));
    }
    texts
}

/// A conversation of messages with one of them left out, twice, or swapped with its neighbour; and all of it backwards, or
/// once more.
pub(crate) fn disordered(messages: &[Value]) -> Vec<Vec<String>> {
    let texts: Vec<String> = messages.iter().map(Value::to_string).collect();
    let mut all = vec![texts.iter().rev().cloned().collect(), [texts.clone(), texts.clone()].concat()];
    for index in 0..texts.len() {
        let mut left_out = texts.clone();
        left_out.remove(index);
        let mut twice = texts.clone();
        twice.insert(index, texts[index].clone());
        let mut late = texts.clone();
        let one = late.remove(index);
        late.push(one);
        all.extend([left_out, twice, late]);
        if index + 1 < texts.len() {
            let mut swapped = texts.clone();
            swapped.swap(index, index + 1);
            all.push(swapped);
        }
    }
    all
}

/// Reads a conversation whole, and in every state of damage and disorder. `read` gets the messages of one connection, and
/// says whether the connection survived them.
pub(crate) fn survives(messages: &[Value], read: impl Fn(&[String]) -> Result<(), String>) {
    let whole: Vec<String> = messages.iter().map(Value::to_string).collect();
    read(&whole).unwrap();
    for (index, message) in messages.iter().enumerate() {
        for text in damaged(message) {
            let mut conversation = whole.clone();
            conversation[index].clone_from(&text);
            if let Err(why) = read(&conversation) {
                panic!("{why}: {text}");
            }
        }
    }
    for conversation in disordered(messages) {
        if let Err(why) = read(&conversation) {
            panic!("{why}: {conversation:?}");
        }
    }
}
