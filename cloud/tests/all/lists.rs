//! Lists that are longer than a message may be.

use crate::ONE;
use crate::common::{Scene, cloud, ledger};
use dyad_client::job::Status;
use dyad_node::store::sql;
use dyad_protos::limits::{DOCUMENT, PAGE_BYTES, STREAM_MESSAGE};
use dyad_protos::wire::Message as _;
use dyad_protos::wire::cloud::v1::{JobsRequest, UploadsRequest};
use dyad_protos::{Document, Hex, Job, Role};
use dyad_tests::scenario::Scenario;
use std::collections::BTreeSet;
use tonic::Code;

/// As many and as large as an author may make them.
const MORE: u8 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_in_pages() {
    let _one = ONE.lock().await;
    let mut scene = Scene::new().await;
    let prepared = scene.propose(&Scenario::new().unwrap()).await;
    let study = prepared.study.study.digest();
    scene.world.stop(Role::C1).await.unwrap();
    let db = ledger(scene.path(), Role::C1).await;
    let mut tx = db.begin().await.unwrap();
    for i in 0..MORE {
        let job = Job { id: Hex([i; 16]), ..prepared.job.content().clone() };
        let mut text = Document::write(&job).unwrap().text().to_vec();
        text.push(b'#');
        text.resize(DOCUMENT, b'x');
        let job = Document::<Job>::read(&text).unwrap();
        sql("INSERT INTO jobs (digest, id, study, text, signature, state, reason, step, steps, \
             attempts) VALUES ($1, $2, $3, $4, $5, 'cancelled', '', 0, 1, 0)")
        .bind(&job.digest()[..])
        .bind(&job.id.0[..])
        .bind(&study[..])
        .bind(job.text())
        .bind(&[0; 64][..])
        .execute(&mut tx)
        .await
        .unwrap();
    }
    tx.commit().await.unwrap();
    db.close().await;
    scene.world.run(Role::C1).await.unwrap();
    assert!(usize::from(MORE) * DOCUMENT > STREAM_MESSAGE);

    // The owner's program has them all.
    let listed = scene.study.owners[0].jobs(&scene.study.name).await.unwrap();
    let distinct: BTreeSet<_> = listed.iter().map(Status::digest).collect();
    assert_eq!((listed.len(), distinct.len()), (1 + usize::from(MORE), 1 + usize::from(MORE)));
    assert!(distinct.contains(&prepared.job.digest()));

    // No page is larger than a message may be, or has more than was asked for.
    let mut c1 = cloud(&scene.owner(0), Role::C1).max_decoding_message_size(STREAM_MESSAGE);
    let mut asked = JobsRequest { study: study.to_vec().into(), ..Default::default() };
    let mut pages = 0;
    loop {
        let page = c1.jobs(asked.clone()).await.unwrap().into_inner();
        assert!(page.encoded_len() <= PAGE_BYTES + 2 * DOCUMENT);
        pages += 1;
        if page.next.is_empty() {
            break;
        }
        asked.after = page.next;
    }
    assert!(pages > 8, "{pages}");
    let mut asked = UploadsRequest { study: study.to_vec().into(), limit: 1, ..Default::default() };
    let mut uploads = BTreeSet::new();
    loop {
        let page = c1.uploads(asked.clone()).await.unwrap().into_inner();
        assert_eq!(page.uploads.len(), 1);
        uploads.insert(page.uploads[0].upload.clone());
        if page.next.is_empty() {
            break;
        }
        asked.after = page.next;
    }
    assert_eq!(uploads.len(), prepared.uploads.len());
    asked.after = vec![1; 5].into();
    assert_eq!(c1.uploads(asked).await.unwrap_err().code(), Code::InvalidArgument);
    scene.world.end().await.unwrap();
}
