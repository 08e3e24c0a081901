//! What these tests share.

use dyad_client::job::{Prepared, State, Status};
use dyad_protos::Role;
use dyad_tests::scenario::{
    Scenario, Study, approve_all, propose, the_same_model, watch_to_the_end,
};
use dyad_tests::{Processes, Services as _};
use std::time::{Duration, Instant};

/// Tests of this program run one after the other: each has a machine's worth of services.
pub(crate) static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Longer than anything here takes.
const LONG: Duration = Duration::from_mins(2);

/// A training that lasts for some seconds.
pub(crate) fn some_seconds(epochs: u32) -> Scenario {
    let mut scenario = Scenario::new().unwrap();
    scenario.owners = 2;
    scenario.training.epochs = epochs;
    scenario
}

/// A job that all have approved of.
pub(crate) async fn approved(study: &Study, scenario: &Scenario) -> Prepared {
    let prepared = propose(study, scenario).await.unwrap();
    approve_all(study, &prepared).await.unwrap();
    prepared
}

/// How C1 says that it stands; whatever else is down.
pub(crate) async fn standing(study: &Study, prepared: &Prepared) -> Option<[Status; 2]> {
    study.owners[0].job(&prepared.study, &prepared.job.digest()).await.ok()
}

/// Waits until it has come so far.
pub(crate) async fn at_step(study: &Study, prepared: &Prepared, step: u64) {
    let so_far = |[_, c1]: &[Status; 2]| c1.state == State::Running && c1.step >= step;
    until(study, prepared, &format!("step {step}"), so_far).await;
}

/// Waits until both clouds' word on it is such.
pub(crate) async fn until(
    study: &Study,
    prepared: &Prepared,
    what: &str,
    such: impl Fn(&[Status; 2]) -> bool,
) -> [Status; 2] {
    let by = Instant::now() + LONG;
    loop {
        let now = standing(study, prepared).await;
        if let Some(now) = now.clone().filter(&such) {
            return now;
        }
        assert!(Instant::now() < by, "{what} does not come: {now:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until a service has said this, at the end of what it said before.
pub(crate) async fn says(services: &Processes, role: Role, from: usize, words: &str) {
    let by = Instant::now() + LONG;
    loop {
        let log = services.log(role).unwrap();
        if log[from..].contains(words) {
            return;
        }
        assert!(Instant::now() < by, "{role} does not say {words:?}:\n{}", &log[from..]);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// It ends as it would have without all this.
pub(crate) async fn ends_well(study: &Study, prepared: &Prepared) -> Status {
    let ending = tokio::time::timeout(LONG, watch_to_the_end(study, prepared));
    let status = ending.await.expect("it ends").unwrap();
    the_same_model(study, prepared, &status).await.unwrap();
    status
}

/// Ends a service and starts it again.
pub(crate) async fn restart(services: &mut Processes, role: Role) {
    services.kill(role).await.unwrap();
    services.run(role).await.unwrap();
}
