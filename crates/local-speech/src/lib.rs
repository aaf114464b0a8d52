//! Speech models on this machine. They run in a process of their own, the speech worker, which the server asks over
//! pipes: a crash of native code costs a sentence and no call. This crate has what both sides share and all that can be
//! decided without I/O: [`frame`] and [`message`] are the protocol, [`limits`] its
//! bounds, [`supervisor`] the worker's life; [`io`] has the process and the models' files; [`segmenter`] cuts speech,
//! [`models`] knows the models' files.

pub mod frame;
pub mod io;
pub mod limits;
pub mod message;
pub mod models;
pub mod request;
pub mod segmenter;
pub mod supervisor;
