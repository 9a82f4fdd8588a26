//! Several runs on one page, and a cell followed from run to run.

use crate::lab::Lab;

/// A lab with the lexical floor alone, run twice into folders of their own, the first blessed as well.
fn twice() -> Lab {
    let lab = Lab::new(45);
    let spec = lab.read("toy.toml");
    let (head, rest) = spec.split_once("[[model]]").unwrap();
    let (_, floor) = rest.split_once("[[model]]").unwrap();
    let floor = floor.split("[grid]").next().unwrap().replace("[[prompt]]\nid = \"eol\"\nuse = \"prompteol\"\n", "");
    lab.write("toy.toml", &format!("{head}[[model]]{floor}"));
    lab.expect(0, &["run", "toy.toml", "--results", "before"]);
    lab.expect(0, &["bless", "before/toy", "-o", "results/baselines/toy"]);
    // The same name, and other content.
    lab.edit("toy.toml", "[[slice]]", "[[prompt]]\nid = \"topic\"\ntemplate = \"topic: {text} music music\"\n\n[[slice]]");
    lab.edit("toy.toml", "use = \"raw\"", "template = \"{text} weather weather weather\"");
    lab.expect(0, &["run", "toy.toml"]);
    lab.write("results/README.md", "files");
    lab
}

#[test]
fn several_runs_make_one_page_with_trends() {
    let lab = twice();
    let paths = ["results/README.md", "results/baselines", "results/toy", "before/toy"];
    let said = lab.expect(0, &[&["report"][..], &paths, &["--cell", "floor raw center"]].concat());
    assert_eq!(said.out, "reports/summary/report.md\nreports/summary/report.html\n");
    assert_eq!(said.err, "left out: results/README.md: no folder\n");
    let page = lab.read("reports/summary/report.md");
    assert!(page.starts_with("# Summary of 3 runs\n"), "{page}");
    assert_eq!(page.matches("| toy `results/baselines/toy` |").count(), 1, "{page}");
    assert!(page.contains("**floor · raw · own · names · center** on `toy`: accuracy "), "{page}");
    assert!(page.contains("over 3 runs;") && page.contains("Its content changed on the way"), "{page}");
    assert!(page.contains("![accuracy of 1 cell over 3 runs](trends.svg)"), "{page}");
    assert!(lab.read("reports/summary/trends.svg").contains("floor · raw"), "named where its line ends");
    let html = lab.read("reports/summary/report.html");
    assert!(html.contains("<svg") && !html.contains("<script"), "nothing on it moves");
    lab.expect(0, &[&["report"][..], &paths, &["--cell", "floor raw center", "-o", "again"]].concat());
    assert_eq!(lab.files("again"), lab.files("reports/summary"));
}

#[test]
fn a_summary_says_what_it_lacks() {
    let lab = Lab::new(6);
    lab.write("results/README.md", "files");
    let said = lab.expect(2, &["report", "results/README.md", "results"]);
    assert!(
        said.err.starts_with("error: none of these is a folder of results or a baseline:\nresults/README.md: no folder\n"),
        "{}",
        said.err
    );
    lab.expect(0, &["run", "toy.toml"]);
    let said = lab.expect(2, &["report", "results/toy", "--cell", "nobody"]);
    assert_eq!(
        said.err,
        "error: no cell of these runs is `nobody`: write the beginning of an id, or choices such as `llama · raw · own · names · none`\n"
    );
    lab.expect(0, &["report", "results/toy", "results/README.md"]);
    assert!(lab.read("reports/summary/report.md").contains("name one with `--cell`"));
}
