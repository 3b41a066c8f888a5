//! (room) cli
