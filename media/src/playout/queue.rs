//! Queue of speech segments, with exact accounting of how much of each was played.

use crate::frame::{FRAME_SAMPLES, Frame};
use crate::limits;
use std::collections::VecDeque;

/// Identifies a segment; segments of one response share the response id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentId {
    /// Response that the segment belongs to. Later responses have larger ids.
    pub response_id: u32,
    /// Position of the segment in its response.
    pub index: u32,
}

/// How much of a segment was played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentPlayed {
    /// The segment that was played, whole or in part.
    pub segment: SegmentId,
    /// Samples of it that were sent, at 8 kHz. Divide by 8 for ms.
    pub sent_samples: u64,
    /// The segment had ended and its last sample was sent.
    pub complete: bool,
}

/// Progress of a segment in the frame that is being filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentChange {
    /// Its first samples are in this frame.
    Started(SegmentId),
    /// Its last sample is in this frame or was in an earlier one.
    Finished(SegmentPlayed),
}

#[derive(Debug)]
struct QueuedSegment {
    id: SegmentId,
    chunks: VecDeque<Vec<i16>>,
    /// Samples of the first chunk already sent.
    offset: usize,
    sent_samples: u64,
    ended: bool,
}

/// Whether the queue is played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum PlayoutFlow {
    #[default]
    Playing,
    Paused,
    /// Resumed: the next frame with speech fades in.
    FadingIn,
}

/// Playout queue of one leg: mono samples at 8 kHz, at most 60 s.
#[derive(Debug, Default)]
pub struct PlayoutQueue {
    segments: VecDeque<QueuedSegment>,
    queued_samples: usize,
    /// Responses up to this one were flushed; audio that still arrives for them is dropped.
    flushed: Option<u32>,
    /// Fade-out frame of the audio that was flushed.
    tail: Option<Box<Frame>>,
    flow: PlayoutFlow,
    /// Samples dropped because the queue was full, since its creation.
    pub overflow_samples: u64,
}

impl PlayoutQueue {
    /// Adds samples to a segment, which is created by its first samples or its end.
    pub fn push(&mut self, id: SegmentId, samples: Vec<i16>, ended: bool) {
        if self.flushed.is_some_and(|flushed| id.response_id <= flushed) {
            return;
        }
        if self.queued_samples + samples.len() > limits::PLAYOUT_SAMPLES_MAX {
            self.overflow_samples += samples.len() as u64;
            return;
        }
        if self.segments.back().is_none_or(|segment| segment.id != id) {
            self.segments.push_back(QueuedSegment {
                id,
                chunks: VecDeque::new(),
                offset: 0,
                sent_samples: 0,
                ended: false,
            });
        }
        if let Some(segment) = self.segments.back_mut() {
            self.queued_samples += samples.len();
            if !samples.is_empty() {
                segment.chunks.push_back(samples);
            }
            segment.ended |= ended;
        }
    }

    /// Something can be played now.
    pub fn is_ready(&self) -> bool {
        let waiting = self.queued_samples > 0 || self.segments.front().is_some_and(|segment| segment.ended);
        self.tail.is_some() || waiting && !self.is_paused()
    }

    /// The current response, and whether any of its current segment was played.
    pub fn current(&self) -> Option<(u32, bool)> {
        self.segments.front().map(|segment| (segment.id.response_id, segment.sent_samples > 0))
    }

    /// Returns true from a pause until playout is resumed or flushed.
    pub fn is_paused(&self) -> bool {
        self.flow == PlayoutFlow::Paused
    }

    /// Pauses within one frame without losing audio: the faded frame is played again on resume.
    pub fn pause(&mut self) {
        if self.is_paused() {
            return;
        }
        self.flow = PlayoutFlow::Paused;
        let mut frame: Frame = [0; FRAME_SAMPLES];
        if self.segments.front().is_some_and(|segment| segment.sent_samples > 0 && segment.peek(&mut frame)) {
            fade_out(&mut frame);
            self.tail = Some(Box::new(frame));
        }
    }

    /// Resumes where playout was paused.
    pub fn resume(&mut self) {
        if self.is_paused() {
            self.flow = PlayoutFlow::FadingIn;
        }
    }

    /// True while speech is playing or queued, or a started segment is incomplete.
    pub fn is_active(&self) -> bool {
        self.segments.iter().any(|segment| segment.sent_samples > 0 || !segment.chunks.is_empty())
    }

    /// Samples at 8 kHz that wait, paused ones included. Divide by 8 for ms.
    pub fn queued_samples(&self) -> usize {
        self.queued_samples
    }

    /// Fills one frame; false when there was nothing to play. Segments follow each other without a gap.
    pub fn next_frame(&mut self, frame: &mut Frame, mut changed: impl FnMut(SegmentChange)) -> bool {
        if let Some(tail) = self.tail.take() {
            *frame = *tail;
            return true;
        }
        if self.is_paused() {
            frame.fill(0);
            return false;
        }
        let mut filled = 0;
        while let Some(segment) = self.segments.front_mut() {
            filled += segment.copy_into(&mut frame[filled..], &mut changed);
            if segment.ended && segment.chunks.is_empty() {
                let heard = SegmentPlayed { segment: segment.id, sent_samples: segment.sent_samples, complete: true };
                self.segments.pop_front();
                changed(SegmentChange::Finished(heard));
            } else {
                break;
            }
        }
        self.queued_samples -= filled;
        frame[filled..].fill(0);
        if filled > 0 && std::mem::take(&mut self.flow) == PlayoutFlow::FadingIn {
            for (index, sample) in frame.iter_mut().enumerate() {
                *sample = (i32::from(*sample) * index as i32 / FRAME_SAMPLES as i32) as i16;
            }
        }
        filled > 0
    }

    /// Empties the queue and reports the played part. The next frame is faded out.
    pub fn flush(&mut self, mut heard: impl FnMut(SegmentPlayed)) {
        let was_held = std::mem::take(&mut self.flow) == PlayoutFlow::Paused;
        let Some(newest) = self.segments.back().map(|segment| segment.id.response_id) else { return };
        let mut frame: Frame = [0; FRAME_SAMPLES];
        let playing = self.segments.front().is_some_and(|segment| segment.sent_samples > 0);
        if playing
            && !was_held
            && self.next_frame(&mut frame, |change| {
                if let SegmentChange::Finished(done) = change {
                    heard(done);
                }
            })
        {
            fade_out(&mut frame);
            self.tail = Some(Box::new(frame));
        }
        for segment in self.segments.drain(..) {
            heard(SegmentPlayed { segment: segment.id, sent_samples: segment.sent_samples, complete: false });
        }
        self.queued_samples = 0;
        self.flushed = Some(self.flushed.map_or(newest, |flushed| flushed.max(newest)));
    }

    /// Drops all current and future audio up to and including a response.
    pub fn flush_response(&mut self, response_id: u32, heard: impl FnMut(SegmentPlayed)) {
        self.flush(heard);
        self.flushed = Some(self.flushed.map_or(response_id, |flushed| flushed.max(response_id)));
    }
}

fn fade_out(frame: &mut Frame) {
    for (index, sample) in frame.iter_mut().enumerate() {
        *sample = (i32::from(*sample) * (FRAME_SAMPLES - index) as i32 / FRAME_SAMPLES as i32) as i16;
    }
}

impl QueuedSegment {
    /// Returns the next frame of the segment without taking it; false when there is nothing.
    fn peek(&self, out: &mut Frame) -> bool {
        let coming = self.chunks.iter().flatten().skip(self.offset);
        let mut any = false;
        for (sample, next) in out.iter_mut().zip(coming) {
            *sample = *next;
            any = true;
        }
        any
    }

    fn copy_into(&mut self, out: &mut [i16], changed: &mut impl FnMut(SegmentChange)) -> usize {
        let mut filled = 0;
        while filled < out.len() {
            let Some(chunk) = self.chunks.front() else { break };
            let take = (chunk.len() - self.offset).min(out.len() - filled);
            out[filled..filled + take].copy_from_slice(&chunk[self.offset..self.offset + take]);
            filled += take;
            self.offset += take;
            if self.offset == chunk.len() {
                self.chunks.pop_front();
                self.offset = 0;
            }
        }
        if self.sent_samples == 0 && filled > 0 {
            changed(SegmentChange::Started(self.id));
        }
        self.sent_samples += filled as u64;
        filled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(response_id: u32, index: u32) -> SegmentId {
        SegmentId { response_id, index }
    }

    fn play(queue: &mut PlayoutQueue, frames: usize) -> (Vec<Frame>, Vec<SegmentChange>) {
        let (mut out, mut changes) = (vec![], vec![]);
        for _ in 0..frames {
            let mut frame = [9; FRAME_SAMPLES];
            if queue.next_frame(&mut frame, |change| changes.push(change)) {
                out.push(frame);
            }
        }
        (out, changes)
    }

    #[test]
    fn segments_play_without_gap_and_report_played_samples() {
        let mut queue = PlayoutQueue::default();
        queue.push(id(1, 0), vec![1; 200], true);
        queue.push(id(1, 1), vec![2; 60], false);
        queue.push(id(1, 1), vec![3; 60], true);
        let (frames, changes) = play(&mut queue, 3);
        assert_eq!(frames.len(), 2);
        assert_eq!((frames[1][39], frames[1][40], frames[1][100], frames[1][159]), (1, 2, 3, 3));
        assert_eq!(changes.len(), 4);
        assert_eq!(
            changes[3],
            SegmentChange::Finished(SegmentPlayed { segment: id(1, 1), sent_samples: 120, complete: true })
        );
        assert!(!queue.is_ready());
    }

    #[test]
    fn flush_fades_reports_and_drops_late_audio() {
        let mut queue = PlayoutQueue::default();
        queue.push(id(4, 0), vec![1_000; 1_000], true);
        queue.push(id(4, 1), vec![1_000; 1_000], true);
        play(&mut queue, 2);
        let mut heard = vec![];
        queue.flush(|one| heard.push(one));
        assert_eq!(
            heard,
            [
                SegmentPlayed { segment: id(4, 0), sent_samples: 480, complete: false },
                SegmentPlayed { segment: id(4, 1), sent_samples: 0, complete: false },
            ]
        );
        queue.push(id(4, 2), vec![1_000; 1_000], true);
        let (frames, _) = play(&mut queue, 3);
        assert_eq!(frames.len(), 1, "one faded frame and nothing of the flushed reply");
        assert!(frames[0][0] == 1_000 && frames[0][159] < 10);
        queue.push(id(5, 0), vec![7; 160], true);
        assert_eq!(play(&mut queue, 1).0.len(), 1);
    }

    #[test]
    fn paused_audio_resumes_without_loss() {
        let mut queue = PlayoutQueue::default();
        let ramp: Vec<i16> = (0..1_600).collect();
        queue.push(id(1, 0), ramp[..900].to_vec(), false);
        assert_eq!(play(&mut queue, 2).0.len(), 2);
        queue.pause();
        let (faded, changes) = play(&mut queue, 5);
        assert!(faded.len() == 1 && faded[0][0] == 320 && faded[0][159] < 5 && changes.is_empty());
        assert!(queue.is_active() && !queue.is_ready());
        queue.push(id(1, 0), ramp[900..].to_vec(), true);
        queue.resume();
        let (frames, changes) = play(&mut queue, 9);
        assert!(frames[0][0] == 0 && frames[0][159] > 400, "faded in from where it was held");
        assert_eq!((frames.len(), frames[1][0], frames[7][159]), (8, 480, 1_599));
        assert_eq!(
            changes,
            [SegmentChange::Finished(SegmentPlayed { segment: id(1, 0), sent_samples: 1_600, complete: true })]
        );
    }

    #[test]
    fn flush_while_paused_reports_played_samples() {
        let mut queue = PlayoutQueue::default();
        queue.push(id(1, 0), vec![1_000; 1_000], true);
        play(&mut queue, 2);
        queue.pause();
        play(&mut queue, 3);
        let mut heard = vec![];
        queue.flush(|one| heard.push(one));
        assert_eq!(heard, [SegmentPlayed { segment: id(1, 0), sent_samples: 320, complete: false }]);
        queue.push(id(2, 0), vec![7; 320], true);
        assert_eq!(play(&mut queue, 3).0[0], [7; FRAME_SAMPLES], "the next reply is neither held nor faded");
    }

    #[test]
    fn queue_takes_sixty_seconds_and_rejects_more() {
        let mut queue = PlayoutQueue::default();
        for _ in 0..30 {
            queue.push(id(1, 0), vec![1; 8_000], false);
        }
        assert_eq!((queue.queued_samples(), queue.overflow_samples), (240_000, 0));
        for _ in 0..31 {
            queue.push(id(1, 0), vec![1; 8_000], false);
        }
        assert_eq!((queue.queued_samples(), queue.overflow_samples), (480_000, 8_000));
    }
}
