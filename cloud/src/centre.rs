//! Telling the key centre that jobs have ended, so that it may destroy their secrets.
//!
//! A few are told at a time. While it cannot be reached one call in a while finds out whether it can
//! be again: no job waits for another's silence, and the log says when it went and when it came back.

use crate::house::House;
use crate::refusal::Refusal;
use dyad_net::retry::Backoff;
use dyad_protos::wire::kgc::v1::EndJobRequest;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Jobs that it is told of at the same time.
const AT_ONCE: usize = 8;
/// It may take so long to answer.
const ANSWERS: Duration = Duration::from_secs(10);
/// Between tries while it is away: from, to.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_mins(1)];

/// Is the key centre there, as far as is known?
pub(crate) struct Centre(Mutex<Away>);

struct Away {
    pause: Backoff,
    /// It did not answer; asked again not before then.
    until: Option<Instant>,
}

impl Default for Centre {
    fn default() -> Self {
        let [first, longest] = PAUSES;
        Self(Mutex::new(Away { pause: Backoff::new(first, longest), until: None }))
    }
}

/// What is to be said of a change.
#[derive(Debug, PartialEq, Eq)]
enum News {
    Gone,
    Back,
    Nothing,
}

impl Centre {
    /// How many may be told now: one alone while it is not known whether it is back.
    fn room(&self, now: Instant) -> usize {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).until {
            None => AT_ONCE,
            Some(until) if until <= now => 1,
            Some(_) => 0,
        }
    }

    fn answered(&self, did: bool, now: Instant) -> News {
        let mut away = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = away.until.is_some();
        if did {
            away.pause.reset();
            away.until = None;
            return if before { News::Back } else { News::Nothing };
        }
        // Several of one lot found it gone: one pause.
        if away.until.is_none_or(|until| until <= now) {
            away.until = Some(now + away.pause.delay());
        }
        if before { News::Nothing } else { News::Gone }
    }
}

impl House {
    /// Tells the key centre of jobs that have ended, as far as it answers. What it was not told of
    /// now is told later.
    pub(crate) async fn tell_centre(self: &Arc<Self>, ended: &[[u8; 32]]) -> Result<(), Refusal> {
        let mut left = ended;
        while !left.is_empty() {
            let room = self.centre.room(Instant::now()).min(left.len());
            if room == 0 {
                return Ok(());
            }
            let (lot, others) = left.split_at(room);
            left = others;
            let mut asking = JoinSet::new();
            for job in lot.iter().copied() {
                let house = Arc::clone(self);
                asking.spawn(async move { (job, house.ended_at_centre(&job).await) });
            }
            while let Some(asked) = asking.join_next().await {
                // One that was cut off is asked again later.
                let Ok((job, told)) = asked else { continue };
                let news = self.centre.answered(told.is_ok(), Instant::now());
                match (&told, news) {
                    (Err(refusal), News::Gone) => tracing::warn!(
                        "the key centre is not told that jobs have ended, until it answers again: \
                         {refusal}"
                    ),
                    (Err(refusal), _) => tracing::debug!("the key centre was not told: {refusal}"),
                    (Ok(()), News::Back) => tracing::info!("the key centre answers again"),
                    (Ok(()), _) => {}
                }
                if told.is_ok() {
                    self.ledger.centre_told(&job, self.now()).await?;
                }
            }
        }
        Ok(())
    }

    /// An error: it is to be told again.
    async fn ended_at_centre(&self, job: &[u8; 32]) -> Result<(), Refusal> {
        let who = &self.me.kgc.identity;
        let mut request = tonic::Request::new(EndJobRequest { job: job.to_vec().into() });
        request.set_timeout(ANSWERS);
        let mut registry = self.me.registry()?;
        let silent = |_| tonic::Status::deadline_exceeded("it does not answer");
        let told = tokio::time::timeout(ANSWERS, registry.end_job(request)).await;
        let told = told.unwrap_or_else(|late| Err(silent(late)));
        match told.map_err(|status| Refusal::of_centre(who, &status)) {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.is_passing() => Err(refusal),
            // Refused for good, it will not be otherwise later.
            Err(refusal) => {
                tracing::warn!("the key centre does not take a job's end: {refusal}");
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_it_is_away_it_is_asked_now_and_then_and_said_once() {
        let centre = Centre::default();
        let mut now = Instant::now();
        assert_eq!(centre.room(now), AT_ONCE);
        // All of a lot find it gone: said once.
        assert_eq!(centre.answered(false, now), News::Gone);
        for _ in 1..AT_ONCE {
            assert_eq!(centre.answered(false, now), News::Nothing);
        }
        assert_eq!(centre.room(now), 0);
        // In an hour it is asked a hundred times at most, one call at a time.
        let (end, mut asked) = (now + Duration::from_hours(1), 0);
        while now < end {
            now += Duration::from_millis(500);
            if centre.room(now) > 0 {
                assert_eq!(centre.room(now), 1);
                assert_eq!(centre.answered(false, now), News::Nothing);
                asked += 1;
            }
        }
        assert!((50..150).contains(&asked), "{asked}");
        assert_eq!(centre.answered(true, now), News::Back);
        assert_eq!(centre.answered(true, now), News::Nothing);
        assert_eq!(centre.room(now), AT_ONCE);
    }
}
