//! Nothing that either cloud receives contains a row or a weight in the clear.
//!
//! All three services and the owners run in this process, each service behind a tapped line, with the
//! keys of all connections logged. What is searched are the bytes of the wire, decrypted: from
//! owners, from the other cloud and from the key centre, enrolment included. Looked for are pairs
//! of neighbouring cells of a row and of neighbouring weights, as fixed point of any scale in use,
//! as f64 and f32, in either order of bytes, and as text. The control has an owner send the same in
//! the clear, through the same connections, and finds each.

#![allow(missing_docs, clippy::unwrap_used)]

use dyad_client::Home;
use dyad_client::model::Model;
use dyad_client::study::Frozen;
use dyad_net::Expect;
use dyad_net::member::Member;
use dyad_protos::Role;
use dyad_protos::job::Opening;
use dyad_protos::upload::Mode;
use dyad_protos::wire::cloud::v1::JobRequest;
use dyad_protos::wire::cloud::v1::cloud_client::CloudClient;
use dyad_tests::Tapped;
use dyad_tests::scenario::{Scenario, Study, play_in};
use dyad_tests::transcript::{Keys, Needles, Received};
use std::sync::LazyLock;

static KEYS: LazyLock<Keys> = LazyLock::new(Keys::insecure_log);
/// One after the other: each has a machine's worth of services.
static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Cells of rows: as they stand in the files, and as they are encoded.
async fn of_rows(needles: &mut Needles, study: &Study, frozen: &Frozen) {
    let source = study.owners[0].source(frozen, &study.sample.table).await.unwrap();
    let width = source.places.width();
    let point = frozen.study.draft.fraction_bits as u8;
    let unit = (-f64::from(point)).exp2();
    let values = source.values(0..source.len()).unwrap();
    for row in values.chunks(width) {
        for pair in row.windows(2) {
            let pair = [pair[0] as f64 * unit, pair[1] as f64 * unit];
            needles.add_pair(pair, &[point, 8, 13, 16, 29]);
        }
    }
    for (_, file) in &study.files {
        let text = std::fs::read_to_string(file).unwrap();
        for line in text.lines().skip(1) {
            let cells: Vec<_> = line.split(',').collect();
            for pair in cells.windows(2) {
                needles.add("cells of the file", pair.join(",").into_bytes());
                if let [Ok(a), Ok(b)] = [pair[0].parse::<f64>(), pair[1].parse::<f64>()] {
                    needles.add_pair([a, b], &[point]);
                }
            }
        }
    }
}

/// Weights: as they were trained, and as numbers.
fn of_weights(needles: &mut Needles, model: &Model) {
    for layer in &model.layers {
        let scale = layer.weight_scale;
        for pair in layer.weights.windows(2) {
            needles.add_pair([pair[0], pair[1]], &[scale, 13, 16, 29]);
        }
        for pair in layer.weight_words.windows(2) {
            needles.add("words of weights", [pair[0], pair[1]].map(i64::to_le_bytes).concat());
        }
        for pair in layer.bias.windows(2) {
            needles.add_pair([pair[0], pair[1]], &[layer.bias_scale]);
        }
    }
}

async fn nothing_is_seen(mode: Mode, opening: Opening) {
    let _one = ONE.lock().await;
    let keys = LazyLock::force(&KEYS);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut services = Tapped::start(path).await.unwrap();
    let scenario = Scenario { mode, opening, owners: 2, ..Scenario::new().unwrap() };
    let (study, frozen, outcome) = play_in(&mut services, path, &scenario).await.unwrap();

    let (mut rows, mut weights) = (Needles::default(), Needles::default());
    of_rows(&mut rows, &study, &frozen).await;
    of_weights(&mut weights, &outcome.model);
    assert!(rows.len() > 50_000 && weights.len() > 1000, "{} {}", rows.len(), weights.len());
    for cloud in [Role::C0, Role::C1] {
        let received = Received::by(cloud, &services, keys).unwrap();
        println!(
            "{cloud}, {} and {opening:?}: {} connections, {} bytes, {} of them bodies; {} needles",
            mode.as_str(),
            received.connections,
            received.bytes.len(),
            received.bodies.len(),
            rows.len() + weights.len(),
        );
        // Uploads, openings and (C1) corrections are there.
        assert!(received.bodies.len() > 300_000, "{}", received.bodies.len());
        for bytes in [&received.bytes, &received.bodies] {
            assert!(rows.found(bytes).is_empty(), "{cloud} has rows: {:?}", rows.found(bytes));
            let found = weights.found(bytes);
            assert!(found.is_empty(), "{cloud} has weights: {found:?}");
        }
    }

    // The control: what an owner sends in the clear, the same search finds.
    let member = Member::load(&Home::at(path.join("owner-0")).member(), None).unwrap();
    member.refresh().await.unwrap();
    for cloud in [Role::C0, Role::C1] {
        let service = member.service(cloud).unwrap();
        let channel = member.tls.channel(&service.address, Expect::role(cloud)).unwrap();
        let mut client = CloudClient::new(channel);
        for needles in [&rows, &weights] {
            for kind in needles.kinds() {
                // Behind so much that it lies across two frames of HTTP/2.
                let mut bytes = vec![0xaa; 16_384 - 12];
                bytes.extend(needles.first(kind).unwrap());
                client.job(JobRequest { job: bytes.into() }).await.unwrap_err();
            }
        }
        let received = Received::by(cloud, &services, keys).unwrap();
        for needles in [&rows, &weights] {
            let found = needles.found(&received.bodies);
            let missed: Vec<_> =
                needles.kinds().into_iter().filter(|kind| !found.contains_key(kind)).collect();
            assert!(missed.is_empty(), "{cloud} got {missed:?} in the clear, unseen");
        }
    }
    services.world.end().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_and_each() {
    nothing_is_seen(Mode::Sealed, Opening::Each).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_and_joint() {
    nothing_is_seen(Mode::Sealed, Opening::Joint).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packed_and_each() {
    nothing_is_seen(Mode::Packed, Opening::Each).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packed_and_joint() {
    nothing_is_seen(Mode::Packed, Opening::Joint).await;
}
