//! What happens to whom, and when: faults as data.

use crate::line::Weather;
use dyad_protos::Role;
use std::fmt;

/// A moment in a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    /// So many milliseconds after C0 was started for the first time, or after what went before.
    HandOver(u64),
    /// So many milliseconds after uploads have begun.
    Uploading(u64),
    /// So many milliseconds after the last approval.
    Approved(u64),
    /// When this step is seen.
    Step(u64),
    /// So many milliseconds after the model was seen trained or sealed.
    Sealing(u64),
    /// When the model is there to be fetched.
    Fetching,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It is killed, and started again.
    Killed,
    /// The line to it is not what it was.
    Line(Weather),
    /// There is no room left where it writes.
    Full,
    /// Its clock is so many seconds ahead, or behind.
    Clock(i64),
    /// It stands still, and goes on as if no time had passed.
    Paused,
    /// What it has stored becomes again what it was when this began.
    SetBack,
}

/// Something happens to a service, for so many milliseconds; or to an owner's command, after so
/// many.
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
            What::Killed if *who == Role::Owner => {
                write!(f, "owners' commands at {when:?} die after {down} ms")
            }
            What::Killed => write!(f, "{who} dies at {when:?}, for {down} ms"),
            What::Line(weather) => {
                write!(f, "the line to {who} is {weather:?} at {when:?}, for {down} ms")
            }
            What::Full => write!(f, "the disk of {who} is full at {when:?}, for {down} ms"),
            What::Clock(ahead) => {
                write!(f, "the clock of {who} is {ahead} s ahead at {when:?}, for {down} ms")
            }
            What::Paused => write!(f, "{who} stands still at {when:?}, for {down} ms"),
            What::SetBack => write!(f, "{who} is set back to {when:?}, {down} ms later"),
        }
    }
}

/// Numbers that follow from a seed.
struct Dice(u64);

impl Dice {
    /// SplitMix64 (Steele, Lea, Flood): enough to choose by, and the same everywhere.
    const fn draw(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.draw(of.len() as u64) as usize]
    }

    fn fault(&mut self, steps: u64) -> Fault {
        let who =
            self.one(&[Role::Kgc, Role::Kgc, Role::C0, Role::C0, Role::C1, Role::C1, Role::Owner]);
        if who == Role::Owner {
            let when = match self.draw(5) {
                0 => When::Uploading(0),
                1 => When::Approved(0),
                2 => When::Step(self.draw(steps)),
                3 => When::Sealing(0),
                _ => When::Fetching,
            };
            return Fault::killed(who, when, self.draw(400));
        }
        let when = match self.draw(9) {
            0 => When::Uploading(self.draw(400)),
            1 => When::Approved(self.draw(300)),
            2 | 3 => When::Sealing(self.draw(300)),
            // C1 has no part in it.
            4 if who != Role::C1 => When::HandOver(self.draw(60)),
            _ => When::Step(self.draw(steps)),
        };
        let what = match self.draw(12) {
            0 => What::Line(Weather::Cut),
            1 => What::Line(Weather::Held),
            2 => What::Line(Weather::Slow(20_000 + self.draw(1_000_000) as u32)),
            // There is nothing yet that could be full, wrong or older.
            3..=6 if matches!(when, When::HandOver(_)) => What::Paused,
            3 => What::Full,
            4 => What::Clock(self.one(&[-6 * HOUR, 6 * HOUR, 8 * DAY, 100 * DAY])),
            5 | 6 => What::SetBack,
            7 => What::Paused,
            _ => What::Killed,
        };
        // Lines may be bad for longer than a kill lasts: also for longer than anybody's patience.
        let down = match what {
            What::Killed => self.draw(800),
            What::Line(_) | What::Paused => self.draw(4000),
            _ => 200 + self.draw(1800),
        };
        Fault { who, what, when, down }
    }
}

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// A plan drawn from a seed: the same seed, the same plan. At most one store is set back: of what two
/// have forgotten nobody can know.
#[must_use]
pub fn drawn(seed: u64, steps: u64) -> Vec<Fault> {
    let mut dice = Dice(seed);
    let count = 1 + dice.draw(4);
    let mut faults: Vec<_> = (0..count).map(|_| dice.fault(steps)).collect();
    let mut set_back = false;
    for fault in &mut faults {
        if fault.what == What::SetBack && std::mem::replace(&mut set_back, true) {
            fault.what = What::Killed;
        }
    }
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
        let all: Vec<_> = (0..300).flat_map(|seed| drawn(seed, 100)).collect();
        // Everything that there is comes.
        for what in
            [What::Killed, What::Full, What::Paused, What::SetBack, What::Line(Weather::Cut)]
        {
            assert!(all.iter().any(|fault| fault.what == what), "{what:?}");
        }
        assert!(all.iter().any(|fault| matches!(fault.what, What::Clock(ahead) if ahead < 0)));
        for when in [When::Fetching, When::Uploading(0)] {
            assert!(all.iter().any(|fault| fault.when == when && fault.who == Role::Owner));
        }
        for who in [Role::Kgc, Role::C0] {
            let handed = |fault: &Fault| matches!(fault.when, When::HandOver(_));
            assert!(all.iter().any(|fault| handed(fault) && fault.who == who), "{who}");
        }
        let twice = |seed| {
            let plan = drawn(seed, 100);
            plan.iter().filter(|fault| fault.what == What::SetBack).count() > 1
        };
        assert!(!(0..1000).any(twice));
    }
}
