//! The program as a person types it: one binary of tests, a folder of its own for each.

mod bench;
mod beside;
mod cache;
mod complaints;
mod damage;
mod derive;
mod download;
#[path = "../../src/edited.rs"]
mod edited;
mod export;
mod gather;
mod inputs;
mod kills;
mod methods;
mod outputs;
mod pictures;
mod policy;
mod power;
mod predict;
mod resolve;
mod resume;
mod retrain;
mod scratch;
mod search;
mod show;
mod slurm;
mod store;
mod stress;
mod submit;
mod super_resolution;
