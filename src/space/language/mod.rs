//! What a search space's file may say, and how it is read.

pub(super) mod canonical;
pub(super) mod cell;
pub(super) mod consistency;
pub(super) mod declaration;
pub(super) mod extends;
pub(super) mod find;
pub(super) mod hint;
pub(super) mod labels;
pub(super) mod notation;
pub(super) mod operation;
pub(super) mod skeleton;
pub(super) mod width;
