//! Pairs of pictures: a small one, and the larger one that it ought to become.

use crate::{DataError, Picture};
use std::io::{self, Write};

/// The pictures of a part of a data set; the label of each is the number of its set.
#[derive(Debug, Clone, PartialEq)]
pub struct Pairs {
    /// How many times as high and wide the larger ones are.
    pub scale: usize,
    /// `set5`, `set14`: the sets of pictures that the part is made of.
    pub sets: Vec<String>,
    /// How many patches of each picture an epoch shows.
    pub patches: usize,
    pub pictures: Vec<Pair>,
}

/// A picture in two sizes.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// That of its file, without the ending.
    pub name: String,
    pub low: Picture,
    pub high: Picture,
    /// What a patch ought to become in the place of the larger picture: another network's output.
    pub teacher: Option<Picture>,
}

/// What a packed file says of pairs before their pixels.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PairsHeader {
    scale: usize,
    sets: Vec<String>,
    patches: usize,
    pictures: Vec<PairHeader>,
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct PairHeader {
    name: String,
    /// Of the smaller picture.
    width: usize,
    height: usize,
    grey: [bool; 2],
    teacher: bool,
}

impl Pairs {
    pub(super) fn header(&self) -> PairsHeader {
        let Self { scale, sets, patches, pictures } = self;
        let of = |pair: &Pair| PairHeader {
            name: pair.name.clone(),
            width: pair.low.width,
            height: pair.low.height,
            grey: [pair.low.grey, pair.high.grey],
            teacher: pair.teacher.is_some(),
        };
        let pictures = pictures.iter().map(of).collect();
        PairsHeader { scale: *scale, sets: sets.clone(), patches: *patches, pictures }
    }

    /// The pixels of every picture, those of a pair side by side.
    pub(super) fn write(&self, mut to: impl Write) -> io::Result<()> {
        let pictures = self.pictures.iter().flat_map(|pair| [Some(&pair.low), Some(&pair.high), pair.teacher.as_ref()]);
        pictures.flatten().try_for_each(|picture| to.write_all(&picture.pixels))
    }

    /// Says what contradicts itself: what was expected and what was found.
    pub(super) fn check(&self, labels: &[u16]) -> Result<(), (String, String)> {
        let (pictures, count) = (self.pictures.len(), labels.len());
        if pictures != count {
            return Err(("as many pairs as labels".to_owned(), format!("{pictures} pairs, {count} labels")));
        }
        if self.scale == 0 || self.patches == 0 {
            return Err(("a scale and patches above 0".to_owned(), format!("{} and {}", self.scale, self.patches)));
        }
        if let Some(label) = labels.iter().find(|&&label| usize::from(label) >= self.sets.len()) {
            return Err((format!("labels below {}, the number of sets", self.sets.len()), label.to_string()));
        }
        let misfit = |pair: &&Pair| {
            let whole = |picture: &Picture| picture.pixels.len() == 3 * picture.width * picture.height;
            let larger = |picture: &Picture| {
                whole(picture)
                    && [picture.width, picture.height]
                        == [pair.low.width, pair.low.height].map(|side| side * self.scale)
            };
            pair.low.pixels.is_empty() || !whole(&pair.low) || !larger(&pair.high) || !pair.teacher.iter().all(larger)
        };
        match self.pictures.iter().find(misfit) {
            Some(pair) => Err((
                format!("pictures of which one is {} times as large", self.scale),
                format!("the pair `{}`", pair.name),
            )),
            None => Ok(()),
        }
    }
}

impl PairsHeader {
    pub fn len(&self) -> usize {
        self.pictures.len()
    }

    /// Bytes of all pixels.
    pub fn bytes(&self) -> u64 {
        let of = |pair: &PairHeader| {
            let larger =
                (self.scale as u64).saturating_mul(self.scale as u64).saturating_mul(1 + u64::from(pair.teacher));
            let pixels = 3_u64.saturating_mul(pair.width as u64).saturating_mul(pair.height as u64);
            pixels.saturating_mul(larger.saturating_add(1))
        };
        self.pictures.iter().map(of).fold(0, u64::saturating_add)
    }

    /// The pairs, whose pixels `bytes` reads one after another.
    pub fn read(self, mut bytes: impl FnMut(u64) -> Result<Vec<u8>, DataError>) -> Result<Pairs, DataError> {
        let Self { scale, sets, patches, pictures } = self;
        let mut picture = |width: usize, height: usize, grey| {
            let pixels = bytes((3 * width * height) as u64)?;
            Ok(Picture { width, height, pixels, grey })
        };
        let mut of = |PairHeader { name, width, height, grey: [low, high], teacher }| {
            let (low, larger) = (picture(width, height, low)?, [width * scale, height * scale]);
            let high = picture(larger[0], larger[1], high)?;
            let teacher = if teacher { Some(picture(larger[0], larger[1], false)?) } else { None };
            Ok(Pair { name, low, high, teacher })
        };
        let pictures = pictures.into_iter().map(&mut of).collect::<Result<_, DataError>>()?;
        Ok(Pairs { scale, sets, patches, pictures })
    }
}
