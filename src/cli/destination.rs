//! A file that a command writes where the user asked for it, and what must not be lost by that.

use super::{Complaint, ExitClass};
use crate::store::{Store, write_atomically};
use std::{
    fs::{self, File, Metadata, OpenOptions, Permissions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

/// As many links as the kernel follows.
const MOST_LINKS: usize = 40;

/// What the command line says of a file that is to be written.
pub(super) struct OutputOptions<'a> {
    pub path: &'a Path,
    /// The option that names it: `--output`.
    pub option: &'static str,
    /// Whether a file that is there may be replaced.
    pub force: bool,
    /// What the command reads, and must find as it was.
    pub inputs: Vec<PathBuf>,
}

impl OutputOptions<'_> {
    /// Complains of a name that ends as a file of another kind than `extension`.
    pub fn written_as(&self, extension: &str, what: &str) -> Result<(), Complaint> {
        let of_name = self.path.extension().filter(|of_name| !of_name.eq_ignore_ascii_case(extension));
        if of_name.is_none() {
            return Ok(());
        }
        let kind = extension.to_ascii_uppercase();
        let message = format!("{what} is written as {kind}, and `{}` has another ending", self.path.display());
        let named = self.path.with_extension(extension);
        Err(Complaint::input(message).hint(format!("name it `{}`", named.display())))
    }
}

/// A place that may be written.
#[derive(Debug)]
pub(super) struct Destination {
    path: PathBuf,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// A regular file where the path's links lead, and the permissions of the one that is there.
    File { target: PathBuf, permissions: Option<Permissions> },
    /// A device or a FIFO: written to, never replaced.
    Stream,
}

impl Destination {
    /// Looks at the place, before anything is computed.
    pub fn at(wish: &OutputOptions<'_>) -> Result<Self, Complaint> {
        let (path, shown) = (wish.path, wish.path.display());
        let elsewhere = |complaint: Complaint| complaint.hint(format!("name another file with `{}`", wish.option));
        if path.as_os_str() == "-" {
            let hint = format!("standard output is `{} /dev/stdout`, a file of that name `./-`", wish.option);
            return Err(Complaint::usage(format!("`{} -` names no file", wish.option)).hint(hint));
        }
        let target = followed(path);
        if let Some(store) = Store::around(&target) {
            let store = store.root().display();
            return Err(elsewhere(Complaint::input(format!("`{shown}` is a file of the store `{store}`"))));
        }
        let kind = match fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
                if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
                    let message = format!("there is no folder `{}` to write `{shown}` in", folder.display());
                    let hint = format!("make it, or name another place with `{}`", wish.option);
                    return Err(Complaint::input(message).hint(hint));
                }
                Kind::File { target, permissions: None }
            }
            Err(error) => return Err(elsewhere(Complaint::input(format!("`{shown}` cannot be written: {error}")))),
            Ok(there) if there.is_dir() => {
                let hint = format!("name the file to write with `{}`", wish.option);
                return Err(Complaint::input(format!("`{shown}` is a folder")).hint(hint));
            }
            Ok(there) if wish.inputs.iter().any(|input| is_same(&there, input)) => {
                return Err(elsewhere(Complaint::input(format!("`{shown}` is what this command reads"))));
            }
            Ok(there) if there.is_file() && is_protected(&there, path) => {
                return Err(elsewhere(Complaint::input(format!("`{shown}` is there and must not be written"))));
            }
            // A disk holds something as a file does.
            Ok(there) if !wish.force && (there.is_file() || there.file_type().is_block_device()) => {
                let hint = format!("replace it with `--force`, or name another file with `{}`", wish.option);
                return Err(Complaint::input(format!("`{shown}` is there already")).hint(hint));
            }
            Ok(there) if there.is_file() => Kind::File { target, permissions: Some(there.permissions()) },
            Ok(_) => Kind::Stream,
        };
        Ok(Self { path: path.to_owned(), kind })
    }

    /// Writes a file whole or not at all. To what is no file, everything.
    pub fn write(&self, bytes: &[u8]) -> Result<(), Complaint> {
        let failed = |error: io::Error| {
            Complaint::new(ExitClass::Failed, format!("failed to write `{}`: {error}", self.path.display()))
        };
        match &self.kind {
            Kind::Stream => self.open().and_then(|mut stream| stream.write_all(bytes)).map_err(failed),
            Kind::File { target, permissions } => {
                write_atomically(target, |writer| writer.write_all(bytes))
                    .map_err(|error| Complaint::caused(ExitClass::Failed, &error))?;
                let kept = permissions.clone().map_or(Ok(()), |kept| fs::set_permissions(target, kept));
                kept.map_err(failed)
            }
        }
    }

    /// Opens it for what is written piece by piece; a file that was there is empty then.
    pub fn open(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true);
        match &self.kind {
            Kind::Stream => options.open(&self.path),
            Kind::File { target, .. } => options.create(true).truncate(true).open(target),
        }
    }
}

/// Where the path's links lead; the last of them may lead to nothing yet.
fn followed(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let Ok(to) = fs::read_link(&path) else { break };
        path = path.parent().unwrap_or(Path::new("")).join(to);
    }
    path
}

/// Whether both are one file, whatever their names.
fn is_same(there: &Metadata, input: &Path) -> bool {
    there.is_file() && fs::metadata(input).is_ok_and(|input| (input.dev(), input.ino()) == (there.dev(), there.ino()))
}

/// Whether its owner or the system keeps the file from being written. Who may write everything is
/// asked to respect the owner.
fn is_protected(there: &Metadata, path: &Path) -> bool {
    let denied = || {
        let opened = OpenOptions::new().write(true).open(path);
        opened.is_err_and(|error| matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem))
    };
    there.permissions().readonly() || denied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn at(path: &Path, force: bool, inputs: &[&Path]) -> Result<Destination, String> {
        let inputs = inputs.iter().map(|input| (*input).to_owned()).collect();
        Destination::at(&OutputOptions { path, option: "--output", force, inputs })
            .map_err(|complaint| complaint.message)
    }

    #[test]
    fn a_file_that_is_there_is_replaced_if_that_is_asked_for_and_keeps_its_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        at(&path, false, &[]).unwrap().write(b"first").unwrap();
        assert!(at(&path, false, &[]).unwrap_err().ends_with("is there already"));
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        at(&path, true, &[]).unwrap().write(b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_read_only_file_stays_whoever_asks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        fs::write(&path, "kept").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
        assert!(at(&path, true, &[]).unwrap_err().ends_with("is there and must not be written"));
        let link = folder.path().join("link");
        symlink("out", &link).unwrap();
        assert!(at(&link, true, &[]).unwrap_err().ends_with("is there and must not be written"));
        assert_eq!(fs::read(&path).unwrap(), b"kept");
    }

    #[test]
    fn links_stay_and_what_they_lead_to_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let [target, link, chain] = ["deep/target", "link", "chain"].map(|name| folder.path().join(name));
        fs::create_dir(folder.path().join("deep")).unwrap();
        symlink("deep/target", &link).unwrap();
        symlink("link", &chain).unwrap();
        for (force, text) in [(false, "to nothing yet"), (true, "to a file")] {
            at(&chain, force, &[]).unwrap().write(text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&target).unwrap(), text);
            assert!(link.is_symlink() && chain.is_symlink() && !target.is_symlink());
        }
        assert!(at(&chain, false, &[]).unwrap_err().ends_with("is there already"));
        symlink("round", folder.path().join("round")).unwrap();
        assert!(at(&folder.path().join("round"), true, &[]).unwrap_err().contains("cannot be written"));
        symlink("no/where", folder.path().join("lost")).unwrap();
        assert!(at(&folder.path().join("lost"), true, &[]).unwrap_err().contains("there is no folder"));
    }

    #[test]
    fn what_is_read_is_never_written_by_any_of_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let [input, link, hard] = ["input", "link", "hard"].map(|name| folder.path().join(name));
        fs::write(&input, "read").unwrap();
        symlink("input", &link).unwrap();
        fs::hard_link(&input, &hard).unwrap();
        let other = folder.path().join("other");
        for path in [&input, &link, &hard, &folder.path().join("./input")] {
            assert!(at(path, true, &[&other, &input]).unwrap_err().ends_with("is what this command reads"));
        }
        at(&other, false, &[&input]).unwrap();
    }

    #[test]
    fn devices_and_fifos_are_written_to_and_stay_what_they_are() {
        let null = at(Path::new("/dev/null"), false, &[]).unwrap();
        null.write(b"gone").unwrap();
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
        let full = at(Path::new("/dev/full"), false, &[]).unwrap();
        assert!(full.write(b"no room").unwrap_err().message.contains("failed to write `/dev/full`"));

        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let reader = std::thread::spawn({
            let fifo = fifo.clone();
            move || fs::read(fifo).unwrap()
        });
        at(&fifo, false, &[]).unwrap().write(b"through it").unwrap();
        assert_eq!(reader.join().unwrap(), b"through it");
        assert!(fs::metadata(&fifo).unwrap().file_type().is_fifo());
    }
}
