//! (room) kernels
