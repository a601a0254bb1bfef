//! The value of a sub-query that may give one row at most.
//!
//! DataFusion joins a correlated sub-query only if it aggregates. Groups that no row asks for may have many rows, so the
//! aggregate does not fail: it says whether there were more, and who takes the value out of it fails.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray},
    datatypes::{DataType, Field, FieldRef, Fields},
};
use datafusion::{
    common::{Result, ScalarValue, internal_err},
    logical_expr::{
        Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, ReturnFieldArgs,
        ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
        function::{AccumulatorArgs, StateFieldsArgs},
    },
};
use rapport_udf_postgres::refusal::refuse;

/// Names that no client can type.
pub(crate) const ONE_ROW: &str = "\u{1}one_row";
pub(crate) const VALUE: &str = "\u{1}value_of_one_row";

pub(crate) fn one_row() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::from(OneRow {
        signature: Signature::any(1, Volatility::Immutable),
    }))
}

pub(crate) fn value_of_one_row() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(ValueOfOneRow {
        signature: Signature::any(1, Volatility::Immutable),
    }))
}

/// A value, and whether there were more.
fn fields(value: &DataType) -> Fields {
    Fields::from(vec![
        Field::new("value", value.clone(), true),
        Field::new("more", DataType::Boolean, false),
    ])
}

/// With the PostgreSQL type of another field.
fn labelled(data_type: DataType, from: &Field) -> Field {
    let field = Field::new(from.name(), data_type, true);
    field.with_metadata(from.metadata().clone())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OneRow {
    signature: Signature,
}

impl AggregateUDFImpl for OneRow {
    fn name(&self) -> &str {
        ONE_ROW
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(fields(&types[0])))
    }

    /// Labelled as the value is.
    fn return_field(&self, given: &[FieldRef]) -> Result<FieldRef> {
        let rows = DataType::Struct(fields(given[0].data_type()));
        Ok(Arc::new(labelled(rows, &given[0])))
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let value = args.expr_fields[0].data_type();
        Ok(Box::new(Seen {
            value: ScalarValue::try_from(value)?,
            rows: 0,
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<Arc<Field>>> {
        Ok(vec![
            Arc::new(Field::new(
                "value",
                args.input_fields[0].data_type().clone(),
                true,
            )),
            Arc::new(Field::new("rows", DataType::Int64, false)),
        ])
    }
}

#[derive(Debug)]
struct Seen {
    value: ScalarValue,
    rows: i64,
}

impl Seen {
    fn see(&mut self, values: &ArrayRef, index: usize, rows: i64) -> Result<()> {
        if self.rows == 0 && rows > 0 {
            self.value = ScalarValue::try_from_array(values, index)?.compacted();
        }
        self.rows += rows;
        Ok(())
    }
}

impl Accumulator for Seen {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = i64::try_from(values[0].len()).unwrap_or(i64::MAX);
        self.see(&values[0], 0, rows)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let fields = fields(&self.value.data_type());
        if self.rows == 0 {
            return ScalarValue::try_from(DataType::Struct(fields));
        }
        let more = BooleanArray::from(vec![self.rows > 1]);
        let columns: Vec<ArrayRef> = vec![self.value.to_array()?, Arc::new(more)];
        let row = arrow::array::StructArray::try_new(fields, columns, None)?;
        Ok(ScalarValue::Struct(Arc::new(row)))
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.value.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.value.clone(), ScalarValue::from(self.rows)])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let rows = states[1].as_primitive::<arrow::datatypes::Int64Type>();
        for index in 0..rows.len() {
            self.see(&states[0], index, rows.value(index))?;
        }
        Ok(())
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ValueOfOneRow {
    signature: Signature,
}

impl ScalarUDFImpl for ValueOfOneRow {
    fn name(&self) -> &str {
        VALUE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match &types[0] {
            DataType::Struct(fields) if fields.len() == 2 => Ok(fields[0].data_type().clone()),
            other => internal_err!("{VALUE} of {other}"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let rows = &args.arg_fields[0];
        let value = self.return_type(&[rows.data_type().clone()])?;
        Ok(Arc::new(labelled(value, rows)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.args[0].to_array(args.number_rows)?;
        let rows = rows.as_struct();
        let more = rows.column(1).as_boolean();
        if (0..rows.len()).any(|row| rows.is_valid(row) && more.value(row)) {
            return Err(refuse(
                "21000",
                "more than one row returned by a subquery used as an expression",
            ));
        }
        let values = rows.column(0);
        let nulls = arrow::compute::is_null(rows)?;
        Ok(ColumnarValue::Array(arrow::compute::nullif(
            values, &nulls,
        )?))
    }
}
