//! `value op ANY(array)` and `value op ALL(array)`.

use std::{cmp::Ordering, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, make_comparator},
    compute::SortOptions,
    datatypes::{DataType, Field},
};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::{
    ColumnarValue, Documentation, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
    expr::InList,
    simplify::{ExprSimplifyResult, SimplifyContext},
    type_coercion::binary::comparison_coercion,
};
use datafusion_macros::user_doc;

use crate::{refusal::refuse_with_hint, regexp};

/// What the planner calls them, and `ANY` and `ALL` themselves until it has seen what stands left of them.
pub const ANY_OF: &str = "\u{1}any_of";
pub const ALL_OF: &str = "\u{1}all_of";

pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    let function = |name, all| Arc::new(ScalarUDF::from(Quantified::new(name, all)));
    vec![
        function(ANY_OF, false),
        function(ALL_OF, true),
        function("\u{1}any", false),
        function("\u{1}all", true),
    ]
}

#[user_doc(
    doc_section(label = "Text, JSON and arrays"),
    description = "Whether a comparison with any, or with all, elements of an array is true. NULL if that depends on an \
                   element that is NULL.",
    syntax_example = "value = ANY (array)",
    argument(
        name = "operator",
        description = "=, <>, <, <=, >, >=, LIKE, ILIKE or ~ and its kind"
    ),
    argument(name = "value", description = "the left side"),
    argument(name = "array", description = "the right side")
)]
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Quantified {
    name: &'static str,
    all: bool,
    signature: Signature,
}

impl Quantified {
    fn new(name: &'static str, all: bool) -> Self {
        Self {
            name,
            all,
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }

    /// What decides: `true` for any, `false` for all.
    fn decides(&self) -> bool {
        !self.all
    }
}

fn is_pattern(operator: &str) -> bool {
    operator.contains('~')
}

impl ScalarUDFImpl for Quantified {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let [operator, value, array] = given else {
            // Only until the operator is planned.
            return Ok(given.to_vec());
        };
        let no_operator = || {
            refuse_with_hint(
                "42809",
                "op ANY/ALL (array) requires array on right side",
                "Write ANY (ARRAY[…]), or ANY (SELECT …).",
            )
        };
        let (DataType::List(element) | DataType::LargeList(element)) = array else {
            return Err(no_operator());
        };
        let element = element.data_type();
        let common = match (value, element) {
            (DataType::Null, element) => element.clone(),
            (value, DataType::Null) => value.clone(),
            (value, element) => comparison_coercion(value, element).ok_or_else(|| {
                refuse_with_hint(
                    "42883",
                    format!("operator does not exist: {value} = {element}"),
                    "No operator matches the given name and argument types. You might need to add explicit type casts.",
                )
            })?,
        };
        let list = DataType::List(Arc::new(Field::new_list_field(common.clone(), true)));
        Ok(vec![operator.clone(), common, list])
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        Ok(match given {
            [only] => only.clone(),
            _ => DataType::Boolean,
        })
    }

    fn simplify(&self, args: Vec<Expr>, _context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        if let [
            Expr::Literal(operator, _),
            value,
            Expr::Literal(ScalarValue::List(list), _),
        ] = args.as_slice()
        {
            let operator = operator.try_as_str().flatten().unwrap_or_default();
            let is_in = operator == "=" && !self.all;
            let is_not_in = operator == "<>" && self.all;
            if (is_in || is_not_in) && list.len() == 1 && list.is_valid(0) {
                let elements = list.value(0);
                if elements.is_empty() {
                    let nothing = ScalarValue::Boolean(Some(is_not_in));
                    return Ok(ExprSimplifyResult::Simplified(Expr::Literal(nothing, None)));
                }
                let elements = (0..elements.len())
                    .map(|at| {
                        Ok(Expr::Literal(
                            ScalarValue::try_from_array(&elements, at)?,
                            None,
                        ))
                    })
                    .collect::<Result<Vec<_>>>()?;
                let list = InList::new(Box::new(value.clone()), elements, is_not_in);
                return Ok(ExprSimplifyResult::Simplified(Expr::InList(list)));
            }
        }
        Ok(ExprSimplifyResult::Original(args))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [operator, value, array] = args.args.as_slice() else {
            return Err(refuse_with_hint(
                "42601",
                "ANY and ALL stand right of an operator",
                "Write x = ANY (array).",
            ));
        };
        let operator = match operator {
            ColumnarValue::Scalar(operator) => {
                operator.try_as_str().flatten().unwrap_or("=").to_owned()
            }
            ColumnarValue::Array(_) => "=".to_owned(),
        };
        let (value_at, values) = column(value)?;
        let (list_at, lists) = column(array)?;
        let lists = lists.as_list::<i32>();
        let elements = lists.values();
        let compare: Box<dyn Fn(usize, usize) -> Result<bool>> = if is_pattern(&operator) {
            Box::new(pattern(&operator, &values, elements)?)
        } else {
            let order = make_comparator(&values, elements, SortOptions::default())?;
            let fits = fits(&operator);
            Box::new(move |value, element| Ok(fits(order(value, element))))
        };
        let mut answers = Vec::with_capacity(args.number_rows);
        for row in 0..args.number_rows {
            let (value, list) = (row & value_at, row & list_at);
            answers.push(if lists.is_null(list) {
                None
            } else {
                let offsets = lists.value_offsets();
                let from = usize::try_from(offsets[list]).unwrap_or(0);
                let to = usize::try_from(offsets[list + 1]).unwrap_or(0);
                let mut answer = Some(!self.decides());
                for element in from..to {
                    if values.is_null(value) || elements.is_null(element) {
                        answer = None;
                    } else if compare(value, element)? == self.decides() {
                        answer = Some(self.decides());
                        break;
                    }
                }
                answer
            });
        }
        Ok(ColumnarValue::Array(Arc::new(BooleanArray::from(answers))))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.doc()
    }
}

/// The rows of an argument, and a mask for the place of each in them.
fn column(value: &ColumnarValue) -> Result<(usize, ArrayRef)> {
    Ok(match value {
        ColumnarValue::Array(array) => (usize::MAX, array.clone()),
        ColumnarValue::Scalar(scalar) => (0, scalar.to_array()?),
    })
}

fn fits(operator: &str) -> fn(Ordering) -> bool {
    match operator {
        "<>" => Ordering::is_ne,
        "<" => Ordering::is_lt,
        "<=" => Ordering::is_le,
        ">" => Ordering::is_gt,
        ">=" => Ordering::is_ge,
        _ => Ordering::is_eq,
    }
}

fn pattern(
    operator: &str,
    values: &ArrayRef,
    patterns: &ArrayRef,
) -> Result<impl Fn(usize, usize) -> Result<bool> + 'static> {
    let values = arrow::compute::cast(values, &DataType::Utf8View)?;
    let patterns = arrow::compute::cast(patterns, &DataType::Utf8View)?;
    let wanted = !operator.starts_with('!');
    let flags = if operator.ends_with('*') { "i" } else { "" };
    let is_like = operator.contains("~~");
    Ok(move |value: usize, pattern: usize| {
        let value = values.as_string_view().value(value);
        let pattern = patterns.as_string_view().value(pattern);
        let compiled = if is_like {
            regexp::compiled(&crate::similar::like_to_regexp(pattern)?, flags)?
        } else {
            regexp::compiled(pattern, flags)?
        };
        Ok(compiled.is_match(value) == wanted)
    })
}
