//! Only the key generation centre and the auxiliary cloud may use the master key: nobody else's
//! program mentions it.

use std::fs;
use std::path::{Path, PathBuf};

/// The two parties that hold it, the crate itself, and what plays or tests all parties at once.
const MAY: [&str; 7] = ["bcp", "kgc", "cloud0", "local", "tests", "bench", "fuzz"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path())
    {
        let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if entry.is_dir() && name != "target" && !name.starts_with('.') {
            sources(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            found.push(entry);
        }
    }
}

#[test]
fn only_kgc_and_cloud0_use_the_master_key() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut all = Vec::new();
    sources(root, &mut all);
    assert!(all.len() > 20, "the sources were not found");
    for path in all {
        let inside = path.strip_prefix(root).expect("below the root");
        let folder = inside.iter().next().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).expect("a source file");
        let uses = text.contains("bcp::master") || text.contains("MasterKey");
        assert!(
            !uses || MAY.contains(&folder.as_str()),
            "{} must not use the master key",
            inside.display()
        );
    }
}
