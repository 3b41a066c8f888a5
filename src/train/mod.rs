//! (room) train
