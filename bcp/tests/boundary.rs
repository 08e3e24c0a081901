//! Only the key generation centre and the auxiliary cloud may use the master key: nobody else's
//! program names it, or what makes one.

use std::fs;
use std::path::{Path, PathBuf};

/// The two parties that hold it, the crate itself, and what plays or tests all parties at once.
const MAY: [&str; 7] = ["bcp", "kgc", "cloud0", "local", "tests", "bench", "fuzz"];

/// Tests that play both clouds at once, of crates whose programs may not.
const TESTS: [&str; 2] = ["mpc/tests", "learn/tests"];

/// What leads to a master key: the module, its types, the generator that returns one.
const NAMES: [&str; 5] = ["master", "MasterKey", "KnownKey", "FreshMaker", "ParaGen"];

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

/// Words and single other characters, without comments and literals, which may say what they like.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = |end: Option<usize>, mark: usize| end.map_or(rest.len(), |at| at + mark);
        let skip = if rest.starts_with("//") {
            length(rest.find('\n'), 1)
        } else if rest.starts_with("/*") {
            length(rest.find("*/"), 2)
        } else if first == '"' {
            let mut escaped = false;
            let end = rest[1..].find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            length(end, 2)
        } else if rest.starts_with("'\"'") {
            3
        } else if first.is_alphanumeric() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push(rest[..end].to_owned());
            end
        } else {
            if !first.is_whitespace() {
                tokens.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = rest.get(skip..).unwrap_or_default();
    }
    tokens
}

/// Whether code can get at a master key: a name that leads to it, or all names at once.
fn reaches(text: &str) -> bool {
    let tokens = tokens(text);
    // Of a module or crate that is renamed, the names within are still written out.
    let glob = tokens.windows(4).any(|four| four == ["dyad_bcp", ":", ":", "*"])
        || tokens.windows(5).any(|five| five == ["dyad_bcp", ":", ":", "{", "*"]);
    glob || tokens.iter().any(|token| NAMES.contains(&token.as_str()))
}

#[test]
fn every_way_to_the_master_key_is_seen() {
    for text in [
        "use dyad_bcp::master::MasterKey;",
        "use dyad_bcp::{ParaGen, KeySize, master};",
        "use dyad_bcp::{\n    KeySize,\n    master::{self as keys},\n};",
        "use dyad_bcp as b; fn f(key: &b :: master :: MasterKey) {}",
        "let (params, msk) = dyad_bcp::ParaGen::new(size).run()?;",
        "fn open<T>(known: &dyad_bcp::master::KnownKey) {}",
        "use dyad_bcp::*;",
        "use dyad_bcp::{*, packing::Slot};",
        "let x = \"dyad\"; use dyad_bcp::MasterKey; let y = '\"'; let z = \"\";",
    ] {
        assert!(reaches(text), "{text}");
    }
    for text in [
        "use dyad_bcp::{PublicKey, packing::SlotLayout};",
        "// C0 alone holds the MasterKey\nuse dyad_bcp::PublicKey; /* ParaGen */",
        "let text = \"the master key of \\\"MasterKey\\\"\"; let remaster = mastery;",
        "let x = a * b; use other::*;",
    ] {
        assert!(!reaches(text), "{text}");
    }
}

#[test]
fn only_kgc_and_cloud0_use_the_master_key() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let (mut programs, mut seen) = (0, 0);
    for folder in fs::read_dir(root).expect("a folder").map(|entry| entry.expect("an entry")) {
        let name = folder.file_name().to_string_lossy().into_owned();
        // Who does not depend on this crate may use its words for something else.
        let manifest = fs::read_to_string(folder.path().join("Cargo.toml")).unwrap_or_default();
        if !manifest.contains("dyad-bcp") {
            continue;
        }
        programs += 1;
        let mut all = Vec::new();
        sources(&folder.path(), &mut all);
        for path in all {
            let text = fs::read_to_string(&path).expect("a source file");
            let uses = reaches(&text);
            seen += usize::from(uses);
            let inside = path.strip_prefix(root).expect("below the root").display();
            let plays = TESTS.iter().any(|folder| path.starts_with(root.join(folder)));
            let may = MAY.contains(&name.as_str()) || plays;
            assert!(!uses || may, "{inside} must not use the master key");
        }
    }
    assert!(programs >= 3 && seen > 10, "the sources were not found");
}
