//! C0, as C1 asks it.

use bytes::Bytes;
use dyad_cloud::attempt::wire_checkpoint;
use dyad_cloud::house::House;
use dyad_cloud::refusal::{Cause, Refusal, refuse};
use dyad_cloud::trust::Frozen;
use dyad_mpc::prg::Attempt;
use dyad_net::identity::{Fingerprint, Identity, Role};
use dyad_net::{Expect, Line, Tls};
use dyad_protos::limits::{CIPHERTEXTS, STREAM_MESSAGE};
use dyad_protos::wire::peer::v1::auxiliary_client::AuxiliaryClient;
use dyad_protos::wire::peer::v1::{
    AttemptReply, AttemptRequest, CompareReply, CompareRequest, GiveUpRequest, SealRequest,
    SignRequest, StandingReply, StartRequest, TransformPart,
};
use tonic::transport::Channel;

/// A connection to the C0 of a study: its very key.
pub(crate) struct C0 {
    client: AuxiliaryClient<Channel>,
    tls: Tls,
    address: String,
    expect: Expect,
}

impl C0 {
    pub(crate) fn of(house: &House, study: &Frozen) -> Result<Self, Refusal> {
        let frozen = &study.study.c0;
        let address = house.me.service(Role::C0)?.address;
        let identity = Identity::new(Role::C0, frozen.name.clone());
        let expect = Expect::identity(identity);
        let expect = expect.pinned(Fingerprint::from_bytes(frozen.fingerprint.0));
        let channel = house.me.tls.channel(&address, expect.clone())?;
        let client = AuxiliaryClient::new(channel)
            .max_decoding_message_size(STREAM_MESSAGE)
            .max_encoding_message_size(STREAM_MESSAGE);
        Ok(Self { client, tls: house.me.tls.clone(), address, expect })
    }

    /// A line for a link.
    pub(crate) fn line(&self) -> Result<Line, Refusal> {
        Ok(self.tls.line(&self.address, self.expect.clone())?)
    }

    pub(crate) async fn attempt(
        &self,
        job: &[u8; 32],
        nonce: [u8; 16],
        checkpoints: &[(Attempt, u64)],
    ) -> Result<AttemptReply, Refusal> {
        let checkpoints = checkpoints.iter().map(|(of, step)| wire_checkpoint(of, *step));
        let request = AttemptRequest {
            job: job.to_vec().into(),
            nonce: nonce.to_vec().into(),
            checkpoints: checkpoints.collect(),
            release: env!("CARGO_PKG_VERSION").to_owned(),
        };
        Ok(self.client.clone().attempt(request).await?.into_inner())
    }

    pub(crate) async fn transform(
        &self,
        parts: impl tokio_stream::Stream<Item = TransformPart> + Send + 'static,
    ) -> Result<(), Refusal> {
        self.client.clone().transform(parts).await?;
        Ok(())
    }

    pub(crate) async fn start(&self, attempt: [u8; 32]) -> Result<(), Refusal> {
        let request = StartRequest { attempt: attempt.to_vec().into() };
        self.client.clone().start(request).await?;
        Ok(())
    }

    pub(crate) async fn standing(&self, attempt: [u8; 32]) -> Result<StandingReply, Refusal> {
        let request = StartRequest { attempt: attempt.to_vec().into() };
        Ok(self.client.clone().standing(request).await?.into_inner())
    }

    /// Enc_h(share_0), as it came: no more parts than so many ciphertexts need.
    pub(crate) async fn seal(
        &self,
        model: &Attempt,
        step: u64,
        count: usize,
    ) -> Result<Vec<Bytes>, Refusal> {
        let named = wire_checkpoint(model, step);
        let request = SealRequest { job: model.job.to_vec().into(), model: Some(named) };
        let mut stream = self.client.clone().seal(request).await?.into_inner();
        let mut parts = Vec::new();
        while let Some(part) = stream.message().await? {
            if part.index as usize != parts.len() || parts.len() >= count.div_ceil(CIPHERTEXTS) {
                return refuse(Cause::Message, "parts of C0's share are out of order, or too many");
            }
            parts.push(part.ciphertexts);
        }
        Ok(parts)
    }

    pub(crate) async fn sign(
        &self,
        model: &Attempt,
        step: u64,
        release: [u8; 32],
    ) -> Result<Vec<u8>, Refusal> {
        let request = SignRequest {
            job: model.job.to_vec().into(),
            release: release.to_vec().into(),
            model: Some(wire_checkpoint(model, step)),
        };
        Ok(self.client.clone().sign(request).await?.into_inner().signature.to_vec())
    }

    pub(crate) async fn compare(&self, request: CompareRequest) -> Result<CompareReply, Refusal> {
        Ok(self.client.clone().compare(request).await?.into_inner())
    }

    pub(crate) async fn give_up(&self, job: &[u8; 32], reason: &str) -> Result<(), Refusal> {
        let request = GiveUpRequest { job: job.to_vec().into(), reason: reason.to_owned() };
        self.client.clone().give_up(request).await?;
        Ok(())
    }
}
