//! Detection of non-speech signals: echo, in-band DTMF, single tones such as a voicemail beep.

pub mod dtmf;
pub mod echo;
pub mod tone;
