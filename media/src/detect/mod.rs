//! What else is on the line besides words: our own echo, keys pressed as tones, a mailbox's beep.

pub mod dtmf;
pub mod echo;
pub mod tone;
