//! `DROP TABLE`, `DROP VIEW` and `TRUNCATE`.

use datafusion::arrow::datatypes::Schema;
use datafusion::sql::sqlparser::ast::{ObjectName, ObjectType, Truncate};
use emporia_core::error::{Error, ErrorKind, Result};

use super::{Action, Done, Holder, StatementError, unsupported};
use crate::publish::{Change, publish_no_rows};
use crate::session::Session;

/// Tables or views to remove.
pub(super) struct Drop {
    kind: Kind,
    names: Vec<String>,
    if_exists: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Table,
    View,
}

/// Plans `DROP`.
pub(super) fn plan(
    session: &Session,
    object_type: ObjectType,
    if_exists: bool,
    names: &[ObjectName],
    cascade: bool,
) -> Result<Drop, StatementError> {
    let kind = match object_type {
        ObjectType::Table => Kind::Table,
        ObjectType::View => Kind::View,
        other => return Err(unsupported(&format!("DROP {other}")).into()),
    };
    if cascade {
        return Err(unsupported("CASCADE").into());
    }
    let names = names.iter().map(|name| session.table_name(name));
    Ok(Drop {
        kind,
        names: names.collect::<Result<_, _>>()?,
        if_exists,
    })
}

/// Plans `TRUNCATE`.
pub(super) fn plan_truncate(
    session: &Session,
    truncate: &Truncate,
) -> Result<Action, StatementError> {
    let is_plain = truncate.partitions.is_none()
        && truncate.identity.is_none()
        && truncate.cascade.is_none()
        && truncate.on_cluster.is_none();
    match &truncate.table_names[..] {
        [table] if is_plain && !table.only => Ok(Action::Truncate {
            name: session.table_name(&table.name)?,
            if_exists: truncate.if_exists,
        }),
        _ => Err(unsupported("this form of TRUNCATE")
            .with_hint("write TRUNCATE TABLE name")
            .into()),
    }
}

impl Drop {
    pub(super) async fn run(self, session: &Session) -> Result<Done> {
        // Nothing is removed where one of the names is wrong.
        let mut found = Vec::new();
        for name in self.names {
            match session.holder(&name).await? {
                None if self.if_exists => {}
                None => return Err(unknown(session, &name, self.kind)),
                Some(holder) => {
                    check(&name, &holder, self.kind)?;
                    found.push((name, holder));
                }
            }
        }
        let names: Vec<_> = found.iter().map(|(name, _)| format!("`{name}`")).collect();
        for (name, holder) in found {
            remove(session, &name, holder).await?;
        }
        Ok(Done::saying(match &names[..] {
            [] => "there was nothing to drop".to_owned(),
            names => format!("dropped {}", names.join(", ")),
        }))
    }
}

fn check(name: &str, holder: &Holder, kind: Kind) -> Result<()> {
    match (holder, kind) {
        (Holder::Catalog, _) => Err(Error::invalid(format!(
            "`{name}` is a table of the catalog, which no statement drops"
        ))
        .with_hint("remove its section from the catalog file; its data stays where it is")),
        (Holder::View, Kind::Table) => Err(Error::invalid(format!("`{name}` is a view"))
            .with_hint(format!("DROP VIEW {name} removes it"))),
        (Holder::View, Kind::View) | (_, Kind::Table) => Ok(()),
        (_, Kind::View) => Err(Error::invalid(format!("`{name}` is a table"))
            .with_hint(format!("DROP TABLE {name} removes it"))),
    }
}

fn unknown(session: &Session, name: &str, kind: Kind) -> Error {
    match kind {
        Kind::Table => session.unknown_table(name),
        Kind::View => Error::not_found(format!("there is no view `{name}`"))
            .with_hint("views live as long as the session that made them"),
    }
}

async fn remove(session: &Session, name: &str, holder: Holder) -> Result<()> {
    let state = session.context().state();
    match holder {
        Holder::Catalog | Holder::View => {}
        Holder::External => session.forget_declared(name),
        Holder::Temporary(table) | Holder::Lasting(table) => {
            session.managed().remove(&table, &state).await?;
        }
    }
    session.managed().forget(name);
    session.forget_registered(name)
}

/// Empties a table.
pub(super) async fn truncate(session: &Session, name: &str, if_exists: bool) -> Result<Done> {
    let table = match session.holder(name).await? {
        Some(Holder::Temporary(table) | Holder::Lasting(table)) => table,
        None if if_exists => return Ok(Done::saying("there was nothing to empty")),
        None => return Err(session.unknown_table(name)),
        Some(_) => {
            let text = format!("TRUNCATE of `{name}` is not supported");
            return Err(Error::new(ErrorKind::Unsupported, text)
                .with_hint("only the tables of CREATE TABLE can be emptied"));
        }
    };
    publish_no_rows(
        session,
        &table.location,
        Change::Overwrite,
        &Schema::empty(),
    )
    .await?;
    session.forget_registered(name)?;
    Ok(Done::saying(format!("emptied table `{name}`")))
}
