//! Aggregates over frames that lose rows at their beginning, where what has been taken in can't be taken out again: each
//! frame is computed anew, as PostgreSQL does.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::concat;
use arrow::datatypes::{FieldRef, Schema};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::function::AccumulatorArgs;
use datafusion_expr::physical::{PhysicalExpr, PhysicalSortExpr};
use datafusion_expr::{Accumulator, AggregateUDF};
use rapport_udf_face::cancel;

use crate::refusal::Refusal;
