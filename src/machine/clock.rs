//! The time of day.

use std::time::SystemTime;

/// Seconds since 1970, as far as the machine's clock is right; 0 where it is before that.
pub fn unix_time() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
