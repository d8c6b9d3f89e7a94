//! What readers and writers conclude from what they find in a result folder. No I/O: `model` searches what
//! comes of these conclusions.

use serde::{Deserialize, Serialize};

/// Commits that a manifest remembers.
const REMEMBERED: usize = 100;

/// A commit that took place.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Commit {
    /// The number of its manifest; 0 for a result that was published without one.
    pub(super) number: u64,
    /// Its run.
    pub(super) run: String,
}

/// What `_current` says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Hint {
    /// The number of the manifest that it is a copy of; 0 where an Emporia without manifests wrote it.
    pub(super) commit: u64,
    pub(super) run: String,
}

/// Where the newest state of a result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Newest {
    /// Nothing was published.
    Nothing,
    /// In the manifest of this number.
    Manifest(u64),
    /// In `_current`: it was published, or copied, without manifests.
    Pointer,
    /// The folder changed while it was looked at.
    LookAgain,
    /// `_current` is a copy of the manifest of this number, which is gone.
    Lost(u64),
}

/// Where the newest state is, where `listed` is the greatest number of a manifest, and `hint` was read after
/// the manifests were listed.
pub(super) fn newest(listed: Option<u64>, hint: Option<&Hint>, may_look_again: bool) -> Newest {
    let copied = hint.map(|hint| hint.commit);
    match (listed, copied) {
        (None, None) => Newest::Nothing,
        (None, Some(0)) => Newest::Pointer,
        (Some(number), copied) if copied.is_none_or(|copied| copied <= number) => {
            Newest::Manifest(number)
        }
        _ if may_look_again => Newest::LookAgain,
        (None, _) => Newest::Pointer,
        (Some(number), copied) => Newest::Lost(copied.unwrap_or(number)),
    }
}

/// Whether an Emporia without manifests replaced the result of the last of `commits`: it wrote a `_current`
/// with a run that is not among them, and that began later.
pub(super) fn is_written_over(commits: &[Commit], hint: &Hint) -> bool {
    let is_known = commits.iter().any(|commit| commit.run == hint.run);
    let last = commits.last().map(|last| last.run.as_str());
    hint.commit == 0 && !is_known && last.is_none_or(|last| last < hint.run.as_str())
}

/// The commits that the manifest after these remembers.
pub(super) fn with_next(commits: &[Commit], next: Commit) -> Vec<Commit> {
    let first = (commits.len() + 1).saturating_sub(REMEMBERED);
    let known = commits.iter().skip(first).cloned();
    known.chain([next]).collect()
}

/// What became of an attempt to create a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is the commit of this number.
    Published,
    /// Another run is.
    Superseded,
    /// There is no commit of this number yet.
    Absent,
    /// So many commits came after it that nobody knows.
    Forgotten,
}

/// Whether `attempt` took place, by the newest manifest, which remembers `commits`.
///
/// That a file was created says nothing: manifests of old numbers are removed, and one that is created in
/// such a place counts for nobody.
pub(super) fn outcome(commits: &[Commit], attempt: &Commit) -> Outcome {
    if commits
        .last()
        .is_none_or(|last| last.number < attempt.number)
    {
        return Outcome::Absent;
    }
    match commits.iter().find(|known| known.number == attempt.number) {
        Some(known) if known == attempt => Outcome::Published,
        Some(_) => Outcome::Superseded,
        None => Outcome::Forgotten,
    }
}

/// Whether nobody reads or writes any more what run `run` alone uses, after `own` replaced `previous`. A run
/// that began later may be on its way. Ids have one length; `run-01` is the folder of somebody else.
pub(super) fn is_over(run: &str, own: &str, previous: Option<&str>) -> bool {
    run.len() == own.len() && run < own && previous != Some(run)
}

/// Whether the manifest `number` is needed by nobody after `own` was committed. Readers may be about to read
/// the one before.
pub(super) fn is_spent(number: u64, own: u64) -> bool {
    number + 1 < own
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(number: u64, run: &str) -> Commit {
        Commit {
            number,
            run: run.to_owned(),
        }
    }

    #[test]
    fn the_greatest_number_counts() {
        let hint = |commit, run: &str| Hint {
            commit,
            run: run.to_owned(),
        };
        for (listed, copied, first, last) in [
            (None, None, Newest::Nothing, Newest::Nothing),
            (None, Some(0), Newest::Pointer, Newest::Pointer),
            (None, Some(4), Newest::LookAgain, Newest::Pointer),
            (Some(4), None, Newest::Manifest(4), Newest::Manifest(4)),
            (Some(4), Some(0), Newest::Manifest(4), Newest::Manifest(4)),
            (Some(4), Some(3), Newest::Manifest(4), Newest::Manifest(4)),
            (Some(4), Some(4), Newest::Manifest(4), Newest::Manifest(4)),
            (Some(4), Some(5), Newest::LookAgain, Newest::Lost(5)),
        ] {
            let hint = copied.map(|commit| hint(commit, "r"));
            assert_eq!(newest(listed, hint.as_ref(), true), first);
            assert_eq!(newest(listed, hint.as_ref(), false), last);
        }
        let commits = [commit(0, "a"), commit(1, "b"), commit(2, "d")];
        for (copied, run, expected) in [
            (0, "e", true),
            (0, "a", false),
            (0, "d", false),
            (0, "c", false),
            (3, "e", false),
        ] {
            assert_eq!(
                is_written_over(&commits, &hint(copied, run)),
                expected,
                "{run}"
            );
        }
    }

    #[test]
    fn what_a_writer_did_is_known_from_later_manifests() {
        let mut commits = vec![commit(3, "a")];
        let mine = commit(4, "b");
        assert_eq!(outcome(&commits, &mine), Outcome::Absent);
        assert_eq!(outcome(&[], &mine), Outcome::Absent);
        commits = with_next(&commits, mine.clone());
        assert_eq!(outcome(&commits, &mine), Outcome::Published);
        assert_eq!(outcome(&commits, &commit(4, "c")), Outcome::Superseded);
        for number in 5..104 {
            assert_eq!(outcome(&commits, &mine), Outcome::Published);
            commits = with_next(&commits, commit(number, "x"));
        }
        assert_eq!(commits.len(), REMEMBERED);
        assert_eq!(outcome(&commits, &mine), Outcome::Published);
        commits = with_next(&commits, commit(104, "x"));
        assert_eq!(outcome(&commits, &mine), Outcome::Forgotten);
    }
}
