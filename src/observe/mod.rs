//! (room) observe
