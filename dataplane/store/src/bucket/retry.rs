//! Whether, and when, a failed request is made again. Only decides: time and chance are arguments.

use std::time::Duration;

use super::settings::Patience;

/// What an attempt met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// There is no such object.
    NotFound,
    /// The store does not let us.
    Denied(String),
    /// The store wants fewer requests.
    Throttled {
        /// What it says.
        reason: String,
        /// How long it wants us to wait, if it says so.
        retry_after: Option<Duration>,
    },
    /// It may go well the next time.
    Transient(String),
    /// It would go wrong the next time too.
    Broken(String),
}

impl Cause {
    /// Returns the word for metrics, if another attempt makes sense.
    pub(super) fn passes(&self) -> Option<&'static str> {
        match self {
            Self::Throttled { .. } => Some("throttled"),
            Self::Transient(_) => Some("transient"),
            Self::NotFound | Self::Denied(_) | Self::Broken(_) => None,
        }
    }
}

impl Patience {
    /// Returns how long to wait before the next attempt, or `None` to give up.
    ///
    /// `failed` counts the attempts so far, `left` is what the operation has of its time, and
    /// `chance` is from 0 to 1. Pauses are spread over the upper half of what they may be, so that
    /// many clients do not come back at once. What the store asks for is the least.
    pub(super) fn pause(
        &self,
        cause: &Cause,
        failed: u32,
        left: Duration,
        chance: f64,
    ) -> Option<Duration> {
        cause.passes()?;
        if failed == 0 || failed > self.retries {
            return None;
        }
        let doubled = self.first_pause.saturating_mul(1 << (failed - 1).min(16));
        let most = doubled.min(self.longest_pause);
        let spread = most.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0);
        let asked = match cause {
            Cause::Throttled { retry_after, .. } => retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        // Those who were sent away together do not come back together either.
        let pause = if asked > spread {
            asked + spread / 4
        } else {
            spread
        };
        (pause < left).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        operation: Duration::from_secs(60),
        stall: Duration::from_secs(5),
        retries: 4,
        first_pause: Duration::from_millis(100),
        longest_pause: Duration::from_millis(500),
    };
    const LEFT: Duration = Duration::from_secs(60);

    fn transient() -> Cause {
        Cause::Transient("reset".to_owned())
    }

    fn throttled(seconds: u64) -> Cause {
        Cause::Throttled {
            reason: "slow down".to_owned(),
            retry_after: Some(Duration::from_secs(seconds)),
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_then_end() {
        let longest = |failed| PATIENCE.pause(&transient(), failed, LEFT, 1.0);
        let millis = |millis| Some(Duration::from_millis(millis));
        assert_eq!(longest(1), millis(100));
        assert_eq!(longest(2), millis(200));
        assert_eq!(longest(3), millis(400));
        assert_eq!(longest(4), millis(500));
        assert_eq!(longest(5), None);
        assert_eq!(PATIENCE.pause(&transient(), 1, LEFT, 0.0), millis(50));
    }

    #[test]
    fn what_would_fail_again_is_not_tried_again() {
        for cause in [
            Cause::NotFound,
            Cause::Denied(String::new()),
            Cause::Broken(String::new()),
        ] {
            assert_eq!(PATIENCE.pause(&cause, 1, LEFT, 0.5), None);
        }
    }

    #[test]
    fn the_store_is_given_the_time_it_asks_for_if_there_is_some() {
        let pause = PATIENCE.pause(&throttled(3), 1, LEFT, 0.0);
        assert!(pause >= Some(Duration::from_secs(3)));
        assert_eq!(PATIENCE.pause(&throttled(61), 1, LEFT, 0.0), None);
        let soon = PATIENCE.pause(&throttled(0), 1, LEFT, 0.0);
        assert_eq!(soon, Some(Duration::from_millis(50)));
    }

    #[test]
    fn no_pause_reaches_beyond_the_time_that_is_left() {
        let left = Duration::from_millis(60);
        assert_eq!(PATIENCE.pause(&transient(), 1, left, 1.0), None);
        assert!(PATIENCE.pause(&transient(), 1, left, 0.0).is_some());
    }

    #[test]
    fn absurd_settings_do_not_overflow() {
        let patience = Patience {
            retries: u32::MAX,
            first_pause: Duration::MAX,
            longest_pause: Duration::from_secs(1),
            ..PATIENCE
        };
        for failed in [1, 17, 33, u32::MAX] {
            assert!(patience.pause(&transient(), failed, LEFT, 2.0).is_some());
        }
    }
}
