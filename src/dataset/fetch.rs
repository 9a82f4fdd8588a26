//! Downloads a dataset's files: streamed, checked, and put in place whole or not at all.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use ureq::Agent;
use zip::ZipArchive;
use zip::result::ZipError;

use super::error::DatasetError;
use super::manifest::{Contents, Download, Manifest};
use crate::digest::Digest;
use crate::http::{PATIENCE, settings};
use crate::observe::{Event, Observer, Unit};
use crate::spec::suggest;

/// What became of each download of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchReport {
    pub dataset: String,
    pub downloads: Vec<Fetched>,
}

/// What became of one download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// All its files were there; nothing was downloaded and nothing checked.
    Present { url: String, files: Vec<PathBuf> },
    /// Downloaded and put in place.
    Downloaded {
        url: String,
        files: Vec<PathBuf>,
        bytes: u64,
        /// SHA-256 of the bytes the address served.
        sha256: Digest,
        /// Whether the manifest names this checksum; if not, nothing vouches for the bytes.
        pinned: bool,
    },
}

/// A client that follows redirects.
pub(super) fn agent() -> Agent {
    settings(PATIENCE).build().into()
}

/// Downloads into `folder` what `find` does not find.
///
/// # Errors
/// The first download that fails; files of the downloads before it stay.
pub(super) fn fetch(
    agent: &Agent,
    manifest: &Manifest,
    folder: &Path,
    observer: &dyn Observer,
    find: impl Fn(&str) -> Option<PathBuf>,
) -> Result<FetchReport, DatasetError> {
    let mut report = FetchReport { dataset: manifest.name.clone(), downloads: Vec::new() };
    for download in &manifest.downloads {
        let present: Option<Vec<PathBuf>> = download.contents.files().into_iter().map(&find).collect();
        report.downloads.push(match present {
            Some(files) => {
                warn_of_difference(download, &files, observer);
                Fetched::Present { url: download.url.clone(), files }
            }
            None => get(agent, download, manifest, folder, observer)?,
        });
    }
    Ok(report)
}

/// A local copy may be another version of the file than the one the manifest names.
fn warn_of_difference(download: &Download, files: &[PathBuf], observer: &dyn Observer) {
    if let (Contents::File(_), Some(wanted), [path]) = (&download.contents, download.sha256, files)
        && let Ok(found) = Digest::of_file(path)
        && found != wanted
    {
        let path = path.display();
        observer.observe(Event::Warning(format!(
            "{path} is not the file that {} serves: its SHA-256 is {found}, wanted {wanted}",
            download.url
        )));
    }
}

fn get(
    agent: &Agent,
    download: &Download,
    manifest: &Manifest,
    folder: &Path,
    observer: &dyn Observer,
) -> Result<Fetched, DatasetError> {
    let url = &download.url;
    std::fs::create_dir_all(folder).map_err(|source| cannot_write(folder, source))?;
    let mut file = temporary(folder)?;
    let (bytes, sha256) = receive(agent, url, folder, file.as_file_mut(), observer)?;
    if let Some(wanted) = download.sha256
        && wanted != sha256
    {
        return Err(DatasetError::Checksum { url: url.clone(), wanted, found: sha256, received: bytes });
    }
    let files = match &download.contents {
        Contents::File(name) => vec![keep(file, &folder.join(name))?],
        Contents::Zip(members) => unzip(url, file.as_file_mut(), members, folder)?,
    };
    let pinned = download.sha256.is_some();
    let checked = if pinned { "checksum good" } else { "checksum unknown" };
    observer.observe(Event::Finished { summary: format!("{url}: {bytes} bytes, {checked}") });
    if !pinned {
        observer.observe(Event::Warning(format!(
            "nothing vouches for {url}: its checksum is unknown. To pin what was received, add `sha256 = \"{sha256}\"` to \
             its [[download]] in {}",
            manifest.path.display()
        )));
    }
    Ok(Fetched::Downloaded { url: url.clone(), files, bytes, sha256, pinned })
}

/// Copies what the address serves to `file`; gives its size and SHA-256.
fn receive(
    agent: &Agent,
    url: &str,
    folder: &Path,
    file: &mut File,
    observer: &dyn Observer,
) -> Result<(u64, Digest), DatasetError> {
    let response = agent.get(url).call().map_err(|source| DatasetError::Request {
        url: url.to_owned(),
        target: folder.to_owned(),
        source: Box::new(source),
    })?;
    if !response.status().is_success() {
        return Err(DatasetError::HttpStatus { url: url.to_owned(), status: response.status().as_u16() });
    }
    let body = response.into_body();
    let total = body.content_length();
    observer.observe(Event::Started { stage: format!("download {url}"), total, unit: Unit::Bytes });
    let mut body = body.into_reader();
    let mut hasher = Sha256::new();
    let mut block = vec![0_u8; 1 << 16];
    let mut received = 0;
    loop {
        let read = match body.read(&mut block) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(DatasetError::Interrupted { url: url.to_owned(), received, total, source }),
        };
        hasher.update(&block[..read]);
        file.write_all(&block[..read]).map_err(|source| cannot_write(folder, source))?;
        received += read as u64;
        observer.observe(Event::Advanced(read as u64));
    }
    Ok((received, Digest::from_bytes(hasher.finalize().into())))
}

/// Puts the named members in place; a member's own path is never used.
fn unzip(url: &str, file: &mut File, members: &[(String, String)], folder: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let failed = |source| DatasetError::Zip { url: url.to_owned(), source };
    let mut archive = ZipArchive::new(file).map_err(failed)?;
    let mut names = Vec::new();
    for name in archive.file_names() {
        names.push(name.map_err(failed)?.into_owned());
    }
    names.sort();
    if let Some((member, _)) = members.iter().find(|(member, _)| !names.contains(member)) {
        return Err(DatasetError::NoMember {
            url: url.to_owned(),
            member: member.clone(),
            suggestion: suggest(member, names.iter().map(String::as_str)),
            members: names,
        });
    }
    let mut files = Vec::new();
    for (member, name) in members {
        let mut member = archive.by_name(member).map_err(failed)?;
        let mut file = temporary(folder)?;
        io::copy(&mut member, &mut file).map_err(|error| failed(ZipError::Io(error)))?;
        files.push(keep(file, &folder.join(name))?);
    }
    Ok(files)
}

/// A file that goes when dropped, readable by whom the umask lets read.
fn temporary(folder: &Path) -> Result<NamedTempFile, DatasetError> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".download-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder).map_err(|source| cannot_write(folder, source))
}

/// Moves a finished file to its place in one step.
fn keep(file: NamedTempFile, target: &Path) -> Result<PathBuf, DatasetError> {
    let failed = |source| cannot_write(target, source);
    if let Some(parent) = target.parent() {
        std::fs::create_dir_all(parent).map_err(failed)?;
    }
    file.as_file().sync_all().map_err(failed)?;
    file.persist(target).map_err(|error| failed(error.error))?;
    Ok(target.to_owned())
}

fn cannot_write(path: &Path, source: io::Error) -> DatasetError {
    DatasetError::Io { doing: "write", path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::Mutex;
    use std::thread;

    use zip::write::{SimpleFileOptions, ZipWriter};

    use super::*;

    /// Serves these raw answers, one a connection, and gives the address.
    fn serve(answers: Vec<Vec<u8>>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for answer in answers {
                let (mut connection, _) = listener.accept().unwrap();
                let mut request = Vec::new();
                let mut block = [0; 1024];
                while !request.ends_with(b"\r\n\r\n") {
                    let read = connection.read(&mut block).unwrap();
                    request.extend_from_slice(&block[..read]);
                }
                connection.write_all(&answer).unwrap();
            }
        });
        format!("http://{address}")
    }

    fn answer(status: &str, length: usize, body: &[u8]) -> Vec<u8> {
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        [head.as_bytes(), body].concat()
    }

    fn archive(members: &[(&str, &str)]) -> Vec<u8> {
        let mut writer = ZipWriter::new(io::Cursor::new(Vec::new()));
        for (name, text) in members {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(text.as_bytes()).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    struct Notes(Mutex<Vec<Event>>);

    impl Observer for Notes {
        fn observe(&self, event: Event) {
            self.0.lock().unwrap().push(event);
        }
    }

    /// The result, the folder's files, what was observed, and the address.
    type Tried = (Result<FetchReport, String>, Vec<(String, String)>, Vec<Event>, String);

    /// Fetches a dataset whose only download answers so.
    fn try_fetch(served: Vec<u8>, sha256: Option<Digest>, contents: Contents) -> Tried {
        let url = serve(vec![served]);
        let folder = tempfile::tempdir().unwrap();
        let manifest = Manifest {
            name: "d".to_owned(),
            about: String::new(),
            kind: crate::dataset::Kind::Sts,
            licence: String::new(),
            citation: None,
            homepage: None,
            languages: Vec::new(),
            labels: Vec::new(),
            on_bad_row: crate::dataset::OnBadRow::Error,
            obtain: None,
            splits: Vec::new(),
            downloads: vec![Download { url: url.clone(), sha256, contents }],
            path: "d/dataset.toml".into(),
        };
        let notes = Notes(Mutex::new(Vec::new()));
        let direct = settings(PATIENCE).proxy(None).build().into();
        let report = fetch(&direct, &manifest, folder.path(), &notes, |_| None);
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let entry = entry.unwrap();
            files.push((entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap()));
        }
        files.sort();
        (report.map_err(|error| error.to_string()), files, notes.0.into_inner().unwrap(), url)
    }

    fn file() -> Contents {
        Contents::File("a.txt".to_owned())
    }

    #[test]
    fn a_good_file_is_checked_and_put_in_place() {
        let digest = Digest::of_bytes(b"hello");
        let (report, files, events, url) = try_fetch(answer("200 OK", 5, b"hello"), Some(digest), file());
        let [Fetched::Downloaded { bytes: 5, sha256, pinned: true, .. }] = &report.unwrap().downloads[..] else { panic!() };
        assert_eq!(*sha256, digest);
        assert_eq!(files, [("a.txt".to_owned(), "hello".to_owned())]);
        let expected = [
            Event::Started { stage: format!("download {url}"), total: Some(5), unit: Unit::Bytes },
            Event::Advanced(5),
            Event::Finished { summary: format!("{url}: 5 bytes, checksum good") },
        ];
        assert_eq!(events, expected);
    }

    #[test]
    fn another_checksum_keeps_nothing() {
        let (wanted, found) = (Digest::of_bytes(b"hello"), Digest::of_bytes(b"hallo"));
        let (report, files, _, url) = try_fetch(answer("200 OK", 5, b"hallo"), Some(wanted), file());
        assert_eq!(
            report.unwrap_err(),
            format!(
                "{url}: wanted SHA-256 {wanted}, found {found} (5 bytes); nothing was kept. If the publisher changed the \
                 file on purpose, correct `sha256` in the dataset's manifest"
            )
        );
        assert_eq!(files, []);
    }

    #[test]
    fn an_unknown_checksum_is_told_with_how_to_pin_it() {
        let (report, files, events, url) = try_fetch(answer("200 OK", 5, b"hello"), None, file());
        assert!(report.is_ok());
        assert_eq!(files.len(), 1);
        let digest = Digest::of_bytes(b"hello");
        let warning = format!(
            "nothing vouches for {url}: its checksum is unknown. To pin what was received, add `sha256 = \"{digest}\"` to \
             its [[download]] in d/dataset.toml"
        );
        assert_eq!(events.last(), Some(&Event::Warning(warning)));
    }

    #[test]
    fn a_connection_cut_in_the_middle_keeps_nothing() {
        let (report, files, ..) = try_fetch(answer("200 OK", 9, b"hello"), None, file());
        let message = report.unwrap_err();
        let wanted = ": the connection broke after 5 of 9 bytes; nothing was kept, run the command again";
        assert!(message.ends_with(wanted), "{message}");
        assert_eq!(files, []);
    }

    #[test]
    fn a_missing_page_is_told_by_its_status() {
        let (report, files, _, url) = try_fetch(answer("404 Not Found", 2, b"no"), None, file());
        let wanted = format!("{url} answers HTTP status 404; if the file has moved, correct `url` in the dataset's manifest");
        assert_eq!((report.unwrap_err(), files), (wanted, Vec::new()));
    }

    #[test]
    fn named_members_of_an_archive_become_files() {
        let zip = archive(&[("in/train.json", "1"), ("../evil", "2"), ("other", "3")]);
        let pairs = vec![("in/train.json".to_owned(), "train.json".to_owned()), ("../evil".to_owned(), "good".to_owned())];
        let (report, files, ..) = try_fetch(answer("200 OK", zip.len(), &zip), None, Contents::Zip(pairs));
        assert!(report.is_ok());
        assert_eq!(files, [("good".to_owned(), "2".to_owned()), ("train.json".to_owned(), "1".to_owned())]);

        let pairs = vec![("train.json".to_owned(), "train.json".to_owned())];
        let (report, files, _, url) = try_fetch(answer("200 OK", zip.len(), &zip), None, Contents::Zip(pairs.clone()));
        let wanted = format!(
            "{url} has no member `train.json` (did you mean `in/train.json`?); its members are: ../evil, in/train.json, other"
        );
        assert_eq!((report.unwrap_err(), files), (wanted, Vec::new()));

        let (report, files, _, url) = try_fetch(answer("200 OK", 3, b"abc"), None, Contents::Zip(pairs));
        assert_eq!((report.unwrap_err(), files), (format!("{url}: the ZIP archive cannot be read"), Vec::new()));
    }
}
