//! Compiles every .proto file under `proto`, without a system's protoc.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let mut files = vec![];
    find(Path::new("proto"), &mut files)?;
    files.sort();
    let compiled = protox::compile(&files, ["proto"])?;
    tonic_prost_build::configure().bytes(".").include_file("wire.rs").compile_fds(compiled)?;
    Ok(())
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    Ok(())
}
