//! Revocation lists that cannot be believed: the one in use stays, and it is told.

use crate::common::{World, name};
use dyad_net::{Authority, Error};
use dyad_protos::Role;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[tokio::test]
async fn a_list_that_is_refused_is_counted_and_the_one_before_stays() {
    let mut centre = World::start().await;
    let member = centre.enrol(Role::Owner, "north").await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&told);
    member.tls.on_refused(move |cause, line| seen.lock().unwrap().push((cause, line)));
    member.refresh().await.unwrap();
    assert_eq!(told.lock().unwrap().len(), 0);

    // The authority's own, with a number that the key centre, set back, does not reach.
    let pem = std::fs::read_to_string(centre.config.store.join("keys/authority.pem")).unwrap();
    let authority = Authority::from_pem(&pem).unwrap();
    let list = |number| authority.crl(&[], number, Duration::from_hours(1)).unwrap();
    member.tls.replace_crl(list(1000)).unwrap();
    let new = centre.enrol(Role::C1, "one").await;
    let refused = member.refresh().await.unwrap_err();
    assert!(matches!(refused, Error::RevocationList(_)), "{refused}");
    let told = told.lock().unwrap().clone();
    assert_eq!(told.len(), 1);
    assert!(told[0].0 == "revocation_list" && told[0].1.contains("below the present"), "{told:?}");
    assert!(member.tls.replace_crl(list(999)).is_err(), "the one before stays");
    // What else came with it is believed.
    assert_eq!(member.service(Role::C1).unwrap().identity.name, name("one"));
    assert_eq!(new.identity.role, Role::C1);
    centre.stop().await;
}
