//! Numbers of a text, digit by digit.

use datafusion::arrow::datatypes::DECIMAL128_MAX_PRECISION;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, Operator, lit};

/// A number as it is written: `value` divided by ten to the `scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    value: i128,
    pub(super) scale: u32,
}

impl Number {
    /// The number that an expression of numbers of the text is, such as `0.06 + 0.01`; `None` for any other.
    pub(super) fn of(expr: &Expr) -> Option<Self> {
        match expr {
            Expr::Literal(ScalarValue::Int64(Some(value)), _) => Some(Self {
                value: i128::from(*value),
                scale: 0,
            }),
            Expr::Literal(ScalarValue::Float64(Some(number)), _) => Self::shortest(*number),
            Expr::Negative(number) => {
                let Self { value, scale } = Self::of(number)?;
                let value = value.checked_neg()?;
                Some(Self { value, scale })
            }
            Expr::BinaryExpr(binary) => {
                let (left, right) = (Self::of(&binary.left)?, Self::of(&binary.right)?);
                left.and(binary.op, right)
            }
            _ => None,
        }
    }

    /// The number, if it is a whole one of 32 bits.
    pub(super) fn as_whole(self) -> Option<i32> {
        match self.scale {
            0 => self.value.try_into().ok(),
            _ => None,
        }
    }

    /// The shortest decimal that is read as the floating number: what was written, up to 15 digits.
    fn shortest(number: f64) -> Option<Self> {
        if !number.is_finite() {
            return None;
        }
        let text = number.to_string();
        let (integer, fraction) = text.split_once('.').unwrap_or((&text, ""));
        Some(Self {
            value: format!("{integer}{fraction}").parse().ok()?,
            scale: u32::try_from(fraction.len()).ok()?,
        })
    }

    fn and(self, operator: Operator, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let at_scale = |number: Self| {
            let shift = 10_i128.checked_pow(scale - number.scale)?;
            number.value.checked_mul(shift)
        };
        let value = match operator {
            Operator::Plus => at_scale(self)?.checked_add(at_scale(other)?)?,
            Operator::Minus => at_scale(self)?.checked_sub(at_scale(other)?)?,
            Operator::Multiply => {
                return Some(Self {
                    value: self.value.checked_mul(other.value)?,
                    scale: self.scale + other.scale,
                });
            }
            _ => return None,
        };
        Some(Self { value, scale })
    }

    /// Digits before and behind the point.
    pub(super) fn digits(self) -> (i32, i32) {
        let n_digits = self.value.unsigned_abs().to_string().len() as i32;
        let behind = self.scale as i32;
        ((n_digits - behind).max(0), behind)
    }

    /// The number as a text.
    pub(super) fn text(self) -> Expr {
        let digits = format!(
            "{:0>1$}",
            self.value.unsigned_abs(),
            self.scale as usize + 1
        );
        let (integer, fraction) = digits.split_at(digits.len() - self.scale as usize);
        let sign = if self.value < 0 { "-" } else { "" };
        let point = if fraction.is_empty() { "" } else { "." };
        lit(format!("{sign}{integer}{point}{fraction}"))
    }

    /// `None` where it has too many digits for a decimal.
    pub(super) fn literal(self) -> Option<Expr> {
        let (before, behind) = self.digits();
        let precision = u8::try_from(before + behind).ok()?;
        let scale = i8::try_from(behind).ok()?;
        let decimal = ScalarValue::Decimal128(Some(self.value), precision, scale);
        (precision <= DECIMAL128_MAX_PRECISION).then(|| lit(decimal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_what_was_written() {
        let number = |value, scale| Some(Number { value, scale });
        for (expr, expected) in [
            (lit(67.07), number(6707, 2)),
            (lit(-81234.57), number(-8_123_457, 2)),
            (lit(0.06) + lit(0.01), number(7, 2)),
            (lit(1.5) * lit(2_i64), number(30, 1)),
            (lit(1_i64) - lit(0.25), number(75, 2)),
            (-lit(0.5), number(-5, 1)),
            (lit(1e20), number(100_000_000_000_000_000_000, 0)),
            (lit(1.0) / lit(3.0), None),
            (lit(f64::NAN), None),
            (lit("1"), None),
        ] {
            assert_eq!(Number::of(&expr), expected, "{expr}");
        }
        let text = |expr: Expr| Number::of(&expr).map(Number::text);
        assert_eq!(text(lit(-0.05)), Some(lit("-0.05")));
        assert_eq!(text(lit(12_i64)), Some(lit("12")));
        assert_eq!(Number::of(&lit(1e300)), None);
        assert_eq!(Number::of(&lit(1e-50)).and_then(Number::literal), None);
    }
}
