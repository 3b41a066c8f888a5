//! (room) interop
