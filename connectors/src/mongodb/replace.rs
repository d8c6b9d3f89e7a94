//! A collection in the place of another, on servers that cannot replace one at once.
//!
//! What was there is put aside first, not dropped: a process that slept between two steps may find that others have
//! taken them and published more, and puts back what it moved.

use mongodb::Client;
use mongodb::bson::doc;
use mongodb::error::Result;

use super::fault::{self, NAMESPACE_EXISTS, NAMESPACE_NOT_FOUND};
use super::namespace::Namespace;

/// Moves the collection `new` to `target`. A repetition does no harm.
pub(super) async fn in_steps(
    client: &Client,
    target: &Namespace,
    new: &str,
    aside: &str,
) -> Result<()> {
    moved(client, target, &target.collection, aside).await?;
    if moved(client, target, new, &target.collection).await? {
        return drop_collection(client, target, aside).await;
    }
    put_back(client, target, aside).await
}

/// Moves what was put aside to `target`, or drops it if there is something newer.
pub(super) async fn put_back(client: &Client, target: &Namespace, aside: &str) -> Result<()> {
    match moved(client, target, aside, &target.collection).await {
        Err(error) if fault::code_of(&error) == Some(NAMESPACE_EXISTS) => {
            drop_collection(client, target, aside).await
        }
        other => other.map(drop),
    }
}

/// Renames a collection of the target's database; `false` if it is not there.
async fn moved(client: &Client, target: &Namespace, from: &str, to: &str) -> Result<bool> {
    let name = |collection: &str| format!("{}.{collection}", target.database);
    let command = doc! { "renameCollection": name(from), "to": name(to) };
    match client.database("admin").run_command(command).await {
        Err(error) if fault::code_of(&error) == Some(NAMESPACE_NOT_FOUND) => Ok(false),
        other => other.map(|_| true),
    }
}

async fn drop_collection(client: &Client, target: &Namespace, name: &str) -> Result<()> {
    let collection = client.database(&target.database).collection::<()>(name);
    match collection.drop().await {
        Err(error) if fault::code_of(&error) == Some(NAMESPACE_NOT_FOUND) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::*;

    const NEW: &str = "things__new_1";
    const ASIDE: &str = "things__old_1";

    /// Takes the steps; the rows of the collection afterwards, by a mark in them.
    async fn after_steps(there: &[(&str, &str)]) -> Option<String> {
        let fake = Fake::start(Vec::new(), &[]).await;
        fake.remove("things");
        for (collection, mark) in there {
            fake.set(collection, vec![doc! { "_id": *mark }]);
        }
        let client = Client::with_uri_str(&fake.uri).await.unwrap();
        let target = Namespace {
            database: "shop".to_owned(),
            collection: "things".to_owned(),
        };
        in_steps(&client, &target, NEW, ASIDE).await.unwrap();
        assert_eq!(fake.in_collection(NEW), None, "{there:?}");
        assert_eq!(fake.in_collection(ASIDE), None, "{there:?}");
        let rows = fake.in_collection("things")?;
        Some(rows[0].get_str("_id").unwrap().to_owned())
    }

    #[tokio::test]
    async fn no_step_loses_rows() {
        let cases: [(&[(&str, &str)], &str); 5] = [
            (&[("things", "old"), (NEW, "new")], "new"),
            (&[(NEW, "new")], "new"),
            // A try that ended between the steps.
            (&[(ASIDE, "old"), (NEW, "new")], "new"),
            // Others took the steps while this process slept, and published more.
            (&[("things", "newer")], "newer"),
            (&[(ASIDE, "newer")], "newer"),
        ];
        for (there, expected) in cases {
            assert_eq!(
                after_steps(there).await.as_deref(),
                Some(expected),
                "{there:?}"
            );
        }
    }
}
