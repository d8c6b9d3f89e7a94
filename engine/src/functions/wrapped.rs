//! Scalar functions of ours around those of DataFusion, in their places, and methods that many have.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::{ScalarUDF, ScalarUDFImpl};

/// Puts what `wrapped` makes in the place of each function of these names, unless it is there already.
pub(crate) fn register<F: ScalarUDFImpl + 'static>(
    state: &mut SessionState,
    names: &[&str],
    wrapped: impl Fn(Arc<ScalarUDF>) -> F,
) -> Result<()> {
    for name in names {
        let inner = state.udf(name)?;
        if !inner.inner().is::<F>() {
            state.register_udf(Arc::new(ScalarUDF::from(wrapped(inner))))?;
        }
    }
    Ok(())
}

/// The methods of a function that has the name, the arguments and the documentation of its field `inner`.
macro_rules! named_as_inner {
    () => {
        fn name(&self) -> &str {
            self.inner.name()
        }

        fn aliases(&self) -> &[String] {
            self.inner.aliases()
        }

        fn signature(&self) -> &::datafusion::logical_expr::Signature {
            self.inner.signature()
        }

        fn documentation(&self) -> Option<&::datafusion::logical_expr::Documentation> {
            self.inner.documentation()
        }
    };
}

/// The methods of a function whose values have the types of those of its field `inner`, and are NULL for the same
/// arguments.
macro_rules! typed_as_inner {
    () => {
        fn return_type(
            &self,
            types: &[::datafusion::arrow::datatypes::DataType],
        ) -> ::datafusion::common::Result<::datafusion::arrow::datatypes::DataType> {
            self.inner.return_type(types)
        }

        fn return_field_from_args(
            &self,
            args: ::datafusion::logical_expr::ReturnFieldArgs,
        ) -> ::datafusion::common::Result<::datafusion::arrow::datatypes::FieldRef> {
            self.inner.return_field_from_args(args)
        }

        fn is_strict(&self) -> bool {
            self.inner.inner().is_strict()
        }
    };
}

/// The methods of a function that has a field `signature`, and whose values have the type of its first argument.
macro_rules! typed_as_argument {
    () => {
        fn signature(&self) -> &::datafusion::logical_expr::Signature {
            &self.signature
        }

        fn return_type(
            &self,
            types: &[::datafusion::arrow::datatypes::DataType],
        ) -> ::datafusion::common::Result<::datafusion::arrow::datatypes::DataType> {
            match types.first() {
                Some(value) => Ok(value.clone()),
                None => ::datafusion::common::exec_err!("{} takes a value", self.name()),
            }
        }

        fn return_field_from_args(
            &self,
            args: ::datafusion::logical_expr::ReturnFieldArgs,
        ) -> ::datafusion::common::Result<::datafusion::arrow::datatypes::FieldRef> {
            match args.arg_fields.first() {
                Some(field) => Ok(::std::sync::Arc::new(
                    ::datafusion::arrow::datatypes::Field::new(
                        self.name(),
                        field.data_type().clone(),
                        field.is_nullable(),
                    ),
                )),
                None => ::datafusion::common::exec_err!("{} takes a value", self.name()),
            }
        }
    };
}

pub(crate) use {named_as_inner, typed_as_argument, typed_as_inner};
