//! Certificates, seals, signatures, and the files that keys lie in.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::common;

use common::House;
use dyad_net::keyfile::{read_locked, read_secret, write_locked, write_secret};
use dyad_net::seal::{MAX_CONTEXT, SealContext, SealPublic, SealSecret, seal};
use dyad_net::sign::{SignPublic, SignSecret, Signature};
use dyad_net::{
    Authority, Credentials, Error, Fingerprint, Identity, RootCertificate, Tls, TlsKey, Validity,
};
use std::os::unix::fs::PermissionsExt;

fn north() -> Identity {
    "owner north".parse().unwrap()
}

#[test]
fn an_authority_is_kept_and_goes_on() {
    let house = House::new();
    let text = house.authority.to_pem();
    let again = Authority::from_pem(&text).unwrap();
    assert_eq!(again.root(), house.authority.root());
    assert!(!format!("{again:?}").contains("PRIVATE"));
    let key = TlsKey::generate().unwrap();
    let issued = again.issue(&key.csr().unwrap(), &north(), Validity::days(3)).unwrap();
    let credentials = Credentials::issued(issued.der, &house.authority.root(), key).unwrap();
    assert_eq!(*credentials.identity(), north());
    assert_eq!(credentials.serial(), issued.serial);
    let root = house.authority.root();
    assert_eq!(RootCertificate::from_pem(&root.to_pem()).unwrap(), root);
    assert_eq!(root.fingerprint(), Fingerprint::of(root.der()));
    // A party's certificate is no root; an authority's file is no root certificate.
    assert!(RootCertificate::from_der(credentials.chain()[0].clone()).is_err());
    assert!(RootCertificate::from_pem(&text).is_err());
    let other = House::new().authority.to_pem();
    let (certificate, _) = text.split_at(text.find("-----BEGIN PRIVATE").unwrap());
    let (_, key) = other.split_at(other.find("-----BEGIN PRIVATE").unwrap());
    assert!(Authority::from_pem(&format!("{certificate}{key}")).is_err());
}

#[test]
fn requests_that_their_key_has_not_signed_are_refused() {
    let house = House::new();
    let key = TlsKey::generate().unwrap();
    let csr = key.csr().unwrap();
    let issue = |csr: &[u8]| house.authority.issue(csr, &north(), Validity::days(3));
    assert!(issue(&csr).is_ok());
    for at in [csr.len() - 1, csr.len() - 20, csr.len() / 2] {
        let mut bad = csr.clone();
        bad[at] ^= 1;
        assert!(matches!(issue(&bad), Err(Error::Request(_))), "{at}");
    }
    assert!(matches!(issue(&csr[..csr.len() - 1]), Err(Error::Request(_))));
    assert!(matches!(issue(b""), Err(Error::Request(_))));
    let ed25519 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let params = rcgen::CertificateParams::new(vec!["c0.kgc.dyad.internal".to_owned()]).unwrap();
    let other = params.serialize_request(&ed25519).unwrap();
    assert!(matches!(issue(other.der()), Err(Error::Request(_))));
    // Whatever a request asks for, the authority decides.
    let p256 = rcgen::KeyPair::generate().unwrap();
    let asked = issue(params.serialize_request(&p256).unwrap().der()).unwrap();
    let key = TlsKey::from_pem(&p256.serialize_pem()).unwrap();
    let got = Credentials::issued(asked.der, &house.authority.root(), key).unwrap();
    assert_eq!(*got.identity(), north());
}

#[test]
fn numbers_are_random_and_certificates_of_one_key() {
    let house = House::new();
    let key = TlsKey::generate().unwrap();
    let fingerprint = key.fingerprint();
    let (one, first) = house.renew("owner north", Validity::days(3), key);
    let pem = one.key().to_pem();
    let key = TlsKey::from_pem(&pem).unwrap();
    let (two, second) = house.renew("owner north", Validity::days(3), key);
    assert_ne!(first.serial, second.serial);
    assert_eq!((one.fingerprint(), two.fingerprint()), (fingerprint, fingerprint));
    let other = TlsKey::generate().unwrap();
    let mixed = Credentials::issued(first.der.clone(), &house.authority.root(), other);
    assert!(matches!(mixed, Err(Error::Mismatch(_))));
    let key = TlsKey::from_pem(&pem).unwrap();
    let mixed = Credentials::issued(first.der, &House::new().authority.root(), key);
    assert!(matches!(mixed, Err(Error::Mismatch(_))));
    let elsewhere = Tls::new(one, House::new().authority.root(), None);
    assert!(matches!(elsewhere, Err(Error::Mismatch(_))));
}

#[test]
fn credentials_lie_in_files_that_nobody_else_reads() {
    let house = House::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("north.pem");
    let (credentials, _) = house.issue("owner north", Validity::days(3));
    credentials.save(&path).unwrap();
    credentials.save(&path).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    let again = Credentials::load(&path).unwrap();
    assert_eq!(again.identity(), credentials.identity());
    assert_eq!(*again.to_pem(), *credentials.to_pem());
    for mode in [0o640, 0o604, 0o660] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let told = Credentials::load(&path).unwrap_err().to_string();
        assert!(told.contains("chmod 600") && told.contains(&format!("{mode:03o}")), "{told}");
    }
    let missing = Credentials::load(folder.path().join("none")).unwrap_err();
    assert!(matches!(missing, Error::File { .. }) && missing.to_string().contains("none"));
    let nowhere = credentials.save(folder.path().join("no/such/folder"));
    assert!(matches!(nowhere, Err(Error::File { .. })));
    write_secret(folder.path().join("bad.pem"), b"-----BEGIN X").unwrap();
    assert!(Credentials::load(folder.path().join("bad.pem")).is_err());
}

#[test]
fn files_are_locked_by_passphrases() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    write_locked(&path, b"secret", Some("correct horse")).unwrap();
    assert_eq!(read_locked(&path, Some("correct horse")).unwrap().as_slice(), b"secret");
    assert!(matches!(read_locked(&path, None), Err(Error::Locked)));
    let wrong = read_locked(&path, Some("wrong")).unwrap_err();
    assert!(matches!(wrong, Error::Passphrase));
    let bytes = read_secret(&path).unwrap();
    assert!(!bytes.windows(6).any(|window| window == b"secret"));
    // Altered anywhere: the same error. (The cost is not altered upwards: that takes long.)
    for at in [15, 20, 30, 45, bytes.len() - 1] {
        let mut bad = bytes.to_vec();
        bad[at] ^= 0x80;
        write_secret(&path, &bad).unwrap();
        let told = read_locked(&path, Some("correct horse")).unwrap_err().to_string();
        assert_eq!(told, wrong.to_string(), "{at}");
    }
    write_secret(&path, &bytes[..40]).unwrap();
    assert!(matches!(read_locked(&path, Some("correct horse")), Err(Error::Passphrase)));
    write_locked(&path, b"open", None).unwrap();
    assert_eq!(read_locked(&path, None).unwrap().as_slice(), b"open");
}

#[test]
fn seals_open_for_their_recipient_in_their_context() {
    let (secret, other) = (SealSecret::generate().unwrap(), SealSecret::generate().unwrap());
    let context = || SealContext::new("upload").with("study", [1; 32]).with("chunk", [7]);
    let sealed = seal(&secret.public(), &context(), b"a seed").unwrap();
    assert_eq!(secret.open(&context(), &sealed).unwrap().as_slice(), b"a seed");
    assert_eq!(sealed.len(), b"a seed".len() + dyad_net::seal::OVERHEAD);
    assert_ne!(sealed, seal(&secret.public(), &context(), b"a seed").unwrap());
    let again = SealSecret::from_bytes(&secret.to_bytes()).unwrap();
    assert_eq!(again.public(), secret.public());
    assert!(again.open(&context(), &sealed).is_ok());
    assert!(matches!(other.open(&context(), &sealed), Err(Error::Sealed)));
    let others = [
        SealContext::new("release").with("study", [1; 32]).with("chunk", [7]),
        SealContext::new("upload").with("study", [2; 32]).with("chunk", [7]),
        SealContext::new("upload").with("chunk", [7]).with("study", [1; 32]),
        SealContext::new("upload").with("study", [1; 32]),
        context().with("", []),
        SealContext::new("upload").with("study", [[1; 32].as_slice(), b"chunk"].concat()),
    ];
    for context in others {
        assert!(matches!(secret.open(&context, &sealed), Err(Error::Sealed)), "{context:?}");
    }
    for at in [0, 31, 32, sealed.len() - 1] {
        let mut bad = sealed.clone();
        bad[at] ^= 1;
        assert!(matches!(secret.open(&context(), &bad), Err(Error::Sealed)));
    }
    for length in [0, 31, 32, 47] {
        assert!(matches!(secret.open(&context(), &sealed[..length]), Err(Error::Sealed)));
    }
    // A point of small order would make the secret known to all.
    assert!(seal(&SealPublic([0; 32]), &context(), b"x").is_err());
    let long = SealContext::new("upload").with("text", vec![0; MAX_CONTEXT]);
    assert!(seal(&secret.public(), &long, b"x").is_err());
    assert_eq!(secret.public().to_string().parse::<SealPublic>().unwrap(), secret.public());
    assert!(format!("{secret:?}").contains(&secret.public().to_string()));
}

#[test]
fn signatures_hold_for_one_label_and_message() {
    let secret = SignSecret::generate().unwrap();
    let public = secret.public();
    let signature = secret.sign("job", b"hash");
    public.verify("job", b"hash", &signature).unwrap();
    let refused = |outcome| assert!(matches!(outcome, Err(Error::Signature)));
    refused(public.verify("jobs", b"hash", &signature));
    refused(public.verify("job", b"hash ", &signature));
    refused(SignSecret::generate().unwrap().public().verify("job", b"hash", &signature));
    let mut bad = signature;
    bad.0[63] ^= 1;
    refused(public.verify("job", b"hash", &bad));
    // The neutral element as a key "verifies" what anybody writes, unless one is strict.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut forged = [0; 64];
    forged[0] = 1;
    refused(SignPublic(neutral).verify("job", b"hash", &Signature(forged)));
    let again = SignSecret::from_bytes(&secret.to_bytes());
    assert_eq!(again.public(), public);
    assert_eq!(again.sign("job", b"hash"), signature);
    assert_eq!(public.to_string().parse::<SignPublic>().unwrap(), public);
    assert_eq!(signature.to_string().parse::<Signature>().unwrap(), signature);
    assert!(!format!("{secret:?}").contains(&format!("{:?}", &*secret.to_bytes())));
}
