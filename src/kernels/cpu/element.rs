//! The number format in which the values of a map lie in memory. All that is computed is `f32`.

use super::simd::LANES;
use pulp::Simd;

/// A value of a map.
pub(crate) trait Element: Copy + std::fmt::Debug + Default + Send + Sync + 'static {
    /// Whether what is computed is written as it is.
    const IS_EXACT: bool;

    /// The nearest to a value; of two that are as near, the one whose last bit is zero.
    fn of(value: f32) -> Self;

    fn value(self) -> f32;

    /// These values, where they are `f32`.
    fn floats(values: &mut [Self]) -> Option<&mut [f32]>;

    /// A vector of values.
    ///
    /// # Safety
    /// As many initialised values as the vector has stand at `from`, which need not be aligned.
    unsafe fn load<S: Simd>(from: *const Self) -> S::f32s;

    /// Writes a vector, each value as [`of`](Self::of) makes it.
    ///
    /// # Safety
    /// A vector may be written at `to`, which need not be aligned.
    unsafe fn store<S: Simd>(to: *mut Self, vector: S::f32s);
}

impl Element for f32 {
    const IS_EXACT: bool = true;

    #[inline(always)]
    fn of(value: f32) -> Self {
        value
    }

    #[inline(always)]
    fn value(self) -> f32 {
        self
    }

    fn floats(values: &mut [Self]) -> Option<&mut [f32]> {
        Some(values)
    }

    #[inline(always)]
    unsafe fn load<S: Simd>(from: *const Self) -> S::f32s {
        // SAFETY: as asked of the caller; any bits are a vector (`Pod`).
        unsafe { from.cast::<S::f32s>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store<S: Simd>(to: *mut Self, vector: S::f32s) {
        // SAFETY: as asked of the caller.
        unsafe { to.cast::<S::f32s>().write_unaligned(vector) }
    }
}

/// The upper half of an `f32`: its range, and 8 significant bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Bf16(u16);

impl Element for Bf16 {
    const IS_EXACT: bool = false;

    #[inline(always)]
    fn of(value: f32) -> Self {
        Self(upper(value.to_bits()))
    }

    #[inline(always)]
    fn value(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }

    fn floats(_: &mut [Self]) -> Option<&mut [f32]> {
        None
    }

    #[inline(always)]
    unsafe fn load<S: Simd>(from: *const Self) -> S::f32s {
        let mut bits = [0_u32; LANES];
        // SAFETY: as asked of the caller. An array has as many values as a vector of all lanes; of
        // a shorter one, it is the first that are read.
        unsafe {
            for (lane, bits) in bits.iter_mut().enumerate().take(S::F32_LANES) {
                *bits = u32::from((*from.add(lane)).0) << 16;
            }
            bits.as_ptr().cast::<S::f32s>().read_unaligned()
        }
    }

    #[inline(always)]
    unsafe fn store<S: Simd>(to: *mut Self, vector: S::f32s) {
        let mut bits = [0_u32; LANES];
        // SAFETY: as asked of the caller. An array has room for a vector of all lanes.
        unsafe {
            bits.as_mut_ptr().cast::<S::f32s>().write_unaligned(vector);
            for (lane, bits) in bits.into_iter().enumerate().take(S::F32_LANES) {
                to.add(lane).write(Self(upper(bits)));
            }
        }
    }
}

/// The upper half of a number's bits, rounded to the nearest and to even. What is no number stays
/// so, if all that says so was in the lower half.
#[inline(always)]
fn upper(bits: u32) -> u16 {
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    let quiet = bits >> 16 | 0x40;
    (if bits << 1 > 0xff00_0000 { quiet } else { rounded }) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_rounded_to_the_nearest_and_to_even() {
        let step = 2f32.powi(-7);
        for (value, expected) in [
            (0.0, 0.0),
            (-0.0, -0.0),
            (1.0 + 0.5 * step, 1.0),
            (1.0 + 1.5 * step, 1.0 + 2.0 * step),
            (-1.0 - 0.5 * step, -1.0),
            (1.0 + 0.5 * step + f32::EPSILON, 1.0 + step),
            (1.0 + 0.5 * step - f32::EPSILON, 1.0),
            (2.0 - 0.25 * step, 2.0),
            (f32::INFINITY, f32::INFINITY),
            (f32::NEG_INFINITY, f32::NEG_INFINITY),
            // More than the largest that there is, by half a step and by less.
            (f32::MAX, f32::INFINITY),
            (f32::from_bits(0x7f7f_7fff), f32::from_bits(0x7f7f_0000)),
            // Below the smallest normal number steps are as small as the smallest number.
            (f32::from_bits(0x0001_8000), f32::from_bits(0x0002_0000)),
            (f32::from_bits(0x0000_8000), 0.0),
            (f32::from_bits(0x8000_8001), f32::from_bits(0x8001_0000)),
            (f32::MIN_POSITIVE, f32::MIN_POSITIVE),
            (f32::from_bits(0x007f_ffff), f32::MIN_POSITIVE),
        ] {
            assert_eq!(Bf16::of(value).value().to_bits(), expected.to_bits(), "{value:e}");
        }
        for bits in [0x7f80_0001, 0xff80_0001, 0x7fff_ffff, 0xffff_ffff, 0x7fc0_0000] {
            let value = Bf16::of(f32::from_bits(bits)).value();
            assert!(value.is_nan() && value.is_sign_negative() == (bits >> 31 == 1), "{bits:x}");
        }
    }

    #[test]
    fn what_is_of_sixteen_bits_comes_back() {
        for bits in 0..=u16::MAX {
            let value = Bf16(bits).value();
            assert!(value.is_nan() || Bf16::of(value) == Bf16(bits), "{bits:x}");
        }
    }
}
