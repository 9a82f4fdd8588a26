//! One file of a commit into the cache: locked, continued where it broke off, checked, and put in place in one step.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use ureq::Body;
use ureq::http::Response;
use ureq::http::header::CONTENT_RANGE;

use super::client::{Asked, Client, Entry};
use super::error::HubError;
use crate::http::{self, TRIES};
use crate::observe::{Event, Observer};

/// A repository's folder in the cache, in the layout that the hub's own programs share: `blobs` by checksum, `snapshots` of
/// links to them, and locks beside all repositories.
pub(super) struct Place {
    /// `models--ORG--NAME`.
    pub folder: PathBuf,
}

impl Place {
    pub fn blob(&self, etag: &str) -> PathBuf {
        self.folder.join("blobs").join(etag)
    }

    /// What has arrived of a file that is not whole. The hub's own programs continue it too.
    pub fn incomplete(&self, etag: &str) -> PathBuf {
        self.folder.join("blobs").join(format!("{etag}.incomplete"))
    }

    /// The lock that whoever writes a file holds.
    fn lock(&self, etag: &str) -> PathBuf {
        let name = self.folder.file_name().unwrap_or_default();
        self.folder.with_file_name(".locks").join(name).join(format!("{etag}.lock"))
    }
}

/// A file to fetch, and who watches.
pub(super) struct Fetch<'a> {
    pub client: &'a Client,
    /// The repository at its commit.
    pub asked: &'a Asked<'a>,
    pub place: &'a Place,
    pub observer: &'a dyn Observer,
}

impl Fetch<'_> {
    /// Puts a file into the snapshot, downloading what is not here. Waits where another program downloads it.
    pub fn file(&self, entry: &Entry, pointer: &Path) -> Result<(), HubError> {
        let blob = self.place.blob(&entry.etag);
        let lock_path = self.place.lock(&entry.etag);
        for folder in [blob.parent(), lock_path.parent(), pointer.parent()].into_iter().flatten() {
            fs::create_dir_all(folder).map_err(cannot_write(folder))?;
        }
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path).map_err(cannot_write(&lock_path))?;
        lock.lock().map_err(cannot_write(&lock_path))?;
        let size = |path: &Path| fs::metadata(path).map(|metadata| metadata.len()).ok();
        if size(&blob) == Some(entry.size) {
            self.observer.observe(Event::Advanced(entry.size));
        } else {
            self.download(entry, &blob)?;
        }
        link(&blob, pointer).map_err(cannot_write(pointer))
    }

    fn download(&self, entry: &Entry, blob: &Path) -> Result<(), HubError> {
        let path = self.place.incomplete(&entry.etag);
        let mut file = OpenOptions::new().create(true).append(true).read(true).open(&path).map_err(cannot_write(&path))?;
        let mut reached = file.metadata().map_err(cannot_write(&path))?.len();
        if reached > entry.size {
            file.set_len(0).map_err(cannot_write(&path))?;
            reached = 0;
        }
        self.observer.observe(Event::Advanced(reached));
        let mut in_vain = 0;
        while let Err(error) = self.rest(entry, &path, &mut file) {
            let HubError::BrokenOff { received, .. } = error else { return Err(error) };
            // A connection that brought something was worth the try.
            in_vain = if received > reached { 1 } else { in_vain + 1 };
            reached = reached.max(received);
            if in_vain > TRIES {
                return Err(error);
            }
            std::thread::sleep(http::wait(in_vain, &entry.etag, None));
        }
        file.sync_all().map_err(cannot_write(&path))?;
        self.check(entry, &path)?;
        fs::rename(&path, blob).map_err(cannot_write(blob))
    }

    /// Appends what is missing of a file.
    fn rest(&self, entry: &Entry, path: &Path, file: &mut File) -> Result<(), HubError> {
        let mut length = file.metadata().map_err(cannot_write(path))?.len();
        if length == entry.size {
            return Ok(());
        }
        let url = self.client.address(self.asked, &entry.name);
        let response = self.client.bytes(self.asked, &entry.name, length)?;
        if length > 0 && !continues(&response, length) {
            // The server sends the whole file.
            file.set_len(0).map_err(cannot_write(path))?;
            length = 0;
        }
        let mut body = response.into_body().into_reader();
        let mut block = vec![0_u8; 1 << 16];
        while length < entry.size {
            let read = match body.read(&mut block) {
                Ok(0) => return Err(broken_off(&url, length, entry.size, io::ErrorKind::UnexpectedEof.into())),
                Ok(read) => read.min(usize::try_from(entry.size - length).unwrap_or(usize::MAX)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(broken_off(&url, length, entry.size, source)),
            };
            file.write_all(&block[..read]).map_err(cannot_write(path))?;
            length += read as u64;
            self.observer.observe(Event::Advanced(read as u64));
        }
        Ok(())
    }

    /// Holds a whole file to its name. A mirror may name files otherwise than by a checksum; then nothing vouches for it.
    fn check(&self, entry: &Entry, path: &Path) -> Result<(), HubError> {
        let hex = entry.etag.chars().all(|c| c.is_ascii_hexdigit());
        let found = match (hex, entry.etag.len()) {
            (true, 64) => digest(path, Sha256::new()),
            (true, 40) => digest(path, Sha1::new_with_prefix(format!("blob {}\0", entry.size))),
            _ => {
                let warning =
                    format!("nothing vouches for {} of {}: the server names no checksum", entry.name, self.asked.repo);
                self.observer.observe(Event::Warning(warning));
                return Ok(());
            }
        };
        let found = found.map_err(cannot_write(path))?;
        if found == entry.etag.to_ascii_lowercase() {
            return Ok(());
        }
        fs::remove_file(path).map_err(cannot_write(path))?;
        let (repo, file) = (self.asked.repo.to_owned(), entry.name.clone());
        Err(HubError::Checksum { repo, file, wanted: entry.etag.clone(), found })
    }
}

/// Whether an answer begins at the asked byte.
fn continues(response: &Response<Body>, from: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
    response.status() == 206 && range.is_some_and(|range| range.starts_with(&format!("bytes {from}-")))
}

fn broken_off(url: &str, received: u64, size: u64, source: io::Error) -> HubError {
    HubError::BrokenOff { url: url.to_owned(), received, size, source }
}

/// The digest of a file as hexadecimal digits.
fn digest<D: sha2::Digest>(path: &Path, mut hasher: D) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut block = vec![0_u8; 1 << 20];
    loop {
        match file.read(&mut block)? {
            0 => break,
            read => hasher.update(&block[..read]),
        }
    }
    let mut digits = String::new();
    for byte in hasher.finalize() {
        let _ = write!(digits, "{byte:02x}");
    }
    Ok(digits)
}

/// Makes `pointer` lead to `blob`, by a relative link where the system has them, so that the cache can be moved.
fn link(blob: &Path, pointer: &Path) -> io::Result<()> {
    if pointer.exists() {
        return Ok(());
    }
    // A link that leads nowhere.
    let _nothing = fs::remove_file(pointer);
    let depth = pointer.components().count() - blob.components().count();
    let etag = blob.file_name().unwrap_or_default();
    let up: PathBuf = std::iter::repeat_n("..", depth + 1).collect();
    linked(&up.join("blobs").join(etag), blob, pointer)
}

#[cfg(unix)]
fn linked(target: &Path, _: &Path, pointer: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, pointer)
}

#[cfg(not(unix))]
fn linked(_: &Path, blob: &Path, pointer: &Path) -> io::Result<()> {
    fs::hard_link(blob, pointer).or_else(|_| fs::copy(blob, pointer).map(|_| ()))
}

fn cannot_write(path: &Path) -> impl FnOnce(io::Error) -> HubError + '_ {
    move |source| HubError::Write { path: path.to_owned(), source }
}
