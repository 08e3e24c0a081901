//! From a model's answer to the error that is propagated back: the derivative of the loss.
//!
//! ```text
//! squared error   z - y, cut to the errors' scale                            4 rounds
//! softmax         z cut to 16 bits, softmax(z) - y at the errors' scale      4 and softmax's
//! sigmoid         the same with the sigmoid                                  4 and the sigmoid's
//! ```
//!
//! What else is to be cut in a step is cut in the same rounds.

use crate::job::Loss;
use crate::plan::Plan;
use dyad_mpc::engine::Engine;
use dyad_mpc::functions::{sigmoid, softmax};
use dyad_mpc::{Result, Session, Shared, Shift};

/// The finest scale that functions take without cutting themselves.
pub(crate) const LOGITS: u8 = 16;

/// How sums are cut to what functions take.
pub(crate) fn logits(plan: &Plan) -> Shift {
    Shift::nearest(plan.last().sum - LOGITS)
}

/// The error at its scale; and what else is to be cut in the same rounds, cut.
pub(crate) fn error<E: Engine>(
    session: &mut Session<E>,
    plan: &Plan,
    z: &Shared<E>,
    y: &Shared<E>,
    fading: &[(Shared<E>, Shift)],
) -> Result<(Shared<E>, Vec<Shared<E>>)> {
    let scale = plan.job().scales.error;
    let bound = scale + plan.job().ranges.error;
    let mut cuts: Vec<_> = fading.iter().map(|(x, shift)| (x, *shift)).collect();
    let difference;
    cuts.push(match plan.job().loss {
        Loss::SquaredError => {
            difference = self::difference(session, plan, z, y)?;
            (&difference, Shift::nearest(z.scale() - scale))
        }
        Loss::Softmax | Loss::Sigmoid => (z, logits(plan)),
    });
    let mut cut = session.truncate(&cuts)?;
    let last = cut.pop().unwrap_or_else(|| unreachable!("as many out as in"));
    let p = match plan.job().loss {
        Loss::SquaredError => return Ok((session.declare(&last, bound)?, cut)),
        Loss::Softmax => softmax(session, &last, scale)?,
        Loss::Sigmoid => sigmoid(session, &last, scale)?,
    };
    let y = session.raise(y, scale)?;
    let error = session.sub(&p, &y)?;
    Ok((session.declare(&error, bound)?, cut))
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
