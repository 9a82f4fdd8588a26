//! Repositories of the Hugging Face hub as local folders, through the cache that other tools share.

use std::path::{Path, PathBuf};

use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, CacheRepo, Repo, RepoType};

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
    "1_Pooling/config.json",
];

/// The folder that holds `repo` at `revision`. Asks the network only where the cache has no whole model.
///
/// `HF_HOME`, `HF_ENDPOINT` and the token of `hf auth login` are honoured.
pub(super) fn fetch(repo: &str, revision: &str) -> Result<PathBuf, ModelError> {
    let place = Repo::with_revision(repo.to_owned(), RepoType::Model, revision.to_owned());
    if let Some(folder) = cached(&Cache::from_env().repo(place.clone()))? {
        return Ok(folder);
    }
    let download = Download { repo, revision };
    let api: Api = ApiBuilder::from_env().with_progress(false).build().map_err(|source| download.failed(CONFIG, source))?;
    download.all(&api.repo(place))
}

/// The cached folder, if it has a configuration and all of its weights.
fn cached(cache: &CacheRepo) -> Result<Option<PathBuf>, ModelError> {
    let Some(folder) = cache.get(CONFIG).as_deref().and_then(Path::parent).map(Path::to_owned) else {
        return Ok(None);
    };
    if cache.get(WEIGHTS).is_some() {
        return Ok(Some(folder));
    }
    let Some(index) = cache.get(INDEX) else { return Ok(None) };
    let whole = shards(&index)?.iter().all(|shard| cache.get(shard).is_some());
    Ok(whole.then_some(folder))
}

struct Download<'a> {
    repo: &'a str,
    revision: &'a str,
}

impl Download<'_> {
    fn all(&self, api: &ApiRepo) -> Result<PathBuf, ModelError> {
        let there = api.info().map_err(|source| self.failed(CONFIG, source))?;
        let has = |name: &str| there.siblings.iter().any(|file| file.rfilename == name);
        let get = |name: &str| api.get(name).map_err(|source| self.failed(name, source));
        // Weights come last, so that a folder with weights has all that goes with them.
        let config = get(CONFIG)?;
        for name in OTHERS.iter().filter(|name| has(name)) {
            get(name)?;
        }
        let folder = config.parent().unwrap_or(&config).to_owned();
        if has(WEIGHTS) {
            get(WEIGHTS)?;
        } else if has(INDEX) {
            for shard in shards(&get(INDEX)?)? {
                get(&shard)?;
            }
        } else if let Some(pickled) = there.siblings.iter().find(|file| file.rfilename.starts_with("pytorch_model")) {
            return Err(ModelError::Pickled { folder, file: pickled.rfilename.clone() });
        } else {
            return Err(ModelError::NoWeights { folder });
        }
        Ok(folder)
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
    use std::fs;

    use super::*;

    /// A cache with these files at one commit of `main`.
    fn cache(files: &[(&str, &str)]) -> (tempfile::TempDir, CacheRepo) {
        let folder = tempfile::tempdir().expect("temporary folder");
        let repo = folder.path().join("models--org--name");
        fs::create_dir_all(repo.join("refs")).expect("folder");
        fs::write(repo.join("refs/main"), "c0ffee").expect("write");
        fs::create_dir_all(repo.join("snapshots/c0ffee")).expect("folder");
        for (name, text) in files {
            fs::write(repo.join("snapshots/c0ffee").join(name), text).expect("write");
        }
        let place = Repo::with_revision("org/name".to_owned(), RepoType::Model, "main".to_owned());
        let cache = Cache::new(folder.path().to_owned()).repo(place);
        (folder, cache)
    }

    #[test]
    fn a_whole_model_in_the_cache_needs_no_network() {
        let (_folder, whole) = cache(&[("config.json", "{}"), ("model.safetensors", "")]);
        assert!(cached(&whole).expect("readable").is_some());
        let index = r#"{"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}"#;
        let files = [("config.json", "{}"), ("model.safetensors.index.json", index), ("1.safetensors", "")];
        let (_folder, part) = cache(&files);
        assert!(cached(&part).expect("readable").is_none());
    }
}
