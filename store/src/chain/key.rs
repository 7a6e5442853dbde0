//! Keys of fixed length whose order as bytes is the order of what they name: big-endian numbers, end to end.

use holdfast_primitives::{BlockHash, Digest, Height, HolderNo, RoundNo, TxId};

/// Something a row can be found by.
pub(crate) trait Key: Sized {
    /// Bytes of the key.
    const BYTES: usize;
    /// Appends exactly [`Key::BYTES`].
    fn write(&self, bytes: &mut Vec<u8>);
    /// Reads a key from exactly [`Key::BYTES`].
    fn read(bytes: &[u8]) -> Option<Self>;

    /// The key's bytes.
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::BYTES);
        self.write(&mut bytes);
        bytes
    }
}

macro_rules! number_key {
    ($($name:ty: $raw:ty, $new:expr, $get:expr;)*) => {$(
        impl Key for $name {
            const BYTES: usize = size_of::<$raw>();
            fn write(&self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&$get(*self).to_be_bytes());
            }
            fn read(bytes: &[u8]) -> Option<Self> {
                Some($new(<$raw>::from_be_bytes(bytes.try_into().ok()?)))
            }
        }
    )*};
}
number_key! {
    u8: u8, |raw| raw, |raw: u8| raw;
    u32: u32, |raw| raw, |raw: u32| raw;
    Height: u64, Height::new, Height::get;
    RoundNo: u64, RoundNo::new, RoundNo::get;
    HolderNo: u32, HolderNo::new, HolderNo::get;
}

macro_rules! hash_key {
    ($($name:ty),*) => {$(
        impl Key for $name {
            const BYTES: usize = <$name>::BYTES;
            fn write(&self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(self.as_bytes());
            }
            fn read(bytes: &[u8]) -> Option<Self> {
                Some(Self::new(bytes.try_into().ok()?))
            }
        }
    )*};
}
hash_key!(BlockHash, TxId, Digest);

impl<A: Key, B: Key> Key for (A, B) {
    const BYTES: usize = A::BYTES + B::BYTES;

    fn write(&self, bytes: &mut Vec<u8>) {
        self.0.write(bytes);
        self.1.write(bytes);
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (first, second) = bytes.split_at_checked(A::BYTES)?;
        Some((A::read(first)?, B::read(second)?))
    }
}
