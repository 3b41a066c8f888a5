//! 2-d convolution, grouped or not: full, pointwise and depthwise are one operator.

pub(super) mod reference;
