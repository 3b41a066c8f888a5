//! `genotype`: a cell that no search found, in the place of one that a search did.
//!
//! ```yaml
//! genotype: {space: darts, from: darts_v2}      # that someone published
//! genotype: {space: darts, random: {seed: 0}}   # drawn; `random.rs` has its keys
//! ```

mod random;

use super::{PlanContext, artifacts};
use crate::{
    config::Fields,
    recipes::PublishedCell,
    run::{Context, Resource, Stage, StageError},
    store::Digest,
};
use std::sync::Arc;

pub(super) use random::LIKE;

pub(super) fn read(fields: &mut Fields<'_>, context: &PlanContext<'_>) -> Option<Box<dyn Stage>> {
    let file = context.space(fields);
    let given = ["from", "random"].map(|key| {
        let given = fields.has(key) && fields.is_written(key);
        if !given {
            // Written as nothing it is as good as absent.
            fields.exclude_from_hash(key);
        }
        given
    });
    match given {
        [true, false] => {}
        [false, true] => return random::read(fields, context, file?),
        [both, _] => {
            let place = if both { fields.origin_of("random") } else { fields.origin() }.clone();
            let message = "a cell is either published (`from`) or drawn (`random`)";
            let hint = if both { "leave one of the two out" } else { "write `from: NAME` or `random: {seed: 0}`" };
            fields.problems().add_with_hint(&place, message, hint);
            return None;
        }
    }
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
