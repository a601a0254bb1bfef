//! From a syntax tree to a plan that may be run: names, types, parameters, and nothing but reading.

use std::{
    collections::{BTreeMap, HashMap},
    ops::ControlFlow,
    sync::Arc,
};

use arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit, SchemaRef};
use datafusion::{
    catalog::TableFunctionArgs,
    common::{
        Column as ColumnRef, DFSchema, Result as PlanResult, ScalarValue, TableReference,
        tree_node::TreeNodeRecursion,
    },
    config::ConfigOptions,
    datasource::{ViewTable, cte_worktable::CteWorkTable, provider_as_source},
    execution::{SessionState, object_store::ObjectStoreUrl},
    logical_expr::{
        AggregateUDF, Expr, HigherOrderUDF, LogicalPlan, LogicalPlanBuilder, ScalarUDF,
        TableSource, WindowUDF, cast,
        planner::{ContextProvider, ExprPlanner, TypePlanner},
        simplify::SimplifyContext,
    },
    optimizer::simplify_expressions::ExprSimplifier,
    sql::{
        planner::{NullOrdering, ParserOptions, PlannerContext, SqlToRel},
        sqlparser::ast,
    },
};

use rapport_catalog_lake::LakeTable;
use rapport_lake::{Lake, Snapshot, TableName};
use rapport_udf_face::AggregateFunction;
use rapport_udf_postgres::Clock;

use crate::{
    Column, Error, Result, Warehouse,
    beside::unnest_beside,
    block::Block,
    collation, columns,
    computed_first::compute_subqueries_first,
    computed_once::Named,
    copies::number_copies,
    correlated::join_by_any_condition,
    dependencies,
    grouped_expressions::compute_grouped_first,
    grouped_keys, inner_values,
    literals::read_literals,
    model_functions,
    names::{self, Names},
    no_rows::allow_nulls,
    not_in::ask_the_rows_of_each,
    numbers::interval_function,
    operators, ordered_input,
    origin::origin,
    outer_joins::ask_before_joining,
    outer_references::note_types,
    parameter_places,
    pg_type::{PgType, array_oid},
    pins::Pins,
    privilege::check_marks,
    quantified,
    rephrase::rephrase,
    reword, row_values,
    rows_of_functions::{self, Form},
    same, series, spelled_times, stored_texts,
    styles::Styles,
    syntax,
    system::{System, is_postgres_s, reg_type},
    table_functions,
    temporary::Temporary,
    times,
    tree::bare,
    typed::{field_of, give_types},
    types::PostgresTypes,
    unions, using,
    view::View,
    whole_rows,
    widen::{widen, widen_query},
};

/// In whose name, with which settings a statement is planned.
#[derive(Clone)]
pub(crate) struct Scope {
    pub warehouse: Warehouse,
    pub role: String,
    /// Who asks; in a view, `role` is its owner.
    pub invoker: String,
    pub settings: Arc<BTreeMap<String, String>>,
    pub search_path: Vec<String>,
    pub time_zone: String,
    /// What the session wants written otherwise than plainly.
    pub styles: Styles,
    /// What the open block has done and not committed.
    pub block: Option<Arc<Block>>,
    /// The session's temporary tables, once it has made one.
    pub temporary: Option<Arc<Temporary>>,
    /// Names that stand for what others ask.
    pub others: Arc<Vec<View>>,
    /// What the statement has named by a WITH or computed before.
    pub named: Vec<Named>,
    /// Views inside views.
    pub depth: usize,
}

/// A query, planned and not yet optimised.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub plan: LogicalPlan,
    pub columns: Vec<Column>,
    /// Types of `$1`, `$2`, …
    pub params: Vec<u32>,
    pub param_types: Vec<DataType>,
}

const MAX_VIEW_DEPTH: usize = 32;

impl Scope {
    /// Functions, limits and the session's time zone; the clock of `now()` starts here.
    pub(crate) fn state(&self) -> SessionState {
        self.state_like(self.warehouse.template())
    }

    /// The same for a plan in which all functions have been found.
    pub(crate) fn state_to_run(&self) -> SessionState {
        self.state_like(self.warehouse.nameless())
    }

    fn state_like(&self, template: &SessionState) -> SessionState {
        let mut state = template.clone();
        let options = state.config_mut().options_mut();
        options.execution.time_zone = Some(self.time_zone.clone());
        let now = chrono::Utc::now().timestamp_micros();
        options.extensions.insert(Clock {
            transaction: self.block.as_ref().map_or(now, |block| block.began),
            statement: now,
            order: self.styles.order,
        });
        state.mark_start_execution();
        self.styles.guard(state)
    }

    /// The lake that holds a table.
    pub(crate) fn lake(&self, name: &TableName) -> &Lake {
        match &self.temporary {
            Some(temporary) if temporary.has(name) => temporary.lake(),
            _ => self.warehouse.lake(),
        }
    }

    /// Where plans find the files of a table.
    pub(crate) fn store_url(&self, name: &TableName) -> ObjectStoreUrl {
        match &self.temporary {
            Some(temporary) if temporary.has(name) => temporary.url().clone(),
            _ => self.warehouse.store_url(),
        }
    }

    /// A version as it is scanned.
    pub(crate) fn lake_table(&self, snapshot: Arc<Snapshot>) -> Arc<LakeTable> {
        match &self.temporary {
            Some(temporary) if temporary.has(snapshot.name()) => {
                Arc::new(LakeTable::new(snapshot, temporary.url().clone()))
            }
            _ => self.warehouse.lake_table(snapshot),
        }
    }

    pub(crate) fn time_zone(&self) -> String {
        self.time_zone.clone()
    }

    /// Plans a query. `declared` are the parameter types that the client knows.
    pub(crate) async fn plan_query(
        &self,
        pins: &Pins,
        query: &ast::Query,
        declared: &[Option<u32>],
    ) -> Result<Planned> {
        self.plan_query_over(pins, query, declared, &[]).await
    }

    /// As [`Self::plan_query`], with sources that the query names and nobody else can.
    pub(crate) async fn plan_query_over(
        &self,
        pins: &Pins,
        query: &ast::Query,
        declared: &[Option<u32>],
        private: &[(&str, Arc<dyn TableSource>)],
    ) -> Result<Planned> {
        self.plan_query_of(pins, query, declared, private, &[])
            .await
    }

    /// As [`Self::plan_query_over`], with sources whose columns are those of tables.
    pub(crate) async fn plan_query_of(
        &self,
        pins: &Pins,
        query: &ast::Query,
        declared: &[Option<u32>],
        private: &[(&str, Arc<dyn TableSource>)],
        tables: &[(&str, TableName)],
    ) -> Result<Planned> {
        let state = self.state();
        let mut query = query.clone();
        table_functions::spell_out(&mut query)?;
        rows_of_functions::spell_out(&mut query, |name, form| row_of(&state, name, form));
        let labels = columns::labels(&query);
        let mut statement = ast::Statement::Query(Box::new(query));
        columns::check_order(&statement)?;
        columns::name_all(&mut statement);
        reword::reword(&mut statement);
        model_functions::spell_out(self, pins, &mut statement).await?;
        syntax::spell_out(&mut statement)?;
        operators::spell_out(&mut statement);
        collation::leave_out(&mut statement)?;
        row_values::spell_out(&mut statement)?;
        quantified::spell_out(&mut statement);
        rephrase(&mut statement, |name| {
            state.aggregate_functions().contains_key(name)
        });
        let mut names = names::resolve(self, pins, &mut statement).await?;
        names.add_named(&self.named);
        names.add(private);
        names.call(tables);
        let (plan, params) = with_rows(&state, &mut names, statement, declared)?;
        check_reads_only(&plan)?;
        let origins: Vec<_> = (0..plan.schema().fields().len())
            .map(|index| origin(&plan, index, &names))
            .collect();
        let (plan, mut columns) = presentable(plan, labels, names.system())?;
        for (column, origin) in columns.iter_mut().zip(origins) {
            if let Some((table, number)) = origin {
                column.table_oid = self.warehouse.oid(&table).await?;
                column.number = number;
            }
        }
        Ok(Planned {
            plan,
            columns,
            params: params.oids,
            param_types: params.types,
        })
    }

    /// The plan of an INSERT: the rows, in the target's columns and presented types. Its target is one of the private
    /// sources.
    pub(crate) async fn plan_insert(
        &self,
        pins: &Pins,
        insert: &ast::Insert,
        declared: &[Option<u32>],
        private: &[(&str, Arc<dyn TableSource>)],
    ) -> Result<Planned> {
        let state = self.state();
        let mut statement = ast::Statement::Insert(insert.clone());
        table_functions::spell_out(&mut statement)?;
        rows_of_functions::spell_out(&mut statement, |name, form| row_of(&state, name, form));
        cast_parameters(&mut statement, declared);
        let inner = inner_values::planned(self, pins, &mut statement).await?;
        columns::name_all(&mut statement);
        reword::reword(&mut statement);
        model_functions::spell_out(self, pins, &mut statement).await?;
        syntax::spell_out(&mut statement)?;
        operators::spell_out(&mut statement);
        collation::leave_out(&mut statement)?;
        row_values::spell_out(&mut statement)?;
        quantified::spell_out(&mut statement);
        rephrase(&mut statement, |name| {
            state.aggregate_functions().contains_key(name)
        });
        let mut names = names::resolve(self, pins, &mut statement).await?;
        names.add_named(&self.named);
        names.add(private);
        for (name, values) in inner {
            names.add(&[(&name, values)]);
        }
        let (plan, params) = with_rows(&state, &mut names, statement, declared)?;
        let LogicalPlan::Dml(dml) = plan else {
            return Err(Error::not_supported("this form of INSERT", ""));
        };
        let plan = Arc::unwrap_or_clone(dml.input);
        check_reads_only(&plan)?;
        Ok(Planned {
            plan,
            columns: vec![],
            params: params.oids,
            param_types: params.types,
        })
    }

    /// A view's own plan, under its own search path and with its owner's rights.
    pub(crate) async fn plan_view(&self, pins: &Pins, view: &View) -> Result<LogicalPlan> {
        if self.depth >= MAX_VIEW_DEPTH {
            let message = format!(
                "infinite recursion detected in view \"{}\"",
                view.name.table
            );
            return Err(Error::InvalidParameter {
                message,
                hint: None,
            });
        }
        let scope = Scope {
            role: self.warehouse.owner(view).await?,
            ..self.within(view)
        };
        scope.plan_text(pins, view).await
    }

    /// What another role asks, in its name.
    pub(crate) async fn plan_other(&self, pins: &Pins, other: &View) -> Result<LogicalPlan> {
        let scope = Scope {
            role: other.owner.clone(),
            invoker: other.owner.clone(),
            temporary: None,
            ..self.within(other)
        };
        scope.plan_text(pins, other).await
    }

    fn within(&self, view: &View) -> Self {
        Self {
            search_path: view.search_path.clone(),
            others: Arc::default(),
            named: vec![],
            depth: self.depth + 1,
            ..self.clone()
        }
    }

    async fn plan_text(&self, pins: &Pins, view: &View) -> Result<LogicalPlan> {
        let statements = crate::parse::parse(&view.query, self.warehouse.limits())?;
        let query = match statements.into_iter().next().map(|statement| statement.ast) {
            Some(ast::Statement::Query(query)) => query,
            _ => return Err(Error::not_supported("a view that is not a query", "")),
        };
        let planned = self.plan_query(pins, &query, &[]).await?;
        let places = view.places(&query, &planned.columns)?;
        let renamed = places.into_iter().enumerate().map(|(index, place)| {
            let names = [view.columns.get(index), view.answers.get(index)];
            let name = names.into_iter().flatten().next();
            let name = name.unwrap_or(&planned.columns[place].name);
            Expr::Column(ColumnRef::from(
                planned.plan.schema().qualified_field(place),
            ))
            .alias(name)
        });
        let exprs: Vec<Expr> = renamed.collect();
        Ok(LogicalPlanBuilder::from(planned.plan)
            .project(exprs)?
            .build()?)
    }
}

struct Parameters {
    oids: Vec<u32>,
    types: Vec<DataType>,
}

/// The columns of the row, or of the rows, that a function of ours answers.
fn row_of(state: &SessionState, name: &str, form: Form) -> Option<Vec<String>> {
    let function = state.aggregate_functions().get(name)?;
    if form == Form::Row
        && let Some(columns) = rapport_udf_journey::columns(function)
    {
        return Some(columns.iter().map(|column| column.name().clone()).collect());
    }
    let function = function.inner().downcast_ref::<AggregateFunction>()?;
    let columns = match form {
        Form::Row => function.fields(),
        Form::ArrayOfRows => function.fields_of_rows(),
    };
    let names = columns.iter().map(|(name, _)| (*name).to_owned());
    let names: Vec<String> = names.collect();
    (!names.is_empty()).then_some(names)
}

/// Plans again if tables share columns that are of two types in them: what they are together is only known then.
fn with_rows(
    state: &SessionState,
    names: &mut Names,
    mut statement: ast::Statement,
    declared: &[Option<u32>],
) -> Result<(LogicalPlan, Parameters)> {
    let before = using::is_in(&statement).then(|| statement.clone());
    spell_out(state, names, &mut statement)?;
    let planned = with_parameters(state, names, &statement, declared)?;
    let Some(mut statement) = before else {
        return Ok(planned);
    };
    let merged = using::of_two_types(&planned.0)?;
    if merged.is_empty() {
        return Ok(planned);
    }
    names.merge(merged);
    spell_out(state, names, &mut statement)?;
    with_parameters(state, names, &statement, declared)
}

/// What stands for the columns of tables that are known now.
fn spell_out(state: &SessionState, names: &Names, statement: &mut ast::Statement) -> Result<()> {
    whole_rows::spell_out(statement, names)?;
    grouped_keys::spell_out(statement, names, |name| {
        state.aggregate_functions().contains_key(name)
    });
    Ok(())
}

/// Plans twice if a parameter's type has to be inferred: once to find it, once with it.
fn with_parameters(
    state: &SessionState,
    names: &Names,
    statement: &ast::Statement,
    declared: &[Option<u32>],
) -> Result<(LogicalPlan, Parameters)> {
    let declared = &with_casts(statement, declared);
    // What a column is given is of the column's type.
    let has_rows = matches!(statement, ast::Statement::Insert(_));
    let known: Vec<Option<FieldRef>> = declared
        .iter()
        .map(|oid| {
            let data_type = PgType::of_parameter((*oid)?)?;
            Some(field_of_parameter((*oid)?, data_type, has_rows))
        })
        .collect();
    let plan = to_logical(state, names, statement.clone(), known.clone())?;
    let mut compared = parameter_places::of_plan(&plan)?;
    compared.extend(quantified::parameters(&plan)?);
    if !compared.is_empty() {
        let told = with_compared(declared, compared)?;
        if told != *declared {
            return with_parameters(state, names, statement, &told);
        }
    }
    let found = plan.get_parameter_fields()?;
    if found.is_empty() && known.is_empty() {
        return Ok((
            plan,
            Parameters {
                oids: vec![],
                types: vec![],
            },
        ));
    }

    let mut count = declared.len();
    for id in found.keys() {
        let index = parameter_index(id)?;
        count = count.max(index);
    }
    let mut fields = vec![];
    let mut oids = vec![];
    for index in 0..count {
        let declared_oid = declared
            .get(index)
            .copied()
            .flatten()
            .filter(|oid| PgType::of_parameter(*oid).is_some());
        let inferred = found.get(&format!("${}", index + 1)).cloned().flatten();
        let field = match (known.get(index).cloned().flatten(), inferred) {
            (Some(field), _) => field,
            (None, Some(field)) if field.data_type() != &DataType::Null => field,
            _ => Arc::new(Field::new("", DataType::Utf8View, true)),
        };
        let oid = declared_oid.unwrap_or_else(|| columns::column_type(&field).oid);
        oids.push(oid);
        let data_type = field.data_type().clone();
        fields.push(field_of_parameter(oid, data_type, has_rows));
    }
    let types = fields
        .iter()
        .map(|field| field.data_type().clone())
        .collect();
    let plan = to_logical(
        state,
        names,
        statement.clone(),
        fields.into_iter().map(Some).collect(),
    )?;
    Ok((plan, Parameters { oids, types }))
}

/// What is a text to Arrow, only its field tells.
fn field_of_parameter(oid: u32, data_type: DataType, has_rows: bool) -> FieldRef {
    let name = match oid {
        columns::oid::JSON => "json",
        columns::oid::JSONB => "jsonb",
        columns::oid::UUID => "uuid",
        columns::oid::BPCHAR if !has_rows => "bpchar",
        oid if oid == array_oid(columns::oid::BPCHAR) && !has_rows => "bpchar[]",
        _ => return Arc::new(Field::new("", data_type, true)),
    };
    field_of(data_type, name)
}

/// DataFusion forgets the types of an INSERT's parameters but those of its VALUES.
fn cast_parameters(statement: &mut ast::Statement, declared: &[Option<u32>]) {
    struct Casts<'a>(&'a [Option<u32>], usize);
    impl ast::VisitorMut for Casts<'_> {
        type Break = ();

        fn pre_visit_query(&mut self, _query: &mut ast::Query) -> ControlFlow<()> {
            self.1 += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _query: &mut ast::Query) -> ControlFlow<()> {
            self.1 -= 1;
            ControlFlow::Continue(())
        }

        fn post_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<()> {
            let oid = match &*expr {
                ast::Expr::Value(value) => match &value.value {
                    ast::Value::Placeholder(id) => parameter_index(id)
                        .ok()
                        .and_then(|index| *self.0.get(index - 1)?),
                    _ => None,
                },
                _ => None,
            };
            // Texts are what a parameter is anyway, and arrays are told otherwise.
            let data_type = oid.and_then(|oid| {
                use columns::oid as o;
                let (without, with) = (ast::TimezoneInfo::None, ast::TimezoneInfo::WithTimeZone);
                Some(match oid {
                    o::INT2 => ast::DataType::SmallInt(None),
                    o::INT4 => ast::DataType::Integer(None),
                    o::INT8 => ast::DataType::BigInt(None),
                    o::FLOAT4 => ast::DataType::Real,
                    o::FLOAT8 => ast::DataType::DoublePrecision,
                    o::BOOL => ast::DataType::Boolean,
                    o::DATE => ast::DataType::Date,
                    // What is given to a column itself is of the column's digits.
                    o::NUMERIC if self.1 > 1 => {
                        ast::DataType::Numeric(ast::ExactNumberInfo::PrecisionAndScale(38, 10))
                    }
                    o::TIMESTAMP if self.1 > 1 => ast::DataType::Timestamp(None, without),
                    o::TIMESTAMPTZ if self.1 > 1 => ast::DataType::Timestamp(None, with),
                    o::UUID if self.1 > 1 => ast::DataType::Uuid,
                    _ => return None,
                })
            });
            if let Some(data_type) = data_type {
                *expr = ast::Expr::Cast {
                    kind: ast::CastKind::Cast,
                    expr: Box::new(expr.clone()),
                    data_type,
                    array: false,
                    format: None,
                };
            }
            ControlFlow::Continue(())
        }
    }
    let _ = ast::VisitMut::visit(statement, &mut Casts(declared, 0));
}

/// What is compared with an array or its elements is of their type.
fn with_compared(
    declared: &[Option<u32>],
    compared: HashMap<String, u32>,
) -> Result<Vec<Option<u32>>> {
    let mut types = declared.to_vec();
    for (id, oid) in compared {
        let index = parameter_index(&id)?;
        if types.len() < index {
            types.resize(index, None);
        }
        types[index - 1].get_or_insert(oid);
    }
    Ok(types)
}

/// `$1::date` is a date to PostgreSQL, whatever DataFusion makes of it.
fn with_casts(statement: &ast::Statement, declared: &[Option<u32>]) -> Vec<Option<u32>> {
    let mut types = declared.to_vec();
    let _ = ast::visit_expressions(statement, |expr| {
        if let ast::Expr::Cast {
            expr, data_type, ..
        } = expr
            && let ast::Expr::Value(value) = bare(expr)
            && let ast::Value::Placeholder(id) = &value.value
            && let Ok(index) = parameter_index(id)
            && let Ok(pg_type) = PgType::parse(&data_type.to_string().to_lowercase())
        {
            if types.len() < index {
                types.resize(index, None);
            }
            types[index - 1].get_or_insert(pg_type.oid);
        }
        ControlFlow::<()>::Continue(())
    });
    let mut limits = Limits(&mut types);
    let _ = ast::Visit::visit(statement, &mut limits);
    parameter_places::of_statement(statement, &mut types);
    types
}

/// `LIMIT $1` and `OFFSET $2` are bigint.
struct Limits<'a>(&'a mut Vec<Option<u32>>);

impl Limits<'_> {
    fn is_bigint(&mut self, expr: &ast::Expr) {
        if let ast::Expr::Value(value) = expr
            && let ast::Value::Placeholder(id) = &value.value
            && let Ok(index) = parameter_index(id)
        {
            if self.0.len() < index {
                self.0.resize(index, None);
            }
            self.0[index - 1].get_or_insert(columns::oid::INT8);
        }
    }
}

impl ast::Visitor for Limits<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &ast::Query) -> ControlFlow<()> {
        if let Some(ast::LimitClause::LimitOffset { limit, offset, .. }) = &query.limit_clause {
            for expr in limit
                .iter()
                .chain(offset.as_ref().map(|offset| &offset.value))
            {
                self.is_bigint(expr);
            }
        }
        if let Some(rows) = query
            .fetch
            .as_ref()
            .and_then(|fetch| fetch.quantity.as_ref())
        {
            self.is_bigint(rows);
        }
        ControlFlow::Continue(())
    }
}

pub(crate) fn parameter_index(id: &str) -> Result<usize> {
    let index = id.strip_prefix('$').and_then(|number| number.parse().ok());
    index
        .filter(|index| (1..=65_535).contains(index))
        .ok_or_else(|| Error::Syntax {
            message: format!("there is no parameter {id}"),
            position: None,
        })
}

fn to_logical(
    state: &SessionState,
    names: &Names,
    statement: ast::Statement,
    parameters: Vec<Option<FieldRef>>,
) -> Result<LogicalPlan> {
    let mut statement = statement;
    spelled_times::spell_out(&mut statement)?;
    let options = options(state, &statement);
    if names.has_marks() {
        let context = Context {
            state,
            options: options.clone(),
            names,
            with_marks: true,
        };
        let plan = plan_told_apart(&context, statement.clone(), parameters.clone())?;
        check_marks(&plan)?;
    }
    let context = Context {
        state,
        options,
        names,
        with_marks: false,
    };
    let is_query = matches!(statement, ast::Statement::Query(_));
    let planned = match is_query {
        true => plan_told_apart(&context, statement, parameters)?,
        false => {
            let planned = plan_told_apart(&context, statement, parameters.clone())?;
            quantified::tell_parameters(planned, &parameters)?
        }
    };
    check_sort_keys(&planned)?;
    let planned = match names.system() {
        Some(system) => system.spell_out(planned)?,
        None => planned,
    };
    let planned = compute_grouped_first(stored_texts::spell_out(planned)?)?;
    let planned = unions::undeclare(note_types(unions::match_types(planned)?)?)?;
    let planned = ask_the_rows_of_each(ask_before_joining(planned)?)?;
    let planned = give_types(unnest_beside(planned)?, state.scalar_functions())?;
    let planned = number_copies(compute_subqueries_first(planned)?)?;
    let planned = join_by_any_condition(planned)?;
    let planned = times::settle(planned, zone_of(state))?;
    let planned = match is_query {
        true => widen_query(planned)?,
        false => widen(planned)?,
    };
    let planned = unions::undeclare(note_types(planned)?)?;
    let planned = match state.scalar_functions().get(rapport_udf_postgres::PERHAPS) {
        Some(perhaps) => allow_nulls(planned, perhaps)?,
        None => planned,
    };
    Ok(dependencies::forget(unions::without_tables(planned)?)?)
}

/// Sub-queries are not sorted in vain.
fn options(state: &SessionState, statement: &ast::Statement) -> Arc<ConfigOptions> {
    let mut options = state.config_options().clone();
    if ordered_input::shows_rows_of_a_query(statement) {
        let sql_parser = &mut Arc::make_mut(&mut options).sql_parser;
        sql_parser.enable_subquery_sort_elimination = false;
    }
    options
}

fn zone_of(state: &SessionState) -> &str {
    let zone = state.config_options().execution.time_zone.as_deref();
    zone.unwrap_or("UTC")
}

/// 42703 for one that is no column: DataFusion notices only where it sorts by it.
fn check_sort_keys(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Sort(sort) = node {
            let schema = sort.input.schema();
            for key in &sort.expr {
                for column in key.expr.column_refs() {
                    schema.index_of_column(column)?;
                }
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// Names in an aggregate leave casts out: where they are needed, the statement is planned again with names for them.
fn plan_told_apart(
    context: &Context,
    mut statement: ast::Statement,
    parameters: Vec<Option<FieldRef>>,
) -> Result<LogicalPlan> {
    let planned = plan_once(context, statement.clone(), parameters.clone());
    match planned.map_err(Error::from) {
        Err(Error::DuplicateColumn { .. }) => {
            reword::name_casts(&mut statement);
            Ok(plan_once(context, statement, parameters)?)
        }
        planned => planned,
    }
}

fn plan_once(
    context: &Context,
    mut statement: ast::Statement,
    parameters: Vec<Option<FieldRef>>,
) -> PlanResult<LogicalPlan> {
    let options = ParserOptions::new()
        .with_parse_float_as_decimal(true)
        .with_enable_ident_normalization(true)
        .with_support_varchar_with_length(true)
        .with_map_string_types_to_utf8view(true)
        .with_default_null_ordering(NullOrdering::NullsMax);
    let mut planner = PlannerContext::new().with_prepare_param_data_types(parameters);
    dependencies::mark_keys(&mut statement);
    let plan = SqlToRel::new_with_options(context, options)
        .sql_statement_to_plan_with_context(statement, &mut planner)?;
    dependencies::only_keys(plan)
}

/// Only nodes that read. Nothing else can come out of the statements that are planned here, so this is the second lock
/// on the door.
pub(crate) fn check_reads_only(plan: &LogicalPlan) -> Result<()> {
    let mut refused = None;
    plan.apply_with_subqueries(|node| {
        let reads = matches!(
            node,
            LogicalPlan::Projection(_)
                | LogicalPlan::Filter(_)
                | LogicalPlan::Window(_)
                | LogicalPlan::Aggregate(_)
                | LogicalPlan::Sort(_)
                | LogicalPlan::Join(_)
                | LogicalPlan::Repartition(_)
                | LogicalPlan::Union(_)
                | LogicalPlan::TableScan(_)
                | LogicalPlan::EmptyRelation(_)
                | LogicalPlan::Subquery(_)
                | LogicalPlan::SubqueryAlias(_)
                | LogicalPlan::Limit(_)
                | LogicalPlan::Values(_)
                | LogicalPlan::Distinct(_)
                | LogicalPlan::Unnest(_)
                | LogicalPlan::RecursiveQuery(_)
        );
        if reads {
            Ok(TreeNodeRecursion::Continue)
        } else {
            refused = Some(node.display().to_string());
            Ok(TreeNodeRecursion::Stop)
        }
    })?;
    match refused {
        Some(node) => Err(Error::not_supported(
            format!("a query may not contain {node}"),
            "",
        )),
        None => Ok(()),
    }
}

/// Casts what no PostgreSQL type is like to what one is, and names the columns.
fn presentable(
    plan: LogicalPlan,
    labels: columns::Labels,
    system: Option<&System>,
) -> Result<(LogicalPlan, Vec<Column>)> {
    let schema = plan.schema().clone();
    let needs_cast = schema
        .fields()
        .iter()
        .any(|field| presented_as(field.data_type()).is_some() || reg_type(field).is_some());
    let plan = if needs_cast {
        let exprs: Vec<Expr> = schema
            .iter()
            .map(|(qualifier, field)| {
                let column = ColumnRef::from((qualifier, field));
                if let (Some(system), Some(from)) = (system, reg_type(field)) {
                    let shown = system.shown_column(from, column);
                    return shown.alias_qualified(qualifier.cloned(), field.name());
                }
                let column = Expr::Column(column);
                match presented_as(field.data_type()) {
                    Some(DataType::Interval(_))
                        if matches!(field.data_type(), DataType::Duration(_)) =>
                    {
                        interval_function()
                            .call(vec![column])
                            .alias_qualified(qualifier.cloned(), field.name())
                    }
                    Some(data_type) => {
                        cast(column, data_type).alias_qualified(qualifier.cloned(), field.name())
                    }
                    None => column,
                }
            })
            .collect();
        LogicalPlanBuilder::from(plan).project(exprs)?.build()?
    } else {
        plan
    };
    let names = labels.fit(plan.schema());
    let fields = plan.schema().fields().iter();
    let columns = names.into_iter().zip(fields).map(|(name, field)| {
        let pg_type = columns::column_type(field);
        Column {
            name,
            pg_type: pg_type.oid,
            typmod: pg_type.typmod,
            least_scale: columns::least_scale(field),
            table_oid: 0,
            number: 0,
            data_type: field.data_type().clone(),
        }
    });
    let columns = columns.collect();
    Ok((plan, columns))
}

fn presented_as(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::UInt64 | DataType::UInt32 => Some(DataType::Int64),
        DataType::UInt16 => Some(DataType::Int32),
        DataType::UInt8 | DataType::Int8 => Some(DataType::Int16),
        DataType::Float16 => Some(DataType::Float32),
        DataType::Null => Some(DataType::Utf8View),
        DataType::Date64 => Some(DataType::Date32),
        DataType::Duration(_) => Some(DataType::Interval(IntervalUnit::MonthDayNano)),
        DataType::Interval(IntervalUnit::DayTime | IntervalUnit::YearMonth) => {
            Some(DataType::Interval(IntervalUnit::MonthDayNano))
        }
        DataType::Dictionary(_, value) => Some(value.as_ref().clone()),
        _ => None,
    }
}

/// A literal that PostgreSQL takes for an integer.
fn is_int4_literal(arg: &Expr) -> bool {
    match arg {
        Expr::Literal(ScalarValue::Int64(Some(value)), _) => i32::try_from(*value).is_ok(),
        Expr::Negative(arg) => is_int4_literal(arg),
        _ => false,
    }
}

/// `generate_series(1, 9)` is a series of integers; DataFusion's is of bigints.
fn as_int4(name: &str, source: Arc<dyn TableSource>) -> PlanResult<Arc<dyn TableSource>> {
    let columns: Vec<ColumnRef> = LogicalPlanBuilder::scan(name, source.clone(), None)?
        .schema()
        .columns();
    let exprs = columns.into_iter().map(|column| {
        let name = column.name.clone();
        cast(Expr::Column(column), DataType::Int32).alias(name)
    });
    let exprs: Vec<Expr> = exprs.collect();
    let plan = LogicalPlanBuilder::scan(name, source, None)?
        .project(exprs)?
        .build()?;
    Ok(provider_as_source(Arc::new(ViewTable::new(plan, None))))
}

/// What the SQL planner may know of the world: the resolved names and the registered functions.
struct Context<'a> {
    state: &'a SessionState,
    options: Arc<ConfigOptions>,
    names: &'a Names,
    /// On what may not be read.
    with_marks: bool,
}

impl ContextProvider for Context<'_> {
    fn get_table_source(&self, name: TableReference) -> PlanResult<Arc<dyn TableSource>> {
        Ok(match self.with_marks {
            true => self.names.marked_source(&name)?,
            false => self.names.source(&name)?,
        })
    }

    fn get_table_function_source(
        &self,
        name: &str,
        args: Vec<Expr>,
    ) -> PlanResult<Arc<dyn TableSource>> {
        let name = name.to_lowercase();
        let function = self
            .state
            .table_functions()
            .get(&name)
            .cloned()
            .ok_or_else(|| Error::UndefinedFunction {
                message: format!("function {name} does not exist"),
                hint: None,
            })?;
        let is_int4 = args.iter().all(is_int4_literal);
        let context = SimplifyContext::builder()
            .with_config_options(Arc::clone(self.state.config_options()))
            .with_query_execution_start_time(
                self.state.execution_props().query_execution_start_time,
            )
            .build();
        let simplifier = ExprSimplifier::new(context);
        let nothing = DFSchema::empty();
        let args = args
            .into_iter()
            .map(|arg| {
                let arg = read_literals(arg, self.state.config_options())?.data;
                simplifier
                    .coerce(arg, &nothing)
                    .and_then(|arg| simplifier.simplify(arg))
            })
            .collect::<PlanResult<Vec<_>>>()?;
        if name == "generate_series"
            && let Some(series) = series::of_times(&args, self.state.config_options())
        {
            return Ok(provider_as_source(series?));
        }
        let args = TableFunctionArgs::new(&args, self.state);
        let rows = function.create_table_provider_with_args(args)?;
        match is_int4 {
            true => as_int4(&name, provider_as_source(rows)),
            false => Ok(provider_as_source(rows)),
        }
    }

    fn create_cte_work_table(
        &self,
        name: &str,
        schema: SchemaRef,
    ) -> PlanResult<Arc<dyn TableSource>> {
        Ok(provider_as_source(Arc::new(CteWorkTable::new(
            name, schema,
        ))))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        self.state.expr_planners()
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::new(PostgresTypes))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        if name.starts_with(same::PREFIX) {
            return Some(same::same(name));
        }
        if name.starts_with(quantified::PREFIX) {
            return quantified::function(name);
        }
        let of_system = || self.names.system()?.function(name);
        if is_postgres_s(name)
            && let Some(function) = of_system()
        {
            return Some(function);
        }
        let known = self.state.scalar_functions().get(name).cloned();
        known.or_else(|| {
            let is_other = self.state.aggregate_functions().contains_key(name)
                || self.state.window_functions().contains_key(name);
            if is_other { None } else { of_system() }
        })
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.state.higher_order_functions().get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.state.aggregate_functions().get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.state.window_functions().get(name).cloned()
    }

    fn get_variable_type(&self, _names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.options
    }

    fn udf_names(&self) -> Vec<String> {
        self.state.scalar_functions().keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        self.state
            .higher_order_functions()
            .keys()
            .cloned()
            .collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.state.aggregate_functions().keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.state.window_functions().keys().cloned().collect()
    }
}
