//! The master key: fetched from the key centre once, acknowledged, kept.
//!
//! Order: it is stored here, durably, before the key centre is told, which then destroys its own.
//! Whatever dies in between, the key is at one of the two at least.

use crate::Net;
use anyhow::Context as _;
use dyad_bcp::{MasterKey, PublicParams};
use dyad_net::contexts;
use dyad_net::keyfile::{read_locked, write_locked};
use dyad_net::member::{Member, failed};
use dyad_net::retry::{Backoff, Fault, classify};
use dyad_protos::master_key_digest;
use dyad_protos::wire::kgc::v1::{HandOverDoneRequest, HandOverRequest};
use std::path::Path;
use std::time::Duration;
use zeroize::Zeroizing;

const FILE: &str = "master.key";

/// Reads it, or waits for the key centre to hand it over.
pub async fn fetch(
    me: &Member,
    params: &PublicParams,
    passphrase: Option<&str>,
) -> anyhow::Result<MasterKey> {
    let path = me.dir().join(FILE);
    if !path.exists() {
        let bytes = ask(me).await?;
        write_locked(&path, &bytes, passphrase)?;
    }
    let (master, bytes) = read(&path, passphrase, params)?;
    // Told again after every start: it may have died before it told.
    acknowledge(me, &bytes).await;
    Ok(master)
}

fn read(
    path: &Path,
    passphrase: Option<&str>,
    params: &PublicParams,
) -> anyhow::Result<(MasterKey, Zeroizing<Vec<u8>>)> {
    let bytes = read_locked(path, passphrase)?;
    let master = MasterKey::from_bytes(params, &bytes)
        .with_context(|| format!("{} is not the master key of these parameters", path.display()))?;
    Ok((master, bytes))
}

/// Asks until it is answered: services start in any order.
async fn ask(me: &Member) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let mut pause = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    loop {
        let asked = me.registry()?.hand_over(HandOverRequest {}).await;
        match asked {
            Ok(reply) => {
                let sealed = reply.into_inner().sealed;
                let context = contexts::master_key(&me.kgc.identity.name, &me.identity.name);
                return Ok(me.seal.open(&context, &sealed)?);
            }
            Err(status) if classify(&status) == Fault::Transient => {
                tracing::info!("waiting for the key centre: {}", status.message());
                tokio::time::sleep(pause.delay()).await;
            }
            Err(status) => return Err(failed(&me.kgc.identity, &status).into()),
        }
    }
}

async fn acknowledge(me: &Member, bytes: &[u8]) {
    let request = HandOverDoneRequest { digest: master_key_digest(bytes).to_vec().into() };
    let told = async {
        let told: Net<_> = me.registry();
        told?.hand_over_done(request).await.map_err(|status| failed(&me.kgc.identity, &status))
    };
    if let Err(error) = told.await {
        tracing::warn!("the key centre does not know yet that the master key is here: {error}");
    }
}
