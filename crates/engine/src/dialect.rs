//! PostgreSQL's dialect, and on request `FROM t VERSION AS OF n`.

use std::any::TypeId;

use datafusion::sql::sqlparser::{
    ast::{BinaryOperator, Expr},
    dialect::{Dialect, PostgreSqlDialect, Precedence},
    keywords::Keyword,
    parser::{Parser, ParserError},
    tokenizer::Token,
};

/// Passes for PostgreSQL's own wherever the parser asks. Versions are off unless the statement has one, because they
/// make `at`, `before` and `changes` unusable as aliases.
#[derive(Debug)]
pub(crate) struct RapportDialect {
    pub versions: bool,
}

const POSTGRES: PostgreSqlDialect = PostgreSqlDialect {};

impl RapportDialect {
    fn parse_bounds(
        &self,
        parser: &mut Parser,
        expr: &Expr,
        negated: bool,
        is_symmetric: bool,
    ) -> Result<Expr, ParserError> {
        let precedence = self.prec_value(Precedence::Between);
        let low = parser.parse_subexpr(precedence)?;
        parser.expect_keyword(Keyword::AND)?;
        let high = parser.parse_subexpr(precedence)?;
        let between = |low: &Expr, high: &Expr| Expr::Between {
            expr: Box::new(expr.clone()),
            negated,
            low: Box::new(low.clone()),
            high: Box::new(high.clone()),
        };
        if !is_symmetric {
            return Ok(between(&low, &high));
        }
        Ok(Expr::Nested(Box::new(Expr::BinaryOp {
            left: Box::new(between(&low, &high)),
            op: if negated {
                BinaryOperator::And
            } else {
                BinaryOperator::Or
            },
            right: Box::new(between(&high, &low)),
        })))
    }
}

/// Words that the parser keeps for other databases, and PostgreSQL takes for names.
fn is_free(keyword: &Keyword) -> bool {
    matches!(
        keyword,
        Keyword::CLUSTER
            | Keyword::DISTRIBUTE
            | Keyword::EXCLUDE
            | Keyword::EXPLAIN
            | Keyword::FINAL
            | Keyword::FORMAT
            | Keyword::GLOBAL
            | Keyword::MINUS
            | Keyword::QUALIFY
            | Keyword::SAMPLE
            | Keyword::SETTINGS
            | Keyword::SORT
            | Keyword::START
            | Keyword::TOP
            | Keyword::VIEW
    )
}

macro_rules! as_postgres {
    ($($name:ident),* $(,)?) => {
        $(fn $name(&self) -> bool { POSTGRES.$name() })*
    };
}

impl Dialect for RapportDialect {
    fn dialect(&self) -> TypeId {
        TypeId::of::<PostgreSqlDialect>()
    }

    fn supports_table_versioning(&self) -> bool {
        self.versions
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        POSTGRES.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        POSTGRES.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        POSTGRES.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        POSTGRES.is_identifier_part(ch)
    }

    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        POSTGRES.is_reserved_for_identifier(keyword)
    }

    fn is_column_alias(&self, keyword: &Keyword, parser: &mut Parser) -> bool {
        is_free(keyword) || POSTGRES.is_column_alias(keyword, parser)
    }

    fn is_table_alias(&self, keyword: &Keyword, parser: &mut Parser) -> bool {
        is_free(keyword) || POSTGRES.is_table_alias(keyword, parser)
    }

    fn is_custom_operator_part(&self, ch: char) -> bool {
        POSTGRES.is_custom_operator_part(ch)
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        POSTGRES.get_next_precedence(parser)
    }

    /// `BETWEEN SYMMETRIC`, which the parser does not know: between the two in either order. And `IS DISTINCT FROM`, whose
    /// right side the parser would let reach over AND and OR.
    fn parse_infix(
        &self,
        parser: &mut Parser,
        expr: &Expr,
        _precedence: u8,
    ) -> Option<Result<Expr, ParserError>> {
        let is = |parser: &Parser, at: usize, keyword: Keyword| {
            let token = &parser.peek_nth_token_ref(at).token;
            matches!(token, Token::Word(word) if word.quote_style.is_none() && word.keyword == keyword)
        };
        let distinct = 1 + usize::from(is(parser, 1, Keyword::NOT));
        if is(parser, 0, Keyword::IS)
            && is(parser, distinct, Keyword::DISTINCT)
            && is(parser, distinct + 1, Keyword::FROM)
        {
            for _ in 0..distinct + 2 {
                parser.next_token();
            }
            let right = parser.parse_subexpr(self.prec_value(Precedence::Is));
            return Some(right.map(|right| {
                let (left, right) = (Box::new(expr.clone()), Box::new(right));
                match distinct {
                    1 => Expr::IsDistinctFrom(left, right),
                    _ => Expr::IsNotDistinctFrom(left, right),
                }
            }));
        }
        let negated = is(parser, 0, Keyword::NOT);
        let between = usize::from(negated);
        let kind = &parser.peek_nth_token_ref(between + 1).token;
        let is_symmetric = match kind {
            Token::Word(word) if word.quote_style.is_none() => {
                match word.value.to_ascii_lowercase().as_str() {
                    "symmetric" => true,
                    "asymmetric" => false,
                    _ => return None,
                }
            }
            _ => return None,
        };
        if !is(parser, between, Keyword::BETWEEN) {
            return None;
        }
        for _ in 0..between + 2 {
            parser.next_token();
        }
        Some(self.parse_bounds(parser, expr, negated, is_symmetric))
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        POSTGRES.prec_value(precedence)
    }

    as_postgres!(
        supports_unicode_string_literal,
        supports_filter_during_aggregation,
        supports_group_by_expr,
        allow_extract_custom,
        allow_extract_single_quotes,
        supports_create_index_with_clause,
        supports_explain_with_utility_options,
        supports_listen_notify,
        supports_factorial_operator,
        supports_bitwise_shift_operators,
        supports_comment_on,
        supports_load_extension,
        supports_named_fn_args_with_colon_operator,
        supports_named_fn_args_with_expr_name,
        supports_empty_projections,
        supports_nested_comments,
        supports_string_escape_constant,
        supports_numeric_literal_underscores,
        supports_array_typedef_with_brackets,
        supports_geometric_types,
        supports_set_names,
        supports_alter_column_type_using,
        supports_notnull_operator,
        supports_interval_options,
        supports_insert_table_alias,
        supports_create_table_like_parenthesized,
        supports_select_wildcard_with_alias,
        supports_comma_separated_trim,
        supports_xml_expressions,
        supports_comment_optimizer_hint,
    );
}
