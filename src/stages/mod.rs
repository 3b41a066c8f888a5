//! (room) stages
