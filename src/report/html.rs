//! Turns a report's Markdown into one page with its style and figures inside and no outside references.

use std::collections::BTreeMap;

use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::escape;

const STYLE: &str = include_str!("style.css");

// Nothing is loaded from anywhere: a page that were tricked into referring to something would still not fetch it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

const NAME_SPACE: &str = " xmlns=\"http://www.w3.org/2000/svg\"";

/// A page of a report's Markdown; images whose target is in `figures` are replaced by these SVG documents.
pub fn page(title: &str, markdown: &str, figures: &BTreeMap<String, String>) -> String {
    let (body, sections) = body(markdown, figures);
    let links: Vec<String> = sections.iter().map(|(id, name)| format!("<a href=\"#{id}\">{}</a>", escape::xml(name))).collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<nav>{}</nav>\n<main>\n{body}</main>\n</body>\n</html>\n",
        escape::xml(title),
        links.join(" "),
    )
}

/// The page's content, and id and name of its sections.
fn body(markdown: &str, figures: &BTreeMap<String, String>) -> (String, Vec<(String, String)>) {
    let mut sections: Vec<(String, String)> = Vec::new();
    let mut events = Vec::new();
    let mut parser = Parser::new_ext(markdown, Options::ENABLE_TABLES);
    while let Some(event) = parser.next() {
        match event {
            Event::Html(raw) | Event::InlineHtml(raw) => events.push(Event::Text(raw)),
            Event::Start(Tag::Image { dest_url, .. }) => events.push(Event::Html(figure(&mut parser, figures.get(&*dest_url)))),
            Event::Start(Tag::Link { .. }) | Event::End(TagEnd::Link) => {}
            Event::Start(Tag::Table(alignments)) => {
                events.push(Event::Html("<div class=\"scroll\">".into()));
                events.push(Event::Start(Tag::Table(alignments)));
            }
            Event::End(TagEnd::Table) => {
                events.push(Event::End(TagEnd::Table));
                events.push(Event::Html("</div>".into()));
            }
            Event::Start(Tag::Heading { level: HeadingLevel::H2, .. }) => {
                let id = format!("s{}", sections.len() + 1);
                events.push(Event::Start(Tag::Heading {
                    level: HeadingLevel::H2,
                    id: Some(id.clone().into()),
                    classes: vec![],
                    attrs: vec![],
                }));
                let (rest, name) = heading(&mut parser);
                events.extend(rest);
                sections.push((id, name));
            }
            other => events.push(other),
        }
    }
    let mut html = String::new();
    pulldown_cmark::html::push_html(&mut html, events.into_iter());
    (html, sections)
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
fn figure<'a>(parser: &mut Parser<'a>, svg: Option<&String>) -> CowStr<'a> {
    let mut words = String::new();
    for event in parser.by_ref() {
        match event {
            Event::Text(text) | Event::Code(text) => words.push_str(&text),
            Event::End(TagEnd::Image) => break,
            _ => {}
        }
    }
    match svg {
        // Inside a page of HTML the name space goes without saying.
        Some(drawing) => format!("<span class=\"figure\">{}</span>", drawing.trim_end().replacen(NAME_SPACE, "", 1)).into(),
        None => escape::xml(&words).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page_of(markdown: &str) -> String {
        page("t", markdown, &BTreeMap::from([("a.svg".to_owned(), "<svg></svg>\n".to_owned())]))
    }

    #[test]
    fn raw_html_is_shown_as_text() {
        let html = page_of("<script>alert(1)</script>\n\nx <img src=x onerror=y> [a](javascript:b)");
        assert!(html.contains("&lt;script&gt;") && !html.contains("<script"), "{html}");
        assert!(html.contains("&lt;img") && !html.contains("<img"), "{html}");
        assert!(!html.contains("javascript"), "{html}");
    }

    #[test]
    fn figures_stand_where_their_images_stood() {
        let html = page_of("![alt](a.svg)\n\n![gone](b.svg)");
        assert!(html.contains("<span class=\"figure\"><svg></svg></span>") && html.contains("<p>gone</p>"), "{html}");
    }

    #[test]
    fn sections_are_linked() {
        let html = page_of("## The `x` answer\n\ntext");
        assert!(html.contains("<a href=\"#s1\">The x answer</a>") && html.contains("<h2 id=\"s1\">"), "{html}");
    }
}
