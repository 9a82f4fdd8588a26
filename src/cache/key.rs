//! What an embedding is filed under within its encoder's shelf.

use std::fmt;

use crate::digest::Hasher;

/// Content id of one embedding of an encoder: what was read out, of which token ids.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key([u8; Key::LEN]);

impl Key {
    /// Bytes of a key: half a SHA-256, so that a shelf of 10⁹ embeddings holds two equal keys with probability 10⁻²¹.
    pub(super) const LEN: usize = 16;

    /// The key of `ids` under a readout, given by its canonical text.
    pub fn new(readout: &str, ids: &[u32]) -> Self {
        let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        let digest = Hasher::new("embedding/1").field("readout", readout).field("ids", bytes).finish();
        let mut key = [0; Self::LEN];
        key.copy_from_slice(&digest.as_bytes()[..Self::LEN]);
        Self(key)
    }

    /// The key with these bytes, as read back from a part; `None` if they are not 16.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes, in order.
    pub(super) const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readout_and_ids_both_count() {
        let key = Key::new("layer=3", &[1, 2]);
        assert_eq!(key, Key::new("layer=3", &[1, 2]));
        assert_ne!(key, Key::new("layer=2", &[1, 2]));
        assert_ne!(key, Key::new("layer=3", &[2, 1]));
        assert_ne!(key, Key::new("layer=3", &[1, 2, 0]));
    }

    #[test]
    fn a_key_is_read_back_from_its_16_bytes_alone() {
        let key = Key::new("r", &[7]);
        assert_eq!(Key::from_bytes(key.as_bytes()), Some(key));
        assert_eq!(Key::from_bytes(&[0; 15]), None);
        assert_eq!(key.to_string().len(), 32);
    }
}
