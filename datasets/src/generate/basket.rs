//! What is in a basket of a given value.
//!
//! Every line has the price of the price list, so the value cannot be had exactly. All lines but
//! the last are drawn by popularity, by companionship and within the budget; the last one is the
//! product and quantity that come closest to the rest.

use super::catalogue::Catalogue;
use crate::rng::Rng;

/// Shares of baskets with 1, 2, .. lines; the mean is three.
const LINES: [f64; 6] = [0.14, 0.25, 0.27, 0.18, 0.10, 0.06];
/// Shares of lines with 1, 2 and 3 pieces.
const PIECES: [f64; 3] = [0.75, 0.18, 0.07];
/// Probability that the second line is the companion of the first.
const COMPANION: f64 = 0.3;
/// The largest part of the rest that a line other than the last may take.
const LINE_SHARE: f64 = 0.6;
/// Draws by popularity before a line is taken by its price.
const TRIES: usize = 6;
/// Deviation from the value, as a part of it, that a smaller quantity may cost.
const TOLERANCE: f64 = 0.004;
/// Quantities that are tried for the last line, from the smallest possible one.
const LAST_QUANTITIES: i64 = 4;
/// Neighbours by price that are tried when the nearest one is in the basket already.
const NEIGHBOURS: usize = 8;

/// A line of a basket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) product: u32,
    pub(crate) quantity: i32,
    /// Price of a piece in cents.
    pub(crate) price: i64,
}

impl Line {
    /// Cents of the line.
    pub(crate) fn subtotal(&self) -> i64 {
        i64::from(self.quantity) * self.price
    }
}

/// Draws a basket of about `cents` with distinct products; it has one line at least.
pub(crate) fn draw(catalogue: &Catalogue, list: usize, cents: i64, rng: &mut Rng) -> Vec<Line> {
    let n_lines = rng.weighted(&LINES) + 1;
    let mut lines: Vec<Line> = Vec::with_capacity(n_lines);
    let mut rest = cents;
    while lines.len() + 1 < n_lines {
        let budget = (rest as f64 * LINE_SHARE) as i64;
        let Some(product) = within_budget(catalogue, list, budget, &lines, rng) else {
            break;
        };
        let price = catalogue.price(list, product);
        let mut quantity = rng.weighted(&PIECES) as i64 + 1;
        while quantity * price > budget {
            quantity -= 1;
        }
        rest -= quantity * price;
        lines.push(Line {
            product,
            quantity: quantity as i32,
            price,
        });
    }
    let tolerance = (cents as f64 * TOLERANCE) as i64;
    lines.extend(closest(catalogue, list, rest, tolerance, &lines));
    lines
}

/// A product that costs at most `budget` and is not in the basket.
fn within_budget(
    catalogue: &Catalogue,
    list: usize,
    budget: i64,
    lines: &[Line],
    rng: &mut Rng,
) -> Option<u32> {
    let fits = |product: u32| {
        catalogue.price(list, product) <= budget && !lines.iter().any(|l| l.product == product)
    };
    if let [first] = lines {
        let companion = catalogue.companion(first.product);
        if rng.chance(COMPANION) && fits(companion) {
            return Some(companion);
        }
    }
    for _ in 0..TRIES {
        let product = catalogue.popular(rng);
        if fits(product) {
            return Some(product);
        }
    }
    let affordable = catalogue.cheaper_than(list, budget + 1);
    let product = *catalogue
        .by_price(list)
        .get(rng.below(affordable as u64) as usize)?;
    fits(product).then_some(product)
}

/// The line that comes closest to `rest`.
fn closest(
    catalogue: &Catalogue,
    list: usize,
    rest: i64,
    tolerance: i64,
    lines: &[Line],
) -> Option<Line> {
    let by_price = catalogue.by_price(list);
    let highest = catalogue.price(list, *by_price.last()?);
    let least = (rest / highest).max(1);
    let mut best: Option<(i64, Line)> = None;
    for quantity in least..least + LAST_QUANTITIES {
        let at = catalogue.cheaper_than(list, rest / quantity);
        let near = at.saturating_sub(NEIGHBOURS)..(at + NEIGHBOURS).min(by_price.len());
        for &product in &by_price[near] {
            let price = catalogue.price(list, product);
            let off = (rest - quantity * price).abs();
            let is_better = best.is_none_or(|(least_off, _)| off < least_off);
            if is_better && !lines.iter().any(|line| line.product == product) {
                let quantity = quantity as i32;
                best = Some((
                    off,
                    Line {
                        product,
                        quantity,
                        price,
                    },
                ));
            }
        }
        if best.is_some_and(|(off, _)| off <= tolerance) {
            break;
        }
    }
    best.map(|(_, line)| line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    #[test]
    fn baskets_come_close_to_their_value() {
        for (n_products, allowed) in [(100, 0.012), (5_000, 0.003)] {
            let catalogue = Catalogue::new(42, n_products);
            let (mut n_lines, mut squares) = (0, 0.0);
            for row in 0..4_000 {
                let mut rng = Rng::at(1, Stream::Basket, row);
                let cents = rng.between(2_000, 90_000);
                let lines = draw(&catalogue, 3, cents, &mut rng);
                let value: i64 = lines.iter().map(Line::subtotal).sum();
                squares += (value as f64 / cents as f64 - 1.0).powi(2);
                n_lines += lines.len();
                assert!(lines.iter().all(|line| line.quantity > 0));
            }
            let deviation = (squares / 4_000.0).sqrt();
            assert!(deviation < allowed, "{n_products}: {deviation}");
            let mean = n_lines as f64 / 4_000.0;
            assert!((2.8..3.1).contains(&mean), "{mean}");
        }
    }
}
