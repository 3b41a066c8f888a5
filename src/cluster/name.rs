//! The name of a job: by it `squeue` is asked for those of a pipeline in a store.

use crate::store::Digest;
use std::path::Path;

/// More than this no list of jobs shows.
const LONGEST: usize = 40;

/// `quickstart/search:1a2b3c4d`, whose end is of the store and of the names in full. No name has a
/// comma, at which `squeue --name` would part it.
pub fn job_name(store: &Path, pipeline: &str, stage: &str) -> String {
    let plain = |text: &str| -> String {
        let kept = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        text.chars().map(kept).take(LONGEST).collect()
    };
    let whole = [store.as_os_str().as_encoded_bytes(), pipeline.as_bytes(), stage.as_bytes()].join(&0);
    format!("{}/{}:{}", plain(pipeline), plain(stage), &Digest::of(&whole).to_string()[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_of_one_stage_of_one_pipeline_in_one_store() {
        let name = |store: &str, pipeline: &str, stage: &str| job_name(Path::new(store), pipeline, stage);
        let of = name("/store", "a, b", "search");
        assert!(of.starts_with("a__b/search:") && of.len() == "a__b/search:".len() + 8, "{of}");
        for other in
            [name("/other", "a, b", "search"), name("/store", "a; b", "search"), name("/store", "a, b", "cell")]
        {
            assert_ne!(of, other);
        }
    }
}
