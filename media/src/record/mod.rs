//! Recording: caller left, agent right, sample-aligned, written away from the audio path.

pub mod align;
