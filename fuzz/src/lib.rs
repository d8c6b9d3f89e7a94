//! Inputs with changed bytes, for ordinary tests: what `make fuzz` does with coverage, for a moment.
//!
//! A target is a function beside the code that it tests, such as `emporia_connectors::delimited::fuzz`.
//! It takes any bytes, and panics where a property does not hold. libFuzzer runs it through
//! `fuzz_targets/`; the unit tests of its crate run it through [`run`]. Both begin with the files of
//! `corpus/TARGET/`, and both put in the words of `words/TARGET.dict`.

mod changes;
mod words;

use std::io::Write;
use std::path::Path;

use changes::{Dice, changed};

/// What became of the inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Inputs that were read.
    pub n_read: usize,
    /// Inputs that were refused.
    pub n_refused: usize,
}

/// Runs the `body` of a target over its corpus and `n_changed` changed inputs, the same each time. The
/// body tells whether the input was read.
///
/// # Panics
/// Where the body does, after it was told with which input; where there is no corpus.
#[expect(clippy::panic, reason = "it is called by tests only")]
pub fn run(target: &str, n_changed: u64, mut body: impl FnMut(&[u8]) -> bool) -> Outcome {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = corpus(&folder.join("corpus").join(target));
    let words = folder.join("words").join(format!("{target}.dict"));
    let words = words::parse(&std::fs::read_to_string(words).unwrap_or_default());
    if corpus.is_empty() || words.is_empty() {
        panic!("the target {target} has no corpus or no words");
    }
    let mut outcome = Outcome::default();
    let mut take = |input: &[u8]| {
        let shown = Shown(input);
        match body(shown.0) {
            true => outcome.n_read += 1,
            false => outcome.n_refused += 1,
        }
    };
    for input in &corpus {
        take(input);
    }
    for seed in 0..n_changed {
        let mut dice = Dice::new(seed);
        if let Some(good) = corpus.get(dice.below(corpus.len())) {
            take(&changed(good, &words, &mut dice));
        }
    }
    outcome
}

/// The files of a folder in the order of their names.
fn corpus(folder: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    let files = paths.into_iter().map(std::fs::read);
    files.filter_map(Result::ok).collect()
}

/// Tells the input if the body panics with it.
struct Shown<'a>(&'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let text = format!("the input was b\"{}\"\n", self.0.escape_ascii());
            let _ = std::io::stderr().write_all(text.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_a_corpus_and_words() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut n_targets = 0;
        for target in std::fs::read_dir(folder.join("fuzz_targets")).unwrap() {
            let target = target.unwrap().path();
            let name = target.file_stem().unwrap().to_str().unwrap();
            let outcome = run(name, 100, |input| input.len() % 2 == 0);
            assert!(outcome.n_read + outcome.n_refused > 100, "{name}");
            assert_eq!(run(name, 100, |input| input.len() % 2 == 0), outcome);
            n_targets += 1;
        }
        assert_eq!(n_targets, 8);
    }
}
