//! What a machine does to a service: a disk that is full, a clock that is wrong, a store of
//! yesterday. Where the machine of the tests cannot do it, `None` says so.

use anyhow::{Context as _, ensure};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A disk of its own for a folder; unmounted when it is dropped.
#[derive(Debug)]
pub struct Disk(PathBuf);

impl Disk {
    /// Mounts a small one. None where it is not allowed.
    #[must_use]
    pub fn mount(folder: &Path) -> Option<Self> {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", "size=24m,mode=700", "tmpfs"]).arg(folder);
        let output = command.output().ok()?;
        output.status.success().then(|| Self(folder.to_owned()))
    }

    /// Fills it to the last byte; gives the file that does.
    pub fn fill(&self) -> anyhow::Result<PathBuf> {
        let ballast = self.0.join("ballast");
        let mut file = File::options().create(true).append(true).open(&ballast)?;
        for piece in [1 << 20, 1 << 12, 1] {
            while file.write_all(&vec![0; piece]).is_ok() {}
        }
        Ok(ballast)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a service may have files open.
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

/// A folder's content in another.
pub fn copy_all(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    let status = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status()?;
    ensure!(status.success(), "{} is not copied to {}", from.display(), to.display());
    Ok(())
}

/// Deletes what is in a folder; not the folder, which may be where a disk is mounted.
pub fn empty(folder: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
    }
    Ok(())
}

const SKEW: &str = "DYAD_TEST_SKEW";
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t id, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    static long skew;
    if (!real) {
        const char *text = getenv("DYAD_TEST_SKEW");
        skew = text ? atol(text) : 0;
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    }
    int result = real(id, at);
    if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        at->tv_sec += skew;
    return result;
}

time_t time(time_t *out) {
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    if (out) *out = at.tv_sec;
    return at.tv_sec;
}
"#;

/// A library that is loaded before all others and answers for the machine's clock: so it is the
/// real programs whose clock is wrong, TLS included.
#[derive(Clone, Debug)]
pub struct WrongClock(PathBuf);

impl WrongClock {
    /// Makes it in this folder. None where there is no compiler for it.
    pub fn make(folder: &Path) -> anyhow::Result<Option<Self>> {
        let (source, library) = (folder.join("skew.c"), folder.join("skew.so"));
        fs::write(&source, SHIM).with_context(|| source.display().to_string())?;
        let mut command = Command::new("cc");
        command.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).arg("-ldl");
        let made = command.status().is_ok_and(|status| status.success());
        Ok(made.then_some(Self(library)))
    }

    /// What a process's environment has, so that its clock is so many seconds ahead.
    #[must_use]
    pub fn variables(&self, ahead: i64) -> [(&'static str, String); 2] {
        [("LD_PRELOAD", self.0.display().to_string()), (SKEW, ahead.to_string())]
    }
}
