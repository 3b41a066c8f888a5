//! Maximum and mean of square windows.

pub(super) mod reference;
