//! Numbers as words of 64 bits: keys and values whose types run no user code.

use std::any::Any;
use std::hash::{Hash, Hasher};

/// A type whose values fit into a word, and whose `Clone`, `Drop`, `Hash` and `Eq` are those of the standard library.
trait Number: Copy + 'static {
    fn to_word(self) -> u64;
    /// The inverse of [`to_word`](Self::to_word).
    fn from_word(word: u64) -> Self;
}

macro_rules! integers {
    ($($number:ty)*) => {$(
        #[allow(
            clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_sign_loss, clippy::cast_lossless,
            trivial_numeric_casts, reason = "a word has room for each of them, and is made from the same type"
        )]
        impl Number for $number {
            #[inline]
            fn to_word(self) -> u64 {
                self as u64
            }

            #[inline]
            fn from_word(word: u64) -> Self {
                word as Self
            }
        }
    )*};
}

integers!(u8 u16 u32 u64 usize i8 i16 i32 i64 isize);

macro_rules! others {
    ($($number:ty, $value:ident => $to:expr, $word:ident => $from:expr;)*) => {$(
        impl Number for $number {
            #[inline]
            fn to_word(self) -> u64 {
                let $value = self;
                $to
            }

            #[inline]
            fn from_word($word: u64) -> Self {
                $from
            }
        }
    )*};
}

others! {
    bool, value => u64::from(value), word => word != 0;
    char, value => u64::from(u32::from(value)), word => u32::try_from(word).ok().and_then(char::from_u32).unwrap_or_default();
    f32, value => u64::from(value.to_bits()), word => Self::from_bits(u32::from_word(word));
    f64, value => value.to_bits(), word => Self::from_bits(word);
    (), _value => 0, _word => ();
}

macro_rules! of_each_type {
    ($action:ident!($($arguments:tt)*)) => {
        $action!($($arguments)* u8 u16 u32 u64 usize i8 i16 i32 i64 isize bool char f32 f64)
    };
}

/// Returns `true` if [`from_word`] makes values of this type.
pub(super) fn is_number<T: 'static>() -> bool {
    from_word::<T>(0).is_some()
}

/// Returns `true` if [`key_from_word`] makes keys of this type.
pub(super) fn is_number_key<K: 'static>() -> bool {
    key_from_word::<K>(0).is_some()
}

/// Returns a value as a word, if it is a number.
///
/// The comparisons of types are decided when this is compiled with optimization.
#[inline]
pub(super) fn to_word<T: 'static>(value: &T) -> Option<u64> {
    let value: &dyn Any = value;
    macro_rules! convert {
        ($($number:ty)*) => {
            $(if let Some(number) = value.downcast_ref::<$number>() {
                return Some(number.to_word());
            })*
        };
    }
    of_each_type!(convert!());
    value.downcast_ref::<()>().map(|()| 0)
}

/// Returns the number that [`to_word`] made a word of; `None` if the type is not one of a number.
#[inline]
pub(super) fn from_word<T: 'static>(word: u64) -> Option<T> {
    let mut value: Option<T> = None;
    let place: &mut dyn Any = &mut value;
    macro_rules! convert {
        ($($number:ty)*) => {
            $(if let Some(place) = place.downcast_mut::<Option<$number>>() {
                *place = Some(<$number>::from_word(word));
                return value;
            })*
        };
    }
    of_each_type!(convert!());
    if let Some(place) = place.downcast_mut::<Option<()>>() {
        *place = Some(());
    }
    value
}

/// Returns the key, an empty tuple or one of a single number, that [`key_word`] made a word of; `None` if the type is
/// another one.
#[inline]
pub(super) fn key_from_word<K: 'static>(word: u64) -> Option<K> {
    let mut key: Option<K> = None;
    let place: &mut dyn Any = &mut key;
    macro_rules! convert {
        ($($number:ty)*) => {
            $(if let Some(place) = place.downcast_mut::<Option<($number,)>>() {
                *place = Some((<$number>::from_word(word),));
                return key;
            })*
        };
    }
    of_each_type!(convert!());
    if let Some(place) = place.downcast_mut::<Option<()>>() {
        *place = Some(());
    }
    key
}

/// Returns a key as a word, if its type is one of those that [`key_from_word`] returns.
#[inline]
pub(super) fn key_word<Q: Hash + ?Sized>(key: &Q) -> u64 {
    let mut word = KeyWord::default();
    key.hash(&mut word);
    word.finish()
}

/// A hasher that returns the one number which it is given.
#[derive(Default)]
struct KeyWord(u64);

impl Hasher for KeyWord {
    fn write(&mut self, _: &[u8]) {
        // Not reached: these keys write themselves by the methods below.
    }

    #[inline]
    fn write_u8(&mut self, number: u8) {
        self.0 = u64::from(number);
    }

    #[inline]
    fn write_u16(&mut self, number: u16) {
        self.0 = u64::from(number);
    }

    #[inline]
    fn write_u32(&mut self, number: u32) {
        self.0 = u64::from(number);
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    #[inline]
    fn write_usize(&mut self, number: usize) {
        self.0 = number as u64;
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;

    fn value<T: PartialEq + Debug + 'static>(value: T) {
        let word = to_word(&value).unwrap();
        assert_eq!(from_word::<T>(word), Some(value));
    }

    fn key<T: PartialEq + Debug + Hash + Copy + 'static>(number: T) {
        assert_eq!(key_from_word::<(T,)>(key_word(&(number,))), Some((number,)));
    }

    #[test]
    fn numbers_are_the_same_after_they_were_words() {
        macro_rules! ends {
            ($($number:ty)*) => {$(
                for number in [<$number>::MIN, <$number>::MIN + 1, 0, 1, <$number>::MAX - 1, <$number>::MAX] {
                    value(number);
                    key(number);
                }
            )*};
        }
        ends!(u8 u16 u32 u64 usize i8 i16 i32 i64 isize);
        for letter in ['\0', 'é', char::MAX] {
            value(letter);
            key(letter);
        }
        for is in [false, true] {
            value(is);
            key(is);
        }
        value(-0.1_f32);
        value(f64::MIN_POSITIVE);
        value(f64::INFINITY);
        value(());
        assert!(f64::NAN.to_word() == f64::from_word(f64::NAN.to_word()).to_word());
        assert_eq!(key_from_word::<()>(0), Some(()));
    }

    #[test]
    fn other_types_are_no_numbers() {
        assert_eq!(to_word(&String::new()), None);
        assert_eq!(to_word(&Some(1_u64)), None);
        assert_eq!(from_word::<String>(0), None);
        assert_eq!(key_from_word::<(u64, u64)>(0), None);
        assert_eq!(key_from_word::<(String,)>(0), None);
    }
}
