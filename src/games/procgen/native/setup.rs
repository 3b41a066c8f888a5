//! What a child is told when it is started, as arguments of its program.

use super::folder::Folder;
use crate::Levels;
use std::ffi::OsString;

/// What Procgen's library is made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setup {
    pub(super) folder: Folder,
    pub(super) game: String,
    pub(super) mode: i32,
    pub(super) levels: Levels,
    pub(super) copies: usize,
    pub(super) seed: i32,
    pub(super) threads: usize,
}

impl Setup {
    pub(super) fn arguments(&self) -> Vec<OsString> {
        let Self { folder, game, mode, levels, copies, seed, threads } = self;
        let mut arguments: Vec<OsString> =
            vec![folder.library.clone().into(), folder.assets.clone().into(), game.into(), mode.to_string().into()];
        arguments.extend([levels.start, levels.count].map(|number| number.to_string().into()));
        arguments.extend([copies.to_string(), seed.to_string(), threads.to_string()].map(OsString::from));
        arguments
    }

    /// Nothing where these are no arguments of a child.
    pub(super) fn read(arguments: impl IntoIterator<Item = OsString>) -> Option<Self> {
        let mut rest = arguments.into_iter();
        let folder = Folder { library: rest.next()?.into(), assets: rest.next()?.into() };
        let game = rest.next()?.into_string().ok()?;
        let mut number = || rest.next()?.to_str()?.parse::<i64>().ok();
        let setup = Self {
            folder,
            game,
            mode: number()?.try_into().ok()?,
            levels: Levels { start: number()?.try_into().ok()?, count: number()?.try_into().ok()? },
            copies: number()?.try_into().ok()?,
            seed: number()?.try_into().ok()?,
            threads: number()?.try_into().ok()?,
        };
        (rest.next().is_none() && setup.copies > 0).then_some(setup)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_reads_what_its_parent_wrote_and_nothing_less() {
        let setup = Setup {
            folder: Folder { library: "/a b/libenv.so".into(), assets: "/ä".into() },
            game: "maze".to_owned(),
            mode: 10,
            levels: Levels::after(200),
            copies: 64,
            seed: i32::MIN,
            threads: 2,
        };
        let arguments = setup.arguments();
        assert_eq!(Setup::read(arguments.clone()), Some(setup));
        assert_eq!(Setup::read(arguments[1..].to_vec()), None);
        assert_eq!(Setup::read([arguments, vec!["more".into()]].concat()), None);
    }
}
