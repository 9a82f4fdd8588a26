//! What a terminal is sent: lines that fit, no colours that nobody asked for, nothing that dataset text commands.

use unicode_width::UnicodeWidthStr as _;

use crate::lab::Lab;

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
