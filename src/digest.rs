//! Content ids: SHA-256 over named, length-prefixed fields, so that no two different inputs share a byte stream.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A SHA-256 digest, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Digest of raw bytes, equal to `sha256sum` of a file that holds them.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Digest of a file's bytes, read in blocks.
    ///
    /// # Errors
    /// Whatever opening or reading the file gives.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let mut hasher = Sha256::new();
        let mut block = vec![0_u8; 1 << 20];
        loop {
            let read = file.read(&mut block)?;
            if read == 0 {
                return Ok(Self(hasher.finalize().into()));
            }
            hasher.update(&block[..read]);
        }
    }

    /// The bytes, in order.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The digest with these bytes, as read back from a file.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The first 12 hexadecimal digits: what people see as a cell or encoder id.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }

    /// Reads the 64 hexadecimal digits that `Display` writes; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        let mut bytes = [0; 32];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not 64 hexadecimal digits")))
    }
}

/// Builds a [`Digest`] field by field. Names and values are length-prefixed: `("a", "bc")` differs from `("ab", "c")`.
pub struct Hasher(Sha256);

impl Hasher {
    /// Starts a digest of the given kind and version, for example `"slice/1"`.
    pub fn new(kind: &str) -> Self {
        Self(Sha256::new()).field("kind", kind)
    }

    /// Adds one named field.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.update(name.as_bytes());
        self.update(value.as_ref());
        self
    }

    /// Adds one named field with the compact JSON form of `value`. Only for types whose maps have a fixed order.
    #[must_use]
    pub fn json<T: Serialize>(self, name: &str, value: &T) -> Self {
        let json = serde_json::to_vec(value).unwrap_or_default();
        self.field(name, json)
    }

    /// The digest of all fields so far.
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }

    fn update(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_digest_is_plain_sha256() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of_bytes(b"").to_string(), empty);
        assert_eq!(Digest::parse(empty), Some(Digest::of_bytes(b"")));
        assert_eq!(Digest::parse("xyz"), None);
    }

    #[test]
    fn fields_do_not_run_together() {
        let a = Hasher::new("t").field("a", "bc").finish();
        let b = Hasher::new("t").field("ab", "c").finish();
        assert_ne!(a, b);
    }
}
