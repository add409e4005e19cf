//! What a value is stored under in a shared store.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::nested_options::Options;
use crate::{Error, ErrorKind, Result};

/// The name of one value in a shared store: a readable namespace, a colon, and a digest in 32 hexadecimal digits.
///
/// It consists of ASCII letters, digits and `_ - . : < > , &` only and is at most [`Key::MAX_LEN`] bytes long,
/// so that it can be sent as it is in every protocol. What a store puts around it (a prefix, braces, a suffix
/// for the lease) is the store's own.
///
/// ```
/// use cached_runtime::Key;
///
/// let key = Key::new("shop::user.v1", &(42_u64, "en"))?;
/// assert_eq!(key.to_string(), "shop::user.v1:1ec40bc8d31639374342c19e38802fbb");
/// # Ok::<(), cached_runtime::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key(Arc<str>);

impl Key {
    /// The greatest length of a key in bytes.
    ///
    /// ```
    /// use cached_runtime::Key;
    ///
    /// let key = Key::new(&"long".repeat(1000), &42)?;
    /// assert_eq!(key.as_str().len(), Key::MAX_LEN);
    /// # Ok::<(), cached_runtime::Error>(())
    /// ```
    pub const MAX_LEN: usize = MAX_NAMESPACE + 1 + 2 * Self::DIGEST;

    /// The length of the digest in bytes.
    pub(crate) const DIGEST: usize = 16;

    /// The key of these arguments in this namespace.
    ///
    /// Two keys are equal only if the namespaces are equal and the arguments serialize to the same: the digest is the
    /// first half of a SHA-256 (FIPS 180-4) over both, each preceded by its length, and over which of the options in
    /// the arguments are `Some`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] if the arguments can not be serialized.
    ///
    /// ```
    /// use cached_runtime::Key;
    ///
    /// let key = Key::new("shop::user@1", &(42_u64, "en")).unwrap();
    /// assert!(key.as_str().starts_with("shop::user_1:"));
    /// assert_ne!(key, Key::new("shop::user@1", &(42_u64, "de")).unwrap());
    /// ```
    pub fn new(namespace: &str, arguments: &(impl Serialize + ?Sized)) -> Result<Self> {
        let bytes = rmp_serde::to_vec_named(arguments).map_err(|e| {
            Error::new(ErrorKind::Codec, "the arguments can not be serialized").with_source(e)
        })?;
        Ok(Self::from_parts(namespace, &bytes, &Options::of(arguments).marks))
    }

    /// Where the stamp of a tag is that is known by its digest.
    pub(crate) fn of_tag(digest: [u8; Self::DIGEST]) -> Self {
        Self::compose("tags", &digest)
    }

    /// The digest in it.
    pub(crate) fn digest(&self) -> [u8; Self::DIGEST] {
        let hex = self.0.as_bytes().last_chunk::<{ 2 * Self::DIGEST }>();
        let digit = |byte: u8| char::from(byte).to_digit(16).map_or(0, |digit| digit.to_le_bytes()[0]);
        std::array::from_fn(|at| hex.map_or(0, |hex| digit(hex[2 * at]) << 4 | digit(hex[2 * at + 1])))
    }

    /// The key as it is sent.
    ///
    /// ```
    /// use cached_runtime::Key;
    ///
    /// let key = Key::new("my users", &42)?;
    /// assert!(key.as_str().starts_with("my_users:"));
    /// # Ok::<(), cached_runtime::Error>(())
    /// ```
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn from_bytes(namespace: &str, arguments: &[u8]) -> Self {
        Self::from_parts(namespace, arguments, &[])
    }

    fn from_parts(namespace: &str, arguments: &[u8], options: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update((namespace.len() as u64).to_be_bytes());
        hash.update(namespace.as_bytes());
        hash.update((arguments.len() as u64).to_be_bytes());
        hash.update(arguments);
        hash.update(options);
        Self::compose(namespace, &hash.finalize()[..Self::DIGEST])
    }

    fn compose(namespace: &str, digest: &[u8]) -> Self {
        let mut text = String::with_capacity(Self::MAX_LEN);
        // Only for people: the whole namespace is in the digest.
        text.extend(namespace.chars().map(|c| if is_plain(c) { c } else { '_' }).take(MAX_NAMESPACE));
        text.push(':');
        for byte in digest {
            let _ = write!(text, "{byte:02x}"); // Writing into a `String` does not fail.
        }
        Self(text.into())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

const MAX_NAMESPACE: usize = 120;
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_-.:<>,&".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_plain_and_short_whatever_the_namespace() {
        let namespace = "ä b\r\nset x 0 0 1{}".repeat(99);
        let key = Key::new(&namespace, &"\0\r\n").unwrap();
        assert!(key.as_str().chars().all(is_plain));
        assert_eq!(key.as_str().len(), Key::MAX_LEN);
    }

    /// Frozen: another key would lose every value that is stored. Made by the Python of `docs/WIRE.md`.
    #[test]
    fn keys_stay_what_they_are() {
        #[derive(Serialize)]
        struct Query {
            id: u64,
            names: Vec<&'static str>,
        }

        for (key, text) in [
            (Key::new("shop::user.v1", &(42_u64, "en")), "shop::user.v1:1ec40bc8d31639374342c19e38802fbb"),
            (Key::new("n", &7), "n:d912e94a2e326953bb7f02e908f0862d"),
            // Bytes that are not `&[u8]` to serde are numbers; no arguments are nil.
            (
                Key::new("caf\u{e9} {x}", &("a", None::<u8>, true, -1, [1_u8, 2])),
                "caf___x_:29fa918b5190176027544008df30409f",
            ),
            (Key::new("n.v1", &()), "n.v1:3da2954490a9ba0b7dd21f77ab678f37"),
            (Key::new("n", &(Query { id: 7, names: vec!["a"] },)), "n:d9dbcf754b57a56a63cbb7035e60f93d"),
            (
                Ok(Key::from_bytes("shop::user.v1.generation", &[])),
                "shop::user.v1.generation:44388c0b6d984b8f072db9090d43e73e",
            ),
            (Ok(Key::from_bytes("tags", b"user:42")), "tags:b05eecc3094250d63ad48fae9f236acc"),
        ] {
            assert_eq!(key.unwrap().as_str(), text);
        }
    }

    #[test]
    fn a_key_tells_its_digest() {
        let key = Key::from_bytes("tags", b"user:42");
        assert_eq!(Key::of_tag(key.digest()), key);
    }

    #[test]
    fn what_is_cut_off_for_people_still_tells_keys_apart() {
        let long = "n".repeat(500);
        assert_ne!(Key::new(&format!("{long}1"), &1).unwrap(), Key::new(&format!("{long}2"), &1).unwrap());
        assert_ne!(Key::new("a b", &1).unwrap(), Key::new("a_b", &1).unwrap());
    }

    #[test]
    fn arguments_can_not_be_shifted_into_the_namespace_or_each_other() {
        assert_ne!(Key::from_bytes("ab", b"c"), Key::from_bytes("a", b"bc"));
        assert_ne!(Key::new("n", &("ab", "c")).unwrap(), Key::new("n", &("a", "bc")).unwrap());
    }
}
