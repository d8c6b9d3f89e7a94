//! Sessions and their page views.

use std::ops::Range;

use arrow::array::RecordBatch;
use emporia_core::Result;

use super::users::{Place, home, place_of_visit};
use super::{basket_of, id};
use crate::columns::{batch, carts, int32, lists, optional_text, text, times};
use crate::generate::customer::{Outcome, Visit};
use crate::generate::session::{self, Page, Session};
use crate::generate::world::World;

struct Row {
    number: u64,
    user: u64,
    place: Place,
    visit: Visit,
    session: Session,
}

fn rows_of(world: &World, user: u64) -> Vec<Row> {
    let (first_order, orders) = world.orders(user);
    let (first_session, visits) = world.visits(user, &orders);
    let home = home(world.seed, user);
    visits
        .into_iter()
        .zip(first_session..)
        .map(|(visit, number)| {
            let basket = match visit.outcome {
                Outcome::Converted { order } => {
                    Some(basket_of(world, first_order + order as u64, &orders[order]))
                }
                _ => None,
            };
            let session = Session::draw(world.seed, number, &visit, basket, &world.catalogue);
            let place = place_of_visit(home, number);
            Row {
                number,
                user,
                place,
                visit,
                session,
            }
        })
        .collect()
}

/// Rows of `sessions`.
pub(crate) fn sessions(world: &World, users: Range<u64>) -> Result<RecordBatch> {
    let rows: Vec<Row> = users.flat_map(|user| rows_of(world, user)).collect();
    let viewed = rows.iter().flat_map(|row| &row.session.viewed);
    let viewed: Vec<String> = viewed.map(|product| id::product(*product)).collect();
    let viewed_lengths: Vec<usize> = rows.iter().map(|row| row.session.viewed.len()).collect();
    let cart = || rows.iter().flat_map(|row| &row.session.cart);
    let cart_products: Vec<String> = cart().map(|line| id::product(line.product)).collect();
    let cart_lengths: Vec<usize> = rows.iter().map(|row| row.session.cart.len()).collect();
    let seconds = rows
        .iter()
        .map(|row| (row.visit.end - row.visit.start) as i32);
    let ips = rows.iter().map(|row| {
        let [a, b, c, d] = row.session.ip;
        format!("{a}.{b}.{c}.{d}")
    });
    let statuses = rows.iter().map(|row| match row.visit.outcome {
        Outcome::Browsed => "browsed",
        Outcome::Abandoned { .. } => "abandoned",
        Outcome::Converted { .. } => "converted",
    });
    batch(
        "sessions",
        vec![
            text(rows.iter().map(|row| id::session(row.number))),
            text(rows.iter().map(|row| id::user(row.user))),
            times(rows.iter().map(|row| row.visit.start)),
            times(rows.iter().map(|row| row.visit.end)),
            int32(seconds),
            text(rows.iter().map(|row| row.place.0)),
            optional_text(rows.iter().map(|row| row.place.1)),
            text(rows.iter().map(|row| row.place.2)),
            text(ips),
            text(rows.iter().map(|row| row.session.device)),
            text(rows.iter().map(|row| row.session.os)),
            text(rows.iter().map(|row| row.session.browser)),
            lists(&viewed_lengths, &viewed)?,
            carts(
                &cart_lengths,
                &cart_products,
                cart().map(|line| line.quantity).collect(),
                cart().map(|line| line.price).collect(),
            )?,
            text(statuses),
            text(rows.iter().map(|row| row.session.referrer)),
        ],
    )
}

/// Rows of `page_views`.
pub(crate) fn page_views(world: &World, users: Range<u64>) -> Result<RecordBatch> {
    let mut rows: Vec<(u64, i32, Page)> = Vec::new();
    for row in users.flat_map(|user| rows_of(world, user)) {
        let Row {
            number,
            visit,
            session,
            ..
        } = row;
        let pages = session::pages(world.seed, number, &visit, &session, &world.catalogue);
        rows.extend(
            pages
                .into_iter()
                .zip(1..)
                .map(|(page, seq)| (number, seq, page)),
        );
    }
    let pages = || rows.iter().map(|row| &row.2);
    batch(
        "page_views",
        vec![
            text(rows.iter().map(|row| id::session(row.0))),
            int32(rows.iter().map(|row| row.1)),
            times(pages().map(|page| page.second)),
            text(pages().map(|page| page.page_type)),
            optional_text(pages().map(|page| page.product.map(id::product))),
            optional_text(pages().map(|page| page.category.map(id::category))),
            int32(pages().map(|page| page.duration)),
        ],
    )
}
