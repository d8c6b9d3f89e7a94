//! The options of a table, each of which has to be known and used.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::str::FromStr;

use emporia_core::error::{Error, Result, nearest};

use super::super::mapping::{Empty, Malformed, Mapping};

/// All options but `column.NAME`.
const OPTIONS: [&str; 15] = [
    "empty",
    "encoding",
    "family",
    "hive_columns_mapping",
    "key",
    "malformed",
    "missing",
    "presence",
    "row_key",
    "rows",
    "scan.cache_blocks",
    "scan.page_rows",
    "scan.splits",
    "spark_catalog",
    "timestamp_column",
];

const COLUMN: &str = "column.";
/// Options that the writing side reads.
const WRITE: &str = "write.";

/// Most pieces of a region.
const MAX_SPLITS: usize = 256;

/// The options of a table; remembers which were asked for.
pub(super) struct Options<'a> {
    options: &'a BTreeMap<String, String>,
    used: BTreeSet<String>,
}

impl<'a> Options<'a> {
    pub(super) fn new(options: &'a BTreeMap<String, String>) -> Self {
        Self {
            options,
            used: BTreeSet::new(),
        }
    }

    /// The text of an option.
    pub(super) fn text(&mut self, name: &str) -> Option<&'a str> {
        self.used.insert(name.to_owned());
        self.options.get(name).map(|text| text.trim())
    }

    /// The text of the option of a column.
    pub(super) fn column(&mut self, name: &str) -> Option<&'a str> {
        self.text(&format!("{COLUMN}{name}"))
    }

    /// The number that an option says.
    ///
    /// # Errors
    /// `InvalidInput` where it is none from `least` to `most`.
    pub(super) fn number<T>(&mut self, name: &str, least: T, most: T) -> Result<Option<T>>
    where
        T: FromStr + PartialOrd + Display,
    {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        match text.parse() {
            Ok(number) if number >= least && number <= most => Ok(Some(number)),
            _ => Err(Error::invalid(format!(
                "option `{name}` must be a number from {least} to {most}, not `{text}`"
            ))),
        }
    }

    /// What an option says, which is one of `choices`; the first where it is not set.
    ///
    /// # Errors
    /// `InvalidInput` for another text.
    pub(super) fn choice<T: Copy, const N: usize>(
        &mut self,
        name: &str,
        choices: [(&str, T); N],
    ) -> Result<T> {
        let text = self.text(name).unwrap_or(choices[0].0);
        if let Some((_, value)) = choices.iter().find(|(choice, _)| *choice == text) {
            return Ok(*value);
        }
        let names: Vec<_> = choices
            .iter()
            .map(|(choice, _)| format!("`{choice}`"))
            .collect();
        Err(Error::invalid(format!(
            "option `{name}` must be {}, not `{text}`",
            names.join(" or ")
        )))
    }

    /// The option `scan.splits`.
    pub(super) fn splits(&mut self) -> Result<Option<usize>> {
        match self.text("scan.splits") {
            Some("auto") => Ok(None),
            _ => self.number("scan.splits", 1, MAX_SPLITS).map_err(|e| {
                Error::invalid(e.message().to_owned()).with_hint("or leave it `auto`")
            }),
        }
    }

    /// The option `malformed`.
    pub(super) fn malformed(&mut self) -> Result<Malformed> {
        self.choice(
            "malformed",
            [
                ("error", Malformed::Error),
                ("null", Malformed::Null),
                ("skip", Malformed::Skip),
            ],
        )
    }

    /// The option `empty`.
    pub(super) fn empty(&mut self) -> Result<Empty> {
        self.choice("empty", [("value", Empty::Value), ("null", Empty::Null)])
    }

    /// Whether the option `missing` says that a missing cell is an error.
    pub(super) fn missing_is_error(&mut self) -> Result<bool> {
        self.choice("missing", [("null", false), ("error", true)])
    }

    /// Checks that no option was left over.
    ///
    /// # Errors
    /// `InvalidInput` with the nearest name.
    pub(super) fn finish(self, mapping: &Mapping) -> Result<()> {
        let mut unused = self
            .options
            .keys()
            .filter(|name| !self.used.contains(*name) && !name.starts_with(WRITE));
        let Some(name) = unused.next() else {
            return Ok(());
        };
        if let Some(column) = name.strip_prefix(COLUMN) {
            let names = || mapping.columns.iter().map(|column| column.name.as_str());
            return Err(if names().any(|known| known == column) {
                Error::invalid(format!("option `{name}` has no effect here")).with_hint(format!(
                    "column `{column}` is a part of the key, or its place is said by another option"
                ))
            } else {
                let error = Error::invalid(format!("option `{name}` names no column of the table"));
                match nearest(column, names()) {
                    Some(near) => error.with_hint(format!("did you mean `{COLUMN}{near}`?")),
                    None => error,
                }
            });
        }
        if OPTIONS.contains(&name.as_str()) {
            return Err(
                Error::invalid(format!("option `{name}` has no effect here"))
                    .with_hint("another option says the same"),
            );
        }
        let error = Error::invalid(format!("`{name}` is not an option of an hbase table"));
        Err(match nearest(name, OPTIONS) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error.with_hint(format!("options are column.NAME, {}", OPTIONS.join(", "))),
        })
    }
}
