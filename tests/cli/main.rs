//! The program as a user meets it: commands, their words, files and exit codes.

mod embed;
mod kill;
mod lab;
mod mistakes;
mod runs;
