//! Names as people are shown them: of columns, classes and categories.

/// Would it upset a terminal, or make a line read otherwise than it is written? Control characters,
/// separators of lines, and what turns the direction of writing. What joins letters stays: there are
/// languages that need it.
pub(crate) fn misleads(name: &str) -> bool {
    let turns = |c| {
        matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    name.chars().any(|c| c.is_control() || turns(c))
}
