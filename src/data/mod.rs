//! (room) data
