//! One connection of a session: what goes out as an HTTP body, what comes in from one.

use super::codec::{Decoder, Encoder};
use super::session::{Attachment, Next, Session};
use bytes::Bytes;
use dyad_protos::wire::link::v1::{Hello, packet::Kind};
use http::HeaderMap;
use http_body::{Body as _, Frame as Part};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::Status;
use tonic::body::Body;

/// What this end says. It ends with the connection's place in the session.
pub(super) struct Outgoing {
    id: [u8; 32],
    session: Arc<Session>,
    attachment: Attachment,
    encoder: Encoder,
    /// A server's body ends with a status.
    server: bool,
    ended: bool,
}

impl Outgoing {
    pub(super) fn new(
        id: [u8; 32],
        session: Arc<Session>,
        attachment: Attachment,
        server: bool,
    ) -> Self {
        Self { id, session, attachment, encoder: Encoder::default(), server, ended: false }
    }
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Part<Bytes>, Status>>> {
        let this = self.get_mut();
        while !this.ended && !this.encoder.is_full() {
            match this.session.next(this.attachment, context.waker()) {
                None => break,
                Some(Next::End) => this.ended = true,
                Some(next) => this.encoder.add(next, &this.id),
            }
        }
        if let Some(piece) = this.encoder.piece() {
            return Poll::Ready(Some(Ok(Part::data(piece))));
        }
        if !this.ended {
            return Poll::Pending;
        }
        if std::mem::take(&mut this.server) {
            let mut trailers = HeaderMap::new();
            return Poll::Ready(Some(
                Status::ok("").add_header(&mut trailers).map(|()| Part::trailers(trailers)),
            ));
        }
        Poll::Ready(None)
    }
}

/// What the other end says.
pub(super) struct Incoming {
    body: Body,
    decoder: Decoder,
}

impl Incoming {
    pub(super) fn new(body: Body) -> Self {
        Self { body, decoder: Decoder::default() }
    }

    /// The next packet. None at the end.
    async fn next(&mut self) -> Result<Option<Kind>, Status> {
        loop {
            let wrong = |why| Status::invalid_argument(format!("on the link: {why}"));
            if let Some(kind) = self.decoder.next().map_err(wrong)? {
                return Ok(Some(kind));
            }
            let body = &mut self.body;
            match poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
                None => return Ok(None),
                Some(Err(status)) => return Err(status),
                Some(Ok(part)) => match part.into_data() {
                    Ok(data) => self.decoder.push(data),
                    Err(part) => {
                        let status = part.into_trailers().ok();
                        match status.as_ref().and_then(Status::from_header_map) {
                            Some(status) if status.code() != tonic::Code::Ok => return Err(status),
                            _ => return Ok(None),
                        }
                    }
                },
            }
        }
    }

    /// The other end's Hello, which comes first.
    pub(super) async fn hello(&mut self) -> Result<Hello, Status> {
        match self.next().await? {
            Some(Kind::Hello(hello)) if hello.version == super::codec::VERSION => Ok(hello),
            Some(Kind::Hello(hello)) => Err(Status::failed_precondition(format!(
                "the peer speaks version {} of the link, this side {}; run the same release",
                hello.version,
                super::codec::VERSION
            ))),
            Some(_) => Err(Status::invalid_argument("on the link: expected Hello first")),
            None => Err(Status::unavailable("the peer left before it said Hello")),
        }
    }

    /// Takes what comes until the connection ends or its place is taken.
    pub(super) async fn run(
        mut self,
        session: &Session,
        attachment: Attachment,
    ) -> Result<(), Status> {
        let wrong = |why| Status::invalid_argument(format!("on the link: {why}"));
        while let Some(kind) = self.next().await? {
            match kind {
                Kind::Frame(frame) => {
                    if !session.frame(attachment, frame.number, frame.payload).map_err(wrong)? {
                        return Ok(());
                    }
                }
                Kind::Ack(ack) => session.ack(attachment, ack.received).map_err(wrong)?,
                Kind::Bye(_) => session.bye(attachment),
                Kind::Hello(_) => return Err(wrong("Hello twice".to_owned())),
            }
        }
        Ok(())
    }
}
