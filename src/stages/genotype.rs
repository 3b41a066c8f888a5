//! `genotype`: a cell that someone published, in the place of one that a search found.

use super::{Site, artifacts};
use crate::{
    config::Fields,
    machine,
    run::{Context, Resource, Stage, StageError, sentence},
    space::{self, Genotype, GenotypeText, Space},
    store::Digest,
};
use serde_json::{Value as Json, json};
use std::{path::Path, sync::Arc};

struct Published {
    file: Arc<super::SpaceFile>,
    genotype: Genotype,
    /// The genotype as it is published; what is written otherwise but means the same is the same.
    yaml: String,
}

pub(super) fn read(fields: &mut Fields<'_>, site: &Site<'_>) -> Option<Box<dyn Stage>> {
    let (file, genotype, yaml) = named(fields, site)?;
    site.tells.genotype.get_or_init(|| Arc::new(genotype.clone()));
    Some(Box::new(Published { file, genotype, yaml }))
}

/// `genotype: {space: darts, from: darts_v2}`: the name of a genotype that ships, a file beside the pipeline, or the text itself.
/// The space, the genotype and its YAML form.
pub(super) fn named(fields: &mut Fields<'_>, site: &Site<'_>) -> Option<(Arc<super::SpaceFile>, Genotype, String)> {
    let file = site.space(fields);
    let from = fields.required_text("from");
    let file = file?;
    if from.is_empty() {
        return None;
    }
    match published(&from, site.folder, &file.space) {
        Ok((genotype, yaml)) => Some((file, genotype, yaml)),
        Err((message, hint)) => {
            let place = fields.origin_of("from").clone();
            fields.problems().add_hinted(&place, message, hint);
            None
        }
    }
}

/// The genotype that `from` names or spells and its YAML form, or what is wrong and a way out.
fn published(from: &str, folder: &Path, space: &Space) -> Result<(Genotype, String), (String, Option<String>)> {
    // A text form never is a name: it has brackets, bars or line breaks.
    let text = if from.contains(['|', '(', '{', '\n']) {
        from.to_owned()
    } else {
        let path = space::find_genotype(from, folder).map_err(|error| (error.to_string(), error.hint))?;
        machine::read_text(&path)
            .map_err(|error| (format!("failed to read `{}`: {}", path.display(), machine::reason(&error)), None))?
    };
    let genotype = Genotype::parse(&text, space).map_err(|error| (sentence(&error), error.hint()))?;
    let yaml = genotype.to_text(GenotypeText::Yaml, space).map_err(|error| (error.to_string(), None))?;
    Ok((genotype, yaml))
}

impl Stage for Published {
    fn params(&self) -> Json {
        json!({"space": self.file.space.name})
    }

    fn resources(&self) -> Vec<(String, Resource)> {
        // The space is published as it is written when the stage runs; a comment or `about` changes nothing that was made of it.
        vec![
            ("genotype".to_owned(), Resource::Content(Digest::of(self.yaml.as_bytes()))),
            ("space".to_owned(), Resource::Content(self.file.space.digest())),
        ]
    }

    fn run(&self, context: &mut Context<'_>) -> Result<(), StageError> {
        artifacts::publish_genotype(context, &self.genotype, &self.file.space, &self.file.text)
    }
}
