//! What is asked of the hub: which files a revision has, what each of them is, and its bytes.

use std::time::SystemTime;

use serde::Deserialize;
use ureq::http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, ETAG, LOCATION, RANGE};
use ureq::http::{HeaderMap, Method, Request, Response, Uri};
use ureq::{Agent, Body};

use super::error::HubError;
use crate::http::{self, Failed, PATIENCE, TRIES};

/// Redirects that are followed: a renamed repository, and a store of large files.
const MOST_REDIRECTS: u32 = 8;

/// Bytes of a list of files that are read: a repository has some thousand at most.
const LONGEST_LIST: u64 = 32 << 20;

/// A hub, and who asks.
pub(super) struct Client {
    agent: Agent,
    /// Without a slash at its end.
    endpoint: String,
    token: Option<String>,
}

/// A revision of a repository.
pub(super) struct Asked<'a> {
    pub repo: &'a str,
    pub revision: &'a str,
}

/// The files of a commit.
#[derive(Deserialize)]
pub(super) struct Listing {
    #[serde(rename = "sha")]
    pub commit: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
}

/// A file as the hub describes it.
pub(super) struct Entry {
    pub name: String,
    /// Its checksum, by which the cache names it: SHA-256 of a large file, git's SHA-1 of a small one.
    pub etag: String,
    pub size: u64,
}

impl Listing {
    pub fn has(&self, name: &str) -> bool {
        self.siblings.iter().any(|file| file.rfilename == name)
    }

    /// The first file whose name begins so.
    pub fn beginning(&self, start: &str) -> Option<&str> {
        self.siblings.iter().map(|file| file.rfilename.as_str()).find(|name| name.starts_with(start))
    }
}

impl Client {
    pub fn new(endpoint: &str, token: Option<String>) -> Result<Self, HubError> {
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let uri: Option<Uri> = endpoint.parse().ok();
        let web = uri.as_ref().is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
        if !web || endpoint.contains(['@', '?', '#']) {
            // It may hold a password.
            let found = if endpoint.contains('@') { "an address with a password".to_owned() } else { endpoint };
            return Err(HubError::Endpoint { found });
        }
        if token.as_ref().is_some_and(|token| !token.chars().all(|c| c.is_ascii_graphic())) {
            return Err(HubError::Token);
        }
        Ok(Self { agent: http::client(&endpoint, PATIENCE), endpoint, token })
    }

    /// The files of a revision, and the commit that it is.
    pub fn list(&self, asked: &Asked<'_>) -> Result<Listing, HubError> {
        let url = format!("{}/api/models/{}/revision/{}", self.endpoint, asked.repo, escaped(asked.revision));
        let wrong = |what: String| HubError::Protocol { url: url.clone(), what };
        let response = self.ask(&Method::GET, &url, None, asked)?;
        let answer = response.into_body().into_with_config().limit(LONGEST_LIST).read_to_vec();
        let answer = answer.map_err(|source| HubError::Unreachable { url: url.clone(), source: Box::new(source) })?;
        let listing: Listing = serde_json::from_slice(&answer).map_err(|error| wrong(format!("{error}")))?;
        if listing.commit.len() < 7 || !listing.commit.chars().all(|c| c.is_ascii_hexdigit()) {
            return Err(wrong(format!("`{}` is no commit", http::excerpt(listing.commit.as_bytes()))));
        }
        Ok(listing)
    }

    /// What a file of a commit is.
    pub fn entry(&self, asked: &Asked<'_>, name: &str) -> Result<Entry, HubError> {
        let url = self.address(asked, name);
        let wrong = |what: &str| HubError::Protocol { url: url.clone(), what: what.to_owned() };
        let response = self.ask(&Method::HEAD, &url, None, asked)?;
        let header = |names: [&str; 2]| names.iter().find_map(|name| response.headers().get(*name)?.to_str().ok());
        let etag = header(["x-linked-etag", ETAG.as_str()]).ok_or_else(|| wrong("there is no ETag"))?;
        let etag = etag.trim_start_matches("W/").trim_matches('"').to_owned();
        // It names a file.
        if etag.is_empty() || etag.len() > 128 || !etag.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(wrong("the ETag is no checksum"));
        }
        let size = header(["x-linked-size", CONTENT_LENGTH.as_str()]).and_then(|size| size.parse().ok());
        Ok(Entry { name: name.to_owned(), etag, size: size.ok_or_else(|| wrong("there is no size"))? })
    }

    /// The bytes of a file from the `from`-th on, or all of them where the server knows no ranges: it says so by its status.
    pub fn bytes(&self, asked: &Asked<'_>, name: &str, from: u64) -> Result<Response<Body>, HubError> {
        self.ask(&Method::GET, &self.address(asked, name), Some(from), asked)
    }

    pub fn address(&self, asked: &Asked<'_>, name: &str) -> String {
        format!("{}/{}/resolve/{}/{name}", self.endpoint, asked.repo, escaped(asked.revision))
    }

    /// An answer of success. A description is that of the hub itself, wherever the file lies.
    fn ask(&self, method: &Method, url: &str, from: Option<u64>, asked: &Asked<'_>) -> Result<Response<Body>, HubError> {
        let pause = &mut |wait| {
            std::thread::sleep(wait);
            true
        };
        http::persist(TRIES, url, pause, |_| {
            let mut here = url.to_owned();
            for _ in 0..MOST_REDIRECTS {
                let response = self.send(method, &here, from).map_err(|source| unreachable(&here, source))?;
                let described = method == Method::HEAD && response.headers().contains_key("x-linked-etag");
                if response.status().is_success() || (response.status().is_redirection() && described) {
                    return Ok(response);
                }
                match response.headers().get(LOCATION).filter(|_| response.status().is_redirection()) {
                    Some(location) => here = joined(&here, location.to_str().unwrap_or_default()),
                    None => return Err(self.refused(&here, response, asked)),
                }
            }
            Err(Failed::Final(HubError::Protocol { url: url.to_owned(), what: "its redirects have no end".to_owned() }))
        })
    }

    fn send(&self, method: &Method, url: &str, from: Option<u64>) -> Result<Response<Body>, ureq::Error> {
        // Offsets count the bytes of the file, not of what a compression makes of it.
        let mut request = Request::builder().method(method).uri(url).header(ACCEPT_ENCODING, "identity");
        if let Some(from) = from.filter(|from| *from > 0) {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        if let Some(token) = self.token.as_ref().filter(|_| self.is_own(url)) {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        self.agent.run(request.body(()).map_err(ureq::Error::Http)?)
    }

    /// Whether an address is the hub's own: no other server sees the token.
    fn is_own(&self, url: &str) -> bool {
        url.strip_prefix(&self.endpoint).is_some_and(|rest| rest.starts_with('/'))
    }

    /// What the hub's refusal means.
    fn refused(&self, url: &str, response: Response<Body>, asked: &Asked<'_>) -> Failed<HubError> {
        let status = response.status().as_u16();
        let word = |name: &str| word(response.headers(), name);
        let (code, message) = (word("x-error-code"), word("x-error-message"));
        let wait = http::retry_after(response.headers(), SystemTime::now());
        let repo = || asked.repo.to_owned();
        let gated =
            || HubError::Gated { repo: repo(), page: format!("{}/{}", self.endpoint, asked.repo), token: self.token.is_some() };
        let error = match (code.as_deref(), status) {
            (Some("GatedRepo"), _) => gated(),
            (Some("RepoNotFound"), _) => HubError::NoRepository { repo: repo() },
            (Some("RevisionNotFound"), _) => HubError::NoRevision { repo: repo(), revision: asked.revision.to_owned() },
            (Some("EntryNotFound"), _) => HubError::NoFile {
                repo: repo(),
                commit: asked.revision.to_owned(),
                file: url.rsplit('/').next().unwrap_or_default().to_owned(),
            },
            (_, 401) if self.token.is_some() && self.is_own(url) => {
                HubError::BadToken { answer: message.unwrap_or_else(|| "status 401".to_owned()) }
            }
            (_, 401 | 404) => HubError::NoRepository { repo: repo() },
            (_, 403) if self.is_own(url) => gated(),
            _ => {
                let answer = response.into_body().into_with_config().limit(4096).read_to_vec().unwrap_or_default();
                let answer = message.unwrap_or_else(|| http::excerpt(&answer));
                let error = HubError::Status { url: url.to_owned(), status, answer };
                return if http::is_passing(status) { Failed::Passing(error, wait) } else { Failed::Final(error) };
            }
        };
        Failed::Final(error)
    }
}

/// A host that is not there, or does not listen, is no matter of seconds.
fn unreachable(url: &str, source: ureq::Error) -> Failed<HubError> {
    let absent = match &source {
        ureq::Error::HostNotFound => true,
        ureq::Error::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        _ => false,
    };
    let error = HubError::Unreachable { url: url.to_owned(), source: Box::new(source) };
    if absent { Failed::Final(error) } else { Failed::Passing(error, None) }
}

fn word(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(http::excerpt(headers.get(name)?.as_bytes()))
}

/// A revision as one part of an address.
fn escaped(revision: &str) -> String {
    revision.replace('/', "%2F")
}

/// Where a redirect leads: an address, or a path on the same server.
fn joined(url: &str, location: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find('/').map_or(url.len(), |at| start + at);
    if location.starts_with('/') { format!("{}{location}", &url[..end]) } else { location.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_goes_to_the_hub_alone() {
        let client = Client::new("https://hub.example/", Some("hf_x".to_owned())).expect("an address");
        assert!(client.is_own("https://hub.example/org/name"));
        for other in
            ["https://hub.example.evil/a", "http://hub.example/a", "https://cdn.example/a", "https://hub.example@evil/a"]
        {
            assert!(!client.is_own(other), "{other}");
        }
    }

    #[test]
    fn redirects_lead_to_a_path_or_an_address() {
        assert_eq!(joined("https://a.b/c/d", "/e?f"), "https://a.b/e?f");
        assert_eq!(joined("https://a.b", "/e"), "https://a.b/e");
        assert_eq!(joined("https://a.b/c", "https://d/e"), "https://d/e");
    }

    #[test]
    fn what_is_no_hub_is_told_without_its_password() {
        let wrong = |endpoint: &str| Client::new(endpoint, None).err().expect("refused").to_string();
        assert!(wrong("huggingface.co").starts_with("HF_ENDPOINT is `huggingface.co`"));
        assert!(!wrong("https://me:hunter2@host").contains("hunter2"));
        assert!(matches!(Client::new("https://a", Some("a\nb".to_owned())), Err(HubError::Token)));
    }
}
