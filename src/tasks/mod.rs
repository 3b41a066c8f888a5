//! (room) tasks
