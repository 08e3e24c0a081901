//! `cryprot-ot`: semi-honest extension, random transfers of 128 bits, both ends. Seconds are those
//! all threads of the process spend on a core, as `dyad-bench ot.extension` counts them.
//!
//! ```text
//! cargo run --release --manifest-path bench/rivals/Cargo.toml
//! ```

use cryprot_core::alloc::HugePageMemory;
use cryprot_net::testing::local_conn;
use cryprot_ot::extension::{SemiHonestOtExtensionReceiver, SemiHonestOtExtensionSender};
use cryprot_ot::{RotReceiver, RotSender, random_choices};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::error::Error;
use std::fs;

/// Transfers in a batch.
const COUNT: usize = 1 << 22;
const RUNS: u64 = 9;

/// Seconds that this process' threads spent on a core.
fn spent() -> Result<f64, Box<dyn Error>> {
    let mut all = 0.0;
    for thread in fs::read_dir("/proc/self/task")? {
        let count = fs::read_to_string(thread?.path().join("schedstat"))?;
        all += count.split_whitespace().next().unwrap_or("0").parse::<f64>()? * 1e-9;
    }
    Ok(all)
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let (mut here, mut there) = local_conn().await?;
    let mut times = vec![];
    for run in 0..RUNS {
        let mut rng = StdRng::seed_from_u64(run);
        let choices = random_choices(COUNT, &mut rng);
        let other = StdRng::seed_from_u64(run + 1000);
        let mut sender = SemiHonestOtExtensionSender::new_with_rng(here.sub_connection(), rng);
        let mut receiver =
            SemiHonestOtExtensionReceiver::new_with_rng(there.sub_connection(), other);
        tokio::try_join!(sender.do_base_ots(), receiver.do_base_ots())?;
        let (mut sent, mut taken) = (HugePageMemory::zeroed(COUNT), HugePageMemory::zeroed(COUNT));
        let before = spent()?;
        let (sent, taken) = tokio::join!(
            tokio::spawn(async move { sender.send_into(&mut sent).await.map(|()| sent) }),
            tokio::spawn(async move {
                receiver.receive_into(&mut taken, &choices).await.map(|()| taken)
            }),
        );
        times.push(spent()? - before);
        drop((sent?, taken?));
    }
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    println!("cryprot-ot {COUNT}, both ends, one core: {:.1} M/s", COUNT as f64 / median / 1e6);
    Ok(())
}
