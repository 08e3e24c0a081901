//! `kgc init`: a new key centre, whole or not at all.

use crate::config::Config;
use crate::demo;
use crate::error::{Error, Result};
use crate::keys::{Keys, destroy, private_folder, sync_folder};
use dyad_bcp::{KeySize, ParaGen, ParamsId, Progress};
use dyad_net::Validity;
use dyad_net::identity::{Fingerprint, Name};
use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// What is made.
pub struct Init<'a> {
    /// What it is called.
    pub name: Name,
    /// Bits of the modulus: 2048, 3072 or 4096.
    pub bits: usize,
    /// Take parameters whose master key is public.
    pub insecure_demo: bool,
    /// Told of the search for primes now and then, from any thread.
    pub progress: &'a (dyn Fn(Progress) + Sync),
    /// Set to give up.
    pub cancel: &'a AtomicBool,
}

static NEVER: AtomicBool = AtomicBool::new(false);

impl Init<'_> {
    /// The usual: 3072 bits, silently.
    #[must_use]
    pub fn new(name: Name) -> Self {
        let bits = KeySize::default().bits();
        Self { name, bits, insecure_demo: false, progress: &|_| (), cancel: &NEVER }
    }

    /// Parameters whose master key is public: for trying things out.
    #[must_use]
    pub fn demo(name: Name) -> Self {
        Self { insecure_demo: true, ..Self::new(name) }
    }
}

/// What was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// What people compare before they enrol.
    pub root: Fingerprint,
    /// The parameters.
    pub params: ParamsId,
    /// Bits of the modulus.
    pub bits: usize,
}

/// Was the key centre of this configuration made with parameters whose master key is public?
pub fn is_insecure_demo(config: &Config) -> Result<bool> {
    Ok(Keys::load(&config.keys(), &config.passphrase)?.is_demo())
}

/// The folder's name until all is in it.
const UNFINISHED: &str = "keys.unfinished";

/// Makes a key centre in the configuration's store. One that is there already is left alone.
pub fn init(config: &Config, init: &Init<'_>) -> Result<Made> {
    private_folder(&config.store)?;
    let _lock = lock(&config.store.join("init.lock"))?;
    let keys = config.keys();
    let store = config.store.display();
    if keys.exists() {
        return Err(Error::Broken(format!(
            "there is a key centre in {store} already, which is left as it is; \
             for another one name another folder"
        )));
    }
    if config.database().exists() {
        return Err(Error::Broken(format!(
            "{store} has the database of a key centre whose keys are gone: restore them from a \
             backup, or name another folder for a new one"
        )));
    }
    let made = if init.insecure_demo {
        demo::parameters()?
    } else {
        let bits = init.bits;
        let size = KeySize::from_bits(bits).ok_or_else(|| {
            Error::Broken(format!("a modulus of {bits} bits: 2048, 3072 and 4096 are allowed"))
        })?;
        ParaGen::new(size).progress(init.progress).cancel(init.cancel).run()?
    };
    let unfinished = config.store.join(UNFINISHED);
    clear(&unfinished)?;
    private_folder(&unfinished)?;
    let validity = Validity::lasting(config.certificates_last());
    let (params, master) = (&made.0, &made.1);
    Keys::create(&unfinished, config.passphrase.reveal(), &init.name, validity, (params, master))?;
    // From here on it is there, all of it; a kill before leaves nothing but rubbish, which the next
    // one clears away.
    let failed = |source| Error::File { path: keys.clone(), source };
    fs::rename(&unfinished, &keys).and_then(|()| sync_folder(&keys)).map_err(failed)?;
    let loaded = Keys::load(&keys, &config.passphrase)?;
    let (root, bits) = (loaded.root.fingerprint(), params.size().bits());
    Ok(Made { root, params: params.id(), bits })
}

/// One at a time.
fn lock(path: &Path) -> Result<File> {
    let failed = |source| Error::File { path: path.to_owned(), source };
    let file = File::create(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let place = path.parent().unwrap_or(path).display();
            Err(Error::Broken(format!("another `kgc init` is at work in {place}")))
        }
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// What a killed one left: there may be secrets in it.
fn clear(folder: &Path) -> Result<()> {
    let failed = |source| Error::File { path: folder.to_owned(), source };
    if !folder.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).map_err(failed)? {
        destroy(&entry.map_err(failed)?.path())?;
    }
    fs::remove_dir(folder).map_err(failed)
}
