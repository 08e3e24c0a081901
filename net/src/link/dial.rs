//! The end that connects.

use super::hub::{LINGER, farewell, path};
use super::pump::{Incoming, Outgoing};
use super::session::{Ended, Session};
use super::{Driver, GrpcLink, OWN_LINE};
use crate::error::Result;
use crate::retry::{Backoff, Fault, classify, explain};
use crate::steer::{Clock, Steered};
use crate::tls::{
    CONNECTION_WINDOW, Connector, Executor, Expect, Home, KEEP_ALIVE, MAX_HTTP_FRAME,
    STREAM_WINDOW, Tls,
};
use http::{HeaderValue, Request, Response, Uri, header};
use hyper::client::conn::http2;
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tonic::body::Body;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tower_service::Service as _;

/// How long the other end may take for its Hello.
const HELLO_LIMIT: Duration = Duration::from_secs(20);

/// What a link is dialled over: a connection of its own ([`Tls::line`]), which is faster, or a
/// channel that other calls share.
pub struct Line(Way);

enum Way {
    Own(Connector),
    Shared(Channel),
}

impl From<Channel> for Line {
    fn from(channel: Channel) -> Self {
        Self(Way::Shared(channel))
    }
}

impl Tls {
    /// A line for [`dial`]: a connection of its own for every time it is dialled. Address and
    /// expectation are those of [`channel`](Self::channel).
    pub fn line(&self, address: &str, expect: Expect) -> Result<Line> {
        Ok(Line(Way::Own(self.connector(address, expect)?)))
    }
}

/// A link to the party that expects this session. It connects by itself, in this runtime, now and
/// after every break, for as long as the link lives.
#[must_use]
pub fn dial(runtime: &Handle, line: impl Into<Line>, id: [u8; 32]) -> GrpcLink {
    let session = Arc::new(Session::default());
    let dialler = Dialler { id, session: session.clone() };
    match line.into().0 {
        Way::Shared(channel) => {
            let dialling = runtime.spawn(dialler.run(Road::Shared(channel)));
            let over = session.clone();
            let farewell = Box::pin(async move {
                let over = poll_fn(|context| {
                    if over.is_over(context.waker()) { Poll::Ready(()) } else { Poll::Pending }
                });
                drop(timeout(LINGER, over).await);
                dialling.abort();
            });
            GrpcLink::new(session, Driver::Tokio(runtime.clone(), Some(farewell)))
        }
        Way::Own(connector) => {
            let dialling = Arc::new(OnceLock::<AbortHandle>::new());
            let ended = dialling.clone();
            let goodbye = farewell(&session, move |_| {
                if let Some(dialling) = ended.get() {
                    dialling.abort();
                }
            });
            match Steered::new(goodbye) {
                Ok(steered) => {
                    let road = Road::Own(connector, steered.clone());
                    drop(dialling.set(runtime.spawn(dialler.run(road)).abort_handle()));
                    GrpcLink::new(session, Driver::Steered(steered))
                }
                Err(error) => {
                    session.end(Ended::Failed(format!("a thread for the link: {error}")));
                    GrpcLink::new(session, Driver::None)
                }
            }
        }
    }
}

/// A way, and where it is taken.
enum Road {
    Own(Connector, Steered),
    Shared(Channel),
}

struct Dialler {
    id: [u8; 32],
    session: Arc<Session>,
}

impl Dialler {
    async fn run(self, mut road: Road) {
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(2));
        loop {
            let mut greeted = false;
            let outcome = self.connection(&mut road, &mut greeted).await;
            if greeted {
                backoff.reset();
            }
            if self.session.is_done() {
                return;
            }
            match outcome {
                Ok(()) => tracing::debug!("a link's connection ended"),
                Err(status) if status.code() == Code::NotFound => {
                    return self.session.end(Ended::Closed);
                }
                Err(status) if classify(&status) == Fault::Permanent => {
                    return self.session.end(Ended::Failed(explain(&status)));
                }
                Err(status) => tracing::debug!("a link's connection broke: {}", explain(&status)),
            }
            sleep(backoff.delay()).await;
        }
    }

    /// One connection, from dialling to its end.
    async fn connection(&self, road: &mut Road, greeted: &mut bool) -> Result<(), Status> {
        let attachment = self.session.attach().map_err(|_| Status::not_found("it is over"))?;
        let body = Outgoing::new(self.id, self.session.clone(), attachment, false);
        let talked = async {
            let mut incoming = timeout(HELLO_LIMIT, call(road, Body::new(body)))
                .await
                .unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer")))?;
            let hello = timeout(HELLO_LIMIT, incoming.hello())
                .await
                .unwrap_or_else(|_| Err(Status::deadline_exceeded("no Hello")))?;
            self.session.resume(attachment, hello.received).map_err(Status::failed_precondition)?;
            *greeted = true;
            match road {
                Road::Shared(_) => incoming.run(&self.session, attachment).await,
                Road::Own(_, steered) => {
                    let (ended, end) = oneshot::channel();
                    let session = self.session.clone();
                    steered.spawn(async move {
                        // Nobody listens any more if the dialler was told to stop.
                        drop(ended.send(incoming.run(&session, attachment).await));
                    });
                    end.await.unwrap_or(Ok(()))
                }
            }
        };
        let outcome = talked.await;
        self.session.detach(attachment);
        outcome
    }
}

/// Calls Attach; what the other end says.
async fn call(road: &mut Road, body: Body) -> Result<Incoming, Status> {
    let response: Response<Body> = match road {
        Road::Shared(channel) => {
            poll_fn(|context| channel.poll_ready(context)).await.map_err(broken)?;
            channel.call(request(body, &Uri::default())?).await.map_err(broken)?
        }
        Road::Own(connector, steered) => {
            let (stream, uri) = connector.connect().await.map_err(broken)?;
            let (mut sender, connection) = http2::Builder::new(Executor(Home::at(steered.clone())))
                .timer(Clock)
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .max_frame_size(MAX_HTTP_FRAME)
                .keep_alive_interval(KEEP_ALIVE)
                .keep_alive_timeout(KEEP_ALIVE)
                .handshake(TokioIo::new(stream))
                .await
                .map_err(broken)?;
            let (failed, failure) = oneshot::channel();
            steered.spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!("a link's connection: {error}");
                    // Nobody asks any more once the call has been answered.
                    drop(failed.send(error));
                }
            });
            let mut request = request(body, &uri)?;
            request.headers_mut().insert(OWN_LINE, HeaderValue::from_static("1"));
            match sender.send_request(request).await {
                Ok(response) => response.map(Body::new),
                // Why the connection failed says more than that the call did: the peer may have
                // refused the certificate.
                Err(error) => {
                    let said = timeout(Duration::from_secs(1), failure).await;
                    return Err(broken(said.ok().and_then(Result::ok).unwrap_or(error)));
                }
            }
        }
    };
    // A refusal comes in the headers, with no body.
    match Status::from_header_map(response.headers()) {
        Some(status) if status.code() != Code::Ok => Err(status),
        _ if response.status() == http::StatusCode::OK => Ok(Incoming::new(response.into_body())),
        _ => Err(Status::unavailable(format!("the peer answers {}", response.status()))),
    }
}

fn request(body: Body, uri: &Uri) -> Result<Request<Body>, Status> {
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path());
    let uri = Uri::from_parts(parts).map_err(|error| Status::internal(error.to_string()))?;
    Request::post(uri)
        .version(http::Version::HTTP_2)
        .header(header::TE, "trailers")
        .header(header::CONTENT_TYPE, "application/grpc")
        .body(body)
        .map_err(|error| Status::internal(error.to_string()))
}

/// A connection that broke or was not made.
fn broken(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Status {
    let mut status = Status::unavailable("the link's connection");
    status.set_source(Arc::from(error.into()));
    status
}
