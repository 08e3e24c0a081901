//! A study: who takes part, and what the data mean. Frozen when all members have joined.

use crate::text::Content;
use crate::{Document, Hex, Name, Role, digest, hex, limits};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Of the format.
pub const VERSION: u32 = 1;

/// What its author proposes; members read it before they join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Draft {
    /// [`VERSION`].
    pub version: u32,
    /// Name.
    pub name: Name,
    /// Those who take part.
    pub members: Vec<Name>,
    /// Bits behind the point of encoded numbers.
    pub fraction_bits: u32,
    /// Bits of encoded numbers in all.
    pub value_bits: u32,
    /// The schema, in its own language.
    pub schema: String,
    /// What it amounts to: each column and how many features it becomes, in their order.
    pub columns: Vec<Column>,
    /// The label.
    pub label: Label,
}

/// A column of the schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Features it becomes.
    pub width: usize,
}

/// The label's column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Label {
    /// Its name.
    pub name: String,
    /// Names of the classes; none if the label is a number.
    #[serde(default)]
    pub classes: Vec<String>,
}

impl Label {
    /// Numbers a row's label becomes: a one for its class and noughts for the others, or itself.
    #[must_use]
    pub fn width(&self) -> usize {
        self.classes.len().max(1)
    }
}

/// A study that all its members have joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Study {
    /// [`VERSION`].
    pub version: u32,
    /// Drawn when it was created: what members' keys are proved for.
    pub id: Hex<16>,
    /// When it was frozen, in seconds since 1970.
    pub frozen: u64,
    /// The key centre's root certificate.
    pub root: Hex<32>,
    /// The parameters of the cryptosystem.
    pub params: Hex<32>,
    /// The clouds, by their keys: another certificate is another cloud.
    pub c0: Cloud,
    /// The main cloud.
    pub c1: Cloud,
    /// The members, in the draft's order.
    pub members: Vec<Member>,
    /// What they agreed to.
    pub draft: Draft,
}

/// A cloud of a study.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cloud {
    /// Name.
    pub name: Name,
    /// Of its TLS key.
    pub fingerprint: Hex<32>,
    /// Key that its signatures are checked with.
    pub sign: Hex<32>,
    /// Key that is sealed to.
    pub seal: Hex<32>,
}

/// A member of a study.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Name.
    pub name: Name,
    /// Of its TLS key.
    pub fingerprint: Hex<32>,
    /// Key that its signatures are checked with.
    pub sign: Hex<32>,
    /// Key that is sealed to.
    pub seal: Hex<32>,
    /// BCP key with its proof.
    #[serde(with = "hex::many")]
    pub key: Vec<u8>,
}

impl Content for Draft {
    const KIND: &'static str = "draft of a study";
    const VERSION: u32 = VERSION;

    fn version(&self) -> u32 {
        self.version
    }

    fn check(&self) -> Result<(), String> {
        let members: BTreeSet<_> = self.members.iter().collect();
        if members.len() != self.members.len() {
            return Err("a member is named twice".into());
        }
        if members.is_empty() || members.len() > limits::MEMBERS {
            let most = limits::MEMBERS;
            return Err(format!("{} members, where 1 to {most} may be", members.len()));
        }
        let columns: BTreeSet<_> = self.columns.iter().map(|column| &column.name).collect();
        if columns.len() != self.columns.len() || columns.contains(&self.label.name) {
            return Err("a column is named twice".into());
        }
        if columns.is_empty() || columns.len() > limits::COLUMNS {
            return Err(format!("{} columns, 1 to {} may be", columns.len(), limits::COLUMNS));
        }
        let width = self.columns.iter().try_fold(0_usize, |sum, x| sum.checked_add(x.width));
        let width = width.filter(|width| (1..=limits::WIDTH).contains(width));
        if width.is_none() || self.columns.iter().any(|column| column.width == 0) {
            return Err(format!("a row may become 1 to {} numbers", limits::WIDTH));
        }
        if self.label.classes.len() == 1 || self.label.classes.len() > limits::WIDTH {
            return Err(format!("a label of {} classes", self.label.classes.len()));
        }
        if !(2..=62).contains(&self.value_bits) || self.fraction_bits >= self.value_bits {
            let (l, f) = (self.value_bits, self.fraction_bits);
            return Err(format!("numbers of {l} bits with {f} behind the point"));
        }
        Ok(())
    }
}

impl Draft {
    /// Features of a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.columns.iter().map(|column| column.width).sum()
    }
}

impl Content for Study {
    const KIND: &'static str = "study";
    const VERSION: u32 = VERSION;

    fn version(&self) -> u32 {
        self.version
    }

    fn check(&self) -> Result<(), String> {
        self.draft.check()?;
        let names = self.members.iter().map(|member| &member.name);
        if !names.eq(&self.draft.members) {
            return Err("those who joined are not those who were asked".into());
        }
        let member = |m: &Member| [m.fingerprint, m.sign, m.seal];
        let cloud = |c: &Cloud| [c.fingerprint, c.sign, c.seal];
        let clouds = [cloud(&self.c0), cloud(&self.c1)];
        let all: Vec<_> = self.members.iter().map(member).chain(clouds).flatten().collect();
        if all.iter().collect::<BTreeSet<_>>().len() != all.len() {
            return Err("two parties have a key in common".into());
        }
        Ok(())
    }
}

impl Study {
    /// A member by name.
    #[must_use]
    pub fn member(&self, name: &Name) -> Option<&Member> {
        self.members.iter().find(|member| member.name == *name)
    }

    /// A cloud by its role; nothing for other roles.
    #[must_use]
    pub const fn cloud(&self, role: Role) -> Option<&Cloud> {
        match role {
            Role::C0 => Some(&self.c0),
            Role::C1 => Some(&self.c1),
            Role::Kgc | Role::Owner => None,
        }
    }
}

/// What the key centre signs about a frozen study.
pub const FROZEN: &str = "study is frozen";

/// What a member's key is proved for: a key of one study is none of another.
#[must_use]
pub fn proof_context(id: &Hex<16>, draft: &Document<Draft>) -> [u8; 32] {
    digest("key of a study", &[&id.0, &draft.digest()])
}
