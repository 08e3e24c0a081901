//! Nobody gets in: each refusal that the system promises, and the test that shows it. All are told in
//! words; what services refuse they log and count by cause, which `connections::nobody_gets_in` looks
//! at in processes, and `calls` in process.
//!
//! | who, or what | refused by | shown by |
//! | --- | --- | --- |
//! | no certificate | TLS of all three | `connections::nobody_gets_in` |
//! | expired, not valid yet | same | same; while connected: `net` `certificates_that_end_while_connected_are_refused` |
//! | revoked | same | same; while connected: `net` `revoked_certificates_are_refused_on_new_and_living_connections` |
//! | wrong authority | TLS of both sides | same; `net` `the_server_itself_refuses_another_authority` |
//! | wrong role | caller's check of the server; C0's calls for C1 | same; `calls::clouds_refuse_what_nobody_should_ask` |
//! | pinned key changed | caller's check; clouds, by the frozen study | same; `kgc` `another_cloud_than_the_studys_is_refused` |
//! | another owner's data | clouds | `calls::clouds_refuse_what_nobody_should_ask` |
//! | replayed token | key centre | `kgc` `a_token_is_good_for_one_set_of_keys` |
//! | replayed signature: of another job or moment, taken back | clouds; key centre | `calls::clouds_refuse_what_nobody_should_ask`; `kgc` `consent_is_checked` |
//! | replayed job id | clouds; key centre | same; `kgc` `programs_ids_and_nonces_are_checked` |
//! | a job that one owner did not sign | clouds, key centre | same; `kgc` `consent_is_checked` |
//! | an upload for a study one is not in, in another's name, of a study that nobody signed | clouds | `calls::clouds_refuse_what_nobody_should_ask` |
//! | cells that two owners bring | clouds | `uploads::what_is_altered_is_refused`; `cloud` `overlaps_name_owners_and_counts` |
//! | words that would write over what owners are shown | clouds, owners | `calls::clouds_refuse_what_nobody_should_ask`; `data` `what_contradicts_itself_is_refused` |
//! | an altered upload | clouds, its owner, the job | `uploads::what_is_altered_is_refused` |
//! | two releases whose programs differ | clouds; key centre | `calls::clouds_refuse_what_nobody_should_ask`; `kgc` `programs_ids_and_nonces_are_checked`; as processes: `faults` `one_of_another_release` |
//! | a model asked for by somebody whom the job does not name | clouds | `releases::for_recipients_alone_and_signed_once` |
//! | a release signed twice, of another model, without C0's signature | C0; owners | same |
//! | the demonstration's parameters | all three services, owners | `demonstration::is_refused_by_everybody` |
//! | more packed values than their blinds allow | C1 | `cloud1` `blinds_bound_what_is_packed` |

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::too_many_lines)]

mod calls;
mod common;
mod connections;
mod demonstration;
mod releases;
mod uploads;
