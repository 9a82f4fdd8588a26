//! Turns a report's Markdown into one page with its style, figures, data and script inside and no outside references.
//!
//! The page says all that `report.md` says without its script; the script adds what needs the data: sorting, comparing,
//! browsing.

mod arena;
mod arrays;
mod data;
mod texts;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use sha2::{Digest as _, Sha256};

use super::escape;
pub use data::elements;

const STYLE: &str = include_str!("page.css");

/// The front end, in the order that its parts use each other.
const SCRIPT: &str = concat!(
    "'use strict';\n",
    include_str!("stats.js"),
    include_str!("data.js"),
    include_str!("dom.js"),
    include_str!("leaderboard.js"),
    include_str!("headline.js"),
    include_str!("compare.js"),
    include_str!("pairs.js"),
    include_str!("confusion.js"),
    include_str!("map.js"),
    include_str!("samples.js"),
    include_str!("prompted.js"),
    include_str!("page.js"),
);

const NEEDS: &str =
    "<noscript><p>Sorting, comparing cells and browsing samples need JavaScript. All else is on this page.</p></noscript>\n";

const NAME_SPACE: &str = " xmlns=\"http://www.w3.org/2000/svg\"";

/// Nothing is loaded from anywhere, and no script runs but the page's own: a page that were tricked into holding another
/// would still not run it.
fn policy() -> String {
    let digest = STANDARD.encode(Sha256::digest(SCRIPT.as_bytes()));
    format!("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'")
}

/// A page of a report's Markdown; images whose target is in `figures` are replaced by these SVG documents. `data` are the
/// elements that the script reads; without them the page has no script.
pub fn page(title: &str, markdown: &str, figures: &BTreeMap<String, String>, data: Option<String>) -> String {
    let (body, sections) = body(markdown, figures);
    let links: Vec<String> = sections.iter().map(|(id, name)| format!("<a href=\"#{id}\">{}</a>", escape::xml(name))).collect();
    let policy = policy();
    let (needs, script) = data.as_ref().map_or(("", [""; 3]), |_| (NEEDS, ["<script>", SCRIPT, "</script>\n"]));
    let before = [
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"",
        &policy,
        "\">\n<title>",
        &escape::xml(title),
        "</title>\n<style>\n",
        STYLE,
        "</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#content\">Skip to the report</a>\n\
         <nav aria-label=\"Sections\">",
        &links.join(" "),
        "</nav>\n<main id=\"content\" tabindex=\"-1\">\n",
        &body,
        needs,
        "</main>\n",
    ];
    // Around the data, where they are: there may be many megabytes of them.
    let mut page = data.unwrap_or_default();
    page.insert_str(0, &before.concat());
    page.extend(script);
    page.push_str("</body>\n</html>\n");
    page
}

/// The page's content, and id and name of its sections.
fn body(markdown: &str, figures: &BTreeMap<String, String>) -> (String, Vec<(String, String)>) {
    let mut sections: Vec<(String, String)> = Vec::new();
    let mut events = Vec::new();
    let mut parser = Parser::new_ext(markdown, Options::ENABLE_TABLES);
    while let Some(event) = parser.next() {
        match event {
            Event::Html(raw) | Event::InlineHtml(raw) => events.push(Event::Text(raw)),
            Event::Start(Tag::Image { dest_url, .. }) => events.push(Event::Html(figure(&mut parser, &dest_url, figures))),
            Event::Start(Tag::Link { .. }) | Event::End(TagEnd::Link) => {}
            Event::Start(Tag::Table(alignments)) => {
                events.push(Event::Html("<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Table\">".into()));
                events.push(Event::Start(Tag::Table(alignments)));
            }
            Event::End(TagEnd::Table) => {
                events.push(Event::End(TagEnd::Table));
                events.push(Event::Html("</div>".into()));
            }
            Event::Start(Tag::Heading { level: HeadingLevel::H2, .. }) => {
                let place = events.len();
                let (rest, name) = heading(&mut parser);
                let id = slug(&name);
                events.push(Event::Start(Tag::Heading {
                    level: HeadingLevel::H2,
                    id: Some(id.clone().into()),
                    classes: vec![],
                    attrs: vec![],
                }));
                events.extend(rest);
                let ends = if sections.is_empty() { "" } else { "</section>\n" };
                events.insert(place, Event::Html(format!("{ends}<section aria-labelledby=\"{id}\">\n").into()));
                sections.push((id, name));
            }
            other => events.push(other),
        }
    }
    let mut html = String::new();
    pulldown_cmark::html::push_html(&mut html, events.into_iter());
    html.push_str(if sections.is_empty() { "" } else { "</section>\n" });
    // What scrolls on its own must be reached by the keyboard.
    (html.replace("<pre>", "<pre tabindex=\"0\">"), sections)
}

/// A section's name as an id: `The answer` is `the-answer`.
fn slug(name: &str) -> String {
    let letters: String = name.chars().map(|c| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { ' ' }).collect();
    letters.split_whitespace().collect::<Vec<_>>().join("-")
}

/// The rest of a heading, and its words.
fn heading<'a>(parser: &mut Parser<'a>) -> (Vec<Event<'a>>, String) {
    let mut events = Vec::new();
    let mut name = String::new();
    for event in parser.by_ref() {
        if let Event::Text(words) | Event::Code(words) = &event {
            name.push_str(words);
        }
        let ends = matches!(event, Event::End(TagEnd::Heading(_)));
        events.push(event);
        if ends {
            break;
        }
    }
    (events, name)
}

/// The drawing an image stands for; its alternative text when there is none. Takes the image's events off the parser.
fn figure<'a>(parser: &mut Parser<'a>, file: &str, figures: &BTreeMap<String, String>) -> CowStr<'a> {
    let mut words = String::new();
    for event in parser.by_ref() {
        match event {
            Event::Text(text) | Event::Code(text) => words.push_str(&text),
            Event::End(TagEnd::Image) => break,
            _ => {}
        }
    }
    match figures.get(file) {
        // Inside a page of HTML the name space goes without saying.
        Some(drawing) => {
            let (file, drawing) = (escape::xml(file), drawing.trim_end().replacen(NAME_SPACE, "", 1));
            format!("<span class=\"figure\" data-file=\"{file}\" tabindex=\"0\">{drawing}</span>").into()
        }
        None => escape::xml(&words).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page_of(markdown: &str) -> String {
        page("t", markdown, &BTreeMap::from([("a.svg".to_owned(), "<svg></svg>\n".to_owned())]), Some(String::new()))
    }

    #[test]
    fn raw_html_is_shown_as_text() {
        let html = page_of("<script>alert(1)</script>\n\nx <img src=x onerror=y> [a](javascript:b)");
        assert!(html.contains("&lt;script&gt;") && html.matches("<script").count() == 1, "{html}");
        assert!(html.contains("&lt;img") && !html.contains("<img"), "{html}");
        assert!(!html.contains("javascript"), "{html}");
    }

    #[test]
    fn figures_stand_where_their_images_stood() {
        let html = page_of("![alt](a.svg)\n\n![gone](b.svg)");
        assert!(
            html.contains("<span class=\"figure\" data-file=\"a.svg\" tabindex=\"0\"><svg></svg></span>")
                && html.contains("<p>gone</p>"),
            "{html}"
        );
    }

    #[test]
    fn sections_are_linked() {
        let html = page_of("## The `x` answer\n\ntext");
        assert!(
            html.contains("<a href=\"#the-x-answer\">The x answer</a>") && html.contains("<h2 id=\"the-x-answer\">"),
            "{html}"
        );
    }
}
