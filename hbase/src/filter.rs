//! Builders for the gateway's filter language.
//!
//! A filter is bytes, not text: the gateway hands it to HBase's parser as it is. Inside quotes the
//! only special byte is the quote itself, which is doubled; colons, parentheses, 0x00 and 0xFF
//! stand for themselves. Every combination is put into parentheses, so that precedence never
//! matters.
//!
//! A filter cuts what is sent, not what HBase reads from disk; a key range does both.
//!
//! [`compare`] tests a column only where the scan fetches it: a filtered column must be among the
//! columns of the scan, else every row fails the test.

/// How a cell is compared with a constant, by unsigned bytes: `cell OP constant`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// `=`
    Eq,
    /// `!=`
    NotEq,
    /// `<`
    Lt,
    /// `<=`
    LtEq,
    /// `>`
    Gt,
    /// `>=`
    GtEq,
}

impl Op {
    fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::NotEq => "!=",
            Self::Lt => "<",
            Self::LtEq => "<=",
            Self::Gt => ">",
            Self::GtEq => ">=",
        }
    }
}

/// Rows whose newest cell of the column compares so with `value`.
///
/// A row that lacks the column never passes, whatever the operator, as in SQL.
#[must_use]
pub fn compare(family: &str, qualifier: &str, op: Op, value: &[u8]) -> Vec<u8> {
    let mut filter = b"SingleColumnValueFilter(".to_vec();
    quote(&mut filter, &[family.as_bytes()]);
    filter.push(b',');
    quote(&mut filter, &[qualifier.as_bytes()]);
    filter.push(b',');
    filter.extend_from_slice(op.as_str().as_bytes());
    filter.push(b',');
    quote(&mut filter, &[b"binary:", value]);
    // Rows without the column are dropped; only the newest version counts.
    filter.extend_from_slice(b",true,true)");
    filter
}

/// Rows that have the column at all, be its value empty.
#[must_use]
pub fn present(family: &str, qualifier: &str) -> Vec<u8> {
    compare(family, qualifier, Op::GtEq, b"")
}

/// Rows whose key compares so with `key`.
#[must_use]
pub fn row(op: Op, key: &[u8]) -> Vec<u8> {
    let mut filter = b"RowFilter(".to_vec();
    filter.extend_from_slice(op.as_str().as_bytes());
    filter.push(b',');
    quote(&mut filter, &[b"binary:", key]);
    filter.push(b')');
    filter
}

/// Rows whose key begins with `prefix`. Use a key range as well: alone, the filter reads the table
/// from its first row.
#[must_use]
pub fn prefix(prefix: &[u8]) -> Vec<u8> {
    let mut filter = b"PrefixFilter(".to_vec();
    quote(&mut filter, &[prefix]);
    filter.push(b')');
    filter
}

/// Cells without their values.
#[must_use]
pub fn key_only() -> Vec<u8> {
    b"KeyOnlyFilter()".to_vec()
}

/// The first cell of each row only. Not to be combined with [`compare`], which might then never
/// see its column.
#[must_use]
pub fn first_key_only() -> Vec<u8> {
    b"FirstKeyOnlyFilter()".to_vec()
}

/// Rows that pass all filters. Without filters the result is empty, which a scan takes as none.
#[must_use]
pub fn and(filters: &[Vec<u8>]) -> Vec<u8> {
    join(filters, b" AND ")
}

/// Rows that pass at least one filter. Without filters the result is empty, which a scan takes as
/// none: more rows, never fewer.
#[must_use]
pub fn or(filters: &[Vec<u8>]) -> Vec<u8> {
    join(filters, b" OR ")
}

fn join(filters: &[Vec<u8>], operator: &[u8]) -> Vec<u8> {
    match filters {
        [] => Vec::new(),
        [one] => one.clone(),
        many => {
            let mut joined = b"(".to_vec();
            joined.extend_from_slice(&many.join(operator));
            joined.push(b')');
            joined
        }
    }
}

/// Appends the parts as one quoted argument.
fn quote(filter: &mut Vec<u8>, parts: &[&[u8]]) {
    filter.push(b'\'');
    for &byte in parts.iter().copied().flatten() {
        if byte == b'\'' {
            filter.push(b'\'');
        }
        filter.push(byte);
    }
    filter.push(b'\'');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_drops_rows_without_the_column() {
        assert_eq!(
            compare("d", "type", Op::NotEq, b"mobile"),
            b"SingleColumnValueFilter('d','type',!=,'binary:mobile',true,true)"
        );
    }

    #[test]
    fn quotes_are_doubled_and_nothing_else_is_escaped() {
        assert_eq!(
            compare("f", "it's", Op::Eq, b"a')\x00\xff:\\(,"),
            b"SingleColumnValueFilter('f','it''s',=,'binary:a'')\x00\xff:\\(,',true,true)"
        );
        assert_eq!(prefix(b"''"), b"PrefixFilter('''''')");
    }

    #[test]
    fn combinations_are_in_parentheses() {
        let (a, b) = (key_only(), first_key_only());
        assert_eq!(
            or(&[and(&[a.clone(), b.clone()]), row(Op::Lt, b"x")]),
            b"((KeyOnlyFilter() AND FirstKeyOnlyFilter()) OR RowFilter(<,'binary:x'))"
        );
        assert_eq!(and(std::slice::from_ref(&a)), a);
        assert_eq!(and(&[]), b"");
    }
}
