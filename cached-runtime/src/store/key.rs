//! Keys of a shared store.

use std::fmt;
use std::io;
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::readable;
use super::scan::Scan;
use crate::{Error, ErrorKind, Result};

/// The key of one value in a shared store: a readable namespace, a colon, and a digest of 32 hexadecimal
/// digits.
///
/// A key consists of ASCII letters, digits and `_ - . : < > , &` only and is at most [`Key::MAX_LEN`] bytes
/// long, so that every protocol can send it without escaping. A store may add a prefix, braces, or a suffix
/// for the lease.
///
/// # Examples
///
/// ```
/// use cached_runtime::Key;
///
/// let key = Key::new("shop::user.v1", &(42_u64, "en"))?;
/// assert_eq!(key.to_string(), "shop::user.v1:23ec7fde775811ceb754fbff0e0c549f");
/// # Ok::<(), cached_runtime::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key(
    /// ASCII.
    Arc<[u8]>,
);

impl Key {
    /// The maximum length of a key, in bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::Key;
    ///
    /// let key = Key::new(&"long".repeat(1000), &42)?;
    /// assert_eq!(key.as_str().len(), Key::MAX_LEN);
    /// # Ok::<(), cached_runtime::Error>(())
    /// ```
    pub const MAX_LEN: usize = MAX_NAMESPACE + 1 + 2 * Self::DIGEST;

    /// The length of the digest, in bytes.
    pub(crate) const DIGEST: usize = 16;

    /// Creates the key of these arguments in this namespace.
    ///
    /// Two keys are equal only if their namespaces are equal and their arguments serialize to the same bytes.
    /// The digest is the first half of the SHA-256 (FIPS 180-4) of the namespace and the arguments in
    /// `MessagePack`, each preceded by its length, and of one byte for each [`Option`] in the arguments,
    /// which says whether it is `Some`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] if the arguments cannot be serialized, and [`ErrorKind::TooLarge`] if they are larger than
    /// 1 MiB in `MessagePack`. The work stops there: a key is computed on the thread of the caller.
    ///
    /// # Examples
    ///
    /// ```
    /// use cached_runtime::Key;
    ///
    /// let key = Key::new("shop::user@1", &(42_u64, "en")).unwrap();
    /// assert!(key.as_str().starts_with("shop::user_1:"));
    /// assert_ne!(key, Key::new("shop::user@1", &(42_u64, "de")).unwrap());
    /// ```
    pub fn new(namespace: &str, arguments: &(impl Serialize + ?Sized)) -> Result<Self> {
        KeySpace::new(namespace).key(arguments)
    }

    /// Returns the key of the generation of a tag, from the digest of the tag.
    pub(crate) fn of_tag(digest: [u8; Self::DIGEST]) -> Self {
        compose("tags:", &digest)
    }

    /// Returns the digest part of the key.
    pub(crate) fn digest(&self) -> [u8; Self::DIGEST] {
        let hex = self.0.last_chunk::<{ 2 * Self::DIGEST }>();
        let digit = |byte: u8| char::from(byte).to_digit(16).map_or(0, |digit| digit.to_le_bytes()[0]);
        std::array::from_fn(|at| hex.map_or(0, |hex| digit(hex[2 * at]) << 4 | digit(hex[2 * at + 1])))
    }

    /// Returns the key as a string.
    ///
    /// # Examples
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
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// As [`as_str`](Self::as_str), without a check of the bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Creates the key of arguments that are bytes already.
    pub(crate) fn from_bytes(namespace: &str, arguments: &[u8]) -> Self {
        KeySpace::new(namespace).key_of_bytes(arguments)
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

/// The block size of SHA-256 in bytes (FIPS 180-4).
const SHA256_BLOCK: usize = 64;

/// The keys of one namespace: what all of them have in common is computed once.
#[derive(Clone)]
pub(crate) struct KeySpace {
    /// The readable namespace and the colon.
    prefix: Box<str>,
    /// The state of the digest after the namespace.
    digest: Sha256,
    /// Whether the arguments precede the digest as text.
    is_readable: bool,
}

impl KeySpace {
    pub(crate) fn new(namespace: &str) -> Self {
        let mut digest = Sha256::new();
        digest.update((namespace.len() as u64).to_be_bytes());
        digest.update(namespace.as_bytes());
        // The arguments begin a block of their own, so that those of most keys take one.
        let length = size_of::<u64>() + namespace.len();
        digest.update(&[0; SHA256_BLOCK][..length.next_multiple_of(SHA256_BLOCK) - length]);
        // Shortened for readability; the digest covers the whole namespace.
        let readable = namespace.chars().map(|c| if is_plain(c) { c } else { '_' }).take(MAX_NAMESPACE);
        Self { prefix: readable.chain([':']).collect(), digest, is_readable: false }
    }

    /// `readable`: puts the arguments before the digest, as text.
    #[must_use]
    pub(crate) fn readable(mut self, is_readable: bool) -> Self {
        self.is_readable = is_readable;
        self
    }

    /// As [`Key::new`].
    pub(crate) fn key(&self, arguments: &(impl Serialize + ?Sized)) -> Result<Key> {
        let mut bytes = Encoded::default();
        let mut serializer = rmp_serde::Serializer::new(&mut bytes).with_struct_map();
        if let Err(error) = arguments.serialize(&mut serializer) {
            if bytes.is_full {
                let message = "the arguments are larger than 1 MiB as encoded";
                return Err(Error::new(ErrorKind::TooLarge, message));
            }
            return Err(Error::new(ErrorKind::Codec, "cannot serialize the arguments").with_source(error));
        }
        Ok(self.key_of_parts(bytes.as_slice(), &Scan::of(arguments).presence))
    }

    /// Returns the key of arguments that are bytes already.
    pub(crate) fn key_of_bytes(&self, arguments: &[u8]) -> Key {
        self.key_of_parts(arguments, &[])
    }

    fn key_of_parts(&self, arguments: &[u8], options: &[u8]) -> Key {
        let mut digest = self.digest.clone();
        digest.update((arguments.len() as u64).to_be_bytes());
        digest.update(arguments);
        digest.update(options);
        let digest = &digest.finalize()[..Key::DIGEST];
        if !self.is_readable {
            return compose(&self.prefix, digest);
        }
        // One character less, for the second colon.
        let free = MAX_NAMESPACE.saturating_sub(self.prefix.len());
        let text = readable::text(arguments, free);
        let colon = if text.is_empty() { "" } else { ":" };
        compose(&format!("{}{text}{colon}", self.prefix), digest)
    }
}

/// Returns the key with this prefix and digest, by one allocation.
fn compose(prefix: &str, digest: &[u8]) -> Key {
    let mut text = [0; Key::MAX_LEN];
    let (readable, hex) = text.split_at_mut(prefix.len());
    readable.copy_from_slice(prefix.as_bytes());
    for (digits, byte) in hex.as_chunks_mut().0.iter_mut().zip(digest) {
        *digits = HEXADECIMAL[usize::from(*byte)];
    }
    Key(text[..prefix.len() + 2 * digest.len()].into())
}

/// Each byte as two hexadecimal digits.
const HEXADECIMAL: [[u8; 2]; 256] = {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    table
};

/// The encoded arguments, up to [`MAX_ARGUMENTS`]; usually they fit into the inline part.
struct Encoded {
    inline: [u8; 256],
    inline_len: usize,
    /// All of them, once they do not fit into the inline part.
    spilled: Vec<u8>,
    is_full: bool,
}

impl Default for Encoded {
    fn default() -> Self {
        Self { inline: [0; 256], inline_len: 0, spilled: Vec::new(), is_full: false }
    }
}

impl Encoded {
    fn as_slice(&self) -> &[u8] {
        if self.spilled.is_empty() { &self.inline[..self.inline_len] } else { &self.spilled }
    }
}

impl io::Write for Encoded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let end = self.as_slice().len() + bytes.len();
        if end > MAX_ARGUMENTS {
            self.is_full = true;
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        if let Some(free) = self.inline.get_mut(self.inline_len..end).filter(|_| self.spilled.is_empty()) {
            free.copy_from_slice(bytes);
            self.inline_len = end;
        } else {
            if self.spilled.is_empty() {
                self.spilled.extend_from_slice(&self.inline[..self.inline_len]);
            }
            self.spilled.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The maximum size of the encoded arguments, in bytes.
const MAX_ARGUMENTS: usize = 1 << 20;

/// The maximum length of the readable namespace in a key, in bytes.
const MAX_NAMESPACE: usize = 120;

/// Returns `true` if every protocol can send the character without escaping.
pub(super) fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_-.:<>,&".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_plain_and_short_for_any_namespace() {
        let namespace = "ä b\r\nset x 0 0 1{}".repeat(99);
        let key = Key::new(&namespace, &"\0\r\n").unwrap();
        assert!(key.as_str().chars().all(is_plain));
        assert_eq!(key.as_str().len(), Key::MAX_LEN);
    }

    /// The format is frozen: with other keys, all stored values would be lost. The expected keys were
    /// computed with the Python code in `docs/WIRE.md`.
    #[test]
    fn keys_are_stable() {
        #[derive(Serialize)]
        struct Query {
            id: u64,
            names: Vec<&'static str>,
        }

        for (key, text) in [
            (Key::new("shop::user.v1", &(42_u64, "en")), "shop::user.v1:23ec7fde775811ceb754fbff0e0c549f"),
            (Key::new("n", &7), "n:bf7c485e255140f9946f319979a1cac8"),
            // Serde serializes a byte array as a sequence of numbers, and no arguments as nil.
            (
                Key::new("caf\u{e9} {x}", &("a", None::<u8>, true, -1, [1_u8, 2])),
                "caf___x_:2a971b77e6908c8ca4c7fbeba9f4a05d",
            ),
            (Key::new("n.v1", &()), "n.v1:590f46107ab3bb79ade625dcecc135a1"),
            (Key::new("n", &(Query { id: 7, names: vec!["a"] },)), "n:b11feda9dff2c66e8acef29bf1e939c1"),
            (
                Ok(Key::from_bytes("shop::user.v1.generation", &[])),
                "shop::user.v1.generation:5d572e6129ab803b9b2de25559c8780c",
            ),
            (Ok(Key::from_bytes("tags", b"user:42")), "tags:5ac7d5e7823f2a1e3cf8a5809fd9ac82"),
        ] {
            assert_eq!(key.unwrap().as_str(), text);
        }
    }

    /// Around the size of the inline part, the key is the same as that of the arguments in one piece.
    #[test]
    fn long_arguments_have_the_key_of_their_bytes() {
        for length in [0, 1, 253, 254, 255, 256, 300, 5_000] {
            let text = "x".repeat(length);
            let arguments = (7_u64, text.as_str(), 8_u64);
            let bytes = rmp_serde::to_vec_named(&arguments).unwrap();
            assert_eq!(Key::new("n", &arguments).unwrap(), Key::from_bytes("n", &bytes), "{length}");
        }
    }

    #[test]
    fn a_readable_key_has_the_arguments_before_the_same_digest() {
        let key = |namespace: &str| KeySpace::new(namespace).readable(true).key(&(42_u64, "en us")).unwrap();
        let plain = Key::new("shop::user.v1", &(42_u64, "en us")).unwrap();
        let digest = plain.as_str().strip_prefix("shop::user.v1:").unwrap();
        assert_eq!(key("shop::user.v1").as_str(), format!("shop::user.v1:42,en_us:{digest}"));
        assert_eq!(key("shop::user.v1").digest(), plain.digest());
        for length in [110, 115, 118, 119, 120, 121, 500] {
            let key = key(&"n".repeat(length));
            assert!(key.as_str().len() <= Key::MAX_LEN && key.as_str().chars().all(is_plain), "{key}");
        }
    }

    #[test]
    fn key_contains_its_digest() {
        let key = Key::from_bytes("tags", b"user:42");
        assert_eq!(Key::of_tag(key.digest()), key);
    }

    #[test]
    fn keys_with_equal_readable_namespaces_differ() {
        let long = "n".repeat(500);
        assert_ne!(Key::new(&format!("{long}1"), &1).unwrap(), Key::new(&format!("{long}2"), &1).unwrap());
        assert_ne!(Key::new("a b", &1).unwrap(), Key::new("a_b", &1).unwrap());
    }

    #[test]
    fn arguments_cannot_be_shifted_into_the_namespace_or_each_other() {
        assert_ne!(Key::from_bytes("ab", b"c"), Key::from_bytes("a", b"bc"));
        assert_ne!(Key::new("n", &("ab", "c")).unwrap(), Key::new("n", &("a", "bc")).unwrap());
    }
}
