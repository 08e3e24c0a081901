//! Writes the seeds of `fuzz/corpus` for the targets of `bcp/`, `mpc/` and `learn/`, after a change
//! of an encoding: `cargo run --example seeds`. Those for `data/` are files as owners have them.

use dyad_bcp::Plaintext;
use dyad_bcp::packing::{Slot, SlotLayout};
use dyad_fuzz::{CONTEXT, WORLD};
use std::path::Path;

fn main() {
    let w = &*WORLD;
    let m = Plaintext::from_u64(&w.params, 1234);
    let c = w.unified.key().encrypt(&m).expect("a ciphertext");
    let partial = w.owner.partial_many(&w.unified, &[c.head()]).expect("a member").remove(0);
    let (issued, _) = w.master.issue(1).expect("a key");

    let write = |target: &str, name: &str, bytes: &[u8]| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join(name), bytes).expect("a seed");
    };
    write("public_params", "valid", &w.params.to_bytes());
    write("claimed_key", "valid", &w.owner.prove(&CONTEXT).expect("a proof").to_bytes());
    write("unproved_key", "valid", &w.owner.public().to_bytes());
    write("raw_ciphertext", "valid", &c.to_bytes());
    write("head", "valid", &c.head().to_bytes());
    write("partial", "valid", &partial.to_bytes());
    write("secret_key", "local", &w.owner.to_bytes());
    write("secret_key", "issued", &issued[0].to_bytes());
    write("master_key", "valid", &w.master.to_bytes());
    write("slots", "none", &[8, 80, 0]);
    write("slots", "five", &slots());
    for (target, name, bytes) in dyad_fuzz::training::seed_files() {
        write(target, name, &bytes);
    }
    for (name, bytes) in dyad_fuzz::transfers::seed_files() {
        write("transfers", name, &bytes);
    }
}

/// Five values in slots of 90 bits, two to a plaintext.
fn slots() -> Vec<u8> {
    let layout = SlotLayout::new(&WORLD.larger, 8, 80).expect("a layout");
    let values: Vec<Slot> = (1..=5).map(|x| Slot::from_u64(x * 0x1122_3344_5566_7788)).collect();
    let mut bytes = vec![8, 80, 5];
    for m in layout.pack(&values).expect("they fit") {
        let digits = m.to_biguint().to_bytes_be();
        bytes.extend(vec![0; 32 - digits.len()]);
        bytes.extend(digits);
    }
    bytes
}
