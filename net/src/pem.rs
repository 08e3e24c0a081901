//! Blocks of base64 between two lines that say what they are.

use crate::error::{Error, Result};
use base64ct::Base64;
use rustls::pki_types::pem::{PemObject, SectionKind};
use zeroize::Zeroizing;

/// Characters in a line.
const WIDTH: usize = 64;

/// Writes one block. What is encoded may be a secret.
pub(crate) fn write(out: &mut String, label: &str, der: &[u8]) {
    use base64ct::Encoding;
    let text = Zeroizing::new(Base64::encode_string(der));
    let line = |out: &mut String, text: &str| {
        out.push_str(text);
        out.push('\n');
    };
    line(out, &format!("-----BEGIN {label}-----"));
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (now, later) = rest.split_at(rest.len().min(WIDTH));
        line(out, now);
        rest = later;
    }
    line(out, &format!("-----END {label}-----"));
}

/// All blocks of some text that are certificates or private keys.
pub(crate) struct Blocks {
    pub(crate) certificates: Vec<Vec<u8>>,
    pub(crate) keys: Vec<Zeroizing<Vec<u8>>>,
}

/// Reads them; other blocks are an error.
pub(crate) fn read(what: &'static str, text: &str) -> Result<Blocks> {
    let mut blocks = Blocks { certificates: vec![], keys: vec![] };
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes()) {
        match section.map_err(|error| Error::malformed(what, error))? {
            (SectionKind::Certificate, der) => blocks.certificates.push(der),
            (SectionKind::PrivateKey, der) => blocks.keys.push(der.into()),
            (kind, _) => return Err(Error::malformed(what, format!("a block of {kind:?}"))),
        }
    }
    Ok(blocks)
}
