//! The goods: categories, products and their prices over time.

use chrono::{Datelike, NaiveDate};

use crate::process::{END_DAY, FIRST_DAY};
use crate::rng::{Rng, Stream};

pub(crate) const SECONDS_PER_DAY: i64 = 86_400;

/// Lowest and highest first price in cents; prices are log-uniform between them, so that a basket
/// can be made for nearly every sum of money.
const PRICE_RANGE: (f64, f64) = (300.0, 40_000.0);
/// Share of the products that are on sale at the end.
const ACTIVE: f64 = 0.95;
/// Largest stock that is left at the end.
const MAX_STOCK: i64 = 1_000;

const CATEGORIES: [&str; 25] = [
    "Electronics",
    "Computers",
    "Phones",
    "Cameras",
    "Audio",
    "Clothing",
    "Shoes",
    "Jewelry",
    "Watches",
    "Books",
    "Music",
    "Games",
    "Toys",
    "Kitchen",
    "Furniture",
    "Garden",
    "Tools",
    "Sports",
    "Outdoor",
    "Beauty",
    "Health",
    "Grocery",
    "Pets",
    "Baby",
    "Office",
];
const GROUPS: [&str; 5] = ["Basics", "Classics", "Premium", "Accessories", "Seasonal"];
const ADJECTIVES: [&str; 12] = [
    "Compact", "Modern", "Sturdy", "Light", "Smart", "Soft", "Bright", "Quiet", "Rapid", "Solid",
    "Fresh", "Prime",
];
const NOUNS: [&str; 12] = [
    "Set", "Kit", "Pack", "Box", "Unit", "Piece", "Model", "Pair", "Bundle", "Edition", "Series",
    "Item",
];

/// A subcategory of a category.
#[derive(Debug)]
pub(crate) struct Subcategory {
    pub(crate) category: u32,
    /// Position within the category.
    pub(crate) position: u32,
    /// In ten-thousandths.
    pub(crate) profit_margin: i128,
}

/// A product; its prices are in [`Catalogue::prices_of`].
#[derive(Debug)]
pub(crate) struct Product {
    pub(crate) subcategory: u32,
    /// Seconds since 1970; before the first day.
    pub(crate) created: i64,
    pub(crate) is_active: bool,
    /// Stock is provisioned: a product started with what it sells plus this, so that no sale and
    /// no cart ever meets an empty shelf.
    pub(crate) current_stock: i32,
    first_price: i64,
    /// Price lists with which the price changes, and the prices.
    changes: Vec<(usize, i64)>,
}

/// The prices of one quarter; prices change with the quarter and at no other time.
#[derive(Debug)]
struct PriceList {
    /// Seconds since 1970.
    from: i64,
    /// Cents by product.
    cents: Vec<u32>,
    /// Products by rising price.
    by_price: Vec<u32>,
}

/// All goods.
#[derive(Debug)]
pub(crate) struct Catalogue {
    pub(crate) subcategories: Vec<Subcategory>,
    pub(crate) products: Vec<Product>,
    price_lists: Vec<PriceList>,
    /// Products from the most popular one on.
    by_popularity: Vec<u32>,
}

impl Catalogue {
    /// Makes the goods.
    pub(crate) fn new(seed: u64, n_products: u64) -> Self {
        let subcategories = subcategories(seed);
        let quarters = quarter_starts();
        let products: Vec<Product> = (0..n_products)
            .map(|number| product(seed, number, subcategories.len(), quarters.len()))
            .collect();

        let mut cents: Vec<u32> = products.iter().map(|p| p.first_price as u32).collect();
        let price_lists = quarters
            .into_iter()
            .enumerate()
            .map(|(list, from)| {
                for (product, price) in products.iter().zip(&mut cents) {
                    if let Some((_, changed)) = product.changes.iter().find(|c| c.0 == list) {
                        *price = *changed as u32;
                    }
                }
                let mut by_price: Vec<u32> = (0..n_products as u32).collect();
                by_price.sort_by_key(|&product| (cents[product as usize], product));
                PriceList {
                    from,
                    cents: cents.clone(),
                    by_price,
                }
            })
            .collect();

        let mut by_popularity: Vec<u32> = (0..n_products as u32).collect();
        by_popularity.sort_by_key(|&p| Rng::at(seed, Stream::Popularity, p.into()).bits());
        Self {
            subcategories,
            products,
            price_lists,
            by_popularity,
        }
    }

    /// The price list of a time in seconds since 1970.
    pub(crate) fn price_list(&self, second: i64) -> usize {
        self.price_lists
            .partition_point(|list| list.from <= second)
            .saturating_sub(1)
    }

    /// The price of a product in cents.
    pub(crate) fn price(&self, list: usize, product: u32) -> i64 {
        self.price_lists[list].cents[product as usize].into()
    }

    /// The products by rising price.
    pub(crate) fn by_price(&self, list: usize) -> &[u32] {
        &self.price_lists[list].by_price
    }

    /// The number of products that cost less than `cents`.
    pub(crate) fn cheaper_than(&self, list: usize, cents: i64) -> usize {
        self.by_price(list)
            .partition_point(|&product| self.price(list, product) < cents)
    }

    /// The history of prices of a product: seconds since 1970, and cents.
    pub(crate) fn prices_of(&self, product: &Product) -> Vec<(i64, i64)> {
        let first = (product.created, product.first_price);
        let changes = product.changes.iter();
        std::iter::once(first)
            .chain(changes.map(|&(list, price)| (self.price_lists[list].from, price)))
            .collect()
    }

    /// A product by popularity: the first tenth of them makes a third of the draws.
    pub(crate) fn popular(&self, rng: &mut Rng) -> u32 {
        let rank = rng.uniform().powf(2.1) * self.by_popularity.len() as f64;
        self.by_popularity[rank as usize]
    }

    /// The product that is often bought with this one.
    pub(crate) fn companion(&self, product: u32) -> u32 {
        let n = self.products.len() as u32;
        // An even number and the odd one after it are companions of each other.
        (product ^ 1).min(n - 1)
    }

    /// The category of a product.
    pub(crate) fn category(&self, product: u32) -> u32 {
        let subcategory = self.products[product as usize].subcategory;
        self.subcategories[subcategory as usize].category
    }
}

/// The number of categories.
pub(crate) const fn n_categories() -> usize {
    CATEGORIES.len()
}

/// The name of a category.
pub(crate) fn category_name(category: u32) -> &'static str {
    CATEGORIES[category as usize]
}

/// The name of a subcategory.
pub(crate) fn subcategory_name(subcategory: &Subcategory) -> String {
    let group = GROUPS[subcategory.position as usize];
    format!("{} {group}", category_name(subcategory.category))
}

/// The name of a product.
pub(crate) fn product_name(catalogue: &Catalogue, product: u32) -> String {
    let number = product as usize;
    let adjective = ADJECTIVES[number % ADJECTIVES.len()];
    let noun = NOUNS[(number / ADJECTIVES.len()) % NOUNS.len()];
    let category = category_name(catalogue.category(product));
    format!("{adjective} {category} {noun} {:03}", number % 1_000)
}

fn subcategories(seed: u64) -> Vec<Subcategory> {
    let mut all = Vec::new();
    for category in 0..CATEGORIES.len() as u32 {
        let mut rng = Rng::at(seed, Stream::Subcategory, category.into());
        for position in 0..rng.between(3, GROUPS.len() as i64) as u32 {
            all.push(Subcategory {
                category,
                position,
                profit_margin: i128::from(rng.between(10, 40)) * 100,
            });
        }
    }
    all
}

fn product(seed: u64, number: u64, n_subcategories: usize, n_lists: usize) -> Product {
    let mut rng = Rng::at(seed, Stream::Product, number);
    let (low, high) = PRICE_RANGE;
    let first_price = (low * (high / low).powf(rng.uniform())).round() as i64;
    let created = FIRST_DAY * SECONDS_PER_DAY - rng.between(1, 365 * SECONDS_PER_DAY);
    let mut lists: Vec<usize> = (0..rng.below(3))
        .map(|_| rng.below(n_lists as u64) as usize)
        .collect();
    lists.sort_unstable();
    lists.dedup();
    let mut price = first_price;
    let changes = lists
        .into_iter()
        .map(|list| {
            price = (price as f64 * (0.8 + 0.4 * rng.uniform())).round() as i64;
            (list, price)
        })
        .collect();
    Product {
        subcategory: rng.below(n_subcategories as u64) as u32,
        created,
        is_active: rng.chance(ACTIVE),
        current_stock: rng.between(0, MAX_STOCK) as i32,
        first_price,
        changes,
    }
}

/// The seconds since 1970 at which the quarters of the data begin.
fn quarter_starts() -> Vec<i64> {
    (FIRST_DAY..END_DAY)
        .filter(|&day| {
            NaiveDate::from_epoch_days(day as i32)
                .is_some_and(|date| date.day() == 1 && date.month0() % 3 == 0)
        })
        .map(|day| day * SECONDS_PER_DAY)
        .collect()
}
