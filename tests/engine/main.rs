//! The embedding engine against transformers' own hidden states, against itself, and against broken model folders.

mod adapters;
mod chat;
mod classes;
mod doctor;
mod folders;
mod gguf;
mod parity;
mod poolings;
mod random_models;
mod relations;
mod second_opinion;
mod support;
mod tokens;
