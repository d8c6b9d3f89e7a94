//! How much memory the tasks may use.

use sysinfo::{MemoryRefreshKind, System};

/// `fraction` of the memory of the container, or of the machine where the container has no limit;
/// `None` where neither can be read.
///
/// Ballista would find it too, but it lists all processes of the machine for that and keeps the
/// memory.
pub(crate) fn share(fraction: f64) -> Option<u64> {
    let mut system = System::new();
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    let machine = system.total_memory();
    let total = system
        .cgroup_limits()
        .map_or(machine, |limits| limits.total_memory.min(machine));
    (total > 0).then_some((total as f64 * fraction) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_part_of_what_there_is() {
        let (half, all) = (share(0.5), share(1.0));
        assert!(half > Some(1024 * 1024), "{half:?}");
        assert!(half.map(|h| h * 2) <= all, "{half:?} {all:?}");
    }
}
