//! Configuration: which source wins, what is refused, and that nothing secret is shown.

use dyad_node::config::{
    ConfigError, Docs, Loaded, LogFormat, PASSPHRASE, Secret, Sources, render_config, undocumented,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Config {
    listen: SocketAddr,
    parties: Vec<String>,
    limit: Option<u16>,
    store: Store,
    link: Link,
    names: BTreeMap<String, u32>,
    peers: Vec<Peer>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Store {
    url: String,
    rate: f64,
    sync: bool,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Peer {
    name: String,
    #[serde(default)]
    port: u16,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Link {
    Memory,
    Grpc { address: String },
    Limit(u32),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:1".parse().unwrap(),
            parties: vec!["default".to_owned()],
            limit: None,
            store: Store::default(),
            link: Link::Grpc { address: "default".to_owned() },
            names: BTreeMap::new(),
            peers: Vec::new(),
        }
    }
}

impl Default for Store {
    fn default() -> Self {
        Self { url: "default".to_owned(), rate: 1.0, sync: true }
    }
}

const DOCS: Docs = &[
    ("listen", "Where to listen."),
    ("parties", "Who takes part."),
    ("limit", "How many; absent: no limit."),
    ("store.url", "Where the store is."),
    ("store.rate", "How fast."),
    ("store.sync", "Whether to wait for the disk."),
    ("link.grpc.address", "Whom to call."),
    ("peers", "The others."),
];

/// Sources of a service `test` from a file's text, variables and flags.
struct Given {
    _folder: tempfile::TempDir,
    file: PathBuf,
    sources: Sources,
}

fn given(file: &str, environment: &[(&str, &str)], sets: &[(&str, &str)]) -> Given {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.toml");
    std::fs::write(&path, file).unwrap();
    let sources = Sources {
        name: "test".to_owned(),
        file: Some(path.clone()),
        environment: environment.iter().map(|(k, v)| (k.into(), v.into())).collect(),
        flags: sets
            .iter()
            .map(|(k, v)| (format!("--set {k}"), (*k).to_owned(), (*v).to_owned()))
            .collect(),
    };
    Given { _folder: folder, file: path, sources }
}

impl Given {
    fn load(&self) -> Loaded<Config> {
        self.sources.load().unwrap()
    }

    /// The error, with the file's folder left out.
    fn refusal(&self) -> String {
        let error: ConfigError = self.sources.load::<Config>().unwrap_err();
        error.to_string().replace(&self.file.display().to_string(), "test.toml")
    }
}

#[test]
fn each_source_covers_the_ones_before() {
    let file = "listen = '127.0.0.1:2'\nlimit = 2\n[store]\nurl = 'file'\nrate = 2.5\n";
    let environment =
        [("DYAD_TEST__STORE__URL", "environment"), ("DYAD_TEST__LIMIT", "3"), ("OTHER", "x")];
    let loaded = given(file, &environment, &[("limit", "4")]).load();
    let config = loaded.config;
    assert_eq!(config.listen.port(), 2);
    assert_eq!(config.limit, Some(4));
    assert_eq!(config.store.url, "environment");
    assert!((config.store.rate - 2.5).abs() < 1e-9);
    assert!(config.store.sync);
    assert_eq!(config.parties, ["default"]);
    assert!(loaded.sources.starts_with("defaults, "));
    assert!(loaded.sources.ends_with("test.toml, 2 variables of the environment, 1 flag"));
}

#[test]
fn text_becomes_what_is_wanted() {
    let sets = [
        // Text that looks like a number stays text where text is wanted.
        ("store.url", "17"),
        ("store.sync", "false"),
        ("store.rate", "3"),
        ("parties", "a, b"),
        ("names.c0", "7"),
        ("peers", "[{ name = 'p', port = 9 }, { name = 'q' }]"),
        ("link", "memory"),
    ];
    let config = given("", &[], &sets).load().config;
    assert_eq!(config.store, Store { url: "17".to_owned(), rate: 3.0, sync: false });
    assert_eq!(config.parties, ["a", "b"]);
    assert_eq!(config.names["c0"], 7);
    assert_eq!(config.peers[0], Peer { name: "p".to_owned(), port: 9 });
    assert_eq!(config.link, Link::Memory);
    let config = given("link = { limit = 5 }", &[], &[("parties", "['x,y']")]).load().config;
    assert_eq!((config.link, config.parties), (Link::Limit(5), vec!["x,y".to_owned()]));
    // Another variant than the default's: nothing of the default remains.
    let config = given("", &[("DYAD_TEST__LINK__GRPC__ADDRESS", "x")], &[]).load().config;
    assert_eq!(config.link, Link::Grpc { address: "x".to_owned() });
}

#[test]
fn common_keys_stand_beside_the_services_own() {
    let environment = [("DYAD_TEST__LOG", "json")];
    let loaded = given("admin_listen = '127.0.0.1:9'", &environment, &[]).load();
    assert_eq!(loaded.common.admin_listen.unwrap().port(), 9);
    assert_eq!((loaded.common.log, &*loaded.common.log_filter), (LogFormat::Json, "info"));
}

#[test]
fn unknown_keys_are_refused_wherever_they_are() {
    for (file, environment, sets, expected) in [
        (
            "\n[store]\nulr = 'x'",
            &[][..],
            &[][..],
            "key `store.ulr` (test.toml:3): unknown; did you mean `store.url`?",
        ),
        (
            "",
            &[("DYAD_TEST__LISTNE", "x")],
            &[],
            "key `listne` (environment variable DYAD_TEST__LISTNE): unknown; \
             did you mean `listen`?",
        ),
        (
            "",
            &[],
            &[("quite.another", "x")],
            "key `quite.another` (--set quite.another): unknown; known here: listen, parties, \
             limit, store, link, names, peers, admin_listen, log, log_filter",
        ),
        (
            "admin_listn = 'x'",
            &[],
            &[],
            "key `admin_listn` (test.toml:1): unknown; did you mean `admin_listen`?",
        ),
        (
            "[[peers]]\nname = 'p'\n[[peers]]\nname = 'q'\nprot = 1",
            &[],
            &[],
            "key `peers.1.prot` (test.toml:5): unknown; did you mean `peers.1.port`?",
        ),
        (
            "[link.grpc]\naddress = 'x'\naddressx = 'y'",
            &[],
            &[],
            "key `link.grpc.addressx` (test.toml:3): unknown; did you mean `link.grpc.address`?",
        ),
        (
            "a_b = 1",
            &[("DYAD_TEST__STORE__SINC", "x")],
            &[],
            "key `a_b` (test.toml:1): unknown; known here: listen, parties, limit, store, link, \
             names, peers, admin_listen, log, log_filter; key `store.sinc` (environment variable \
             DYAD_TEST__STORE__SINC): unknown; did you mean `store.sync`?",
        ),
    ] {
        assert_eq!(
            given(file, environment, sets).refusal(),
            format!("configuration: {expected}"),
            "{file} {environment:?} {sets:?}"
        );
    }
}

#[test]
fn wrong_values_are_refused_by_name_and_never_shown() {
    for (file, environment, sets, expected) in [
        (
            "limit = 'hunter2'",
            &[][..],
            &[][..],
            "key `limit` (test.toml:1): expected u16, found text",
        ),
        (
            "limit = 70000",
            &[],
            &[],
            "key `limit` (test.toml:1): expected u16; found an integer, not an allowed one",
        ),
        (
            "",
            &[("DYAD_TEST__LIMIT", "hunter2")],
            &[],
            "key `limit` (environment variable DYAD_TEST__LIMIT): expected an integer, zero or \
             more",
        ),
        (
            "",
            &[],
            &[("listen", "hunter2")],
            "key `listen` (--set listen): invalid socket address syntax",
        ),
        (
            "",
            &[],
            &[("link", "hunter2")],
            "key `link` (--set link): expected one of memory, grpc, limit",
        ),
        (
            "[store]\nurl = 3",
            &[],
            &[],
            "key `store.url` (test.toml:2): expected a string, found an integer",
        ),
        (
            "[[peers]]\nport = 1",
            &[],
            &[],
            "key `peers.0` (test.toml:1): lacks `name`, which has no default",
        ),
        // The parser quotes the line; we do not.
        (
            "limit = 1\nurl = 'hunter2",
            &[],
            &[],
            "test.toml:2: invalid literal string, expected `'`",
        ),
        (
            "",
            &[("DYAD_TEST__", "x")],
            &[],
            "environment variable DYAD_TEST__: is not a key: parts with dots between",
        ),
        (
            "",
            &[],
            &[("a..b", "x")],
            "key `a..b` (--set a..b): is not a key: parts with dots between",
        ),
    ] {
        let refusal = given(file, environment, sets).refusal();
        assert_eq!(refusal, format!("configuration: {expected}"), "{file} {environment:?}");
        assert!(!refusal.contains("hunter2"));
    }
}

#[test]
fn a_file_that_is_not_there() {
    let sources = Sources {
        name: "test".to_owned(),
        file: Some("/nowhere/test.toml".into()),
        ..Sources::default()
    };
    let error = sources.load::<Config>().unwrap_err().to_string();
    assert!(error.starts_with("configuration: /nowhere/test.toml: cannot be read: No such file"));
}

#[test]
fn a_sample_gives_what_it_was_made_of() {
    let config = Config {
        names: BTreeMap::from([("with space".to_owned(), 3)]),
        peers: vec![Peer { name: "p".to_owned(), port: 1 }],
        ..Config::default()
    };
    let sample = render_config(&config, DOCS);
    let loaded = given(&sample, &[], &[]).load();
    assert_eq!(loaded.config, config);
    assert!(sample.contains("# How many; absent: no limit.\n# limit =\n"), "{sample}");
    assert!(sample.contains("[store]\n# Where the store is.\nurl = \"default\"\n"), "{sample}");
    assert_eq!(undocumented(&config, DOCS), ["names.with space"]);
}

#[test]
fn secrets_do_not_show() {
    #[derive(Debug, Default, Serialize, Deserialize)]
    struct Keys {
        passphrase: Secret,
    }
    let mut sources = Sources { name: "test".to_owned(), ..Sources::default() };
    sources.environment.push(("DYAD_TEST__PASSPHRASE".into(), "hunter2".into()));
    let keys = sources.load::<Keys>().unwrap().config;
    assert_eq!(keys.passphrase.reveal(), Some("hunter2"));
    assert_eq!(format!("{keys:?}"), "Keys { passphrase: Secret(hidden) }");
    assert!(!render_config(&keys, &[]).contains("hunter2"));
    assert_eq!(Secret::default().reveal(), None);
}

#[test]
fn one_variable_has_the_passphrase_of_every_program() {
    #[derive(Debug, Default, Serialize, Deserialize)]
    struct Keys {
        passphrase: Secret,
    }
    #[derive(Debug, Default, Serialize, Deserialize)]
    struct NoKeys {}
    let mut sources = Sources { name: "test".to_owned(), ..Sources::default() };
    sources.environment.push((PASSPHRASE.into(), "hunter2".into()));
    let keys = sources.load::<Keys>().unwrap().config;
    assert_eq!(keys.passphrase.reveal(), Some("hunter2"));
    // Where there is nothing to lock it is nobody's key.
    sources.load::<NoKeys>().unwrap();
    // A program's own variable is over it.
    sources.environment.push(("DYAD_TEST__PASSPHRASE".into(), "correct horse".into()));
    let keys = sources.load::<Keys>().unwrap().config;
    assert_eq!(keys.passphrase.reveal(), Some("correct horse"));
}
