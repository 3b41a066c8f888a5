//! (room) plan
