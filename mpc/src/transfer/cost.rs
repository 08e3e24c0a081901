//! What transfers cost on the line: words that C0 and C1 send in each message, from shapes alone.

use super::compare::{AT_ONCE, OFFERED};
use super::extend::asks;
use super::forms::table_words;
use super::products::Products;
use crate::bits::plan::{Cut, blocks};

/// Words that C0 and C1 send.
pub(crate) type Message = [usize; 2];

/// Of n comparisons of so many low bits.
pub(crate) fn less(n: usize, bits: u8) -> Vec<Message> {
    let cut = Cut::at(&[bits]);
    let plans: Vec<Products> =
        cut.layers.iter().map(|layer| Products::new(layer.opened.len(), &layer.products)).collect();
    let stages = plans.iter().map(Products::stages).max().unwrap_or(0).max(1);
    let mut messages = vec![];
    for at in (0..n).step_by(AT_ONCE) {
        let n = AT_ONCE.min(n - at);
        let rows: usize = plans.iter().map(|plan| plan.rows() * blocks(n)).sum();
        // Four rows a digit, in which C1 chooses.
        let leaves = (n * cut.digits.len()).div_ceil(16);
        messages.push([asks(rows), asks(rows + leaves)]);
        for stage in 0..stages {
            let products: usize = plans.iter().map(|plan| plan.sent(stage) * blocks(n)).sum();
            let tables = if stage == 0 { table_words(OFFERED, n * cut.digits.len()) } else { 0 };
            messages.push([products + tables, products]);
        }
        messages.extend(cut.layers.iter().map(|layer| [layer.opened.len() * blocks(n); 2]));
    }
    messages
}
