//! Health and metrics over a real socket, two services in one process.

use dyad_node::{Context, admin, series};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[tokio::test]
async fn health() {
    let context = Context::detached();
    let admin = admin::serve("127.0.0.1:0".parse().unwrap(), &context).await.unwrap();
    let at = admin.address();
    assert_eq!(get(at, "/healthz").await, (200, "alive\n".to_owned()));
    assert_eq!(get(at, "/readyz").await, (503, "starting\n".to_owned()));
    context.health.ready("store");
    context.health.not_ready("peer", "C0 does not answer");
    let report = "peer: not ready: C0 does not answer\nstore: ready\n".to_owned();
    assert_eq!(get(at, "/readyz").await, (503, report));
    context.health.ready("peer");
    assert_eq!(get(at, "/readyz").await, (200, "peer: ready\nstore: ready\n".to_owned()));
    context.stop.stop();
    assert_eq!(get(at, "/readyz").await, (503, "stopping\n".to_owned()));
    assert_eq!(get(at, "/healthz").await.0, 200);
    assert_eq!(get(at, "/").await.0, 404);
    drop(admin);
    // The task is aborted soon, not at once.
    for _ in 0..100 {
        if TcpStream::connect(at).await.is_err() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    unreachable!("the endpoint outlives its handle");
}

#[tokio::test]
async fn two_services_count_apart() {
    let (zero, one) = (Context::new("cloud0"), Context::new("cloud1"));
    let labels = [("cause", "expired certificate")];
    zero.metrics.counter(series::REFUSALS, &labels).increment(2);
    one.metrics.counter(series::REFUSALS, &labels).increment(5);
    one.metrics.gauge(series::JOBS, &[("state", "running")]).set(1.0);
    one.metrics.histogram(series::STEP_SECONDS, &[("kind", "mlp")]).record(0.5);
    let admin = admin::serve("127.0.0.1:0".parse().unwrap(), &one).await.unwrap();
    let (code, body) = get(admin.address(), "/metrics").await;
    assert_eq!(code, 200);
    let line = "dyad_refusals_total{service=\"cloud1\",cause=\"expired certificate\"} 5\n";
    assert!(body.contains(line), "{body}");
    assert!(body.contains("# HELP dyad_refusals_total Requests refused, by cause.\n"), "{body}");
    assert!(body.contains("dyad_jobs{service=\"cloud1\",state=\"running\"} 1\n"), "{body}");
    assert!(body.contains("dyad_step_seconds_count"), "{body}");
    assert!(zero.metrics.render().contains("service=\"cloud0\",cause=\"expired certificate\"} 2"));
}
