//! Holds the crate against the file.

use super::format::{bytes, index, list, number, text};
use dyad_bcp::packing::SlotLayout;
use dyad_bcp::{
    Backend, Ciphertext, ClaimedKey, EncodingFault, Error, Head, KeySize, MasterKey, ParamsFault,
    Partial, Plaintext, ProofContext, PublicKey, PublicParams, RawCiphertext, Result, SecretKey,
    UnifiedKey, UnprovedKey,
};
use num_bigint::BigUint;
use serde_json::Value;

/// The crate's objects for one set.
pub(crate) struct Subject {
    pub(crate) name: String,
    params: PublicParams,
    master: MasterKey,
    pub(crate) secrets: Vec<SecretKey>,
    unified: UnifiedKey,
    unified_ciphertext: Ciphertext,
    encryptions: Vec<Ciphertext>,
    proof: Value,
}

impl Subject {
    pub(crate) fn new(set: &Value, backend: Backend) -> Self {
        let size = KeySize::insecure_from_bits(index(&set["bits"])).expect("a size");
        let (n, g) = (number(&set["n"]), number(&set["g"]));
        let params = PublicParams::with_backend(size, n, g, backend).expect("good parameters");
        let master = MasterKey::new(&params, &number(&set["p"]), &number(&set["q"]));
        let secret = |key: &Value| SecretKey::from_bytes(&params, &bytes(&key["secret_bytes"]));
        let secrets: Vec<SecretKey> =
            list(&set["keys"]).iter().map(|key| secret(key).expect("a secret key")).collect();
        let members = list(&set["unified"]["members"]).iter().map(index);
        let members: Vec<PublicKey> = members.map(|i| secrets[i].public().clone()).collect();
        let unified = UnifiedKey::new(&members).expect("three keys");
        let admit = |key: &PublicKey, c: &Value| {
            let raw = RawCiphertext::from_bytes(&params, &bytes(&c["bytes"]));
            key.admit(raw.expect("a ciphertext")).expect("two units")
        };
        let unified_ciphertext = admit(unified.key(), &set["unified"]);
        let encryption = |c: &Value| admit(secrets[index(&c["key"])].public(), c);
        Self {
            name: text(&set["name"]).to_owned(),
            master: master.expect("a good master key"),
            encryptions: list(&set["encryptions"]).iter().map(encryption).collect(),
            proof: set["proof"].clone(),
            secrets,
            unified,
            unified_ciphertext,
            params,
        }
    }

    fn plain(&self, m: &Value) -> Plaintext {
        Plaintext::from_biguint(&self.params, &number(m)).expect("below N")
    }

    fn layout(&self, x: &Value) -> Result<SlotLayout> {
        SlotLayout::new(&self.params, index(&x["value_bits"]), index(&x["blind_bits"]))
    }

    /// Owner and master key both open it to m.
    fn opens(&self, key: &SecretKey, c: &Ciphertext, m: &Value) {
        let known = self.master.know(key.public()).expect("a key in G");
        assert_eq!(key.decrypt(c).expect("uDec").to_biguint(), number(m));
        assert_eq!(self.master.decrypt(&known, c).expect("mDec").to_biguint(), number(m));
    }
}

fn is_pair(c: &Ciphertext, x: &Value) {
    assert_eq!((c.a(), c.b()), (&number(&x["a"]), &number(&x["b"])), "{x}");
}

pub(crate) fn set(set: &Value, backend: Backend) {
    let s = Subject::new(set, backend);
    let params = &s.params;
    assert_eq!(params.to_bytes(), bytes(&set["params"]["bytes"]));
    assert_eq!(params.id().as_bytes()[..], bytes(&set["params"]["id"]));
    let read =
        PublicParams::insecure_from_bytes(&bytes(&set["params"]["bytes"])).expect("parameters");
    assert_eq!(read.id(), params.id());
    assert_eq!(s.master.to_bytes()[..], bytes(&set["master"]["bytes"]));
    let read = MasterKey::from_bytes(params, &bytes(&set["master"]["bytes"]));
    assert_eq!(read.expect("a master key").to_bytes(), s.master.to_bytes());
    let e = (number(&set["p"]) >> 1u8) * (number(&set["q"]) >> 1u8);
    let power = params.g().modpow(&e, params.n_squared());
    assert_eq!(power, number(&set["k"]) * params.n() + 1u8);
    keys(&s, set);
    encryptions(&s, set);
    operations(&s, set);
    unified(&s, &set["unified"]);
    packings(&s, set);
    assert!(proof_holds(set, &set["proof"]), "{}: the stored proof", s.name);
}

fn keys(s: &Subject, set: &Value) {
    for (secret, x) in s.secrets.iter().zip(list(&set["keys"])) {
        let made = SecretKey::insecure_from_exponent(&s.params, &number(&x["sk"])).expect("a key");
        for key in [secret, &made] {
            assert_eq!(*key.public().h(), number(&x["h"]));
            assert_eq!(key.public().id().as_bytes()[..], bytes(&x["id"]));
            assert_eq!(key.to_bytes()[..], bytes(&x["secret_bytes"]));
            assert_eq!(key.public().to_bytes(), bytes(&x["public_bytes"]));
        }
        let read = UnprovedKey::from_bytes(&s.params, &bytes(&x["public_bytes"]));
        assert_eq!(read.expect("a public key").assume_certified(), *secret.public());
    }
}

fn encryptions(s: &Subject, set: &Value) {
    for (c, x) in s.encryptions.iter().zip(list(&set["encryptions"])) {
        let secret = &s.secrets[index(&x["key"])];
        let (m, r) = (s.plain(&x["m"]), number(&x["r"]));
        let made = secret.public().insecure_encrypt_with_randomness(&m, &r).expect("r in range");
        assert_eq!(made, *c);
        is_pair(c, x);
        s.opens(secret, c, &x["m"]);
        assert_eq!(c.to_bytes(), bytes(&x["bytes"]));
        assert_eq!(c.head().to_bytes(), bytes(&x["head_bytes"]));
        let head = Head::from_bytes(&s.params, &bytes(&x["head_bytes"])).expect("a head");
        assert_eq!(head, c.head());
    }
    for x in list(&set["master_decryptions"]) {
        let encryption = &list(&set["encryptions"])[index(&x["encryption"])];
        assert_eq!(x["m"], encryption["m"]);
        let n = s.params.n();
        let log = |of: &str| number(&x[of]);
        let blind = log("log_a") * log("log_h") * log("log_g").modinv(n).expect("a unit") % n;
        assert_eq!((log("log_b") + n - blind) % n, number(&x["m"]));
    }
}

fn operations(s: &Subject, set: &Value) {
    let key = s.secrets[0].public();
    for x in list(&set["operations"]) {
        let on: Vec<Ciphertext> =
            list(&x["x"]).iter().map(|i| s.encryptions[index(i)].clone()).collect();
        let c = |x: &Value| [s.plain(&x["c"])];
        let result = match text(&x["op"]) {
            "add" => key.add(&on[0], &on[1]).map(|c| vec![c]),
            "subtract" => key.sub_many(&on[..1], &on[1..]),
            "negate" => key.negate_many(&on),
            "sum" => key.sum(&on).map(|c| c.into_iter().collect()),
            "scale" => key.scale_many(&on, &c(x)),
            "add_plain" => key.add_plain_many(&on, &c(x)),
            other => unreachable!("operation {other}"),
        };
        let result = result.expect("one key").remove(0);
        is_pair(&result, x);
        s.opens(&s.secrets[0], &result, &x["m"]);
    }
}

fn unified(s: &Subject, x: &Value) {
    let (key, c) = (s.unified.key(), &s.unified_ciphertext);
    assert_eq!(*key.h(), number(&x["h"]));
    assert_eq!(key.id().as_bytes()[..], bytes(&x["id"]));
    let made = key.insecure_encrypt_with_randomness(&s.plain(&x["m"]), &number(&x["r"]));
    assert_eq!(made.expect("r in range"), *c);
    is_pair(c, x);
    let mut product = BigUint::from(1u8);
    let mut partials = Vec::new();
    for x in list(&x["partials"]) {
        let owner = &s.secrets[index(&x["member"])];
        let made = owner.partial_many(&s.unified, &[c.head()]).expect("a member").remove(0);
        assert_eq!(made.to_bytes()[..], bytes(&x["bytes"]));
        product = product * number(&x["p"]) % s.params.n_squared();
        partials.push(Partial::from_bytes(&s.params, &bytes(&x["bytes"])).expect("a partial"));
    }
    assert_eq!(*c.b(), product * (number(&x["m"]) * s.params.n() + 1u8) % s.params.n_squared());
    let m = s.unified.open(c, partials).expect("all partials");
    assert_eq!(m, s.plain(&x["m"]));
    let known = s.master.know(key).expect("a key in G");
    assert_eq!(s.master.decrypt(&known, c).expect("mDec"), m);
}

fn values(x: &Value) -> Vec<i64> {
    list(&x["values"]).iter().map(|x| text(x).parse().expect("a 64-bit number")).collect()
}

fn packings(s: &Subject, set: &Value) {
    for x in list(&set["packings"]) {
        let layout = s.layout(x).expect("it fits");
        assert_eq!((layout.slots(), layout.width()), (index(&x["slots"]), index(&x["width"])));
        let values = values(x);
        let slots = layout.offset(&values).expect("in range");
        let packed = layout.pack(&slots).expect("they fit");
        let expected: Vec<_> = list(&x["plaintexts"]).iter().map(number).collect();
        assert_eq!(packed.iter().map(Plaintext::to_biguint).collect::<Vec<_>>(), expected);
        let back = layout.unpack(&packed, values.len()).expect("as packed");
        let back: Vec<_> = back.iter().map(|slot| layout.value(slot, 1)).collect();
        assert_eq!(back, values.into_iter().map(Some).collect::<Vec<_>>());
    }
}

/// Does the stored proof hold for its context, and for no other?
pub(crate) fn proof_holds(set: &Value, proof: &Value) -> bool {
    Backend::available().into_iter().all(|backend| {
        let s = Subject::new(set, backend);
        let Ok(claim) = ClaimedKey::from_bytes(&s.params, &bytes(&proof["bytes"])) else {
            return false;
        };
        let (study, owner) = (text(&proof["study"]).as_bytes(), text(&proof["owner"]).as_bytes());
        let verify = |study, owner| claim.verify(&ProofContext { study, owner });
        verify(study, owner).is_ok_and(|key| key == *s.secrets[index(&proof["key"])].public())
            && verify(b"another study", owner) == Err(Error::BadProof)
            && verify(study, b"another owner") == Err(Error::BadProof)
    })
}

/// What comes of trying a negative vector.
pub(crate) fn error_of(s: &Subject, vector: &Value) -> &'static str {
    attempt(s, vector).err().map_or("none", |error| name(&error))
}

fn attempt(s: &Subject, vector: &Value) -> Result<()> {
    let (params, key) = (&s.params, s.secrets[0].public());
    let (x, kind) = (&vector["values"], text(&vector["kind"]));
    let data = if vector["bytes"].is_null() { vec![] } else { bytes(&vector["bytes"]) };
    let ciphertext = || RawCiphertext::from_bytes(params, &data).and_then(|c| key.admit(c));
    match kind {
        "params" => PublicParams::insecure_from_bytes(&data).map(drop),
        "public_key" => UnprovedKey::from_bytes(params, &data).map(drop),
        "secret_key" => SecretKey::from_bytes(params, &data).map(drop),
        "master_key" => MasterKey::from_bytes(params, &data).map(drop),
        "head" => Head::from_bytes(params, &data).map(drop),
        "partial" => Partial::from_bytes(params, &data).map(drop),
        "ciphertext" => ciphertext().map(drop),
        "claimed_key" => {
            let (study, owner) = (text(&s.proof["study"]), text(&s.proof["owner"]));
            let context = ProofContext { study: study.as_bytes(), owner: owner.as_bytes() };
            ClaimedKey::from_bytes(params, &data)?.verify(&context).map(drop)
        }
        "decrypt" => s.secrets[0].decrypt(&ciphertext().expect("two units")).map(drop),
        "master_decrypt" => {
            let known = s.master.know(key).expect("a key in G");
            s.master.decrypt(&known, &ciphertext().expect("two units")).map(drop)
        }
        "know" => {
            let key = UnprovedKey::from_bytes(params, &data).expect("a unit").assume_certified();
            s.master.know(&key).map(drop)
        }
        "open" => {
            let partial = |x: &Value| Partial::from_bytes(params, &bytes(x)).expect("two units");
            let partials = list(&x["partials"]).iter().map(partial).collect();
            s.unified.open(&s.unified_ciphertext, partials).map(drop)
        }
        "unify" => {
            let members = list(&x["keys"]).iter().map(|i| s.secrets[index(i)].public().clone());
            UnifiedKey::new(&members.collect::<Vec<_>>()).map(drop)
        }
        "plaintext" => Plaintext::from_biguint(params, &number(&x["m"])).map(drop),
        "scale_bounded" => {
            let (c, bits) = ([s.plain(&x["c"])], index(&x["bits"]));
            key.scale_many_bounded(&s.encryptions[3..4], &c, bits).map(drop)
        }
        "layout" => s.layout(x).map(drop),
        "offset" => s.layout(x).expect("it fits").offset(&values(x)).map(drop),
        "unpack" => {
            let packed = [s.plain(&x["plaintext"])];
            s.layout(x).expect("it fits").unpack(&packed, index(&x["count"])).map(drop)
        }
        other => unreachable!("kind {other}"),
    }
}

fn name(error: &Error) -> &'static str {
    match error {
        Error::Params(ParamsFault::Size) => "Params/Size",
        Error::Params(ParamsFault::Even) => "Params/Even",
        Error::Params(ParamsFault::Modulus) => "Params/Modulus",
        Error::Params(ParamsFault::ClosePrimes) => "Params/ClosePrimes",
        Error::Params(ParamsFault::Generator) => "Params/Generator",
        Error::Params(ParamsFault::Primes) => "Params/Primes",
        Error::Encoding { fault: EncodingFault::Length { .. }, .. } => "Encoding/Length",
        Error::Encoding { fault: EncodingFault::Kind, .. } => "Encoding/Kind",
        Error::Encoding { fault: EncodingFault::Version { .. }, .. } => "Encoding/Version",
        Error::Encoding { fault: EncodingFault::Size(_), .. } => "Encoding/Size",
        Error::Encoding { fault: EncodingFault::Range, .. } => "Encoding/Range",
        Error::OtherParams { .. } => "OtherParams",
        Error::OtherKey { .. } => "OtherKey",
        Error::NotAResidue { .. } => "NotAResidue",
        Error::Undecryptable { .. } => "Undecryptable",
        Error::BadProof => "BadProof",
        Error::OutOfRange { .. } => "OutOfRange",
        Error::Length { .. } => "Length",
        Error::Members(_) => "Members",
        Error::Packing(_) => "Packing",
        _ => "another",
    }
}
