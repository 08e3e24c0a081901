//! What these tests share.

use dyad_client::Home;
use dyad_net::Expect;
use dyad_net::member::Member;
use dyad_protos::Role;
use dyad_protos::wire::cloud::v1::cloud_client::CloudClient;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use tonic::transport::Channel;
use tonic::{Code, Status};

/// One after the other: each test has a machine's worth of services.
pub(crate) static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

pub(crate) fn member(folder: &Path, name: &str) -> Member {
    Member::load(&Home::at(folder.join(name)).member(), None).unwrap()
}

pub(crate) fn channel(member: &Member, role: Role) -> Channel {
    let service = member.service(role).unwrap();
    member.tls.channel(&service.address, Expect::role(role)).unwrap()
}

pub(crate) fn cloud(member: &Member, role: Role) -> CloudClient<Channel> {
    CloudClient::new(channel(member, role))
}

pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, Status>, code: Code, words: &str) {
    let status = result.unwrap_err();
    assert_eq!(status.code(), code, "{status:?}");
    assert!(status.message().contains(words), "{words} is not in: {}", status.message());
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// How often a service has refused for this cause, by its metrics.
pub(crate) fn refusals(metrics: &str, cause: &str) -> u64 {
    let label = format!("cause=\"{cause}\"");
    let mut lines = metrics.lines().filter(|line| line.starts_with("dyad_refusals_total{"));
    let line = lines.rfind(|line| line.contains(&label));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
}
