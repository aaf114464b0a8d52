//! A model whose files were not there, or were damaged, when the worker started: whoever mends them need not restart anything.

use crate::engine::{Cancellation, EngineError, Transcriber, Transcription};
use std::time::{Duration, Instant};

/// How long files that were no model are left alone: to hash them takes half a second.
pub(crate) const BROKEN_FOR: Duration = Duration::from_secs(30);

/// A model that is loaded with the first request for which its files are right.
pub(crate) struct LateModel {
    name: &'static str,
    load: Box<dyn FnMut() -> Result<Box<dyn Transcriber>, EngineError> + Send>,
    state: LateState,
    broken_for: Duration,
}

enum LateState {
    Loaded(Box<dyn Transcriber>),
    Broken { why: EngineError, until: Instant },
}

impl LateModel {
    /// `why` is what was wrong with the files just now.
    pub(crate) fn new(
        name: &'static str, why: EngineError, broken_for: Duration,
        load: impl FnMut() -> Result<Box<dyn Transcriber>, EngineError> + Send + 'static,
    ) -> Self {
        let state = LateState::Broken { why, until: Instant::now() + broken_for };
        Self { name, load: Box::new(load), state, broken_for }
    }
}

impl Transcriber for LateModel {
    fn name(&self) -> &str {
        self.name
    }

    fn transcribe(&mut self, samples: &[i16], cancellation: &Cancellation) -> Result<Transcription, EngineError> {
        if matches!(&self.state, LateState::Broken { until, .. } if *until <= Instant::now()) {
            self.state = match (self.load)() {
                Ok(model) => LateState::Loaded(model),
                Err(why) => LateState::Broken { why, until: Instant::now() + self.broken_for },
            };
        }
        match &mut self.state {
            LateState::Loaded(model) => model.transcribe(samples, cancellation),
            LateState::Broken { why, .. } => Err(EngineError::unsupported(why.message.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_local_speech::message::FailureKind;

    struct Deaf;

    impl Transcriber for Deaf {
        fn name(&self) -> &str {
            "deaf"
        }

        fn transcribe(&mut self, _: &[i16], _: &Cancellation) -> Result<Transcription, EngineError> {
            Ok(Transcription { text: "what?".to_owned(), confidence: 1.0 })
        }
    }

    fn model(broken_for: Duration, loads_until_mended: usize) -> LateModel {
        let mut loads = 0;
        LateModel::new("deaf", EngineError::unsupported("damaged"), broken_for, move || {
            loads += 1;
            let error = EngineError::unsupported(format!("damaged {loads}"));
            if loads < loads_until_mended { Err(error) } else { Ok(Box::new(Deaf)) }
        })
    }

    #[test]
    fn files_that_were_mended_are_loaded_with_the_next_request() {
        let mut model = model(Duration::ZERO, 3);
        let mut ask = || model.transcribe(&[], &Cancellation::default());
        assert_eq!(ask().unwrap_err().message, "damaged 1");
        let still = ask().unwrap_err();
        assert_eq!((still.kind, still.message.as_str()), (FailureKind::Unsupported, "damaged 2"));
        assert_eq!((ask().unwrap().text, ask().unwrap().text), ("what?".to_owned(), "what?".to_owned()));
    }

    #[test]
    fn damaged_files_are_not_read_for_every_request() {
        let mut model = model(BROKEN_FOR, 1);
        for _ in 0..3 {
            assert_eq!(model.transcribe(&[], &Cancellation::default()).unwrap_err().message, "damaged");
        }
    }
}
