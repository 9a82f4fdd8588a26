//! What a report says of samples that are measured one by one: pairs, and likewise queries and clusters. No label is given to
//! any, so there is no confusion and no margin.

mod agreement;
mod answer;
mod contest;
mod leaderboard;
mod measured;
mod worst;

#[cfg(test)]
pub mod tests;

pub use agreement::{diagnosis, similarity};
pub use answer::answer;
pub use contest::{PairContest, PairEntry, hundredths, with_interval};
pub use leaderboard::{leaderboard, worth};
pub use measured::{clusters, queries};
pub use worst::worst;
