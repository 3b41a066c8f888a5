//! A genotype by chance, as likely as any other of its space: what a search must be better than.
//!
//! ```yaml
//! genotype: {space: darts, random: {seed: 0}}
//! # whose network costs about as much
//! genotype: {space: darts, random: {seed: 0, like: cell, skeleton: cifar}}
//! ```
//!
//! What is drawn depends on the space (of a lattice on its `size` too), the seed and the number of the
//! draw alone; the cell that it must be like says which draw is taken.

use crate::{
    config::Fields,
    recipes::SpaceFile,
    records::{DRAWN, DrawnLike, LATTICE_SIZE, RandomDraw},
    run::{Context, Resource, Stage, StageError, sentence},
    space::{Build, CostKind, Drawn, Genotype, Likeness},
    stages::{PlanContext, artifacts, network_cost},
};
use std::sync::Arc;

/// The reference key, in the map `random`.
pub const LIKE: &str = "random.like";

/// Keys that say how like.
const HOW: [&str; 6] = ["cost", "tolerance", "tries", "skeleton", "channels", "images"];

struct Random {
    file: Arc<SpaceFile>,
    seed: u64,
    /// Cells of a lattice behind its first.
    size: Option<usize>,
    like: Option<Like>,
    /// Of the key, for what shows only when cells are drawn.
    place: String,
}

/// What the network of the drawn cell must cost about as much as.
struct Like {
    kind: CostKind,
    tolerance: f64,
    tries: u64,
    build: Build,
}

pub(super) fn read(fields: &mut Fields<'_>, context: &PlanContext<'_>, file: Arc<SpaceFile>) -> Option<Box<dyn Stage>> {
    fields.hash("space", file.space.name.as_str());
    let place = fields.origin_of("random").clone();
    // Written, be it with a fault that leaves no stage.
    let is_like = context.inputs.contains_key(LIKE);
    let reference = context.inputs_of(LIKE).first();
    if let Some(other) = reference.and_then(|named| named.tells.space.get())
        && other.space.digest() != file.space.digest()
    {
        let message = format!(
            "`like` names a cell of the space `{}`, and this one is of `{}`",
            other.space.name, file.space.name
        );
        fields.problems().add_with_hint(&place, message, "name the same `space`");
        return None;
    }
    let (seed, size, like) = fields.map("random", |keys| {
        let seed = keys.integer("seed", 0, 0.., "a whole number from 0");
        // It is read with the references of all stages; here a name close to it is guessed.
        keys.has("like");
        if is_like {
            let like = Like::read(keys, &file);
            return (seed, like.as_ref().and_then(|like| like.build.size), like);
        }
        if let Some(key) = HOW.into_iter().find(|key| keys.has(key)) {
            let place = keys.origin_of(key).clone();
            keys.problems().add_with_hint(&place, format!("`{key}` goes with `like`"), "name a cell: `like: STAGE`");
        }
        let size = file
            .space
            .lattice_size()
            .zip(file.space.largest_lattice())
            .map(|(size, most)| keys.integer("size", size, 1..=most, &format!("a whole number from 1 to {most}")));
        (seed, size, None)
    });
    if !is_like {
        context.tells.genotype.get_or_init(|| Arc::new(file.space.random(seed, 0, size)));
    } else if like.is_none() {
        return None;
    }
    Some(Box::new(Random { file, seed, size, like, place: place.to_string() }))
}

impl Like {
    /// `None` after a complaint.
    fn read(keys: &mut Fields<'_>, file: &SpaceFile) -> Option<Self> {
        let kinds = [("multiply_adds", CostKind::MultiplyAdds), ("parameters", CostKind::Parameters)];
        let kind = keys.choice("cost", CostKind::MultiplyAdds, &kinds);
        let tolerance = keys.number("tolerance", 0.05, 0.0..=1.0, "a number from 0 to 1");
        let tries = keys.integer("tries", 10_000, 1..=10_000_000, "a whole number from 1 to 10000000");
        let build = network_cost::read(keys, Some(file))?;
        if let Err(error) = file.space.check_skeleton(&build) {
            let place = keys.origin_of("skeleton").clone();
            keys.problems().add_hinted(&place, sentence(&error), error.hint());
            return None;
        }
        Some(Self { kind, tolerance, tries, build })
    }
}

impl Stage for Random {
    fn resources(&self) -> Vec<(String, Resource)> {
        // As for a published cell.
        vec![("space".to_owned(), Resource::Content(self.file.space.digest()))]
    }

    fn reads(&self, slot: &str) -> Option<&'static [&'static str]> {
        (slot == LIKE).then_some(&["genotype", "space"])
    }

    fn run(&self, context: &mut Context<'_>) -> Result<(), StageError> {
        let space = &self.file.space;
        let (draw, genotype) = match &self.like {
            Some(like) => self.like(like, context)?,
            None => (RandomDraw { seed: self.seed, tries: 1, like: None }, space.random(self.seed, 0, self.size)),
        };
        context.metric("tries", draw.tries as f64);
        artifacts::publish_genotype(context, &genotype, space, &self.file.text)?;
        context.summary(format!("{draw}: {}", artifacts::one_line(&genotype, space)?));
        if let Some(cells) = self.size.or_else(|| space.lattice_size()).filter(|_| space.has_lattice()) {
            context.note(LATTICE_SIZE, cells.into());
        }
        context.note(DRAWN, serde_json::to_value(draw).expect("a draw is plain data"));
        Ok(())
    }
}

impl Random {
    /// The first draw whose network costs about as much as that of the reference.
    fn like(&self, like: &Like, context: &mut Context<'_>) -> Result<(RandomDraw, Genotype), StageError> {
        let space = &self.file.space;
        let reference = artifacts::genotype(context.input(LIKE)?, space)?;
        let likeness = Likeness {
            kind: like.kind,
            cost: network_cost::of(&reference, space, &like.build)?,
            tolerance: like.tolerance,
        };
        let drawn = likeness.first_like(like.tries, |number| {
            if context.stop_requested() {
                return Err(StageError::Interrupted);
            }
            let genotype = space.random(self.seed, number, self.size);
            let cost = network_cost::of(&genotype, space, &like.build)?;
            Ok((genotype, cost))
        })?;
        match drawn {
            Drawn::Like(number, genotype, cost) => {
                for (name, value) in [("parameters", cost.parameters), ("multiply_adds", cost.multiply_adds)] {
                    context.metric(name, value as f64);
                }
                let [cost, reference] = [cost, likeness.cost].map(|cost| like.kind.of(cost));
                let of = like.kind.words().to_owned();
                let like = Some(DrawnLike { of, cost, reference, tolerance: like.tolerance });
                Ok((RandomDraw { seed: self.seed, tries: number + 1, like }, genotype))
            }
            Drawn::Unlike(nearest) => {
                let Like { kind, tolerance, tries, .. } = like;
                let nearest = nearest.map_or_else(|| "nothing".to_owned(), |cost| kind.of(cost).to_string());
                let message = format!(
                    "{}: none of {tries} draws is within {} % of the {} {} of `{}`; the nearest has {nearest}",
                    self.place,
                    100.0 * tolerance,
                    kind.of(likeness.cost),
                    kind.words(),
                    context.input(LIKE)?.member
                );
                Err(StageError::Input { message, hint: Some("raise `tries` or `tolerance`".to_owned()) })
            }
        }
    }
}
