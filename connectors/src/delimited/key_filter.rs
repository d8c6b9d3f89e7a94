//! Reads only the lines whose key is in a set.
//!
//! A filter `in_key_set(key_hash(column))` is taken into the scan: the key is hashed in the
//! text of the line, and the other fields are parsed for the few lines that pass.

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::logical_expr::Expr;
use emporia_core::key_hash::{self, KeySet};
use serde::{Deserialize, Serialize};

use crate::base64_text;
use crate::key_set::InKeySet;

/// Largest set that travels with every split scan.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// A pushed filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeyFilter {
    /// Index of the declared column.
    pub(super) column: usize,
    is_text: bool,
    #[serde(with = "set_text")]
    set: KeySet,
}

/// A set inside a recipe.
mod set_text {
    use serde::{Deserializer, Serializer};

    use super::{KeySet, base64_text};

    pub(super) fn serialize<S: Serializer>(set: &KeySet, to: S) -> Result<S::Ok, S::Error> {
        base64_text::serialize(set.as_bytes(), to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<KeySet, D::Error> {
        base64_text::deserialize(from).map(|bytes| KeySet::from_bytes(&bytes))
    }
}

impl KeyFilter {
    /// The filter that the expression says, `None` where it says another.
    pub(super) fn of(expr: &Expr, declared: &Schema) -> Option<Self> {
        let expr = if let Expr::IsTrue(inner) = expr {
            inner
        } else {
            expr
        };
        let Expr::ScalarFunction(member) = expr else {
            return None;
        };
        let set = InKeySet::of(&member.func)?.set();
        let [Expr::ScalarFunction(hash)] = &member.args[..] else {
            return None;
        };
        let [Expr::Column(column)] = &hash.args[..] else {
            return None;
        };
        if hash.name() != "key_hash" || set.as_bytes().len() > MAX_BYTES {
            return None;
        }
        let (index, field) = declared.column_with_name(&column.name)?;
        let is_text = match field.data_type() {
            DataType::Utf8 => true,
            DataType::Int64 | DataType::Int32 => false,
            _ => return None,
        };
        Some(Self {
            column: index,
            is_text,
            set: set.clone(),
        })
    }

    /// Whether a line with this text of the key, which is not null, passes.
    #[inline]
    pub(super) fn passes(&self, key: &[u8]) -> bool {
        let hash = if self.is_text {
            key_hash::of_bytes(key)
        } else {
            match super::parse::integer(key) {
                Some(number) => key_hash::of_integer(number),
                None => return false,
            }
        };
        self.set.contains(hash)
    }
}
