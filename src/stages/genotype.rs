//! `genotype`: a cell that someone published, in the place of one that a search found.

use super::{PlanContext, artifacts};
use crate::{
    config::Fields,
    recipes::PublishedCell,
    run::{Context, Resource, Stage, StageError},
    store::Digest,
};
use std::sync::Arc;

pub(super) fn read(fields: &mut Fields<'_>, context: &PlanContext<'_>) -> Option<Box<dyn Stage>> {
    let file = context.space(fields);
    let published = PublishedCell::read(fields, file, context.folder)?;
    // The cell is in the key, by its digest, and the space by its digest and its own name.
    fields.exclude_from_hash("from");
    fields.hash("space", published.file.space.name.as_str());
    context.tells.genotype.get_or_init(|| Arc::new(published.genotype.clone()));
    Some(Box::new(published))
}

impl Stage for PublishedCell {
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
