//! Runs the SQL jobs that come with Emporia over small tables, against values computed by hand.
//!
//! Tests named `d<n>_...` each guard against one defect of the projects that Emporia replaces.

mod baskets;
mod data;
mod funnels;
mod orders;
mod products;
mod sales;
mod shop;
mod visitors;
mod wire;
