//! Records: what the table says, word by word.
//!
//! A record is a type, and its fields are its words, in their order. The host makes one and the
//! table writes it ([`Record::write`]); a kernel that knows where a record begins finds a field at
//! the constant of the same name: `table[product + Product::weight]`. Nobody counts words.

use cubecl::prelude::*;
use std::marker::PhantomData;

/// The word of an offset that is absent. `Plan::new` lets no offset be as large.
pub const NONE: u32 = u32::MAX;

/// What is written to the table.
pub trait Record {
    /// How many words it has.
    const WORDS: usize;

    fn write(&self, words: &mut Vec<u32>);
}

/// A number, an offset or a place. All fit 32 bits: `Plan::new` sees to it.
impl Record for usize {
    const WORDS: usize = 1;

    fn write(&self, words: &mut Vec<u32>) {
        words.push(*self as u32);
    }
}

/// 1 or 0.
impl Record for bool {
    const WORDS: usize = 1;

    fn write(&self, words: &mut Vec<u32>) {
        words.push(u32::from(*self));
    }
}

/// The offset, or [`NONE`].
impl Record for Option<usize> {
    const WORDS: usize = 1;

    fn write(&self, words: &mut Vec<u32>) {
        words.push(self.map_or(NONE, |offset| offset as u32));
    }
}

/// Declares a record: a struct, the place of each field, and how all are written.
macro_rules! record {
    (
        $(#[$about:meta])*
        $name:ident { $($(#[$field_about:meta])* $field:ident: $kind:ty,)+ }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_about])* pub $field: $kind,)+
        }

        impl $crate::gpu::kernel::record::Record for $name {
            const WORDS: usize = 0 $(+ <$kind as $crate::gpu::kernel::record::Record>::WORDS)+;

            fn write(&self, words: &mut Vec<u32>) {
                $($crate::gpu::kernel::record::Record::write(&self.$field, words);)+
            }
        }

        #[expect(non_upper_case_globals, reason = "a field's place has the field's name")]
        impl $name {
            record!(@places 0; $($field: $kind,)+);
        }
    };
    (@places $place:expr;) => {};
    (@places $place:expr; $field:ident: $kind:ty, $($others:tt)*) => {
        pub const $field: usize = $place;
        record!(@places $place + <$kind as $crate::gpu::kernel::record::Record>::WORDS; $($others)*);
    };
}
pub(super) use record;

/// The place of one record in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At<R> {
    place: usize,
    of: PhantomData<R>,
}

impl<R> Record for At<R> {
    const WORDS: usize = 1;

    fn write(&self, words: &mut Vec<u32>) {
        self.place.write(words);
    }
}

/// Records that follow each other in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Records<R> {
    first: usize,
    pub count: usize,
    of: PhantomData<R>,
}

impl<R: Record> Records<R> {
    pub fn new(first: usize, count: usize) -> Self {
        Self { first, count, of: PhantomData }
    }

    /// The place of the first, as a kernel is given it.
    pub fn first(&self) -> u32 {
        self.first as u32
    }

    pub fn at(&self, number: usize) -> At<R> {
        At { place: self.first + number * R::WORDS, of: PhantomData }
    }

    /// `count` of them, from one on.
    pub fn part(&self, number: usize, count: usize) -> Self {
        Self::new(self.first + number * R::WORDS, count)
    }
}

/// The place of the first, and how many there are: [`first_of`], [`count_of`].
impl<R> Record for Records<R> {
    const WORDS: usize = 2;

    fn write(&self, words: &mut Vec<u32>) {
        self.first.write(words);
        self.count.write(words);
    }
}

/// The place of the first of the records that a field of the table names.
#[cube]
pub fn first_of(table: &[u32], records: usize) -> usize {
    table[records] as usize
}

/// How many records a field of the table names.
#[cube]
pub fn count_of(table: &[u32], records: usize) -> u32 {
    table[records + 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    record! {
        /// A record of records.
        Outer {
            number: usize,
            inner: Inner,
            absent: Option<usize>,
        }
    }

    record! {
        Inner {
            flag: bool,
            others: Records<Outer>,
            one: At<Outer>,
            there: Option<usize>,
        }
    }

    #[test]
    fn a_field_is_written_at_its_place() {
        let others = Records::<Outer>::new(100, 3);
        let inner = Inner { flag: true, others: others.part(1, 2), one: others.at(2), there: Some(9) };
        let mut words = Vec::new();
        Outer { number: 7, inner, absent: None }.write(&mut words);
        assert_eq!(words, [7, 1, 107, 2, 114, 9, NONE]);
        assert_eq!(words.len(), Outer::WORDS);
        assert_eq!([Outer::number, Outer::inner, Outer::absent], [0, 1, 6]);
        assert_eq!([Inner::flag, Inner::others, Inner::one, Inner::there], [0, 1, 3, 4]);
    }
}
