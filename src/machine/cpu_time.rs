//! How long the process has computed.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// The time that processors spent on this process so far, that of all its threads together. Unlike
/// the time on the wall it does not grow while others have the processors.
pub fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    // Neither is ever negative, and there are fewer than 1e9 nanoseconds.
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn computing_takes_time_of_the_processor() {
        let (before, start) = (cpu_time(), Instant::now());
        let mut sum = 0_u64;
        while cpu_time() - before < Duration::from_millis(20) {
            sum = std::hint::black_box(sum + 1);
            assert!(start.elapsed() < Duration::from_secs(60), "the clock of the process stands still");
        }
    }
}
