//! Reads a TOML document key by key and keeps the place of everything that is wrong with it.

use std::cell::RefCell;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::hint;
use crate::spec::{Problem, suggest};

/// One table of a manifest: hands out its values by key, and at the end complains of keys nobody asked for.
pub(super) struct Section<'a> {
    table: &'a DeTable<'a>,
    span: Range<usize>,
    /// What the table is, for messages: `the manifest`, "`[columns]`".
    name: String,
    asked: RefCell<Vec<&'static str>>,
    problems: &'a RefCell<Vec<Problem>>,
}

impl<'a> Section<'a> {
    pub(super) fn new(
        name: impl Into<String>,
        table: &'a DeTable<'a>,
        span: Range<usize>,
        problems: &'a RefCell<Vec<Problem>>,
    ) -> Self {
        Self { table, span, name: name.into(), asked: RefCell::new(Vec::new()), problems }
    }

    /// The value of a key as it stands in the file.
    pub(super) fn value(&self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(&key) {
            asked.push(key);
        }
        self.table.get(key)
    }

    /// A text that is not blank.
    pub(super) fn text(&self, key: &'static str) -> Option<(String, Range<usize>)> {
        let value = self.value(key)?;
        match value.get_ref().as_str() {
            Some(text) if !text.trim().is_empty() => Some((text.to_owned(), value.span())),
            Some(_) => self.complain(value.span(), format!("`{key}` is blank")),
            None => self.wrong_type(key, value, "a text"),
        }
    }

    /// Complains if a key is missing.
    pub(super) fn require(&self, key: &'static str) {
        if self.value(key).is_none() {
            self.note(self.span.clone(), format!("{} lacks `{key}`", self.name));
        }
    }

    /// A text that has to be there.
    pub(super) fn required_text(&self, key: &'static str) -> Option<(String, Range<usize>)> {
        self.require(key);
        self.text(key)
    }

    pub(super) fn boolean(&self, key: &'static str) -> Option<(bool, Range<usize>)> {
        let value = self.value(key)?;
        match value.get_ref().as_bool() {
            Some(flag) => Some((flag, value.span())),
            None => self.wrong_type(key, value, "true or false"),
        }
    }

    /// A list of texts, none of them blank and none there twice. Absent: empty.
    pub(super) fn texts(&self, key: &'static str) -> Vec<(String, Range<usize>)> {
        let mut texts: Vec<(String, Range<usize>)> = Vec::new();
        for (text, span) in self.list(key) {
            if texts.iter().any(|(other, _)| *other == text) {
                self.note(span, format!("`{key}` holds `{text}` twice"));
            } else {
                texts.push((text, span));
            }
        }
        texts
    }

    /// A list of texts, none of them blank. Absent: empty.
    pub(super) fn list(&self, key: &'static str) -> Vec<(String, Range<usize>)> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type::<()>(key, value, "a list of texts");
            return Vec::new();
        };
        let mut texts = Vec::new();
        for item in array {
            match item.get_ref().as_str() {
                Some(text) if text.trim().is_empty() => self.note(item.span(), format!("`{key}` holds a blank text")),
                Some(text) => texts.push((text.to_owned(), item.span())),
                None => {
                    self.wrong_type::<()>(key, item, "a text");
                }
            }
        }
        texts
    }

    /// One of a few words, each standing for a value.
    pub(super) fn choice<T: Copy>(&self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let (text, span) = self.text(key)?;
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let words: Vec<String> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        let guess = suggest(&text, choices.iter().map(|(word, _)| *word));
        self.complain(span, format!("`{key}` is \"{text}\", wanted {}{}", words.join(" or "), hint(guess.as_deref())))
    }

    /// A table below this one.
    pub(super) fn section(&self, key: &'static str) -> Option<Section<'a>> {
        let value = self.value(key)?;
        match value.get_ref().as_table() {
            Some(table) => Some(Section::new(format!("`{key}`"), table, value.span(), self.problems)),
            None => self.wrong_type(key, value, "a table"),
        }
    }

    /// The tables below this one under one key, in the order of the file, with their names.
    pub(super) fn sections(&self, key: &'static str) -> Vec<(String, Section<'a>)> {
        let Some(parent) = self.section(key) else { return Vec::new() };
        let mut sections = Vec::new();
        for (name, value) in parent.table {
            let title = format!("`[{key}.{}]`", name.get_ref());
            match value.get_ref().as_table() {
                Some(table) => {
                    sections.push((name.get_ref().to_string(), Section::new(title, table, name.span(), self.problems)));
                }
                None => {
                    self.wrong_type::<()>(name.get_ref(), value, "a table");
                }
            }
        }
        sections.sort_by_key(|(_, section)| section.span.start);
        sections
    }

    /// The elements of an array of tables.
    pub(super) fn array(&self, key: &'static str) -> Vec<Section<'a>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type::<()>(key, value, &format!("`[[{key}]]`"));
            return Vec::new();
        };
        let mut sections = Vec::new();
        for item in array {
            match item.get_ref().as_table() {
                Some(table) => {
                    sections.push(Section::new(format!("`[[{key}]]`"), table, item.span(), self.problems));
                }
                None => {
                    self.wrong_type::<()>(key, item, "a table");
                }
            }
        }
        sections
    }

    /// The entries of a table whose keys are free and whose values are texts.
    pub(super) fn entries(&self, key: &'static str) -> Option<Vec<(String, String, Range<usize>)>> {
        let parent = self.section(key)?;
        let mut entries = Vec::new();
        for (name, value) in parent.table {
            match value.get_ref().as_str() {
                Some(text) => entries.push((name.get_ref().to_string(), text.to_owned(), value.span())),
                None => {
                    self.wrong_type::<()>(name.get_ref(), value, "a text");
                }
            }
        }
        entries.sort_by_key(|(_, _, span)| span.start);
        Some(entries)
    }

    /// Complains of every key that nobody asked for.
    pub(super) fn finish(self) {
        let asked = self.asked.borrow();
        for name in self.table.keys().filter(|name| !asked.contains(&name.get_ref().as_ref())) {
            let guess = suggest(name.get_ref(), asked.iter().copied());
            let known = format!("; known keys are: {}", asked.join(", "));
            let tail = if guess.is_some() { hint(guess.as_deref()) } else { known };
            self.note(name.span(), format!("{} has no key `{}`{tail}", self.name, name.get_ref()));
        }
    }

    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    pub(super) fn note(&self, span: Range<usize>, message: String) {
        self.problems.borrow_mut().push(Problem::new(span, message));
    }

    /// Notes a problem where a value was wanted.
    pub(super) fn complain<T>(&self, span: Range<usize>, message: String) -> Option<T> {
        self.note(span, message);
        None
    }

    pub(super) fn wrong_type<T>(&self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) -> Option<T> {
        self.complain(value.span(), format!("`{key}` is of type {}, wanted {wanted}", value.get_ref().type_str()))
    }
}
