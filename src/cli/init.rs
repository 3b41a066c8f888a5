//! `darts-run init`: a folder to begin in, with what the program brings along.

use super::{Complaint, ExitClass, output, path};
use crate::{bench, machine, store::write_atomically};
use clap::Args;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The first pipeline, the images that it reads, and what a version control need not keep.
const FIRST: [(&str, &[u8]); 3] = [
    ("pipelines/quickstart.yaml", include_bytes!("../../pipelines/quickstart.yaml")),
    ("pipelines/data/digits.csv.gz", include_bytes!("../../pipelines/data/digits.csv.gz")),
    (".gitignore", b"/artifacts/\n/data/\n"),
];

const EXAMPLES: &str = "\
Examples:
  darts-run init my-search && cd my-search
  darts-run pipelines/quickstart.yaml";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct InitArguments {
    /// Folder to begin in, made where it is not there
    #[arg(value_name = "FOLDER", default_value = ".", value_parser = path())]
    folder: PathBuf,
    /// Replace files that are there and say something else
    #[arg(long)]
    force: bool,
}

pub(super) fn run(arguments: &InitArguments) -> Result<u8, Complaint> {
    let spaces = bench::shipped::spaces().map(|(name, text)| (name, text.as_bytes()));
    let files: Vec<(&str, &[u8])> = FIRST.into_iter().chain(spaces).collect();
    let folder = &arguments.folder;
    // All is looked at before anything is written.
    let (mut missing, mut others) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        match state(&folder.join(name), bytes)? {
            State::Missing => missing.push((name, bytes)),
            State::Other => others.push((name, bytes)),
            State::Same => {}
        }
    }
    if !others.is_empty() && !arguments.force {
        let names = others.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        return Err(Complaint::input(format!("in `{}` other files are there already: {names}", folder.display()))
            .hint("name another folder, or replace them with `--force`"));
    }
    let count = missing.len() + others.len();
    for (name, bytes) in missing.into_iter().chain(others) {
        write(&folder.join(name), bytes)?;
    }
    let shown = folder.display();
    let go = if folder == Path::new(".") { String::new() } else { format!("  cd {shown}\n") };
    output::say(match count {
        0 => format!("all of it is in `{shown}` already\n"),
        count => format!(
            "wrote {count} files: a first pipeline, and the search spaces and cells of the field\n\n\
             {go}  darts-run pipelines/quickstart.yaml\n"
        ),
    })?;
    Ok(0)
}

enum State {
    Missing,
    Same,
    Other,
}

fn state(path: &Path, bytes: &[u8]) -> Result<State, Complaint> {
    if path.symlink_metadata().is_err() {
        return Ok(State::Missing);
    }
    match machine::read(path, bytes.len() as u64 + 1) {
        Ok(found) if found == bytes => Ok(State::Same),
        // What is no file cannot be replaced either.
        Err(error) if !path.is_file() => {
            Err(Complaint::input(format!("`{}` is in the way: {}", path.display(), machine::reason(&error))))
        }
        _ => Ok(State::Other),
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Complaint> {
    let failed = |error: &dyn std::fmt::Display| {
        Complaint::new(ExitClass::Failed, format!("failed to write `{}`: {error}", path.display()))
    };
    path.parent().map_or(Ok(()), fs::create_dir_all).map_err(|error| failed(&error))?;
    write_atomically(path, |file| file.write_all(bytes)).map_err(|error| failed(&error))
}
