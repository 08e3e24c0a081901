//! Calls that are streams take larger messages than others.

use std::convert::Infallible;
use std::task::{Context, Poll};
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{Request, Response};
use tonic::server::NamedService;

/// A service twice: once for the calls that are named, which stream to it, once for all others. The
/// two differ in the messages they take.
#[derive(Clone, Debug)]
pub struct BySize<S> {
    small: S,
    large: S,
    streams: &'static [&'static str],
}

impl<S> BySize<S> {
    /// `large` for these calls.
    #[must_use]
    pub fn new(small: S, large: S, streams: &'static [&'static str]) -> Self {
        Self { small, large, streams }
    }
}

impl<S: NamedService> NamedService for BySize<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for BySize<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        match self.small.poll_ready(context) {
            Poll::Ready(Ok(())) => self.large.poll_ready(context),
            other => other,
        }
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let call = request.uri().path().rsplit('/').next().unwrap_or_default();
        if self.streams.contains(&call) {
            self.large.call(request)
        } else {
            self.small.call(request)
        }
    }
}
