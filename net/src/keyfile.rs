//! Secrets in files: readable by their owner alone, written whole or not at all, and locked by a
//! passphrase if there is one.
//!
//! A locked file is `dyad-locked/1\n`, memory in KiB, passes and lanes of Argon2id (4 bytes each,
//! little-endian), salt (16), nonce (12), and the secret under ChaCha20-Poly1305 with all of that
//! as associated data.

use crate::error::{Error, Result};
use crate::random;
use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use zeroize::Zeroizing;

/// The largest secret file that is read.
pub const MAX_SECRET: u64 = 16 << 20;

const MAGIC: &[u8] = b"dyad-locked/1\n";
const SALT: usize = 16;
const NONCE: usize = 12;
const HEADER: usize = MAGIC.len() + 12 + SALT + NONCE;

/// Argon2id with 64 MiB, three passes, four lanes: the second recommendation of RFC 9106.
const COST: [u32; 3] = [64 << 10, 3, 4];

/// A file that asks for more than this was not written here: 1 GiB, 16 passes, 16 lanes.
const MOST: [u32; 3] = [1 << 20, 16, 16];

/// Writes a file of mode 0600. After a crash it is there whole, or as it was before.
pub fn write_secret(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    let path = path.as_ref();
    let failed = |source| Error::file(path, source);
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut mark = [0; 8];
    random::fill(&mut mark)?;
    let mut name = OsString::from(".");
    name.push(path.file_name().ok_or_else(|| {
        failed(std::io::Error::new(std::io::ErrorKind::InvalidInput, "expected a file's name"))
    })?);
    name.push(format!(".{:016x}.tmp", u64::from_le_bytes(mark)));
    let temporary = folder.join(name);
    let written = write_new(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| File::open(folder)?.sync_all());
    written.map_err(|source| {
        // What is left of it is of no use; that it may not be there is fine.
        drop(fs::remove_file(&temporary));
        failed(source)
    })
}

fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Reads a file that nobody but its owner may read.
pub fn read_secret(path: impl AsRef<Path>) -> Result<Zeroizing<Vec<u8>>> {
    let path = path.as_ref();
    let failed = |source| Error::file(path, source);
    let mut file = File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o777;
        if mode & 0o077 != 0 {
            return Err(Error::Permissions { path: path.to_owned(), mode });
        }
    }
    if about.len() > MAX_SECRET {
        return Err(Error::malformed("a secret file", "it is too large"));
    }
    // The room is there from the start: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(vec![0; about.len() as usize]);
    file.read_exact(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Like [`write_secret`], locked by a passphrase if there is one.
pub fn write_locked(path: impl AsRef<Path>, bytes: &[u8], passphrase: Option<&str>) -> Result<()> {
    match passphrase {
        None => write_secret(path, bytes),
        Some(passphrase) => write_secret(path, &lock(passphrase, bytes)?),
    }
}

/// What [`write_locked`] wrote. A file that is not locked opens with any passphrase.
pub fn read_locked(path: impl AsRef<Path>, passphrase: Option<&str>) -> Result<Zeroizing<Vec<u8>>> {
    let bytes = read_secret(path)?;
    if !is_locked(&bytes) {
        return Ok(bytes);
    }
    unlock(passphrase.ok_or(Error::Locked)?, &bytes)
}

/// Must these bytes be unlocked?
#[must_use]
pub fn is_locked(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Locks a secret by a passphrase.
pub fn lock(passphrase: &str, secret: &[u8]) -> Result<Vec<u8>> {
    let mut header = MAGIC.to_vec();
    header.extend(COST.iter().flat_map(|cost| cost.to_le_bytes()));
    let mut fresh = [0; SALT + NONCE];
    random::fill(&mut fresh)?;
    header.extend(fresh);
    let sealed = cipher(passphrase, &header)?
        .encrypt(&nonce(&header), Payload { msg: secret, aad: &header })
        .map_err(|_| Error::Passphrase)?;
    Ok([header, sealed].concat())
}

/// Unlocks it. A wrong passphrase and an altered file look the same.
pub fn unlock(passphrase: &str, locked: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    if locked.len() < HEADER || !is_locked(locked) {
        return Err(Error::Passphrase);
    }
    let (header, sealed) = locked.split_at(HEADER);
    cipher(passphrase, header)?
        .decrypt(&nonce(header), Payload { msg: sealed, aad: header })
        .map(Zeroizing::new)
        .map_err(|_| Error::Passphrase)
}

fn nonce(header: &[u8]) -> Nonce {
    let mut nonce = Nonce::default();
    nonce.copy_from_slice(&header[HEADER - NONCE..]);
    nonce
}

fn cipher(passphrase: &str, header: &[u8]) -> Result<ChaCha20Poly1305> {
    let mut cost = [0; 3];
    for (cost, bytes) in cost.iter_mut().zip(header[MAGIC.len()..].chunks_exact(4)) {
        *cost = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
    if cost.iter().zip(MOST).any(|(cost, most)| *cost > most) {
        return Err(Error::Passphrase);
    }
    let [memory, passes, lanes] = cost;
    let params = Params::new(memory, passes, lanes, Some(32)).map_err(|_| Error::Passphrase)?;
    let salt = &header[HEADER - NONCE - SALT..HEADER - NONCE];
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, key.as_mut_slice())
        .map_err(|_| Error::Passphrase)?;
    ChaCha20Poly1305::new_from_slice(key.as_slice()).map_err(|_| Error::Passphrase)
}
