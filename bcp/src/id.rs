//! Identifiers: hashes of what they name.

use std::fmt;

/// An identifier of 32 bytes that prints as its beginning.
macro_rules! id {
    ($(#[$about:meta])* $name:ident) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub(crate) [u8; 32]);

        impl $name {
            /// The 32 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                short_hex(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

id! {
    /// Names public parameters: a hash of N and g.
    ParamsId
}

id! {
    /// Names a public key: a hash of the parameters and h.
    KeyId
}

/// Enough of an identifier to tell two apart on a screen.
fn short_hex(id: &[u8; 32], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    id[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}
