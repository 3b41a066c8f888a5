//! The program as a person types it: one binary of tests, a folder of its own for each.

mod cache;
mod complaints;
mod pictures;
mod resume;
mod scratch;
mod search;
