//! (room) model
