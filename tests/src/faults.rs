//! What happens to whom, and when: faults as data.

use crate::line::Weather;
use dyad_protos::Role;
use std::fmt;

/// A moment in a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    /// So many milliseconds after uploads have begun.
    Uploading(u64),
    /// So many milliseconds after the last approval.
    Approved(u64),
    /// When this step is seen.
    Step(u64),
    /// So many milliseconds after the model was seen trained or sealed.
    Sealing(u64),
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It is killed, and started again.
    Killed,
    /// The line to it is not what it was.
    Line(Weather),
}

/// Something happens to a service, for so many milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// To whom.
    pub who: Role,
    /// What.
    pub what: What,
    /// When.
    pub when: When,
    /// For so many milliseconds.
    pub down: u64,
}

impl Fault {
    /// A service is killed, and started again after so many milliseconds.
    #[must_use]
    pub const fn killed(who: Role, when: When, down: u64) -> Self {
        Self { who, what: What::Killed, when, down }
    }

    /// The line to a service is such for so many milliseconds.
    #[must_use]
    pub const fn line(who: Role, weather: Weather, when: When, down: u64) -> Self {
        Self { who, what: What::Line(weather), when, down }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { who, what, when, down } = self;
        match what {
            What::Killed => write!(f, "{who} dies at {when:?}, for {down} ms"),
            What::Line(weather) => {
                write!(f, "the line to {who} is {weather:?} at {when:?}, for {down} ms")
            }
        }
    }
}

/// A plan drawn from a seed: the same seed, the same plan.
#[must_use]
pub fn drawn(seed: u64, steps: u64) -> Vec<Fault> {
    // SplitMix64 (Steele, Lea, Flood): enough to choose by, and the same everywhere.
    let mut state = seed;
    let mut draw = move |below: u64| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    };
    let count = 1 + draw(4);
    let fault = |_| {
        let who = [Role::Kgc, Role::C0, Role::C1][draw(3) as usize];
        let when = match draw(6) {
            0 => When::Uploading(draw(400)),
            1 => When::Approved(draw(300)),
            2 => When::Sealing(draw(300)),
            _ => When::Step(draw(steps)),
        };
        let what = match draw(6) {
            0 => What::Line(Weather::Cut),
            1 => What::Line(Weather::Held),
            2 => What::Line(Weather::Slow(20_000 + draw(1_000_000) as u32)),
            _ => What::Killed,
        };
        // Lines may be bad for longer than a kill lasts: also for longer than anybody's patience.
        let down = if what == What::Killed { draw(800) } else { draw(4000) };
        Fault { who, what, when, down }
    };
    let mut faults: Vec<_> = (0..count).map(fault).collect();
    faults.sort_by_key(|fault| fault.when);
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_plan() {
        assert_eq!(drawn(7, 100), drawn(7, 100));
        assert!((0..100).any(|seed| drawn(seed, 100).len() > 1));
        let all: Vec<_> = (0..100).flat_map(|seed| drawn(seed, 100)).collect();
        assert!(all.iter().any(|fault| fault.what == What::Killed));
        assert!(all.iter().any(|fault| fault.what == What::Line(Weather::Held)));
    }
}
