//! The words of a rule set: what a rule says, and what happens to the rows that break it.

/// A named set of rules for one kind of table.
#[derive(Debug)]
pub(super) struct RuleSet {
    pub name: &'static str,
    /// The table that is read when the user names none.
    pub table: &'static str,
    /// The table of trusted rows.
    pub clean: &'static str,
    /// Columns that identify a trusted row.
    pub key: &'static [&'static str],
    /// The columns that the table must have.
    pub columns: &'static [&'static str],
    /// Other names that source systems use: (theirs, ours).
    pub aliases: &'static [(&'static str, &'static str)],
    /// Columns whose fields may fail to parse, because a rule repairs the null.
    pub repairable: &'static [&'static str],
    /// Other tables that rules look at.
    pub lookups: &'static [Lookup],
    /// Rules in the order in which they are applied: all repairs first, then the first of the other
    /// rules that a row breaks.
    pub rules: &'static [Rule],
    pub duplicates: Duplicates,
}

/// A rule about single rows.
#[derive(Debug)]
pub(super) struct Rule {
    pub id: &'static str,
    pub description: &'static str,
    /// SQL that is true for a row that breaks the rule; null counts as false.
    pub predicate: &'static str,
    pub action: Action,
}

/// What happens to a row that breaks a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// It is counted, and otherwise forgotten.
    Drop,
    /// It goes to the rejects, with its raw text.
    Quarantine,
    /// The column gets the value of the SQL expression, and the row the id of the rule as a flag.
    RepairAndFlag {
        column: &'static str,
        expression: &'static str,
    },
    /// The whole run fails.
    Fail,
}

impl Action {
    /// The name of the action in `cleaning_counters`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Quarantine => "quarantine",
            Self::RepairAndFlag { .. } => "repair",
            Self::Fail => "fail",
        }
    }
}

/// Rules about rows that repeat others. Only rows that no other rule removes are compared.
#[derive(Debug)]
pub(super) struct Duplicates {
    /// Column of the key, text or integer; its latest row wins, and the others are quarantined as
    /// [`DUPLICATE_KEY`]. `None`: rows are duplicates only as a whole.
    pub key: Option<&'static str>,
    /// Time column that says which row is the latest; in a tie the row that comes first in the
    /// source wins. Without such a column the row that comes last in the source is the latest.
    pub latest: Option<&'static str>,
}

/// Id of the rule that drops a row whose whole text has come before.
pub(super) const EXACT_DUPLICATE: &str = "exact_duplicate";
/// Id of the rule that quarantines a row whose key another row has, too.
pub(super) const DUPLICATE_KEY: &str = "duplicate_key";
/// Faults of a line that are not about one of its fields, as the csv connector names them.
pub(super) const LINE_FAULTS: [&str; 3] = ["field_count", "quote", "encoding"];
/// Id of the rule for faults of a line that have no name here.
pub(super) const UNREADABLE: &str = "unreadable";

/// A small table that rules look at, joined by key.
///
/// Rules see two columns: `_<name>_found`, which is null where the key is unknown, and
/// `_<name>_value`. Where the catalog has none of the tables, every key counts as found and all
/// values are null.
#[derive(Debug)]
pub(super) struct Lookup {
    pub name: &'static str,
    /// The first of these that the catalog has is used.
    pub tables: &'static [&'static str],
    /// Column of the cleaned table, and of the other one.
    pub on: (&'static str, &'static str),
    /// Column whose value rules need.
    pub value: Option<&'static str>,
}

/// A rule that quarantines.
pub(super) const fn quarantine(
    id: &'static str,
    description: &'static str,
    predicate: &'static str,
) -> Rule {
    Rule {
        id,
        description,
        predicate,
        action: Action::Quarantine,
    }
}

/// A rule that repairs.
pub(super) const fn repair(
    id: &'static str,
    description: &'static str,
    predicate: &'static str,
    column: &'static str,
    expression: &'static str,
) -> Rule {
    Rule {
        id,
        description,
        predicate,
        action: Action::RepairAndFlag { column, expression },
    }
}
