//! Writes the blocks of a report as GitHub-flavoured Markdown.

use super::document::{Align, Block, Example, Figure, Table};
use super::escape;

/// The whole report as Markdown, ending in one newline.
pub fn render(blocks: &[Block]) -> String {
    let mut parts: Vec<String> = blocks.iter().map(block).filter(|part| !part.is_empty()).collect();
    for part in &mut parts {
        part.truncate(part.trim_end().len());
    }
    parts.join("\n\n") + "\n"
}

fn block(block: &Block) -> String {
    match block {
        Block::Heading(level, title) => format!("{} {title}", "#".repeat(usize::from(*level))),
        Block::Paragraph(text) => text.clone(),
        Block::Bullets(items) => items.iter().flat_map(|item| ["- ", item, "\n"]).collect(),
        Block::Table(rows) => table(rows),
        Block::Figure(drawn) => figure(drawn),
        Block::Examples(items) => items.iter().enumerate().map(|(i, item)| example(i + 1, item)).collect::<Vec<_>>().concat(),
        Block::Fenced { language, text } => escape::fenced(language, text),
    }
}

fn table(table: &Table) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = line(table.columns.iter().map(|column| escape::cell(&column.title)).collect());
    let rules = table.columns.iter().map(|column| match column.align {
        Align::Left => ":--".to_owned(),
        Align::Right => "--:".to_owned(),
    });
    text.push_str(&line(rules.collect()));
    for row in &table.rows {
        text.push_str(&line(row.iter().map(|inline| escape::cell(inline)).collect()));
    }
    text
}

fn figure(figure: &Figure) -> String {
    format!("![{}]({})\n\n*{}*", escape::text(&figure.alt), figure.file, figure.caption)
}

fn example(number: usize, example: &Example) -> String {
    let margin = " ".repeat(number.to_string().len() + 2);
    format!("{number}. {}\n\n{margin}> {}\n\n{margin}{}\n\n", example.verdict, example.text, example.scores)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::document::Column;

    #[test]
    fn a_table_holds_its_shape_whatever_its_cells_hold() {
        let table = Block::table(
            vec![Column::words("id"), Column::numbers("n")],
            vec![vec![escape::code("a|b"), "1".into()], vec![escape::text("c|d\ne"), "2".into()]],
        );
        assert_eq!(render(&[table]), "| id | n |\n| :-- | --: |\n| `a\\|b` | 1 |\n| c\\|d e | 2 |\n");
    }

    #[test]
    fn an_example_is_one_list_item() {
        let example = Example { verdict: "v".into(), text: "t".into(), scores: "s".into() };
        assert_eq!(render(&[Block::Examples(vec![example])]), "1. v\n\n   > t\n\n   s\n");
    }
}
