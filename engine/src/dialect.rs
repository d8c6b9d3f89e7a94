//! The SQL dialect: DataFusion's generic one, with the operator precedences of PostgreSQL.
//!
//! The parser reads the right side of `IS [NOT] DISTINCT FROM` up to the end of the whole condition,
//! so that `a IS DISTINCT FROM b AND c` means `a IS DISTINCT FROM (b AND c)`; and it lets `||` bind
//! as tight as `*`, and `=` tighter than `LIKE`. Each of these makes another query of the text.

use std::any::TypeId;
use std::borrow::Cow;
use std::collections::BTreeMap;

use datafusion::common::{Result, not_impl_err, plan_datafusion_err};
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr};
use datafusion::sql::sqlparser::dialect::{Dialect, GenericDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Word};

/// The dialect in which all SQL is read.
#[derive(Debug, Default, Clone, Copy)]
pub struct EmporiaDialect;

/// Any operator that has no place of its own: `||`, `->`, `@>`, `&`, `|`, `#`, `<<`.
const OTHER_OPERATOR: u8 = 25;
/// `BETWEEN`, `IN`, `LIKE`, `ILIKE`, `SIMILAR`, and the operators that match patterns.
const PATTERN: u8 = 21;

/// Answers as the generic dialect does; a trait has no other way to inherit.
macro_rules! as_generic {
    ($($name:ident),* $(,)?) => {
        $(fn $name(&self) -> bool {
            GenericDialect.$name()
        })*
    };
}

impl Dialect for EmporiaDialect {
    // The parser asks for the type in many places.
    fn dialect(&self) -> TypeId {
        TypeId::of::<GenericDialect>()
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        GenericDialect.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        GenericDialect.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        GenericDialect.is_identifier_part(ch)
    }

    as_generic!(
        supports_unicode_string_literal,
        supports_partition_by_after_order_by,
        supports_array_join_syntax,
        supports_group_by_expr,
        supports_group_by_with_modifier,
        supports_left_associative_joins_without_parens,
        supports_connect_by,
        supports_match_recognize,
        supports_pipe_operator,
        supports_start_transaction_modifier,
        supports_window_function_null_treatment_arg,
        supports_dictionary_syntax,
        supports_window_clause_named_window_reference,
        supports_parenthesized_set_variables,
        supports_select_wildcard_except,
        support_map_literal_syntax,
        allow_extract_custom,
        allow_extract_single_quotes,
        supports_extract_comma_syntax,
        supports_create_view_comment_syntax,
        supports_parens_around_table_factor,
        supports_values_as_table_factor,
        supports_create_index_with_clause,
        supports_explain_with_utility_options,
        supports_limit_comma,
        supports_update_order_by,
        supports_from_first_select,
        supports_projection_trailing_commas,
        supports_asc_desc_in_column_definition,
        supports_try_convert,
        supports_bitwise_shift_operators,
        supports_comment_on,
        supports_load_extension,
        supports_named_fn_args_with_assignment_operator,
        supports_struct_literal,
        supports_empty_projections,
        supports_nested_comments,
        supports_multiline_comment_hints,
        supports_user_host_grantee,
        supports_string_escape_constant,
        supports_array_typedef_with_brackets,
        supports_match_against,
        supports_set_names,
        supports_comma_separated_set_assignments,
        supports_filter_during_aggregation,
        supports_select_wildcard_exclude,
        supports_data_type_signed_suffix,
        supports_interval_options,
        supports_quote_delimited_string,
        supports_select_wildcard_replace,
        supports_select_wildcard_ilike,
        supports_select_wildcard_rename,
        supports_optimize_table,
        supports_install,
        supports_detach,
        supports_prewhere,
        supports_with_fill,
        supports_limit_by,
        supports_interpolate,
        supports_settings,
        supports_select_format,
        supports_comment_optimizer_hint,
        supports_constraint_keyword_without_name,
        supports_key_column_option,
        supports_comma_separated_trim,
        supports_cte_without_as,
        supports_select_item_multi_column_alias,
        supports_xml_expressions
    );

    fn prec_value(&self, operator: Precedence) -> u8 {
        match operator {
            Precedence::Between | Precedence::Like => PATTERN,
            Precedence::PgOther
            | Precedence::Ampersand
            | Precedence::Caret
            | Precedence::Pipe
            | Precedence::Colon => OTHER_OPERATOR,
            other => GenericDialect.prec_value(other),
        }
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        match &parser.peek_token_ref().token {
            Token::StringConcat => Some(Ok(OTHER_OPERATOR)),
            Token::Tilde
            | Token::TildeAsterisk
            | Token::ExclamationMarkTilde
            | Token::ExclamationMarkTildeAsterisk
            | Token::DoubleTilde
            | Token::DoubleTildeAsterisk
            | Token::ExclamationMarkDoubleTilde
            | Token::ExclamationMarkDoubleTildeAsterisk => Some(Ok(PATTERN)),
            _ => None,
        }
    }

    // GROUP BY ALL is read everywhere.
    fn supports_order_by_all(&self) -> bool {
        true
    }

    // `v -> v + 1`.
    fn supports_lambda_functions(&self) -> bool {
        true
    }

    fn parse_infix(
        &self,
        parser: &mut Parser<'_>,
        left: &Expr,
        precedence: u8,
    ) -> Option<Result<Expr, ParserError>> {
        use Keyword::{DISTINCT, FROM, IS, NOT};

        if parser.consume_token(&Token::Sharp) {
            let right = parser.parse_subexpr(precedence);
            return Some(right.map(|right| Expr::BinaryOp {
                left: Box::new(left.clone()),
                op: BinaryOperator::PGBitwiseXor,
                right: Box::new(right),
            }));
        }
        let make: fn(Box<Expr>, Box<Expr>) -> Expr = if parser.parse_keywords(&[IS, DISTINCT, FROM])
        {
            Expr::IsDistinctFrom
        } else if parser.parse_keywords(&[IS, NOT, DISTINCT, FROM]) {
            Expr::IsNotDistinctFrom
        } else {
            return None;
        };
        let right = parser.parse_subexpr(precedence);
        Some(right.map(|right| make(Box::new(left.clone()), Box::new(right))))
    }
}

/// Functions, parentheses and subqueries of a text that may be one in the other. More than are computed
/// (`emporia_connectors::composed::MAX_NESTED`), because each is several steps of the parser in some forms.
pub const MAX_NESTED_TEXT: usize = 1500;

/// What is said of a text that is nested deeper than `limit`.
pub fn too_deep(limit: usize) -> String {
    format!(
        "the text is nested too deeply: at most {limit} functions, parentheses and subqueries can be one in the other"
    )
}

/// Parses the only statement of a text.
///
/// # Errors
/// Where the text is no SQL, is empty or holds several statements.
pub fn parse_statement(text: &str, recursion_limit: usize) -> Result<Statement> {
    let text = as_read(text);
    let mut statements = DFParserBuilder::new(text.as_ref())
        .with_dialect(&EmporiaDialect)
        .with_recursion_limit(recursion_limit)
        .build()?
        .parse_statements()?;
    if statements.len() > 1 {
        return not_impl_err!("the text holds several statements; run them one by one");
    }
    statements
        .pop_front()
        .ok_or_else(|| plan_datafusion_err!("there is no statement"))
}

/// The text as the parser reads it, with all places as they were:
///
/// * `STRUCT<a INT, …>` for the type `STRUCT(a INT, …)`, which the parser reads in the dialect of DuckDB only;
/// * `FROM t` for the query `TABLE t`, of which the parser drops the word behind it and the quotes of the name.
pub fn as_read(text: &str) -> Cow<'_, str> {
    let is_word = |word: &str| {
        ["struct", "table"]
            .iter()
            .any(|w| word.eq_ignore_ascii_case(w))
    };
    if !text.split(|c: char| !c.is_alphanumeric()).any(is_word) {
        return Cow::Borrowed(text);
    }
    let Ok(tokens) = Tokenizer::new(&EmporiaDialect, text).tokenize_with_location() else {
        // The parser says what is wrong.
        return Cow::Borrowed(text);
    };
    let tokens: Vec<_> = tokens
        .iter()
        .filter(|token| !matches!(token.token, Token::Whitespace(_)))
        .collect();
    let mut changed = brackets_of_structs(&tokens);
    for table in words_of_queries(&tokens) {
        let letters = " FROM".chars().zip(table.span.start.column..);
        changed.extend(
            letters.map(|(letter, column)| (Location::new(table.span.start.line, column), letter)),
        );
    }
    if changed.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut place = Location::new(1, 1);
    let letters = text.chars().map(|c| {
        let other = changed.get(&place).copied();
        place = match c {
            '\n' => Location::new(place.line + 1, 1),
            _ => Location::new(place.line, place.column + 1),
        };
        other.unwrap_or(c)
    });
    Cow::Owned(letters.collect())
}

fn word(token: &TokenWithSpan) -> Option<&Word> {
    match &token.token {
        Token::Word(word) => Some(word),
        _ => None,
    }
}

fn keyword(token: &TokenWithSpan) -> Option<Keyword> {
    word(token).map(|word| word.keyword)
}

/// Where types of structs have parentheses, and the brackets that stand for them.
fn brackets_of_structs(tokens: &[&TokenWithSpan]) -> BTreeMap<Location, char> {
    let keyword_at = |at: usize| tokens.get(at).and_then(|token| keyword(token));
    let is_parenthesis = |at: usize| tokens.get(at).is_some_and(|t| t.token == Token::LParen);
    let mut open = Vec::new();
    let mut brackets = BTreeMap::new();
    for (at, token) in tokens.iter().enumerate() {
        match token.token {
            Token::LParen => {
                let is_type = at
                    .checked_sub(1)
                    .is_some_and(|before| keyword_at(before) == Some(Keyword::STRUCT))
                    && keyword_at(at + 1).is_some()
                    && keyword_at(at + 2)
                        .is_some_and(|word| begins_type(word, is_parenthesis(at + 3)));
                open.push(is_type);
                if is_type {
                    brackets.insert(token.span.start, '<');
                }
            }
            Token::RParen if open.pop() == Some(true) => {
                brackets.insert(token.span.start, '>');
            }
            _ => {}
        }
    }
    brackets
}

/// The words TABLE with which a query begins.
fn words_of_queries<'a>(tokens: &[&'a TokenWithSpan]) -> Vec<&'a TokenWithSpan> {
    use Keyword::{
        ALL, ANALYZE, AS, CREATE, DISTINCT, EXCEPT, EXPLAIN, INSERT, INTERSECT, INTO, MINUS, NAME,
        NoKeyword, OVERWRITE, SELECT, TABLE, UNION, VERBOSE,
    };
    let mut found = Vec::new();
    // Of the statement.
    let (mut first, mut has_select) = (None, false);
    let mut before: Option<&TokenWithSpan> = None;
    for (at, token) in tokens.iter().enumerate() {
        if token.token == Token::SemiColon {
            (first, before, has_select) = (None, None, false);
            continue;
        }
        let named = tokens.get(at + 1).and_then(|next| word(next));
        let is_named = named.is_some_and(|w| w.quote_style.is_some() || w.keyword == NoKeyword);
        if keyword(token) == Some(TABLE) && is_named {
            let begins = match before {
                None => true,
                Some(before) => match (&before.token, keyword(before)) {
                    (Token::LParen | Token::RParen, _) => true,
                    (_, Some(UNION | EXCEPT | INTERSECT | MINUS | ALL | DISTINCT | NAME)) => true,
                    (_, Some(EXPLAIN | ANALYZE | VERBOSE)) => true,
                    (_, Some(AS)) => first == Some(CREATE) && !has_select,
                    (_, Some(INTO | OVERWRITE)) => false,
                    (_, Some(_)) => first == Some(INSERT),
                    _ => false,
                },
            };
            if begins {
                found.push(*token);
            }
        }
        let keyword = keyword(token);
        first = first.or(Some(keyword.unwrap_or(NoKeyword)));
        has_select |= keyword == Some(SELECT);
        before = Some(*token);
    }
    found
}

/// Whether a word behind the name of a field is the type of the field.
fn begins_type(word: Keyword, has_parenthesis: bool) -> bool {
    use Keyword::{
        ARRAY, BIGINT, BINARY, BLOB, BOOL, BOOLEAN, BYTEA, CHAR, DATE, DATETIME, DEC, DECIMAL,
        DOUBLE, FLOAT, FLOAT4, FLOAT8, INT, INT2, INT4, INT8, INTEGER, INTERVAL, MAP, NUMERIC,
        REAL, SMALLINT, STRING, STRUCT, TEXT, TIME, TIMESTAMP, TIMESTAMPTZ, TINYINT, UNSIGNED,
        VARBINARY, VARCHAR,
    };
    match word {
        ARRAY | BIGINT | BINARY | BLOB | BOOL | BOOLEAN | BYTEA | CHAR | DATE | DATETIME | DEC
        | DECIMAL | DOUBLE | FLOAT | FLOAT4 | FLOAT8 | INT | INT2 | INT4 | INT8 | INTEGER
        | INTERVAL | MAP | NUMERIC | REAL | SMALLINT | STRING | TEXT | TIME | TIMESTAMP
        | TIMESTAMPTZ | TINYINT | UNSIGNED | VARBINARY | VARCHAR => true,
        STRUCT => has_parenthesis,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_structs_have_either_brackets() {
        for (text, expected) in [
            (
                "CREATE TABLE t (a struct(x int, y varchar(3)) not null)",
                "CREATE TABLE t (a struct<x int, y varchar(3)> not null)",
            ),
            (
                "CREATE TABLE t (é struct(a\n struct(b decimal(3, 1))[]))",
                "CREATE TABLE t (é struct<a\n struct<b decimal(3, 1)>[]>)",
            ),
            (
                "SELECT CAST({x: 1} AS STRUCT(x INT))",
                "SELECT CAST({x: 1} AS STRUCT<x INT>)",
            ),
        ] {
            assert_eq!(as_read(text), expected);
            assert!(parse_statement(text, 50).is_ok(), "{text}");
        }
        for text in [
            "SELECT struct(a, b), struct(1), struct(a AS b), struct(CASE WHEN a THEN 1 END)",
            "SELECT 'struct(x int)', \"struct(x int)\" -- struct(x int)",
        ] {
            assert_eq!(as_read(text), text);
        }
    }

    #[test]
    fn a_table_alone_is_a_query() {
        for (text, expected) in [
            ("TABLE t", " FROM t"),
            (
                "table \"T\" ORDER BY 1 LIMIT 2",
                " FROM \"T\" ORDER BY 1 LIMIT 2",
            ),
            ("TABLE t UNION ALL TABLE u", " FROM t UNION ALL  FROM u"),
            ("(TABLE t) EXCEPT TABLE a.b", "( FROM t) EXCEPT  FROM a.b"),
            (
                "SELECT * FROM (TABLE t) AS q",
                "SELECT * FROM ( FROM t) AS q",
            ),
            ("WITH a AS (TABLE t) TABLE a", "WITH a AS ( FROM t)  FROM a"),
            ("EXPLAIN TABLE t", "EXPLAIN  FROM t"),
            ("CREATE TABLE n AS TABLE t", "CREATE TABLE n AS  FROM t"),
            ("INSERT INTO n TABLE t", "INSERT INTO n  FROM t"),
            (
                "INSERT INTO TABLE n (a) TABLE t",
                "INSERT INTO TABLE n (a)  FROM t",
            ),
        ] {
            assert_eq!(as_read(text), expected);
            assert!(parse_statement(text, 50).is_ok(), "{text}");
        }
        for text in [
            "CREATE TABLE t AS SELECT a AS table FROM t",
            "DROP TABLE t",
            "SHOW CREATE TABLE t",
            "INSERT OVERWRITE TABLE t SELECT 1",
            "TRUNCATE TABLE t",
            "SELECT 'TABLE t' AS \"TABLE\", a.table, b FROM t",
        ] {
            assert_eq!(as_read(text), text);
        }
    }

    /// The expression with parentheses around every operation.
    fn grouped(expr: &Expr) -> String {
        let two = |left: &Expr, op: &str, right: &Expr| {
            format!("({} {op} {})", grouped(left), grouped(right))
        };
        match expr {
            Expr::BinaryOp { left, op, right } => two(left, &op.to_string(), right),
            Expr::UnaryOp { op, expr } => format!("({op} {})", grouped(expr)),
            Expr::IsDistinctFrom(left, right) => two(left, "IS DISTINCT FROM", right),
            Expr::IsNotDistinctFrom(left, right) => two(left, "IS NOT DISTINCT FROM", right),
            Expr::Like { expr, pattern, .. } => two(expr, "LIKE", pattern),
            Expr::IsNull(expr) => format!("({} IS NULL)", grouped(expr)),
            Expr::InList { expr, list, .. } => {
                let list: Vec<_> = list.iter().map(grouped).collect();
                format!("({} IN {})", grouped(expr), list.join(" "))
            }
            Expr::Between {
                expr, low, high, ..
            } => format!(
                "({} BETWEEN {} AND {})",
                grouped(expr),
                grouped(low),
                grouped(high)
            ),
            other => other.to_string(),
        }
    }

    fn parsed(text: &str) -> String {
        let expr = Parser::new(&EmporiaDialect)
            .try_with_sql(text)
            .and_then(|mut parser| parser.parse_expr());
        match expr {
            Ok(expr) => grouped(&expr),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn operators_bind_as_in_postgresql() {
        for (text, meaning) in [
            (
                "a IS DISTINCT FROM b AND c",
                "((a IS DISTINCT FROM b) AND c)",
            ),
            (
                "a IS NOT DISTINCT FROM b OR c",
                "((a IS NOT DISTINCT FROM b) OR c)",
            ),
            (
                "a IS DISTINCT FROM b + 1 AND c",
                "((a IS DISTINCT FROM (b + 1)) AND c)",
            ),
            (
                "NOT a IS NOT DISTINCT FROM b AND c",
                "((NOT (a IS NOT DISTINCT FROM b)) AND c)",
            ),
            ("a IS DISTINCT FROM b = c", "(a IS DISTINCT FROM (b = c))"),
            ("a || b * c", "(a || (b * c))"),
            ("a || b + c", "(a || (b + c))"),
            ("a || b = c", "((a || b) = c)"),
            ("a LIKE b || c", "(a LIKE (b || c))"),
            ("a LIKE b = c", "((a LIKE b) = c)"),
            ("a = b LIKE c", "(a = (b LIKE c))"),
            ("a = b IN (c, d)", "(a = (b IN c d))"),
            ("a = b BETWEEN c AND d", "(a = (b BETWEEN c AND d))"),
            ("a BETWEEN b AND c AND d", "((a BETWEEN b AND c) AND d)"),
            (
                "a BETWEEN b + 1 AND c * 2 OR d",
                "((a BETWEEN (b + 1) AND (c * 2)) OR d)",
            ),
            ("NOT a = b", "(NOT (a = b))"),
            ("a = b IS NULL", "((a = b) IS NULL)"),
            ("- a * b", "((- a) * b)"),
            ("a # b + 1 = c", "((a # (b + 1)) = c)"),
            ("f(v -> v > 1, a)", "f(v -> v > 1, a)"),
            ("a @> b AND c", "((a @> b) AND c)"),
        ] {
            assert_eq!(parsed(text), meaning, "{text}");
        }
    }

    #[test]
    fn statements_are_read_as_in_the_generic_dialect() {
        for text in [
            "SELECT * EXCLUDE (a) FROM t",
            "SELECT {'a': 1}",
            "SELECT 'a' FROM t GROUP BY ROLLUP (b)",
            "SELECT e'\\n' || U&'\\0061'",
            "SELECT count(*) FILTER (WHERE a) FROM t",
        ] {
            assert!(parse_statement(text, 50).is_ok(), "{text}");
        }
        assert!(parse_statement("SELECT 1; SELECT 2", 50).is_err());
        assert!(parse_statement("", 50).is_err());
    }

    /// Fails once the generic dialect reads them; then see `docs/upstream.md`.
    #[test]
    fn the_generic_dialect_reads_neither() {
        let read = |text: &str| Parser::parse_sql(&GenericDialect {}, text);
        assert!(read("SELECT CAST(x AS STRUCT(a INT)) FROM t").is_err());
        // The words behind the table are taken for a part of its name.
        assert!(read("SELECT 1 UNION ALL TABLE t ORDER BY 1").is_err());
        let quoted = read("SELECT 1 UNION ALL TABLE \"T\"").unwrap();
        assert_eq!(quoted[0].to_string(), "SELECT 1 UNION ALL TABLE T");
    }

    /// Fails once operators bind as in PostgreSQL; then see `docs/upstream.md`.
    #[test]
    fn operators_bind_differently_in_the_generic_dialect() {
        let read = |text: &str| {
            let parser = Parser::new(&GenericDialect {}).try_with_sql(text);
            parser.and_then(|mut parser| parser.parse_expr()).unwrap()
        };
        assert!(matches!(read("a = b LIKE c"), Expr::Like { .. }));
        assert!(matches!(read("a = b IN (c)"), Expr::InList { .. }));
        assert!(matches!(
            read("a = b BETWEEN c AND d"),
            Expr::Between { .. }
        ));
        for (text, expected) in [
            ("a || b + c", BinaryOperator::Plus),
            ("a || b * c", BinaryOperator::Multiply),
            ("a -> b = c", BinaryOperator::Arrow),
        ] {
            let found = read(text);
            assert!(
                matches!(&found, Expr::BinaryOp { op, .. } if *op == expected),
                "{text}"
            );
        }
    }
}
