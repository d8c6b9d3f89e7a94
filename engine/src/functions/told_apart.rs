//! `told_apart(value, 'mark')`: the value, under a name with the mark.

use std::sync::Arc;

use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::typed_as_argument;

/// The name of [`told_apart`].
pub(crate) const TOLD_APART: &str = "told_apart";

const OPEN: char = '\u{27e6}';
const CLOSE: char = '\u{27e7}';

/// `told_apart(value, 'mark')`: the value. Statements use it where DataFusion would give two expressions the same
/// name: a cast and what is cast, `a - b - c` and `a - (b - c)`.
pub(crate) fn told_apart() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(ToldApart {
        signature: Signature::any(2, Volatility::Immutable),
    }))
}

/// The name of a column without marks; `None` if it has none.
pub(crate) fn without_marks(name: &str) -> Option<String> {
    let (before, mut rest) = name.split_once(OPEN)?;
    let mut plain = before.to_owned();
    loop {
        let (_, behind) = rest.split_once(CLOSE)?;
        let Some((text, next)) = behind.split_once(OPEN) else {
            plain.push_str(behind);
            return Some(plain);
        };
        plain.push_str(text);
        rest = next;
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ToldApart {
    signature: Signature,
}

impl ScalarUDFImpl for ToldApart {
    fn name(&self) -> &'static str {
        TOLD_APART
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let [value, Expr::Literal(mark, _)] = args else {
            return exec_err!("told_apart takes a value and a mark");
        };
        let name = value.schema_name();
        Ok(format!("{name}{OPEN}{mark}{CLOSE}"))
    }

    typed_as_argument!();

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.into_iter().next() {
            Some(value) => Ok(value),
            None => exec_err!("told_apart takes a value"),
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::DataType;
    use datafusion::logical_expr::{cast, col, lit};

    use super::*;

    #[test]
    fn a_name_has_the_mark_and_loses_it() {
        let value = cast(col("t.f"), DataType::Int32);
        let marked = told_apart().call(vec![value, lit("as int")]);
        let name = format!("sum({} - t.g)", marked.schema_name());
        assert_eq!(name, "sum(t.f\u{27e6}as int\u{27e7} - t.g)");
        assert_eq!(without_marks(&name).as_deref(), Some("sum(t.f - t.g)"));
        let twice = "a\u{27e6}1\u{27e7}+b\u{27e6}2\u{27e7}";
        assert_eq!(without_marks(twice).as_deref(), Some("a+b"));
        assert_eq!(without_marks("sum(t.f)"), None);
    }
}
