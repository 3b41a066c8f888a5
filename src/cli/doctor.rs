//! `darts-run doctor`: what this machine and this build have, before a pipeline needs it.

use super::{Complaint, DataArguments, StoreArguments, output};
use crate::{
    machine,
    model::DeviceName,
    observe, run,
    space::{self, Space},
    store::Store,
};
use clap::Args;
use std::{num::NonZeroUsize, path::Path, thread::available_parallelism};

#[derive(Args, Debug)]
pub(super) struct DoctorArguments {
    #[command(flatten)]
    store: StoreArguments,
    #[command(flatten)]
    data: DataArguments,
}

pub(super) fn run(arguments: &DoctorArguments) -> Result<u8, Complaint> {
    let store = &arguments.store.store;
    output::say_rows(&[
        ("program", format!("darts-run {}{}", env!("CARGO_PKG_VERSION"), features())),
        ("processor", processor()),
        ("memory", machine::memory().map_or_else(|| "not known".to_owned(), observe::bytes)),
        ("cuda", device(DeviceName::Cuda { index: 0 })),
        ("wgpu", device(DeviceName::Wgpu { index: 0 })),
        ("store", self::store(store)),
        ("data", data(&arguments.data.data)),
        ("spaces", spaces()),
    ])?;
    Ok(0)
}

fn features() -> String {
    let built = [("cuda", cfg!(feature = "cuda")), ("wgpu", cfg!(feature = "wgpu"))];
    let built: Vec<&str> = built.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect();
    if built.is_empty() { ", for the CPU alone".to_owned() } else { format!(", with {}", built.join(" and ")) }
}

fn processor() -> String {
    let threads = available_parallelism().map_or(1, NonZeroUsize::get);
    format!("{threads} threads, {}", std::env::consts::ARCH)
}

fn device(name: DeviceName) -> String {
    match name.open() {
        Ok(_) => "can be opened".to_owned(),
        Err(error) => run::sentence(&error),
    }
}

fn store(folder: &Path) -> String {
    let free = machine::free(folder).map_or_else(String::new, |bytes| format!(", {} free", observe::bytes(bytes)));
    let shown = folder.display();
    match Store::existing(folder) {
        None if folder.exists() => format!("`{shown}` is no store{free}"),
        None => format!("`{shown}` is not there yet{free}"),
        Some(store) => {
            let stages = store.remembered().map_or_else(
                |error| run::sentence(&error),
                |names| format!("newest results of {} stages", names.len()),
            );
            format!("`{shown}`, {stages}{free}")
        }
    }
}

fn data(folder: &Path) -> String {
    let shown = folder.display();
    let entries = match folder.read_dir() {
        Ok(entries) => entries,
        Err(error) => return format!("`{shown}` cannot be read: {}", machine::reason(&error)),
    };
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    if names.is_empty() { format!("`{shown}` is empty") } else { format!("`{shown}` has {}", names.join(", ")) }
}

fn spaces() -> String {
    let found = space::all(Path::new(""));
    let broken: Vec<String> =
        found.iter().filter(|path| Space::read(path).is_err()).map(|path| path.display().to_string()).collect();
    match (found.len(), broken.is_empty()) {
        (0, _) => "none has a name here: run where `search_spaces/` is, or give paths".to_owned(),
        (count, true) => format!("{count} have a name here"),
        (count, false) => format!("{count} have a name here, of which cannot be read: {}", broken.join(", ")),
    }
}
