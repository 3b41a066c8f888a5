//! The keys of `augment: {…}`: how training images are changed at random.

use super::{COUNT, NOT_NEGATIVE};
use crate::{
    config::Fields,
    data::{Augment, Cutout, Jitter, ResizedCrop},
};

/// What DARTS and NAS-Bench-201 change in a search's images: crop and flip, no cutout.
pub const SEARCH: Augment =
    Augment { crop_padding: 4, flip: true, cutout: None, resized_crop: None, jitter: None, turn: false };

/// `augment: {crop_padding: 4, flip: true, cutout: 16}` (or
/// `cutout: {length: 16, probability: 0.5}`), and for picture files
/// `augment: {resized_crop: {}, flip: true, jitter: {}}`; for pairs of pictures
/// `augment: {flip: true, turn: true}`. A change that is on by default is
/// switched off with 0, `null` or `false`.
pub fn augment(fields: &mut Fields<'_>, default: Augment) -> Augment {
    fields.map("augment", |keys| {
        let resized_crop = keys.switched_map("resized_crop", default.resized_crop.is_some(), |keys| {
            resized_crop(keys, default.resized_crop.unwrap_or_default())
        });
        // An image is cropped in one way or the other.
        let padding = if resized_crop.is_some() { 0 } else { default.crop_padding };
        let crop_padding = keys.integer("crop_padding", padding, 0..=64, "a whole number from 0 to 64");
        if resized_crop.is_some() && crop_padding > 0 {
            let place = keys.origin_of("crop_padding").clone();
            keys.problems().add(&place, "`crop_padding` and `resized_crop` are two ways to crop: leave one out");
        }
        let jitter = keys
            .switched_map("jitter", default.jitter.is_some(), |keys| jitter(keys, default.jitter.unwrap_or_default()));
        // Where it is for other images nothing is said of it.
        let turn = (default.turn || keys.has("turn")) && keys.boolean("turn", default.turn);
        // Results are older than these: off, they are not hashed.
        for (key, off) in [("turn", !turn), ("resized_crop", resized_crop.is_none()), ("jitter", jitter.is_none())] {
            if off {
                keys.exclude_from_hash(key);
            }
        }
        Augment {
            crop_padding,
            flip: keys.boolean("flip", default.flip),
            cutout: cutout(keys, default.cutout),
            resized_crop,
            jitter,
            turn,
        }
    })
}

fn cutout(keys: &mut Fields<'_>, default: Option<Cutout>) -> Option<Cutout> {
    let written = keys.has("cutout");
    let cutout = match keys.node("cutout") {
        None if written => None,
        None => default,
        Some(node) if node.as_map().is_some() => {
            return Some(keys.map("cutout", |keys| Cutout {
                length: keys.integer("length", 16, 1.., COUNT),
                probability: keys.number("probability", 1.0, f64::MIN_POSITIVE..=1.0, "a number above 0 and at most 1"),
            }));
        }
        Some(_) => {
            let length = keys.integer("cutout", 0, 0.., "a whole number from 0, or `{length: …, probability: …}`");
            (length > 0).then_some(Cutout { length, probability: 1.0 })
        }
    };
    // A side alone means the same as the map.
    keys.note("cutout", serde_json::json!(cutout));
    cutout
}

/// `resized_crop: {scale: [0.08, 1], ratio: [0.75, 1.3333]}`; what is left out is torchvision's,
/// which DARTS trains ImageNet with.
fn resized_crop(keys: &mut Fields<'_>, default: ResizedCrop) -> ResizedCrop {
    let scale = |[low, high]: [f64; 2]| low > 0.0 && low <= high && high <= 1.0;
    let ratio = |[low, high]: [f64; 2]| low > 0.0 && low <= high;
    ResizedCrop {
        scale: keys.pair("scale", default.scale, scale, "two shares above 0 and at most 1, the smaller first"),
        ratio: keys.pair("ratio", default.ratio, ratio, "two numbers above 0, the smaller first"),
    }
}

/// `jitter: {brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.2}`; what is left out is what
/// DARTS trains ImageNet with (`cnn/train_imagenet.py`); 0 switches a change off.
fn jitter(keys: &mut Fields<'_>, default: Jitter) -> Jitter {
    Jitter {
        brightness: keys.number("brightness", default.brightness, 0.0.., NOT_NEGATIVE),
        contrast: keys.number("contrast", default.contrast, 0.0.., NOT_NEGATIVE),
        saturation: keys.number("saturation", default.saturation, 0.0.., NOT_NEGATIVE),
        hue: keys.number("hue", default.hue, 0.0..=0.5, "a number from 0 to 0.5"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Node, Problems};
    use serde_json::Value;

    #[test]
    fn pictures_are_cropped_and_coloured_as_torchvision_does_it() {
        let read_all = |text: &str| {
            let node = Node::parse("test", text).unwrap();
            let mut problems = Problems::new();
            let read = Fields::read_all(&node, "a search", &mut problems, |fields| augment(fields, SEARCH));
            problems
                .into_result(read)
                .map_err(|problems| problems.iter().map(|p| p.message.clone()).collect::<Vec<_>>())
        };
        let read = |text: &str| read_all(text).map(|(augment, _)| augment);
        let plain = read("{}").unwrap();
        assert_eq!(plain, Augment { crop_padding: 4, flip: true, ..Augment::default() });
        // What a key hashes is what it was before there were pictures.
        let effective = read_all("{}").unwrap().1;
        let hashed = serde_json::json!({"augment": {"crop_padding": 4, "flip": true, "cutout": null}});
        assert_eq!(Value::from(effective.hashed), hashed);
        assert_eq!(effective.written["augment"]["jitter"], false, "a default that is on elsewhere is off here");

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
