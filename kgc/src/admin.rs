//! What the operator asks: of the running service, over a socket in its store's folder, or of the
//! store itself when no service runs. One process has the store open at a time.

use crate::config::Config;
use crate::error::{Cause, Error, Result, refuse};
use crate::office::Office;
use crate::status::Status;
use crate::tokens::TokenLine;
use dyad_net::identity::{Identity, Name, Role};
use dyad_net::member::Token;
use dyad_node::clock::SystemClock;
use dyad_node::store::StoreError;
use serde::{Deserialize, Serialize};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;
use zeroize::Zeroizing;

/// What is asked: a line of JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
enum Ask {
    Token { role: String, name: String, seconds: u64 },
    Tokens,
    Revoke { role: String, name: String },
    Status,
}

/// What is answered: a line of JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    Token(String),
    Tokens(Vec<TokenLine>),
    Revoked(u64),
    Status(Box<Status>),
    Refused(String),
}

/// No question and no answer is longer.
const LONGEST: u64 = 4 << 20;

/// How long a question or an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often to look again when the store is taken and nobody listens: somebody is just starting.
const TRIES: u32 = 50;

fn identity(role: &str, name: &str) -> Result<Identity> {
    let wrong = |error: dyad_protos::Error| crate::error::message(&error);
    Ok(Identity::new(role.parse().map_err(wrong)?, name.parse().map_err(wrong)?))
}

impl Office {
    async fn answer(&self, ask: Ask) -> Result<Answer> {
        Ok(match ask {
            Ask::Token { role, name, seconds } => {
                let (identity, valid) = (identity(&role, &name)?, Duration::from_secs(seconds));
                Answer::Token(self.token(&identity, valid).await?.to_string())
            }
            Ask::Tokens => Answer::Tokens(self.tokens().await?),
            Ask::Revoke { role, name } => {
                Answer::Revoked(self.revoke(&identity(&role, &name)?, "operator").await?)
            }
            Ask::Status => Answer::Status(Box::new(self.status().await?)),
        })
    }
}

/// Listens in the store's folder, for this user alone.
pub(crate) fn listen(path: &Path) -> io::Result<UnixListener> {
    // What a killed service left; the database's lock says that there is no other.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(listener)
}

/// Answers until it is dropped; `changed` is called after a revocation.
pub(crate) async fn serve(
    listener: UnixListener,
    office: Arc<Office>,
    changed: impl Fn() + Clone + Send + 'static,
) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the operator's socket");
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let (office, changed) = (Arc::clone(&office), changed.clone());
        tokio::spawn(async move {
            match timeout(PATIENCE, converse(stream, &office)).await {
                Ok(Ok(true)) => changed(),
                Ok(Ok(false)) => {}
                Ok(Err(error)) => tracing::debug!(%error, "the operator's socket"),
                Err(_) => tracing::debug!("the operator's socket: nothing is said"),
            }
        });
    }
}

/// Hears a question and answers it. Was somebody revoked?
async fn converse(mut stream: UnixStream, office: &Office) -> io::Result<bool> {
    let (read, mut write) = stream.split();
    let mut line = String::new();
    BufReader::new(read.take(LONGEST)).read_line(&mut line).await?;
    let ask = serde_json::from_str(&line).map_err(io::Error::other)?;
    let answer = office.answer(ask).await.unwrap_or_else(|error| {
        tracing::warn!("the operator is refused: {error}");
        Answer::Refused(error.to_string())
    });
    let text = Zeroizing::new(serde_json::to_string(&answer).map_err(io::Error::other)?);
    write.write_all(text.as_bytes()).await?;
    write.write_all(b"\n").await?;
    write.shutdown().await?;
    Ok(matches!(answer, Answer::Revoked(_)))
}

/// Asks the running service; none runs: `None`.
async fn ask_service(path: &Path, ask: &Ask) -> Result<Option<Answer>> {
    let failed = |source| Error::File { path: path.to_owned(), source };
    let mut stream = match UnixStream::connect(path).await {
        Ok(stream) => stream,
        Err(error)
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(failed(error)),
    };
    let conversation = async {
        let line = serde_json::to_string(ask).map_err(io::Error::other)? + "\n";
        stream.write_all(line.as_bytes()).await?;
        let mut text = Zeroizing::new(String::new());
        BufReader::new((&mut stream).take(LONGEST)).read_line(&mut text).await?;
        serde_json::from_str(&text).map_err(io::Error::other)
    };
    let answer = timeout(PATIENCE, conversation).await;
    let answer = answer.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()));
    answer.map(Some).map_err(failed)
}

async fn ask(config: &Config, ask: Ask) -> Result<Answer> {
    let socket = config.socket();
    for _ in 0..TRIES {
        if let Some(answer) = ask_service(&socket, &ask).await? {
            return match answer {
                Answer::Refused(text) => refuse(Cause::Message, text),
                answer => Ok(answer),
            };
        }
        match Office::open(config, Arc::new(SystemClock)).await {
            Ok(office) => {
                let answer = office.answer(ask).await;
                office.db.close().await;
                return answer;
            }
            Err(Error::Store(StoreError::InUse { .. })) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => return Err(error),
        }
    }
    let store = config.store.display();
    Err(Error::Broken(format!("{store} is in use, and whoever uses it does not answer: stop it")))
}

fn unexpected() -> Error {
    Error::Broken("the running service is another release: restart it".into())
}

/// A one-time token, to be told to whoever it is for.
pub async fn token(config: &Config, role: Role, name: &Name, valid: Duration) -> Result<Token> {
    let seconds = valid.as_secs();
    let asked = Ask::Token { role: role.to_string(), name: name.to_string(), seconds };
    match ask(config, asked).await? {
        Answer::Token(text) => Ok(text.parse()?),
        _ => Err(unexpected()),
    }
}

/// All tokens that were made, the newest first.
pub async fn tokens(config: &Config) -> Result<Vec<TokenLine>> {
    match ask(config, Ask::Tokens).await? {
        Answer::Tokens(lines) => Ok(lines),
        _ => Err(unexpected()),
    }
}

/// Enrols a party no more; says how many certificates that were good are so no longer.
pub async fn revoke(config: &Config, role: Role, name: &Name) -> Result<u64> {
    match ask(config, Ask::Revoke { role: role.to_string(), name: name.to_string() }).await? {
        Answer::Revoked(certificates) => Ok(certificates),
        _ => Err(unexpected()),
    }
}

/// How the key centre stands.
pub async fn status(config: &Config) -> Result<Status> {
    match ask(config, Ask::Status).await? {
        Answer::Status(status) => Ok(*status),
        _ => Err(unexpected()),
    }
}
