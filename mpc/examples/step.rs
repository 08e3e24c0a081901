use dyad_mpc::engine::{Engine, Transpose};
use dyad_mpc::tensor::Meta;
use dyad_mpc::together::{Input, Lines, Program, cost, shared};
use dyad_mpc::{Result, Session, Shift};
struct Step {
    n: u64,
}
const B: usize = 128;
const ROWS: usize = 1280;
impl Program for Step {
    fn run<E: Engine>(&self, e: &mut Session<E>) -> Result<Vec<E::Opened>> {
        let x = e.input("x", Meta::new(ROWS, 784, 8, 9))?;
        let y = e.input("y", Meta::new(ROWS, 10, 13, 14))?;
        let mut w1 = e.input("w1", Meta::new(784, 128, 29, 31))?;
        let mut w2 = e.input("w2", Meta::new(128, 128, 34, 36))?;
        let mut w3 = e.input("w3", Meta::new(128, 10, 34, 36))?;
        let x = e.prepare(x)?;
        for step in 0..self.n {
            e.step(step + 1)?;
            let rows: Vec<u32> = (0..B as u32).map(|i| (i + 128 * (step % 10) as u32)).collect();
            let xb = e.rows(&x, &rows)?;
            let yb = e.view(&y, &dyad_mpc::tensor::View::Rows(&rows))?;
            let mut m = e.mask(&[&w1, &w2, &w3])?;
            let (m3, m2, m1) = (m.pop().unwrap(), m.pop().unwrap(), m.pop().unwrap());
            let z1 = e.matmul(&xb, &m1, Transpose::None)?;
            let (a1, b1) = e.relu(&[(&z1, Shift::nearest(29 + 8 - 13))])?.pop().unwrap();
            let a1 = e.declare(&a1, 20)?;
            let a1 = e.mask_one(&a1)?;
            let z2 = e.matmul(&a1, &m2, Transpose::None)?;
            let z2 = e.declare(&z2, 60)?;
            let (a2, b2) = e.relu(&[(&z2, Shift::nearest(34))])?.pop().unwrap();
            let a2 = e.declare(&a2, 20)?;
            let a2 = e.mask_one(&a2)?;
            let z3 = e.matmul(&a2, &m3, Transpose::None)?;
            let z3 = e.declare(&z3, 60)?;
            let o = e.truncate_one(&z3, Shift::nearest(34))?;
            let d3 = e.sub(&o, &yb)?;
            let d3 = e.declare(&d3, 18)?;
            let d3 = e.mask_one(&d3)?;
            let g2 = e.matmul(&d3, &m3, Transpose::Second)?;
            let g2 = e.declare(&g2, 60)?;
            let d2 = e.gate(&[(&b2, &g2, Shift::nearest(34))])?.pop().unwrap();
            let d2 = e.declare(&d2, 18)?;
            let d2 = e.mask_one(&d2)?;
            let g1 = e.matmul(&d2, &m2, Transpose::Second)?;
            let g1 = e.declare(&g1, 60)?;
            let d1 = e.gate(&[(&b1, &g1, Shift::nearest(34))])?.pop().unwrap();
            let d1 = e.declare(&d1, 18)?;
            let d1 = e.mask_one(&d1)?;
            let u1 = e.matmul(&xb, &d1, Transpose::First)?;
            let u2 = e.matmul(&a1, &d2, Transpose::First)?;
            let u3 = e.matmul(&a2, &d3, Transpose::First)?;
            let u1 = e.halve(&u1, 8)?;
            let u2 = e.halve(&u2, 8)?;
            let u3 = e.halve(&u3, 8)?;
            w1 = e.sub(&w1, &u1)?;
            w1 = e.declare(&w1, 31)?;
            w2 = e.sub(&w2, &u2)?;
            w2 = e.declare(&w2, 36)?;
            w3 = e.sub(&w3, &u3)?;
            w3 = e.declare(&w3, 36)?;
        }
        e.open(&[&w3], dyad_mpc::engine::Audience::All)
    }
}
fn main() {
    let lines = if std::env::args().nth(1).is_some() { Lines::Memory } else { Lines::Tcp };
    let rnd = |n: usize, bits: u32, k: u64| {
        (0..n as u64)
            .map(|i| {
                ((i.wrapping_add(k)
                    .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                    .rotate_left(17)
                    .wrapping_mul(0xd134_2543_de82_ef95)) as i64
                    >> (63 - bits)) as u64
            })
            .collect::<Vec<_>>()
    };
    let inputs = [
        Input::new("x", Meta::new(ROWS, 784, 8, 9), rnd(ROWS * 784, 8, 1)),
        Input::new("y", Meta::new(ROWS, 10, 13, 14), rnd(ROWS * 10, 13, 2)),
        Input::new("w1", Meta::new(784, 128, 29, 31), rnd(784 * 128, 26, 3)),
        Input::new("w2", Meta::new(128, 128, 34, 36), rnd(128 * 128, 31, 4)),
        Input::new("w3", Meta::new(128, 10, 34, 36), rnd(1280, 31, 5)),
    ];
    let c = |n| cost(&Step { n }).unwrap().0.count();
    println!("{:?}", c(2) - c(1));
    for _ in 0..std::env::args().nth(2).map_or(5, |n| n.parse().unwrap()) {
        let a = shared(&Step { n: 5 }, &inputs, lines).unwrap().seconds;
        let b = shared(&Step { n: 205 }, &inputs, lines).unwrap().seconds;
        println!("{:.2} ms/step", (b - a) / 200.0 * 1e3);
    }
}
