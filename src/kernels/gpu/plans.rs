//! The plans of a program, each made once.

use super::buffer::Buffer;
use super::plan::{Plan, PlanError, Purpose};
use crate::program::Program;
use burn_cubecl::CubeDevice;
use cubecl::client::Client;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The plans of **one** program that were made so far, by number of images and purpose. Clones
/// share them.
#[derive(Debug, Clone, Default)]
pub struct Plans {
    made: Arc<Mutex<Made>>,
}

type Made = HashMap<(usize, Purpose), Arc<Planned>>;

/// A plan, what it was made for, and its table on the GPUs that have run it.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(super) plan: Plan,
    pub images: usize,
    pub purpose: Purpose,
    tables: Mutex<HashMap<CubeDevice, Buffer>>,
}

impl Plans {
    /// # Errors
    /// As [`Plan::new`].
    pub(crate) fn plan(&self, program: &Program, images: usize, purpose: Purpose) -> Result<Arc<Planned>, PlanError> {
        // What is in the map is whole, whatever happened to a thread that held the lock.
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(planned) = made.get(&(images, purpose)) {
            return Ok(planned.clone());
        }
        let plan = Plan::new(program, images, purpose)?;
        let planned = Arc::new(Planned { plan, images, purpose, tables: Mutex::default() });
        made.insert((images, purpose), planned.clone());
        Ok(planned)
    }

    /// Launches of a training pass, forward and reverse; `None` where the batch is too large for a
    /// plan.
    pub fn launches(&self, program: &Program, images: usize) -> Option<[usize; 2]> {
        let purpose = Purpose { of_batch: true, reverse: true, inputs: false, weights: true };
        let plan = &self.plan(program, images, purpose).ok()?.plan;
        Some([plan.forward.len(), plan.reverse.len()])
    }
}

impl Planned {
    pub(super) fn table(&self, client: &Client, device: &CubeDevice) -> Buffer {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let upload = || {
            let bytes: Vec<u8> = self.plan.table.iter().flat_map(|word| word.to_ne_bytes()).collect();
            Buffer { handle: client.create_from_slice(&bytes), length: self.plan.table.len() }
        };
        tables.entry(device.clone()).or_insert_with(upload).clone()
    }
}
