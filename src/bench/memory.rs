//! How much memory the process took, and of a device.

use burn::tensor::Device;

/// What the allocator of `device` holds of its memory, in MiB: what it needed at most, as it keeps
/// what it once took. `None` where tensors are in the process's memory.
pub(super) fn device_mib(device: &Device) -> Option<f64> {
    let held = device.memory_pool_usage()?.bytes_reserved;
    Some((held as f64 / (1 << 20) as f64).round())
}

/// The most that the process had in memory at once since the last [`forget_peak`], in MiB; `None`
/// where the system does not say.
pub(super) fn peak_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib: f64 =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some((kib / 1024.0).round())
}

/// Starts the peak at what is in memory now. Where the system does not know how (Linux does), peaks
/// are of the whole process.
pub(super) fn forget_peak() {
    if let Err(error) = std::fs::write("/proc/self/clear_refs", "5") {
        tracing::debug!("the peak of memory stays: {error}");
    }
}
