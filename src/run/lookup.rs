//! Asking the store: is it there, and if not, why not.

use super::announce::{Announcer, sentence};
use crate::{
    plan::{DirtyReason, Key, Manifest, diff},
    store::{Record, Store, StoreError},
};

/// What the store holds under a key.
pub(super) enum Found {
    /// A record, and every output whole.
    Whole(Box<Record>),
    /// A record whose outputs of these names are lost or were damaged.
    Broken {
        outputs: Vec<String>,
    },
    Nothing,
}

/// Looks a key up. What is damaged counts as lost, with a warning in `member`'s name.
pub(super) fn look_up(store: &Store, key: Key, member: &str, announcer: &Announcer<'_>) -> Result<Found, StoreError> {
    let record = match store.record(key) {
        Err(error @ StoreError::Damaged { .. }) => {
            announcer.warn(member, sentence(&error));
            return Ok(Found::Nothing);
        }
        other => other?,
    };
    let Some(record) = record else { return Ok(Found::Nothing) };
    let mut broken = Vec::new();
    for (name, object) in &record.outputs {
        match store.look_at(object) {
            Ok(()) => {}
            Err(StoreError::Lost { .. }) => broken.push(name.clone()),
            Err(error @ StoreError::Damaged { .. }) => {
                announcer.warn(member, sentence(&error));
                broken.push(name.clone());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(if broken.is_empty() { Found::Whole(Box::new(record)) } else { Found::Broken { outputs: broken } })
}

/// Why a stage runs: never nothing.
pub(super) fn reasons(
    store: &Store,
    pipeline: &str,
    member: &str,
    manifest: &Manifest,
    broken: Vec<String>,
    announcer: &Announcer<'_>,
) -> Vec<DirtyReason> {
    let mut reasons: Vec<_> = broken.into_iter().map(|name| DirtyReason::OutputMissing { name }).collect();
    if reasons.is_empty()
        && let Some(old) = last_manifest(store, pipeline, member, announcer)
    {
        reasons = diff(&old, manifest);
    }
    if reasons.is_empty() {
        reasons.push(DirtyReason::NeverRun);
    }
    reasons
}

/// The manifest of the newest success. What cannot be read explains nothing, and must not stop the
/// work either.
fn last_manifest(store: &Store, pipeline: &str, member: &str, announcer: &Announcer<'_>) -> Option<Manifest> {
    // Where the key is damaged that is told when the next one is remembered.
    let key = store.last(pipeline, member).ok()??;
    let record = store.record(key).unwrap_or_else(|error| {
        announcer.warn(member, sentence(&error));
        None
    });
    serde_json::from_value(record?.manifest).ok()
}
