//! The built-in prompts, byte for byte as the code that made them known runs them.

use super::{Clean, Prompt, Template, Truncation};

/// A built-in prompt: `use = "name"` in a spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: &'static str,
    /// One, or several views that are fused by the mean of their raw vectors.
    pub templates: &'static [&'static str],
    /// What fills its other slots, where a spec's `fill` and the columns of a dataset need not.
    pub filled: &'static [(&'static str, &'static str)],
    /// Clean-up of the published protocol; a spec's `clean` overrides it.
    pub clean: Clean,
    /// What it is, in a sentence.
    pub about: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    /// What the published code reads with this prompt, and how, where it says so.
    pub protocol: Option<&'static str>,
}

/// All built-in prompts, in the order of the documentation.
pub const ENTRIES: &[Entry] = &[
    Entry {
        name: "raw",
        templates: &["{text}"],
        filled: &[],
        clean: Clean::None,
        about: "The text alone, as encoders and the lexical floor take it.",
        source: "no publication: the absence of a prompt",
        protocol: None,
    },
    Entry {
        name: "prompteol",
        templates: &["This sentence : \"{text}\" means in one word:\""],
        filled: &[],
        clean: Clean::PromptEol,
        about: "PromptEOL: the next token would be the one word that the sentence means.",
        source: "Jiang et al., Scaling Sentence Embeddings with Large Language Models, arXiv 2307.16645; \
                 bytes as in github.com/kongds/scaling_sentemb at 8567aa0",
        protocol: Some("layer -1, after the final norm"),
    },
    Entry {
        name: "pretended-cot",
        templates: &["After thinking step by step , this sentence : \"{text}\" means in one word:\""],
        filled: &[],
        clean: Clean::PromptEol,
        about: "Pretended CoT: PromptEOL behind a phrase that pretends reasoning took place.",
        source: "Zhang et al., Simple Techniques for Enhancing Sentence Embeddings in Generative Language Models, \
                 arXiv 2404.03921; bytes as in github.com/ZBWpro/PretCoTandKE at ad3a799",
        protocol: Some(
            "layer -2, before the last block and without the norm: the published gain over PromptEOL (layer -1) mixes \
             prompt and layer",
        ),
    },
    Entry {
        name: "knowledge-enhancement",
        templates: &["The essence of a sentence is often captured by its main subjects and actions, while descriptive \
                   terms provide additional but less central details. With this in mind , this sentence : \"{text}\" \
                   means in one word:\""],
        filled: &[],
        clean: Clean::PromptEol,
        about: "Knowledge Enhancement: PromptEOL behind a hint on what matters in a sentence.",
        source: "Zhang et al., Simple Techniques for Enhancing Sentence Embeddings in Generative Language Models, \
                 arXiv 2404.03921; bytes as in github.com/ZBWpro/PretCoTandKE at ad3a799",
        protocol: Some(
            "layer -2, before the last block and without the norm: the published gain over PromptEOL (layer -1) mixes \
             prompt and layer",
        ),
    },
    Entry {
        name: "prompteol-icl",
        templates: &[
            "This sentence : \"{demonstration}\" means in one word:\"{word}\".This sentence : \"{text}\" means in one \
                      word:\"",
        ],
        filled: &[("demonstration", "The man is riding a horse."), ("word", "Horseback-riding")],
        clean: Clean::PromptEol,
        about: "PromptEOL behind one worked example, of your own with fill = { demonstration = \"...\", word = \"...\" }. Without \
                `fill`: the one chosen for OPT-6.7B on the STS-B development set.",
        source: "Jiang et al., Scaling Sentence Embeddings with Large Language Models, arXiv 2307.16645; \
                 bytes as in github.com/kongds/scaling_sentemb at 8567aa0",
        protocol: Some(
            "layer -1, after the final norm; one demonstration for each model, the best of 300 on STS-B dev, so that its figures \
             have seen labelled data",
        ),
    },
    Entry {
        name: "echo",
        templates: &["Rewrite the following paragraph: {text}. The rewritten paragraph: {text}"],
        filled: &[],
        clean: Clean::None,
        about: "Echo: the text twice, so that every token of the second copy has seen all of the first.",
        source: "Springer et al., Repetition Improves Language Model Embeddings, arXiv 2402.15449",
        protocol: Some("the mean over the tokens of the second copy: pool = \"mean\", span = 2; layer -1"),
    },
    Entry {
        name: "ponte",
        templates: &["Express this text \"{text}\" in one word in terms of {aspect}: "],
        filled: &[],
        clean: Clean::None,
        about: "PonTE: one word for the text in one respect, a column `aspect` of the dataset or fill = { aspect = \"topic\" }.",
        source: "Yamada and Zhang, Out-of-the-Box Conditional Text Embeddings from Large Language Models, arXiv 2504.16411",
        protocol: Some("the last token: pool = \"last\""),
    },
    Entry {
        name: "eight-views",
        templates: &[
            "Sorted onto the shelves of a library, this text : \"{text}\" stands on the shelf labelled, in one word:\"",
            "Asked what this text : \"{text}\" deals with, a reader names its topic in one word:\"",
            "Judging by its tone, the writer of this text : \"{text}\" feels about the matter, in one word:\"",
            "Read aloud by an actor, this text : \"{text}\" calls for a mood that is, in one word:\"",
            "Whatever other wording is chosen for this text : \"{text}\" its sense stays, in one word:\"",
            "Cut down as far as it will go, this text : \"{text}\" becomes one word:\"",
            "Of all that is stated in this text : \"{text}\" the fact that matters most is, in one word:\"",
            "The person, thing or event that this text : \"{text}\" is mostly about is, in one word:\"",
        ],
        filled: &[],
        clean: Clean::PromptEol,
        about: "Eight views in the manner of MetaEOL, in our own words: two each on topic, sentiment, paraphrase and facts. For \
                the authors' prompts write them into a file: views = { file = \"...\" }.",
        source: "after Lei et al., Meta-Task Prompting Elicits Embeddings from Large Language Models, arXiv 2402.18458, whose \
                 wording it does not use: no figure published for MetaEOL is one for these",
        protocol: Some("the mean of the raw vectors; layer -1, after the final norm"),
    },
    Entry {
        name: "cot-zh",
        templates: &["仔细思考后，用一个词总结这句话：{text}"],
        filled: &[],
        clean: Clean::None,
        about: "Chinese: after careful thought, sum up this sentence in one word. The text comes last, so the last token \
                is the text's own.",
        source: "no publication: the prompt of the experiment on IFLYTEK that this project began with",
        protocol: None,
    },
];

/// The built-in prompt of that name.
pub fn find(name: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.name == name)
}

impl Entry {
    /// The entry as a prompt, with the clean-up of its published protocol.
    pub fn prompt(&self, id: &str) -> Prompt {
        self.prompt_with(id, Truncation::default(), self.clean)
    }

    /// The entry as a prompt, with truncation and clean-up of one's own choice.
    pub fn prompt_with(&self, id: &str, truncate: Truncation, clean: Clean) -> Prompt {
        let views = self.templates().into_iter().map(|template| self.fill(template)).collect();
        Prompt::new(id, views, truncate, clean)
    }

    /// Its templates, at least one, with nothing filled.
    pub fn templates(&self) -> Vec<Template> {
        self.templates.iter().flat_map(|template| Template::parse(template)).collect()
    }

    /// What fills the slots that a spec leaves open.
    pub fn fill(&self, template: Template) -> Template {
        let filled = |template: Template, (name, value): &(&str, &str)| template.clone().with(name, value).unwrap_or(template);
        self.filled.iter().fold(template, filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_of_templates_with_a_name_of_its_own() {
        for (i, entry) in ENTRIES.iter().enumerate() {
            assert_eq!(entry.templates().len(), entry.templates.len(), "{}", entry.name);
            assert_eq!(entry.prompt("x").views.len(), entry.templates.len());
            assert_eq!(ENTRIES.iter().position(|other| other.name == entry.name), Some(i));
            for (name, value) in entry.filled {
                assert!(entry.templates().iter().all(|template| template.names().contains(name)));
                assert!(entry.templates().into_iter().all(|template| template.with(name, value).is_ok()));
            }
            let copies = if entry.name == "echo" { 2 } else { 1 };
            assert!(entry.templates().iter().all(|template| template.slots() == copies), "{}", entry.name);
        }
    }

    #[test]
    fn published_bytes() {
        let rendered = |name: &str| find(name).unwrap().prompt("x").views[0].template.render("*sent 0*").text;
        assert_eq!(rendered("prompteol"), r#"This sentence : "*sent 0*" means in one word:""#);
        assert_eq!(
            rendered("pretended-cot"),
            r#"After thinking step by step , this sentence : "*sent 0*" means in one word:""#
        );
        assert_eq!(
            rendered("knowledge-enhancement"),
            r#"The essence of a sentence is often captured by its main subjects and actions, while descriptive terms provide additional but less central details. With this in mind , this sentence : "*sent 0*" means in one word:""#
        );
        assert_eq!(
            rendered("prompteol-icl"),
            r#"This sentence : "The man is riding a horse." means in one word:"Horseback-riding".This sentence : "*sent 0*" means in one word:""#
        );
        assert_eq!(rendered("echo"), "Rewrite the following paragraph: *sent 0*. The rewritten paragraph: *sent 0*");
        assert_eq!(rendered("ponte"), r#"Express this text "*sent 0*" in one word in terms of {aspect}: "#);
        assert_eq!(rendered("cot-zh"), "仔细思考后，用一个词总结这句话：*sent 0*");
        assert_eq!(find("promptEOL"), None);
    }
}
