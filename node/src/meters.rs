//! Counting, for Prometheus.

use crate::series;
use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use std::fmt;
use std::sync::Arc;

const METADATA: Metadata<'static> =
    Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// A service's series. Each has a recorder of its own that adds the label `service`, so that
/// several services live in one process; that of a process with one service is also installed for
/// the macros of `metrics`. Clones share it.
#[derive(Clone)]
pub struct Metrics {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// For service `name`.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        let builder = PrometheusBuilder::new().add_global_label("service", name);
        let recorder = Arc::new(builder.build_recorder());
        metrics::with_local_recorder(&recorder, series::describe);
        Self { handle: recorder.handle(), recorder }
    }

    /// Makes it the recorder of the whole process, unless there is one.
    pub fn install(&self) {
        if metrics::set_global_recorder(Arc::clone(&self.recorder)).is_err() {
            tracing::debug!("this process has a recorder of metrics");
        }
    }

    /// The counter of this name (see [`series`]) and labels.
    pub fn counter(&self, name: &'static str, labels: &[(&'static str, &str)]) -> Counter {
        self.recorder.register_counter(&key(name, labels), &METADATA)
    }

    /// The gauge of this name and labels.
    pub fn gauge(&self, name: &'static str, labels: &[(&'static str, &str)]) -> Gauge {
        self.recorder.register_gauge(&key(name, labels), &METADATA)
    }

    /// The histogram of this name and labels.
    pub fn histogram(&self, name: &'static str, labels: &[(&'static str, &str)]) -> Histogram {
        self.recorder.register_histogram(&key(name, labels), &METADATA)
    }

    /// Something waits for this party, until what is given is dropped.
    #[must_use]
    pub fn waits_for(&self, party: &str) -> Waiting {
        let gauge = self.gauge(series::WAITING_FOR, &[("party", party)]);
        gauge.increment(1);
        Waiting(gauge)
    }

    /// Everything, as Prometheus reads it.
    #[must_use]
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Folds samples of histograms; to be called now and then, else they pile up.
    pub(crate) fn tidy(&self) {
        self.handle.run_upkeep();
    }
}

/// What is counted of a line to another party.
#[derive(Clone)]
pub struct LineMeters {
    sent: Counter,
    received: Counter,
    waiting: Gauge,
}

impl fmt::Debug for LineMeters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineMeters").finish_non_exhaustive()
    }
}

impl LineMeters {
    /// Of a line to this party.
    #[must_use]
    pub fn new(metrics: &Metrics, peer: &str) -> Self {
        let bytes =
            |direction| metrics.counter(series::BYTES, &[("peer", peer), ("direction", direction)]);
        let waiting = metrics.gauge(series::WAITING_FOR, &[("party", peer)]);
        Self { sent: bytes("sent"), received: bytes("received"), waiting }
    }

    /// So many bytes were sent.
    pub fn sent(&self, bytes: usize) {
        self.sent.increment(bytes as u64);
    }

    /// So many came.
    pub fn received(&self, bytes: usize) {
        self.received.increment(bytes as u64);
    }

    /// The party begins to wait for the other, or ends.
    pub fn waiting(&self, begins: bool) {
        if begins { self.waiting.increment(1) } else { self.waiting.decrement(1) }
    }
}

/// Something waits.
pub struct Waiting(Gauge);

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").finish_non_exhaustive()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

fn key(name: &'static str, labels: &[(&'static str, &str)]) -> Key {
    let labels: Vec<_> =
        labels.iter().map(|&(name, value)| Label::new(name, value.to_owned())).collect();
    Key::from_parts(name, labels)
}
