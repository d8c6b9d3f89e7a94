//! Searches a model of a protocol: every order of the steps of all who take part, every crash, every lost answer.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// A state of a protocol; equal states have equal hashes.
pub(crate) trait Model: Clone + Hash {
    /// What may happen next: in words, and the state after it, or what is wrong with it.
    fn steps(&self) -> Vec<(String, Result<Self, String>)>;

    /// Looks at a state after which nothing happens.
    ///
    /// # Errors
    /// What is wrong with it.
    fn check_end(&self) -> Result<(), String>;
}

struct Trace {
    step: String,
    before: Option<Arc<Trace>>,
}

fn told(fault: &str, last: Option<&Arc<Trace>>) -> String {
    let mut steps = Vec::new();
    let mut trace = last;
    while let Some(found) = trace {
        steps.push(found.step.as_str());
        trace = found.before.as_ref();
    }
    steps.reverse();
    format!("{fault}, after:\n  {}", steps.join("\n  "))
}

/// Searches all states that `start` leads to; how many there are.
///
/// # Errors
/// The first fault that is found, with the steps that lead to it.
pub(crate) fn search<M: Model>(start: M) -> Result<usize, String> {
    let mut seen = HashSet::new();
    let mut open = vec![(start, None)];
    while let Some((state, trace)) = open.pop() {
        let mut hasher = DefaultHasher::new();
        state.hash(&mut hasher);
        if !seen.insert(hasher.finish()) {
            continue;
        }
        let steps = state.steps();
        if steps.is_empty() {
            state
                .check_end()
                .map_err(|fault| told(&fault, trace.as_ref()))?;
        }
        for (step, after) in steps {
            let before = trace.clone();
            let trace = Some(Arc::new(Trace { step, before }));
            let after = after.map_err(|fault| told(&fault, trace.as_ref()))?;
            open.push((after, trace));
        }
    }
    Ok(seen.len())
}
