//! Where a model comes from: `path:DIR`, `hf:REPO[@REV]`, `builtin:char-ngram`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::suggest::suggest;
use super::{FitSet, Source};

const CHAR_NGRAM: &str = "char-ngram";
const SCHEMES: [&str; 3] = ["path", "hf", "builtin"];

impl Source {
    /// Reads what `Display` writes. `fit` goes with `builtin:char-ngram`, and with nothing else.
    ///
    /// # Errors
    /// An address of no known kind, an incomplete one, or a `fit` that is missing or out of place.
    pub fn parse(text: &str, fit: Option<FitSet>) -> Result<Self, SourceError> {
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(SourceError::NoScheme(text.to_owned()));
        };
        let source = match scheme {
            "path" if rest.is_empty() => Err(SourceError::NoFolder),
            "path" => Ok(Self::Path(PathBuf::from(rest))),
            "hf" => hub(rest),
            "builtin" if rest == CHAR_NGRAM => {
                return fit.map(|fit| Self::CharNgram { fit }).ok_or(SourceError::FitMissing);
            }
            "builtin" => Err(SourceError::UnknownBuiltin(rest.to_owned())),
            "gguf" => Err(SourceError::Gguf),
            "http" | "https" => Err(SourceError::Http),
            _ => Err(SourceError::UnknownScheme(scheme.to_owned())),
        }?;
        if fit.is_some() { Err(SourceError::FitRefused) } else { Ok(source) }
    }
}

fn hub(address: &str) -> Result<Source, SourceError> {
    let (repo, revision) = match address.split_once('@') {
        Some((repo, revision)) => (repo, Some(revision)),
        None => (address, None),
    };
    let plain = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    let named = repo.split('/').count() <= 2 && repo.split('/').all(plain);
    let revised = revision.is_none_or(|revision| revision.split('/').all(plain));
    if named && revised {
        Ok(Source::Hub { repo: repo.to_owned(), revision: revision.map(str::to_owned) })
    } else {
        Err(SourceError::NoRepository(address.to_owned()))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "path:{}", path.display()),
            Self::Hub { repo, revision: None } => write!(f, "hf:{repo}"),
            Self::Hub { repo, revision: Some(revision) } => write!(f, "hf:{repo}@{revision}"),
            Self::CharNgram { .. } => write!(f, "builtin:{CHAR_NGRAM}"),
        }
    }
}

impl FromStr for Source {
    type Err = SourceError;

    /// Reads an address that stands alone: `builtin:char-ngram` needs a spec to say what it is fitted on.
    fn from_str(text: &str) -> Result<Self, SourceError> {
        Self::parse(text, None)
    }
}

/// Why a text names no model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}", self.what(), self.help())]
pub enum SourceError {
    /// No `path:`, `hf:` or `builtin:` in front.
    NoScheme(String),
    /// Something else in front of the colon.
    UnknownScheme(String),
    /// `path:` and nothing behind it.
    NoFolder,
    /// `hf:` and no name of a repository.
    NoRepository(String),
    /// `builtin:` and an unknown name.
    UnknownBuiltin(String),
    /// Quantised files are for a later version.
    Gguf,
    /// Embedding servers are for a later version.
    Http,
    /// The lexical model has to be told which texts its IDF comes from.
    FitMissing,
    /// Nothing of the other models is fitted.
    FitRefused,
}

impl SourceError {
    /// What is wrong.
    pub fn what(&self) -> String {
        match self {
            Self::NoScheme(text) => format!("`{text}` does not say what kind of address it is"),
            Self::UnknownScheme(scheme) => format!("`{scheme}:` is no kind of model address"),
            Self::NoFolder => "`path:` names no folder".to_owned(),
            Self::NoRepository(name) => format!("`{name}` is no repository of the Hugging Face hub"),
            Self::UnknownBuiltin(name) => format!("there is no built-in model `{name}`"),
            Self::Gguf => "`gguf:` models are not supported by this version".to_owned(),
            Self::Http => "embedding servers (`http:`) are not supported by this version".to_owned(),
            Self::FitMissing => format!("`builtin:{CHAR_NGRAM}` needs `fit`"),
            Self::FitRefused => format!("only `builtin:{CHAR_NGRAM}` takes `fit`"),
        }
    }

    /// What to write instead.
    pub fn help(&self) -> String {
        let kinds = "`path:DIR` for a folder, `hf:REPO` for the Hugging Face hub, or `builtin:char-ngram`";
        match self {
            Self::NoScheme(_) => format!("write {kinds}"),
            Self::UnknownScheme(scheme) => match suggest(scheme, SCHEMES.into_iter()) {
                Some(known) => format!("did you mean `{known}:`?"),
                None => format!("write {kinds}"),
            },
            Self::NoFolder => "write `path:DIR`; relative paths are relative to the working directory".to_owned(),
            Self::NoRepository(_) => "write `hf:OWNER/NAME` or `hf:OWNER/NAME@REVISION`".to_owned(),
            Self::UnknownBuiltin(_) => format!("write `builtin:{CHAR_NGRAM}`"),
            Self::Gguf => "use the model's safetensors folder: `path:DIR` or `hf:REPO`".to_owned(),
            Self::Http => "use the model itself: `path:DIR` or `hf:REPO`".to_owned(),
            Self::FitMissing => {
                "name the unlabelled texts for its IDF: fit = { dataset = \"NAME\", split = \"train\" }".to_owned()
            }
            Self::FitRefused => "remove `fit`: this model is used as it is".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit() -> FitSet {
        FitSet { dataset: "apps6".to_owned(), split: "dev".to_owned() }
    }

    #[test]
    fn addresses_there_and_back() {
        for text in ["path:models/tiny-zh", "path:./a:b", "hf:gpt2", "hf:01-ai/Yi-6B-Chat", "hf:a/b@refs/pr/1"] {
            assert_eq!(Source::parse(text, None).unwrap().to_string(), text);
        }
        let floor = Source::parse("builtin:char-ngram", Some(fit()));
        assert_eq!(floor, Ok(Source::CharNgram { fit: fit() }));
        assert_eq!(floor.unwrap().to_string(), "builtin:char-ngram");
        let hub = Source::Hub { repo: "a/b".to_owned(), revision: Some("v1".to_owned()) };
        assert_eq!(Source::parse("hf:a/b@v1", None), Ok(hub));
    }

    #[test]
    fn mistakes_say_what_to_write() {
        let mistake = |text: &str| text.parse::<Source>().unwrap_err().to_string();
        let kinds = "`path:DIR` for a folder, `hf:REPO` for the Hugging Face hub, or `builtin:char-ngram`";
        assert_eq!(mistake("a/b"), format!("`a/b` does not say what kind of address it is: write {kinds}"));
        assert_eq!(mistake("paht:x"), "`paht:` is no kind of model address: did you mean `path:`?");
        assert_eq!(mistake("s3:x"), format!("`s3:` is no kind of model address: write {kinds}"));
        assert_eq!(
            mistake("gguf:x.gguf"),
            "`gguf:` models are not supported by this version: use the model's safetensors folder: `path:DIR` or `hf:REPO`"
        );
        assert_eq!(
            mistake("http://localhost:8080"),
            "embedding servers (`http:`) are not supported by this version: use the model itself: `path:DIR` or `hf:REPO`"
        );
        assert_eq!(
            mistake("hf:a/b/c"),
            "`a/b/c` is no repository of the Hugging Face hub: write `hf:OWNER/NAME` or `hf:OWNER/NAME@REVISION`"
        );
        assert!(mistake("builtin:char-ngram").starts_with("`builtin:char-ngram` needs `fit`: name the unlabelled"));
        for wrong in ["hf:", "hf:a/b@", "hf:a/../b", "hf:a b", "hf:/b"] {
            assert!(matches!(Source::parse(wrong, None), Err(SourceError::NoRepository(_))), "{wrong}");
        }
        assert_eq!(Source::parse("path:x", Some(fit())), Err(SourceError::FitRefused));
        assert_eq!(Source::parse("path:", None), Err(SourceError::NoFolder));
        assert_eq!(Source::parse("builtin:tfidf", None), Err(SourceError::UnknownBuiltin("tfidf".to_owned())));
    }
}
