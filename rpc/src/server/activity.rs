//! How long a connection has said nothing.
//!
//! Every request touches two counters and no timer: the connection's one timer looks at them when it goes off, and goes
//! on sleeping for what is left.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// The requests of one connection.
#[derive(Clone)]
pub(super) struct Activity(Arc<Counters>);

/// One request that is being answered.
pub(super) struct Answering(Activity);

struct Counters {
    opened: Instant,
    /// Requests that are being answered.
    answering: AtomicU32,
    /// Nanoseconds from `opened` to the last answer; zero before the first.
    last_answer: AtomicU64,
}

impl Activity {
    /// Of a connection that opens now.
    pub fn new() -> Self {
        let (answering, last_answer) = (AtomicU32::new(0), AtomicU64::new(0));
        Self(Arc::new(Counters { opened: Instant::now(), answering, last_answer }))
    }

    /// Counts one more request until the guard is dropped.
    pub fn begin(&self) -> Answering {
        self.0.answering.fetch_add(1, Ordering::AcqRel);
        Answering(self.clone())
    }

    /// Returns once no request arrived within `first`, or none within `idle` after the last answer.
    pub async fn silence(&self, first: Duration, idle: Duration) {
        let mut until = self.0.opened + first;
        loop {
            tokio::time::sleep_until(until).await;
            until = match self.quiet_since() {
                Some(since) if since == self.0.opened => return,
                Some(since) if since + idle <= Instant::now() => return,
                Some(since) => since + idle,
                // Whenever its answer comes, the silence after it is not over before then.
                None => Instant::now() + idle,
            };
        }
    }

    /// When the last answer was given, or the connection opened; `None` while a request is being answered.
    fn quiet_since(&self) -> Option<Instant> {
        if self.0.answering.load(Ordering::Acquire) > 0 {
            return None;
        }
        Some(self.0.opened + Duration::from_nanos(self.0.last_answer.load(Ordering::Acquire)))
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let Counters { opened, answering, last_answer } = &*self.0.0;
        let since_opened = u64::try_from(opened.elapsed().as_nanos()).unwrap_or(u64::MAX);
        last_answer.fetch_max(since_opened.max(1), Ordering::AcqRel);
        answering.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::Activity;
    use std::time::Duration;
    use tokio::time::{Instant, sleep};

    const FIRST: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn who_never_asks_is_silent_after_the_first_limit() {
        let began = Instant::now();
        Activity::new().silence(FIRST, IDLE).await;
        assert_eq!(began.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_counts_from_the_last_answer_however_long_it_took() {
        let (activity, began) = (Activity::new(), Instant::now());
        let asking = activity.clone();
        let asks = async move {
            sleep(Duration::from_secs(5)).await;
            drop(asking.begin());
            sleep(Duration::from_secs(50)).await;
            let long = asking.begin();
            sleep(Duration::from_secs(300)).await;
            drop(long);
        };
        tokio::join!(asks, activity.silence(FIRST, IDLE));
        assert_eq!(began.elapsed().as_secs(), 5 + 50 + 300 + 60);
    }
}
