//! The end that is connected to: a service that hands connections to the links that expect them.

use super::pump::{Incoming, Outgoing};
use super::session::{Ended, Session};
use super::{Driver, GrpcLink, OWN_LINE};
use crate::steer::Steered;
use crate::tls::{Expect, Home};
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, header};
use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::time::timeout;
use tonic::body::Body;
use tonic::{Code, Status};

/// How long a peer that is early waits for its session to be expected.
pub const EARLY: Duration = Duration::from_secs(5);

/// How long a link that was dropped still tries to hand over what was sent.
pub const LINGER: Duration = Duration::from_secs(10);

/// So that the last words leave before the connection does.
const LAST_WORDS: Duration = Duration::from_millis(100);

const PATH: &str = "/dyad.link.v1.Link/Attach";

pub(super) fn path() -> PathAndQuery {
    PathAndQuery::from_static(PATH)
}

/// Links that are expected. Cheap to clone; clones share everything.
#[derive(Clone, Default)]
pub struct LinkHub(Arc<Hub>);

#[derive(Default)]
struct Hub {
    expected: Mutex<HashMap<[u8; 32], Entry>>,
    /// A session has been added.
    added: Notify,
}

#[derive(Clone)]
struct Entry {
    session: Arc<Session>,
    peer: Expect,
    steered: Steered,
}

impl Hub {
    fn expected(&self) -> MutexGuard<'_, HashMap<[u8; 32], Entry>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session, as soon as it is expected.
    async fn find(&self, id: &[u8; 32]) -> Entry {
        loop {
            let added = self.added.notified();
            let mut added = std::pin::pin!(added);
            added.as_mut().enable();
            if let Some(entry) = self.expected().get(id) {
                return entry.clone();
            }
            added.await;
        }
    }

    fn remove(&self, id: &[u8; 32], session: &Arc<Session>) {
        let mut expected = self.expected();
        if expected.get(id).is_some_and(|entry| Arc::ptr_eq(&entry.session, session)) {
            expected.remove(id);
        }
    }
}

/// What a dropped link still does: hand over what was sent, say Bye, and then this.
pub(super) fn farewell(
    session: &Arc<Session>,
    then: impl FnOnce(&Arc<Session>) + Send + 'static,
) -> impl FnOnce(&Steered) + Send + 'static {
    let session = session.clone();
    move |steered| {
        let over = |waker: &Waker| session.is_over(waker).then_some(());
        if steered.drive(Some(Instant::now() + LINGER), over).is_none() {
            tracing::debug!("a link's last frames were not taken within {LINGER:?}");
        }
        then(&session);
        // So that the last words leave before the connection does.
        let never = steered.drive(Some(Instant::now() + LAST_WORDS), |_| None::<Infallible>);
        debug_assert!(never.is_none());
        session.end(Ended::Closed);
    }
}

impl LinkHub {
    /// Nothing is expected yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A link to this peer, which dials with this session: a secret of the two, used once. Called
    /// again for the same session, the link before ends. With a pin, the peer must come with that
    /// very key.
    #[must_use]
    pub fn expect(&self, id: [u8; 32], peer: impl Into<Expect>) -> GrpcLink {
        let peer = peer.into();
        let session = Arc::new(Session::default());
        let hub = Arc::downgrade(&self.0);
        let goodbye = farewell(&session, move |session| {
            if let Some(hub) = hub.upgrade() {
                hub.remove(&id, session);
            }
        });
        match Steered::new(goodbye) {
            Ok(steered) => {
                let entry = Entry { session: session.clone(), peer, steered: steered.clone() };
                if let Some(before) = self.0.expected().insert(id, entry) {
                    before.session.end(Ended::Closed);
                }
                self.0.added.notify_waiters();
                GrpcLink::new(session, Driver::Steered(steered))
            }
            Err(error) => {
                session.end(Ended::Failed(format!("a thread for the link: {error}")));
                GrpcLink::new(session, Driver::None)
            }
        }
    }

    /// Ends the link of this session, if there is one: whoever waits for its peer waits no more.
    pub fn end(&self, id: &[u8; 32]) {
        let entry = self.0.expected().remove(id);
        if let Some(entry) = entry {
            entry.session.end(Ended::Closed);
        }
    }

    /// The service to serve.
    #[must_use]
    pub fn service(&self) -> LinkService {
        LinkService(self.clone())
    }

    async fn attach(self, request: Request<Body>) -> Result<Response<Body>, Status> {
        if request.uri().path() != PATH {
            return Err(Status::unimplemented("the link has one call: Attach"));
        }
        let own = request.headers().contains_key(OWN_LINE);
        let home = request.extensions().get::<Home>().cloned();
        let request = tonic::Request::from_http(request);
        let peer = crate::tls::peer(&request)?;
        let mut incoming = Incoming::new(request.into_inner());
        let late = |_| Err(Status::deadline_exceeded("no Hello"));
        let hello = timeout(EARLY, incoming.hello()).await.unwrap_or_else(late)?;
        let id: [u8; 32] = hello.session[..]
            .try_into()
            .map_err(|_| Status::invalid_argument("a session has 32 bytes"))?;
        let Ok(entry) = timeout(EARLY, self.0.find(&id)).await else {
            return Err(Status::not_found("nobody expects this session"));
        };
        peer.require_expected(&entry.peer)?;
        let Entry { session, steered, .. } = entry;
        let attachment = session.attach().map_err(|_| Status::not_found("it is over"))?;
        session.resume(attachment, hello.received).map_err(Status::failed_precondition)?;
        if own && let Some(home) = home {
            home.call_to(steered.clone());
        }
        let (watched, identity) = (session.clone(), peer.identity.clone());
        let watching = tokio::spawn(async move {
            peer.until_refused().await;
            watched.detach(attachment);
        });
        let reading = session.clone();
        steered.spawn(async move {
            if let Err(status) = incoming.run(&reading, attachment).await {
                tracing::debug!("the link of {identity}: {}", status.message());
                if status.code() == Code::InvalidArgument {
                    reading.end(Ended::Failed(status.message().to_owned()));
                }
            }
            watching.abort();
            reading.detach(attachment);
        });
        let body = Outgoing::new(id, session, attachment, true);
        let mut response = Response::new(Body::new(body));
        let grpc = HeaderValue::from_static("application/grpc");
        response.headers_mut().insert(header::CONTENT_TYPE, grpc);
        Ok(response)
    }
}

/// The service of [`LinkHub`].
#[derive(Clone)]
pub struct LinkService(LinkHub);

impl tonic::server::NamedService for LinkService {
    const NAME: &'static str = "dyad.link.v1.Link";
}

impl tower_service::Service<Request<Body>> for LinkService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let attaching = self.0.clone().attach(request);
        Box::pin(async { Ok(attaching.await.unwrap_or_else(Status::into_http)) })
    }
}
