//! Tokens: where a series falls on the ring, which tokens an instance takes,
//! and the file that keeps them over restarts.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// The most tokens a file may hold; the largest rings in use have 512 per
/// instance.
pub const MAX_TOKENS: usize = 65_536;

const FNV_OFFSET: u32 = 0x811c_9dc5;
const FNV_PRIME: u32 = 0x0100_0193;

/// Places a series on the ring: 32-bit FNV-1 (not FNV-1a) of the tenant's
/// bytes and then the label string's, without a separator.
///
/// The label string is `{name="value", other="value"}`, sorted by name with
/// values quoted as Go does.
pub fn token_for(tenant: &str, labels: &str) -> u32 {
    tenant
        .bytes()
        .chain(labels.bytes())
        .fold(FNV_OFFSET, |hash, byte| {
            hash.wrapping_mul(FNV_PRIME) ^ u32::from(byte)
        })
}

/// Picks `count` tokens, ascending, that are not in `taken`.
///
/// A random number that is taken moves on to the next free token, so that this
/// ends with any source of numbers.
pub fn generate(count: usize, taken: &BTreeSet<u32>, random: &mut dyn FnMut() -> u32) -> Vec<u32> {
    let mut picked = BTreeSet::new();
    for _ in 0..count.min(MAX_TOKENS) {
        let mut token = random();
        while taken.contains(&token) || picked.contains(&token) {
            token = token.wrapping_add(1);
        }
        picked.insert(token);
    }
    picked.into_iter().collect()
}

/// Why the content of a tokens file is not used.
#[derive(Debug, thiserror::Error)]
pub enum TokensFileError {
    /// Not the expected JSON.
    #[error("tokens file is not JSON of the form {{\"tokens\":[1,2]}}: {0}")]
    Json(#[from] serde_json::Error),
    /// The same token twice: the file was edited or damaged.
    #[error("tokens file lists token {0} more than once")]
    Duplicate(u32),
    /// More tokens than any instance takes.
    #[error("tokens file lists {0} tokens, more than the limit of {MAX_TOKENS}")]
    TooMany(usize),
}

#[derive(Serialize, Deserialize)]
struct TokensFile {
    tokens: Vec<u32>,
}

/// Reads the content of a tokens file and returns its tokens in ascending
/// order.
///
/// # Errors
/// Fails on anything but `{"tokens":[…]}` with unsigned 32-bit numbers, each
/// once.
pub fn parse_file(content: &[u8]) -> Result<Vec<u32>, TokensFileError> {
    let TokensFile { mut tokens } = serde_json::from_slice(content)?;
    if tokens.len() > MAX_TOKENS {
        return Err(TokensFileError::TooMany(tokens.len()));
    }
    tokens.sort_unstable();
    match tokens.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(TokensFileError::Duplicate(pair[0])),
        None => Ok(tokens),
    }
}

/// Writes the content of a tokens file.
pub fn render_file(tokens: &[u32]) -> String {
    let file = TokensFile {
        tokens: tokens.to_vec(),
    };
    serde_json::to_string(&file).expect("a list of numbers is always JSON")
}
