//! From the tree to a service's types, by serde, keeping track of where we are: so that an error
//! names key and place, and so that keys nobody reads are found without asking anything of the
//! types. (Only below `#[serde(flatten)]` and in untagged or internally tagged enums serde does not
//! say which keys there are: there, types should `deny_unknown_fields`.)

use super::fault::{ConfigError, Fault, nearest};
use super::tree::{Node, Origin, Table, joined};
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Unexpected, Visitor};
use std::cell::RefCell;
use std::fmt;
use std::str::FromStr;
use toml::Value;

/// Reads trees, and gathers the keys that nobody knows.
pub(super) struct Reader<'a> {
    /// Names that are known at the top beside those of the type that is read.
    beside: &'a [&'a str],
    unknown: RefCell<Vec<Fault>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(beside: &'a [&'a str]) -> Self {
        Self { beside, unknown: RefCell::default() }
    }

    pub(super) fn read<T: DeserializeOwned>(&self, root: Node) -> Result<T, ConfigError> {
        let at = At { node: root, path: String::new(), reader: self };
        T::deserialize(at).map_err(|wrong| {
            let (path, found) = wrong.place.unwrap_or_default();
            ConfigError::one(path, found, wrong.why)
        })
    }

    pub(super) fn unknown(&self) -> Vec<Fault> {
        self.unknown.borrow().clone()
    }

    /// Takes out of `table` what is not among `fields`, and writes it down.
    fn sift(&self, table: &mut Table, path: &str, fields: &[&'static str]) {
        let known = |key: &str| fields.contains(&key);
        for (key, node) in table.extract_if(.., |key, _| !known(key)) {
            let beside = if path.is_empty() { self.beside } else { &[] };
            let names = || fields.iter().chain(beside).copied();
            let why = if let Some(near) = nearest(&key, names()) {
                format!("unknown; did you mean `{}`?", joined(path, near))
            } else {
                format!("unknown; known here: {}", names().collect::<Vec<_>>().join(", "))
            };
            // The tables above may be made up by whoever named the key: only the leaf counts.
            let (below, origin) = deepest(&node);
            let key = below.iter().fold(joined(path, &key), |path, part| joined(&path, part));
            self.unknown.borrow_mut().push(Fault { key, found: origin.to_string(), why });
        }
    }
}

/// The path to the only leaf below, if there is only one, and where it was found.
fn deepest(node: &Node) -> (Vec<&str>, &Origin) {
    let mut path = Vec::new();
    let mut at = node;
    while let Node::Table(table, _) = at {
        let (1, Some((key, below))) = (table.len(), table.first_key_value()) else { break };
        path.push(key.as_str());
        at = below;
    }
    (path, at.origin())
}

/// An error and where it arose.
#[derive(Debug)]
pub(super) struct Wrong {
    place: Option<(String, String)>,
    why: String,
}

impl Wrong {
    fn new(why: impl Into<String>) -> Self {
        Self { place: None, why: why.into() }
    }

    /// Names the place, unless one further down was named.
    fn at(mut self, path: &str, origin: &Origin) -> Self {
        self.place.get_or_insert_with(|| (path.to_owned(), origin.to_string()));
        self
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Wrong {}

fn kind(unexpected: &Unexpected<'_>) -> &'static str {
    match unexpected {
        Unexpected::Bool(_) => "true or false",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "an integer",
        Unexpected::Float(_) => "a number with a point",
        Unexpected::Char(_) | Unexpected::Str(_) => "text",
        Unexpected::Seq => "a list",
        Unexpected::Map => "a table",
        _ => "something else",
    }
}

// The errors that serde's own form would write the value into are written anew.
impl de::Error for Wrong {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(format!("expected {expected}, found {}", kind(&unexpected)))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(format!("expected {expected}; found {}, not an allowed one", kind(&unexpected)))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("expected one of {}", expected.join(", ")))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(format!("lacks `{field}`, which has no default"))
    }
}

/// A node to be read.
struct At<'r, 'a> {
    node: Node,
    path: String,
    reader: &'r Reader<'a>,
}

/// Text as a TOML value; as text, if it is none.
fn guessed(text: &str) -> Value {
    match Value::from_str(text) {
        Ok(value) => value,
        Err(_) => Value::String(text.to_owned()),
    }
}

impl At<'_, '_> {
    /// Runs `read`, and names this place in its error.
    fn placed<T>(self, read: impl FnOnce(Self) -> Result<T, Wrong>) -> Result<T, Wrong> {
        let (path, origin) = (self.path.clone(), self.node.origin().clone());
        read(self).map_err(|wrong| wrong.at(&path, &origin))
    }

    /// With text become what it says, where a table or list is wanted.
    fn unfolded(mut self) -> Self {
        if let Node::Text(text, origin) = &self.node {
            let origin = origin.clone();
            self.node = Node::of(guessed(text), "", &|_| origin.clone());
        }
        self
    }

    /// Text parsed as `T`; anything else as it is.
    fn parsed<'de, T, V>(
        self,
        visitor: V,
        visit: impl FnOnce(V, T) -> Result<V::Value, Wrong>,
        what: &str,
    ) -> Result<V::Value, Wrong>
    where
        T: FromStr,
        V: Visitor<'de>,
    {
        self.placed(|at| match &at.node {
            Node::Text(text, _) => match text.trim().parse() {
                Ok(value) => visit(visitor, value),
                Err(_) => Err(Wrong::new(format!("expected {what}"))),
            },
            _ => at.any(visitor),
        })
    }

    fn any<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.node {
            Node::Leaf(Value::String(text), _) => visitor.visit_string(text),
            Node::Leaf(Value::Integer(number), _) => visitor.visit_i64(number),
            Node::Leaf(Value::Float(number), _) => visitor.visit_f64(number),
            Node::Leaf(Value::Boolean(truth), _) => visitor.visit_bool(truth),
            Node::Leaf(other, _) => visitor.visit_string(other.to_string()),
            Node::Text(..) => self.unfolded().any(visitor),
            Node::List(nodes, _) => {
                let (path, reader) = (self.path, self.reader);
                visitor.visit_seq(Items { nodes: nodes.into_iter(), path, number: 0, reader })
            }
            Node::Table(table, _) => {
                let (path, reader) = (self.path, self.reader);
                visitor.visit_map(Entries { rest: table.into_iter(), path, next: None, reader })
            }
        }
    }

    /// A table with only these keys in it.
    fn sifted(mut self, fields: &[&'static str]) -> Self {
        if let Node::Table(table, _) = &mut self.node {
            self.reader.sift(table, &self.path, fields);
        }
        self
    }
}

/// Methods that differ by the type of a number alone.
macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty, $what:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            self.parsed::<$type, V>(visitor, |visitor, value| visitor.$visit(value), $what)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for At<'_, '_> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.placed(|at| at.any(visitor))
    }

    numbers! {
        deserialize_bool visit_bool bool, "true or false";
        deserialize_i8 visit_i64 i64, "an integer";
        deserialize_i16 visit_i64 i64, "an integer";
        deserialize_i32 visit_i64 i64, "an integer";
        deserialize_i64 visit_i64 i64, "an integer";
        deserialize_u8 visit_u64 u64, "an integer, zero or more";
        deserialize_u16 visit_u64 u64, "an integer, zero or more";
        deserialize_u32 visit_u64 u64, "an integer, zero or more";
        deserialize_u64 visit_u64 u64, "an integer, zero or more";
        deserialize_f32 visit_f64 f64, "a number";
        deserialize_f64 visit_f64 f64, "a number";
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.placed(|at| match at.node {
            Node::Text(text, _) => visitor.visit_string(text),
            _ => at.any(visitor),
        })
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.placed(|at| visitor.visit_some(at))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.placed(|at| visitor.visit_newtype_struct(at))
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Wrong> {
        // `a,b` is a list too, where one is wanted.
        if let Node::Text(text, origin) = &self.node
            && !text.trim_start().starts_with('[')
        {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            let items = items.map(|item| Node::Text(item.to_owned(), origin.clone())).collect();
            self.node = Node::List(items, origin.clone());
        }
        self.unfolded().deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.unfolded().sifted(fields).deserialize_any(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.placed(|mut at| {
            if let Node::Text(text, _) = &at.node
                && text.trim_start().starts_with('{')
            {
                at = at.unfolded();
            }
            match at.node {
                Node::Text(name, _) | Node::Leaf(Value::String(name), _) => {
                    visitor.visit_enum(name.into_deserializer())
                }
                Node::Table(mut table, _) => {
                    // The default may be another variant.
                    if table.len() > 1 {
                        table.retain(|_, node| !node.origin().is_default());
                    }
                    let (1, Some((name, node))) = (table.len(), table.pop_first()) else {
                        return Err(Wrong::new("expected a table with one key"));
                    };
                    let path = joined(&at.path, &name);
                    visitor.visit_enum(Chosen { name, at: At { node, path, reader: at.reader } })
                }
                _ => Err(Wrong::new("expected text or a table with one key")),
            }
        })
    }

    serde::forward_to_deserialize_any! {
        bytes byte_buf unit unit_struct tuple tuple_struct map ignored_any
    }
}

struct Items<'r, 'a> {
    nodes: std::vec::IntoIter<Node>,
    path: String,
    number: usize,
    reader: &'r Reader<'a>,
}

impl<'de> de::SeqAccess<'de> for Items<'_, '_> {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Wrong> {
        let Some(node) = self.nodes.next() else { return Ok(None) };
        let path = joined(&self.path, &self.number.to_string());
        self.number += 1;
        seed.deserialize(At { node, path, reader: self.reader }).map(Some)
    }
}

struct Entries<'r, 'a> {
    rest: std::collections::btree_map::IntoIter<String, Node>,
    path: String,
    next: Option<(String, Node)>,
    reader: &'r Reader<'a>,
}

impl<'de> de::MapAccess<'de> for Entries<'_, '_> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Wrong> {
        let Some((key, node)) = self.rest.next() else { return Ok(None) };
        let text = Node::Text(key.clone(), node.origin().clone());
        let path = joined(&self.path, &key);
        self.next = Some((key, node));
        seed.deserialize(At { node: text, path, reader: self.reader }).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        let Some((key, node)) = self.next.take() else {
            return Err(Wrong::new("a value before its key"));
        };
        let path = joined(&self.path, &key);
        seed.deserialize(At { node, path, reader: self.reader })
    }
}

/// The variant of an enum that a table names.
struct Chosen<'r, 'a> {
    name: String,
    at: At<'r, 'a>,
}

impl<'de, 'r, 'a> de::EnumAccess<'de> for Chosen<'r, 'a> {
    type Error = Wrong;
    type Variant = At<'r, 'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self::Variant), Wrong> {
        let name: de::value::StringDeserializer<Wrong> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self.at))
    }
}

impl<'de> de::VariantAccess<'de> for At<'_, '_> {
    type Error = Wrong;

    fn unit_variant(self) -> Result<(), Wrong> {
        self.placed(|at| match at.node {
            Node::Table(table, _) if table.is_empty() => Ok(()),
            _ => Err(Wrong::new("expected nothing below it")),
        })
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Wrong> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Wrong> {
        de::Deserializer::deserialize_seq(self, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        de::Deserializer::deserialize_struct(self, "", fields, visitor)
    }
}
