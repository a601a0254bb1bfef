//! `(SELECT sum(y.amount) FROM sales y WHERE y.day <= x.day)`: DataFusion joins a correlated sub-query by equal columns only, and
//! nothing that is limited, ordered, numbered or joined otherwise. Any other is joined here: it is computed once for each
//! different set of the outer values that it asks for, and joined to the rows around it. The dependent join's elimination of
//! Neumann and Kemper, *Unnesting Arbitrary Queries*, BTW 2015.
//!
//! What a sub-query asks of queries further out than the one around it is left until that one is computed for each set itself.

use std::{collections::HashMap, sync::Arc};

use arrow::datatypes::DataType;
use datafusion::{
    common::{
        Column, DFSchema, ExprSchema, JoinType, NullEquality, Result as PlanResult, ScalarValue,
        TableReference,
        metadata::FieldMetadata,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    functions_aggregate::expr_fn::count,
    functions_window::expr_fn::row_number,
    logical_expr::{
        Aggregate, Distinct, DistinctOn, Expr, ExprFunctionExt, FetchType, Filter, JoinConstraint,
        LogicalPlan, LogicalPlanBuilder, Operator, Projection, SkipType, SortExpr, Subquery, Union,
        Window, binary_expr,
        expr::{Exists, InSubquery},
        expr_rewriter::NamePreserver,
        lit,
        logical_plan::Join,
        utils::{conjunction, split_conjunction},
        when,
    },
};

use crate::{
    Error, Result,
    names::PRIVATE,
    not_in::is_one_row,
    one_row::{ONE_ROW, one_row, value_of_one_row},
};

pub(crate) fn join_by_any_condition(plan: LogicalPlan) -> Result<LogicalPlan> {
    check_aggregates(&plan)?;
    let mut work = Work { count: 0 };
    let changed = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Join(join) => work.beside(join, false),
        node => work.around(node),
    })?;
    Ok(only_outer(changed.data)?)
}

/// What is LATERAL within a sub-query and has been joined asks for nothing outside.
fn only_outer(plan: LogicalPlan) -> PlanResult<LogicalPlan> {
    let changed = plan.transform_up_with_subqueries(|node| {
        node.map_expressions(|expr| {
            expr.transform_up(|expr| {
                Ok(match expr {
                    Expr::ScalarSubquery(mut subquery)
                        if !subquery.outer_ref_columns.is_empty()
                            && outer_columns(&subquery.subquery).is_empty() =>
                    {
                        subquery.outer_ref_columns.clear();
                        Transformed::yes(Expr::ScalarSubquery(subquery))
                    }
                    expr => Transformed::no(expr),
                })
            })
        })
    })?;
    Ok(changed.data)
}

/// 0A000 for an aggregate of outer values alone: it is one of the query around the sub-query.
fn check_aggregates(plan: &LogicalPlan) -> PlanResult<()> {
    plan.apply_with_subqueries(|node| {
        let LogicalPlan::Aggregate(aggregate) = node else {
            return Ok(TreeNodeRecursion::Continue);
        };
        let mut calls = aggregate.aggr_expr.iter();
        match calls.any(is_of_outer_query) {
            true => Err(Error::not_supported(
                "an aggregate of the columns of the query around a sub-query is not supported",
                "Compute it in a WITH of its own.",
            )
            .into()),
            false => Ok(TreeNodeRecursion::Continue),
        }
    })?;
    Ok(())
}

fn is_of_outer_query(call: &Expr) -> bool {
    // Ours: it takes what a sub-query answers.
    let is_answer = matches!(call, Expr::AggregateFunction(call) if call.func.name() == ONE_ROW);
    !is_answer && call.contains_outer() && call.column_refs().is_empty()
}

/// Gives names that are not there yet.
struct Work {
    count: usize,
}

/// The outer values that a sub-query asks for, and the names that they have in it.
struct Domain {
    plan: LogicalPlan,
    names: Vec<(Column, String)>,
}

impl Work {
    fn next(&mut self) -> usize {
        self.count += 1;
        self.count
    }

    /// Joins what the expressions of a projection or a filter ask for to its input.
    fn around(&mut self, node: LogicalPlan) -> PlanResult<Transformed<LogicalPlan>> {
        let (input, is_filter) = match &node {
            LogicalPlan::Projection(Projection { input, .. }) => (input.clone(), false),
            LogicalPlan::Filter(Filter { input, .. }) => (input.clone(), true),
            _ => return Ok(Transformed::no(node)),
        };
        let names = NamePreserver::new(&node);
        let mut joined = input.as_ref().clone();
        let exprs = node.expressions().into_iter().map(|expr| {
            let name = names.save(&expr);
            let changed = expr.transform_up(|expr| {
                let Transformed {
                    data: expr,
                    transformed: is_renamed,
                    ..
                } = with_private_answer(expr)?;
                let value = match &expr {
                    Expr::ScalarSubquery(subquery) => {
                        let plan = &subquery.subquery;
                        match is_ranging(plan)
                            || shares_names(plan)
                            || makes_rows(plan)
                            || is_beyond(plan)
                            || is_many(plan)
                        {
                            true => self.value(&mut joined, &input, plan)?,
                            false => None,
                        }
                    }
                    Expr::Exists(Exists { subquery, negated }) => {
                        let plan = without_first(&subquery.subquery);
                        let is_joined = is_filter
                            && !(makes_rows(plan) || is_beyond(plan) || is_limited(plan))
                            && !shares_names(plan)
                            && !(is_ranging(plan) && has_groups(plan));
                        match is_joined {
                            // What aggregates is there, whatever it finds.
                            _ if is_one_row(plan) => Some(lit(!*negated)),
                            true => None,
                            false => self.exists(&mut joined, &input, plan, *negated)?,
                        }
                    }
                    Expr::InSubquery(asked) if is_one_row_of_each(&asked.subquery.subquery) => {
                        let value = self.join(&mut joined, &input, &asked.subquery.subquery)?;
                        value.map(|value| match asked.negated {
                            true => asked.expr.as_ref().clone().not_eq(value),
                            false => asked.expr.as_ref().clone().eq(value),
                        })
                    }
                    Expr::InSubquery(asked)
                        if is_beyond(&asked.subquery.subquery)
                            || shares_names(&asked.subquery.subquery)
                            || answers_no_column(&asked.subquery.subquery) =>
                    {
                        let rows = rows_of_value(asked, input.schema())?;
                        self.exists(&mut joined, &input, &rows, asked.negated)?
                    }
                    _ => None,
                };
                Ok(match value {
                    Some(value) => Transformed::yes(value),
                    None => Transformed::new(expr, is_renamed, TreeNodeRecursion::Continue),
                })
            })?;
            Ok((name.restore(changed.data), changed.transformed))
        });
        let exprs = exprs.collect::<PlanResult<Vec<_>>>()?;
        if !exprs.iter().any(|(_, transformed)| *transformed) {
            return Ok(Transformed::no(node));
        }
        let exprs = exprs.into_iter().map(|(expr, _)| expr).collect();
        let changed = node.with_new_exprs(exprs, vec![joined])?;
        let changed = match is_filter {
            true => LogicalPlanBuilder::from(changed)
                .project(columns_of(&input))?
                .build()?,
            false => changed,
        };
        Ok(Transformed::yes(changed))
    }

    /// The value of a sub-query of one row at most, which is joined to the rows.
    fn value(
        &mut self,
        rows: &mut LogicalPlan,
        input: &LogicalPlan,
        subquery: &LogicalPlan,
    ) -> PlanResult<Option<Expr>> {
        if is_one_row(subquery) {
            return self.join(rows, input, subquery);
        }
        let only = columns_of(subquery).swap_remove(0);
        let only = one_row().call(vec![only]);
        let only = LogicalPlanBuilder::from(subquery.clone())
            .aggregate(Vec::<Expr>::new(), [only])?
            .build()?;
        let value = self.join(rows, input, &only)?;
        Ok(value.map(|value| value_of_one_row().call(vec![value])))
    }

    fn exists(
        &mut self,
        rows: &mut LogicalPlan,
        input: &LogicalPlan,
        subquery: &LogicalPlan,
        negated: bool,
    ) -> PlanResult<Option<Expr>> {
        let count = LogicalPlanBuilder::from(subquery.clone())
            .aggregate(Vec::<Expr>::new(), [count(lit(1_i64))])?
            .build()?;
        let count = self.join(rows, input, &count)?;
        Ok(count.map(|count| match negated {
            true => count.eq(lit(0_i64)),
            false => count.gt(lit(0_i64)),
        }))
    }

    /// Puts the sub-query's value beside each of the rows, which are those of the input and of what has been joined to it, and
    /// says what it is called. `None` if it asks further out.
    fn join(
        &mut self,
        rows: &mut LogicalPlan,
        input: &LogicalPlan,
        subquery: &LogicalPlan,
    ) -> PlanResult<Option<Expr>> {
        let outer = outer_columns(subquery);
        if outer.iter().any(|outer| !input.schema().has_column(outer)) {
            return Ok(None);
        }
        let number = self.next();
        let value = format!("{PRIVATE}value{number}");
        if outer.is_empty() {
            let first = columns_of(subquery).swap_remove(0);
            let computed = LogicalPlanBuilder::from(subquery.clone())
                .project([first.alias(&value)])?
                .build()?;
            *rows = LogicalPlanBuilder::from(rows.clone())
                .cross_join(computed)?
                .build()?;
            return Ok(Some(Expr::Column(Column::from_name(value))));
        }
        let domain = Domain::new(input, outer, number)?;
        let of_no_rows = of_no_rows(subquery)?;
        let computed = self.carry(subquery, &domain, of_no_rows.is_none())?;
        // One name for what was computed, so that no column of the rows is taken for one of its own.
        let table = TableReference::bare(format!("{PRIVATE}correlated{number}"));
        let is_there = format!("{PRIVATE}is_there{number}");
        let first = columns_of(&computed).swap_remove(0);
        let mut columns = domain.columns(&computed)?;
        columns.extend([first.alias(&value), lit(true).alias(&is_there)]);
        let computed = LogicalPlanBuilder::from(computed)
            .project(columns)?
            .alias(table.clone())?
            .build()?;
        let on = domain.names.iter().map(|(outer, name)| {
            let inner = Column::new(Some(table.clone()), name);
            (Expr::Column(outer.clone()), Expr::Column(inner))
        });
        let joined = by_nulls_too(rows.clone(), computed, on.collect(), None, JoinType::Left)?;
        let column = |name| Expr::Column(Column::new(Some(table.clone()), name));
        let Some(of_no_rows) = of_no_rows else {
            *rows = joined;
            return Ok(Some(column(value)));
        };
        let default = format!("{PRIVATE}default{number}");
        let first = columns_of(&of_no_rows).swap_remove(0);
        let of_no_rows = LogicalPlanBuilder::from(of_no_rows)
            .project([first.alias(&default)])?
            .build()?;
        *rows = LogicalPlanBuilder::from(joined)
            .cross_join(of_no_rows)?
            .build()?;
        let default = Expr::Column(Column::from_name(default));
        let value = when(column(is_there), column(value)).otherwise(default)?;
        let field = subquery.schema().field(0);
        Ok(Some(match field.metadata().is_empty() {
            true => value,
            false => {
                let name = value.schema_name().to_string();
                value.alias_with_metadata(name, Some(FieldMetadata::from(field.as_ref())))
            }
        }))
    }

    /// `a JOIN LATERAL (SELECT …) ON …`, unless DataFusion can join it.
    fn beside(&mut self, join: Join, always: bool) -> PlanResult<Transformed<LogicalPlan>> {
        let Some(subquery) = lateral(&join) else {
            return Ok(Transformed::no(LogicalPlan::Join(join)));
        };
        let is_joined = is_ranging(subquery)
            || shares_names(subquery)
            || makes_rows(subquery)
            || is_beyond(subquery);
        if !(always || is_joined) || !matches!(join.join_type, JoinType::Inner | JoinType::Left) {
            return Ok(Transformed::no(LogicalPlan::Join(join)));
        }
        let mut outer = outer_columns(subquery);
        outer.retain(|outer| join.left.schema().has_column(outer));
        let number = self.next();
        let computed = match outer.is_empty() {
            true => (subquery.clone(), vec![]),
            false => {
                let domain = Domain::new(&join.left, outer, number)?;
                let computed = self.carry(subquery, &domain, true)?;
                (computed, domain.names)
            }
        };
        let (computed, names) = computed;
        let own = join.right.schema().iter().zip(columns_of(&computed));
        let mut columns: Vec<Expr> = own
            .map(|((table, field), column)| column.alias_qualified(table.cloned(), field.name()))
            .collect();
        let mut on = vec![];
        for (at, (outer, name)) in names.into_iter().enumerate() {
            let key = format!("{PRIVATE}beside{number}_{at}");
            columns.push(carried(&computed, &name)?.alias(&key));
            on.push((Expr::Column(outer), Expr::Column(Column::from_name(key))));
        }
        let computed = LogicalPlanBuilder::from(computed)
            .project(columns)?
            .build()?;
        let columns = columns_of(&LogicalPlan::Join(join.clone()));
        let conditions = conditions(&join);
        let left = Arc::unwrap_or_clone(join.left);
        let joined = by_nulls_too(left, computed, on, conditions, join.join_type)?;
        let joined = LogicalPlanBuilder::from(joined).project(columns)?.build()?;
        Ok(Transformed::yes(joined))
    }

    /// The sub-query for each set of outer values, with these values behind what it answers. `fills`: an aggregate answers for
    /// each of them, also where it finds nothing.
    fn carry(
        &mut self,
        plan: &LogicalPlan,
        domain: &Domain,
        fills: bool,
    ) -> PlanResult<LogicalPlan> {
        if !domain.is_asked_by(plan) {
            return LogicalPlanBuilder::from(plan.clone())
                .cross_join(domain.plan.clone())?
                .build();
        }
        match plan {
            LogicalPlan::Filter(filter) => {
                let input = self.carry(&filter.input, domain, true)?;
                let predicate = domain.resolve(filter.predicate.clone(), &input)?;
                let filter = Filter::try_new(predicate, Arc::new(input))?;
                Ok(self.around(LogicalPlan::Filter(filter))?.data)
            }
            LogicalPlan::Projection(projection) => {
                let input = self.carry(&projection.input, domain, fills)?;
                self.project(projection, input, domain)
            }
            LogicalPlan::Unnest(unnest) => {
                let input = self.carry(&unnest.input, domain, true)?;
                LogicalPlanBuilder::from(input)
                    .unnest_columns_with_options(
                        unnest.exec_columns.clone(),
                        unnest.options.clone(),
                    )?
                    .build()
            }
            // What is LATERAL has nothing beside it but the outer values.
            LogicalPlan::Subquery(lateral) => self.carry(&lateral.subquery, domain, fills),
            LogicalPlan::SubqueryAlias(alias) => {
                let input = self.carry(&alias.input, domain, fills)?;
                LogicalPlanBuilder::from(input)
                    .alias(alias.alias.clone())?
                    .build()
            }
            // Nothing above keeps an order but a limit.
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => {
                self.carry(&sort.input, domain, true)
            }
            LogicalPlan::Limit(limit) => match (limit.get_skip_type()?, limit.get_fetch_type()?) {
                (SkipType::Literal(skip), FetchType::Literal(fetch)) => {
                    self.limit(&limit.input, domain, skip, fetch)
                }
                _ => Err(unknown()),
            },
            LogicalPlan::Window(window) => self.window(window, domain),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let input = self.carry(input, domain, true)?;
                LogicalPlanBuilder::from(input).distinct()?.build()
            }
            LogicalPlan::Distinct(Distinct::On(chosen)) => self.choose(chosen, domain),
            LogicalPlan::Union(union) => {
                let inputs = union.inputs.iter().map(|input| {
                    let own = columns_of(input);
                    let carried = self.carry(input, domain, true)?;
                    Ok(Arc::new(domain.behind(own, carried)?))
                });
                let inputs = inputs.collect::<PlanResult<Vec<_>>>()?;
                Ok(LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?))
            }
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate, domain, fills),
            LogicalPlan::Join(join) => match self.beside(join.clone(), true)? {
                Transformed {
                    data: LogicalPlan::Join(join),
                    transformed: false,
                    ..
                } => self.both(&join, domain),
                beside => self.carry(&beside.data, domain, fills),
            },
            _ => Err(unknown()),
        }
    }

    fn project(
        &mut self,
        projection: &Projection,
        input: LogicalPlan,
        domain: &Domain,
    ) -> PlanResult<LogicalPlan> {
        let mut exprs = domain.resolve_all(&projection.expr, &input)?;
        exprs.extend(domain.columns(&input)?);
        let projection = Projection::try_new(exprs, Arc::new(input))?;
        Ok(self.around(LogicalPlan::Projection(projection))?.data)
    }

    /// The first rows of each set, by the order that is said below.
    fn limit(
        &mut self,
        plan: &LogicalPlan,
        domain: &Domain,
        skip: usize,
        fetch: Option<usize>,
    ) -> PlanResult<LogicalPlan> {
        let (input, keys) = match plan {
            LogicalPlan::Projection(projection) if is_sorted(plan) => {
                let input = self.limit(&projection.input, domain, skip, fetch)?;
                return self.project(projection, input, domain);
            }
            LogicalPlan::SubqueryAlias(alias) if is_sorted(plan) => {
                let input = self.limit(&alias.input, domain, skip, fetch)?;
                return LogicalPlanBuilder::from(input)
                    .alias(alias.alias.clone())?
                    .build();
            }
            LogicalPlan::Filter(_) if is_sorted(plan) => return Err(unknown()),
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => {
                let input = self.carry(&sort.input, domain, true)?;
                let keys = domain.resolve_keys(&sort.expr, &input)?;
                (input, keys)
            }
            plan => (self.carry(plan, domain, true)?, vec![]),
        };
        let columns = columns_of(&input);
        let number = row_number().partition_by(domain.columns(&input)?);
        let number = match keys.is_empty() {
            true => number.build()?,
            false => number.order_by(keys).build()?,
        };
        let numbered = LogicalPlanBuilder::from(input).window([number])?.build()?;
        let number = columns_of(&numbered).pop().expect("it has a number");
        let bound = |rows: usize| lit(i64::try_from(rows).unwrap_or(i64::MAX));
        let mut is_kept = number.clone().gt(bound(skip));
        if let Some(fetch) = fetch {
            is_kept = is_kept.and(number.lt_eq(bound(skip.saturating_add(fetch))));
        }
        LogicalPlanBuilder::from(numbered)
            .filter(is_kept)?
            .project(columns)?
            .build()
    }

    fn window(&mut self, window: &Window, domain: &Domain) -> PlanResult<LogicalPlan> {
        if is_sorted(&window.input) && window.window_expr.iter().any(minds_order) {
            return Err(unknown());
        }
        let input = self.carry(&window.input, domain, true)?;
        let by = domain.columns(&input)?;
        let names = NamePreserver::new_for_projection();
        let exprs = window.window_expr.iter().map(|expr| {
            let name = names.save(expr);
            let changed = domain.resolve(expr.clone(), &input)?.transform_up(|expr| {
                Ok(match expr {
                    Expr::WindowFunction(mut function) => {
                        function.params.partition_by.extend(by.clone());
                        Transformed::yes(Expr::WindowFunction(function))
                    }
                    expr => Transformed::no(expr),
                })
            })?;
            Ok(name.restore(changed.data))
        });
        let exprs = exprs.collect::<PlanResult<Vec<_>>>()?;
        let own = window.schema.columns();
        let window = LogicalPlan::Window(Window::try_new(exprs, Arc::new(input))?);
        domain.behind(own.into_iter().map(Expr::Column).collect(), window)
    }

    /// DISTINCT ON.
    fn choose(&mut self, chosen: &DistinctOn, domain: &Domain) -> PlanResult<LogicalPlan> {
        let input = self.carry(&chosen.input, domain, true)?;
        let outer = domain.columns(&input)?;
        let mut on = outer.clone();
        on.extend(domain.resolve_all(&chosen.on_expr, &input)?);
        let mut selected = domain.resolve_all(&chosen.select_expr, &input)?;
        selected.extend(outer.clone());
        let sort = match &chosen.sort_expr {
            None => None,
            Some(sort) => {
                let mut keys: Vec<SortExpr> = outer
                    .into_iter()
                    .map(|column| column.sort(true, false))
                    .collect();
                keys.extend(domain.resolve_keys(sort, &input)?);
                Some(keys)
            }
        };
        let chosen = DistinctOn::try_new(on, selected, sort, Arc::new(input))?;
        Ok(LogicalPlan::Distinct(Distinct::On(chosen)))
    }

    fn aggregate(
        &mut self,
        aggregate: &Aggregate,
        domain: &Domain,
        fills: bool,
    ) -> PlanResult<LogicalPlan> {
        if is_sorted(&aggregate.input) && aggregate.aggr_expr.iter().any(minds_order) {
            return Err(unknown());
        }
        let input = self.carry(&aggregate.input, domain, true)?;
        let mut groups = domain.resolve_all(&aggregate.group_expr, &input)?;
        let has_sets = groups
            .iter()
            .any(|group| matches!(group, Expr::GroupingSet(_)));
        if has_sets {
            return Err(unknown());
        }
        groups.extend(domain.columns(&input)?);
        let calls = domain.resolve_all(&aggregate.aggr_expr, &input)?;
        let own = aggregate.schema.columns().into_iter().map(Expr::Column);
        let grouped = Aggregate::try_new(Arc::new(input), groups, calls)?;
        let grouped = domain.behind(own.collect(), LogicalPlan::Aggregate(grouped))?;
        match fills && aggregate.group_expr.is_empty() {
            true => self.fill(grouped, aggregate, domain),
            false => Ok(grouped),
        }
    }

    /// With what the aggregate answers of nothing, for the outer values that it has found nothing for.
    fn fill(
        &mut self,
        grouped: LogicalPlan,
        aggregate: &Aggregate,
        domain: &Domain,
    ) -> PlanResult<LogicalPlan> {
        let number = self.next();
        let own: Vec<_> = aggregate.schema.iter().enumerate().collect();
        let found = |at: usize| format!("{PRIVATE}found{number}_{at}");
        let key = |at: usize| format!("{PRIVATE}key{number}_{at}");
        let missing = |at: usize| format!("{PRIVATE}missing{number}_{at}");
        let is_there = format!("{PRIVATE}is_there{number}");
        let named = |name: &dyn Fn(usize) -> String| {
            let own = own.iter().map(|(at, column)| {
                let column = Expr::Column(Column::from(*column));
                column.alias(name(*at))
            });
            own.collect::<Vec<Expr>>()
        };
        let outer = domain.columns(&grouped)?.into_iter().enumerate();
        let mut columns = named(&found);
        columns.extend(outer.map(|(at, outer)| outer.alias(key(at))));
        columns.push(lit(true).alias(&is_there));
        let grouped = LogicalPlanBuilder::from(grouped)
            .project(columns)?
            .build()?;
        let nothing = LogicalPlanBuilder::from(answer_of_nothing(aggregate)?)
            .project(named(&missing))?
            .build()?;
        let column = |name: String| Expr::Column(Column::from_name(name));
        let names = domain.names.iter().enumerate();
        let on = names.map(|(at, (_, name))| (column(name.clone()), column(key(at))));
        let all = domain.plan.clone();
        let all = by_nulls_too(all, grouped, on.collect(), None, JoinType::Left)?;
        let all = LogicalPlanBuilder::from(all).cross_join(nothing)?.build()?;
        let answers = own.iter().map(|(at, (table, field))| {
            let answer = when(column(is_there.clone()), column(found(*at)))
                .otherwise(column(missing(*at)))?;
            let metadata = Some(FieldMetadata::from(field.as_ref()));
            Ok(answer.alias_qualified_with_metadata(table.cloned(), field.name(), metadata))
        });
        let answers = answers.collect::<PlanResult<Vec<_>>>()?;
        domain.behind(answers, all)
    }

    /// A join of which one side or both ask outside.
    fn both(&mut self, join: &Join, domain: &Domain) -> PlanResult<LogicalPlan> {
        use JoinType as T;
        let asks_right = domain.is_asked_by(&join.right);
        let is_left_first = match join.join_type {
            T::Inner => domain.is_asked_by(&join.left) || !asks_right,
            T::Left | T::LeftSemi | T::LeftAnti | T::LeftMark => true,
            T::Right | T::RightSemi | T::RightAnti | T::RightMark => false,
            T::Full => return Err(unknown()),
        };
        let (first, second) = match is_left_first {
            true => (&join.left, &join.right),
            false => (&join.right, &join.left),
        };
        let first = self.carry(first, domain, true)?;
        let mut pairs = vec![];
        let second = match domain.is_asked_by(second) {
            false => second.as_ref().clone(),
            true => {
                let carried_second = self.carry(second, domain, true)?;
                let mut columns = columns_of(second);
                let number = self.next();
                for (at, (_, name)) in domain.names.iter().enumerate() {
                    let key = format!("{PRIVATE}second{number}_{at}");
                    columns.push(carried(&carried_second, name)?.alias(&key));
                    let key = Expr::Column(Column::from_name(key));
                    let outer = carried(&first, name)?;
                    pairs.push(match is_left_first {
                        true => (outer, key),
                        false => (key, outer),
                    });
                }
                LogicalPlanBuilder::from(carried_second)
                    .project(columns)?
                    .build()?
            }
        };
        let filter = |filter: Option<Expr>| {
            let resolved = filter.map(|filter| domain.resolve(filter, &first));
            resolved.transpose()
        };
        let (on, filter, null_equality) = match pairs.is_empty() {
            true => {
                let on = join.on.iter().map(|(left, right)| {
                    let left = domain.resolve(left.clone(), &first)?;
                    Ok((left, domain.resolve(right.clone(), &first)?))
                });
                let on = on.collect::<PlanResult<Vec<_>>>()?;
                (on, filter(join.filter.clone())?, join.null_equality)
            }
            false if join.null_aware => return Err(unknown()),
            false => (
                pairs,
                filter(conditions(join))?,
                NullEquality::NullEqualsNull,
            ),
        };
        let (left, right) = match is_left_first {
            true => (first, second),
            false => (second, first),
        };
        let joined = Join::try_new(
            Arc::new(left),
            Arc::new(right),
            on,
            filter,
            join.join_type,
            join.join_constraint,
            null_equality,
            join.null_aware,
        )?;
        let own = join.schema.columns().into_iter().map(Expr::Column);
        domain.behind(own.collect(), LogicalPlan::Join(joined))
    }
}

impl Domain {
    /// The different values of the columns.
    fn new(rows: &LogicalPlan, outer: Vec<Column>, number: usize) -> PlanResult<Self> {
        let names = outer.into_iter().enumerate();
        let names: Vec<_> = names
            .map(|(at, column)| (column, format!("{PRIVATE}outer{number}_{at}")))
            .collect();
        let values = names
            .iter()
            .map(|(column, name)| Expr::Column(column.clone()).alias(name));
        let plan = LogicalPlanBuilder::from(rows.clone())
            .project(values)?
            .distinct()?
            .build()?;
        Ok(Self { plan, names })
    }

    fn is_asked_by(&self, plan: &LogicalPlan) -> bool {
        let asked = outer_columns(plan);
        self.names.iter().any(|(outer, _)| asked.contains(outer))
    }

    /// The outer values in a plan that carries them.
    fn columns(&self, plan: &LogicalPlan) -> PlanResult<Vec<Expr>> {
        let names = self.names.iter();
        names.map(|(_, name)| carried(plan, name)).collect()
    }

    /// The columns of a plan, and the outer values that it carries behind them.
    fn behind(&self, own: Vec<Expr>, plan: LogicalPlan) -> PlanResult<LogicalPlan> {
        let mut columns = own;
        columns.extend(self.columns(&plan)?);
        LogicalPlanBuilder::from(plan).project(columns)?.build()
    }

    fn name_of(&self, column: &Column) -> Option<&str> {
        let mut names = self.names.iter();
        names
            .find(|(outer, _)| outer == column)
            .map(|(_, name)| name.as_str())
    }

    /// The expression over a plan that carries them.
    fn resolve(&self, expr: Expr, plan: &LogicalPlan) -> PlanResult<Expr> {
        let changed = expr.transform_up(|expr| {
            Ok(match expr {
                Expr::OuterReferenceColumn(field, column) => match self.name_of(&column) {
                    Some(name) => Transformed::yes(carried(plan, name)?),
                    None => Transformed::no(Expr::OuterReferenceColumn(field, column)),
                },
                Expr::ScalarSubquery(subquery) => {
                    Transformed::yes(Expr::ScalarSubquery(self.within(subquery, plan)?))
                }
                Expr::Exists(Exists { subquery, negated }) => {
                    let subquery = self.within(subquery, plan)?;
                    Transformed::yes(Expr::Exists(Exists { subquery, negated }))
                }
                Expr::InSubquery(asked) => Transformed::yes(Expr::InSubquery(InSubquery {
                    subquery: self.within(asked.subquery, plan)?,
                    ..asked
                })),
                expr => Transformed::no(expr),
            })
        })?;
        Ok(changed.data)
    }

    /// A sub-query of the plan, which asks the plan for the outer values.
    fn within(&self, subquery: Subquery, plan: &LogicalPlan) -> PlanResult<Subquery> {
        if !self.is_asked_by(&subquery.subquery) {
            return Ok(subquery);
        }
        let inner = Arc::unwrap_or_clone(subquery.subquery);
        let changed = inner.transform_up_with_subqueries(|node| {
            // Another query of that name is in between.
            let hides = |(outer, _): &(Column, String)| node.schema().has_column(outer);
            if self.names.iter().any(hides) {
                return Err(unknown());
            }
            let names = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                let changed = expr.transform_up(|expr| {
                    let column = match &expr {
                        Expr::OuterReferenceColumn(_, column) => column,
                        _ => return Ok(Transformed::no(expr)),
                    };
                    let Some(name) = self.name_of(column) else {
                        return Ok(Transformed::no(expr));
                    };
                    let column = carried_column(plan, name)?;
                    let field = plan.schema().field_from_column(&column)?.clone();
                    Ok(Transformed::yes(Expr::OuterReferenceColumn(field, column)))
                })?;
                Ok(changed.update_data(|expr| name.restore(expr)))
            })
        })?;
        Ok(Subquery {
            outer_ref_columns: changed.data.all_out_ref_exprs(),
            subquery: Arc::new(changed.data),
            spans: subquery.spans,
        })
    }

    fn resolve_all(&self, exprs: &[Expr], plan: &LogicalPlan) -> PlanResult<Vec<Expr>> {
        let names = NamePreserver::new_for_projection();
        let exprs = exprs.iter().map(|expr| {
            let name = names.save(expr);
            Ok(name.restore(self.resolve(expr.clone(), plan)?))
        });
        exprs.collect()
    }

    fn resolve_keys(&self, keys: &[SortExpr], plan: &LogicalPlan) -> PlanResult<Vec<SortExpr>> {
        let keys = keys.iter().map(|key| {
            Ok(SortExpr {
                expr: self.resolve(key.expr.clone(), plan)?,
                ..key.clone()
            })
        });
        keys.collect()
    }
}

fn unknown() -> datafusion::error::DataFusionError {
    Error::not_supported(
        "this sub-query, which looks at columns of the query around it, is not supported",
        "Write it as a join: FROM a LEFT JOIN (SELECT … GROUP BY key) AS b ON b.key = a.key.",
    )
    .into()
}

pub(crate) fn columns_of(plan: &LogicalPlan) -> Vec<Expr> {
    let columns = plan.schema().columns().into_iter();
    columns.map(Expr::Column).collect()
}

fn carried(plan: &LogicalPlan, name: &str) -> PlanResult<Expr> {
    carried_column(plan, name).map(Expr::Column)
}

fn carried_column(plan: &LogicalPlan, name: &str) -> PlanResult<Column> {
    let (table, field) = plan.schema().qualified_field_with_unqualified_name(name)?;
    Ok(Column::from((table, field)))
}

/// A join by keys that may be NULL.
fn by_nulls_too(
    left: LogicalPlan,
    right: LogicalPlan,
    on: Vec<(Expr, Expr)>,
    filter: Option<Expr>,
    join_type: JoinType,
) -> PlanResult<LogicalPlan> {
    Ok(LogicalPlan::Join(Join::try_new(
        Arc::new(left),
        Arc::new(right),
        on,
        filter,
        join_type,
        JoinConstraint::On,
        NullEquality::NullEqualsNull,
        false,
    )?))
}

/// All that a join is made by.
fn conditions(join: &Join) -> Option<Expr> {
    let operator = match join.null_equality {
        NullEquality::NullEqualsNothing => Operator::Eq,
        NullEquality::NullEqualsNull => Operator::IsNotDistinctFrom,
    };
    let on = join.on.iter().cloned();
    let on = on.map(|(left, right)| binary_expr(left, operator, right));
    conjunction(on.chain(join.filter.clone()))
}

/// The sub-query that looks at what stands to the left of it.
pub(crate) fn lateral(join: &Join) -> Option<&LogicalPlan> {
    let right = match join.right.as_ref() {
        LogicalPlan::SubqueryAlias(alias) => alias.input.as_ref(),
        right => right,
    };
    match right {
        LogicalPlan::Subquery(subquery) => Some(&subquery.subquery),
        _ => None,
    }
}

/// The columns of queries around it that a plan asks for, also in sub-queries of its own.
pub(crate) fn outer_columns(plan: &LogicalPlan) -> Vec<Column> {
    let mut found = vec![];
    collect_outer(plan, &mut found);
    found
}

fn collect_outer(plan: &LogicalPlan, found: &mut Vec<Column>) {
    let mut note = |column: Column| {
        if !found.contains(&column) {
            found.push(column);
        }
    };
    let (direct, nested) = own_outer(plan);
    direct.into_iter().chain(nested).for_each(&mut note);
    if let LogicalPlan::Join(join) = plan
        && lateral(join).is_some()
    {
        let mut beside = outer_columns(&join.right);
        beside.retain(|column| !join.left.schema().has_column(column));
        beside.into_iter().for_each(note);
        return collect_outer(&join.left, found);
    }
    for input in plan.inputs() {
        collect_outer(input, found);
    }
}

/// What the expressions of a node itself ask for outside, and what sub-queries among them do.
fn own_outer(plan: &LogicalPlan) -> (Vec<Column>, Vec<Column>) {
    let (mut direct, mut nested) = (vec![], vec![]);
    // It repeats what is asked for below it.
    if matches!(plan, LogicalPlan::Subquery(_)) {
        return (direct, nested);
    }
    let inputs = plan.inputs();
    for expr in plan.expressions() {
        let _ = expr.apply(|expr| {
            let subquery = match expr {
                Expr::OuterReferenceColumn(_, column) => {
                    direct.push(column.clone());
                    None
                }
                Expr::ScalarSubquery(subquery) => Some(subquery),
                Expr::Exists(exists) => Some(&exists.subquery),
                Expr::InSubquery(asked) => Some(&asked.subquery),
                Expr::SetComparison(compared) => Some(&compared.subquery),
                _ => None,
            };
            if let Some(subquery) = subquery {
                let mut asked = outer_columns(&subquery.subquery);
                asked.retain(|column| {
                    let mut inputs = inputs.iter();
                    !inputs.any(|input| input.schema().has_column(column))
                });
                nested.extend(asked);
            }
            Ok(TreeNodeRecursion::Continue)
        });
    }
    (direct, nested)
}

/// Whether a condition is not of the form `inner = outer`.
fn is_ranging(subquery: &LogicalPlan) -> bool {
    let mut found = false;
    let _ = subquery.apply(|node| {
        if let LogicalPlan::Filter(filter) = node {
            let mut conditions = split_conjunction(&filter.predicate).into_iter();
            found |= conditions.any(|condition| match condition {
                Expr::BinaryExpr(binary) if binary.op == Operator::Eq => {
                    binary.left.contains_outer()
                        && (binary.right.contains_outer() || has_columns(&binary.left))
                        || binary.right.contains_outer() && has_columns(&binary.right)
                        || is_of_outer_intervals(condition)
                }
                condition => condition.contains_outer(),
            });
        }
        Ok(match found {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    });
    found
}

/// Whether several columns of one name are answered or compared with outer values: DataFusion joins what it answers by names
/// alone.
fn shares_names(plan: &LogicalPlan) -> bool {
    let mut conditions = vec![];
    let _ = plan.apply(|node| {
        let expressions = node.expressions();
        let parts = expressions.iter().flat_map(split_conjunction);
        let asking = parts.filter(|condition| condition.contains_outer());
        conditions.extend(asking.flat_map(|condition| {
            let columns = condition.column_refs().into_iter();
            columns.cloned().collect::<Vec<Column>>()
        }));
        Ok(TreeNodeRecursion::Continue)
    });
    if conditions.is_empty() {
        return false;
    }
    let answered = plan.schema().columns();
    let mut found: HashMap<&str, &Column> = HashMap::new();
    let mut columns = answered.iter().chain(&conditions);
    columns.any(|column| *found.entry(column.name()).or_insert(column) != column)
}

/// With a name for what a sub-query answers that none of its columns has, where they share one: what it is called does not
/// matter to what asks.
fn with_private_answer(expr: Expr) -> PlanResult<Transformed<Expr>> {
    let renamed = |subquery: Subquery, exists: bool| -> PlanResult<Transformed<Subquery>> {
        let plan = subquery.subquery.as_ref();
        let selects_outer =
            || matches!(plan, LogicalPlan::Projection(_)) && !own_outer(plan).0.is_empty();
        if !(shares_names(plan) || exists && selects_outer()) {
            return Ok(Transformed::no(subquery));
        }
        let answer = |answer: Expr| vec![answer.alias(format!("{PRIVATE}answer"))];
        let plan = match (plan, exists) {
            (LogicalPlan::Projection(projection), true) => {
                Projection::try_new(answer(lit(true)), projection.input.clone())?
            }
            (plan, true) if !is_limited(plan) => {
                Projection::try_new(answer(lit(true)), subquery.subquery.clone())?
            }
            (LogicalPlan::Projection(projection), false) => {
                let own = projection.expr[0].clone().unalias();
                Projection::try_new(answer(own), projection.input.clone())?
            }
            _ => return Ok(Transformed::no(subquery)),
        };
        Ok(Transformed::yes(Subquery {
            subquery: Arc::new(LogicalPlan::Projection(plan)),
            ..subquery
        }))
    };
    match expr {
        Expr::ScalarSubquery(subquery) => {
            renamed(subquery, false)?.map_data(|subquery| Ok(Expr::ScalarSubquery(subquery)))
        }
        Expr::Exists(Exists { subquery, negated }) => renamed(subquery, true)?
            .map_data(|subquery| Ok(Expr::Exists(Exists { subquery, negated }))),
        Expr::InSubquery(InSubquery {
            expr,
            subquery,
            negated,
        }) => renamed(subquery, false)?.map_data(|subquery| {
            let asked = InSubquery::new(expr, subquery, negated);
            Ok(Expr::InSubquery(asked))
        }),
        expr => Ok(Transformed::no(expr)),
    }
}

/// Such are compared by what they come to, not as they stand.
fn is_of_outer_intervals(condition: &Expr) -> bool {
    let is_one = |expr: &Expr| match expr {
        Expr::OuterReferenceColumn(field, _) => matches!(field.data_type(), DataType::Interval(_)),
        _ => false,
    };
    condition
        .exists(|expr| Ok(is_one(expr)))
        .is_ok_and(|found| found)
}

fn has_columns(expr: &Expr) -> bool {
    !expr.column_refs().is_empty()
}

/// Whether a function makes rows of outer values: `FROM unnest(outer.list)`.
fn makes_rows(plan: &LogicalPlan) -> bool {
    plan.exists(|node| {
        Ok(matches!(node, LogicalPlan::Unnest(unnest) if !outer_columns(&unnest.input).is_empty()))
    })
    .is_ok_and(|found| found)
}

/// Whether outer values are asked for below what DataFusion computes for all of them together, or by a sub-query within.
fn is_beyond(plan: &LogicalPlan) -> bool {
    if outer_columns(plan).is_empty() {
        return false;
    }
    let is_known = match plan {
        LogicalPlan::Projection(_) => own_outer(plan) == (vec![], vec![]),
        // HAVING may want groups of nothing.
        LogicalPlan::Filter(filter) => own_outer(plan).1.is_empty() && !is_one_row(&filter.input),
        LogicalPlan::Distinct(Distinct::All(_)) => true,
        LogicalPlan::Sort(sort) => sort.fetch.is_none(),
        LogicalPlan::Aggregate(aggregate) => {
            own_outer(plan) == (vec![], vec![]) && !has_groups(&aggregate.input)
        }
        LogicalPlan::Join(join) => join.join_type == JoinType::Inner,
        _ => false,
    };
    !is_known || plan.inputs().into_iter().any(is_beyond)
}

/// Whether what it answers is a constant or an outer value: DataFusion joins by columns.
fn answers_no_column(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => match &projection.expr[0] {
            Expr::Column(_) => answers_no_column(&projection.input),
            expr => !has_columns(expr),
        },
        LogicalPlan::Distinct(Distinct::All(input)) => answers_no_column(input),
        LogicalPlan::SubqueryAlias(alias) => answers_no_column(&alias.input),
        LogicalPlan::Filter(filter) => answers_no_column(&filter.input),
        LogicalPlan::Sort(sort) => answers_no_column(&sort.input),
        LogicalPlan::Aggregate(aggregate) => {
            let mut keys = aggregate.group_expr.iter();
            keys.any(|key| !has_columns(key))
        }
        _ => false,
    }
}

/// Whether there may be several rows for a set of outer values.
fn is_many(plan: &LogicalPlan) -> bool {
    !is_one_row(plan) && !outer_columns(plan).is_empty()
}

fn is_one_row_of_each(plan: &LogicalPlan) -> bool {
    is_one_row(plan) && !outer_columns(plan).is_empty()
}

/// Whether there are groups of what outer values choose.
fn has_groups(plan: &LogicalPlan) -> bool {
    let is_asked = |node: &LogicalPlan| match node {
        LogicalPlan::Aggregate(aggregate) => !outer_columns(&aggregate.input).is_empty(),
        _ => false,
    };
    plan.exists(|node| Ok(is_asked(node)))
        .is_ok_and(|found| found)
}

/// Rows that exist do so without `LIMIT 1`.
fn without_first(plan: &LogicalPlan) -> &LogicalPlan {
    if let LogicalPlan::Limit(limit) = plan
        && matches!(limit.get_skip_type(), Ok(SkipType::Literal(0)))
        && !matches!(
            limit.get_fetch_type(),
            Ok(FetchType::Literal(Some(0)) | FetchType::UnsupportedExpr)
        )
    {
        return &limit.input;
    }
    plan
}

/// DataFusion does not look at a limit where rows are only to exist.
fn is_limited(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Limit(_) => true,
        LogicalPlan::Projection(projection) => is_limited(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => is_limited(&alias.input),
        _ => false,
    }
}

const FREE_OF_ORDER: [&str; 8] = [
    ONE_ROW, "avg", "bool_and", "bool_or", "count", "max", "min", "sum",
];

/// Whether what is computed over rows in an order differs by it, and says no order itself.
fn minds_order(call: &Expr) -> bool {
    match call.clone().unalias() {
        Expr::AggregateFunction(call) => {
            !FREE_OF_ORDER.contains(&call.func.name()) && call.params.order_by.is_empty()
        }
        Expr::WindowFunction(call) => call.params.order_by.is_empty(),
        _ => false,
    }
}

/// Whether there is an order of the rows, for a limit and for what minds.
fn is_sorted(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Sort(_) => true,
        LogicalPlan::Projection(projection) => is_sorted(&projection.input),
        LogicalPlan::Filter(filter) => is_sorted(&filter.input),
        LogicalPlan::SubqueryAlias(alias) => is_sorted(&alias.input),
        _ => false,
    }
}

/// The rows that make `x IN (SELECT …)` true, or that keep `x NOT IN (SELECT …)` from being true.
pub(crate) fn rows_of_value(asked: &InSubquery, schema: &DFSchema) -> PlanResult<LogicalPlan> {
    let outside = asked
        .expr
        .as_ref()
        .clone()
        .transform_up(|part| match part {
            Expr::Column(column) => {
                let field = schema.field_from_column(&column)?.clone();
                Ok(Transformed::yes(Expr::OuterReferenceColumn(field, column)))
            }
            part => Ok(Transformed::no(part)),
        })?;
    let inside = &asked.subquery.subquery;
    let equal = outside.data.eq(columns_of(inside).swap_remove(0));
    let condition = match asked.negated {
        true => equal.is_not_false(),
        false => equal,
    };
    LogicalPlanBuilder::from(inside.as_ref().clone())
        .filter(condition)?
        .build()
}

/// What the sub-query answers where it finds nothing: `count` has an answer to that. `None` if it does not aggregate into one
/// row, or asks outside above the aggregate.
fn of_no_rows(plan: &LogicalPlan) -> PlanResult<Option<LogicalPlan>> {
    let empty = match plan {
        LogicalPlan::Projection(projection) if own_outer(plan) == (vec![], vec![]) => {
            let Some(input) = of_no_rows(&projection.input)? else {
                return Ok(None);
            };
            plan.with_new_exprs(plan.expressions(), vec![input])?
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let Some(input) = of_no_rows(&alias.input)? else {
                return Ok(None);
            };
            plan.with_new_exprs(vec![], vec![input])?
        }
        LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() => {
            answer_of_nothing(aggregate)?
        }
        _ => return Ok(None),
    };
    Ok(Some(empty))
}

fn answer_of_nothing(aggregate: &Aggregate) -> PlanResult<LogicalPlan> {
    let input = without_outer(aggregate.input.as_ref().clone())?;
    let nothing = LogicalPlanBuilder::from(input)
        .filter(lit(false))?
        .build()?;
    let names = NamePreserver::new_for_projection();
    let calls = aggregate.aggr_expr.iter().map(|call| {
        let name = names.save(call);
        Ok(name.restore(call.clone().transform_up(nothing_for_outer)?.data))
    });
    let calls = calls.collect::<PlanResult<Vec<_>>>()?;
    let answer = Aggregate::try_new(Arc::new(nothing), vec![], calls)?;
    Ok(LogicalPlan::Aggregate(answer))
}

/// Nothing of it is computed, so its conditions need no values.
fn without_outer(plan: LogicalPlan) -> PlanResult<LogicalPlan> {
    let changed = plan.transform_up(|node| {
        let node = match node {
            LogicalPlan::Subquery(lateral) => Arc::unwrap_or_clone(lateral.subquery),
            node => node,
        };
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            let changed = expr.transform_up(nothing_for_outer)?;
            Ok(changed.update_data(|expr| name.restore(expr)))
        })
    })?;
    Ok(changed.data)
}

fn nothing_for_outer(expr: Expr) -> PlanResult<Transformed<Expr>> {
    let data_type = match &expr {
        Expr::OuterReferenceColumn(field, _) => field.data_type().clone(),
        Expr::ScalarSubquery(Subquery { subquery, .. }) if !outer_columns(subquery).is_empty() => {
            subquery.schema().field(0).data_type().clone()
        }
        Expr::Exists(Exists { subquery, .. }) | Expr::InSubquery(InSubquery { subquery, .. })
            if !outer_columns(&subquery.subquery).is_empty() =>
        {
            DataType::Boolean
        }
        _ => return Ok(Transformed::no(expr)),
    };
    Ok(Transformed::yes(lit(ScalarValue::try_from(&data_type)?)))
}
