//! Reads only the lines whose key is in a set.
//!
//! A filter `hash_in_set(key_hash(column), set)` is taken into the scan: the key is hashed in the
//! text of the line, and the other fields are parsed for the few lines that pass.

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;
use emporia_core::key_hash;
use serde::{Deserialize, Serialize};

/// Largest set that travels with every split scan.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// A pushed filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeyFilter {
    /// Index of the declared column.
    pub(super) column: usize,
    is_text: bool,
    set: Vec<u8>,
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
        let [
            Expr::ScalarFunction(hash),
            Expr::Literal(ScalarValue::Binary(Some(set)), _),
        ] = &member.args[..]
        else {
            return None;
        };
        let [Expr::Column(column)] = &hash.args[..] else {
            return None;
        };
        if member.name() != "hash_in_set" || hash.name() != "key_hash" || set.len() > MAX_BYTES {
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

    /// Whether a line with this text of the key passes; an empty key is null and does not.
    #[inline]
    pub(super) fn passes(&self, key: &str) -> bool {
        if key.is_empty() {
            return false;
        }
        let hash = if self.is_text {
            key_hash::of_text(key)
        } else {
            match super::parse::parse_integer(key) {
                Some(number) => key_hash::of_integer(number),
                None => return false,
            }
        };
        key_hash::contains(&self.set, hash)
    }
}
