//! How stages speak: events to an [`Observer`], never to a terminal; and how they are asked to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What one unit of progress is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes of a download.
    Bytes,
    /// Cells of the grid.
    Cells,
    /// Texts to tokenise.
    Texts,
    /// Token positions that pass through a model.
    Tokens,
}

/// Something a person watching may want to know.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A stage begins; `total` units of work lie ahead when that is known.
    Started { stage: String, total: Option<u64>, unit: Unit },
    /// So many further units are done in the stage that began last.
    Advanced(u64),
    /// The stage that began last is over, with one line to remember of it.
    Finished { summary: String },
    /// Something is odd but does not stop the run.
    Warning(String),
}

/// Receives events. Implementations must be cheap: stages call them from their inner loops.
pub trait Observer: Send + Sync {
    /// Called once per event, in order within a thread.
    fn observe(&self, event: Event);
}

/// An observer that keeps nothing.
pub struct Silent;

impl Observer for Silent {
    fn observe(&self, _: Event) {}
}

/// A request to stop, shared between a signal handler and the loops that honour it between two batches.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks everything that holds a clone to stop after the work in hand.
    pub fn request(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether somebody asked.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
