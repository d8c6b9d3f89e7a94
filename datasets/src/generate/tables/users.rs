//! Users and where they live.

use std::ops::Range;

use arrow::array::RecordBatch;
use emporia_core::Result;

use super::id;
use crate::columns::{batch, optional_text, text, times};
use crate::generate::customer;
use crate::generate::world::World;
use crate::rng::{Rng, Stream};

/// City, state of the United States, country.
pub(super) type Place = (&'static str, Option<&'static str>, &'static str);

const PLACES: [Place; 24] = [
    ("New York", Some("NY"), "US"),
    ("Los Angeles", Some("CA"), "US"),
    ("Chicago", Some("IL"), "US"),
    ("Houston", Some("TX"), "US"),
    ("Phoenix", Some("AZ"), "US"),
    ("Philadelphia", Some("PA"), "US"),
    ("San Diego", Some("CA"), "US"),
    ("Dallas", Some("TX"), "US"),
    ("Seattle", Some("WA"), "US"),
    ("Denver", Some("CO"), "US"),
    ("Boston", Some("MA"), "US"),
    ("Atlanta", Some("GA"), "US"),
    ("Miami", Some("FL"), "US"),
    ("Portland", Some("OR"), "US"),
    ("Toronto", None, "CA"),
    ("Vancouver", None, "CA"),
    ("London", None, "GB"),
    ("Manchester", None, "GB"),
    ("Berlin", None, "DE"),
    ("Munich", None, "DE"),
    ("Paris", None, "FR"),
    ("Madrid", None, "ES"),
    ("Kigali", None, "RW"),
    ("Sydney", None, "AU"),
];
/// The first places are the larger ones.
const PLACE_SKEW: f64 = 1.6;

/// Where a user lives.
pub(super) fn home(seed: u64, user: u64) -> Place {
    let mut rng = Rng::at(seed, Stream::User, user);
    let _registration = rng.bits();
    PLACES[(rng.uniform().powf(PLACE_SKEW) * PLACES.len() as f64) as usize]
}

/// Where a user is in a session: nearly always at home.
pub(super) fn place_of_visit(home: Place, session: u64) -> Place {
    // A twentieth of the sessions is on a journey.
    match session.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32 {
        far if far % 20 == 0 => PLACES[(far / 20) as usize % PLACES.len()],
        _ => home,
    }
}

/// Rows of `users`.
pub(crate) fn users(world: &World, users: Range<u64>) -> Result<RecordBatch> {
    let registered: Vec<i64> = users
        .clone()
        .map(|user| customer::registration(world.seed, user))
        .collect();
    let last_active = users.clone().zip(&registered).map(|(user, registered)| {
        let (_, orders) = world.orders(user);
        let (_, visits) = world.visits(user, &orders);
        let ordered = orders.iter().map(|order| order.second);
        let visited = visits.iter().map(|visit| visit.end);
        ordered.chain(visited).max().unwrap_or(*registered)
    });
    let homes: Vec<Place> = users.clone().map(|user| home(world.seed, user)).collect();
    batch(
        "users",
        vec![
            text(users.clone().map(id::user)),
            times(registered.iter().copied()),
            times(last_active),
            text(homes.iter().map(|place| place.0)),
            optional_text(homes.iter().map(|place| place.1)),
            text(homes.iter().map(|place| place.2)),
        ],
    )
}
