//! Figures of oblivious transfers: what both ends do, one after the other on one core.

use crate::figure::Figure;
use crate::measure::{core_seconds, median, on_one_core};
use crate::{Bench, Done, Show};
use dyad_mpc::prg::{Attempt, Party as Side};
use dyad_mpc::transfer::{Context, Receiver, Refused, Sender};

pub(crate) const BENCHES: &[Bench] = &[
    Bench {
        name: "ot.extension",
        about: "random transfers of 128 bits: sender and receiver, on one core together",
        run: extension,
    },
    Bench { name: "ot.base", about: "base transfers of one direction, both ends", run: base },
];

/// Transfers in a batch.
const COUNT: usize = 1 << 22;
/// Times a figure is taken.
const RUNS: usize = 9;

/// Both ends of one direction. They are one process's, so what one sends the other can take.
fn ends() -> Result<(Sender, Receiver), Refused> {
    let attempt = Attempt { job: [0; 32], nonces: [[0; 16]; 2] };
    let context = Context::new(&attempt, Side::Zero);
    let (begun, asks) = Sender::begin(&context);
    let (receiver, answer) = Receiver::begin(&context, &asks)?;
    Ok((begun.finish(&asks, &answer)?, receiver))
}

fn extension(show: Show<'_>) -> Done {
    let (mut sender, mut receiver) = ends()?;
    let bits: Vec<u64> =
        (1..=COUNT as u64 / 64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
    let [mut mine, mut zero, mut one] = [vec![0; COUNT], vec![0; COUNT], vec![0; COUNT]];
    let mut sent = 0;
    let mut times = [vec![], vec![]];
    for _ in 0..RUNS {
        let (receiving, rows) = on_one_core(|| {
            core_seconds(|| {
                let (message, rows) = receiver.ask(&bits);
                rows.keys(0..COUNT, 1, &mut mine);
                message
            })
        })?;
        sent = 8 * rows.len();
        let (sending, done) = on_one_core(|| {
            core_seconds(|| {
                let rows = sender.answer(&rows, bits.len())?;
                rows.keys(0..COUNT, 1, &mut zero);
                rows.other_keys(0..COUNT, 1, &mut one);
                Ok::<_, Refused>(())
            })
        })?;
        done?;
        times[0].push(receiving);
        times[1].push(sending);
    }
    // A figure of what does not work is none.
    let chosen = |i: usize| if bits[i / 64] >> (i % 64) & 1 == 1 { one[i] } else { zero[i] };
    if let Some(i) = (0..COUNT).find(|i| mine[*i] != chosen(*i)) {
        return Err(format!("transfer {i} gives another key than was chosen").into());
    }
    let [receiving, sending] = &mut times;
    let mut both: Vec<f64> = receiving.iter().zip(&*sending).map(|(r, s)| r + s).collect();
    for (params, seconds) in [
        ("both ends", median(&mut both)),
        ("the receiver's", median(receiving)),
        ("the sender's", median(sending)),
    ] {
        show(Figure {
            bench: "ot.extension",
            params: format!("{COUNT}, {params}, one core"),
            value: COUNT as f64 / seconds / 1e6,
            unit: "M/s",
            bytes_sent: Some(sent as u64),
            ..Figure::default()
        })?;
    }
    Ok(())
}

fn base(show: Show<'_>) -> Done {
    let mut times = vec![];
    for _ in 0..RUNS {
        let (seconds, ends) = core_seconds(ends);
        ends?;
        times.push(seconds);
    }
    show(Figure {
        bench: "ot.base",
        params: "128, both ends, one core".to_owned(),
        value: median(&mut times),
        unit: "s",
        ..Figure::default()
    })
}
