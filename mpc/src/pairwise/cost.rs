//! What the making of randomness costs: words that C0 and C1 send in each message, from shapes
//! alone.

use super::act::turns;
use super::product::Scaling;
use super::recipe::Recipe;
use crate::bits::plan::blocks;
use crate::engine::{Act, Product};
use crate::prg::Party as Side;
use crate::tensor::Shape;
use crate::transfer::{self, asked};

/// Words that C0 and C1 send.
pub(crate) type Message = [usize; 2];

const SIDES: [Side; 2] = [Side::Zero, Side::One];

/// Of the base transfers, once in an attempt.
pub(crate) fn begin() -> Vec<Message> {
    transfer::BASE.map(|words| [words; 2]).to_vec()
}

/// Of the acts of an operation on tensors of so many entries.
pub(crate) fn acts(tasks: &[(Act, usize)]) -> Vec<Message> {
    let recipes: Vec<Recipe> = tasks.iter().map(|(act, _)| Recipe::new(*act)).collect();
    let entries: Vec<usize> = tasks.iter().map(|(_, entries)| *entries).collect();
    let mut messages = vec![];
    for turn in turns(&entries) {
        let parts: Vec<(&Recipe, usize)> =
            turn.into_iter().map(|(i, part)| (&recipes[i], blocks(part.len()))).collect();
        let sum = |each: &dyn Fn(&Recipe) -> usize| -> usize {
            parts.iter().map(|(recipe, blocks)| each(recipe) * blocks).sum()
        };
        // Who receives asks.
        messages.push(SIDES.map(|side| asked(sum(&|recipe| recipe.rows(side.peer())))));
        let stages = parts.iter().map(|(recipe, _)| recipe.stages()).max().unwrap_or(0);
        for stage in 0..stages {
            messages.push(SIDES.map(|side| sum(&|recipe| recipe.words(stage, side))));
        }
    }
    messages
}

/// Of a product.
pub(crate) fn product(form: Product, x: Shape, y: Shape) -> Vec<Message> {
    Scaling::of(form, x, y).messages().into_iter().map(|words| [words; 2]).collect()
}
