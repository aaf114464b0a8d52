//! Text frames of a vendor's socket that cannot be read: one of them costs no session.

use super::ProviderError;

/// Frames in a row that cannot be read, after which the socket has failed.
const IN_A_ROW_MAX: u32 = 20;

/// Counts frames that are empty or no JSON.
#[derive(Debug)]
pub(crate) struct UnreadableFrames {
    stage: &'static str,
    in_a_row: u32,
}

impl UnreadableFrames {
    /// Of a socket of this stage.
    pub(crate) fn new(stage: &'static str) -> Self {
        Self { stage, in_a_row: 0 }
    }

    /// What a frame said; `None` if it could not be read and is left out. A socket that sends nothing else has failed.
    pub(crate) fn judge<T>(&mut self, read: Result<T, ProviderError>) -> Result<Option<T>, ProviderError> {
        match read {
            Ok(read) => {
                self.in_a_row = 0;
                Ok(Some(read))
            }
            Err(ProviderError::InvalidResponse(_)) if self.in_a_row < IN_A_ROW_MAX => {
                self.in_a_row += 1;
                metrics::counter!("trunkline_provider_unreadable_frames_total", "stage" => self.stage).increment(1);
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_frames_are_left_out_and_nothing_but_odd_frames_is_a_failure() {
        let odd = || Err::<u32, _>(ProviderError::InvalidResponse("EOF".into()));
        let mut frames = UnreadableFrames::new("stt");
        for round in 0..100 {
            assert_eq!(frames.judge(odd()), Ok(None), "{round}");
            assert_eq!(frames.judge(Ok(7)), Ok(Some(7)));
        }
        for _ in 0..IN_A_ROW_MAX {
            assert_eq!(frames.judge(odd()), Ok(None));
        }
        assert!(frames.judge(odd()).is_err());
        let refused = ProviderError::refused(401, "key");
        assert_eq!(UnreadableFrames::new("tts").judge::<u32>(Err(refused.clone())), Err(refused));
    }
}
