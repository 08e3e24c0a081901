//! Models come in parts.

use crate::client::{Cloud, failed};
use crate::error::{Result, contradiction};
use dyad_protos::limits::PARTS;
use dyad_protos::wire::cloud::v1::Part;
use dyad_protos::wire::cloud::v1::cloud_client::CloudClient;
use std::future::Future;
use std::time::Instant;
use tonic::transport::Channel;
use tonic::{Response, Status, Streaming};

/// No model, with the answers of all members, has more parts.
const MOST: usize = 80 * PARTS as usize;

/// Gathers a stream of parts; from the beginning if it breaks.
pub(crate) async fn gather<F>(
    cloud: &Cloud,
    what: &str,
    call: impl Fn(CloudClient<Channel>) -> F,
) -> Result<Vec<Part>>
where
    F: Future<Output = Result<Response<Streaming<Part>>, Status>>,
{
    let who = format!("{}, asked {what}", cloud.role);
    let until = Instant::now() + cloud.patience;
    let mut backoff = crate::client::backoff();
    loop {
        let mut stream = cloud.ask(what, &call).await?;
        let mut parts = Vec::new();
        let broken = loop {
            match stream.message().await {
                Ok(Some(part)) if parts.len() < MOST => parts.push(part),
                Ok(Some(_)) => return contradiction(format!("{who}: too many parts")),
                Ok(None) => return Ok(parts),
                Err(status) => break failed(&who, &status),
            }
        };
        if !broken.is_transient() || Instant::now() >= until {
            return Err(broken);
        }
        tokio::time::sleep(backoff.delay()).await;
    }
}

/// Bodies, and the parts of each owner's answer.
pub(crate) fn owners(parts: Vec<Part>) -> (Vec<Part>, Vec<(String, Vec<Part>)>) {
    let mut bodies = Vec::new();
    let mut answers: Vec<(String, Vec<Part>)> = Vec::new();
    for part in parts {
        if part.owner.is_empty() {
            bodies.push(part);
        } else if let Some((_, parts)) = answers.iter_mut().find(|(owner, _)| *owner == part.owner)
        {
            parts.push(part);
        } else {
            answers.push((part.owner.clone(), vec![part]));
        }
    }
    (bodies, answers)
}
