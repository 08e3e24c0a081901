//! How much heavy work is done for owners at a time: matching rows, and looking at proposals. What
//! is beyond is not queued, where it would be in memory and keep others waiting: it is told to come
//! again, and an owner's program does.

use crate::refusal::{Cause, Refusal, refuse};
use dyad_protos::Name;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// For all owners together.
pub const AT_ONCE: usize = 8;
/// For one of them.
pub const OF_AN_OWNER: usize = 2;

/// Who has heavy work done. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Busy(Arc<Mutex<HashMap<Name, usize>>>);

/// A place: gone, another can have it.
#[derive(Debug)]
pub(crate) struct Place {
    busy: Busy,
    owner: Name,
}

impl Busy {
    fn taken(&self) -> MutexGuard<'_, HashMap<Name, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for this owner, if there is one.
    pub(crate) fn place(&self, owner: &Name) -> Result<Place, Refusal> {
        let mut taken = self.taken();
        let (all, own) = (taken.values().sum::<usize>(), taken.get(owner).copied().unwrap_or(0));
        if own >= OF_AN_OWNER {
            let what = format!(
                "{own} matchings or proposals of {owner} are being looked at, and {OF_AN_OWNER} may \
                 be at a time: busy, try again"
            );
            return refuse(Cause::Busy, what);
        }
        if all >= AT_ONCE {
            let what =
                format!("{all} matchings and proposals are being looked at: busy, try again");
            return refuse(Cause::Busy, what);
        }
        taken.insert(owner.clone(), own + 1);
        Ok(Place { busy: self.clone(), owner: owner.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.busy.taken();
        match taken.get_mut(&self.owner) {
            Some(own) if *own > 1 => *own -= 1,
            _ => {
                taken.remove(&self.owner);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn so_many_of_one_and_so_many_in_all() {
        let busy = Busy::default();
        let owner = |i: usize| format!("owner-{i}").parse::<Name>().unwrap();
        let mut places = Vec::new();
        for i in 0..AT_ONCE / OF_AN_OWNER {
            for _ in 0..OF_AN_OWNER {
                places.push(busy.place(&owner(i)).unwrap());
            }
            let refused = busy.place(&owner(i)).unwrap_err();
            assert!(refused.cause == Cause::Busy && refused.what.contains("of owner-"));
        }
        let refused = busy.place(&owner(99)).unwrap_err();
        assert!(refused.what.contains("8 matchings and proposals"), "{refused}");
        places.pop();
        busy.place(&owner(99)).unwrap();
        drop(places);
        assert!(busy.taken().is_empty());
    }
}
