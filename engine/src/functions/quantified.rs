//! `x = ANY(list)`, `x < ALL(list)` and the like, by the logic of three values: what depends on a NULL in the list is
//! unknown. DataFusion takes the least and the greatest value of the list, which knows nothing of NULLs.

use std::fmt::Display;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt32Array};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::physical_expr_common::datum::apply_cmp;

/// How many values of a list a comparison is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Quantifier {
    /// At least one.
    Any,
    /// Each.
    All,
}

impl Quantifier {
    fn word(self) -> &'static str {
        match self {
            Self::Any => "ANY",
            Self::All => "ALL",
        }
    }
}

/// The operators, by their names in functions.
const OPERATORS: [(Operator, &str); 6] = [
    (Operator::Eq, "equals"),
    (Operator::NotEq, "differs_from"),
    (Operator::Lt, "below"),
    (Operator::LtEq, "at_most"),
    (Operator::Gt, "above"),
    (Operator::GtEq, "at_least"),
];

/// The functions of all operators and quantifiers.
pub(super) fn quantified_functions() -> Vec<ScalarUDF> {
    let operators = OPERATORS.iter();
    let functions = operators.flat_map(|(operator, name)| {
        [Quantifier::Any, Quantifier::All].map(|quantifier| {
            ScalarUDF::from(Quantified {
                name: named(name, quantifier),
                operator: *operator,
                quantifier,
                signature: Signature::user_defined(Volatility::Immutable),
            })
        })
    });
    functions.collect()
}

/// The name of the function of `operator`; `None` where it compares nothing.
pub(crate) fn quantified_name(operator: &impl Display, quantifier: Quantifier) -> Option<String> {
    let sign = operator.to_string();
    let mut operators = OPERATORS.iter();
    let (_, name) = operators.find(|(operator, _)| operator.to_string() == sign)?;
    Some(named(name, quantifier))
}

/// Whether it is the name of one of these functions.
pub(crate) fn is_quantified(name: &str) -> bool {
    let operator = name
        .strip_suffix("_any")
        .or_else(|| name.strip_suffix("_all"));
    OPERATORS.iter().any(|(_, own)| operator == Some(*own))
}

fn named(operator: &str, quantifier: Quantifier) -> String {
    format!("{operator}_{}", quantifier.word().to_lowercase())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Quantified {
    name: String,
    operator: Operator,
    quantifier: Quantifier,
    signature: Signature,
}

impl ScalarUDFImpl for Quantified {
    fn name(&self) -> &str {
        &self.name
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        match args {
            [value, list] => Ok(format!(
                "{} {} {}({})",
                value.schema_name(),
                self.operator,
                self.quantifier.word(),
                list.schema_name()
            )),
            _ => plan_err!("{} takes a value and a list", self.name),
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [value, list] = types else {
            return plan_err!("{} takes a value and a list", self.name);
        };
        let item = match list {
            DataType::List(item)
            | DataType::LargeList(item)
            | DataType::ListView(item)
            | DataType::LargeListView(item)
            | DataType::FixedSizeList(item, _) => item.data_type(),
            DataType::Null => value,
            other => {
                return plan_err!(
                    "{} takes a list or a subquery, not {other}",
                    self.quantifier.word()
                );
            }
        };
        // As decimals of 15 digits behind the point they would differ where they are equal.
        let is_mixed =
            value.is_floating() && item.is_decimal() || value.is_decimal() && item.is_floating();
        let common = match is_mixed {
            true => Some(DataType::Float64),
            false => comparison_coercion(value, item),
        };
        let Some(common) = common else {
            return plan_err!(
                "{value} cannot be compared with the values of a list of {item} by {} {}",
                self.operator,
                self.quantifier.word()
            );
        };
        let item = Arc::new(Field::new_list_field(common.clone(), true));
        Ok(vec![common, DataType::List(item)])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value, list] = args.args.as_slice() else {
            return exec_err!("{} takes a value and a list", self.name);
        };
        let values = value.to_array(args.number_rows)?;
        let lists = list.to_array(args.number_rows)?;
        let Some(lists) = lists.as_list_opt::<i32>() else {
            return exec_err!("{} takes a list, not {}", self.name, lists.data_type());
        };
        // Each value once for each item of its list.
        let offsets = lists.value_offsets();
        let (first, last) = (offsets.first(), offsets.last());
        let (first, last) = (
            first.map_or(0, |o| *o as usize),
            last.map_or(0, |o| *o as usize),
        );
        let items = lists.values().slice(first, last - first);
        let rows = offsets.windows(2).enumerate();
        let rows = rows.flat_map(|(row, ends)| {
            ends.iter().skip(1).flat_map(move |end| {
                let n = ends.first().map_or(0, |start| end - start);
                std::iter::repeat_n(row as u32, n as usize)
            })
        });
        let values: ArrayRef = take(&values, &UInt32Array::from_iter_values(rows), None)?;
        let (values, items) = (ColumnarValue::Array(values), ColumnarValue::Array(items));
        let compared = apply_cmp(self.operator, &values, &items)?.to_array(last - first)?;
        let compared = compared.as_boolean();
        let truth = offsets.windows(2).enumerate().map(|(row, ends)| {
            let [start, end] = ends else {
                return None;
            };
            let items = (*start as usize - first)..(*end as usize - first);
            match lists.is_valid(row) {
                true => {
                    self.folded(items.map(|at| compared.is_valid(at).then(|| compared.value(at))))
                }
                false => None,
            }
        });
        Ok(ColumnarValue::Array(Arc::new(
            truth.collect::<BooleanArray>(),
        )))
    }
}

impl Quantified {
    /// What decides, else unknown, else what holds for no items.
    fn folded(&self, mut items: impl Iterator<Item = Option<bool>>) -> Option<bool> {
        let decides = self.quantifier == Quantifier::Any;
        let mut is_known = true;
        let is_decided = items.any(|item| {
            is_known &= item.is_some();
            item == Some(decides)
        });
        match (is_decided, is_known) {
            (true, _) => Some(decides),
            (false, true) => Some(!decides),
            (false, false) => None,
        }
    }
}
