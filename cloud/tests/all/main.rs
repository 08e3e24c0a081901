//! What clouds refuse, wait out and leave behind: the services in one process, looked at from
//! within their folders.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::too_many_lines)]

mod answers;
mod approvals;
mod centre;
mod common;
mod compare;
mod deeds;
mod impostor;
mod leftovers;
mod lists;
mod owners;
mod quotas;
mod repeats;
mod start;
mod waiting;

/// Tests run one after the other: each has a machine's worth of services.
static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
