//! Single paths: a frame's way in and out, SIP messages, session descriptions, sentences, provider messages.

fn main() {}
