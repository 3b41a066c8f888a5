//! `factorized_reduce`: half the sides without losing a pixel, by two 1x1 convolutions of stride 2,
//! one on even pixels and one on odd ones.

use super::{Effect, FeatureMap, Layer, LayerKind, Phase, Place, Primitive, SpaceError};
use crate::config::Fields;
use crate::space::language::{labels::join, width::Width};
use crate::space::tensor_spec::{TensorRole, TensorSpec};

#[derive(Debug)]
pub struct FactorizedReduce {
    labels: [String; 2],
    out: Width,
}

impl FactorizedReduce {
    pub fn read(fields: &mut Fields<'_>) -> Self {
        Self { labels: read_two_labels(fields), out: Width::read(fields, "out", Width::CELL) }
    }
}

fn read_two_labels(fields: &mut Fields<'_>) -> [String; 2] {
    let default = || ["conv_1".to_owned(), "conv_2".to_owned()];
    let Some(texts) = fields.texts("labels") else { return default() };
    texts.try_into().unwrap_or_else(|_| {
        let origin = fields.origin_of("labels").clone();
        fields.problems().add(&origin, "`labels` must be two labels");
        default()
    })
}

/// A map of half the sides, which must be even.
pub(super) fn halved(map: FeatureMap, place: impl FnOnce() -> String) -> Result<FeatureMap, SpaceError> {
    let FeatureMap { height, width, .. } = map;
    if height % 2 == 1 || width % 2 == 1 {
        return Err(SpaceError::OddSides { place: place(), height, width });
    }
    Ok(FeatureMap { height: height / 2, width: width / 2, ..map })
}

impl Primitive for FactorizedReduce {
    fn effect(&self, before: Effect, _: usize, _: Phase) -> Result<Effect, String> {
        Ok(Effect { width: self.out.of_equal(), ..before.shrunk([2, 2]) })
    }

    fn lower(&self, place: &Place<'_>, input: FeatureMap) -> Result<Layer, SpaceError> {
        let channels = place.channels_of(self.out)?;
        let half_sides = halved(input, || place.chain.to_owned())?;
        if channels < 2 {
            return Err(place.no_width(place.chain.to_owned(), format!("{}/2", self.out)));
        }
        let [first, second] = [0, 1].map(|half: usize| join(place.chain, &self.labels[half]));
        if first == second {
            return Err(SpaceError::DuplicateTensor { name: first });
        }
        let half = |label: &str, channels: usize| {
            let role = TensorRole::Weight { fan_in: input.channels };
            TensorSpec::new(label, "weight", vec![channels, input.channels, 1, 1], role)
        };
        let tensors = vec![half(&first, channels / 2), half(&second, channels - channels / 2)];
        let output = FeatureMap { channels, ..half_sides };
        Ok(Layer { tensors, ..Layer::plain(LayerKind::FactorizedReduce { first, second }, input, output) })
    }
}
