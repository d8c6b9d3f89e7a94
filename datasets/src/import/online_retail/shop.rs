//! Invoices, products and users from typed lines.

use std::collections::HashMap;

use emporia_core::text::grouped;

use super::read::{Line, Source};

/// The lines, and what they say about the shop.
#[derive(Debug)]
pub(super) struct Shop {
    pub(super) source: Source,
    /// Invoices in the order in which they first occur.
    pub(super) invoices: Vec<Invoice>,
    /// Invoice, line number and line, ordered by the first two.
    pub(super) items: Vec<(u32, i32, u32)>,
    /// By stock code.
    pub(super) product_names: Vec<String>,
    /// By customer.
    pub(super) users: Vec<User>,
}

/// What the lines of one invoice add up to.
#[derive(Debug)]
pub(super) struct Invoice {
    /// Seconds since 1970, of the earliest line.
    pub(super) second: i64,
    /// The first customer that a line names.
    pub(super) customer: Option<u32>,
    /// Thousandths.
    pub(super) total: i128,
    has_several_times: bool,
    has_several_customers: bool,
}

/// What the lines of one customer say; times in seconds since 1970.
#[derive(Debug)]
pub(super) struct User {
    pub(super) first: i64,
    pub(super) last: i64,
    /// Of the last line.
    pub(super) country: u32,
}

impl Shop {
    pub(super) fn new(source: Source) -> Self {
        let mut invoices: Vec<Invoice> = Vec::with_capacity(source.invoice_numbers.len());
        let mut users: Vec<User> = Vec::with_capacity(source.customers.len());
        let mut items: Vec<(u32, i32, u32)> = Vec::with_capacity(source.lines.len());
        for (line, number) in source.lines.iter().zip(0..) {
            // Invoices and customers are numbered in the order in which they occur.
            match invoices.get_mut(line.invoice as usize) {
                Some(invoice) => invoice.add(line),
                None => invoices.push(Invoice::new(line)),
            }
            if let Some(customer) = line.customer {
                match users.get_mut(customer as usize) {
                    Some(user) => user.add(line),
                    None => users.push(User::new(line)),
                }
            }
            items.push((line.invoice, 0, number));
        }
        // The lines of an invoice need not be next to each other.
        items.sort_unstable();
        let (mut last_invoice, mut line_no) = (u32::MAX, 0);
        for item in &mut items {
            line_no = if item.0 == last_invoice {
                line_no + 1
            } else {
                1
            };
            last_invoice = item.0;
            item.1 = line_no;
        }
        let product_names = product_names(&source);
        Self {
            source,
            invoices,
            items,
            product_names,
            users,
        }
    }

    /// What is odd about the invoices.
    pub(super) fn notes(&self) -> Vec<String> {
        let count =
            |is_odd: fn(&Invoice) -> bool| self.invoices.iter().filter(|i| is_odd(i)).count();
        let several_times = count(|invoice| invoice.has_several_times);
        let several_customers = count(|invoice| invoice.has_several_customers);
        let mut notes = Vec::new();
        if several_times > 0 {
            notes.push(format!(
                "{} invoices have lines of several times; the earliest one is used",
                grouped(several_times as u64)
            ));
        }
        if several_customers > 0 {
            notes.push(format!(
                "{} invoices name several customers; the first one is used",
                grouped(several_customers as u64)
            ));
        }
        notes
    }
}

impl Invoice {
    fn new(line: &Line) -> Self {
        Self {
            second: line.second,
            customer: line.customer,
            total: line.subtotal(),
            has_several_times: false,
            has_several_customers: false,
        }
    }

    fn add(&mut self, line: &Line) {
        self.has_several_times |= line.second != self.second;
        self.second = self.second.min(line.second);
        match (self.customer, line.customer) {
            (Some(known), Some(other)) => self.has_several_customers |= known != other,
            (None, other) => self.customer = other,
            (Some(_), None) => {}
        }
        self.total += line.subtotal();
    }
}

impl User {
    fn new(line: &Line) -> Self {
        Self {
            first: line.second,
            last: line.second,
            country: line.country,
        }
    }

    fn add(&mut self, line: &Line) {
        self.first = self.first.min(line.second);
        if line.second >= self.last {
            self.last = line.second;
            self.country = line.country;
        }
    }
}

/// The most frequent description of each stock code, the smallest one of equally frequent ones;
/// the code itself where there is none.
fn product_names(source: &Source) -> Vec<String> {
    let mut counts: Vec<HashMap<&str, u32>> = vec![HashMap::new(); source.stock_codes.len()];
    for line in &source.lines {
        let description = line
            .description
            .map(|number| source.descriptions.name(number).trim());
        if let Some(description) = description.filter(|text| !text.is_empty()) {
            *counts[line.stock_code as usize]
                .entry(description)
                .or_default() += 1;
        }
    }
    counts
        .into_iter()
        .zip(0..)
        .map(|(counts, code)| {
            let best = counts
                .into_iter()
                .max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(a.0)));
            best.map_or_else(|| source.stock_codes.name(code), |(text, _)| text)
                .to_owned()
        })
        .collect()
}
