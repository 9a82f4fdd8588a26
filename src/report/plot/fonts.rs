//! The fonts of this machine, as far as a picture's characters need them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ttf_parser::{Face, GlyphId, fonts_in_collection};

/// Where fonts lie on Linux, macOS and Windows; below the home folder where it says so.
const FOLDERS: [&str; 8] = [
    "~/.local/share/fonts",
    "~/.fonts",
    "~/Library/Fonts",
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "/Library/Fonts",
    "/System/Library/Fonts",
    "C:/Windows/Fonts",
];

/// Names of files that are taken first, and parts of names that are taken last.
const PLAIN: [&str; 7] =
    ["NotoSansCJK-Regular", "NotoSans-Regular", "DejaVuSans", "LiberationSans-Regular", "Arial", "PingFang", "msyh"];
const STYLED: [&str; 10] = ["Bold", "Italic", "Oblique", "Mono", "Serif", "Light", "Thin", "Condensed", "Emoji", "Math"];

/// Characters of a message.
const SHOWN: usize = 12;

/// Why a picture cannot be written with the fonts of this machine.
#[derive(Debug, thiserror::Error)]
pub enum FontError {
    #[error(
        "no font was found on this machine to write figures with; install one (Debian: fonts-noto-cjk), or name its folder in BENCH_FONTS"
    )]
    None,
    #[error(
        "no font of this machine has {}: install one that has (Debian: fonts-noto-cjk for Chinese, Japanese and Korean), or name its folder in BENCH_FONTS",
        listed(.0)
    )]
    Glyphs(BTreeSet<char>),
    #[error(
        "{} would be wrong in a PNG, which is written letter by letter from left to right: their scripts join letters, move them or run from right to left; use the SVG of the same name",
        listed(.0)
    )]
    Joined(BTreeSet<char>),
}

/// Blocks of scripts that join or move letters, or run from right to left: Hebrew to Arabic, those of India and Sri Lanka,
/// Tibetan and Burmese, Khmer and Mongolian, and their extensions.
const JOINED: [(u32, u32); 12] = [
    (0x0590, 0x08ff),
    (0x0900, 0x0dff),
    (0x0f00, 0x109f),
    (0x1780, 0x18af),
    (0x1a20, 0x1c4f),
    (0x1cd0, 0x1cff),
    (0xa800, 0xa82f),
    (0xa840, 0xabff),
    (0xfb1d, 0xfdff),
    (0xfe70, 0xfefc),
    (0x1_0800, 0x1_1fff),
    (0x1_e800, 0x1_efff),
];

/// The characters among these that cannot stand one after the other as they are.
pub fn joined(characters: &BTreeSet<char>) -> BTreeSet<char> {
    let of_block = |c: char| JOINED.iter().any(|&(first, last)| (first..=last).contains(&u32::from(c)));
    characters.iter().copied().filter(|c| of_block(*c)).collect()
}

fn listed(characters: &BTreeSet<char>) -> String {
    let shown: Vec<String> = characters.iter().take(SHOWN).map(|c| format!("{c} (U+{:04X})", u32::from(*c))).collect();
    let more = characters.len().saturating_sub(SHOWN);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

/// Fonts that together have every character that was asked for.
pub struct Fonts {
    /// The bytes of a file, and which of its faces.
    files: Vec<(Vec<u8>, u32)>,
}

impl Fonts {
    /// Reads fonts until every character has a glyph.
    ///
    /// # Errors
    /// [`FontError::None`], and [`FontError::Glyphs`] with what is missing.
    pub fn with(characters: BTreeSet<char>) -> Result<Self, FontError> {
        Self::among(candidates(), characters)
    }

    fn among(paths: Vec<PathBuf>, mut wanted: BTreeSet<char>) -> Result<Self, FontError> {
        let (mut files, mut any) = (Vec::new(), false);
        for path in paths {
            if wanted.is_empty() {
                break;
            }
            let Ok(bytes) = std::fs::read(&path) else { continue };
            let faces = fonts_in_collection(&bytes).unwrap_or(1);
            let helps = |index: &u32| {
                Face::parse(&bytes, *index).is_ok_and(|face| wanted.iter().any(|c| face.glyph_index(*c).is_some()))
            };
            any |= Face::parse(&bytes, 0).is_ok();
            let Some(index) = (0..faces).find(helps) else { continue };
            if let Ok(face) = Face::parse(&bytes, index) {
                wanted.retain(|c| face.glyph_index(*c).is_none());
            }
            files.push((bytes, index));
        }
        match (any || files.is_empty() && wanted.is_empty(), wanted.is_empty()) {
            (_, true) => Ok(Self { files }),
            (true, false) => Err(FontError::Glyphs(wanted)),
            (false, false) => Err(FontError::None),
        }
    }

    /// The faces, to be asked for glyphs in this order.
    pub fn faces(&self) -> Vec<Face<'_>> {
        self.files.iter().filter_map(|(bytes, index)| Face::parse(bytes, *index).ok()).collect()
    }
}

/// The first face that has a character, with its glyph.
pub fn glyph<'f, 'a>(faces: &'f [Face<'a>], character: char) -> Option<(&'f Face<'a>, GlyphId)> {
    faces.iter().find_map(|face| Some((face, face.glyph_index(character)?)))
}

/// Every font file, plain ones first; the same order on every run.
fn candidates() -> Vec<PathBuf> {
    let asked = std::env::var_os("BENCH_FONTS").map(PathBuf::from);
    let home = std::env::var_os("HOME").or_else(|| std::env::var_os("USERPROFILE")).map(PathBuf::from);
    let place = |folder: &&str| match folder.strip_prefix("~/") {
        Some(inner) => home.as_ref().map(|home| home.join(inner)),
        None => Some(PathBuf::from(folder)),
    };
    let mut found = Vec::new();
    asked.iter().for_each(|folder| collect(folder, &mut found));
    found.sort();
    let mut rest = Vec::new();
    FOLDERS.iter().filter_map(place).for_each(|folder| collect(&folder, &mut rest));
    rest.sort_by_key(|path| (rank(path), path.clone()));
    found.extend(rest);
    found
}

fn rank(path: &Path) -> usize {
    let name = path.file_stem().map_or(String::new(), |name| name.to_string_lossy().into_owned());
    let styled = STYLED.iter().any(|part| name.contains(part));
    PLAIN.iter().position(|plain| name == *plain).unwrap_or(if styled { 2 * PLAIN.len() } else { PLAIN.len() })
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let kind = path.extension().map(|kind| kind.to_string_lossy().to_lowercase());
        match kind.as_deref() {
            Some("ttf" | "otf" | "ttc" | "otc") => found.push(path),
            _ if path.is_dir() => collect(&path, found),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_by_name() {
        let lost: BTreeSet<char> = ['新', 'a'].into();
        assert!(matches!(Fonts::among(Vec::new(), lost.clone()), Err(FontError::None)));
        assert!(Fonts::among(Vec::new(), BTreeSet::new()).is_ok());
        let told = FontError::Glyphs(lost).to_string();
        assert!(told.starts_with("no font of this machine has a (U+0061), 新 (U+65B0): install one that has"), "{told}");
        assert!(listed(&('a'..='z').collect()).ends_with("l (U+006C) and 14 more"));
    }

    #[test]
    fn scripts_that_join_letters_are_known() {
        let told = |words: &str| joined(&words.chars().collect()).len();
        assert_eq!(["新闻", "Über é", "日本語", "Ωж✂", "ไทย", "한국어"].map(told), [0; 6]);
        assert_eq!(["عرب", "\u{5e2}\u{5b4}\u{5de}", "हिन", "မြ", "ខ្ម", "ﷺ"].map(told), [3, 3, 3, 2, 3, 1]);
        assert_eq!(joined(&"新闻 عر".chars().collect()), ['ع', 'ر'].into());
    }

    #[test]
    fn plain_fonts_are_taken_before_styled_ones() {
        let ranks = ["x/NotoSansCJK-Regular.ttc", "x/DejaVuSans.ttf", "x/Other.ttf", "x/DejaVuSans-Bold.ttf"]
            .map(|name| rank(Path::new(name)));
        assert!(ranks.is_sorted() && ranks[1] < ranks[2] && ranks[2] < ranks[3], "{ranks:?}");
    }
}
