//! Why a repository of the hub cannot be had.

use std::path::PathBuf;

/// What was asked for, what came back, and what to do. No variant holds the token.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    #[error("there is no home folder to keep models in; set HF_HOME to a folder")]
    NoHome,
    #[error("HF_ENDPOINT is `{found}`, and should be an address as https://huggingface.co")]
    Endpoint { found: String },
    #[error("the token from HF_TOKEN or `hf auth login` holds a line break or another character that no token has")]
    Token,
    #[error(
        "{repo}@{revision} is not in the cache as a whole, and the hub may not be asked (`--offline` or HF_HUB_OFFLINE); not \
         there: {missing}. Fetch it first with `bench model get hf:{repo}@{revision}`, or give a folder as it is: `source = \"path:DIR\"`"
    )]
    Offline { repo: String, revision: String, missing: String },
    #[error(
        "the hub cannot be reached, and another program left {repo}@{revision} in the cache, perhaps without all of its files \
         (not there: {missing}); try again when the hub can be reached, or give the folder as it is: `source = \"path:{folder}\"`",
        folder = .folder.display()
    )]
    PerhapsPart { repo: String, revision: String, missing: String, folder: PathBuf, source: Box<HubError> },
    #[error("the hub has no {repo}, or it is private; check the name, or log in (`hf auth login`) or set HF_TOKEN")]
    NoRepository { repo: String },
    #[error("{repo} has no revision `{revision}`; name a branch, a tag or a commit of it")]
    NoRevision { repo: String, revision: String },
    #[error("{repo} has no {file} at commit {commit}, which lists it; the hub contradicts itself, try again later")]
    NoFile { repo: String, commit: String, file: String },
    #[error("{repo} is gated; accept its licence at {page}, then {}", login(*token))]
    Gated { repo: String, page: String, token: bool },
    #[error("the hub refuses the token from HF_TOKEN or `hf auth login` ({answer}); log in again, or unset it")]
    BadToken { answer: String },
    #[error("{url} cannot be reached; try again when it can, or give a local folder (`source = \"path:DIR\"`)")]
    Unreachable { url: String, source: Box<ureq::Error> },
    #[error("{url} answers HTTP status {status}: {answer}")]
    Status { url: String, status: u16, answer: String },
    #[error("{url} does not answer as a hub does: {what}; check HF_ENDPOINT")]
    Protocol { url: String, what: String },
    #[error("{url} broke off after {received} of {size} bytes; what arrived is kept, and the next try continues there")]
    BrokenOff { url: String, received: u64, size: u64, source: std::io::Error },
    #[error(
        "{file} of {repo} is not what the hub says it is: its checksum is {found}, wanted {wanted}; it was deleted, try again"
    )]
    Checksum { repo: String, file: String, wanted: String, found: String },
    #[error("{repo} takes {needed} more bytes, and {folder} has {free} left; make room, or set HF_HOME to a larger disk", folder = .folder.display())]
    NoRoom { repo: String, needed: u64, free: u64, folder: PathBuf },
    #[error("cannot write {path}", path = .path.display())]
    Write { path: PathBuf, source: std::io::Error },
}

const fn login(token: bool) -> &'static str {
    if token { "try again: the token that was sent has no access yet" } else { "log in (`hf auth login`) or set HF_TOKEN" }
}
