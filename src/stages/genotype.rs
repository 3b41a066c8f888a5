//! `genotype`: a cell that someone published, in the place of one that a search found.

use super::{PlanContext, artifacts};
use crate::{
    config::Fields,
    interop::nas_bench,
    run::{Context, Resource, Stage, StageError, sentence},
    space::{Genotype, GenotypeText, WrittenGenotype},
    store::Digest,
};
use std::{path::Path, sync::Arc};

/// A cell and its space.
pub(super) struct Published {
    pub file: Arc<super::SpaceFile>,
    pub genotype: Genotype,
    /// The genotype as it is published; what is written otherwise but means the same is the same.
    yaml: String,
    /// What there is to say of where it was found.
    note: Option<String>,
}

pub(super) fn read(fields: &mut Fields<'_>, context: &PlanContext<'_>) -> Option<Box<dyn Stage>> {
    let published = named(fields, context)?;
    // The cell is in the key, by its digest, and the space by its digest and its own name.
    fields.set_apart("from");
    fields.hash("space", published.file.space.name.as_str());
    context.tells.genotype.get_or_init(|| Arc::new(published.genotype.clone()));
    Some(Box::new(published))
}

/// `genotype: {space: darts, from: darts_v2}`: the name of a genotype that ships, a file beside the
/// pipeline (`genotypes.py:DARTS_V2` of several), or the text itself.
pub(super) fn named(fields: &mut Fields<'_>, context: &PlanContext<'_>) -> Option<Published> {
    let file = context.space(fields);
    let from = fields.required_text("from");
    let file = file?;
    if from.is_empty() {
        return None;
    }
    match published(&from, context.folder, file) {
        Ok(published) => Some(published),
        Err((message, hint)) => {
            let place = fields.origin_of("from").clone();
            fields.problems().add_hinted(&place, message, hint);
            None
        }
    }
}

/// The genotype that `from` names or spells, or what is wrong and a way out.
fn published(from: &str, folder: &Path, file: Arc<super::SpaceFile>) -> Result<Published, (String, Option<String>)> {
    let WrittenGenotype { text, note } =
        WrittenGenotype::find(from, folder).map_err(|error| (sentence(&error), error.hint()))?;
    let text = nas_bench::cell_text(&text, &file.space).map_err(|error| (sentence(&error), None))?;
    let genotype = Genotype::parse(&text, &file.space).map_err(|error| (sentence(&error), error.hint()))?;
    let yaml = genotype.to_text(GenotypeText::Yaml, &file.space).map_err(|error| (error.to_string(), None))?;
    Ok(Published { file, genotype, yaml, note })
}

impl Stage for Published {
    fn resources(&self) -> Vec<(String, Resource)> {
        // The space is published as it is written when the stage runs; a comment or `about` changes
        // nothing that was made of it.
        vec![
            ("genotype".to_owned(), Resource::Content(Digest::of(self.yaml.as_bytes()))),
            ("space".to_owned(), Resource::Content(self.file.space.digest())),
        ]
    }

    fn run(&self, context: &mut Context<'_>) -> Result<(), StageError> {
        if let Some(note) = &self.note {
            context.warn(note);
        }
        artifacts::publish_genotype(context, &self.genotype, &self.file.space, &self.file.text)
    }
}
