//! An error and what caused it, in one text: for the places that keep a reason instead of an error.

use std::error::Error;

/// The error's message and those of its causes, each sentence once: many errors repeat their cause's words.
pub fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text.push_str("\n  because: ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{what}")]
    struct Layer {
        what: &'static str,
        source: Option<Box<Layer>>,
    }

    #[test]
    fn every_cause_is_told_once() {
        let deep = Layer { what: "the disk is full", source: None };
        let middle = Layer { what: "cannot write x: the disk is full", source: Some(Box::new(deep)) };
        let top = Layer { what: "no report", source: Some(Box::new(middle)) };
        assert_eq!(told(&top), "no report\n  because: cannot write x: the disk is full");
    }
}
