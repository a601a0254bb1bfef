//! Queries put together whose columns are of one type to Arrow and of several to PostgreSQL: `numeric(18,2)` and
//! `numeric(18,4)` give `numeric`, `varchar(20)` and `text` give `text`. What a column declares holds only where all agree.

use std::{collections::HashSet, sync::Arc};

use arrow::datatypes::DataType;
use datafusion::{
    common::{
        Column, Result as PlanResult,
        metadata::FieldMetadata,
        tree_node::{Transformed, TreeNodeRecursion},
    },
    logical_expr::{
        ColumnarValue, Distinct, Expr, Join, JoinType, LogicalPlan, LogicalPlanBuilder, Projection,
        RecursiveQuery, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Union, Volatility,
        cast, type_coercion::binary::comparison_coercion,
    },
};
use rapport_lake::PG_TYPE;

use rapport_udf_postgres::unpadded_texts;

use crate::{
    Error, Result,
    columns::column_type,
    common_kind::{self, Category, category, common_kind, is_labelled},
    expressions::shown,
    pg_type::Kind,
    typed::field_of_kind,
};

pub(crate) fn undeclare(plan: LogicalPlan) -> Result<LogicalPlan> {
    check_distinct_chars(&plan)?;
    let function = without_type();
    let changed = plan.transform_up_with_subqueries(|node| {
        let inputs: Vec<Arc<LogicalPlan>> = match &node {
            LogicalPlan::Union(union) => union.inputs.clone(),
            LogicalPlan::RecursiveQuery(query) => {
                vec![query.static_term.clone(), query.recursive_term.clone()]
            }
            _ => return Ok(Transformed::no(node)),
        };
        let differs: Vec<bool> = (0..node.schema().fields().len())
            .map(|column| differs(&inputs, column))
            .collect();
        if !differs.contains(&true) {
            return Ok(Transformed::no(node));
        }
        let kinds = differs.iter().enumerate();
        let kinds = kinds.map(|(column, differs)| kind_of(&inputs, column).filter(|_| *differs));
        let kinds: Vec<Option<Kind>> = kinds.collect();
        let inputs = inputs.iter();
        let inputs = inputs.map(|input| undeclared(input, &differs, &kinds, &function));
        let mut inputs = inputs.collect::<PlanResult<Vec<_>>>()?;
        let changed = match node {
            LogicalPlan::RecursiveQuery(query) => {
                let recursive = inputs.pop().expect("it has two terms");
                let first = inputs.pop().expect("it has two terms");
                let query =
                    RecursiveQuery::try_new(query.name, first, recursive, query.is_distinct)?;
                LogicalPlan::RecursiveQuery(query)
            }
            _ => LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?),
        };
        Ok(Transformed::yes(changed))
    })?;
    recomputed(changed)
}

/// Gives the columns of what a union puts together no table: DataFusion takes unions within unions apart, and what lies above
/// the inner one knows its columns by their names alone.
pub(crate) fn without_tables(plan: LogicalPlan) -> Result<LogicalPlan> {
    let changed = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::Union(Union { inputs, schema }) = node else {
            return Ok(Transformed::no(node));
        };
        let inputs = inputs.into_iter().map(|input| {
            if input.schema().iter().all(|(table, _)| table.is_none()) {
                return Ok(input);
            }
            let columns = input.schema().columns().into_iter();
            let columns = columns.map(|column| {
                let name = column.name.clone();
                Expr::Column(column).alias(name)
            });
            let columns = columns.collect();
            let projection = Projection::try_new(columns, input)?;
            Ok(Arc::new(LogicalPlan::Projection(projection)))
        });
        let inputs = inputs.collect::<PlanResult<_>>()?;
        Ok(Transformed::yes(LogicalPlan::Union(Union {
            inputs,
            schema,
        })))
    })?;
    Ok(changed.data)
}

/// Gives the columns of queries that are put together the types that PostgreSQL finds for them. A literal without a type is
/// of any; numbers and times are left to `widen`.
pub(crate) fn match_types(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(of_one_type)?.data;
    check_types(&plan)?;
    let changed = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::Union(union) = &node else {
            return Ok(Transformed::no(node));
        };
        let columns = 0..union.schema.fields().len();
        let common: Vec<Option<DataType>> =
            columns.map(|column| common_type(union, column)).collect();
        if common.iter().all(Option::is_none) {
            return Ok(Transformed::no(node));
        }
        let inputs = union.inputs.iter().map(|input| cast_to(input, &common));
        let inputs = inputs.collect::<PlanResult<Vec<_>>>()?;
        let union = Union::try_new_with_loose_types(inputs)?;
        Ok(Transformed::yes(LogicalPlan::Union(union)))
    })?;
    recomputed(changed)
}

/// An INTERSECT or EXCEPT whose queries are of several types: each becomes a UNION with the other that has no row of it.
fn of_one_type(node: LogicalPlan) -> PlanResult<Transformed<LogicalPlan>> {
    let LogicalPlan::Join(Join {
        join_type: JoinType::LeftSemi | JoinType::LeftAnti,
        left,
        right,
        ..
    }) = &node
    else {
        return Ok(Transformed::no(node));
    };
    let sides = [left, right];
    let [one, other] = sides.map(|side| side.schema().fields());
    let kinds = one
        .iter()
        .zip(other)
        .map(|(one, other)| (column_type(one), column_type(other)));
    let names: HashSet<&String> = one.iter().map(|field| field.name()).collect();
    let is_char = |kind: &Kind| matches!(kind, Kind::Char(_));
    let mut kinds = kinds.map(|(one, other)| (one.kind, other.kind));
    if kinds.clone().all(|(one, other)| one == other)
        || kinds.any(|(one, other)| is_char(&one) || is_char(&other))
        || names.len() < one.len()
    {
        return Ok(Transformed::no(node));
    }
    let united = |shown: usize| -> PlanResult<LogicalPlan> {
        let mut is_distinct = false;
        let inputs = sides.iter().enumerate().map(|(at, side)| {
            let mut query = (*side).clone();
            while let LogicalPlan::SubqueryAlias(_) | LogicalPlan::Distinct(Distinct::All(_)) =
                query.as_ref()
            {
                is_distinct |= at == shown && matches!(*query, LogicalPlan::Distinct(_));
                query = Arc::new(query.inputs()[0].clone());
            }
            match at == shown {
                true => Ok(query),
                false => Ok(Arc::new(
                    LogicalPlanBuilder::from(query).limit(0, Some(0))?.build()?,
                )),
            }
        });
        let inputs = inputs.collect::<PlanResult<_>>()?;
        let union = Union::try_new_with_loose_types(inputs)?;
        let columns = union.schema.iter().zip(sides[shown].schema().iter());
        let columns = columns.map(|(column, (qualifier, field))| {
            let column = Expr::Column(Column::from(column));
            column.alias_qualified(qualifier.cloned(), field.name())
        });
        let columns = columns.collect();
        let projection = Projection::try_new(columns, Arc::new(LogicalPlan::Union(union)))?;
        let projection = LogicalPlan::Projection(projection);
        Ok(match is_distinct {
            true => LogicalPlan::Distinct(Distinct::All(Arc::new(projection))),
            false => projection,
        })
    };
    let inputs = vec![united(0)?, united(1)?];
    let expressions = node.expressions();
    Ok(Transformed::yes(node.with_new_exprs(expressions, inputs)?))
}

/// `None`: nothing is to be done.
fn common_type(union: &Union, column: usize) -> Option<DataType> {
    let data_type = |input: &Arc<LogicalPlan>| input.schema().field(column).data_type().clone();
    let known = union
        .inputs
        .iter()
        .filter(|input| !is_untyped(input, column));
    let known = known.filter(|input| {
        category(&column_type(input.schema().field(column)).kind)
            .is_some_and(|category| category != Category::Text)
    });
    let common = known
        .map(data_type)
        .reduce(|one, other| match (&one, &other) {
            (DataType::Timestamp(_, Some(_)), _) | (DataType::Timestamp(..), DataType::Date32) => {
                one
            }
            (_, DataType::Timestamp(..)) => other,
            _ => comparison_coercion(&one, &other).unwrap_or(one),
        })?;
    let to_cast = |input: &Arc<LogicalPlan>| is_to_cast(&data_type(input), &common);
    union.inputs.iter().any(to_cast).then_some(common)
}

fn is_to_cast(data_type: &DataType, common: &DataType) -> bool {
    data_type != common && data_type.is_string()
}

fn cast_to(input: &Arc<LogicalPlan>, common: &[Option<DataType>]) -> PlanResult<Arc<LogicalPlan>> {
    let target = |column: usize| {
        let common = common[column].as_ref()?;
        is_to_cast(input.schema().field(column).data_type(), common).then(|| common.clone())
    };
    let named = |column: usize, expr: Expr, data_type: DataType| {
        let (qualifier, field) = input.schema().qualified_field(column);
        cast(expr, data_type).alias_qualified(qualifier.cloned(), field.name())
    };
    // A literal itself is cast, so that it is read as one.
    let (inner, exprs) = match input.as_ref() {
        LogicalPlan::Projection(projection) => (projection.input.clone(), projection.expr.clone()),
        _ => {
            let columns = input.schema().iter().map(Column::from).map(Expr::Column);
            (input.clone(), columns.collect())
        }
    };
    let exprs = exprs.into_iter().enumerate();
    let exprs = exprs.map(|(column, expr)| match target(column) {
        Some(data_type) => named(column, expr.unalias(), data_type),
        None => expr,
    });
    let projection = Projection::try_new(exprs.collect(), inner)?;
    Ok(Arc::new(LogicalPlan::Projection(projection)))
}

/// What is above has seen the types that were there before.
fn recomputed(changed: Transformed<LogicalPlan>) -> Result<LogicalPlan> {
    if !changed.transformed {
        return Ok(changed.data);
    }
    let plan = changed
        .data
        .transform_up_with_subqueries(|node| Ok(Transformed::yes(node.recompute_schema()?)))?;
    Ok(plan.data)
}

/// Refuses columns that PostgreSQL finds no common type for.
fn check_types(plan: &LogicalPlan) -> Result<()> {
    let mut refused = None;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Union(union) = node {
            let columns = 0..union.schema.fields().len();
            refused = columns.filter_map(|column| clash(union, column)).next();
        }
        Ok(match &refused {
            Some(_) => TreeNodeRecursion::Stop,
            None => TreeNodeRecursion::Continue,
        })
    })?;
    match refused {
        Some((one, other)) => Err(Error::DatatypeMismatch {
            message: format!("UNION types {one} and {other} cannot be matched"),
            hint: None,
        }),
        None => Ok(()),
    }
}

/// Two types of a column that have nothing in common.
fn clash(union: &Union, column: usize) -> Option<(String, String)> {
    let known = union
        .inputs
        .iter()
        .filter(|input| !is_untyped(input, column));
    let kinds = known.map(|input| column_type(input.schema().field(column)).kind);
    let (first, other) = common_kind::clash(kinds)?;
    Some((shown(Some(first)), shown(Some(other))))
}

fn is_untyped(input: &LogicalPlan, column: usize) -> bool {
    if input.schema().field(column).data_type() == &DataType::Null {
        return true;
    }
    match input {
        LogicalPlan::Projection(projection) => {
            matches!(
                projection.expr[column].clone().unalias(),
                Expr::Literal(..) | Expr::Placeholder(_)
            ) && projection.schema.field(column).data_type().is_string()
        }
        LogicalPlan::Sort(_) | LogicalPlan::Limit(_) | LogicalPlan::Distinct(Distinct::All(_)) => {
            is_untyped(input.inputs()[0], column)
        }
        LogicalPlan::Values(_) => true,
        _ => false,
    }
}

fn differs(inputs: &[Arc<LogicalPlan>], column: usize) -> bool {
    let mut declared = inputs.iter().map(|input| {
        let field = input.schema().field(column);
        field.metadata().get(PG_TYPE)
    });
    let first = declared.next();
    declared.any(|other| Some(other) != first)
}

/// Of texts that are not all of one type.
fn kind_of(inputs: &[Arc<LogicalPlan>], column: usize) -> Option<Kind> {
    let kinds = inputs.iter().map(|input| {
        let is_typed = !is_untyped(input, column);
        is_typed.then(|| column_type(input.schema().field(column)).kind)
    });
    let kinds: Vec<Option<Kind>> = kinds.collect();
    let common = common_kind(&kinds)?;
    // A literal that is no NULL would have to be read.
    let fits = |(kind, input): (&Option<Kind>, &Arc<LogicalPlan>)| match kind {
        Some(kind) => *kind == common,
        None => is_null(input, column),
    };
    let all_fit = !is_labelled(&common) || kinds.iter().zip(inputs).all(fits);
    all_fit.then_some(common)
}

fn is_null(input: &LogicalPlan, column: usize) -> bool {
    match input {
        _ if input.schema().field(column).data_type().is_null() => true,
        LogicalPlan::Projection(projection) => {
            matches!(projection.expr[column].clone().unalias(), Expr::Literal(value, _) if value.is_null())
        }
        _ => false,
    }
}

/// `'a  '` and `'a'` are equal as bpchar, and PostgreSQL keeps the first that it meets.
fn check_distinct_chars(plan: &LogicalPlan) -> Result<()> {
    let mut is_refused = false;
    plan.apply_with_subqueries(|node| {
        // INTERSECT and EXCEPT; what else is joined so is still a sub-query.
        if let LogicalPlan::Join(Join {
            join_type: JoinType::LeftSemi | JoinType::LeftAnti,
            left,
            right,
            ..
        }) = node
        {
            let width = left
                .schema()
                .fields()
                .len()
                .min(right.schema().fields().len());
            let kind = |side: &LogicalPlan, at: usize| column_type(side.schema().field(at)).kind;
            is_refused |= (0..width).any(|at| {
                let kinds = [kind(left, at), kind(right, at)];
                let has_char = kinds.iter().any(|kind| matches!(kind, Kind::Char(_)));
                has_char && kinds[0] != kinds[1]
            });
        }
        let (LogicalPlan::Distinct(Distinct::All(_)), Some(LogicalPlan::Union(union))) =
            (node, node.inputs().first())
        else {
            return Ok(TreeNodeRecursion::Continue);
        };
        let mut kinds = (0..union.schema.fields().len()).map(|at| kind_of(&union.inputs, at));
        is_refused |= kinds.any(|kind| kind == Some(Kind::Char(None)));
        Ok(TreeNodeRecursion::Continue)
    })?;
    if is_refused {
        return Err(Error::not_supported(
            "a UNION, INTERSECT or EXCEPT of char(n) and texts of other lengths is not supported",
            "Cast all of them to text, or write UNION ALL.",
        ));
    }
    Ok(())
}

fn undeclared(
    input: &Arc<LogicalPlan>,
    differs: &[bool],
    kinds: &[Option<Kind>],
    function: &Arc<ScalarUDF>,
) -> PlanResult<Arc<LogicalPlan>> {
    let columns = input.schema().iter().zip(differs).zip(kinds);
    let exprs: Vec<Expr> = columns
        .map(|(((qualifier, field), differs), kind)| {
            let column = Expr::Column(Column::from((qualifier, field)));
            let as_text = |column: Expr| match column_type(field).kind {
                Kind::Char(_) => unpadded_texts().call(vec![column]),
                _ => function.call(vec![column]),
            };
            match (*differs, kind) {
                (true, Some(kind)) => {
                    let value = match kind {
                        _ if field.data_type().is_null() => cast(column, DataType::Utf8View),
                        Kind::Char(_) => function.call(vec![column]),
                        _ => as_text(column),
                    };
                    let label = field_of_kind(kind.clone());
                    let label = FieldMetadata::from(label.metadata());
                    value.alias_qualified_with_metadata(
                        qualifier.cloned(),
                        field.name(),
                        Some(label),
                    )
                }
                (true, None) if field.metadata().contains_key(PG_TYPE) => function
                    .call(vec![column])
                    .alias_qualified(qualifier.cloned(), field.name()),
                _ => column,
            }
        })
        .collect();
    let projected = LogicalPlanBuilder::from(input.clone()).project(exprs)?;
    Ok(Arc::new(projected.build()?))
}

pub(crate) const WITHOUT_TYPE: &str = "\u{1}without_type";

/// The same value, without what its column declares.
pub(crate) fn without_type() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(WithoutType {
        signature: Signature::any(1, Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct WithoutType {
    signature: Signature,
}

impl ScalarUDFImpl for WithoutType {
    fn name(&self) -> &str {
        WITHOUT_TYPE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> PlanResult<DataType> {
        Ok(types[0].clone())
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> PlanResult<ColumnarValue> {
        Ok(args.args.swap_remove(0))
    }
}
