//! The rule sets that come with Emporia.

mod flat_orders;
mod online_retail;
mod shop;

use std::fmt::Write;

use super::rules::{Action, Rule, RuleSet};

/// All rule sets; the first one is the default.
pub(super) static ALL: [&RuleSet; 5] = [
    &flat_orders::FLAT_ORDERS,
    &shop::CUSTOMERS,
    &shop::PRODUCTS,
    &shop::ORDERS,
    &online_retail::ONLINE_RETAIL,
];

/// The rule set of the name.
pub(super) fn find(name: &str) -> Option<&'static RuleSet> {
    ALL.into_iter().find(|set| set.name == name)
}

/// The rule sets as Markdown.
pub(super) fn docs() -> String {
    ALL.into_iter().map(set_docs).collect()
}

fn set_docs(set: &RuleSet) -> String {
    let mut docs = format!(
        "### {}\n\n`{}` becomes `{}`.\n\n",
        set.name, set.table, set.clean
    );
    docs.push_str("| rule | about | breaks it | action |\n|---|---|---|---|\n");
    for Rule {
        id,
        description,
        predicate,
        action,
    } in set.rules
    {
        let action = match action {
            Action::RepairAndFlag { column, expression } => format!("`{column}` = `{expression}`"),
            other => other.name().to_owned(),
        };
        // Writing to a text cannot fail.
        let _ = writeln!(
            docs,
            "| `{id}` | {description} | `{predicate}` | {action} |"
        );
    }
    docs.push('\n');
    docs
}
