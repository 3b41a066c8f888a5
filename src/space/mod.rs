//! The search-space language: what is searched, as data.

pub mod network;
