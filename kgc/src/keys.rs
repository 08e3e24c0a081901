//! The key centre's secrets, each in a file of mode 0600.
//!
//! | file | is |
//! | --- | --- |
//! | `params` | public parameters of the cryptosystem |
//! | `master.key` | its master key, until C0 has it |
//! | `master.sealed` | the same, sealed to C0, until C0 has it |
//! | `authority.pem` | the certificate authority |
//! | `tls.pem` | this service's own certificate |
//! | `sign.key` | signs frozen studies |
//! | `pseudonyms.key` | from which each study's key for pseudonyms is derived |

use crate::demo;
use crate::error::{Error, Result};
use dyad_bcp::{MasterKey, PublicParams};
use dyad_net::identity::{Identity, Name, Role};
use dyad_net::sign::SignSecret;
use dyad_net::{Authority, Credentials, RootCertificate, TlsKey, Validity, keyfile};
use dyad_node::config::Secret;
use hkdf::Hkdf;
use rand::TryRng;
use rand::rngs::SysRng;
use sha2::Sha256;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const PARAMS: &str = "params";
const MASTER: &str = "master.key";
const SEALED: &str = "master.sealed";
const AUTHORITY: &str = "authority.pem";
const TLS: &str = "tls.pem";
const SIGN: &str = "sign.key";
const PSEUDONYMS: &str = "pseudonyms.key";

/// All of them but the master key, which is read when it is needed and not kept.
pub(crate) struct Keys {
    folder: PathBuf,
    passphrase: Secret,
    pub(crate) identity: Identity,
    pub(crate) authority: Authority,
    pub(crate) root: RootCertificate,
    pub(crate) sign: SignSecret,
    pub(crate) params: PublicParams,
    pseudonyms: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Random bytes of the system's generator.
pub(crate) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    let none = |error| Error::Broken(format!("the system gives no random numbers: {error}"));
    SysRng.try_fill_bytes(bytes.as_mut_slice()).map_err(none)?;
    Ok(bytes)
}

impl Keys {
    /// Makes new ones in a folder that is there and empty.
    pub(crate) fn create(
        folder: &Path,
        passphrase: Option<&str>,
        name: &Name,
        validity: Validity,
        (params, master): (&PublicParams, &MasterKey),
    ) -> Result<()> {
        let authority = Authority::create(name)?;
        let own = TlsKey::generate()?;
        let identity = Identity::new(Role::Kgc, name.clone());
        let issued = authority.issue(&own.csr()?, &identity, validity)?;
        let own = Credentials::issued(issued.der, &authority.root(), own)?;
        let put = |file, bytes: &[u8]| keyfile::write_locked(folder.join(file), bytes, passphrase);
        keyfile::write_secret(folder.join(PARAMS), &params.to_bytes())?;
        put(MASTER, &master.to_bytes())?;
        put(AUTHORITY, authority.to_pem().as_bytes())?;
        put(TLS, own.to_pem().as_bytes())?;
        put(SIGN, SignSecret::generate()?.to_bytes().as_slice())?;
        put(PSEUDONYMS, random::<32>()?.as_slice())?;
        Ok(())
    }

    /// Reads them.
    pub(crate) fn load(folder: &Path, passphrase: &Secret) -> Result<Self> {
        if !folder.join(PARAMS).exists() {
            let place = folder.parent().unwrap_or(folder).display();
            let text = format!("there is no key centre in {place}: make one with `kgc init`");
            return Err(Error::Broken(text));
        }
        let get = |file: &str| -> Result<Zeroizing<Vec<u8>>> {
            Ok(keyfile::read_locked(folder.join(file), passphrase.reveal())?)
        };
        let damaged = |file: &str| {
            let path = folder.join(file);
            Error::Broken(format!("{}: damaged; restore it from a backup", path.display()))
        };
        let key = |file: &str| -> Result<Zeroizing<[u8; 32]>> {
            let bytes = get(file)?;
            let bytes = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| damaged(file))?;
            Ok(Zeroizing::new(bytes))
        };
        let text = |file: &str| -> Result<Zeroizing<String>> {
            let text = get(file)?;
            let text = std::str::from_utf8(&text).map_err(|_| damaged(file))?;
            Ok(Zeroizing::new(text.to_owned()))
        };
        let params = PublicParams::from_bytes(&keyfile::read_secret(folder.join(PARAMS))?)?;
        let authority = Authority::from_pem(&text(AUTHORITY)?)?;
        let root = authority.root();
        let identity = Credentials::from_pem(&text(TLS)?)?.identity().clone();
        let (sign, pseudonyms) = (SignSecret::from_bytes(&*key(SIGN)?), key(PSEUDONYMS)?);
        let (folder, passphrase) = (folder.to_owned(), passphrase.clone());
        Ok(Self { folder, passphrase, identity, authority, root, sign, params, pseudonyms })
    }

    fn read(&self, file: &str) -> Result<Zeroizing<Vec<u8>>> {
        Ok(keyfile::read_locked(self.folder.join(file), self.passphrase())?)
    }

    fn passphrase(&self) -> Option<&str> {
        self.passphrase.reveal()
    }

    /// Do they belong to the published demo set?
    pub(crate) fn is_demo(&self) -> bool {
        demo::is_demo(&self.params)
    }

    /// This service's own certificate.
    pub(crate) fn credentials(&self) -> Result<Credentials> {
        let pem = self.read(TLS)?;
        let pem = std::str::from_utf8(&pem).map_err(|_| {
            let path = self.folder.join(TLS);
            Error::Broken(format!("{}: damaged; restore it from a backup", path.display()))
        })?;
        Ok(Credentials::from_pem(pem)?)
    }

    /// A certificate for this service's own key that lasts longer.
    pub(crate) fn renew_own(&self, validity: Validity) -> Result<Credentials> {
        let old = self.credentials()?;
        let issued = self.authority.issue(&old.key().csr()?, &self.identity, validity)?;
        let key = TlsKey::from_pem(&old.key().to_pem())?;
        let new = Credentials::issued(issued.der, &self.root, key)?;
        let (path, pem) = (self.folder.join(TLS), new.to_pem());
        keyfile::write_locked(path, pem.as_bytes(), self.passphrase())?;
        Ok(new)
    }

    /// What owners of a study turn identifiers into pseudonyms with.
    pub(crate) fn pseudonym_key(&self, study: &[u8; 32]) -> Result<Zeroizing<[u8; 32]>> {
        let mut key = Zeroizing::new([0; 32]);
        let info = dyad_protos::labelled("pseudonyms of a study", &[study]);
        Hkdf::<Sha256>::new(None, self.pseudonyms.as_slice())
            .expand(&info, key.as_mut_slice())
            .map_err(|error| Error::Broken(format!("a key cannot be derived: {error}")))?;
        Ok(key)
    }

    /// The master key, if it is still here.
    pub(crate) fn master(&self) -> Result<Option<Zeroizing<Vec<u8>>>> {
        present(&self.folder.join(MASTER), |path| {
            Ok(keyfile::read_locked(path, self.passphrase())?)
        })
    }

    /// The same as it was sealed to C0.
    pub(crate) fn sealed(&self) -> Result<Option<Vec<u8>>> {
        present(&self.folder.join(SEALED), |path| Ok(keyfile::read_secret(path)?.to_vec()))
    }

    pub(crate) fn keep_sealed(&self, sealed: &[u8]) -> Result<()> {
        Ok(keyfile::write_secret(self.folder.join(SEALED), sealed)?)
    }

    /// Destroys it. May be repeated.
    pub(crate) fn destroy_master(&self) -> Result<()> {
        destroy(&self.folder.join(MASTER))?;
        destroy(&self.folder.join(SEALED))
    }

    /// The dealer's secret for a job, if one was drawn.
    pub(crate) fn job_secret(&self, path: &Path) -> Result<Option<Zeroizing<[u8; 32]>>> {
        present(path, |path| {
            let bytes = keyfile::read_locked(path, self.passphrase())?;
            let damaged = |_| Error::Broken(format!("{}: damaged; delete it", path.display()));
            Ok(Zeroizing::new(<[u8; 32]>::try_from(bytes.as_slice()).map_err(damaged)?))
        })
    }

    /// Draws one.
    pub(crate) fn draw_job_secret(&self, path: &Path) -> Result<Zeroizing<[u8; 32]>> {
        if let Some(folder) = path.parent() {
            private_folder(folder)?;
        }
        let secret = random::<32>()?;
        keyfile::write_locked(path, secret.as_slice(), self.passphrase())?;
        Ok(secret)
    }
}

fn present<T>(path: &Path, read: impl Fn(&Path) -> Result<T>) -> Result<Option<T>> {
    if path.exists() { read(path).map(Some) } else { Ok(None) }
}

/// Makes a folder that nobody else may look into.
pub(crate) fn private_folder(path: &Path) -> Result<()> {
    let failed = |source| Error::File { path: path.to_owned(), source };
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(failed)
}

/// Overwrites a file, deletes it, and makes both last. A file that is not there is destroyed
/// already. What a disk keeps of old blocks by itself is beyond reach: encrypt the disk.
pub(crate) fn destroy(path: &Path) -> Result<()> {
    let failed = |source| Error::File { path: path.to_owned(), source };
    let mut file = match OpenOptions::new().write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    let overwrite = || -> io::Result<()> {
        let length = file.metadata()?.len();
        let zeros = [0; 4096];
        let mut left = length;
        while left > 0 {
            let now = left.min(zeros.len() as u64);
            file.write_all(&zeros[..now as usize])?;
            left -= now;
        }
        file.sync_all()?;
        fs::remove_file(path)?;
        sync_folder(path)
    };
    let mut overwrite = overwrite;
    overwrite().map_err(failed)
}

/// Makes a name's coming or going last.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn destroyed_is_gone_and_may_be_destroyed_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, [7; 5000]).unwrap();
        let other = folder.path().join("same blocks");
        // Another name of the same blocks shows what is left in them.
        fs::hard_link(&path, &other).unwrap();
        destroy(&path).unwrap();
        assert!(!path.exists());
        assert_eq!(fs::read(&other).unwrap(), [0; 5000]);
        destroy(&path).unwrap();
    }
}
