//! Repositories of the Hugging Face hub as local folders, in the cache that other tools share.

mod client;
mod download;
mod error;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use hf_hub::{Cache, CacheRepo, Repo, RepoType};

use super::error::ModelError;
use super::weights::shards;
use crate::http::Network;
use crate::observe::{Event, Observer, Unit};

use client::{Asked, Client, Entry, Listing};
use download::{Fetch, Place};
pub use error::HubError;

/// The revision that is meant where none is named.
const MAIN: &str = "main";

const TOKENIZER: &str = "tokenizer.json";

/// What is fetched of a repository.
#[derive(Debug, PartialEq, Eq)]
struct Content {
    config: &'static str,
    weights: &'static str,
    /// Names the shards where the weights are not one file.
    index: &'static str,
    /// What weights that are never opened begin with.
    pickled: &'static str,
    /// Small files that are fetched where the repository has them.
    others: &'static [&'static str],
    /// Written beside the files once all of them are there, with their names, one a line. Another program may have fetched
    /// some of the files only, and a missing one may be missing from the repository or from the cache.
    complete: &'static str,
}

const MODEL: Content = Content {
    config: "config.json",
    weights: "model.safetensors",
    index: "model.safetensors.index.json",
    pickled: "pytorch_model",
    others: &[
        TOKENIZER,
        "tokenizer_config.json",
        "special_tokens_map.json",
        "chat_template.jinja",
        "modules.json",
        "sentence_bert_config.json",
        "config_sentence_transformers.json",
        "1_Pooling/config.json",
    ],
    complete: ".embed-bench-complete",
};

const ADAPTER: Content = Content {
    config: "adapter_config.json",
    weights: "adapter_model.safetensors",
    index: "adapter_model.safetensors.index.json",
    pickled: "adapter_model",
    others: &[TOKENIZER, "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"],
    complete: ".embed-bench-complete-adapter",
};

/// Fetched where there is no `tokenizer.json`, so that the folder can say how to make one.
const UNCONVERTED: &[&str] = &["tokenizer.model", "sentencepiece.bpe.model", "spiece.model"];

/// Where repositories are kept, and where they come from.
pub struct Hub {
    cache: Cache,
    endpoint: String,
    token: Option<String>,
    network: Network,
    content: &'static Content,
}

/// A repository at one commit, in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub folder: PathBuf,
    /// Digits of the commit, by which the folder is named.
    pub commit: String,
    content: &'static Content,
}

impl Hub {
    /// `HF_HOME`, `HF_HUB_CACHE`, `HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE` and the token of `hf auth login` are honoured.
    ///
    /// # Errors
    /// A home folder that cannot be told.
    pub fn from_env(network: Network) -> Result<Self, ModelError> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let home = set("HF_HOME").map(PathBuf::from).or_else(|| {
            let cache = set("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| Some(std::env::home_dir()?.join(".cache")));
            Some(cache?.join("huggingface"))
        });
        let home = home.ok_or(HubError::NoHome)?;
        let saved = || fs::read_to_string(set("HF_TOKEN_PATH").map_or_else(|| home.join("token"), PathBuf::from)).ok();
        let token = set("HF_TOKEN").or_else(saved).map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
        let offline = set("HF_HUB_OFFLINE").is_some_and(|value| ["1", "true", "yes", "on"].contains(&&*value.to_lowercase()));
        Ok(Self {
            cache: Cache::new(set("HF_HUB_CACHE").map_or_else(|| home.join("hub"), PathBuf::from)),
            endpoint: set("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned()),
            token,
            network: if offline { Network::Offline } else { network },
            content: &MODEL,
        })
    }

    /// The same for repositories of adapters.
    #[must_use]
    pub fn adapters(self) -> Self {
        Self { content: &ADAPTER, ..self }
    }

    /// A hub at an address, with a cache of its own.
    pub fn new(cache: &Path, endpoint: &str, token: Option<&str>, network: Network) -> Self {
        let (cache, token) = (Cache::new(cache.to_owned()), token.map(str::to_owned));
        Self { cache, endpoint: endpoint.to_owned(), token, network, content: &MODEL }
    }

    /// The folder that holds `repo` at a revision (`main` when absent), with the files that a model, or an adapter, is made of and no others.
    /// Asks the network only where the cache is not known to have the whole model: a branch stays where it was.
    ///
    /// # Errors
    /// A repository or revision that is not there, or not for everybody; a network that is not there or refused; a disk that
    /// is full; files that are not what the hub says they are.
    pub fn fetch(&self, repo: &str, revision: Option<&str>, observer: &dyn Observer) -> Result<Snapshot, ModelError> {
        let asked = Asked { repo, revision: revision.unwrap_or(MAIN) };
        self.complete(&asked).map_or_else(|| self.update(repo, revision, observer), Ok)
    }

    /// The same, but a branch goes to the commit that it has now, unless the hub may not be asked.
    ///
    /// # Errors
    /// Those of [`Hub::fetch`].
    pub fn update(&self, repo: &str, revision: Option<&str>, observer: &dyn Observer) -> Result<Snapshot, ModelError> {
        let asked = Asked { repo, revision: revision.unwrap_or(MAIN) };
        if self.network == Network::Offline {
            return self.complete(&asked).ok_or_else(|| self.offline(&asked).into());
        }
        let client = Client::new(&self.endpoint, self.token.clone())?;
        let listing = client.list(&asked).map_err(|error| self.unreachable(&asked, error))?;
        // Everything comes from one commit, whatever is pushed in the meantime.
        let at = Asked { repo, revision: &listing.commit };
        let folder = self.of(&at).pointer_path(&listing.commit);
        let snapshot = Snapshot { folder, commit: listing.commit.clone(), content: self.content };
        let place = Place { folder: self.cache.path().join(model(&at).folder_name()) };
        let fetch = Fetch { client: &client, asked: &at, place: &place, observer };
        download(&fetch, self.content, &listing, &snapshot.folder)?;
        let written = self.of(&asked).create_ref(&listing.commit);
        written.map_err(|source| HubError::Write { path: snapshot.folder.clone(), source })?;
        Ok(snapshot)
    }

    fn of(&self, asked: &Asked<'_>) -> CacheRepo {
        self.cache.repo(model(asked))
    }

    /// The cached folder, whatever it has. A commit needs no reference.
    fn cached(&self, asked: &Asked<'_>) -> Option<Snapshot> {
        let repo = self.of(asked);
        let config =
            repo.get(self.content.config).or_else(|| Some(repo.pointer_path(asked.revision).join(self.content.config)))?;
        let folder = config.parent()?.to_owned();
        let commit = folder.file_name()?.to_str()?.to_owned();
        config.exists().then_some(Snapshot { folder, commit, content: self.content })
    }

    /// The cached folder, if it has all files of a complete download, or all that there can be.
    fn complete(&self, asked: &Asked<'_>) -> Option<Snapshot> {
        let found = self.cached(asked)?;
        let whole = match fs::read_to_string(found.folder.join(self.content.complete)) {
            Ok(names) => names.lines().all(|name| found.folder.join(name).exists()),
            Err(_) => missing(&found.folder, self.content).is_empty(),
        };
        whole.then_some(found)
    }

    fn offline(&self, asked: &Asked<'_>) -> HubError {
        let missing =
            self.cached(asked).map_or_else(|| "all of it".to_owned(), |found| missing(&found.folder, self.content).join(", "));
        HubError::Offline { repo: asked.repo.to_owned(), revision: asked.revision.to_owned(), missing }
    }

    /// What the hub's silence means, with what the cache has of a repository.
    fn unreachable(&self, asked: &Asked<'_>, error: HubError) -> HubError {
        let silent = matches!(error, HubError::Unreachable { .. });
        let Some(Snapshot { folder, .. }) = self.cached(asked).filter(|_| silent) else { return error };
        let (repo, revision, missing) =
            (asked.repo.to_owned(), asked.revision.to_owned(), missing(&folder, self.content).join(", "));
        HubError::PerhapsPart { repo, revision, missing, folder, source: Box::new(error) }
    }
}

impl Snapshot {
    /// Whether it is an adapter, and no model.
    pub fn is_adapter(&self) -> bool {
        *self.content == ADAPTER
    }

    /// The model's files by name, and their sizes. Units: bytes.
    ///
    /// # Errors
    /// A file that went since it was downloaded.
    pub fn files(&self) -> Result<Vec<(String, u64)>, ModelError> {
        let names =
            fs::read_to_string(self.folder.join(self.content.complete)).map(|names| names.lines().map(str::to_owned).collect());
        let names: Vec<String> = names.unwrap_or_else(|_| present(&self.folder, self.content));
        let file = |name: String| {
            let path = self.folder.join(&name);
            let size = fs::metadata(&path).map_err(|source| ModelError::Read { path, source })?.len();
            Ok((name, size))
        };
        names.into_iter().map(file).collect()
    }
}

fn model(asked: &Asked<'_>) -> Repo {
    Repo::with_revision(asked.repo.to_owned(), RepoType::Model, asked.revision.to_owned())
}

/// Fetches the small files, which say what the weights are, and then those.
fn download(fetch: &Fetch<'_>, content: &Content, listing: &Listing, folder: &Path) -> Result<(), ModelError> {
    let Content { config, weights, index, pickled, others, complete } = *content;
    if !listing.has(config) {
        let folder = folder.to_owned();
        return Err(if config == MODEL.config { ModelError::NoConfig { folder } } else { ModelError::NoAdapter { folder } });
    }
    let unconverted = UNCONVERTED.iter().filter(|_| !listing.has(TOKENIZER));
    let small = std::iter::once(&config).chain(others).chain(unconverted).filter(|name| listing.has(name));
    let mut names: Vec<String> = small.map(|name| (*name).to_owned()).collect();
    let sharded = !listing.has(weights) && listing.has(index);
    if sharded {
        names.push(index.to_owned());
    }
    files(fetch, folder, &names, "the small files")?;
    let weights = if sharded {
        shards(&folder.join(index))?
    } else if listing.has(weights) {
        vec![weights.to_owned()]
    } else if let Some(pickled) = listing.beginning(pickled) {
        return Err(ModelError::Pickled { folder: folder.to_owned(), file: pickled.to_owned() });
    } else {
        return Err(ModelError::NoWeights { folder: folder.to_owned() });
    };
    files(fetch, folder, &weights, "the weights")?;
    names.extend(weights);
    // The next run asks the hub again if this fails.
    let _unmarked = mark(&folder.join(complete), &names);
    Ok(())
}

/// Fetches the files of these names that are not here, after their sizes are known and have room.
fn files(fetch: &Fetch<'_>, folder: &Path, names: &[String], what: &str) -> Result<(), HubError> {
    let absent = names.iter().filter(|name| !folder.join(name).exists());
    let entries: Vec<Entry> = absent.map(|name| fetch.client.entry(fetch.asked, name)).collect::<Result<_, _>>()?;
    if entries.is_empty() {
        return Ok(());
    }
    room(fetch, &entries)?;
    let total = entries.iter().map(|entry| entry.size).sum();
    let stage = format!("download {what} of {}", fetch.asked.repo);
    fetch.observer.observe(Event::Started { stage, total: Some(total), unit: Unit::Bytes });
    for entry in &entries {
        fetch.file(entry, &folder.join(&entry.name))?;
    }
    let count = if let [_] = entries[..] { "1 file".to_owned() } else { format!("{} files", entries.len()) };
    fetch.observer.observe(Event::Finished { summary: format!("{count}, {total} bytes") });
    Ok(())
}

/// Whether the disk has room for what is still to come.
fn room(fetch: &Fetch<'_>, entries: &[Entry]) -> Result<(), HubError> {
    let size = |path: PathBuf| fs::metadata(path).map_or(0, |metadata| metadata.len());
    let here = |entry: &Entry| size(fetch.place.blob(&entry.etag)).max(size(fetch.place.incomplete(&entry.etag)));
    let needed: u64 = entries.iter().map(|entry| entry.size.saturating_sub(here(entry))).sum();
    let folder = fetch.place.folder.ancestors().find(|folder| folder.is_dir());
    // A system that does not say how much room there is says so when it is full.
    match folder.and_then(|folder| fs4::available_space(folder).ok()) {
        Some(free) if free < needed => {
            Err(HubError::NoRoom { repo: fetch.asked.repo.to_owned(), needed, free, folder: fetch.place.folder.clone() })
        }
        _ => Ok(()),
    }
}

/// Files that a repository may have and a folder has not.
fn missing(folder: &Path, content: &Content) -> Vec<String> {
    possible(folder, content).filter(|name| !folder.join(name).exists()).collect()
}

/// Files of a model that a folder has.
fn present(folder: &Path, content: &Content) -> Vec<String> {
    possible(folder, content).filter(|name| folder.join(name).exists()).collect()
}

fn possible(folder: &Path, content: &Content) -> impl Iterator<Item = String> {
    let Content { config, weights, index, others, .. } = *content;
    let weights = match shards(&folder.join(index)) {
        Ok(shards) if !folder.join(weights).exists() => shards,
        _ => vec![weights.to_owned()],
    };
    std::iter::once(config).chain(others.iter().copied()).map(str::to_owned).chain(weights)
}

/// Notes the names of a complete download.
fn mark(note: &Path, names: &[String]) -> std::io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(note.parent().unwrap_or(Path::new(".")))?;
    file.write_all(names.join("\n").as_bytes())?;
    file.persist(note)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Silent;

    /// A cache with a configuration and weights at one commit of `main`, and no hub.
    fn fetched(also: &[&str], marked: Option<&[&str]>, network: Network) -> Result<Snapshot, ModelError> {
        let home = tempfile::tempdir().expect("temporary folder");
        let repo = home.path().join("models--org--name");
        let folder = repo.join("snapshots/c0ffee");
        for folder in [repo.join("refs"), folder.join("1_Pooling")] {
            fs::create_dir_all(folder).expect("folder");
        }
        fs::write(repo.join("refs/main"), "c0ffee").expect("write");
        for name in [MODEL.config, MODEL.weights].iter().chain(also) {
            fs::write(folder.join(name), "{}").expect("write");
        }
        if let Some(names) = marked {
            mark(&folder.join(MODEL.complete), &names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).expect("mark");
        }
        // Nothing listens on the discard port.
        let hub = Hub::new(home.path(), "http://127.0.0.1:9", None, network);
        let pinned = hub.fetch("org/name", Some("c0ffee"), &Silent);
        let found = hub.fetch("org/name", None, &Silent);
        assert_eq!(pinned.is_ok(), found.is_ok());
        found
    }

    #[test]
    fn a_complete_download_needs_no_network() {
        let found = fetched(&[], Some(&[MODEL.config, MODEL.weights]), Network::Offline).expect("complete");
        assert!(found.folder.ends_with("models--org--name/snapshots/c0ffee"));
        assert_eq!(found.commit, "c0ffee");
        let vanished =
            fetched(&[], Some(&[MODEL.config, "tokenizer.json", MODEL.weights]), Network::Offline).expect_err("a file is gone");
        assert!(vanished.to_string().contains("--offline"), "{vanished}");
    }

    #[test]
    fn what_another_program_left_is_used_only_where_the_hub_can_be_asked() {
        assert!(fetched(MODEL.others, None, Network::Open).is_ok(), "nothing can be missing");
        let error = fetched(&["tokenizer.json", "1_Pooling/config.json"], None, Network::Open).expect_err("unknown");
        let wanted = "(not there: tokenizer_config.json, special_tokens_map.json, chat_template.jinja, modules.json, \
                      sentence_bert_config.json, config_sentence_transformers.json); try again";
        assert!(error.to_string().contains(wanted), "{error}");
        assert!(error.to_string().contains("`source = \"path:"), "{error}");
    }
}
