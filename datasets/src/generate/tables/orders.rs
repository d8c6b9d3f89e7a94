//! Transactions and their items.

use std::ops::Range;

use arrow::array::RecordBatch;
use emporia_core::Result;

use super::{basket_of, id};
use crate::columns::{batch, cents, int32, optional_text, text, times};
use crate::generate::basket::Line;
use crate::generate::customer::{Order, Outcome};
use crate::generate::world::World;

struct Row {
    number: u64,
    user: u64,
    session: Option<u64>,
    order: Order,
    subtotal: i64,
    discount: i64,
}

/// Rows of `transactions`.
pub(crate) fn transactions(world: &World, users: Range<u64>) -> Result<RecordBatch> {
    let rows: Vec<Row> = users.flat_map(|user| rows_of(world, user)).collect();
    batch(
        "transactions",
        vec![
            text(rows.iter().map(|row| id::transaction(row.number))),
            optional_text(rows.iter().map(|row| row.session.map(id::session))),
            text(rows.iter().map(|row| id::user(row.user))),
            times(rows.iter().map(|row| row.order.second)),
            cents(rows.iter().map(|row| row.subtotal))?,
            cents(rows.iter().map(|row| row.discount))?,
            cents(rows.iter().map(|row| row.subtotal - row.discount))?,
            text(rows.iter().map(|row| row.order.payment_method)),
            text(rows.iter().map(|row| row.order.status.as_str())),
            text(rows.iter().map(|_| "USD")),
        ],
    )
}

fn rows_of(world: &World, user: u64) -> Vec<Row> {
    let (first_order, orders) = world.orders(user);
    let (first_session, visits) = world.visits(user, &orders);
    let mut sessions = vec![None; orders.len()];
    for (visit, session) in visits.iter().zip(first_session..) {
        if let Outcome::Converted { order } = visit.outcome {
            sessions[order] = Some(session);
        }
    }
    orders
        .into_iter()
        .zip(sessions)
        .zip(first_order..)
        .map(|((order, session), number)| {
            let lines = basket_of(world, number, &order);
            let subtotal = lines.iter().map(Line::subtotal).sum::<i64>();
            // Rounded down, so that no discount passes its percentage.
            let discount = subtotal * order.discount_percent / 100;
            Row {
                number,
                user,
                session,
                order,
                subtotal,
                discount,
            }
        })
        .collect()
}

/// Rows of `transaction_items`.
pub(crate) fn transaction_items(world: &World, users: Range<u64>) -> Result<RecordBatch> {
    let mut rows: Vec<(u64, i32, Line)> = Vec::new();
    for user in users {
        let (first_order, orders) = world.orders(user);
        for (order, number) in orders.iter().zip(first_order..) {
            let lines = basket_of(world, number, order).into_iter().zip(1..);
            rows.extend(lines.map(|(line, line_no)| (number, line_no, line)));
        }
    }
    let lines = || rows.iter().map(|row| &row.2);
    batch(
        "transaction_items",
        vec![
            text(rows.iter().map(|row| id::transaction(row.0))),
            int32(rows.iter().map(|row| row.1)),
            text(lines().map(|line| id::product(line.product))),
            text(lines().map(|line| id::category(world.catalogue.category(line.product)))),
            int32(lines().map(|line| line.quantity)),
            cents(lines().map(|line| line.price))?,
            cents(lines().map(Line::subtotal))?,
        ],
    )
}
