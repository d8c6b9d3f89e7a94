//! The event stream of a multi-category store: views, carts and purchases in sessions.
//!
//! The stream is made of blocks of [`BLOCK_EVENTS`] events, each a slice of time in which whole
//! sessions begin; only the last session of a block is cut. Events are in the order of time within
//! a block. A user shows up at most once per block, and the blocks near to each other have no user
//! in common, so that a pause of 30 minutes tells the sessions of a user apart.

use std::collections::HashSet;
use std::ops::Range;

use arrow::array::RecordBatch;
use emporia_core::Result;

use crate::columns::{batch, cents, int64, optional_text, text, times};
use crate::generate::catalogue::SECONDS_PER_DAY;
use crate::generate::world::World;
use crate::process::END_DAY;
use crate::rng::{Rng, Stream};

/// Events of a block.
pub(crate) const BLOCK_EVENTS: u64 = 1_000;

/// Days that the stream covers.
const DAYS: i64 = 90;
/// The last session begins so many seconds before the end of the stream, to end before it.
const LAST_SESSION_SECONDS: i64 = 10_800;
/// Longest pause in a session in seconds; less than the 30 minutes that end one.
const MAX_PAUSE: i64 = 900;
const MEAN_PAUSE: f64 = 90.0;
/// Blocks whose numbers have equal remainders share their users.
const USER_GROUPS: u64 = 64;
/// Users of a group; at least so many that a block finds a new one for each of its sessions.
const MIN_GROUP_USERS: u64 = 1_500;
const EVENTS_PER_USER: u64 = 20;
const N_PRODUCTS: u64 = 20_000;
const MEAN_MORE_VIEWS: f64 = 3.0;
const MAX_VIEWS: usize = 12;
const CART_OF_VIEW: f64 = 0.18;
const PURCHASE_OF_CART: f64 = 0.35;
const CODES: [&str; 16] = [
    "electronics.smartphone",
    "electronics.audio.headphone",
    "electronics.video.tv",
    "electronics.clocks",
    "computers.notebook",
    "computers.peripherals.mouse",
    "appliances.kitchen.kettle",
    "appliances.kitchen.refrigerators",
    "appliances.environment.vacuum",
    "furniture.living_room.sofa",
    "furniture.bedroom.bed",
    "apparel.shoes",
    "apparel.shirt",
    "kids.toys",
    "auto.accessories.player",
    "sport.bicycle",
];
const BRANDS: [&str; 16] = [
    "alder", "borealis", "cobalt", "dunlin", "ember", "fjord", "granite", "harbor", "indigo",
    "juniper", "kestrel", "lumen", "meridian", "nimbus", "osprey", "pinnacle",
];

struct Event {
    second: i64,
    event_type: &'static str,
    product: u64,
    user: u64,
    session: u64,
}

/// Rows of `events` for a range of rows; ranges begin at a block.
pub(crate) fn events(world: &World, rows: Range<u64>) -> Result<RecordBatch> {
    let n_blocks = world.sizes.events.div_ceil(BLOCK_EVENTS);
    let blocks = rows.start / BLOCK_EVENTS..rows.end.div_ceil(BLOCK_EVENTS);
    let mut all: Vec<Event> = blocks
        .flat_map(|block| block_of(world, block, n_blocks))
        .collect();
    all.truncate((rows.end - rows.start) as usize);

    let products: Vec<EventProduct> = all
        .iter()
        .map(|event| EventProduct::new(world.seed, event.product))
        .collect();
    batch(
        "events",
        vec![
            int64(rows.map(|row| row as i64 + 1)),
            times(all.iter().map(|event| event.second)),
            text(all.iter().map(|event| event.event_type)),
            text(
                all.iter()
                    .map(|event| (1_000_000 + event.product * 37).to_string()),
            ),
            text(
                products
                    .iter()
                    .map(|p| (2_053_013_550_000 + p.category as u64 * 11).to_string()),
            ),
            optional_text(
                products
                    .iter()
                    .map(|p| p.has_code.then(|| CODES[p.category])),
            ),
            optional_text(products.iter().map(|p| p.brand)),
            cents(products.iter().map(|p| p.price))?,
            text(
                all.iter()
                    .map(|event| (500_000_000 + event.user).to_string()),
            ),
            text(all.iter().map(|event| format!("us_{:012x}", event.session))),
        ],
    )
}

/// What an event says about its product, always the same.
struct EventProduct {
    category: usize,
    has_code: bool,
    brand: Option<&'static str>,
    price: i64,
}

impl EventProduct {
    fn new(seed: u64, product: u64) -> Self {
        let mut rng = Rng::at(seed, Stream::EventProduct, product);
        let category = rng.below(CODES.len() as u64) as usize;
        let brand = rng.pick(&BRANDS);
        Self {
            category,
            // A whole category has a code or not, a product has a brand or not.
            has_code: category % 4 != 3,
            brand: (!rng.chance(0.14)).then_some(brand),
            price: (500.0 * 200_f64.powf(rng.uniform())) as i64,
        }
    }
}

fn block_of(world: &World, block: u64, n_blocks: u64) -> Vec<Event> {
    let mut rng = Rng::at(world.seed, Stream::EventBlock, block);
    let start = (END_DAY - DAYS) * SECONDS_PER_DAY;
    let span = DAYS * SECONDS_PER_DAY - LAST_SESSION_SECONDS;
    let at = |block: u64| start + (span as i128 * i128::from(block) / i128::from(n_blocks)) as i64;
    let (from, to) = (at(block), at(block + 1));

    let group_users = (world.sizes.events / EVENTS_PER_USER / USER_GROUPS).max(MIN_GROUP_USERS);
    let mut seen = HashSet::new();
    let mut events = Vec::with_capacity(BLOCK_EVENTS as usize + 2 * MAX_VIEWS);
    while events.len() < BLOCK_EVENTS as usize {
        // Some users come more often than others.
        let user = (rng.uniform().powf(1.5) * group_users as f64) as u64;
        if seen.insert(user) {
            let session = block * BLOCK_EVENTS + seen.len() as u64;
            let user = user * USER_GROUPS + block % USER_GROUPS;
            let second = rng.between(from, to - 1);
            push_session(&mut events, user, session, second, &mut rng);
        }
    }
    events.truncate(BLOCK_EVENTS as usize);
    events.sort_by_key(|event| event.second);
    events
}

/// Views, of which some lead to the cart, of which some are bought at the end.
fn push_session(events: &mut Vec<Event>, user: u64, session: u64, start: i64, rng: &mut Rng) {
    let mut second = start;
    let mut push = |event_type, product, rng: &mut Rng| {
        events.push(Event {
            second,
            event_type,
            product,
            user,
            session,
        });
        second += 1 + (rng.exponential(MEAN_PAUSE) as i64).min(MAX_PAUSE);
    };
    let n_views = 1 + (rng.exponential(MEAN_MORE_VIEWS) as usize).min(MAX_VIEWS - 1);
    let mut cart = Vec::new();
    for _ in 0..n_views {
        let product = (rng.uniform().powi(2) * N_PRODUCTS as f64) as u64;
        push("view", product, rng);
        if !cart.contains(&product) && rng.chance(CART_OF_VIEW) {
            push("cart", product, rng);
            cart.push(product);
        }
    }
    if !cart.is_empty() && rng.chance(PURCHASE_OF_CART) {
        for product in cart {
            push("purchase", product, rng);
        }
    }
}
