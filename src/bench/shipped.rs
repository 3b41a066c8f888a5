//! The works that the program brings along.

use std::{
    fs, io,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

macro_rules! files {
    ($($path:literal),+ $(,)?) => { &[$(($path, include_str!(concat!("../../", $path)))),+] };
}

/// Works, spaces and genotypes: files of the project, so that the program measures the same
/// wherever it and a work lie.
const FILES: &[(&str, &str)] = files![
    "benches/works/nb201.yaml",
    "benches/works/darts.yaml",
    "benches/works/retrain.yaml",
    "benches/works/first_order.yaml",
    "benches/works/second_order.yaml",
    "benches/works/gdas.yaml",
    "benches/works/pc_darts.yaml",
    "search_spaces/darts.yaml",
    "search_spaces/impala.yaml",
    "search_spaces/nas_bench_201.yaml",
    "search_spaces/rl_darts.yaml",
    "search_spaces/rl_darts_batch_norm.yaml",
    "search_spaces/rl_darts_small.yaml",
    "search_spaces/robust_s1.yaml",
    "search_spaces/robust_s2.yaml",
    "search_spaces/robust_s3.yaml",
    "search_spaces/robust_s4.yaml",
    "search_spaces/trilevel_sr.yaml",
    "search_spaces/trilevel_sr_nearest.yaml",
    "search_spaces/genotypes/amoebanet_a.txt",
    "search_spaces/genotypes/darts_v1.txt",
    "search_spaces/genotypes/darts_v2.txt",
    "search_spaces/genotypes/ms_darts_c10_s5.txt",
    "search_spaces/genotypes/nasnet_a.txt",
    "search_spaces/genotypes/pc_darts_cifar.txt",
    "search_spaces/genotypes/pc_darts_image.txt",
];

const WORKS: &str = "benches/works/";

/// The names of the works.
pub fn works() -> impl Iterator<Item = &'static str> {
    FILES.iter().filter_map(|(path, _)| path.strip_prefix(WORKS)?.strip_suffix(".yaml"))
}

/// Spaces and genotypes, each with its path in a project: `search_spaces/darts.yaml`.
pub fn spaces() -> impl Iterator<Item = (&'static str, &'static str)> {
    FILES.iter().copied().filter(|(path, _)| path.starts_with("search_spaces/"))
}

/// Writes all files into a folder, where a work finds what it names as any work does: [`work_in`]
/// that folder.
pub(super) fn unpack() -> io::Result<TempDir> {
    let folder = tempfile::tempdir()?;
    for (path, text) in FILES {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap_or(folder.path()))?;
        fs::write(path, text)?;
    }
    Ok(folder)
}

/// The file of a work in a folder that [`unpack`] has made.
pub(super) fn work_in(folder: &Path, name: &str) -> PathBuf {
    folder.join(WORKS).join(name).with_extension("yaml")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bench::Work,
        space::{self, WrittenGenotype},
    };

    /// The works of the comparison, by what they cost: parameters as PyTorch counts those of
    /// the same networks.
    #[test]
    fn the_works_that_ship_are_the_networks_that_they_say() {
        let parameters: Vec<(&str, usize)> = works()
            .map(|name| {
                let work = Work::shipped(name).unwrap_or_else(|error| panic!("{name}: {error:?}"));
                let learned = work.network.tensors().into_iter().filter(|spec| spec.role.is_learned());
                (name, learned.map(|spec| spec.shape.iter().product::<usize>()).sum())
            })
            .collect();
        assert_eq!(
            parameters,
            [
                ("nb201", 1_692_826),
                ("darts", 1_930_618),
                ("retrain", 3_825_768),
                ("first_order", 1_692_826),
                ("second_order", 1_692_826),
                ("gdas", 1_692_826),
                ("pc_darts", 299_578)
            ]
        );
    }

    #[test]
    fn every_space_and_genotype_of_the_project_ships() {
        let folder = unpack().unwrap();
        for (shelf, extension) in [("search_spaces", "yaml"), ("search_spaces/genotypes", "txt")] {
            let of_project = Path::new(env!("CARGO_MANIFEST_DIR")).join(shelf);
            let files = fs::read_dir(of_project).unwrap().map(|entry| entry.unwrap().path());
            for path in files.filter(|path| path.extension().is_some_and(|found| found == extension)) {
                let name = path.file_name().unwrap();
                assert!(folder.path().join(shelf).join(name).is_file(), "{} ships", path.display());
            }
        }
        assert!(space::find("robust_s1", folder.path()).unwrap().starts_with(folder.path()));
        assert!(WrittenGenotype::find("nasnet_a", folder.path()).is_ok());
    }
}
