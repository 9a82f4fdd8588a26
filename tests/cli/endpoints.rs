//! Embedding servers as models: what is asked of them, and what becomes of every way to answer.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use embed_bench::cause::told;
use embed_bench::dataset::Catalog;
use embed_bench::embed::{self, Batch, EmbedError, Encoder, EndpointError, Row, Sources};
use embed_bench::http::Network;
use embed_bench::observe::Silent;
use embed_bench::spec::{DType, Device, Endpoint, Layer, Model, Pooling, Readout, Source};
use serde_json::{Value, json};

use crate::lab::Lab;
use crate::server::{Reply, Request, Server, nobody};

/// A vector by which a text is known.
fn vector(text: &str) -> [f32; 3] {
    let sum: u32 = text.bytes().map(u32::from).sum();
    [f32::from(u16::try_from(text.len()).unwrap()), f32::from(u16::try_from(sum % 997).unwrap()) / 7.0, -0.1]
}

pub fn texts(request: &Request) -> Vec<String> {
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    body["input"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// What a server should answer.
pub fn good(request: &Request) -> Reply {
    let entry = |(index, text): (usize, &String)| json!({ "object": "embedding", "index": index, "embedding": vector(text) });
    Reply::json(&json!({ "object": "list", "data": texts(request).iter().enumerate().map(entry).collect::<Vec<_>>() }))
}

/// One encoder for a server, asked for batches of 4.
fn open(server: &Server, change: impl FnOnce(&mut Endpoint)) -> Result<Box<dyn Encoder>, EmbedError> {
    let mut endpoint = Endpoint { batch: 4, concurrency: 2, timeout: 5, ..Endpoint::named("tiny") };
    change(&mut endpoint);
    let source = Source::parse(&format!("{}/v1", server.url()), None, Some(&endpoint)).unwrap();
    let model = Model {
        id: "m".to_owned(),
        source,
        dtype: DType::default(),
        device: Device::default(),
        max_tokens: None,
        adapter: None,
    };
    let catalog = Catalog::new("none".into(), None);
    embed::open(&model, &Sources { catalog: &catalog, home: "none".as_ref(), observer: &Silent, network: Network::Offline })
}

fn own(layer: i32, pool: Pooling) -> Readout {
    Readout { normalize: false, ..Readout::new("r", Layer::At(layer), pool) }
}

/// Embeds texts: the vector of each, or why it has none.
fn embedded(encoder: &dyn Encoder, texts: &[String]) -> Result<Vec<Result<Vec<f32>, String>>, EmbedError> {
    let rows: Vec<Vec<u32>> = texts.iter().map(|text| text.chars().map(u32::from).collect()).collect();
    let rows: Vec<Row<'_>> = rows.iter().map(|row| Row::from(row.as_slice())).collect();
    let readout = encoder.readout(&own(-1, Pooling::Own))?;
    let mut found = vec![None; texts.len()];
    encoder.encode(&rows, &[readout], &mut |batch: Batch| {
        for (at, &row) in batch.rows.iter().enumerate() {
            assert!(found[row].replace(Ok(batch.embeddings[0].row(at).to_vec())).is_none(), "row {row} came twice");
        }
        for (row, error) in &batch.failed {
            assert!(found[*row].replace(Err(told(error))).is_none(), "row {row} came twice");
        }
        ControlFlow::Continue(())
    })?;
    Ok(found.into_iter().map(|found| found.expect("every row comes")).collect())
}

fn some_texts(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("text 词 {i}{}", "x".repeat(i % 5))).collect()
}

fn all_right(found: &[Result<Vec<f32>, String>], texts: &[String]) {
    for (found, text) in found.iter().zip(texts) {
        assert_eq!(found.as_deref(), Ok(&vector(text)[..]), "{text}");
    }
}

#[test]
fn rows_go_out_in_batches_and_come_back_by_index() {
    let server = Server::start(|request| {
        // Backwards, and every other vector as base64.
        let entry = |(index, text): (usize, &String)| {
            let bytes: Vec<u8> = vector(text).iter().flat_map(|number| number.to_le_bytes()).collect();
            let plain = json!(vector(text));
            json!({ "index": index, "embedding": if index % 2 == 0 { json!(BASE64_STANDARD.encode(bytes)) } else { plain } })
        };
        let data: Vec<Value> = texts(request).iter().enumerate().rev().map(entry).collect();
        Reply::json(&json!({ "data": data }))
    });
    let encoder = open(&server, |_| {}).unwrap();
    let texts = some_texts(10);
    all_right(&embedded(encoder.as_ref(), &texts).unwrap(), &texts);
    let seen = server.seen();
    let mut sizes: Vec<usize> = seen.iter().map(|request| self::texts(request).len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 2, 4, 4], "one vector to learn the width, then batches");
    for request in &seen {
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/embeddings"));
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!((&body["model"], body.get("dimensions")), (&json!("tiny"), None));
        assert_eq!(request.header("authorization"), None);
    }
}

#[test]
fn an_answer_without_an_end_is_given_up() {
    let server = Server::start(|_| Reply::new(200, " ".repeat(1 << 16)).endless());
    let encoder = open(&server, |endpoint| endpoint.dimensions = Some(3)).unwrap();
    let started = Instant::now();
    let found = embedded(encoder.as_ref(), &some_texts(1));
    // A MiB beside the numbers, which have 40 bytes each.
    let said = match found {
        Err(error) => told(&error),
        Ok(found) => found[0].clone().unwrap_err(),
    };
    assert!(said.contains(&((1 << 20) + 3 * 40).to_string()), "{said}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn a_known_width_is_asked_for_and_needs_no_probe() {
    let server = Server::start(good);
    let encoder = open(&server, |endpoint| endpoint.dimensions = Some(3)).unwrap();
    assert!(server.seen().is_empty());
    all_right(&embedded(encoder.as_ref(), &some_texts(2)).unwrap(), &some_texts(2));
    let body: Value = serde_json::from_slice(&server.seen()[0].body).unwrap();
    assert_eq!(body["dimensions"], 3);
    let wider = open(&server, |endpoint| endpoint.dimensions = Some(4)).unwrap();
    let error = told(&embedded(wider.as_ref(), &some_texts(2)).unwrap_err());
    assert!(error.contains("its vectors have 3 numbers where 4 are expected"), "{error}");
}

#[test]
fn what_is_served_names_the_vectors() {
    let server = Server::start(good);
    let card = |change: fn(&mut Endpoint)| open(&server, change).unwrap().card().clone();
    let plain = card(|_| {});
    assert_eq!(plain.digest, card(|endpoint| (endpoint.batch, endpoint.timeout) = (9, 9)).digest);
    let changes: [fn(&mut Endpoint); 3] = [
        |endpoint| endpoint.name = "other".to_owned(),
        |endpoint| endpoint.revision = Some("2026-01-01".to_owned()),
        |endpoint| endpoint.dimensions = Some(3),
    ];
    for change in changes {
        let other = card(change);
        assert!(other.digest != plain.digest && other.identity != plain.identity, "{}", other.about);
    }
    let elsewhere = Server::start(good);
    assert_ne!(open(&elsewhere, |_| {}).unwrap().card().digest, plain.digest);
}

#[test]
fn a_server_that_asks_for_time_gets_it() {
    let tries = AtomicUsize::new(0);
    let server = Server::start(move |request| match tries.fetch_add(1, Ordering::SeqCst) {
        1 => Reply::new(500, "a hiccup"),
        2 => Reply::new(429, "slow down").with("Retry-After", 1),
        3 => Reply::new(503, "starting"),
        4 => good(request).cut(20),
        _ => good(request),
    });
    let encoder = open(&server, |endpoint| endpoint.concurrency = 1).unwrap();
    let since = Instant::now();
    all_right(&embedded(encoder.as_ref(), &some_texts(3)).unwrap(), &some_texts(3));
    assert!(since.elapsed() >= Duration::from_secs(1), "{:?}", since.elapsed());
    assert_eq!(server.seen().len(), 6);
}

#[test]
fn nobody_waits_for_an_hour() {
    let server = Server::start(|_| Reply::new(429, "{\"error\": \"quota\"}").with("Retry-After", 3600));
    let error = open(&server, |_| {}).err().unwrap();
    let url = server.url();
    assert_eq!(
        error.to_string(),
        format!("{url}/v1/embeddings answers HTTP status 429 (it asks to wait 3600 s): {{\"error\": \"quota\"}}")
    );
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn a_refusal_is_final_and_tells_no_key() {
    // A variable that is set on every machine stands in for the one with the key.
    let key = std::env::var("PATH").unwrap().replace(|c: char| !c.is_ascii_graphic(), "");
    let server =
        Server::start(|request| Reply::new(401, format!("wrong key: {}", request.header("authorization").unwrap_or_default())));
    let error = open(&server, |endpoint| endpoint.api_key_env = Some("PATH".to_owned())).err().unwrap();
    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].header("authorization"), Some(format!("Bearer {key}").as_str()));
    let message = told(&error);
    assert!(message.contains("status 401 (give a key: `endpoint.api_key_env`"), "{message}");
    assert!(message.contains("wrong key: Bearer [key]") && !format!("{error:?}").contains(&key), "{message}");
    let unset = open(&server, |endpoint| endpoint.api_key_env = Some("NO_SUCH_KEY_IS_SET".to_owned())).err().unwrap();
    assert!(unset.to_string().ends_with("`NO_SUCH_KEY_IS_SET`, which `api_key_env` names, is not set"), "{unset}");
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn a_batch_that_is_too_large_is_halved_and_a_bad_text_fails_alone() {
    for status in [413, 400, 422, 500] {
        let server = Server::start(move |request| {
            let texts = texts(request);
            if texts.len() > 2 || texts.iter().any(|text| text == "bad") {
                Reply::new(status, "too long")
            } else {
                good(request)
            }
        });
        let encoder = open(&server, |_| {}).unwrap();
        let mut texts = some_texts(6);
        texts[1] = "bad".to_owned();
        let found = embedded(encoder.as_ref(), &texts).unwrap();
        let reason = found[1].as_ref().unwrap_err();
        assert!(reason.contains(&format!("answers HTTP status {status}: too long")), "{reason}");
        all_right(&[&found[..1], &found[2..]].concat(), &[&texts[..1], &texts[2..]].concat());
    }
}

#[test]
fn a_broken_server_ends_the_work_and_bad_texts_do_not() {
    // Every text but the probe is refused.
    let picky = Server::start(|request| if texts(request) == ["a"] { good(request) } else { Reply::new(400, "no") });
    let encoder = open(&picky, |_| {}).unwrap();
    let found = embedded(encoder.as_ref(), &some_texts(8)).unwrap();
    assert!(found.iter().all(Result::is_err));

    let asked = AtomicUsize::new(0);
    let dying = Server::start(move |request| {
        if asked.fetch_add(1, Ordering::SeqCst) == 0 { good(request) } else { Reply::new(400, "model unloaded") }
    });
    let encoder = open(&dying, |endpoint| endpoint.concurrency = 1).unwrap();
    let error = embedded(encoder.as_ref(), &some_texts(400)).unwrap_err();
    assert!(error.to_string().contains("model unloaded"), "{error}");
    assert!(dying.seen().len() < 20, "{} requests to a server that refuses all", dying.seen().len());
}

#[test]
fn wrong_answers_are_told_with_what_was_said() {
    let wrong = |reply: fn(&Request) -> Reply| {
        let server = Server::start(reply);
        let error = open(&server, |_| {}).err().unwrap();
        assert!(server.seen().len() <= 2);
        told(&error).replace(&server.url(), "SERVER")
    };
    let page = wrong(|_| Reply::new(200, "<html>welcome</html>"));
    assert!(page.starts_with("SERVER/v1/embeddings does not answer as `/v1/embeddings` does: <html>welcome</html>"), "{page}");
    assert!(page.contains("because: the JSON is broken or of another shape"), "{page}");
    let none = wrong(|_| Reply::json(&json!({ "data": [] })));
    assert!(none.ends_with("because: it has 0 vectors for 1 texts"), "{none}");
    let half = wrong(|request| {
        let whole = good(request);
        whole.cut(30)
    });
    assert!(half.starts_with("SERVER/v1/embeddings cannot be reached (tried 2 times)"), "{half}");
    let missing = wrong(|_| Reply::new(404, "no such model"));
    assert_eq!(missing, "SERVER/v1/embeddings answers HTTP status 404 (check `source` and `endpoint.name`): no such model");
    let moved = wrong(|_| Reply::new(302, "").with("Location", "http://elsewhere/"));
    assert!(moved.contains("status 302 (redirects are not followed"), "{moved}");
    let huge = wrong(|_| Reply::new(200, vec![b' '; 4 << 20]));
    assert!(huge.ends_with("bytes where 1 vectors were asked for; is it an embedding server?"), "{huge}");
}

#[test]
fn a_silent_server_is_given_up() {
    let server = Server::start(|request| good(request).late(Duration::from_secs(20)));
    let since = Instant::now();
    let error = open(&server, |endpoint| endpoint.timeout = 1).err().unwrap();
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
    let EmbedError::Endpoint(error) = error else { panic!("{error}") };
    assert!(matches!(*error, EndpointError::Unreachable { tries: 2, .. }), "{error}");
}

#[test]
fn the_work_ends_where_asked_also_between_batches() {
    let server =
        Server::start(|request| good(request).late(Duration::from_millis(if texts(request) == ["a"] { 0 } else { 400 })));
    let encoder = open(&server, |endpoint| (endpoint.batch, endpoint.concurrency) = (1, 2)).unwrap();
    let readout = encoder.readout(&own(-1, Pooling::Own)).unwrap();
    let rows = [Row::from([97_u32, 98].as_slice()); 100];
    let mut sizes = Vec::new();
    let since = Instant::now();
    encoder
        .encode(&rows, &[readout], &mut |batch| {
            sizes.push(batch.rows.len());
            ControlFlow::Break(())
        })
        .unwrap();
    // A question, to which the answer is no; then the two batches that were under way.
    assert_eq!(sizes, [0, 1, 1]);
    assert_eq!(server.seen().len(), 3);
    assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
}

#[test]
fn layers_and_poolings_that_a_server_cannot_give_are_refused() {
    let server = Server::start(good);
    let encoder = open(&server, |_| {}).unwrap();
    assert!(encoder.readout(&own(-1, Pooling::Own)).is_ok());
    let wrong = [
        own(-2, Pooling::Own),
        own(0, Pooling::Own),
        own(-1, Pooling::Mean),
        Readout { norm: true, ..own(-1, Pooling::Own) },
        Readout { span: Some(1), ..own(-1, Pooling::Own) },
        Readout { layer: Layer::Depth(1.0), ..own(-1, Pooling::Own) },
    ];
    for readout in wrong {
        let error = encoder.readout(&readout).unwrap_err().to_string();
        assert!(error.contains("gives finished vectors alone; give it a readout with `pool = \"own\"`"), "{error}");
    }
}

/// The lab's spec with a server in place of the llama.
pub fn lab(url: &str, more: &str) -> Lab {
    let lab = Lab::new(12);
    let source = format!("source = \"path:{}/llama\"", crate::lab::fixtures().display());
    lab.edit("toy.toml", &source, &format!("source = \"{url}/v1\"\nendpoint = {{ name = \"tiny\"{more} }}"));
    lab.edit("toy.toml", "id = \"llama\"", "id = \"served\"");
    lab
}

#[test]
fn a_run_with_a_server_keeps_no_key_and_asks_once() {
    let server = Server::start(|request| match request.header("authorization") {
        Some("Bearer hunter2") => good(request),
        _ => Reply::new(401, "no key"),
    });
    let lab = lab(&server.url(), ", api_key_env = \"TOY_KEY\", revision = \"v1\"");
    let run = |arguments: &[&str], code: i32| {
        let output = lab.command(arguments).env("TOY_KEY", "hunter2").output().unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
        said
    };
    let plan = run(&["plan", "toy.toml"], 0);
    assert!(plan.contains("tokens of served: characters; its tokens are known to its server alone"), "{plan}");
    run(&["run", "toy.toml"], 0);
    let asked = server.seen().len();
    run(&["run", "toy.toml"], 0);
    assert_eq!(server.seen().len(), asked + 1, "the second run asks for the width alone");
    let record = lab.read("results/toy/run.json");
    assert!(record.contains("TOY_KEY") && record.contains("\"revision\": \"v1\""), "{record}");
    for folder in ["results", "reports", ".bench"] {
        for (name, bytes) in lab.files(folder) {
            assert!(!bytes.windows(7).any(|window| window == b"hunter2"), "{folder}/{name} holds the key");
        }
    }
    lab.write("in.txt", "rain\nguitar\n");
    run(&["embed", "results/toy", "--cell", "best", "--input", "in.txt", "-o", "out.parquet"], 0);
    let url = format!("{}/v1", server.url());
    let flags =
        ["--model", &url, "--served-name", "tiny", "--api-key-env", "TOY_KEY", "--input", "in.txt", "-o", "flags.parquet"];
    run(&[&["embed"], &flags[..]].concat(), 0);
    let shown = run(&["model", "show", "toy.toml"], 0);
    assert!(shown.contains("tiny at http://127.0.0.1:"), "{shown}");
}

#[test]
fn a_plan_without_the_server_says_what_to_do() {
    let gone = nobody();
    let plain = lab(&gone, "");
    let said = plain.expect(2, &["plan", "toy.toml"]);
    insta::assert_snapshot!("endpoint_gone", said.err.replace(&gone, "SERVER"));
    let known = lab(&gone, ", dimensions = 3");
    let said = known.expect(0, &["plan", "toy.toml"]);
    assert!(said.out.contains("tokens of served: characters"), "{}", said.out);
    // Cells of the other model have their scores all the same.
    let said = known.expect(1, &["run", "toy.toml"]);
    assert!(said.err.contains("cannot be reached") && said.err.contains("cells failed"), "{}", said.err);
}

#[test]
fn a_password_in_an_address_is_refused_and_not_repeated() {
    let lab = lab("http://me:hunter2@localhost:1", "");
    let said = lab.expect(1, &["check", "toy.toml"]);
    insta::assert_snapshot!("endpoint_password", said.err);
    let flags =
        ["embed", "--model", "http://me:hunter2@localhost:1/v1", "--served-name", "m", "--input", "a.txt", "-o", "b.parquet"];
    let said = lab.expect(2, &flags);
    assert!(!said.err.contains("hunter2") && said.err.contains("--api-key-env"), "{}", said.err);
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_keeps_what_came() {
    let server =
        Server::start(|request| good(request).late(Duration::from_millis(if texts(request) == ["a"] { 0 } else { 300 })));
    let lab = lab(&server.url(), ", batch = 1, concurrency = 1");
    let mut child = lab.command(&["run", "toy.toml"]).stderr(std::process::Stdio::null()).spawn().unwrap();
    let since = Instant::now();
    while server.seen().len() < 5 && since.elapsed() < Duration::from_mins(1) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let before = server.seen().len();
    lab.expect(0, &["run", "toy.toml"]);
    let texts: Vec<Vec<String>> = server.seen().iter().map(self::texts).collect();
    // The first three answers were saved; those of the interrupted moment may be asked for again.
    assert!(texts[1..4].iter().all(|text| !texts[before..].contains(text)), "{before} requests before the end");
}
