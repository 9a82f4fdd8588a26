//! The program as a user meets it: commands, their words, files and exit codes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod corrections;
mod embed;
mod endpoints;
mod gate;
mod hub;
mod judged;
mod kill;
mod lab;
mod looks;
mod methods;
mod mistakes;
mod pairs;
mod runs;
mod server;
mod summary;
mod tasks;
mod terminal;
mod terms;
mod transfer;
