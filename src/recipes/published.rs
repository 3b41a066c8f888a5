//! A cell that someone published, as keys name it.

use super::SpaceFile;
use crate::{
    config::Fields,
    interop::nas_bench,
    run::sentence,
    space::{Genotype, GenotypeText, WrittenGenotype},
};
use std::{path::Path, sync::Arc};

/// A cell and its space.
pub struct PublishedCell {
    pub file: Arc<SpaceFile>,
    pub genotype: Genotype,
    /// The genotype as it is published; what is written otherwise but means the same is the same.
    pub yaml: String,
    /// What there is to say of where it was found.
    pub note: Option<String>,
}

impl PublishedCell {
    /// `genotype: {space: darts, from: darts_v2}`, the space being `file`: the name of a genotype
    /// that ships, a file beside the pipeline (`genotypes.py:DARTS_V2` of several), or the text
    /// itself. `None` after a complaint.
    pub fn read(fields: &mut Fields<'_>, file: Option<Arc<SpaceFile>>, folder: &Path) -> Option<Self> {
        let from = fields.required_text("from");
        let file = file?;
        if from.is_empty() {
            return None;
        }
        match Self::find(&from, folder, file) {
            Ok(published) => Some(published),
            Err((message, hint)) => {
                let place = fields.origin_of("from").clone();
                fields.problems().add_hinted(&place, message, hint);
                None
            }
        }
    }

    /// The genotype that `from` names or spells, or what is wrong and a way out.
    fn find(from: &str, folder: &Path, file: Arc<SpaceFile>) -> Result<Self, (String, Option<String>)> {
        let WrittenGenotype { text, note } =
            WrittenGenotype::find(from, folder).map_err(|error| (sentence(&error), error.hint()))?;
        let text = nas_bench::cell_text(&text, &file.space).map_err(|error| (sentence(&error), None))?;
        let genotype = Genotype::parse(&text, &file.space).map_err(|error| (sentence(&error), error.hint()))?;
        let yaml = genotype.to_text(GenotypeText::Yaml, &file.space).map_err(|error| (error.to_string(), None))?;
        Ok(Self { file, genotype, yaml, note })
    }
}
