//! When the next attempt is made.

/// Seconds after each attempt that failed: a day in all.
const DELAYS_S: [i64; 11] = [5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 14_400, 21_600, 21_600];
/// Share of a delay that is left to chance, so that a receiver that comes back is not run over.
const JITTER: f64 = 0.1;

/// Milliseconds until the next attempt after this many; `None` when it is given up. `random` is in 0..1.
pub fn retry_delay_ms(attempts: i64, random: f64) -> Option<i64> {
    let index = usize::try_from(attempts).ok()?.checked_sub(1)?;
    let delay = *DELAYS_S.get(index)? as f64 * 1_000.0;
    Some((delay * (1.0 + JITTER * random)) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_go_on_for_a_day() {
        assert_eq!(retry_delay_ms(1, 0.0), Some(5_000));
        assert_eq!(retry_delay_ms(1, 1.0), Some(5_500));
        assert_eq!(retry_delay_ms(12, 0.0), None);
        let all: i64 = (1..=11).filter_map(|attempts| retry_delay_ms(attempts, 0.0)).sum();
        assert!((23 * 3_600_000..26 * 3_600_000).contains(&all), "{all}");
    }
}
