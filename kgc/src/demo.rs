//! Parameters for trying things out. Their master key is printed in this repository: whatever is
//! encrypted under them can be read by everybody.

use crate::error::{Error, Result};
use dyad_bcp::{MasterKey, PublicParams};
use dyad_protos::INSECURE_DEMO;
use zeroize::Zeroizing;

/// What is shown when they are used.
pub const BANNER: &str = "\
*******************************************************************************
*  INSECURE DEMO: the master key of these parameters is public. Whoever wants *
*  can read whatever is encrypted under them. Use them with invented data.    *
*******************************************************************************";

/// Are these the ones?
#[must_use]
pub fn is_demo(params: &PublicParams) -> bool {
    *params.id().as_bytes() == INSECURE_DEMO.0
}

/// The parameters and their master key.
pub(crate) fn parameters() -> Result<(PublicParams, MasterKey)> {
    let params = PublicParams::from_bytes(&bytes(include_str!("../demo/params.hex"))?)?;
    let master = MasterKey::from_bytes(&params, &bytes(include_str!("../demo/master.hex"))?)?;
    Ok((params, master))
}

fn bytes(text: &str) -> Result<Zeroizing<Vec<u8>>> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    bytes.map(Zeroizing::new).ok_or_else(|| Error::Broken("the demo set is damaged".into()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn demo_is_known_for_what_it_is() {
        let (params, master) = parameters().unwrap();
        assert!(is_demo(&params) && is_demo(master.params()));
    }
}
