//! The keys of `augment: {…}`: how training images are changed at random.

use super::{
    hyperparameters::{NOT_NEGATIVE, number},
    site::ImageShape,
};
use crate::{
    config::{Fields, Node, Value},
    data::{Augment, Cutout, DataError, Jitter, ResizedCrop},
    run::sentence,
};

/// What DARTS and NAS-Bench-201 change in a search's images: crop and flip, no cutout.
pub(super) const SEARCH: Augment =
    Augment { crop_padding: 4, flip: true, cutout: None, resized_crop: None, jitter: None };

/// `augment: {crop_padding: 4, flip: true, cutout: 16}` (or `cutout: {length: 16, probability: 0.5}`), and for picture files
/// `augment: {resized_crop: {}, flip: true, jitter: {}}`. A change that is on by default is switched off with 0, `null` or `false`.
pub(super) fn augment(fields: &mut Fields<'_>, default: Augment) -> Augment {
    let nothing = Node::empty_map();
    let node = fields.node("augment").unwrap_or(&nothing);
    let mut keys = Fields::open(node, "`augment`", fields.problems());
    let resized_crop = resized_crop(&mut keys, default.resized_crop);
    // An image is cropped in one way or the other.
    let padding = if resized_crop.is_some() { 0 } else { default.crop_padding };
    let crop_padding = keys.integer("crop_padding", padding, 0..=64, "a whole number from 0 to 64");
    if resized_crop.is_some() && crop_padding > 0 {
        let place = keys.origin_of("crop_padding").clone();
        keys.problems().add(&place, "`crop_padding` and `resized_crop` are two ways to crop: leave one out");
    }
    let augment = Augment {
        crop_padding,
        flip: keys.boolean("flip", default.flip),
        cutout: cutout(&mut keys, default.cutout),
        resized_crop,
        jitter: jitter(&mut keys, default.jitter),
    };
    keys.close();
    augment
}

/// Complains where the changes do not fit the images: at the key, or as of a default where nobody
/// wrote it.
pub(super) fn check(fields: &mut Fields<'_>, augment: &Augment, images: ImageShape) {
    let Err(error) = augment.fits(images.shape, images.in_files) else { return };
    let (mut message, mut hint) = (sentence(&error), error.hint());
    let mut place = fields.origin_of("augment").clone();
    if let DataError::Setting { setting, .. } = error {
        let key = setting.split('.').next().unwrap_or(setting);
        match fields.node("augment").and_then(|augment| augment.get(key)) {
            Some(written) => place = written.origin.clone(),
            None => {
                message.push_str(", the default");
                let off = if matches!(key, "crop_padding" | "cutout") { "0" } else { "false" };
                hint = Some(format!("write `augment: {{{key}: {off}}}`, or what fits"));
            }
        }
    }
    fields.problems().add_hinted(&place, message, hint);
}

fn cutout(keys: &mut Fields<'_>, default: Option<Cutout>) -> Option<Cutout> {
    if !keys.has("cutout") {
        return default;
    }
    let node = keys.node("cutout")?;
    if node.as_map().is_some() {
        let mut keys = Fields::open(node, "`cutout`", keys.problems());
        let length = keys.integer("length", 16, 1.., "a whole number from 1");
        let probability = keys.number("probability", 1.0, f64::MIN_POSITIVE..=1.0, "a number above 0 and at most 1");
        keys.close();
        return Some(Cutout { length, probability });
    }
    let length = keys.integer("cutout", 0, 0.., "a whole number from 0, or `{length: …, probability: …}`");
    (length > 0).then_some(Cutout { length, probability: 1.0 })
}

/// `resized_crop: {scale: [0.08, 1], ratio: [0.75, 1.3333]}`; what is left out is torchvision's,
/// which DARTS trains ImageNet with.
fn resized_crop(fields: &mut Fields<'_>, default: Option<ResizedCrop>) -> Option<ResizedCrop> {
    let node = switch(fields, "resized_crop", default.is_some())?;
    let mut keys = Fields::open(node, "`resized_crop`", fields.problems());
    let default = default.unwrap_or_default();
    let scale = |share: f64| share > 0.0 && share <= 1.0;
    let crop = ResizedCrop {
        scale: range(&mut keys, "scale", default.scale, scale, "two shares above 0 and at most 1, the smaller first"),
        ratio: range(&mut keys, "ratio", default.ratio, |ratio| ratio > 0.0, "two numbers above 0, the smaller first"),
    };
    keys.close();
    Some(crop)
}

/// `jitter: {brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.2}`; what is left out is what
/// DARTS trains ImageNet with (`cnn/train_imagenet.py`); 0 switches a change off.
fn jitter(fields: &mut Fields<'_>, default: Option<Jitter>) -> Option<Jitter> {
    let node = switch(fields, "jitter", default.is_some())?;
    let mut keys = Fields::open(node, "`jitter`", fields.problems());
    let default = default.unwrap_or_default();
    let jitter = Jitter {
        brightness: keys.number("brightness", default.brightness, 0.0.., NOT_NEGATIVE),
        contrast: keys.number("contrast", default.contrast, 0.0.., NOT_NEGATIVE),
        saturation: keys.number("saturation", default.saturation, 0.0.., NOT_NEGATIVE),
        hue: keys.number("hue", default.hue, 0.0..=0.5, "a number from 0 to 0.5"),
    };
    keys.close();
    Some(jitter)
}

static DEFAULTS: std::sync::LazyLock<Node> = std::sync::LazyLock::new(Node::empty_map);

/// The map of a change that is on or off by default; `KEY: true` asks for it as it is where nothing is said.
fn switch<'a>(fields: &mut Fields<'a>, key: &'static str, on: bool) -> Option<&'a Node> {
    if !fields.has(key) {
        return on.then_some(&DEFAULTS);
    }
    let node = fields.node(key)?;
    match node.value {
        Value::Bool(true) => Some(&DEFAULTS),
        Value::Bool(false) => None,
        _ => Some(node),
    }
}

/// Two numbers, the smaller first.
fn range(
    keys: &mut Fields<'_>,
    key: &'static str,
    default: [f64; 2],
    fits: impl Fn(f64) -> bool,
    expected: &str,
) -> [f64; 2] {
    let Some(node) = keys.node(key) else { return default };
    if let Value::List(items) = &node.value
        && let [low, high] = items.as_slice()
        && let (low, high) = (number(low), number(high))
        && fits(low)
        && fits(high)
        && low <= high
    {
        return [low, high];
    }
    keys.wrong(key, node, expected);
    default
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Problems;

    #[test]
    fn pictures_are_cropped_and_coloured_as_torchvision_does_it() {
        let read = |text: &str| {
            let node = Node::parse("test", text).unwrap();
            let mut problems = Problems::new();
            let augment = augment(&mut Fields::open(&node, "a search", &mut problems), SEARCH);
            problems
                .into_result(augment)
                .map_err(|problems| problems.iter().map(|p| p.message.clone()).collect::<Vec<_>>())
        };
        let plain = read("{}").unwrap();
        assert_eq!(plain, Augment { crop_padding: 4, flip: true, ..Augment::default() });
        // What a key hashes is what it was before there were pictures.
        assert_eq!(serde_json::to_string(&plain).unwrap(), r#"{"crop_padding":4,"flip":true,"cutout":null}"#);

        let hole = |text: &str| read(text).unwrap().cutout;
        assert_eq!(hole("{augment: {cutout: 16}}"), Some(Cutout { length: 16, probability: 1.0 }));
        assert_eq!(hole("{augment: {cutout: {probability: 0.5}}}"), Some(Cutout { length: 16, probability: 0.5 }));
        assert_eq!(hole("{augment: {cutout: 0}}"), None);

        let darts = read("{augment: {resized_crop: {}, jitter: true}}").unwrap();
        let expected = ResizedCrop { scale: [0.08, 1.0], ratio: [0.75, 4.0 / 3.0] };
        assert_eq!((darts.crop_padding, darts.resized_crop), (0, Some(expected)));
        let expected = Jitter { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.2 };
        assert_eq!(darts.jitter, Some(expected));
        let own =
            read("{augment: {resized_crop: {scale: [0.5, 1], ratio: [1, 1]}, jitter: {hue: 0}, flip: false}}").unwrap();
        assert_eq!(own.resized_crop, Some(ResizedCrop { scale: [0.5, 1.0], ratio: [1.0, 1.0] }));
        assert_eq!(own.jitter, Some(Jitter { hue: 0.0, ..expected }));
        assert_eq!(read("{augment: {resized_crop: false, crop_padding: 2}}").unwrap().crop_padding, 2);

        for (wrong, said) in [
            ("{resized_crop: {}, crop_padding: 4}", "`crop_padding` and `resized_crop` are two ways to crop"),
            ("{resized_crop: {scale: [1, 0.5]}}", "`scale` must be two shares above 0 and at most 1"),
            ("{resized_crop: {scale: 1}}", "`scale` must be two shares"),
            ("{cutout: {length: 0}}", "`length` must be a whole number from 1"),
            ("{cutout: {probability: 0}}", "`probability` must be a number above 0 and at most 1"),
            ("{cutout: -1}", "`cutout` must be a whole number from 0, or `{length: …, probability: …}`"),
            ("{resized_crop: {ratio: [0, 1]}}", "`ratio` must be two numbers above 0"),
            ("{jitter: {hue: 0.6}}", "`hue` must be a number from 0 to 0.5"),
            ("{jitter: 0.4}", "`jitter` must be a map"),
        ] {
            let problems = read(&format!("{{augment: {wrong}}}")).unwrap_err();
            assert!(problems[0].contains(said), "{wrong}: {problems:?}");
        }
    }
}
