//! The built-in prompts, byte for byte as the code that made them known runs them.

use super::{Clean, Prompt, Template, Truncation};

/// A built-in prompt: `use = "name"` in a spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: &'static str,
    pub template: &'static str,
    /// Clean-up of the published protocol; a spec's `clean` overrides it.
    pub clean: Clean,
    /// What it is, in a sentence.
    pub about: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    /// Which hidden state the published code reads with this prompt, where it says so.
    pub layer_note: Option<&'static str>,
}

/// All built-in prompts, in the order of the documentation.
pub const ENTRIES: &[Entry] = &[
    Entry {
        name: "raw",
        template: "{text}",
        clean: Clean::None,
        about: "The text alone, as encoders and the lexical floor take it.",
        source: "no publication: the absence of a prompt",
        layer_note: None,
    },
    Entry {
        name: "prompteol",
        template: "This sentence : \"{text}\" means in one word:\"",
        clean: Clean::PromptEol,
        about: "PromptEOL: the next token would be the one word that the sentence means.",
        source: "Jiang et al., Scaling Sentence Embeddings with Large Language Models, arXiv 2307.16645; \
                 bytes as in github.com/kongds/scaling_sentemb at 8567aa0",
        layer_note: Some("layer -1, after the final norm"),
    },
    Entry {
        name: "pretended-cot",
        template: "After thinking step by step , this sentence : \"{text}\" means in one word:\"",
        clean: Clean::PromptEol,
        about: "Pretended CoT: PromptEOL behind a phrase that pretends reasoning took place.",
        source: "Zhang et al., Simple Techniques for Enhancing Sentence Embeddings in Generative Language Models, \
                 arXiv 2404.03921; bytes as in github.com/ZBWpro/PretCoTandKE at ad3a799",
        layer_note: Some(
            "layer -2, before the last block and without the norm: the published gain over PromptEOL (layer -1) mixes \
             prompt and layer",
        ),
    },
    Entry {
        name: "knowledge-enhancement",
        template: "The essence of a sentence is often captured by its main subjects and actions, while descriptive \
                   terms provide additional but less central details. With this in mind , this sentence : \"{text}\" \
                   means in one word:\"",
        clean: Clean::PromptEol,
        about: "Knowledge Enhancement: PromptEOL behind a hint on what matters in a sentence.",
        source: "Zhang et al., Simple Techniques for Enhancing Sentence Embeddings in Generative Language Models, \
                 arXiv 2404.03921; bytes as in github.com/ZBWpro/PretCoTandKE at ad3a799",
        layer_note: Some(
            "layer -2, before the last block and without the norm: the published gain over PromptEOL (layer -1) mixes \
             prompt and layer",
        ),
    },
    Entry {
        name: "prompteol-icl",
        template: "This sentence : \"The man is riding a horse.\" means in one word:\"Horseback-riding\".This sentence \
                   : \"{text}\" means in one word:\"",
        clean: Clean::PromptEol,
        about: "PromptEOL behind one worked example: the one chosen for OPT-6.7B on the STS-B development set.",
        source: "Jiang et al., Scaling Sentence Embeddings with Large Language Models, arXiv 2307.16645; \
                 bytes as in github.com/kongds/scaling_sentemb at 8567aa0",
        layer_note: Some("layer -1, after the final norm"),
    },
    Entry {
        name: "cot-zh",
        template: "仔细思考后，用一个词总结这句话：{text}",
        clean: Clean::None,
        about: "Chinese: after careful thought, sum up this sentence in one word. The text comes last, so the last token \
                is the text's own.",
        source: "no publication: the prompt of the experiment on IFLYTEK that this project began with",
        layer_note: None,
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
        let views = Template::parse(self.template).into_iter().collect();
        Prompt::new(id, views, truncate, clean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_a_template_with_one_slot_and_a_name_of_its_own() {
        for (i, entry) in ENTRIES.iter().enumerate() {
            assert_eq!(Template::parse(entry.template).map(|template| template.slots()), Ok(1), "{}", entry.name);
            assert_eq!(entry.prompt("x").views.len(), 1);
            assert_eq!(ENTRIES.iter().position(|other| other.name == entry.name), Some(i));
        }
    }

    #[test]
    fn published_bytes() {
        let rendered = |name: &str| find(name).unwrap().prompt("x").views[0].render("*sent 0*").text;
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
        assert_eq!(rendered("cot-zh"), "仔细思考后，用一个词总结这句话：*sent 0*");
        assert_eq!(find("promptEOL"), None);
    }
}
