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

    /// The values that are in one of the sets.
    pub(super) fn union(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Integers(a), Self::Integers(b)) => Self::integers([&a[..], &b[..]].concat()),
            (Self::Bytes(a), Self::Bytes(b)) => Self::bytes([&a[..], &b[..]].concat()),
            // Both are sets of values of one column, so this does not happen; all is a superset.
            (Self::Integers(_), Self::Bytes(_)) => Self::integers(vec![(i128::MIN, i128::MAX)]),
            (Self::Bytes(_), Self::Integers(_)) => Self::bytes(vec![KeyRange::all()]),
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
            prop_assert_eq!(contains(&a.union(&b)), contains(&a) || contains(&b));
            prop_assert_eq!(contains(&a.intersection(&b)), contains(&a) && contains(&b));
            if let Some(points) = a.points(5) {
                prop_assert!(points.len() <= 5);
                prop_assert_eq!(points.iter().any(contains), contains(&a));
            }
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
