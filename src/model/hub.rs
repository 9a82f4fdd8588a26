//! Repositories of the Hugging Face hub as local folders, in the cache that other tools share.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use hf_hub::api::RepoInfo;
use hf_hub::api::sync::{ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, Repo, RepoType};

use super::error::ModelError;
use super::weights::shards;

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Small files that are fetched where the repository has them.
const OTHERS: &[&str] = &[
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "1_Pooling/config.json",
];

/// Written beside a model's files once all of them are there, with their names, one a line. Another program may have fetched
/// some of the files only, and a missing one may be missing from the repository or from the cache.
const COMPLETE: &str = ".embed-bench-complete";

/// The folder that holds `repo` at `revision`. Asks the network only where the cache is not known to have the whole model.
///
/// `HF_HOME`, `HF_ENDPOINT`, `HF_TOKEN` and the token of `hf auth login` are honoured.
pub(super) fn fetch(repo: &str, revision: &str) -> Result<PathBuf, ModelError> {
    let mut hub = ApiBuilder::from_env();
    if let Some(token) = std::env::var("HF_TOKEN").ok().filter(|token| !token.is_empty()) {
        hub = hub.with_token(Some(token));
    }
    Asked { repo, revision, cache: Cache::from_env() }.folder(hub)
}

/// One revision of a repository, and the cache to look for it.
struct Asked<'a> {
    repo: &'a str,
    revision: &'a str,
    cache: Cache,
}

impl Asked<'_> {
    fn folder(&self, hub: ApiBuilder) -> Result<PathBuf, ModelError> {
        if let Some(folder) = self.complete() {
            return Ok(folder);
        }
        let api = hub.with_progress(false).build().map_err(|source| self.failed(CONFIG, source))?;
        let info = match api.repo(self.at(self.revision)).info() {
            Ok(info) => info,
            Err(source) => return Err(self.unreachable(source)),
        };
        // Everything comes from one commit, whatever is pushed in the meantime.
        let folder = self.download(&api.repo(self.at(&info.sha)), &info)?;
        self.cache.repo(self.at(self.revision)).create_ref(&info.sha).map_err(|source| read_error(&folder, source))?;
        Ok(folder)
    }

    fn at(&self, revision: &str) -> Repo {
        Repo::with_revision(self.repo.to_owned(), RepoType::Model, revision.to_owned())
    }

    /// The cached folder, whatever it has.
    fn cached(&self) -> Option<PathBuf> {
        let config = self.cache.repo(self.at(self.revision)).get(CONFIG)?;
        config.parent().map(Path::to_owned)
    }

    /// The cached folder, if it has all files of a complete download, or all that there can be.
    fn complete(&self) -> Option<PathBuf> {
        let folder = self.cached()?;
        let whole = match fs::read_to_string(folder.join(COMPLETE)) {
            Ok(names) => names.lines().all(|name| folder.join(name).exists()),
            Err(_) => missing(&folder).is_empty(),
        };
        whole.then_some(folder)
    }

    fn download(&self, api: &ApiRepo, info: &RepoInfo) -> Result<PathBuf, ModelError> {
        let folder = self.cache.repo(self.at(&info.sha)).pointer_path(&info.sha);
        let has = |name: &str| info.siblings.iter().any(|file| file.rfilename == name);
        let mut names: Vec<String> = Vec::new();
        let mut get = |name: &str| {
            names.push(name.to_owned());
            let there = folder.join(name).exists();
            if there { Ok(()) } else { api.download(name).map(|_| ()).map_err(|source| self.failed(name, source)) }
        };
        get(CONFIG)?;
        for name in OTHERS.iter().filter(|name| has(name)) {
            get(name)?;
        }
        if has(WEIGHTS) {
            get(WEIGHTS)?;
        } else if has(INDEX) {
            get(INDEX)?;
            for shard in shards(&folder.join(INDEX))? {
                get(&shard)?;
            }
        } else if let Some(pickled) = info.siblings.iter().find(|file| file.rfilename.starts_with("pytorch_model")) {
            return Err(ModelError::Pickled { folder, file: pickled.rfilename.clone() });
        } else {
            return Err(ModelError::NoWeights { folder });
        }
        // The next run asks the hub again if this fails.
        let _unmarked = mark(&folder, &names);
        Ok(folder)
    }

    /// What the hub's refusal to list the files means, with what the cache has of them.
    fn unreachable(&self, source: ApiError) -> ModelError {
        let Some(folder) = self.cached().filter(|_| status(&source).is_none()) else {
            return self.failed(CONFIG, source);
        };
        let (repo, revision) = (self.repo.to_owned(), self.revision.to_owned());
        let (missing, source) = (missing(&folder).join(", "), Box::new(source));
        ModelError::PerhapsPart { repo, revision, missing, folder, source }
    }

    fn failed(&self, file: &str, source: ApiError) -> ModelError {
        let (repo, revision) = (self.repo.to_owned(), self.revision.to_owned());
        match status(&source) {
            Some(401 | 404) => ModelError::NoRepository { repo, revision },
            Some(403) => ModelError::Gated { repo },
            _ => ModelError::Download { repo, revision, file: file.to_owned(), source: Box::new(source) },
        }
    }
}

/// Files that a repository may have and a folder has not.
fn missing(folder: &Path) -> Vec<String> {
    let weights = match shards(&folder.join(INDEX)) {
        Ok(shards) if !folder.join(WEIGHTS).exists() => shards,
        _ => vec![WEIGHTS.to_owned()],
    };
    let names = OTHERS.iter().map(|name| (*name).to_owned()).chain(weights);
    names.filter(|name| !folder.join(name).exists()).collect()
}

fn mark(folder: &Path, names: &[String]) -> std::io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(names.join("\n").as_bytes())?;
    file.persist(folder.join(COMPLETE))?;
    Ok(())
}

fn read_error(path: &Path, source: std::io::Error) -> ModelError {
    ModelError::Read { path: path.to_owned(), source }
}

fn status(error: &ApiError) -> Option<u16> {
    match error {
        ApiError::RequestError(request) => match **request {
            ureq::Error::StatusCode(code) => Some(code),
            _ => None,
        },
        ApiError::TooManyRetries(inner) => status(inner),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cache with a configuration and weights at one commit of `main`, and no hub.
    fn fetched(also: &[&str], marked: Option<&[&str]>) -> Result<PathBuf, ModelError> {
        let home = tempfile::tempdir().expect("temporary folder");
        let repo = home.path().join("models--org--name");
        let folder = repo.join("snapshots/c0ffee");
        for folder in [repo.join("refs"), folder.join("1_Pooling")] {
            fs::create_dir_all(folder).expect("folder");
        }
        fs::write(repo.join("refs/main"), "c0ffee").expect("write");
        for name in [CONFIG, WEIGHTS].iter().chain(also) {
            fs::write(folder.join(name), "{}").expect("write");
        }
        if let Some(names) = marked {
            mark(&folder, &names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).expect("mark");
        }
        let cache = Cache::new(home.path().to_owned());
        // Nothing listens on the discard port.
        let hub = ApiBuilder::from_cache(cache.clone()).with_endpoint("http://127.0.0.1:9".to_owned());
        Asked { repo: "org/name", revision: "main", cache }.folder(hub)
    }

    #[test]
    fn a_complete_download_needs_no_network() {
        let folder = fetched(&[], Some(&[CONFIG, WEIGHTS])).expect("complete");
        assert!(folder.ends_with("models--org--name/snapshots/c0ffee"));
        let vanished = fetched(&[], Some(&[CONFIG, "tokenizer.json", WEIGHTS])).expect_err("a file is gone");
        assert!(matches!(vanished, ModelError::PerhapsPart { .. }));
    }

    #[test]
    fn what_another_program_left_is_used_only_where_the_hub_can_be_asked() {
        assert!(fetched(OTHERS, None).is_ok(), "nothing can be missing");
        let error = fetched(&["tokenizer.json", "1_Pooling/config.json"], None).expect_err("unknown");
        let wanted = "(not there: tokenizer_config.json, special_tokens_map.json, modules.json, sentence_bert_config.json, \
                      config_sentence_transformers.json); try again";
        assert!(error.to_string().contains(wanted), "{error}");
        assert!(error.to_string().contains("`source = \"path:"), "{error}");
    }
}
