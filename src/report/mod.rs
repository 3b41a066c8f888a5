//! (room) report
