//! Sets of values of one column.

use emporia_hbase::KeyRange;

use super::super::value::Kind;

/// A set of values that are not null.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) enum Domain {
    /// Intervals of integers, both ends included, sorted and disjoint; of floats, their places in
    /// the total order.
    Integers(Vec<(i128, i128)>),
    /// Intervals of bytes, sorted and disjoint; of text, its UTF-8.
    Bytes(Vec<KeyRange>),
}

impl Domain {
    /// All values of a column of the kind.
    pub(super) fn all(kind: Kind) -> Self {
        match Self::bounds(kind) {
            Some(bounds) => Self::Integers(vec![bounds]),
            None => Self::Bytes(vec![KeyRange::all()]),
        }
    }

    /// Smallest and largest integer of sets of values of the kind, `None` where its values are
    /// bytes or nested.
    pub(super) fn bounds(kind: Kind) -> Option<(i128, i128)> {
        match kind {
            Kind::Float32 | Kind::Float64 => Some((i64::MIN.into(), i64::MAX.into())),
            _ => kind.bounds(),
        }
    }

    /// The integers of these intervals, in any order and overlapping or not.
    pub(super) fn integers(mut intervals: Vec<(i128, i128)>) -> Self {
        intervals.retain(|(low, high)| low <= high);
        intervals.sort_unstable();
        let mut merged: Vec<(i128, i128)> = Vec::with_capacity(intervals.len());
        for (low, high) in intervals {
            match merged.last_mut() {
                Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
                _ => merged.push((low, high)),
            }
        }
        Self::Integers(merged)
    }

    /// The byte strings of these intervals, in any order and overlapping or not.
    pub(super) fn bytes(intervals: Vec<KeyRange>) -> Self {
        Self::Bytes(KeyRange::merge(intervals))
    }

    /// Whether no value is in the set.
    pub(in super::super) fn is_empty(&self) -> bool {
        match self {
            Self::Integers(intervals) => intervals.is_empty(),
            Self::Bytes(intervals) => intervals.is_empty(),
        }
    }

    /// The values that are in one of the sets, which are sets of values of one column.
    pub(super) fn union(sets: Vec<Self>) -> Self {
        let are_bytes = matches!(sets.first(), Some(Self::Bytes(_)));
        let (mut numbers, mut ranges) = (Vec::new(), Vec::new());
        for set in sets {
            match set {
                Self::Integers(intervals) => numbers.extend(intervals),
                Self::Bytes(intervals) => ranges.extend(intervals),
            }
        }
        match are_bytes {
            true => Self::bytes(ranges),
            false => Self::integers(numbers),
        }
    }

    /// The values of a column of `kind` that are in none of the sets.
    pub(super) fn none_of(kind: Kind, sets: Vec<Self>) -> Self {
        match (Self::union(sets), Self::bounds(kind)) {
            (Self::Integers(taken), Some((least, most))) => {
                let mut free = Vec::with_capacity(taken.len() + 1);
                let mut start = least;
                for (low, high) in taken {
                    free.push((start, low.saturating_sub(1)));
                    start = high.saturating_add(1);
                }
                free.push((start, most));
                Self::integers(free)
            }
            (Self::Bytes(taken), None) => {
                let mut free = Vec::with_capacity(taken.len() + 1);
                let mut start = Vec::new();
                for range in taken {
                    if !range.start.is_empty() {
                        free.push(KeyRange::new(start, range.start));
                    }
                    if range.end.is_empty() {
                        return Self::bytes(free);
                    }
                    start = range.end;
                }
                free.push(KeyRange::new(start, []));
                Self::bytes(free)
            }
            // No set at all.
            _ => Self::all(kind),
        }
    }

    /// The values that are in both sets.
    pub(super) fn intersection(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Integers(a), Self::Integers(b)) => {
                let pairs = a.iter().flat_map(|a| b.iter().map(move |b| (a, b)));
                Self::integers(pairs.map(|(a, b)| (a.0.max(b.0), a.1.min(b.1))).collect())
            }
            (Self::Bytes(a), Self::Bytes(b)) => {
                let pairs = a.iter().flat_map(|a| b.iter().map(move |b| (a, b)));
                Self::bytes(pairs.filter_map(|(a, b)| a.intersect(b)).collect())
            }
            _ => self.clone(),
        }
    }

    /// The values of the set one by one, where it has at most `max` of them; each as a set.
    pub(super) fn points(&self, max: usize) -> Option<Vec<Self>> {
        match self {
            Self::Integers(intervals) => {
                let mut points = Vec::new();
                for (low, high) in intervals {
                    if high.checked_sub(*low)? >= max as i128 {
                        return None;
                    }
                    points.extend((*low..=*high).map(|value| Self::Integers(vec![(value, value)])));
                }
                (points.len() <= max).then_some(points)
            }
            Self::Bytes(intervals) => {
                let is_point = |range: &KeyRange| range.end == emporia_hbase::after(&range.start);
                let points = intervals.len() <= max && intervals.iter().all(is_point);
                points.then(|| {
                    let sets = intervals
                        .iter()
                        .map(|range| Self::Bytes(vec![range.clone()]));
                    sets.collect()
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sets_of_integers_behave_as_sets(
            a in vec((-9..9_i128, -9..9_i128), 0..4),
            b in vec((-9..9_i128, -9..9_i128), 0..4),
            value in -10..10_i128,
        ) {
            let contains = |domain: &Domain| match domain {
                Domain::Integers(all) => all.iter().any(|(low, high)| (low..=high).contains(&&value)),
                Domain::Bytes(_) => unreachable!(),
            };
            let (a, b) = (Domain::integers(a), Domain::integers(b));
            let union = Domain::union(vec![a.clone(), b.clone()]);
            prop_assert_eq!(contains(&union), contains(&a) || contains(&b));
            let rest = Domain::none_of(Kind::Integer(8), vec![a.clone()]);
            prop_assert_eq!(contains(&rest), !contains(&a));
            prop_assert_eq!(contains(&a.intersection(&b)), contains(&a) && contains(&b));
            if let Some(points) = a.points(5) {
                prop_assert!(points.len() <= 5);
                prop_assert_eq!(points.iter().any(contains), contains(&a));
            }
        }
    }

    proptest! {
        #[test]
        fn the_rest_of_a_set_of_texts_is_what_is_not_in_it(
            texts in vec("[ab]{0,2}", 0..5),
            prefix in "[ab]{0,2}",
            value in "[abc]{0,3}",
        ) {
            let mut sets: Vec<_> = texts
                .iter()
                .map(|text| Domain::bytes(vec![KeyRange::only(text.as_bytes())]))
                .collect();
            sets.push(Domain::bytes(vec![KeyRange::prefix(prefix.as_bytes())]));
            let contains = |domain: &Domain| match domain {
                Domain::Bytes(all) => all.iter().any(|range| range.contains(value.as_bytes())),
                Domain::Integers(_) => unreachable!(),
            };
            let is_taken = sets.iter().any(contains);
            prop_assert_eq!(contains(&Domain::none_of(Kind::Text, sets)), !is_taken);
        }
    }

    #[test]
    fn only_points_are_points() {
        let texts = |ranges: Vec<KeyRange>| Domain::bytes(ranges);
        let two = texts(vec![KeyRange::only(b"b"), KeyRange::only(b"a")]);
        assert_eq!(two.points(2).map(|points| points.len()), Some(2));
        assert_eq!(two.points(1), None);
        assert_eq!(texts(vec![KeyRange::prefix(b"a")]).points(9), None);
        assert_eq!(
            Domain::integers(vec![(i128::MIN, i128::MAX)]).points(9),
            None
        );
        assert_eq!(Domain::integers(vec![(1, 0)]), Domain::Integers(Vec::new()));
    }
}
