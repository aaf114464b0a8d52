//! No word is lost between two STT sessions, and none is heard by both.

use super::*;
use trunkline_media::codec::Companding;

const MS: Duration = Duration::from_millis(1);

/// A caller whose frames are numbered, and who hears which.
struct Line {
    now: Instant,
    change: Option<SttChange>,
    frame: u8,
    old: Vec<u8>,
    new: Vec<u8>,
}

impl Line {
    fn new(caller: impl FnOnce(Instant) -> CallerActivity) -> Self {
        #[expect(clippy::disallowed_methods, reason = "origin of virtual time")]
        let now = Instant::now();
        Self { now, change: Some(SttChange::new(caller(now))), frame: 0, old: vec![], new: vec![] }
    }

    fn frames(&mut self, count: u32) {
        for _ in 0..count {
            let frame = AudioFrame::g711(Companding::MuLaw, &[self.frame; 160]).unwrap();
            let is_due = self.change.as_mut().is_some_and(|change| change.hear(self.now, &frame));
            match self.change.take_if(|_| is_due) {
                Some(change) => {
                    let lead = change.into_lead();
                    self.new.extend(lead.iter().map(|frame| frame.as_g711().unwrap().1[0]));
                }
                None if self.change.is_some() => self.old.push(self.frame),
                None => self.new.push(self.frame),
            }
            self.frame += 1;
            self.now += 20 * MS;
        }
    }

    fn with(&mut self, tell: impl FnOnce(&mut SttChange, Instant)) {
        let now = self.now;
        if let Some(change) = &mut self.change {
            tell(change, now);
        }
    }

    fn last_words(&mut self) {
        let event = SttEvent::Final { text: "yes".into(), confidence: None, speech_final: true };
        self.with(|change, _| change.handle_event(&event));
    }
}

#[test]
fn a_silent_caller_is_heard_by_the_new_session_after_a_moment() {
    let mut line = Line::new(|since| CallerActivity::Silent { since });
    line.frames(20);
    assert_eq!(line.old, (0..15).collect::<Vec<_>>(), "300 ms of silence");
    assert_eq!(line.new, (1..20).collect::<Vec<_>>(), "the onset of a word may be in the last of them");
}

#[test]
fn a_speaking_caller_is_heard_by_the_old_session_to_the_last_word() {
    let mut line = Line::new(|since| CallerActivity::Speaking { since });
    line.frames(50);
    line.with(SttChange::handle_speech_ended);
    line.frames(30);
    assert!(line.new.is_empty(), "its final words are due");
    line.last_words();
    line.frames(1);
    assert_eq!(line.new, (66..81).collect::<Vec<_>>(), "nothing of what was spoken");
}

#[test]
fn a_caller_who_goes_on_stays_with_the_old_session() {
    let mut line = Line::new(|since| CallerActivity::WordsDue { since });
    line.frames(5);
    line.last_words();
    line.with(SttChange::handle_speech_started);
    line.frames(100);
    assert_eq!((line.old.len(), line.new.len()), (105, 0));
    // Interim words, and final ones with more to come, end nothing.
    line.with(SttChange::handle_speech_ended);
    line.with(|change, _| change.handle_event(&SttEvent::Interim("and".into())));
    let more = SttEvent::Final { text: "and".into(), confidence: None, speech_final: false };
    line.with(|change, _| change.handle_event(&more));
    line.frames(20);
    assert_eq!(line.new.len(), 0);
}

#[test]
fn nothing_is_waited_for_forever() {
    let mut due = Line::new(|since| CallerActivity::WordsDue { since });
    due.frames(76);
    assert_eq!((due.old.len(), due.new.len()), (75, 15), "1.5 s for final words");
    let mut noise = Line::new(|since| CallerActivity::Speaking { since });
    let frame = AudioFrame::g711(Companding::MuLaw, &[0; 160]).unwrap();
    noise.now += 20_000 * MS;
    let now = noise.now;
    assert!(noise.change.as_mut().unwrap().hear(now, &frame), "a television never falls silent");
    assert_eq!(noise.change.unwrap().into_lead().len(), 1);
}
