//! CPU seconds of a process, to the nanosecond where the system tells.
//!
//! `/proc/PID/stat` counts every thread that ever ran, ended ones too, but in ticks of 10 ms; `schedstat` of each thread
//! counts nanoseconds, but goes with its thread. So both are read: the fine sum holds as long as the coarse one does not
//! show that a thread ended in between and took its count along. Ended children are counted in ticks.

use anyhow::{Context as _, Result};
use std::collections::HashMap;
use std::fs;

/// Clock ticks per second in `/proc/PID/stat`: fixed at 100 on Linux for all programs.
const TICKS_PER_SECOND: f64 = 100.0;
/// How far the coarse count may be ahead of the fine one while both mean the same: user and system time are each cut
/// down to whole ticks.
const COARSE_ERROR_SECONDS: f64 = 0.02;

/// What a process has spent so far.
#[derive(Clone, Debug)]
pub struct CpuClock {
    /// Nanoseconds of every living thread, by its id.
    threads: HashMap<u32, u64>,
    own_ticks: u64,
    ended_children_ticks: u64,
}

impl CpuClock {
    /// This process, now.
    pub fn now() -> Result<Self> {
        // A running thread is charged when it leaves the processor; giving it up for a moment brings the count up to date.
        std::thread::yield_now();
        Self::read("self")
    }

    /// Another process, now.
    pub fn of(pid: u32) -> Result<Self> {
        Self::read(&pid.to_string())
    }

    /// CPU seconds from `before` until this reading: the process and its children that ended.
    pub fn since(&self, before: &Self) -> f64 {
        let spent = |(thread, now): (&u32, &u64)| now.saturating_sub(before.threads.get(thread).copied().unwrap_or(0));
        let fine = self.threads.iter().map(spent).sum::<u64>() as f64 / 1e9;
        let coarse = seconds(self.own_ticks - before.own_ticks);
        let own = if fine + COARSE_ERROR_SECONDS >= coarse { fine } else { coarse };
        own + seconds(self.ended_children_ticks - before.ended_children_ticks)
    }

    fn read(process: &str) -> Result<Self> {
        let mut threads = HashMap::new();
        for entry in fs::read_dir(format!("/proc/{process}/task"))? {
            let entry = entry?;
            // A thread may end between being listed and being read.
            let Ok(schedstat) = fs::read_to_string(entry.path().join("schedstat")) else { continue };
            let id = entry.file_name().to_str().and_then(|name| name.parse().ok()).context("threads have numbers")?;
            let ran = schedstat.split_whitespace().next().context("schedstat is empty")?.parse()?;
            threads.insert(id, ran);
        }
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
        let after_name = stat.rsplit_once(')').context("/proc/PID/stat has a name in parentheses")?.1;
        // utime, stime, cutime, cstime are fields 14 to 17 of the line; the name was field 2.
        let fields: Vec<&str> = after_name.split_whitespace().skip(11).take(4).collect();
        let [user, system, children_user, children_system] = fields[..] else {
            anyhow::bail!("/proc/PID/stat is short");
        };
        Ok(Self {
            threads,
            own_ticks: user.parse::<u64>()? + system.parse::<u64>()?,
            ended_children_ticks: children_user.parse::<u64>()? + children_system.parse::<u64>()?,
        })
    }
}

fn seconds(ticks: u64) -> f64 {
    ticks as f64 / TICKS_PER_SECOND
}

#[cfg(test)]
mod tests {
    use super::CpuClock;
    use std::collections::HashMap;

    fn clock(threads: &[(u32, u64)], own_ticks: u64, ended_children_ticks: u64) -> CpuClock {
        CpuClock { threads: threads.iter().copied().collect::<HashMap<_, _>>(), own_ticks, ended_children_ticks }
    }

    #[test]
    fn living_threads_are_counted_to_the_nanosecond() {
        let before = clock(&[(1, 5_000_000), (2, 1_000)], 1, 0);
        let after = clock(&[(1, 7_500_000), (2, 1_000), (3, 500_000)], 2, 0);
        assert_eq!(after.since(&before), 0.003);
    }

    #[test]
    fn a_thread_that_ended_is_found_in_the_ticks() {
        let before = clock(&[(1, 1_000_000_000), (2, 0)], 100, 0);
        let after = clock(&[(1, 1_100_000_000)], 160, 0);
        assert_eq!(after.since(&before), 0.6);
    }

    #[test]
    fn ended_children_count_too() {
        assert_eq!(clock(&[], 0, 250).since(&clock(&[], 0, 50)), 2.0);
    }

    #[test]
    fn work_is_seen_by_the_clock() {
        let before = CpuClock::now().unwrap();
        let mut seen = 0.0;
        // Bounded by the work itself: no wall clock is asked.
        for round in 0..1_000_000_u64 {
            std::hint::black_box(round.wrapping_mul(round));
            if round % 1_000 == 0 {
                seen = CpuClock::now().unwrap().since(&before);
            }
        }
        assert!(seen > 0.0);
    }
}
