//! Aggregates over frames that lose rows at their beginning, where what was taken in cannot be taken out again: each frame is
//! computed anew, as PostgreSQL does.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::concat;
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::function::AccumulatorArgs;
use datafusion_expr::{Accumulator, AggregateUDF};
use rapport_udf_face::cancel;

use crate::refusal::Refusal;

/// The rows of a frame.
pub(crate) struct Anew {
    new: Box<dyn Fn() -> Result<Box<dyn Accumulator>> + Send + Sync>,
    /// The arguments of the rows, some at a time.
    pieces: VecDeque<Vec<ArrayRef>>,
    /// Of the frame as it is, if it is known.
    answer: Option<ScalarValue>,
}

impl Anew {
    pub(crate) fn new(function: &Arc<AggregateUDF>, args: &AccumulatorArgs) -> Self {
        let function = Arc::clone(function);
        let (return_field, schema) = (args.return_field.clone(), args.schema.clone());
        let (order_bys, exprs) = (args.order_bys.to_vec(), args.exprs.to_vec());
        let (expr_fields, name) = (args.expr_fields.to_vec(), args.name.to_owned());
        let (ignore_nulls, is_reversed) = (args.ignore_nulls, args.is_reversed);
        let is_distinct = args.is_distinct;
        let new = move || {
            function.accumulator(AccumulatorArgs {
                return_field: return_field.clone(),
                schema: &schema,
                ignore_nulls,
                order_bys: &order_bys,
                is_reversed,
                name: &name,
                is_distinct,
                exprs: &exprs,
                expr_fields: &expr_fields,
            })
        };
        Self {
            new: Box::new(new),
            pieces: VecDeque::new(),
            answer: None,
        }
    }

    fn computed(&mut self) -> Result<ScalarValue> {
        if cancel::asked()() {
            let why = "canceling statement due to user request";
            return Err(Refusal::new("57014", why).into());
        }
        let mut accumulator = (self.new)()?;
        if let Some(first) = self.pieces.front() {
            let joined = (0..first.len()).map(|argument| -> Result<ArrayRef> {
                let pieces: Vec<&dyn Array> = self
                    .pieces
                    .iter()
                    .map(|piece| piece[argument].as_ref())
                    .collect();
                Ok(concat(&pieces)?)
            });
            let joined = joined.collect::<Result<Vec<_>>>()?;
            accumulator.update_batch(&joined)?;
            // One piece is as good, and sooner joined with the next.
            self.pieces = VecDeque::from([joined]);
        }
        accumulator.evaluate()
    }
}

fn rows(piece: &[ArrayRef]) -> usize {
    piece.first().map_or(0, |argument| argument.len())
}

impl fmt::Debug for Anew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Anew");
        shown.field("pieces", &self.pieces).finish_non_exhaustive()
    }
}

impl Accumulator for Anew {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if rows(values) > 0 {
            self.pieces.push_back(values.to_vec());
            self.answer = None;
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let mut gone = rows(values);
        while gone > 0
            && let Some(mut piece) = self.pieces.pop_front()
        {
            self.answer = None;
            let length = rows(&piece);
            if length > gone {
                for argument in &mut piece {
                    *argument = argument.slice(gone, length - gone);
                }
                self.pieces.push_front(piece);
            }
            gone = gone.saturating_sub(length);
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let answer = match self.answer.take() {
            Some(answer) => answer,
            None => self.computed()?,
        };
        Ok(self.answer.insert(answer).clone())
    }

    fn size(&self) -> usize {
        let arguments = self.pieces.iter().flatten();
        let sizes = arguments.map(|argument| {
            let size = argument.to_data().get_slice_memory_size();
            size.unwrap_or_else(|_| argument.get_array_memory_size())
        });
        size_of_val(self) + sizes.sum::<usize>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        datafusion_common::internal_err!("a frame has no state")
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        datafusion_common::internal_err!("a frame has no state")
    }
}
