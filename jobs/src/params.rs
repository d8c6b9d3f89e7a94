//! Short forms for the declaration of jobs and their parameters.

use emporia_core::job::{OutputSpec, ParamKind, ParamSpec};

/// A parameter; a default of `null` makes it optional.
pub(crate) fn param(name: &str, kind: ParamKind, default: &str, doc: &str) -> ParamSpec {
    ParamSpec {
        name: name.to_owned(),
        kind,
        default: Some(default.to_owned()),
        doc: doc.to_owned(),
    }
}

/// A parameter with a closed list of values.
pub(crate) fn choice(name: &str, values: &[&str], default: &str, doc: &str) -> ParamSpec {
    let values = values.iter().map(|v| (*v).to_owned()).collect();
    param(name, ParamKind::Choice(values), default, doc)
}

/// A table that a job makes.
pub(crate) fn output(name: &str, key: &[&str]) -> OutputSpec {
    OutputSpec {
        name: name.to_owned(),
        key: key.iter().map(|k| (*k).to_owned()).collect(),
    }
}

/// Owned texts.
pub(crate) fn names(values: &[&str]) -> Vec<String> {
    values.iter().map(|v| (*v).to_owned()).collect()
}
