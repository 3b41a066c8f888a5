//! `~` in paths that no shell has seen: those of files and of settings.

use std::{
    env,
    path::{Path, PathBuf},
};

/// `path` with `~` or `~/` at its start replaced by the home folder, where there is one. `~name`
/// stays: it is a file's name too.
pub fn expanded(path: impl Into<PathBuf>) -> PathBuf {
    below(env::home_dir().as_deref(), path.into())
}

fn below(home: Option<&Path>, path: PathBuf) -> PathBuf {
    match (home, path.strip_prefix("~")) {
        (Some(home), Ok(rest)) if !home.as_os_str().is_empty() => home.join(rest),
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lone_tilde_at_the_start_is_the_home_folder() {
        let of = |path: &str| below(Some(Path::new("/home/me")), path.into());
        assert_eq!(of("~/data"), Path::new("/home/me/data"));
        assert_eq!(of("~"), Path::new("/home/me"));
        for path in ["~you/data", "data/~", "/~/data", ""] {
            assert_eq!(of(path), Path::new(path));
        }
        assert_eq!(below(None, "~/data".into()), Path::new("~/data"));
    }
}
