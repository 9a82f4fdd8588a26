//! What transformers makes of a tokenizer by the name of its class: some are taken from tokenizer.json as they are written,
//! others are built anew from its vocabulary, with parts of the class's own.
//!
//! Source: transformers 5.24, `AutoTokenizer` and the classes that it chooses from. Two differences: a file that asks by name
//! for what is written gets it for Qwen2 too, and `add_bos_token` beside a tokenizer.json counts, as it does up to version 4.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokenizers::models::ModelWrapper;
use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::processors::PostProcessorWrapper;

/// How a tokenizer is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// As tokenizer.json says.
    Written,
    Bert,
    CodeLlama,
    Gemma,
    Gpt2,
    GptNeox,
    Llama,
    Qwen2,
    Roberta,
    XlmRoberta,
}

/// By the names in files, without `Fast`.
const CLASSES: &[(&str, Class)] = &[
    ("BartTokenizer", Class::Roberta),
    ("BertTokenizer", Class::Bert),
    ("CodeLlamaTokenizer", Class::CodeLlama),
    ("DistilBertTokenizer", Class::Bert),
    ("ElectraTokenizer", Class::Bert),
    ("GPT2Tokenizer", Class::Gpt2),
    ("GPTNeoXTokenizer", Class::GptNeox),
    ("GemmaTokenizer", Class::Gemma),
    ("LlamaTokenizer", Class::Llama),
    ("Qwen2Tokenizer", Class::Qwen2),
    ("RobertaTokenizer", Class::Roberta),
    ("XLMRobertaTokenizer", Class::XlmRoberta),
];

/// Classes that are built anew in ways that are not read here.
const OTHERS: &[&str] = &[
    "AlbertTokenizer",
    "BarthezTokenizer",
    "BigBirdTokenizer",
    "BlenderbotTokenizer",
    "CLIPTokenizer",
    "CamembertTokenizer",
    "CodeGenTokenizer",
    "CohereTokenizer",
    "DPRQuestionEncoderTokenizer",
    "DebertaTokenizer",
    "DebertaV2Tokenizer",
    "FunnelTokenizer",
    "HerbertTokenizer",
    "LayoutLMv2Tokenizer",
    "LayoutLMv3Tokenizer",
    "LayoutXLMTokenizer",
    "LukeTokenizer",
    "MBart50Tokenizer",
    "MBartTokenizer",
    "MPNetTokenizer",
    "MarkupLMTokenizer",
    "NllbTokenizer",
    "NougatTokenizer",
    "OpenAIGPTTokenizer",
    "PegasusTokenizer",
    "Qwen3_5Tokenizer",
    "ReformerTokenizer",
    "RemBertTokenizer",
    "RoFormerTokenizer",
    "SeamlessM4TTokenizer",
    "Siglip2Tokenizer",
    "SplinterTokenizer",
    "T5Tokenizer",
    "UdopTokenizer",
    "WhisperTokenizer",
    "XGLMTokenizer",
    "XLNetTokenizer",
];

/// Why one of the others is refused.
pub(super) const NOT_READ: &str = "transformers builds such a tokenizer anew from its vocabulary, in a way that is not read \
                                   here; to take tokenizer.json as it is written, name `PreTrainedTokenizerFast`";

/// Why a class does not go with what tokenizer.json holds.
pub(super) const NOT_MADE_OF: &str =
    "such a tokenizer is made of another kind of vocabulary than tokenizer.json holds; name `PreTrainedTokenizerFast`";

/// How Qwen2 splits texts first.
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

impl Class {
    /// That of a model of some `model_type`, by the name in `tokenizer_config.json`; `None` for one that cannot be built here.
    pub fn of(architecture: &str, named: Option<&str>, byte_level: bool) -> Option<Self> {
        let registered = match architecture {
            "mistral" | "phi3" => return Some(Self::Written),
            "bert" => Self::Bert,
            "gemma" | "gemma2" | "gemma3_text" => Self::Gemma,
            "gpt2" | "opt" => Self::Gpt2,
            "gpt_neox" => Self::GptNeox,
            "qwen2" | "qwen3" => Self::Qwen2,
            "roberta" => Self::Roberta,
            "xlm-roberta" => Self::XlmRoberta,
            _ => Self::Written,
        };
        let Some(named) = named else { return Some(registered) };
        let named = named.strip_suffix("Fast").unwrap_or(named);
        let known = CLASSES.iter().find(|(name, _)| *name == named).map(|(_, class)| *class);
        match known {
            // Names in these models' files are often those of others.
            Some(_) if architecture == "qwen2" => Some(Self::Qwen2),
            // Llama 3 and its like: the class would be wrong.
            Some(Self::Llama) if byte_level => Some(Self::Written),
            Some(class) => Some(class),
            None => (!OTHERS.contains(&named)).then_some(Self::Written),
        }
    }

    /// A special token that the class has where no file names one.
    pub fn token(self, key: &str) -> Option<&'static str> {
        let tokens: &[(&str, &str)] = match self {
            Self::Written => &[],
            Self::Bert => &[
                ("unk_token", "[UNK]"),
                ("sep_token", "[SEP]"),
                ("pad_token", "[PAD]"),
                ("cls_token", "[CLS]"),
                ("mask_token", "[MASK]"),
            ],
            Self::Llama | Self::CodeLlama => &[("unk_token", "<unk>"), ("bos_token", "<s>"), ("eos_token", "</s>")],
            Self::Gemma => &[
                ("unk_token", "<unk>"),
                ("bos_token", "<bos>"),
                ("eos_token", "<eos>"),
                ("pad_token", "<pad>"),
                ("mask_token", "<mask>"),
            ],
            Self::Gpt2 | Self::GptNeox => {
                &[("unk_token", "<|endoftext|>"), ("bos_token", "<|endoftext|>"), ("eos_token", "<|endoftext|>")]
            }
            Self::Qwen2 => &[("unk_token", "<|endoftext|>"), ("eos_token", "<|endoftext|>"), ("pad_token", "<|endoftext|>")],
            Self::Roberta | Self::XlmRoberta => &[
                ("bos_token", "<s>"),
                ("eos_token", "</s>"),
                ("sep_token", "</s>"),
                ("cls_token", "<s>"),
                ("unk_token", "<unk>"),
                ("pad_token", "<pad>"),
                ("mask_token", "<mask>"),
            ],
        };
        tokens.iter().find(|(known, _)| *known == key).map(|(_, token)| *token)
    }

    /// Gives a tokenizer the class's own parts; those around texts are up to the caller. `config` is `tokenizer_config.json`,
    /// `unk` the token for what is unknown. False for a class that is made of another kind of vocabulary.
    pub fn build(self, tokenizer: &mut tokenizers::Tokenizer, config: &Value, unk: Option<&str>) -> tokenizers::Result<bool> {
        let flag = |key: &str, default: bool| config.get(key).and_then(Value::as_bool).unwrap_or(default);
        let bytes = |use_regex: bool| {
            let prefix = flag("add_prefix_space", false);
            json!({"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": use_regex})
        };
        let marks = |scheme: &str, split: bool| json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split});
        let (normalizer, splitter) = match self {
            Self::Written => return Ok(true),
            Self::Bert => {
                let normalizer = json!({
                    "type": "BertNormalizer",
                    "clean_text": true,
                    "handle_chinese_chars": flag("tokenize_chinese_chars", true),
                    "strip_accents": config.get("strip_accents").and_then(Value::as_bool),
                    "lowercase": flag("do_lower_case", true),
                });
                (Some(normalizer), json!({"type": "BertPreTokenizer"}))
            }
            Self::Gpt2 | Self::Roberta => (None, bytes(true)),
            Self::GptNeox => (Some(json!({"type": "NFC"})), bytes(true)),
            Self::Qwen2 => {
                let split = json!({"type": "Split", "pattern": {"Regex": QWEN2}, "behavior": "Isolated", "invert": false});
                (Some(json!({"type": "NFC"})), json!({"type": "Sequence", "pretokenizers": [split, bytes(false)]}))
            }
            Self::Gemma => {
                let replace = json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
                let split =
                    json!({"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": false});
                (Some(replace), split)
            }
            Self::Llama | Self::CodeLlama => {
                let always = self == Self::Llama && flag("legacy", false);
                let scheme = if always { "always" } else { "first" };
                (None, marks(if flag("add_prefix_space", true) { scheme } else { "never" }, false))
            }
            Self::XlmRoberta => {
                let scheme = if flag("add_prefix_space", true) { "always" } else { "never" };
                let parts = [json!({"type": "WhitespaceSplit"}), marks(scheme, true)];
                let characters = tokenizer.get_normalizer().map(serde_json::to_value).transpose()?;
                (characters.as_ref().and_then(precompiled), json!({"type": "Sequence", "pretokenizers": parts}))
            }
        };
        if !self.set_model(tokenizer, unk) {
            return Ok(false);
        }
        tokenizer.with_normalizer(normalizer.map(part::<NormalizerWrapper>).transpose()?)?;
        tokenizer.with_pre_tokenizer(Some(part::<PreTokenizerWrapper>(splitter)?));
        Ok(true)
    }

    /// Sets what the class says of joining pieces. False where the vocabulary is of another kind.
    fn set_model(self, tokenizer: &mut tokenizers::Tokenizer, unk: Option<&str>) -> bool {
        let mut model = tokenizer.get_model().clone();
        match (self, &mut model) {
            (Self::Bert, ModelWrapper::WordPiece(pieces)) => {
                unk.unwrap_or("[UNK]").clone_into(&mut pieces.unk_token);
                "##".clone_into(&mut pieces.continuing_subword_prefix);
                pieces.max_input_chars_per_word = 100;
            }
            (Self::XlmRoberta, ModelWrapper::Unigram(_)) => return true,
            (Self::Gemma | Self::Llama | Self::CodeLlama, ModelWrapper::BPE(pairs)) => {
                (pairs.fuse_unk, pairs.byte_fallback, pairs.ignore_merges, pairs.dropout) = (true, true, false, None);
                pairs.unk_token = unk.filter(|_| self != Self::Llama).map(str::to_owned);
            }
            (Self::Gpt2 | Self::GptNeox | Self::Qwen2 | Self::Roberta, ModelWrapper::BPE(pairs)) => {
                (pairs.fuse_unk, pairs.byte_fallback, pairs.ignore_merges, pairs.dropout) = (false, false, false, None);
                (pairs.unk_token, pairs.continuing_subword_prefix, pairs.end_of_word_suffix) = (None, None, None);
            }
            _ => return false,
        }
        tokenizer.with_model(model);
        true
    }

    /// The tokens before and behind every text, by their keys, where the class decides about them itself.
    pub const fn around(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Bert | Self::Roberta => Some(("cls_token", "sep_token")),
            Self::XlmRoberta => Some(("bos_token", "eos_token")),
            _ => None,
        }
    }

    /// What `add_bos_token` and `add_eos_token` are where they are not set, and whether that counts beside what tokenizer.json
    /// puts around texts; `None` where the flags mean nothing.
    pub fn flags(self, named: &str) -> Option<(bool, bool)> {
        match self {
            Self::Llama => Some((true, false)),
            Self::CodeLlama => Some((true, true)),
            Self::GptNeox => Some((false, true)),
            Self::Written if named.starts_with("LlamaTokenizer") => Some((true, false)),
            Self::Written if named == "TokenizersBackend" => Some((false, false)),
            _ => None,
        }
    }
}

/// The table of characters within a normalizer.
fn precompiled(normalizer: &Value) -> Option<Value> {
    if normalizer["type"] == "Precompiled" {
        return Some(normalizer.clone());
    }
    normalizer["normalizers"].as_array()?.iter().find_map(precompiled)
}

/// `<s> text </s>` as RoBERTa's classes put it around, with offsets that leave blanks out.
pub(super) fn roberta(begin: (&str, u32), end: (&str, u32), prefix: bool) -> tokenizers::Result<PostProcessorWrapper> {
    part(json!({"type": "RobertaProcessing", "sep": end, "cls": begin, "trim_offsets": true, "add_prefix_space": prefix}))
}

fn part<T: DeserializeOwned>(of: Value) -> tokenizers::Result<T> {
    Ok(serde_json::from_value(of)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_chosen_as_transformers_does() {
        let of = |architecture, named, byte_level| Class::of(architecture, named, byte_level);
        assert_eq!(of("llama", Some("LlamaTokenizerFast"), false), Some(Class::Llama));
        assert_eq!(of("llama", Some("LlamaTokenizer"), true), Some(Class::Written), "Llama 3");
        assert_eq!(of("llama", Some("PreTrainedTokenizerFast"), true), Some(Class::Written));
        assert_eq!(of("mistral", Some("LlamaTokenizer"), false), Some(Class::Written));
        assert_eq!(of("phi3", Some("LlamaTokenizer"), false), Some(Class::Written));
        assert_eq!(of("qwen2", Some("LlamaTokenizerFast"), true), Some(Class::Qwen2), "DeepSeek's distilled Qwen");
        assert_eq!(of("qwen2", Some("TokenizersBackend"), true), Some(Class::Written));
        assert_eq!(of("xlm-roberta", None, false), Some(Class::XlmRoberta));
        assert_eq!(of("llama", None, false), Some(Class::Written));
        assert_eq!(of("gpt2", Some("T5Tokenizer"), false), None);
        assert_eq!(of("gpt2", Some("SomebodysOwnTokenizer"), false), Some(Class::Written));
    }
}
