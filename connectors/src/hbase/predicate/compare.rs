//! From a comparison with a constant to a set of values.

use emporia_hbase::{KeyRange, after, prefix_end};

use super::super::value::{Kind, Scalar, float_to_order};
use super::Domain;

/// How a column is compared with a constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Comparison {
    /// `=`
    Eq,
    /// `<>`
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

impl Comparison {
    /// The comparison that is true where this one is false.
    pub(super) fn negated(self) -> Self {
        match self {
            Self::Eq => Self::NotEq,
            Self::NotEq => Self::Eq,
            Self::Lt => Self::GtEq,
            Self::LtEq => Self::Gt,
            Self::Gt => Self::LtEq,
            Self::GtEq => Self::Lt,
        }
    }

    /// The comparison with its sides exchanged.
    pub(super) fn swapped(self) -> Self {
        match self {
            Self::Eq | Self::NotEq => self,
            Self::Lt => Self::Gt,
            Self::LtEq => Self::GtEq,
            Self::Gt => Self::Lt,
            Self::GtEq => Self::LtEq,
        }
    }
}

impl Domain {
    /// The values of a column of `kind` that compare so with `constant`; `None` where that cannot
    /// be said.
    pub(super) fn compared(
        kind: Kind,
        comparison: Comparison,
        constant: Scalar<'_>,
    ) -> Option<Self> {
        match constant {
            Scalar::Bytes(bytes) => {
                let comparable = matches!(kind, Kind::Text | Kind::Binary);
                comparable.then(|| bytes_compared(comparison, bytes))
            }
            Scalar::Integer(value) => {
                let bounds = kind.bounds()?;
                Some(integers_compared(comparison, (value, value), bounds))
            }
            // Which of a NaN and a number is the larger one is not left to chance.
            Scalar::Float(value) if value.is_nan() => None,
            Scalar::Float(value) => {
                let bounds = Self::bounds(kind).filter(|_| kind.bounds().is_none())?;
                // Whether the two zeros are equal or not, rows of both are let through.
                let (low, high) = if value == 0.0 {
                    (float_to_order(-0.0), float_to_order(0.0))
                } else {
                    (float_to_order(value), float_to_order(value))
                };
                let is_zero = low != high;
                Some(match comparison {
                    Comparison::NotEq if is_zero => Self::all(kind),
                    Comparison::Lt if is_zero => Self::integers(vec![(bounds.0, high.into())]),
                    Comparison::Gt if is_zero => Self::integers(vec![(low.into(), bounds.1)]),
                    _ => integers_compared(comparison, (low.into(), high.into()), bounds),
                })
            }
        }
    }

    /// The texts that begin with `prefix`.
    pub(super) fn with_prefix(prefix: &[u8]) -> Self {
        Self::bytes(vec![KeyRange::new(prefix, prefix_end(prefix))])
    }
}

fn integers_compared(
    comparison: Comparison,
    (low, high): (i128, i128),
    (least, most): (i128, i128),
) -> Domain {
    let below = (least, low.saturating_sub(1).min(most));
    let above = (high.saturating_add(1).max(least), most);
    let upto = (least, high.min(most));
    let from = (low.max(least), most);
    Domain::integers(match comparison {
        Comparison::Eq => vec![(low.max(least), high.min(most))],
        Comparison::NotEq => vec![below, above],
        Comparison::Lt => vec![below],
        Comparison::LtEq => vec![upto],
        Comparison::Gt => vec![above],
        Comparison::GtEq => vec![from],
    })
}

fn bytes_compared(comparison: Comparison, bytes: &[u8]) -> Domain {
    // Nothing is smaller than the empty text, and a range without an end would say the contrary.
    let below = (!bytes.is_empty()).then(|| KeyRange::new([], bytes));
    let above = KeyRange::new(after(bytes), []);
    Domain::bytes(match comparison {
        Comparison::Eq => vec![KeyRange::only(bytes)],
        Comparison::NotEq => below.into_iter().chain([above]).collect(),
        Comparison::Lt => below.into_iter().collect(),
        Comparison::LtEq => vec![KeyRange::new([], after(bytes))],
        Comparison::Gt => vec![above],
        Comparison::GtEq => vec![KeyRange::new(bytes, [])],
    })
}
