//! Where a model comes from: `path:DIR`, `gguf:FILE`, `hf:REPO[@REV]`, `http://HOST/v1`, `builtin:char-ngram`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use ureq::http::Uri;

use super::suggest::suggest;
use super::{Adapter, Endpoint, FitSet, Source};

const CHAR_NGRAM: &str = "char-ngram";
const SCHEMES: [&str; 6] = ["path", "gguf", "hf", "http", "https", "builtin"];

impl Source {
    /// Reads what `Display` writes. `fit` goes with `builtin:char-ngram`, `endpoint` with a server, and with nothing else.
    ///
    /// # Errors
    /// An address of no known kind, an incomplete one, or a `fit` or `endpoint` that is missing, wrong or out of place.
    pub fn parse(text: &str, fit: Option<&FitSet>, endpoint: Option<&Endpoint>) -> Result<Self, SourceError> {
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(SourceError::NoScheme(text.to_owned()));
        };
        let source = match scheme {
            "path" if rest.is_empty() => Err(SourceError::NoFolder),
            "path" => Ok(Self::Path(PathBuf::from(rest))),
            "hf" => hub(rest),
            "http" | "https" => server(text, endpoint),
            "builtin" if rest == CHAR_NGRAM => fit.cloned().map(|fit| Self::CharNgram { fit }).ok_or(SourceError::FitMissing),
            "builtin" => Err(SourceError::UnknownBuiltin(rest.to_owned())),
            "gguf" if rest.is_empty() => Err(SourceError::NoFile),
            "gguf" => Ok(Self::Gguf(PathBuf::from(rest))),
            _ => Err(SourceError::UnknownScheme(scheme.to_owned())),
        }?;
        if fit.is_some() && !matches!(source, Self::CharNgram { .. }) {
            return Err(SourceError::FitRefused);
        }
        if endpoint.is_some() && !matches!(source, Self::Server { .. }) {
            return Err(SourceError::EndpointRefused);
        }
        Ok(source)
    }
}

impl Source {
    /// The same at one commit, where it is a repository of the hub.
    #[must_use]
    pub fn at(&self, commit: Option<&str>) -> Self {
        match (self, commit) {
            (Self::Hub { repo, .. }, Some(commit)) => Self::Hub { repo: repo.clone(), revision: Some(commit.to_owned()) },
            (other, _) => other.clone(),
        }
    }
}

impl From<&Adapter> for Source {
    fn from(adapter: &Adapter) -> Self {
        match adapter.clone() {
            Adapter::Path(path) => Self::Path(path),
            Adapter::Hub { repo, revision } => Self::Hub { repo, revision },
        }
    }
}

impl fmt::Display for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Source::from(self).fmt(f)
    }
}

impl FromStr for Adapter {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        match text.parse() {
            Ok(Source::Path(path)) => Ok(Self::Path(path)),
            Ok(Source::Hub { repo, revision }) => Ok(Self::Hub { repo, revision }),
            Ok(_) | Err(SourceError::EndpointMissing | SourceError::FitMissing) => Err(SourceError::NoAdapter(text.to_owned())),
            Err(error) => Err(error),
        }
    }
}

/// The address without what differs in writing alone. What may hold a secret is refused without being repeated.
fn server(text: &str, endpoint: Option<&Endpoint>) -> Result<Source, SourceError> {
    let uri: Option<Uri> = text.parse().ok().filter(|uri: &Uri| uri.scheme().is_some());
    let authority = uri.as_ref().and_then(Uri::authority).map(|authority| authority.as_str().to_owned());
    // Also where the rest is no address.
    if text.contains('@') || text.contains('?') {
        return Err(SourceError::Credentials);
    }
    let Some(authority) = authority.filter(|authority| !authority.is_empty() && !text.contains('#')) else {
        return Err(SourceError::NoServer(text.to_owned()));
    };
    let url = text.trim_end_matches('/');
    if url.ends_with("/embeddings") || url.ends_with(&authority) {
        return Err(SourceError::NotTheBase(url.to_owned()));
    }
    let endpoint = endpoint.cloned().ok_or(SourceError::EndpointMissing)?;
    match &endpoint.api_key_env {
        Some(name) if !is_variable(name) => Err(SourceError::NoVariable),
        _ => Ok(Source::Server { url: url.to_owned(), endpoint }),
    }
}

/// Whether a shell takes it as the name of a variable; few keys are such names.
pub(super) fn is_variable(name: &str) -> bool {
    let word = name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    word && name.starts_with(|c: char| !c.is_ascii_digit())
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
            Self::Gguf(path) => write!(f, "gguf:{}", path.display()),
            Self::Hub { repo, revision: None } => write!(f, "hf:{repo}"),
            Self::Hub { repo, revision: Some(revision) } => write!(f, "hf:{repo}@{revision}"),
            Self::Server { url, .. } => f.write_str(url),
            Self::CharNgram { .. } => write!(f, "builtin:{CHAR_NGRAM}"),
        }
    }
}

impl FromStr for Source {
    type Err = SourceError;

    /// Reads an address that stands alone: `builtin:char-ngram` and servers need a spec to say more.
    fn from_str(text: &str) -> Result<Self, SourceError> {
        Self::parse(text, None, None)
    }
}

/// Why a text names no model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}", self.what(), self.help())]
pub enum SourceError {
    /// Nothing like `path:` in front.
    NoScheme(String),
    /// Something else in front of the colon.
    UnknownScheme(String),
    /// `path:` and nothing behind it.
    NoFolder,
    /// `hf:` and no name of a repository.
    NoRepository(String),
    /// `builtin:` and an unknown name.
    UnknownBuiltin(String),
    /// `gguf:` and nothing behind it.
    NoFile,
    /// `http:` and no address of a server.
    NoServer(String),
    /// An address with a user, a password or a query, where keys are written; it is not repeated.
    Credentials,
    /// An address of something else than the folder that `embeddings` is in.
    NotTheBase(String),
    /// An address of something that no adapter is kept in.
    NoAdapter(String),
    /// A server has to be told which of its models is meant.
    EndpointMissing,
    /// No other model is on a server.
    EndpointRefused,
    /// Something else than a variable's name, perhaps the key itself; it is not repeated.
    NoVariable,
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
            Self::NoFile => "`gguf:` names no file".to_owned(),
            Self::NoServer(address) => format!("`{address}` is no address of a server"),
            Self::Credentials => "a server's address holds no user, password or query".to_owned(),
            Self::NotTheBase(address) => format!("`{address}` is not the address that `/embeddings` is added to"),
            Self::NoAdapter(address) => format!("`{address}` is no adapter"),
            Self::EndpointMissing => "an embedding server needs `endpoint`".to_owned(),
            Self::EndpointRefused => "only a server (`http://HOST:PORT/v1`) takes `endpoint`".to_owned(),
            Self::NoVariable => "`api_key_env` is no name of an environment variable".to_owned(),
            Self::FitMissing => format!("`builtin:{CHAR_NGRAM}` needs `fit`"),
            Self::FitRefused => format!("only `builtin:{CHAR_NGRAM}` takes `fit`"),
        }
    }

    /// What to write instead.
    pub fn help(&self) -> String {
        let kinds = "`path:DIR` for a folder, `gguf:FILE` for a file of llama.cpp, `hf:REPO` for the Hugging Face hub, `http://HOST:PORT/v1` for a server, or \
                     `builtin:char-ngram`";
        match self {
            Self::NoScheme(_) => format!("write {kinds}"),
            Self::UnknownScheme(scheme) => match suggest(scheme, SCHEMES.into_iter()) {
                Some(known) => format!("did you mean `{known}:`?"),
                None => format!("write {kinds}"),
            },
            Self::NoFolder => "write `path:DIR`; relative paths are relative to the working directory".to_owned(),
            Self::NoRepository(_) => "write `hf:OWNER/NAME` or `hf:OWNER/NAME@REVISION`".to_owned(),
            Self::UnknownBuiltin(_) => format!("write `builtin:{CHAR_NGRAM}`"),
            Self::NoFile => "write `gguf:FILE`; relative paths are relative to the working directory".to_owned(),
            Self::NoServer(_) => "write `http://HOST:PORT/v1`, or https".to_owned(),
            Self::Credentials => {
                "put the key into an environment variable and name it: endpoint = { api_key_env = \"NAME\", ... }".to_owned()
            }
            Self::NotTheBase(_) => "write `http://HOST:PORT/v1`, which most servers use".to_owned(),
            Self::NoAdapter(_) => "write `path:DIR` for a folder, or `hf:OWNER/NAME` for the Hugging Face hub".to_owned(),
            Self::EndpointMissing => "name the served model: endpoint = { name = \"NAME\" }".to_owned(),
            Self::EndpointRefused => "remove `endpoint`: this model is read from files".to_owned(),
            Self::NoVariable => "write its name, in capitals, digits and `_`; the key itself belongs in no file".to_owned(),
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
            assert_eq!(Source::parse(text, None, None).unwrap().to_string(), text);
        }
        let floor = Source::parse("builtin:char-ngram", Some(&fit()), None);
        assert_eq!(floor, Ok(Source::CharNgram { fit: fit() }));
        assert_eq!(floor.unwrap().to_string(), "builtin:char-ngram");
        let hub = Source::Hub { repo: "a/b".to_owned(), revision: Some("v1".to_owned()) };
        assert_eq!(Source::parse("hf:a/b@v1", None, None), Ok(hub));
    }

    #[test]
    fn mistakes_say_what_to_write() {
        let mistake = |text: &str| text.parse::<Source>().unwrap_err().to_string();
        let kinds = "`path:DIR` for a folder, `gguf:FILE` for a file of llama.cpp, `hf:REPO` for the Hugging Face hub, \
                     `http://HOST:PORT/v1` for a server, or `builtin:char-ngram`";
        assert_eq!(mistake("a/b"), format!("`a/b` does not say what kind of address it is: write {kinds}"));
        assert_eq!(mistake("paht:x"), "`paht:` is no kind of model address: did you mean `path:`?");
        assert_eq!(mistake("s3:x"), format!("`s3:` is no kind of model address: write {kinds}"));
        assert_eq!(
            mistake("gguf:"),
            "`gguf:` names no file: write `gguf:FILE`; relative paths are relative to the working directory"
        );
        assert_eq!(
            mistake("hf:a/b/c"),
            "`a/b/c` is no repository of the Hugging Face hub: write `hf:OWNER/NAME` or `hf:OWNER/NAME@REVISION`"
        );
        assert!(mistake("builtin:char-ngram").starts_with("`builtin:char-ngram` needs `fit`: name the unlabelled"));
        for wrong in ["hf:", "hf:a/b@", "hf:a/../b", "hf:a b", "hf:/b"] {
            assert!(matches!(Source::parse(wrong, None, None), Err(SourceError::NoRepository(_))), "{wrong}");
        }
        assert_eq!(Source::parse("path:x", Some(&fit()), None), Err(SourceError::FitRefused));
        assert_eq!(Source::parse("path:", None, None), Err(SourceError::NoFolder));
        assert_eq!(Source::parse("builtin:tfidf", None, None), Err(SourceError::UnknownBuiltin("tfidf".to_owned())));
    }

    #[test]
    fn servers_are_told_what_to_serve_and_keep_no_secret() {
        let named = Endpoint::named("bge-m3");
        let parse = |text: &str| Source::parse(text, None, Some(&named));
        let server = parse("http://localhost:8080/v1/").unwrap();
        assert_eq!(server.to_string(), "http://localhost:8080/v1");
        assert_eq!(server, Source::Server { url: "http://localhost:8080/v1".to_owned(), endpoint: named.clone() });
        let mistake = |text: &str| parse(text).unwrap_err().to_string();
        for secret in
            ["http://me:hunter2@host/v1", "https://hunter2@host/v1", "https://host/v1?key=hunter2", "http://a b@hunter2"]
        {
            assert_eq!(parse(secret), Err(SourceError::Credentials));
            assert!(!mistake(secret).contains("hunter2"), "{}", mistake(secret));
        }
        for wrong in ["http:", "http://", "http:host", "http://a b/v1", "http://host/v1#a"] {
            assert!(matches!(parse(wrong), Err(SourceError::NoServer(_))), "{wrong}: {:?}", parse(wrong));
        }
        for wrong in ["http://localhost:8080", "http://localhost:8080/v1/embeddings/"] {
            assert!(matches!(parse(wrong), Err(SourceError::NotTheBase(_))), "{wrong}");
        }
        assert_eq!(
            Source::parse("http://localhost:8080/v1", None, None).unwrap_err().to_string(),
            "an embedding server needs `endpoint`: name the served model: endpoint = { name = \"NAME\" }"
        );
        assert_eq!(Source::parse("http://a/v1", Some(&fit()), Some(&named)), Err(SourceError::FitRefused));
        assert_eq!(Source::parse("path:x", None, Some(&named)), Err(SourceError::EndpointRefused));
        let keyed = |name: &str| Endpoint { api_key_env: Some(name.to_owned()), ..named.clone() };
        assert!(Source::parse("http://a/v1", None, Some(&keyed("OPENAI_API_KEY"))).is_ok());
        for key in ["sk-hunter2", "hunter2", "2HUNTER"] {
            let error = Source::parse("http://a/v1", None, Some(&keyed(key))).unwrap_err();
            assert!(error == SourceError::NoVariable && !error.to_string().contains(key));
        }
    }
}
