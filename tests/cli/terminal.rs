//! What a terminal is sent: lines that fit, no colours that nobody asked for, nothing that dataset text commands.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use unicode_width::UnicodeWidthStr as _;

use crate::endpoints::{self, good, texts};
use crate::lab::Lab;
use crate::server::Server;

/// Runs a command with so many columns.
fn within(lab: &Lab, columns: &str, arguments: &[&str]) -> (String, String) {
    let output = lab.command(arguments).env("COLUMNS", columns).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

#[test]
fn tables_of_a_run_and_of_a_comparison_fit_eighty_columns() {
    let lab = Lab::new(30);
    lab.edit("toy.toml", "id = \"eol\"", "id = \"概括主题\"");
    lab.edit("toy.toml", "prompt = \"eol\"", "prompt = \"概括主题\"");
    for (columns, most) in [("80", 80), ("60", 60), ("", 80)] {
        for arguments in [&["run", "toy.toml"][..], &["compare", "results/toy", "results/toy"]] {
            let (out, err) = within(&lab, columns, arguments);
            let prose = |line: &&str| ["report: ", "note: "].iter().any(|head| line.starts_with(head));
            let table = out.lines().filter(|line| !prose(line));
            for line in table {
                assert!(line.width() <= most, "{} columns in {columns}: {line}\n{out}", line.width());
            }
            assert!(!out.contains('\u{1b}') && !err.contains('\u{1b}'), "no colours in a pipe: {out}{err}");
            assert!(out.contains("概括主题"), "whole names: {out}");
        }
    }
    let (wide, _) = within(&lab, "200", &["run", "toy.toml"]);
    assert!(
        wide.lines().any(|line| line.split_whitespace().take(5).eq(["#", "model", "prompt", "calibration", "accuracy"])),
        "{wide}"
    );
}

#[test]
fn texts_command_no_terminal() {
    let lab = Lab::new(9);
    let evil = "\u{1b}[2J\u{9b}31m\u{202e}gniK\u{7}";
    let row = serde_json::json!({ "id": format!("t{evil}"), "text": format!("{evil} rain"), "label": "weather" }).to_string();
    let rows = lab.read("datasets/toy/test.jsonl");
    lab.write("datasets/toy/test.jsonl", &(row + "\n" + &rows));
    lab.expect(0, &["run", "toy.toml"]);
    let floor = lab.read("results/toy/summary.json");
    let cells: serde_json::Value = serde_json::from_str(&floor).unwrap();
    let ids: Vec<String> = cells["cells"].as_object().unwrap().keys().map(|id| format!("results/toy#{id}")).collect();
    let mut shown = lab.expect(0, &["data", "show", "toy"]).out;
    for pair in ids.windows(2) {
        let said = lab.expect(0, &["compare", &pair[0], &pair[1]]);
        let json = lab.expect(0, &["compare", &pair[0], &pair[1], "--format", "json"]);
        serde_json::from_str::<serde_json::Value>(&json.out).unwrap();
        shown += &(said.out + &said.err + &json.out);
    }
    let orders = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!shown.contains(orders), "{shown:?}");
    let markdown = lab.read("reports/toy/report.md") + &lab.read("reports/toy/report.html");
    assert!(markdown.contains("gniK"), "the text is shown");
    assert!(!markdown.contains(|c| orders(c) && c != '\t'), "in the report");
}

/// Whether a program is at hand that says this of itself; says aloud that a test is skipped where it is not.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn has(program: &str, argument: &str, wanted: &str) -> bool {
    let said = Command::new(program).arg(argument).stdin(Stdio::null()).output();
    let there = said.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).contains(wanted));
    if !there {
        eprintln!("SKIPPED: no {program} that says {wanted} of itself");
    }
    there
}

/// What a command writes to a terminal, standard error among it. Nothing in its arguments may need quotes.
fn on_terminal(lab: &Lab, arguments: &[&str], terms: &[(&str, &str)]) -> String {
    let command = [&[env!("CARGO_BIN_EXE_bench")], arguments].concat().join(" ");
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &command, "/dev/null"]);
    script.current_dir(lab.path("")).stdin(Stdio::null()).env_remove("NO_COLOR").env("TERM", "xterm-256color");
    terms.iter().for_each(|(name, value)| {
        script.env(name, value);
    });
    String::from_utf8(script.output().unwrap().stdout).unwrap().replace("\r\n", "\n")
}

#[test]
fn a_terminal_is_sent_what_it_can_take() {
    if !has("script", "--version", "util-linux") {
        return;
    }
    let lab = Lab::new(9);
    let moving = on_terminal(&lab, &["run", "toy.toml"], &[]);
    assert!(moving.contains("\u{1b}["), "a live line moves: {moving:?}");
    let dumb = on_terminal(&lab, &["run", "toy.toml"], &[("TERM", "dumb")]);
    assert!(!dumb.contains(|c: char| c.is_control() && c != '\n'), "{dumb:?}");
    assert!(dumb.contains("score floor: ") && dumb.contains("report: reports/toy/report.md"), "{dumb}");
    // A terminal that knows no size of its own.
    let table = |text: &str| text.lines().filter(|line| line.contains(" % [")).map(str::to_owned).collect::<Vec<_>>();
    assert!(table(&dumb).len() > 3 && table(&dumb).iter().all(|line| line.width() <= 80), "{dumb}");
    lab.edit("toy.toml", "[[slice]]", "[[slize]]");
    let coloured = on_terminal(&lab, &["check", "toy.toml"], &[]);
    assert!(coloured.contains("\u{1b}[") && coloured.contains("slize"), "{coloured:?}");
    for terms in [&[("NO_COLOR", "1")][..], &[("NO_COLOR", "1"), ("TERM", "dumb")]] {
        let plain = on_terminal(&lab, &["check", "toy.toml"], terms);
        assert!(!plain.contains('\u{1b}') && plain.contains("slize"), "{plain:?}");
    }
}

#[test]
fn a_log_holds_whole_lines_and_nothing_else() {
    let lab = Lab::new(9);
    let said = lab.command(&["run", "toy.toml"]).env("TERM", "xterm-256color").output().unwrap();
    let [out, err] = [said.stdout, said.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(!(out.clone() + &err).contains(|c: char| c.is_control() && c != '\n'), "{out:?}{err:?}");
    let stages = ["tokenise for llama: ", "embed with llama: ", "score llama: ", "tokenise for floor: ", "score floor: "];
    for stage in stages {
        assert_eq!(err.lines().filter(|line| line.starts_with(stage)).count(), 1, "{stage}: {err}");
    }
}

/// A terminal emulator with a program in it; gone with the test.
struct Pane {
    tmux: std::path::PathBuf,
}

impl Pane {
    /// Runs a command in a terminal of 80 columns.
    fn open(lab: &Lab, arguments: &[&str]) -> Self {
        let pane = Self { tmux: lab.path("tmux") };
        let command = [&[env!("CARGO_BIN_EXE_bench")], arguments].concat().join(" ");
        let folder = lab.path("").display().to_string();
        pane.tell(&["new-session", "-d", "-x", "80", "-y", "24", "-c", &folder, &format!("{command}; sleep 60")]);
        pane
    }

    fn tell(&self, arguments: &[&str]) -> String {
        let mut tmux = Command::new("tmux");
        let said =
            tmux.arg("-S").arg(&self.tmux).args(["-f", "/dev/null"]).args(arguments).env_remove("TMUX").output().unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8(said.stdout).unwrap()
    }

    /// What is on the screen and above it, lines that were wrapped joined again.
    fn shown(&self) -> String {
        self.tell(&["capture-pane", "-p", "-J", "-S", "-"])
    }

    /// Waits until so much of a live line, or of what comes after, is there.
    fn wait(&self, until: impl Fn(&str) -> bool) -> String {
        let since = Instant::now();
        loop {
            let shown = self.shown();
            if until(&shown) {
                return shown;
            }
            assert!(since.elapsed() < Duration::from_mins(1), "{shown}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Pane {
    fn drop(&mut self) {
        drop(Command::new("tmux").arg("-S").arg(&self.tmux).arg("kill-server").output());
    }
}

#[test]
fn a_live_line_leaves_nothing_behind_when_its_terminal_is_made_narrower() {
    if !has("tmux", "-V", "tmux 3") {
        return;
    }
    let server =
        Server::start(|request| good(request).late(Duration::from_millis(if texts(request) == ["a"] { 0 } else { 150 })));
    let lab = endpoints::lab(&server.url(), ", batch = 1, concurrency = 1");
    let pane = Pane::open(&lab, &["run", "toy.toml"]);
    let live = |shown: &str| shown.matches("tok/s").count();
    pane.wait(|shown| live(shown) == 1);
    for columns in ["60", "40", "70", "40"] {
        pane.tell(&["resize-window", "-x", columns]);
        let before = server.seen().len();
        while server.seen().len() < before + 3 {
            std::thread::sleep(Duration::from_millis(10));
        }
        let shown = pane.shown();
        assert_eq!(live(&shown), 1, "in {columns} columns:\n{shown}");
    }
    let shown = pane.wait(|shown| shown.contains("report: reports/toy"));
    assert_eq!((live(&shown), shown.matches("embed with served").count()), (0, 1), "{shown}");
    assert!(!shown.contains(['█', '░']), "{shown}");
}
