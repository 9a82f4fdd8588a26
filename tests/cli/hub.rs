//! Models of the hub, from a server that speaks its protocol.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use embed_bench::cause::told;
use embed_bench::http::Network;
use embed_bench::model::{Hub, ModelError, Snapshot};
use embed_bench::observe::{Event, Observer, Silent, Unit};
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use crate::lab::{Lab, fixtures};
use crate::server::{Reply, Request, Server, nobody};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// The files of a repository.
type Files = BTreeMap<String, Vec<u8>>;

fn hex(bytes: impl IntoIterator<Item = u8>) -> String {
    bytes.into_iter().fold(String::new(), |digits, byte| digits + &format!("{byte:02x}"))
}

fn git_sha1(bytes: &[u8]) -> String {
    hex(Sha1::new_with_prefix(format!("blob {}\0", bytes.len())).chain_update(bytes).finalize())
}

fn sha256(bytes: &[u8]) -> String {
    hex(Sha256::digest(bytes))
}

fn adapter() -> Files {
    let folder = fixtures().join("adapters/llama_lora");
    let read = |name: &str| (name.to_owned(), fs::read(folder.join(name)).unwrap());
    ["adapter_config.json", "adapter_model.safetensors"].map(read).into()
}

fn llama() -> Files {
    let mut files = Files::new();
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"] {
        files.insert(name.to_owned(), fs::read(fixtures().join("llama").join(name)).unwrap());
    }
    files.insert("README.md".to_owned(), b"not needed".to_vec());
    files.insert("onnx/model.onnx".to_owned(), b"not needed".to_vec());
    files
}

/// A store of large files: ranges, and connections that it breaks after so many bytes each.
fn store(files: &Files, cuts: Vec<usize>) -> Server {
    let (files, cuts) = (files.clone(), Mutex::new(cuts.into_iter()));
    Server::start(move |request| {
        let body = &files[request.path.trim_start_matches("/store/")];
        let from = request
            .header("range")
            .map_or(0, |range| range.trim_start_matches("bytes=").trim_end_matches('-').parse::<usize>().unwrap());
        let reply = if from == 0 {
            Reply::new(200, body.clone())
        } else {
            Reply::new(206, &body[from..]).with("Content-Range", format!("bytes {from}-{}/{}", body.len() - 1, body.len()))
        };
        match cuts.lock().unwrap().next() {
            Some(cut) => reply.cut(cut),
            None => reply,
        }
    })
}

/// A hub with `org/name` at one commit, whose large files are in a store; `old/name` was its name before.
fn hub(files: &Files, store: &Server) -> Server {
    let (files, store) = (files.clone(), store.url());
    Server::start(move |request| answer(&files, &store, request))
}

fn answer(files: &Files, store: &str, request: &Request) -> Reply {
    if let Some(rest) = request.path.strip_prefix("/api/models/old/name") {
        return Reply::new(307, "").with("Location", format!("/api/models/org/name{rest}"));
    }
    if let Some(rest) = request.path.strip_prefix("/old/name") {
        return Reply::new(307, "").with("Location", format!("/org/name{rest}"));
    }
    match request.path.as_str() {
        "/api/models/org/name/revision/main" | "/api/models/org/name/revision/refs%2Fpr%2F1" => {
            let siblings: Vec<Value> = files.keys().map(|name| json!({ "rfilename": name })).collect();
            return Reply::json(&json!({ "id": "org/name", "sha": COMMIT, "siblings": siblings }));
        }
        path if path.starts_with("/api/models/org/name/") => {
            return Reply::new(404, "{}").with("X-Error-Code", "RevisionNotFound");
        }
        path if path.starts_with("/api/models/org/gated/") => {
            return Reply::new(403, "{}").with("X-Error-Code", "GatedRepo").with("X-Error-Message", "ask first");
        }
        path if path.starts_with("/api/models/org/busy/") => return Reply::new(418, "a teapot"),
        path if path.starts_with("/api/") => return Reply::new(401, "{}").with("X-Error-Code", "RepoNotFound"),
        _ => {}
    }
    let name = request.path.strip_prefix(&format!("/org/name/resolve/{COMMIT}/"));
    match name.and_then(|name| Some((name, files.get(name)?))) {
        Some((name, body)) if name.ends_with(".safetensors") => Reply::new(302, "")
            .with("Location", format!("{store}/store/{name}"))
            .with("X-Repo-Commit", COMMIT)
            .with("X-Linked-Size", body.len())
            .with("X-Linked-Etag", format!("\"{}\"", sha256(body))),
        Some((_, body)) => {
            Reply::new(200, body.clone()).with("X-Repo-Commit", COMMIT).with("ETag", format!("\"{}\"", git_sha1(body)))
        }
        None => Reply::new(404, "").with("X-Error-Code", "EntryNotFound"),
    }
}

fn open(cache: &Path, server: &Server) -> Hub {
    Hub::new(cache, &server.url(), Some("hf_secret"), Network::Open)
}

fn fetched(hub: &Hub) -> Result<Snapshot, ModelError> {
    hub.fetch("org/name", None, &Silent)
}

struct Notes(Mutex<Vec<Event>>);

impl Observer for Notes {
    fn observe(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

#[test]
fn only_the_files_of_the_model_come_and_a_second_time_nothing() {
    let (files, cache) = (llama(), tempfile::tempdir().unwrap());
    let store = store(&files, Vec::new());
    let server = hub(&files, &store);
    let (hub, notes) = (open(cache.path(), &server), Notes(Mutex::default()));
    let snapshot = hub.fetch("org/name", None, &notes).unwrap();
    assert_eq!(snapshot.commit, COMMIT);
    assert_eq!(snapshot.folder, cache.path().join("models--org--name/snapshots").join(COMMIT));
    let names: Vec<String> = snapshot.files().unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"]);
    for name in &names {
        assert_eq!(fs::read(snapshot.folder.join(name)).unwrap(), files[name], "{name}");
    }
    assert!(!snapshot.folder.join("README.md").exists());
    // The layout that other programs share.
    let repo = cache.path().join("models--org--name");
    assert_eq!(fs::read_to_string(repo.join("refs/main")).unwrap(), COMMIT);
    assert!(repo.join("blobs").join(sha256(&files["model.safetensors"])).is_file());
    assert!(repo.join("blobs").join(git_sha1(&files["config.json"])).is_file());
    #[cfg(unix)]
    assert!(fs::read_link(snapshot.folder.join("config.json")).unwrap().starts_with("../../blobs"));

    let events = notes.0.into_inner().unwrap();
    let size = files["model.safetensors"].len() as u64;
    let stage = "download the weights of org/name".to_owned();
    assert!(events.contains(&Event::Started { stage, total: Some(size), unit: Unit::Bytes }), "{events:?}");
    let advanced: u64 = events.iter().map(|event| if let Event::Advanced(by) = event { *by } else { 0 }).sum();
    assert_eq!(advanced, names.iter().map(|name| files[name].len() as u64).sum::<u64>());

    assert!(server.seen().iter().all(|request| request.header("authorization") == Some("Bearer hf_secret")));
    assert!(store.seen().iter().all(|request| request.header("authorization").is_none()), "the store sees no token");
    let asked = server.seen().len();
    assert_eq!(fetched(&hub).unwrap(), snapshot);
    assert_eq!(fetched(&Hub::new(cache.path(), &nobody(), None, Network::Offline)).unwrap(), snapshot);
    assert_eq!(server.seen().len(), asked);
}

#[test]
fn of_an_adapter_come_its_own_files() {
    let mut files = llama();
    for name in ["adapter_config.json", "adapter_model.safetensors"] {
        files.insert(name.to_owned(), fs::read(fixtures().join("adapters/llama_lora").join(name)).unwrap());
    }
    let (store, cache) = (store(&files, Vec::new()), tempfile::tempdir().unwrap());
    let server = hub(&files, &store);
    let snapshot = fetched(&open(cache.path(), &server).adapters()).unwrap();
    let names: Vec<String> = snapshot.files().unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["adapter_config.json", "tokenizer.json", "tokenizer_config.json", "adapter_model.safetensors"]);
    assert!(!snapshot.folder.join("model.safetensors").exists());
    let asked = server.seen().len();
    assert_eq!(fetched(&Hub::new(cache.path(), &nobody(), None, Network::Offline).adapters()).unwrap(), snapshot);
    assert_eq!(server.seen().len(), asked);
    // The model beside it is another download.
    assert!(fetched(&open(cache.path(), &server)).unwrap().folder.join("model.safetensors").exists());

    files.remove("adapter_config.json");
    let server = hub(&files, &store);
    let error = fetched(&open(tempfile::tempdir().unwrap().path(), &server).adapters()).unwrap_err();
    assert!(matches!(error, ModelError::NoAdapter { .. }), "{error}");
}

#[test]
fn a_connection_that_breaks_is_continued_where_it_broke() {
    let (files, cache) = (llama(), tempfile::tempdir().unwrap());
    let size = files["model.safetensors"].len();
    let store = store(&files, vec![1000, 5000]);
    let server = hub(&files, &store);
    let snapshot = fetched(&open(cache.path(), &server)).unwrap();
    assert_eq!(fs::read(snapshot.folder.join("model.safetensors")).unwrap(), files["model.safetensors"]);
    let ranges: Vec<Option<String>> = store.seen().iter().map(|request| request.header("range").map(str::to_owned)).collect();
    assert_eq!(ranges, [None, Some("bytes=1000-".to_owned()), Some("bytes=6000-".to_owned())], "of {size} bytes");
}

#[test]
fn what_arrived_before_the_end_of_a_program_is_kept() {
    let (files, cache) = (llama(), tempfile::tempdir().unwrap());
    let weights = &files["model.safetensors"];
    let blobs = cache.path().join("models--org--name/blobs");
    fs::create_dir_all(&blobs).unwrap();
    let incomplete = blobs.join(format!("{}.incomplete", sha256(weights)));
    fs::write(&incomplete, &weights[..7777]).unwrap();
    let store = store(&files, Vec::new());
    let snapshot = fetched(&open(cache.path(), &hub(&files, &store))).unwrap();
    assert_eq!(&fs::read(snapshot.folder.join("model.safetensors")).unwrap(), weights);
    assert_eq!(store.seen()[0].header("range"), Some("bytes=7777-"));
    assert!(!incomplete.exists());
}

#[test]
fn a_store_that_knows_no_ranges_sends_all_again() {
    let (files, cache) = (llama(), tempfile::tempdir().unwrap());
    let (weights, asked) = (files["model.safetensors"].clone(), AtomicUsize::new(0));
    let store = Server::start(move |_| {
        let whole = Reply::new(200, weights.clone());
        if asked.fetch_add(1, Ordering::SeqCst) == 0 { whole.cut(3000) } else { whole }
    });
    let snapshot = fetched(&open(cache.path(), &hub(&files, &store))).unwrap();
    assert_eq!(fs::read(snapshot.folder.join("model.safetensors")).unwrap(), files["model.safetensors"]);
}

#[test]
fn bytes_that_are_not_those_of_the_checksum_are_not_kept() {
    for name in ["model.safetensors", "tokenizer.json"] {
        let (files, cache) = (llama(), tempfile::tempdir().unwrap());
        let mut damaged = files.clone();
        damaged.get_mut(name).unwrap()[100] ^= 1;
        let store = store(&damaged, Vec::new());
        let small = damaged[name].clone();
        let (files, url) = (files, store.url());
        let server = Server::start(move |request| {
            let reply = answer(&files, &url, request);
            let small_one = request.path.ends_with("tokenizer.json") && name == "tokenizer.json";
            if small_one { Reply::new(200, small.clone()).with("ETag", git_sha1(&files[name])) } else { reply }
        });
        let error = fetched(&open(cache.path(), &server)).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{name} of org/name is not what the hub says it is: its checksum is")), "{error}");
        assert!(fetched(&Hub::new(cache.path(), &server.url(), None, Network::Offline)).is_err());
    }
}

#[test]
fn shards_come_as_their_index_names_them() {
    let (mut files, cache) = (llama(), tempfile::tempdir().unwrap());
    let whole = files.remove("model.safetensors").unwrap();
    files.insert("model-1.safetensors".to_owned(), whole[..2000].to_vec());
    files.insert("model-2.safetensors".to_owned(), whole[2000..].to_vec());
    files.insert("model-3.safetensors".to_owned(), b"of another variant".to_vec());
    let index = json!({ "weight_map": { "a": "model-1.safetensors", "b": "model-2.safetensors", "c": "model-1.safetensors" } });
    files.insert("model.safetensors.index.json".to_owned(), index.to_string().into_bytes());
    files.insert("chat_template.jinja".to_owned(), b"{{ messages }}".to_vec());
    let store = store(&files, Vec::new());
    let snapshot = fetched(&open(cache.path(), &hub(&files, &store))).unwrap();
    let names: Vec<String> = snapshot.files().unwrap().into_iter().map(|(name, _)| name).collect();
    let wanted = ["config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"];
    assert_eq!(names[..4], wanted);
    assert_eq!(names[4..], ["model.safetensors.index.json", "model-1.safetensors", "model-2.safetensors"]);
}

#[test]
fn pickled_weights_and_unconverted_tokenizers_are_told() {
    let (mut files, cache) = (llama(), tempfile::tempdir().unwrap());
    let weights = files.remove("model.safetensors").unwrap();
    files.insert("pytorch_model.bin".to_owned(), weights);
    files.remove("tokenizer.json");
    files.insert("tokenizer.model".to_owned(), b"pieces".to_vec());
    let store = store(&files, Vec::new());
    let server = hub(&files, &store);
    let error = fetched(&open(cache.path(), &server)).unwrap_err();
    assert!(matches!(&error, ModelError::Pickled { file, .. } if file == "pytorch_model.bin"), "{error}");
    assert!(!server.seen().iter().any(|request| request.path.contains("pytorch_model")));
    assert!(cache.path().join("models--org--name/snapshots").join(COMMIT).join("tokenizer.model").exists());
}

#[test]
fn refusals_say_what_to_do() {
    let (files, cache) = (llama(), tempfile::tempdir().unwrap());
    let store = store(&files, Vec::new());
    let server = hub(&files, &store);
    let refused = |repo: &str, revision: Option<&str>, token: Option<&str>| {
        let hub = Hub::new(cache.path(), &server.url(), token, Network::Open);
        hub.fetch(repo, revision, &Silent).unwrap_err().to_string().replace(&server.url(), "HUB")
    };
    let gated = "org/gated is gated; accept its licence at HUB/org/gated, then ";
    assert_eq!(refused("org/gated", None, None), format!("{gated}log in (`hf auth login`) or set HF_TOKEN"));
    let sent = refused("org/gated", None, Some("hf_secret"));
    assert_eq!(sent, format!("{gated}try again: the token that was sent has no access yet"));
    assert_eq!(
        refused("org/none", None, None),
        "the hub has no org/none, or it is private; check the name, or log in (`hf auth login`) or set HF_TOKEN"
    );
    assert_eq!(refused("org/name", Some("v9"), None), "org/name has no revision `v9`; name a branch, a tag or a commit of it");
    assert_eq!(refused("org/busy", None, None), "HUB/api/models/org/busy/revision/main answers HTTP status 418: a teapot");
}

#[test]
fn a_token_that_is_refused_is_not_told() {
    let server = Server::start(|_| Reply::new(401, "{}").with("X-Error-Message", "Invalid credentials"));
    let cache = tempfile::tempdir().unwrap();
    let error = fetched(&open(cache.path(), &server)).unwrap_err().to_string();
    assert!(error.contains("(Invalid credentials)") && !error.contains("hf_secret"), "{error}");
}

#[test]
fn a_renamed_repository_is_followed_with_the_token() {
    let (files, cache) = (llama(), tempfile::tempdir().unwrap());
    let store = store(&files, Vec::new());
    let server = hub(&files, &store);
    let snapshot = open(cache.path(), &server).fetch("old/name", Some("refs/pr/1"), &Silent).unwrap();
    assert_eq!(snapshot.commit, COMMIT);
    assert!(cache.path().join("models--old--name/refs/refs/pr/1").is_file());
    assert!(server.seen().iter().all(|request| request.header("authorization").is_some()));
}

#[test]
fn two_programs_may_fetch_at_once() {
    let (files, cache) = (llama(), tempfile::tempdir().unwrap());
    let store = Arc::new(store(&files, Vec::new()));
    let server = Arc::new(hub(&files, &store));
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let (hub, server) = (open(cache.path(), &server), Arc::clone(&server));
            std::thread::spawn(move || (fetched(&hub), server).0)
        })
        .collect();
    for worker in workers {
        let snapshot = worker.join().unwrap().unwrap();
        assert_eq!(fs::read(snapshot.folder.join("model.safetensors")).unwrap(), files["model.safetensors"]);
    }
    assert_eq!(store.seen().len(), 1, "the others wait for the first");
}

#[test]
fn what_is_no_hub_is_told() {
    let cache = tempfile::tempdir().unwrap();
    let wrong = |reply: fn(&Request) -> Reply| {
        let server = Server::start(reply);
        told(&fetched(&open(cache.path(), &server)).unwrap_err()).replace(&server.url(), "HUB")
    };
    let page = wrong(|_| Reply::new(200, "<html>"));
    assert!(page.starts_with("HUB/api/models/org/name/revision/main does not answer as a hub does"), "{page}");
    let path = wrong(|_| Reply::json(&json!({ "sha": "../../etc", "siblings": [] })));
    assert!(path.contains("`../../etc` is no commit"), "{path}");
    let round = wrong(|request| Reply::new(307, "").with("Location", &request.path));
    assert!(round.contains("its redirects have no end"), "{round}");
    let named = wrong(|request| {
        let list = json!({ "sha": COMMIT, "siblings": [{ "rfilename": "config.json" }] });
        if request.path.starts_with("/api") { Reply::json(&list) } else { Reply::new(200, "{}").with("ETag", "\"../../up\"") }
    });
    assert!(named.contains("the ETag is no checksum"), "{named}");
}

#[test]
fn the_command_line_gets_shows_and_runs_a_model_of_the_hub() {
    let (files, lab) = (llama(), Lab::new(6));
    let store = store(&files, Vec::new());
    let server = hub(&files, &store);
    let run = |code: i32, endpoint: &str, arguments: &[&str]| {
        let mut command = lab.command(arguments);
        command.env("HF_HOME", lab.path("hf")).env("HF_ENDPOINT", endpoint).env("HF_TOKEN", "hf_secret");
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert_eq!(output.status.code(), Some(code), "{arguments:?} said {said}");
        assert!(!said.contains("hf_secret"), "{said}");
        said.replace(&lab.path("").display().to_string(), "LAB/")
    };
    let offline = run(2, &server.url(), &["model", "get", "hf:org/name", "--offline"]);
    assert!(offline.contains("--offline") && offline.contains("bench model get hf:org/name@main"), "{offline}");
    let absent = run(2, &server.url(), &["model", "show", "hf:org/name"]);
    assert!(absent.contains("Fetch it first with `bench model get"), "{absent}");
    assert!(server.seen().is_empty());

    let got = run(0, &server.url(), &["model", "get", "hf:org/name"]);
    assert!(got.contains(&format!("hf:org/name at commit {COMMIT}")), "{got}");
    assert!(got.contains(&format!("folder LAB/hf/hub/models--org--name/snapshots/{COMMIT}")), "{got}");
    let shown = run(0, &nobody(), &["model", "show", "hf:org/name"]);
    // What a batch takes depends on the number of cores.
    let (shown, memory) = shown.split_once("memory").unwrap();
    assert!(memory.contains("f32") && memory.contains("bf16"), "{memory}");
    insta::assert_snapshot!("model_show", shown);

    let source = format!("path:{}/llama", fixtures().display());
    lab.edit("toy.toml", &source, "hf:org/name");
    run(0, &nobody(), &["run", "toy.toml", "--offline"]);
    let record: Value = serde_json::from_str(&lab.read("results/toy/run.json")).unwrap();
    assert_eq!(record["models"][0]["source"], "hf:org/name");
    assert_eq!(record["models"][0]["commit"], COMMIT);
    // The recipe of a run stays at the commit of the run.
    lab.write("in.txt", "rain\n");
    let commit = lab.path("hf/hub/models--org--name/refs/main");
    fs::write(commit, "ffffffffffffffffffffffffffffffffffffffff").unwrap();
    run(0, &nobody(), &["embed", "results/toy", "--cell", "best", "--input", "in.txt", "-o", "out.parquet", "--offline"]);
}

#[test]
fn the_command_line_gets_and_shows_an_adapter() {
    let (files, lab) = (adapter(), Lab::new(6));
    let store = store(&files, Vec::new());
    let server = hub(&files, &store);
    let run = |code: i32, endpoint: &str, arguments: &[&str]| {
        let mut command = lab.command(arguments);
        command.env("HF_HOME", lab.path("hf")).env("HF_ENDPOINT", endpoint);
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert_eq!(output.status.code(), Some(code), "{arguments:?} said {said}");
        said.replace(&lab.path("").display().to_string(), "LAB/")
    };
    let got = run(0, &server.url(), &["model", "get", "hf:org/name"]);
    assert!(got.contains(&format!("to pin it: adapter = \"hf:org/name@{COMMIT}\"")), "{got}");
    assert!(got.contains("adapter_model.safetensors"), "{got}");
    let shown = run(0, &nobody(), &["model", "show", "hf:org/name"]);
    insta::assert_snapshot!("adapter_show", shown);
    // Beside its model, by the spec.
    let source = format!("source = \"path:{}/llama\"", fixtures().display());
    lab.edit("toy.toml", &source, &format!("{source}\nadapter = \"hf:org/name\""));
    let both = run(0, &nobody(), &["model", "show", "toy.toml"]);
    assert!(both.contains("architecture    llama") && both.contains("adapter         LoRA of rank 4, alpha 6"), "{both}");
    // A repository with neither is no model.
    let neither = hub(&Files::from([("README.md".to_owned(), b"words".to_vec())]), &store);
    let none = run(2, &neither.url(), &["model", "get", "hf:org/name"]);
    assert!(none.contains("config.json"), "{none}");
}
