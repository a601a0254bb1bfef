//! The engine's functions as PostgreSQL is told of them: those that it does not have itself.
//!
//! What a function takes is found out by offering it arguments: those of its signature, and where that says little, arrays,
//! elements and plain types in the number that its manual speaks of.

use std::{collections::BTreeSet, sync::Arc};

use arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit, TimeUnit};
use datafusion::{
    common::Result as PlanResult,
    execution::SessionState,
    logical_expr::{
        AggregateUDF, Documentation, ReturnFieldArgs, ScalarUDF, Signature, Volatility, WindowUDF,
        function::WindowUDFFieldArgs,
        type_coercion::functions::{UDFCoercionExt, fields_with_udf},
    },
};
use rapport_catalog_postgres::{Argument, Function, FunctionKind, SystemNames};
use rapport_udf_face::{AggregateFunction, ScalarFunction};

use crate::{
    Result, Warehouse,
    model_functions::{self, Parameter, STATEMENT_FUNCTIONS, StatementFunction},
    pg_type::PgType,
    table_functions::{FUNCTIONS, TableFunction},
};

/// Ways to call one function that are told.
const MAX_SIGNATURES: usize = 4;
/// Combinations that one signature may stand for, and are looked at.
const MAX_OFFERED: usize = 400;

impl Warehouse {
    /// Makes the catalogue know them.
    pub(crate) async fn declare_functions(&self) -> Result<()> {
        let Some(catalogue) = self.catalogue() else {
            return Ok(());
        };
        let names = catalogue.system_names().await?;
        let functions = declared(self.template(), &names);
        Ok(catalogue.declare_functions(&functions).await?)
    }
}

fn declared(state: &SessionState, names: &SystemNames) -> Vec<Function> {
    // A name that nobody can write is the planner's own.
    let is_ours = |name: &String| !names.functions.contains(name) && !name.starts_with('\u{1}');
    let mut functions = BTreeSet::new();
    for (name, function) in state.scalar_functions() {
        if is_ours(name) {
            functions.extend(told(name, &Callable::Scalar(function)));
        }
    }
    for (name, function) in state.aggregate_functions() {
        if is_ours(name) {
            functions.extend(told(name, &Callable::Aggregate(function)));
        }
    }
    for (name, function) in state.window_functions() {
        if is_ours(name) {
            functions.extend(told(name, &Callable::Window(function)));
        }
    }
    functions.extend(FUNCTIONS.iter().map(told_of_relation));
    let of_models = model_functions::FUNCTIONS.iter();
    functions.extend(of_models.flat_map(|function| function.calls().map(told_of_model)));
    functions.extend(STATEMENT_FUNCTIONS.iter().map(told_of_statement));
    functions.into_iter().collect()
}

/// PostgreSQL knows no relation among arguments, but the type of its rows. What is found by its name only is not told.
fn told_of_relation(function: &TableFunction) -> Function {
    let parameters = function.parameters.iter();
    let arguments = parameters.filter(|parameter| !parameter.is_named_only);
    Function {
        name: function.name.to_owned(),
        arguments: arguments
            .map(|parameter| Argument {
                name: named_beside(function.columns, parameter.name),
                pg_type: match parameter.is_many {
                    true => format!("{}[]", parameter.pg_type),
                    false => parameter.pg_type.to_owned(),
                },
                is_variadic: parameter.is_many,
                has_default: parameter.default.is_some(),
            })
            .collect(),
        result: table_of(function.columns),
        kind: FunctionKind::Plain,
        volatility: "STABLE",
        comment: Some(function.page.says.to_owned()),
    }
}

/// PostgreSQL takes a name for one thing only.
fn named_beside(columns: &[(&str, &str)], parameter: &str) -> Option<String> {
    let is_column = columns.iter().any(|(column, _)| *column == parameter);
    (!is_column).then(|| parameter.to_owned())
}

fn table_of(columns: &[(&str, &str)]) -> String {
    let columns: Vec<String> = columns
        .iter()
        .map(|(name, pg_type)| format!("\"{name}\" {pg_type}"))
        .collect();
    format!("TABLE({})", columns.join(", "))
}

fn told_of_statement(function: &StatementFunction) -> Function {
    let parameters = function.parameters.iter();
    Function {
        name: function.name.to_owned(),
        arguments: parameters
            .map(|parameter| Argument {
                name: named_beside(function.columns, parameter.name),
                ..told_of_parameter(parameter)
            })
            .collect(),
        result: table_of(function.columns),
        kind: FunctionKind::Plain,
        volatility: function.volatility,
        comment: Some(function.page.says.to_owned()),
    }
}

fn told_of_model(call: model_functions::Call) -> Function {
    let function = call.function;
    Function {
        name: function.name.to_owned(),
        arguments: call.parameters.into_iter().map(told_of_parameter).collect(),
        result: function.answers.to_owned(),
        kind: FunctionKind::Plain,
        volatility: "STABLE",
        comment: Some(function.page.says.to_owned()),
    }
}

fn told_of_parameter(parameter: &Parameter) -> Argument {
    Argument {
        name: Some(parameter.name.to_owned()),
        pg_type: parameter.pg_type.to_owned(),
        is_variadic: false,
        has_default: parameter.is_optional,
    }
}

enum Callable<'a> {
    Scalar(&'a Arc<ScalarUDF>),
    Aggregate(&'a Arc<AggregateUDF>),
    Window(&'a Arc<WindowUDF>),
}

impl Callable<'_> {
    fn kind(&self) -> FunctionKind {
        match self {
            Self::Scalar(_) => FunctionKind::Plain,
            Self::Aggregate(_) => FunctionKind::Aggregate,
            Self::Window(_) => FunctionKind::Window,
        }
    }

    /// What is worth a try where nothing tells.
    fn offers(&self) -> &'static [Offer] {
        match self {
            Self::Scalar(_) | Self::Aggregate(_) => &Offer::ALL,
            Self::Window(_) => &[Offer::Moment, Offer::Span],
        }
    }

    fn signature(&self) -> &Signature {
        match self {
            Self::Scalar(function) => function.signature(),
            Self::Aggregate(function) => function.signature(),
            Self::Window(function) => function.signature(),
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        match self {
            Self::Scalar(function) => function.documentation(),
            Self::Aggregate(function) => function.documentation(),
            Self::Window(function) => function.documentation(),
        }
    }

    /// The types of its arguments, in each way that it may be called, if it tells them itself.
    fn calls(&self) -> Option<Vec<Vec<DataType>>> {
        Some(match self {
            Self::Scalar(function) => {
                let function = function.inner().downcast_ref::<ScalarFunction>()?;
                function.calls()
            }
            Self::Aggregate(function) => {
                let function = function.inner().downcast_ref::<AggregateFunction>()?;
                function.calls()
            }
            Self::Window(_) => return None,
        })
    }

    /// What it answers to arguments of these types, if it takes them.
    fn answer(&self, types: &[DataType]) -> PlanResult<DataType> {
        let fields: Vec<FieldRef> = types
            .iter()
            .map(|data_type| Arc::new(Field::new("", data_type.clone(), true)))
            .collect();
        match self {
            Self::Scalar(function) => {
                let fields = coerced(&fields, function.as_ref())?;
                let constants = vec![None; fields.len()];
                let args = ReturnFieldArgs {
                    arg_fields: &fields,
                    scalar_arguments: &constants,
                };
                Ok(function.return_field_from_args(args)?.data_type().clone())
            }
            Self::Aggregate(function) => {
                let fields = coerced(&fields, function.as_ref())?;
                Ok(function.return_field(&fields)?.data_type().clone())
            }
            Self::Window(function) => {
                let fields = coerced(&fields, function.as_ref())?;
                let field = function.field(WindowUDFFieldArgs::new(&fields, ""))?;
                Ok(field.data_type().clone())
            }
        }
    }
}

fn coerced<F: UDFCoercionExt>(fields: &[FieldRef], function: &F) -> PlanResult<Vec<FieldRef>> {
    fields_with_udf(fields, function)
}

/// One argument that is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Offer {
    Element,
    ArrayOfElement,
    Whole,
    Text,
    Float,
    Moment,
    Truth,
    Span,
}

impl Offer {
    const ALL: [Offer; 7] = [
        Offer::Element,
        Offer::ArrayOfElement,
        Offer::Text,
        Offer::Float,
        Offer::Whole,
        Offer::Moment,
        Offer::Truth,
    ];

    fn arrow(self, element: &DataType) -> DataType {
        match self {
            Offer::Element => element.clone(),
            Offer::ArrayOfElement => {
                DataType::List(Arc::new(Field::new_list_field(element.clone(), true)))
            }
            Offer::Whole => DataType::Int64,
            Offer::Text => DataType::Utf8,
            Offer::Float => DataType::Float64,
            Offer::Moment => DataType::Timestamp(TimeUnit::Microsecond, None),
            Offer::Truth => DataType::Boolean,
            Offer::Span => DataType::Interval(IntervalUnit::MonthDayNano),
        }
    }

    fn pg_type(self) -> String {
        match self {
            Offer::Element => "anyelement".to_owned(),
            Offer::ArrayOfElement => "anyarray".to_owned(),
            other => pg_type(&other.arrow(&DataType::Null)).expect("these are PostgreSQL's too"),
        }
    }
}

/// The types of its arguments and its result, in PostgreSQL's words.
type Called = (Vec<String>, String);

fn told(name: &str, function: &Callable) -> Vec<Function> {
    let signature = function.signature();
    let documentation = function.documentation();
    let documented = documentation
        .and_then(|documentation| documentation.arguments.as_ref())
        .map_or(&[][..], Vec::as_slice);
    let mut calls = match function.calls() {
        Some(calls) => of_types(&calls, function),
        None => of_signature(signature, function),
    };
    if calls.is_empty() {
        let most = documented.len().clamp(1, 3);
        for n in (0..=most).rev() {
            calls = by_offering(n, function);
            if !calls.is_empty() {
                break;
            }
        }
    }
    let volatility = match signature.volatility {
        Volatility::Immutable => "IMMUTABLE",
        Volatility::Stable => "STABLE",
        Volatility::Volatile => "VOLATILE",
    };
    let comment = documentation.map(|documentation| {
        let text = documentation.description.split_whitespace();
        text.collect::<Vec<_>>().join(" ")
    });
    let is_aggregate = function.kind() == FunctionKind::Aggregate;
    calls
        .into_iter()
        .filter(|(types, _)| !is_aggregate || !types.is_empty())
        .take(MAX_SIGNATURES)
        .map(|(types, result)| {
            let names = argument_names(documented, types.len());
            let arguments = types.into_iter().enumerate();
            Function {
                name: name.to_owned(),
                arguments: arguments
                    .map(|(index, pg_type)| Argument {
                        name: names.as_ref().map(|names| names[index].clone()),
                        pg_type,
                        is_variadic: false,
                        has_default: false,
                    })
                    .collect(),
                result,
                kind: function.kind(),
                volatility,
                comment: comment.clone(),
            }
        })
        .collect()
}

fn of_types(calls: &[Vec<DataType>], function: &Callable) -> Vec<Called> {
    let calls = calls.iter().filter_map(|types| {
        let names = types.iter().map(pg_type).collect::<Option<Vec<_>>>()?;
        let result = match function.answer(types).ok()? {
            DataType::Struct(_) => "record".to_owned(),
            // PostgreSQL has no function whose answer is declared as an array of records.
            DataType::List(element) if matches!(element.data_type(), DataType::Struct(_)) => {
                "record".to_owned()
            }
            other => pg_type(&other)?,
        };
        Some((names, result))
    });
    calls.collect()
}

/// The types that the signature names. Of those that PostgreSQL has as one, and of shorter ones, the widest.
fn of_signature(signature: &Signature, function: &Callable) -> Vec<Called> {
    let examples = signature.type_signature.get_example_types();
    let mut calls: Vec<Called> = vec![];
    for types in examples.iter().take(MAX_OFFERED) {
        let Some(names) = types.iter().map(pg_type).collect::<Option<Vec<_>>>() else {
            continue;
        };
        if calls.iter().any(|(known, _)| *known == names) {
            continue;
        }
        if let Some(result) = function.answer(types).ok().as_ref().and_then(pg_type) {
            calls.push((names, result));
        }
    }
    calls.sort_by_key(|(types, _)| {
        std::cmp::Reverse(types.iter().map(|name| rank(name)).sum::<usize>())
    });
    calls
}

/// Which of several overloads are told first.
fn rank(pg_type: &str) -> usize {
    match pg_type {
        "text" | "double precision" => 4,
        "bigint" | "numeric" => 3,
        "timestamp without time zone" | "timestamp with time zone" | "date" | "boolean" => 2,
        _ => 1,
    }
}

fn by_offering(n: usize, function: &Callable) -> Vec<Called> {
    let mut offers: Vec<Vec<Offer>> = vec![vec![]];
    for _ in 0..n {
        offers = offers
            .iter()
            .flat_map(|offer| {
                let offers = function.offers().iter();
                offers.map(|next| [offer.as_slice(), &[*next]].concat())
            })
            .collect();
    }
    let mut calls: Vec<Called> = vec![];
    let mut general: Vec<&Vec<Offer>> = vec![];
    for offer in offers.iter().take(MAX_OFFERED) {
        let is_told = |known: &&Vec<Offer>| {
            let mut pairs = known.iter().zip(offer);
            pairs.all(|(known, offer)| known == offer || *known == Offer::Element)
        };
        if general.iter().any(is_told) {
            continue;
        }
        let called = |element: &DataType| {
            let types: Vec<DataType> = offer.iter().map(|offer| offer.arrow(element)).collect();
            function.answer(&types).ok()
        };
        // What it does with numbers and texts alike, it does with anything.
        let (whole, text) = (DataType::Int64, DataType::Utf8);
        let (Some(of_whole), Some(of_text)) = (called(&whole), called(&text)) else {
            continue;
        };
        let is_any = offer
            .iter()
            .any(|offer| matches!(offer, Offer::Element | Offer::ArrayOfElement));
        let is = |offer: Offer| {
            of_whole == offer.arrow(&whole) && is_text_of(&of_text, &offer.arrow(&text))
        };
        let result = if pg_type(&of_whole) == pg_type(&of_text) {
            pg_type(&of_whole)
        } else if is_any && is(Offer::Element) {
            Some(Offer::Element.pg_type())
        } else if is_any && is_list(&of_whole) && is_list(&of_text) {
            Some(Offer::ArrayOfElement.pg_type())
        } else {
            None
        };
        if let Some(result) = result {
            if is_any {
                general.push(offer);
            }
            calls.push((offer.iter().map(|offer| offer.pg_type()).collect(), result));
        }
        if calls.len() == MAX_SIGNATURES {
            break;
        }
    }
    calls
}

fn is_list(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)
    )
}

fn is_text_of(found: &DataType, wanted: &DataType) -> bool {
    found == wanted || (found.is_string() && wanted.is_string())
}

/// None for what PostgreSQL has nothing like.
fn pg_type(data_type: &DataType) -> Option<String> {
    match data_type {
        DataType::Null
        | DataType::Struct(_)
        | DataType::Map(..)
        | DataType::Union(..)
        | DataType::RunEndEncoded(..)
        | DataType::Dictionary(..)
        | DataType::Float16 => None,
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::FixedSizeList(element, _) => {
            let element = pg_type(element.data_type())?;
            Some(format!("{}[]", element.trim_end_matches("[]")))
        }
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => Some("numeric".to_owned()),
        other => Some(PgType::of_arrow(other).name()),
    }
}

/// The manual's, where it has one for each and they differ.
fn argument_names(documented: &[(String, String)], n: usize) -> Option<Vec<String>> {
    let names: Vec<String> = documented
        .iter()
        .take(n)
        .map(|(name, _)| {
            let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
            let name: String = name.to_lowercase().chars().map(plain).collect();
            name.trim_matches('_').to_owned()
        })
        .filter(|name| !name.is_empty())
        .collect();
    let differ = names.iter().collect::<BTreeSet<_>>().len() == n;
    (names.len() == n && differ).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, warehouse};

    fn found(name: &str) -> Vec<String> {
        let state = warehouse::tests_state(&Limits::default());
        let functions = declared(&state, &SystemNames::default());
        let of_name = functions.iter().filter(|function| function.name == name);
        of_name
            .map(|function| {
                let types: Vec<&str> = function
                    .arguments
                    .iter()
                    .map(|argument| argument.pg_type.as_str())
                    .collect();
                format!("({}) -> {}", types.join(", "), function.result)
            })
            .collect()
    }

    #[test]
    fn a_function_s_types_are_postgresql_s() {
        assert!(
            found("approx_distinct")
                .iter()
                .any(|call| call.ends_with("-> bigint"))
        );
        assert!(found("median").contains(&"(double precision) -> double precision".to_owned()));
        assert!(found("array_has").contains(&"(anyarray, anyelement) -> boolean".to_owned()));
        assert!(found("array_distinct").contains(&"(anyarray) -> anyarray".to_owned()));
        assert_eq!(
            found("session_id"),
            ["(timestamp without time zone, interval) -> bigint"]
        );
    }

    #[test]
    fn what_postgresql_has_itself_is_not_declared() {
        let state = warehouse::tests_state(&Limits::default());
        let names = SystemNames {
            functions: ["median".to_owned()].into(),
            ..SystemNames::default()
        };
        assert!(
            declared(&state, &names)
                .iter()
                .all(|function| function.name != "median"
                    && !function.name.contains(char::is_control))
        );
    }
}
