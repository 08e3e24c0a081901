//! The generated types, by package and version; `proto/` documents them. They are not believed:
//! what comes in goes through the checked types of this crate before anybody works with it.
#![allow(missing_docs, unreachable_pub, clippy::pedantic)]

mod generated {
    include!(concat!(env!("OUT_DIR"), "/wire.rs"));
}
pub use generated::dyad::*;
/// How long a message is.
pub use prost::Message;
