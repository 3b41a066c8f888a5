//! A network as it is for images of other sides or with nodes of chosen widths.

use super::{fused::Programs, narrow::Narrow};
use crate::space::{SpaceError, network::Network};
use std::sync::Arc;

/// What a variant differs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Variant {
    /// `[height, width]` of its images.
    pub sides: [usize; 2],
    pub training: bool,
    /// The choice of each node that chooses its width.
    pub widths: Option<Vec<usize>>,
}

#[derive(Debug)]
pub(super) struct Varied {
    pub network: Network,
    pub programs: Programs,
    pub narrow: Option<Narrow>,
}

/// The variants that were asked for last. Images have few sizes. Widths are drawn anew in every pass, and
/// each of theirs holds a place for each weight; those that come back do so within a step, or in all.
#[derive(Debug, Default)]
pub(super) struct Variants {
    /// The last asked for stands last.
    of_sizes: Vec<(Variant, Arc<Varied>)>,
    of_widths: Vec<(Variant, Arc<Varied>)>,
}

const MOST_SIZES: usize = 64;
const MOST_WIDTHS: usize = 4;

impl Variants {
    /// The variant, made where it is none of those that were asked for last.
    ///
    /// # Errors
    /// That of `make`.
    pub fn get_or_make(
        &mut self,
        variant: Variant,
        make: impl FnOnce(&Variant) -> Result<Varied, SpaceError>,
    ) -> Result<Arc<Varied>, SpaceError> {
        let (known, most) = match variant.widths {
            None => (&mut self.of_sizes, MOST_SIZES),
            Some(_) => (&mut self.of_widths, MOST_WIDTHS),
        };
        let found = match known.iter().position(|(other, _)| *other == variant) {
            Some(at) => known.remove(at),
            None => {
                let made = Arc::new(make(&variant)?);
                if known.len() == most {
                    known.remove(0);
                }
                (variant, made)
            }
        };
        let varied = found.1.clone();
        known.push(found);
        Ok(varied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::shipped;

    #[test]
    fn those_that_were_asked_for_last_are_kept() {
        let network = shipped::space("nas_bench_201").supernet(&shipped::build("search", 32, 10)).unwrap();
        let mut variants = Variants::default();
        let mut is_made = |at: Option<usize>, side| {
            let mut made = false;
            let variant = Variant { sides: [side, side], training: true, widths: at.map(|at| vec![at]) };
            let make = |_: &Variant| {
                made = true;
                Ok(Varied { network: network.clone(), programs: Programs::default(), narrow: None })
            };
            variants.get_or_make(variant, make).unwrap();
            made
        };
        let asked = [0, 1, 0, 2, 3, 0, 4, 0, 1, 0];
        let made = asked.map(|at| is_made(Some(at), 32));
        // 1 is the one that was not asked for longest when 4 comes.
        assert_eq!(made, [true, true, false, true, true, false, true, false, true, false]);
        assert!(is_made(None, 32) && is_made(None, 40) && !is_made(None, 32), "sizes are counted by themselves");
        assert!(!is_made(Some(0), 32));
    }
}
