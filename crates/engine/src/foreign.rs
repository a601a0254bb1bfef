//! What the parser reads for other databases, and PostgreSQL does not; and what only PostgreSQL can tell to be ambiguous.

use std::{collections::HashSet, ops::ControlFlow};

use datafusion::sql::sqlparser::ast::{
    self, ArrayElemTypeDef, BinaryOperator, CastKind, DataType, DuplicateTreatment, Expr,
    FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, JoinOperator, OrderByKind, Query,
    Select, SelectItem, SetExpr, SetQuantifier, TableWithJoins, Value, Visit, Visitor,
};

use crate::{
    Error, Statement,
    columns::{Label, label},
    names::folded,
    syntax::plain_name,
};

/// 42601 for what is none of PostgreSQL's. It is for PostgreSQL to say what is wrong.
pub fn foreign(statement: &Statement) -> Option<Error> {
    let mut found = Foreign { arrays: 0 };
    let change = match &statement.ast {
        ast::Statement::Delete(delete) if !delete.order_by.is_empty() => Some("order"),
        ast::Statement::Delete(delete) if delete.limit.is_some() => Some("limit"),
        ast::Statement::Update(update) if update.or.is_some() => Some("or"),
        ast::Statement::Update(update) if !update.order_by.is_empty() => Some("order"),
        ast::Statement::Update(update) if update.limit.is_some() => Some("limit"),
        ast::Statement::Insert(insert) if insert.or.is_some() => Some("or"),
        _ => None,
    };
    let word = change
        .or_else(|| statement.ast.visit(&mut found).break_value())
        .or_else(|| statement.with.visit(&mut found).break_value())?;
    Some(Error::Syntax {
        message: format!("syntax error at or near \"{word}\""),
        position: None,
    })
}

/// Whether it may name a column of which there are two, or another database.
pub fn is_doubtful(statement: &Statement) -> bool {
    let mut doubts = Doubts { depth: 0 };
    statement.ast.visit(&mut doubts).is_break() || statement.with.visit(&mut doubts).is_break()
}

/// Answers what stands where PostgreSQL knows nothing like it.
struct Foreign {
    /// How many arrays are open.
    arrays: usize,
}

impl Visitor for Foreign {
    type Break = &'static str;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<&'static str> {
        if matches!(*query.body, SetExpr::SetOperation { .. }) && is_sorted_by_expression(query) {
            return ControlFlow::Break("order");
        }
        let mut bodies = vec![query.body.as_ref()];
        while let Some(body) = bodies.pop() {
            if let SetExpr::SetOperation {
                left,
                right,
                set_quantifier,
                ..
            } = body
            {
                use SetQuantifier as Q;
                if matches!(set_quantifier, Q::ByName | Q::AllByName | Q::DistinctByName) {
                    return ControlFlow::Break("by");
                }
                bodies.extend([left.as_ref(), right.as_ref()]);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<&'static str> {
        let of_select = if matches!(select.group_by, GroupByExpr::All(_)) {
            Some("all")
        } else if having_names_output(select) {
            Some("having")
        } else {
            select.from.iter().find_map(join)
        };
        of_select.map_or(ControlFlow::Continue(()), ControlFlow::Break)
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<&'static str> {
        let is_inner = self.arrays > 0;
        self.arrays += usize::from(matches!(expr, Expr::Array(_)));
        match expr {
            // `ARRAY[[1, 2]]`
            Expr::Array(array) if !array.named && !is_inner => ControlFlow::Break("["),
            expr => expression(expr).map_or(ControlFlow::Continue(()), ControlFlow::Break),
        }
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<&'static str> {
        self.arrays -= usize::from(matches!(expr, Expr::Array(_)));
        ControlFlow::Continue(())
    }
}

/// What UNION, INTERSECT and EXCEPT answer is sorted by names and numbers of its columns, and by nothing else.
fn is_sorted_by_expression(query: &Query) -> bool {
    let order = query.order_by.as_ref().map(|order| &order.kind);
    let Some(OrderByKind::Expressions(keys)) = order else {
        return false;
    };
    keys.iter().any(|key| {
        let mut key = &key.expr;
        while let Expr::Nested(inner) = key {
            key = inner;
        }
        !matches!(
            key,
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_)
        )
    })
}

fn expression(expr: &Expr) -> Option<&'static str> {
    match expr {
        Expr::Cast {
            kind: CastKind::TryCast | CastKind::SafeCast,
            ..
        } => Some("as"),
        Expr::Cast { data_type, .. } => type_name(data_type),
        Expr::BinaryOp { op, .. } => match op {
            BinaryOperator::Spaceship => Some("<=>"),
            BinaryOperator::Custom(operator) if operator == "==" => Some("=="),
            _ => None,
        },
        Expr::Substring {
            special: false,
            shorthand: true,
            ..
        } => Some("from"),
        // A number to some, a string of bits to PostgreSQL.
        Expr::Value(value) if matches!(value.value, Value::HexStringLiteral(_)) => Some("x"),
        Expr::Function(function) => call(function),
        _ => None,
    }
}

fn type_name(data_type: &DataType) -> Option<&'static str> {
    use DataType as T;
    match data_type {
        T::String(_) => Some("string"),
        T::TinyInt(_) => Some("tinyint"),
        T::Double(_) => Some("double"),
        T::Nvarchar(_) => Some("nvarchar"),
        T::TimestampNtz(_) => Some("timestamp_ntz"),
        T::IntUnsigned(_) | T::IntegerUnsigned(_) | T::BigIntUnsigned(_) => Some("unsigned"),
        T::SmallIntUnsigned(_) | T::TinyIntUnsigned(_) => Some("unsigned"),
        T::Struct(..) | T::Map(..) => Some("<"),
        T::Array(ArrayElemTypeDef::AngleBracket(_) | ArrayElemTypeDef::Parenthesis(_)) => {
            Some("array")
        }
        T::Array(ArrayElemTypeDef::SquareBracket(element, _)) => type_name(element),
        _ => None,
    }
}

fn call(function: &ast::Function) -> Option<&'static str> {
    let name = plain_name(&function.name)?;
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let of_all_rows = |arg: &FunctionArg| {
        matches!(
            arg,
            FunctionArg::Unnamed(
                FunctionArgExpr::Wildcard | FunctionArgExpr::WildcardWithOptions(_)
            )
        )
    };
    let is_distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
    match name.as_str() {
        "current_timestamp" | "current_date" | "current_time" | "localtime" | "localtimestamp"
            if list.args.is_empty() =>
        {
            Some(")")
        }
        "position" => Some(","),
        "first_value" | "last_value" | "nth_value" if function.over.is_none() => Some("("),
        "percentile_cont" | "percentile_disc" if function.within_group.is_empty() => Some("("),
        _ if is_distinct && list.args.iter().any(of_all_rows) => Some("*"),
        _ => None,
    }
}

fn join(tables: &TableWithJoins) -> Option<&'static str> {
    use JoinOperator as J;
    tables
        .joins
        .iter()
        .find_map(|join| match join.join_operator {
            J::Semi(_) | J::LeftSemi(_) | J::RightSemi(_) => Some("semi"),
            J::Anti(_) | J::LeftAnti(_) | J::RightAnti(_) => Some("anti"),
            J::CrossApply | J::OuterApply => Some("apply"),
            J::AsOf { .. } => Some("asof"),
            J::StraightJoin(_) => Some("straight_join"),
            _ => None,
        })
}

/// HAVING sees the columns of the tables, DataFusion those of the answer before them, but for what aggregates take.
fn having_names_output(select: &Select) -> bool {
    struct Named<'a>(HashSet<String>, usize, &'a mut bool);
    impl Visitor for Named<'_> {
        type Break = ();

        fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
            self.1 += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
            self.1 -= 1;
            ControlFlow::Continue(())
        }

        fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            self.1 -= usize::from(matches!(expr, Expr::Function(_)));
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            self.1 += usize::from(matches!(expr, Expr::Function(_)));
            if let Expr::Identifier(name) = expr
                && self.1 == 0
                && self.0.contains(&folded(name))
            {
                *self.2 = true;
            }
            ControlFlow::Continue(())
        }
    }
    let outputs = select.projection.iter().filter_map(|item| match item {
        SelectItem::ExprWithAlias { expr, alias } => {
            let alias = folded(alias);
            let is_own = match expr {
                Expr::Identifier(column) => folded(column) == alias,
                Expr::CompoundIdentifier(parts) => {
                    parts.last().is_some_and(|column| folded(column) == alias)
                }
                _ => false,
            };
            (!is_own).then_some(alias)
        }
        _ => None,
    });
    let mut is_named = false;
    if let Some(having) = &select.having {
        let _ = having.visit(&mut Named(outputs.collect(), 0, &mut is_named));
    }
    is_named
}

struct Doubts {
    /// How many queries are open.
    depth: usize,
}

impl Visitor for Doubts {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.depth += 1;
        let is_inner = self.depth > 1 || query.with.is_some();
        match is_inner && repeats_name(query) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ast::ObjectName) -> ControlFlow<()> {
        match relation.0.len() {
            3 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}

/// Whether two columns that a query answers have one name, or `*` may give one again.
fn repeats_name(query: &Query) -> bool {
    let Some(select) = crate::columns::first_select(query) else {
        return false;
    };
    let mut seen = HashSet::new();
    let mut gives_all = false;
    for item in &select.projection {
        match label(item) {
            Label::One(name) if !seen.insert(name.clone()) => return true,
            Label::One(_) => {}
            Label::Many => gives_all = true,
        }
    }
    let n_tables: usize = select.from.iter().map(|table| 1 + table.joins.len()).sum();
    gives_all && (select.projection.len() > 1 || n_tables > 1)
}
