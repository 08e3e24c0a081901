//! From a model's answer to the error that is propagated back: the derivative of the loss.
//!
//! ```text
//! squared error   z - y, cut to the error's scale     4 rounds
//! ```

use crate::check::Plan;
use crate::job::Loss;
use dyad_mpc::engine::Engine;
use dyad_mpc::{Result, Session, Shared, Shift};

/// The error at its scale; and what else is to be cut in the same rounds, cut.
pub(crate) fn error<E: Engine>(
    session: &mut Session<E>,
    plan: &Plan,
    z: &Shared<E>,
    y: &Shared<E>,
    fading: &[(Shared<E>, Shift)],
) -> Result<(Shared<E>, Vec<Shared<E>>)> {
    let job = plan.job();
    let mut cuts: Vec<_> = fading.iter().map(|(x, shift)| (x, *shift)).collect();
    let error = match job.loss {
        Loss::SquaredError => {
            let difference = difference(session, plan, z, y)?;
            cuts.push((&difference, Shift::nearest(z.scale() - job.scales.error)));
            let mut cut = session.truncate(&cuts)?;
            let error = cut.pop().unwrap_or_else(|| unreachable!("as many out as in"));
            return Ok((session.declare(&error, job.scales.error + job.ranges.error)?, cut));
        }
        Loss::Softmax | Loss::Sigmoid => z.clone(),
    };
    let cut = if cuts.is_empty() { Vec::new() } else { session.truncate(&cuts)? };
    Ok((error, cut))
}

/// z - y at z's scale.
pub(crate) fn difference<E: Engine>(
    session: &mut Session<E>,
    plan: &Plan,
    z: &Shared<E>,
    y: &Shared<E>,
) -> Result<Shared<E>> {
    let y = session.raise(y, z.scale() - plan.job().scales.label)?;
    let difference = session.sub(z, &y)?;
    session.declare(&difference, plan.last().sum_bound)
}
