//! The 24 words (BIP-39) and the keys that grow from them (SLIP-0010 for ed25519).
//!
//! `m/44'/1213156420'/account'/0'/0'` signs; `m/44'/1213156420'/account'/1'/0'` is the master of the owner's data keys.
//! The coin number spells "HOLD" in ASCII. Every step is hardened: ed25519 knows no other.

use bip39::Mnemonic;
use hmac::{Hmac, KeyInit, Mac};
use holdfast_primitives::SecretKey;
use sha2::Sha512;
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Words of a wallet.
pub const WORDS: usize = 24;
/// The coin number in derivation paths.
pub const COIN: u32 = 0x484f_4c44;
const HARDENED: u32 = 1 << 31;

/// Why a text is not a wallet's words.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WordsError {
    /// Too few or too many.
    #[error("{found} words, a wallet has {WORDS}")]
    Count {
        /// Found.
        found: usize,
    },
    /// A word that is not on the list.
    #[error("word {position} ({word:?}) is not on the BIP-39 English list")]
    UnknownWord {
        /// Its place, counted from 1.
        position: usize,
        /// The word, cut to 32 characters.
        word: String,
    },
    /// All words are on the list, but they do not belong together.
    #[error("the words do not fit together: one is wrong or two are swapped (checksum)")]
    Checksum,
}

/// The 24 words. Wiped on drop; shown only by [`Words::reveal`].
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Words {
    entropy: [u8; 32],
}

impl Words {
    /// Fresh words from the system's randomness.
    ///
    /// # Panics
    /// When the system has no randomness to give.
    pub fn generate() -> Self {
        let mut entropy = [0; 32];
        getrandom::fill(&mut entropy).expect("the operating system provides randomness");
        Self { entropy }
    }

    /// Words from 256 bits of entropy.
    pub const fn from_entropy(entropy: [u8; 32]) -> Self {
        Self { entropy }
    }

    /// Reads words from text; case and white space do not matter.
    pub fn parse(text: &str) -> Result<Self, WordsError> {
        let lower = Zeroizing::new(text.to_lowercase());
        let words: Vec<&str> = lower.split_whitespace().collect();
        if words.len() != WORDS {
            return Err(WordsError::Count { found: words.len() });
        }
        let list = bip39::Language::English;
        for (index, word) in words.iter().enumerate() {
            if list.find_word(word).is_none() {
                let word = word.chars().take(32).collect();
                return Err(WordsError::UnknownWord { position: index + 1, word });
            }
        }
        let joined = Zeroizing::new(words.join(" "));
        let mnemonic = Mnemonic::parse_in_normalized(list, &joined).map_err(|_| WordsError::Checksum)?;
        let (bytes, _) = mnemonic.to_entropy_array();
        let mut entropy = [0; 32];
        entropy.copy_from_slice(&bytes[..32]);
        Ok(Self { entropy })
    }

    /// The entropy behind the words, for the keystore.
    pub const fn entropy(&self) -> &[u8; 32] {
        &self.entropy
    }

    /// The words themselves, to be shown once.
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(self.mnemonic().to_string())
    }

    /// The key that signs for account `account`.
    pub fn signing_key(&self, account: u32) -> SecretKey {
        SecretKey::from_seed(*self.derive(&[44, COIN, account, 0, 0]))
    }

    /// 32 bytes from which account `account`'s data keys grow. They cannot be had from the signing key.
    pub fn data_master(&self, account: u32) -> Zeroizing<[u8; 32]> {
        self.derive(&[44, COIN, account, 1, 0])
    }

    fn derive(&self, path: &[u32]) -> Zeroizing<[u8; 32]> {
        let seed = Zeroizing::new(self.mnemonic().to_seed_normalized(""));
        derive_ed25519(seed.as_slice(), path)
    }

    fn mnemonic(&self) -> Mnemonic {
        Mnemonic::from_entropy(&self.entropy).expect("32 bytes of entropy make 24 words")
    }
}

impl std::fmt::Debug for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Words(hidden)")
    }
}

/// SLIP-0010 for ed25519: the private key at `path` below `seed`; every step is hardened, `path` holds plain numbers
/// below 2^31.
pub fn derive_ed25519(seed: &[u8], path: &[u32]) -> Zeroizing<[u8; 32]> {
    let (mut key, mut chain_code) = split(&hmac_sha512(b"ed25519 seed", &[seed]));
    for step in path {
        let index = (step | HARDENED).to_be_bytes();
        (key, chain_code) = split(&hmac_sha512(chain_code.as_slice(), &[&[0], key.as_slice(), &index]));
    }
    key
}

fn hmac_sha512(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; 64]> {
    let mut mac = Hmac::<Sha512>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    Zeroizing::new(mac.finalize().into_bytes().into())
}

fn split(bytes: &[u8; 64]) -> (Zeroizing<[u8; 32]>, Zeroizing<[u8; 32]>) {
    let (mut left, mut right) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 32]));
    left.copy_from_slice(&bytes[..32]);
    right.copy_from_slice(&bytes[32..]);
    (left, right)
}
