//! How much memory there is: of the machine, or of the control group that the process is in, as in
//! a container.

use std::{fs, path::Path};

/// Bytes of memory that the process can have at all, whoever has some of it now; `None` where the
/// system does not say.
pub fn memory() -> Option<u64> {
    below(Path::new("/"))
}

fn below(root: &Path) -> Option<u64> {
    let machine = fs::read_to_string(root.join("proc/meminfo")).ok().and_then(|text| total(&text));
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let limits = groups.lines().filter_map(folder).flat_map(|(mount, limit, group)| {
        // A group has no more than those around it, and inside a container its own folder may be
        // out of sight.
        let group = group.trim_start_matches('/');
        let folders = Path::new(group).ancestors();
        folders.filter_map(|folder| number(&root.join(mount).join(folder).join(limit))).collect::<Vec<u64>>()
    });
    machine.into_iter().chain(limits).min()
}

/// `MemTotal:       32649732 kB`
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Where the limits of a line of `/proc/self/cgroup` are: below which folder, in which file, and
/// the group.
fn folder(line: &str) -> Option<(&'static str, &'static str, &str)> {
    let mut parts = line.splitn(3, ':');
    let (_, controllers, group) = (parts.next()?, parts.next()?, parts.next()?);
    match controllers {
        "" => Some(("sys/fs/cgroup", "memory.max", group)),
        _ if controllers.split(',').any(|controller| controller == "memory") => {
            Some(("sys/fs/cgroup/memory", "memory.limit_in_bytes", group))
        }
        _ => None,
    }
}

/// `max` is no number, and no limit.
fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn the_narrowest_of_machine_and_groups_counts() {
        let total = ("proc/meminfo", "MemTotal:       8000 kB\nMemFree: 1 kB\n");
        assert_eq!(below(machine(&[total]).path()), Some(8_192_000));
        let second = ("proc/self/cgroup", "0::/slurm/job\n");
        let limits = [
            ("sys/fs/cgroup/slurm/memory.max", "5000000\n"),
            ("sys/fs/cgroup/slurm/job/memory.max", "max\n"),
            ("sys/fs/cgroup/memory.max", "7000000\n"),
        ];
        assert_eq!(below(machine(&[&[total, second], &limits[..]].concat()).path()), Some(5_000_000));
        let first = ("proc/self/cgroup", "9:cpu:/a\n4:memory,hugetlb:/docker/x\n");
        let limit = ("sys/fs/cgroup/memory/memory.limit_in_bytes", "3000000\n");
        assert_eq!(below(machine(&[total, first, limit]).path()), Some(3_000_000));
        assert_eq!(below(machine(&[]).path()), None);
    }
}
