//! Aggregates of which each frame is computed from its rows.

use std::collections::VecDeque;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::compute::concat;
use datafusion::arrow::datatypes::{FieldRef, Schema};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, AggregateUDF};
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};

/// Most pieces of a frame before they become one.
const MAX_PIECES: usize = 64;

/// The rows of a frame and the function over them.
#[derive(Debug)]
pub(super) struct FrameByFrame {
    call: Call,
    /// The arguments of the rows, in their order.
    pieces: VecDeque<Vec<ArrayRef>>,
}

impl FrameByFrame {
    /// For `function`.
    ///
    /// # Errors
    /// Where it cannot be computed over these arguments.
    pub(super) fn of(function: AggregateUDF, args: &AccumulatorArgs) -> Result<Self> {
        let call = Call::new(function, args);
        call.accumulator()?;
        Ok(Self {
            call,
            pieces: VecDeque::new(),
        })
    }

    fn computed(&self) -> Result<Box<dyn Accumulator>> {
        let mut accumulator = self.call.accumulator()?;
        for piece in &self.pieces {
            accumulator.update_batch(piece)?;
        }
        Ok(accumulator)
    }
}

fn n_rows(columns: &[ArrayRef]) -> usize {
    columns.first().map_or(0, |column| column.len())
}

impl Accumulator for FrameByFrame {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if n_rows(values) == 0 {
            return Ok(());
        }
        self.pieces.push_back(values.to_vec());
        if self.pieces.len() > MAX_PIECES {
            let pieces: Vec<_> = self.pieces.drain(..).collect();
            let columns = (0..values.len()).map(|at| {
                let column = pieces.iter().filter_map(|piece| piece.get(at));
                concat(&column.map(AsRef::as_ref).collect::<Vec<_>>())
            });
            let whole = columns.collect::<Result<_, _>>()?;
            self.pieces.push_back(whole);
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let mut n_left = n_rows(values);
        while n_left > 0 {
            let Some(piece) = self.pieces.pop_front() else {
                return internal_err!("a frame has no more rows to leave");
            };
            let n = n_rows(&piece);
            if n > n_left {
                let rest = piece.iter().map(|column| column.slice(n_left, n - n_left));
                self.pieces.push_front(rest.collect());
            }
            n_left -= n.min(n_left);
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.computed()?.evaluate()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.computed()?.state()
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        internal_err!("frames are not merged")
    }

    fn size(&self) -> usize {
        let columns = self.pieces.iter().flatten();
        size_of_val(self)
            + columns
                .map(|column| column.get_array_memory_size())
                .sum::<usize>()
    }
}

/// A function and what its accumulators are made of.
#[derive(Debug)]
struct Call {
    function: AggregateUDF,
    return_field: FieldRef,
    schema: Schema,
    ignore_nulls: bool,
    order_bys: Vec<PhysicalSortExpr>,
    is_reversed: bool,
    name: String,
    is_distinct: bool,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    expr_fields: Vec<FieldRef>,
}

impl Call {
    fn new(function: AggregateUDF, args: &AccumulatorArgs) -> Self {
        Self {
            function,
            return_field: Arc::clone(&args.return_field),
            schema: args.schema.clone(),
            ignore_nulls: args.ignore_nulls,
            order_bys: args.order_bys.to_vec(),
            is_reversed: args.is_reversed,
            name: args.name.to_owned(),
            is_distinct: args.is_distinct,
            exprs: args.exprs.to_vec(),
            expr_fields: args.expr_fields.to_vec(),
        }
    }

    fn accumulator(&self) -> Result<Box<dyn Accumulator>> {
        self.function.accumulator(AccumulatorArgs {
            return_field: Arc::clone(&self.return_field),
            schema: &self.schema,
            ignore_nulls: self.ignore_nulls,
            order_bys: &self.order_bys,
            is_reversed: self.is_reversed,
            name: &self.name,
            is_distinct: self.is_distinct,
            exprs: &self.exprs,
            expr_fields: &self.expr_fields,
        })
    }
}
