//! When a connection has lived long enough; pure. Times count from its start.

use std::time::Duration;

/// How long connections live; zero is for ever.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetimes {
    /// From the first byte of the head of an HTTP/1 request to its last.
    pub head: Duration,
    /// Without a request.
    pub idle: Duration,
    /// Until a connection ends between requests.
    pub age: Duration,
    /// As `idle`, for HTTP/2.
    pub http2_idle: Duration,
    /// As `age`, for HTTP/2.
    pub http2_age: Duration,
    /// For requests of an HTTP/2 connection that is too old to end in.
    pub http2_grace: Duration,
}

/// How a connection is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Its next answer says that it is the last.
    WithNextAnswer,
    /// No further request is taken, and those that are open are answered.
    WhenAnswered,
    /// At once.
    Now,
}

/// The life of one connection.
#[derive(Debug)]
pub(super) struct Life {
    lifetimes: Lifetimes,
    /// `None` before the first request.
    is_http2: Option<bool>,
    open: usize,
    /// When the last request ended.
    ended: Duration,
    /// When the first byte came that belongs to no request yet.
    head_since: Option<Duration>,
    retired: Option<Duration>,
}

impl Lifetimes {
    /// Makes ages longer or shorter by up to a tenth, so that connections that
    /// began together do not end together; `chance` is from 0 to 1.
    pub(super) fn jittered(self, chance: f64) -> Self {
        let jitter = |age: Duration| {
            // A factor beyond what a duration holds leaves what is for ever so.
            let seconds = age.as_secs_f64() * (0.9 + 0.2 * chance.clamp(0.0, 1.0));
            Duration::try_from_secs_f64(seconds).unwrap_or(age)
        };
        Self {
            age: jitter(self.age),
            http2_age: jitter(self.http2_age),
            ..self
        }
    }
}

impl Life {
    pub(super) fn new(lifetimes: Lifetimes) -> Self {
        Self {
            lifetimes,
            is_http2: None,
            open: 0,
            ended: Duration::ZERO,
            head_since: None,
            retired: None,
        }
    }

    /// Bytes came from the peer.
    pub(super) fn read(&mut self, now: Duration) {
        if self.open == 0 && self.is_http2 != Some(true) {
            self.head_since.get_or_insert(now);
        }
    }

    /// A request has its head.
    pub(super) fn began(&mut self, is_http2: bool) {
        self.is_http2 = Some(is_http2);
        self.head_since = None;
        self.open += 1;
    }

    /// A request has its answer; returns whether the answer is to be the last
    /// of the connection.
    pub(super) fn answered(&mut self, now: Duration) -> bool {
        self.open = self.open.saturating_sub(1);
        self.ended = now;
        self.retired.is_some() && self.is_http2 == Some(false)
    }

    /// Returns how the connection is to be ended at `now`, if it is.
    pub(super) fn poll(&mut self, now: Duration) -> Option<End> {
        let is_past = |at: Option<Duration>| at.is_some_and(|at| at <= now);
        if self.retired.is_some() {
            return is_past(self.cut_at()).then_some(End::Now);
        }
        if is_past(self.head_late_at()) {
            return Some(End::Now);
        }
        if is_past(self.old_at()) {
            self.retired = Some(now);
            return Some(match self.is_http2 {
                Some(false) => End::WithNextAnswer,
                _ => End::WhenAnswered,
            });
        }
        if is_past(self.idle_at()) {
            self.retired = Some(now);
            return Some(End::WhenAnswered);
        }
        None
    }

    /// Returns when to [poll](Self::poll) again.
    pub(super) fn next_poll(&self, now: Duration) -> Option<Duration> {
        if self.retired.is_some() {
            return self.cut_at();
        }
        let later = |wait: Duration| (!wait.is_zero()).then(|| now.saturating_add(wait));
        let head = self.head_late_at().or_else(|| later(self.lifetimes.head));
        let idle = self.idle_at().or_else(|| later(self.idle()));
        [head, idle, self.old_at()].into_iter().flatten().min()
    }

    fn head_late_at(&self) -> Option<Duration> {
        let since = self.head_since.filter(|_| !self.lifetimes.head.is_zero())?;
        Some(since.saturating_add(self.lifetimes.head))
    }

    fn old_at(&self) -> Option<Duration> {
        let Lifetimes { age, http2_age, .. } = self.lifetimes;
        let age = match self.is_http2 {
            Some(true) => shorter(age, http2_age),
            _ => age,
        };
        (!age.is_zero()).then_some(age)
    }

    fn idle_at(&self) -> Option<Duration> {
        let is_idle = self.open == 0 && !self.idle().is_zero();
        is_idle.then(|| self.ended.saturating_add(self.idle()))
    }

    fn idle(&self) -> Duration {
        let Lifetimes {
            idle, http2_idle, ..
        } = self.lifetimes;
        match self.is_http2 {
            Some(true) => shorter(idle, http2_idle),
            _ => idle,
        }
    }

    /// Returns when requests of a retired connection are cut off.
    fn cut_at(&self) -> Option<Duration> {
        let retired = self.retired.filter(|_| self.is_http2 == Some(true))?;
        let grace = self.lifetimes.http2_grace;
        (!grace.is_zero()).then(|| retired.saturating_add(grace))
    }
}

/// Returns the shorter of two durations of which zero is for ever.
fn shorter(a: Duration, b: Duration) -> Duration {
    match (a.is_zero(), b.is_zero()) {
        (true, _) => b,
        (_, true) => a,
        _ => a.min(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIMES: Lifetimes = Lifetimes {
        head: Duration::from_secs(30),
        idle: Duration::from_secs(120),
        age: Duration::from_secs(300),
        http2_idle: Duration::MAX,
        http2_age: Duration::from_secs(200),
        http2_grace: Duration::from_secs(10),
    };

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_old_connection_of_http1_ends_with_its_next_answer() {
        let mut life = Life::new(LIFETIMES);
        for second in [1, 100, 200, 290] {
            life.read(s(second));
            life.began(false);
            assert!(!life.answered(s(second)));
            assert_eq!(life.poll(s(second)), None);
        }
        assert_eq!(life.next_poll(s(290)), Some(s(300)));
        assert_eq!(life.poll(s(300)), Some(End::WithNextAnswer));
        assert_eq!(life.poll(s(1000)), None);
        life.began(false);
        assert!(life.answered(s(310)));
    }

    #[test]
    fn an_old_connection_of_http2_takes_no_further_request_and_has_its_grace() {
        let mut life = Life::new(LIFETIMES);
        life.began(true);
        assert_eq!(life.next_poll(s(199)), Some(s(200)));
        assert_eq!(life.poll(s(200)), Some(End::WhenAnswered));
        assert_eq!(life.next_poll(s(200)), Some(s(210)));
        assert_eq!(life.poll(s(209)), None);
        assert_eq!(life.poll(s(210)), Some(End::Now));
    }

    #[test]
    fn an_idle_connection_ends_and_one_with_an_open_request_does_not() {
        let mut life = Life::new(LIFETIMES);
        life.began(true);
        life.answered(s(10));
        life.began(true);
        assert_eq!(life.poll(s(131)), None);
        life.answered(s(131));
        assert_eq!(life.poll(s(199)), None);
        let mut life = Life::new(LIFETIMES);
        life.began(true);
        life.answered(s(10));
        assert_eq!(life.next_poll(s(10)), Some(s(40)), "it looks for heads");
        assert_eq!(life.poll(s(130)), Some(End::WhenAnswered));
    }

    #[test]
    fn a_head_that_does_not_end_is_cut_off() {
        let mut life = Life::new(LIFETIMES);
        life.read(s(5));
        life.read(s(20));
        assert_eq!(life.next_poll(s(20)), Some(s(35)));
        assert_eq!(life.poll(s(34)), None);
        assert_eq!(life.poll(s(35)), Some(End::Now));
    }

    #[test]
    fn zero_is_for_ever() {
        let forever = Lifetimes {
            head: Duration::ZERO,
            idle: Duration::ZERO,
            age: Duration::ZERO,
            http2_idle: Duration::ZERO,
            http2_age: Duration::ZERO,
            http2_grace: Duration::ZERO,
        };
        let mut life = Life::new(forever.jittered(1.0));
        life.read(s(1));
        assert_eq!((life.poll(s(1 << 40)), life.next_poll(s(1))), (None, None));
    }

    #[test]
    fn ages_differ_by_a_tenth_at_most() {
        assert_eq!(LIFETIMES.jittered(0.0).age, s(270));
        assert_eq!(LIFETIMES.jittered(1.0).http2_age, s(220));
        let longest = Lifetimes {
            age: Duration::MAX,
            ..LIFETIMES
        };
        assert_eq!(longest.jittered(1.0).age, Duration::MAX);
    }
}
