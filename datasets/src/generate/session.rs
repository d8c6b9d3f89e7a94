//! What happens in one session: devices, products, cart and pages.

use super::basket::{self, Line};
use super::catalogue::Catalogue;
use super::customer::{Outcome, Visit};
use crate::process::SESSION_MIX;
use crate::rng::{Rng, Stream};

/// Fewest and most pages of a session; a converted session with many lines can have a few more.
const PAGES: (i64, i64) = (4, 16);
/// Lowest and highest value of an abandoned cart in cents, log-uniform.
const ABANDONED_CENTS: (f64, f64) = (2_000.0, 60_000.0);
/// Most lines of an abandoned cart; the basket is cut there.
const ABANDONED_LINES: usize = 3;

/// What the sessions table says about a session beyond its visit.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) device: &'static str,
    pub(crate) os: &'static str,
    pub(crate) browser: &'static str,
    pub(crate) referrer: &'static str,
    pub(crate) ip: [u8; 4],
    /// Distinct products in the order of their pages.
    pub(crate) viewed: Vec<u32>,
    /// A part of the viewed products.
    pub(crate) cart: Vec<Line>,
    pub(crate) n_pages: usize,
}

/// The pages at the end of a session.
pub(crate) fn closing_pages(outcome: Outcome) -> &'static [&'static str] {
    match outcome {
        Outcome::Browsed => &[],
        Outcome::Abandoned {
            reached_checkout: false,
        } => &["cart"],
        Outcome::Abandoned {
            reached_checkout: true,
        } => &["cart", "checkout"],
        Outcome::Converted { .. } => &["cart", "checkout", "confirmation"],
    }
}

impl Session {
    /// Draws the details of session `number`; `basket` is that of the order of a converted one.
    pub(crate) fn draw(
        seed: u64,
        number: u64,
        visit: &Visit,
        basket: Option<Vec<Line>>,
        catalogue: &Catalogue,
    ) -> Self {
        let mut rng = Rng::at(seed, Stream::Session, number);
        let rng = &mut rng;
        let (device, os, browser) = device(rng);
        let referrer = rng.pick(&["direct", "email", "social", "search_engine", "affiliate"]);
        // 198.18.0.0/15 is set aside for tests and belongs to nobody.
        let host = rng.below(1 << 17);
        let ip = [198, 18 + (host >> 16) as u8, (host >> 8) as u8, host as u8];

        let cart = match (visit.outcome, basket) {
            (Outcome::Converted { .. }, Some(basket)) => basket,
            (Outcome::Abandoned { .. }, _) => abandoned_cart(catalogue, visit.end, rng),
            _ => Vec::new(),
        };
        let n_closing = closing_pages(visit.outcome).len();
        let n_pages = rng.between(PAGES.0, PAGES.1) as usize;
        let n_pages = n_pages.max(1 + cart.len() + n_closing);
        // One page is the entry; some of the others are listings and searches.
        let room = n_pages - 1 - n_closing - cart.len();
        let is_blind = cart.is_empty() && rng.chance(SESSION_MIX.blind_of_browsed());
        let least = usize::from(cart.is_empty() && !is_blind);
        let n_more = if is_blind {
            0
        } else {
            (rng.below(room as u64 + 1) as usize).max(least)
        };
        let viewed = viewed_products(catalogue, &cart, n_more, rng);
        Self {
            device,
            os,
            browser,
            referrer,
            ip,
            viewed,
            cart,
            n_pages,
        }
    }
}

fn device(rng: &mut Rng) -> (&'static str, &'static str, &'static str) {
    let device = ["mobile", "desktop", "tablet"][rng.weighted(&[0.55, 0.35, 0.10])];
    let is_apple = rng.chance(0.5);
    let os = match (device, is_apple) {
        ("desktop", true) => "macOS",
        ("desktop", false) => "Windows",
        (_, true) => "iOS",
        (_, false) => "Android",
    };
    let browsers: &[&str] = match os {
        "macOS" | "iOS" => &["Safari", "Safari", "Chrome", "Firefox"],
        "Windows" => &["Chrome", "Chrome", "Edge", "Firefox"],
        _ => &["Chrome", "Chrome", "Chrome", "Firefox"],
    };
    (device, os, rng.pick(browsers))
}

fn abandoned_cart(catalogue: &Catalogue, second: i64, rng: &mut Rng) -> Vec<Line> {
    let (low, high) = ABANDONED_CENTS;
    let cents = (low * (high / low).powf(rng.uniform())) as i64;
    let mut cart = basket::draw(catalogue, catalogue.price_list(second), cents, rng);
    cart.truncate(ABANDONED_LINES);
    cart
}

/// The products of the cart with `n_more` others mixed in, all distinct.
fn viewed_products(catalogue: &Catalogue, cart: &[Line], n_more: usize, rng: &mut Rng) -> Vec<u32> {
    let mut viewed: Vec<u32> = cart.iter().map(|line| line.product).collect();
    for _ in 0..n_more {
        let product = catalogue.popular(rng);
        if !viewed.contains(&product) {
            let at = rng.below(viewed.len() as u64 + 1) as usize;
            viewed.insert(at, product);
        }
    }
    viewed
}

/// A page of a session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page {
    pub(crate) page_type: &'static str,
    pub(crate) product: Option<u32>,
    pub(crate) category: Option<u32>,
    /// Seconds since 1970.
    pub(crate) second: i64,
    /// Seconds to the next page or the end of the session.
    pub(crate) duration: i32,
}

/// The pages of session `number`, in the order of time: an entry, a Markov walk between listings,
/// searches and the viewed products, and the closing pages of the outcome.
pub(crate) fn pages(
    seed: u64,
    number: u64,
    visit: &Visit,
    session: &Session,
    catalogue: &Catalogue,
) -> Vec<Page> {
    let mut rng = Rng::at(seed, Stream::Pages, number);
    let closing = closing_pages(visit.outcome);
    let n_walk = session.n_pages - closing.len();
    let mut walk: Vec<Page> = Vec::with_capacity(session.n_pages);
    let mut to_view = session.viewed.iter().copied().peekable();
    while walk.len() < n_walk {
        let left = n_walk - walk.len();
        let must_view = to_view.len() >= left;
        // The next product is viewed as often as the rest of the walk needs it.
        let views_next = !walk.is_empty() && rng.below(left as u64) < to_view.len() as u64;
        if must_view || views_next {
            let product = to_view.next();
            let category = product.map(|product| catalogue.category(product));
            walk.push(page("product_detail", product, category));
            continue;
        }
        let weights = match walk.last().map(|page: &Page| page.page_type) {
            None => [0.60, 0.25, 0.15],
            Some("home") => [0.05, 0.45, 0.50],
            Some("search") => [0.10, 0.55, 0.35],
            _ => [0.15, 0.40, 0.45],
        };
        walk.push(match rng.weighted(&weights) {
            0 => page("home", None, None),
            1 => page("search", None, None),
            _ => {
                // The listing in which the next product will be found.
                let next = to_view.peek().copied();
                let product = next.unwrap_or_else(|| catalogue.popular(&mut rng));
                page("category_listing", None, Some(catalogue.category(product)))
            }
        });
    }
    walk.extend(closing.iter().map(|page_type| page(page_type, None, None)));

    let mut starts: Vec<i64> = (1..walk.len())
        .map(|_| rng.between(visit.start, visit.end))
        .collect();
    starts.push(visit.start);
    starts.sort_unstable();
    starts.push(visit.end);
    for (page, at) in walk.iter_mut().zip(starts.windows(2)) {
        page.second = at[0];
        page.duration = (at[1] - at[0]) as i32;
    }
    walk
}

fn page(page_type: &'static str, product: Option<u32>, category: Option<u32>) -> Page {
    Page {
        page_type,
        product,
        category,
        second: 0,
        duration: 0,
    }
}
