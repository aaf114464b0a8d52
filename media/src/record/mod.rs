//! Recording: caller left, agent right, sample-aligned, written outside of the audio path.

pub mod align;
