//! `bench prompt`: the built-in catalogue.

use embed_bench::prompt::catalogue::ENTRIES;

use super::{Answer, out};

#[derive(clap::Subcommand)]
pub enum Command {
    /// List the built-in prompts with their templates and the protocol they were published with
    List,
}

pub fn run(command: &Command) -> Answer {
    match command {
        Command::List => {
            for entry in ENTRIES {
                out::line(format!("{}: {}", entry.name, entry.about));
                out::line(format!("  template  {}", entry.template));
                out::line(format!("  clean     {}", entry.clean));
                if let Some(note) = entry.layer_note {
                    out::line(format!("  layer     {note}"));
                }
                out::line(format!("  source    {}", entry.source));
            }
        }
    }
    Answer::Good
}
