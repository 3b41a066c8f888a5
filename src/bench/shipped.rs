//! The works that the program brings along.

use std::{
    fs, io,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

macro_rules! files {
    ($($path:literal),+ $(,)?) => { &[$(($path, include_str!(concat!("../../", $path)))),+] };
}

/// Works, and what they name: files of the project, so that the program measures the same wherever
/// it lies.
const FILES: &[(&str, &str)] = files![
    "benches/works/nb201.yaml",
    "benches/works/darts.yaml",
    "benches/works/retrain.yaml",
    "search_spaces/nas_bench_201.yaml",
    "search_spaces/darts.yaml",
    "search_spaces/genotypes/darts_v2.txt",
];

const WORKS: &str = "benches/works/";

/// The names of the works.
pub fn works() -> impl Iterator<Item = &'static str> {
    FILES.iter().filter_map(|(path, _)| path.strip_prefix(WORKS)?.strip_suffix(".yaml"))
}

/// Writes all files into a folder, where a work finds what it names as any work does: [`work_in`]
/// that folder.
///
/// # Errors
/// Where the system's folder for temporary files cannot be written to.
pub fn unpack() -> io::Result<TempDir> {
    let folder = tempfile::tempdir()?;
    for (path, text) in FILES {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap_or(folder.path()))?;
        fs::write(path, text)?;
    }
    Ok(folder)
}

/// The file of a work in a folder that [`unpack`] has made.
pub fn work_in(folder: &Path, name: &str) -> PathBuf {
    folder.join(WORKS).join(name).with_extension("yaml")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::Work;

    /// The three works of the comparison, by what they cost: parameters as PyTorch counts those of
    /// the same networks.
    #[test]
    fn the_works_that_ship_are_the_networks_that_they_say() {
        let folder = unpack().unwrap();
        let parameters: Vec<(&str, usize)> = works()
            .map(|name| {
                let work =
                    Work::read(&work_in(folder.path(), name)).unwrap_or_else(|error| panic!("{name}: {error:?}"));
                let learned = work.network.tensors().into_iter().filter(|spec| spec.role.is_learned());
                (name, learned.map(|spec| spec.shape.iter().product::<usize>()).sum())
            })
            .collect();
        assert_eq!(parameters, [("nb201", 1_692_826), ("darts", 1_930_618), ("retrain", 3_825_768)]);
    }
}
