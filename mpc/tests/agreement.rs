//! Programs that differ in what no frame shows: the three compare what they did, and whoever did
//! otherwise is named, with the step.
#![allow(clippy::unwrap_used)]

mod common;

use common::setup;
use dyad_mpc::engine::{Audience, Engine};
use dyad_mpc::prg::Party as Side;
use dyad_mpc::tensor::Meta;
use dyad_mpc::together::{self, Input, Lines, Program, Setup, clear, cost, shares, three};
use dyad_mpc::{Error, Opened, Result, Session};
use std::time::Duration;

/// The second factor is x or y; shapes, scales and frames are the same.
#[derive(Clone, Copy)]
struct Wired {
    square: bool,
}

const META: Meta = Meta::new(2, 3, 10, 20);

impl Program for Wired {
    fn run<E: Engine>(&self, e: &mut Session<E>) -> Result<Vec<E::Opened>> {
        let (x, y) = (e.input("x", META)?, e.input("y", META)?);
        e.step(6)?;
        let masked = e.mask(&[&x, &y])?;
        let second = &masked[usize::from(!self.square)];
        let z = e.multiply(&masked[0], second)?;
        e.step(7)?;
        e.agree()?;
        e.open(&[&z], Audience::All)
    }
}

fn inputs() -> [Input; 2] {
    ["x", "y"].map(|name| Input::new(name, META, (5..11).collect()))
}

/// How each ends.
type Ended = ([Result<Vec<Opened>>; 2], Result<u64>);

/// What comes of it if the dealer, C0 and C1 run these, and all believe in one contract.
fn run(dealer: bool, clouds: [bool; 2]) -> Ended {
    let mut setup = setup(shares(&inputs()));
    setup.limit = Duration::from_secs(5);
    let contract = &setup.contract(cost(&Wired { square: clouds[1] }).unwrap().1);
    let deal = |mut engine: dyad_mpc::Dealer| {
        engine.greet(contract)?;
        let mut session = Session::new(engine);
        Wired { square: dealer }.run(&mut session)?;
        session.into_engine().finish()
    };
    let cloud = |side: Side, mut party: dyad_mpc::Party| {
        party.greet(contract)?;
        Wired { square: clouds[side.index()] }.run(&mut Session::new(party))
    };
    three(setup, deal, cloud)
}

#[test]
fn three_that_did_the_same_agree() {
    let expected = clear(&Wired { square: false }, &inputs()).unwrap();
    let (clouds, dealer) = run(false, [false, false]);
    for end in clouds {
        assert_eq!(end.unwrap(), expected);
    }
    assert_eq!(dealer.unwrap(), cost(&Wired { square: false }).unwrap().0.count().dealt);
}

#[test]
fn a_cloud_that_wired_its_tensors_otherwise_is_noticed() {
    for clouds in [[true, false], [false, true]] {
        let ([zero, one], dealer) = run(clouds[1], clouds);
        let text = one.unwrap_err().to_string();
        assert!(text.contains("C1, job abababab, step 7"), "{text}");
        assert!(text.contains("C0 runs trace") && text.contains("the same release"), "{text}");
        let text = zero.unwrap_err().to_string();
        assert!(text.contains("C0, job abababab, step 7") && text.contains("C1 runs"), "{text}");
        // It dealt what C1 asked for.
        dealer.unwrap();
    }
}

/// Its corrections fit no product of the clouds', and every frame of it fits.
#[test]
fn a_dealer_that_wired_its_tensors_otherwise_is_noticed() {
    for dealer in [true, false] {
        let ([zero, one], dealt) = run(dealer, [!dealer; 2]);
        let text = one.unwrap_err().to_string();
        assert!(text.contains("C1, job abababab, step 7"), "{text}");
        assert!(text.contains("the dealer runs trace"), "{text}");
        // The dealer, which is told C1's, learns of it too.
        let text = dealt.unwrap_err().to_string();
        assert!(text.contains("dealer, job abababab, step 7: C1 runs trace"), "{text}");
        // C0 opened nothing and has nothing to store.
        assert!(matches!(zero.unwrap_err(), Error::Link { .. }));
    }
}

/// Longer than any clock reaches: what one gives who does not want to be hurried.
#[test]
fn a_limit_may_be_as_long_as_one_likes() {
    let program = Wired { square: false };
    let expected = clear(&program, &inputs()).unwrap();
    for lines in [Lines::Memory, Lines::Tcp] {
        let mut setup = Setup::new(&inputs(), lines).unwrap();
        setup.limit = Duration::MAX;
        let outcomes = together::run(&program, cost(&program).unwrap().1, setup);
        for end in outcomes.clouds {
            assert_eq!(end.unwrap().0, expected);
        }
        outcomes.dealer.unwrap();
    }
}
