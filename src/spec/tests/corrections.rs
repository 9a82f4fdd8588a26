//! Transforms, calibrations and what stands for labels: what they mean, and what is said of mistakes.

use super::*;

/// A transform that begins in line 9, fitted on another split than the one that is scored.
fn transform(lines: &str) -> String {
    format!("[[transform]]\nid = \"t\"\n{lines}\nfit = {{ dataset = \"apps6\", split = \"train\" }}\n")
}

#[test]
fn transforms_mean_what_they_say() {
    let of = |lines: &str| parse(&format!("{SMALL}{}", transform(lines))).unwrap().transforms[0].clone();
    let fit = FitTexts { dataset: "apps6".to_owned(), split: "train".to_owned(), limit: None, transductive: false };
    assert_eq!(of("kind = \"center\""), Transform { id: "t".to_owned(), rule: TransformRule::Center, fit });
    assert_eq!(of("kind = \"drop-top\"\ndrop = 2").rule, TransformRule::DropTop { drop: 2 });
    assert_eq!(of("kind = \"whiten\"").rule, TransformRule::Whiten { dims: None, shrinkage: 0.0 });
    let whiten = of("kind = \"whiten\"\ndims = 64\nshrinkage = 0.25").rule;
    assert_eq!(whiten, TransformRule::Whiten { dims: Some(64), shrinkage: 0.25 });
    assert_eq!(whiten.to_string(), "whiten, 64 dimensions, shrinkage 0.25");
    assert!(parse(SMALL).unwrap().transforms.is_empty());
}

#[test]
fn a_transform_is_not_fitted_on_scored_texts_unawares() {
    let seen = |more: &str| {
        wrong_with(&format!(
            "[[transform]]\nid = \"t\"\nkind = \"center\"\nfit = {{ dataset = \"apps6\", split = \"dev\"{more} }}"
        ))
    };
    assert_eq!(
        seen(""),
        "12:7: slice `dev` scores the texts that this is fitted on (fit on another split, or add `transductive = true`: the report then says so)"
    );
    assert_eq!(seen(", transductive = true"), "nothing");
}

#[test]
fn mistakes_in_transforms() {
    let with = |lines: &str| wrong_with(&transform(lines));
    assert_eq!(with("kind = \"whitening\""), "11:8: `kind` cannot be `whitening` (did you mean `whiten`?)");
    assert_eq!(
        with("kind = \"center\"\ndims = 3"),
        "12:8: `dims` means nothing to `center` (remove `dims`: it is for `whiten`)"
    );
    assert_eq!(
        with("kind = \"drop-top\""),
        "11:8: `drop-top` has no `drop` (say how many of the largest components go: `drop = 2`)"
    );
    assert_eq!(with("kind = \"drop-top\"\ndrop = 0"), "12:8: `drop` is 0, and should be at least 1");
    assert_eq!(with("kind = \"whiten\"\nshrinkage = 1.5"), "12:13: `shrinkage` is 1.5, and should be at most 1");
    assert_eq!(
        wrong_with("[[transform]]\nid = \"t\"\nkind = \"center\""),
        "9:1: `[[transform]]` has no `fit` (`fit`: The texts it is fitted on, under the cell's prompt and readout.)"
    );
    assert_eq!(
        wrong_with(&transform("kind = \"center\"").replace("\"t\"", "\"none\"")),
        "10:6: `none` is the plain choice, which every spec has (give this transform another id)"
    );
    let named = |id: &str| {
        wrong_with(&(transform("kind = \"center\"") + &format!("[compare]\nreference = {{ transform = \"{id}\" }}")))
    };
    assert_eq!((named("none"), named("t")), ("nothing".to_owned(), "nothing".to_owned()));
    assert_eq!(named("u"), "14:27: there is no transform `u` in this spec (write `none` or `t`)");
}

#[test]
fn calibrations_are_words_or_tables() {
    let of = |list: &str| parse(&format!("{SMALL}[[task]]\nkind = \"label-similarity\"\ncalibration = {list}"));
    let spec = of(
        "[\"none\", { kind = \"csls\", k = 5 }, \"csls\", { kind = \"inverted-softmax\", beta = 4 }, { kind = \"z-score\" }]",
    )
    .unwrap();
    let Task::LabelSimilarity { calibrations } = &spec.tasks[0] else { panic!("{:?}", spec.tasks) };
    let names: Vec<String> = calibrations.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["none", "csls-5", "csls", "inverted-softmax-4", "z-score"]);
    let with = |list: &str| wrong_with(&format!("[[task]]\nkind = \"label-similarity\"\ncalibration = {list}"));
    assert_eq!(with("[\"centre\"]"), "11:16: an entry of `calibration` cannot be `centre` (did you mean `center`?)");
    assert_eq!(with("[{ kind = \"center\", k = 3 }]"), "11:39: `k` means nothing to `center` (remove `k`: it is for `csls`)");
    assert_eq!(with("[{ kind = \"csls\", k = 0 }]"), "11:37: `k` is 0, and should be at least 1");
    assert_eq!(
        with("[{ kind = \"csls\", betta = 3 }]"),
        "11:33: unknown key `betta` in an entry of `calibration` (did you mean `beta`?)"
    );
    // The usual parameter is the plain word.
    assert_eq!(
        with("[\"csls\", { kind = \"csls\", k = 10 }]"),
        "11:24: calibration `csls` is there twice (the first is on line 11)"
    );
    let skip = "[[task]]\nkind = \"label-similarity\"\ncalibration = [\"none\", { kind = \"csls\", k = 5 }]\n[grid]\nskip = [{ calibration = \"csls-6\" }]";
    assert_eq!(wrong_with(skip), "13:25: there is no calibration `csls-6` in this spec (did you mean `csls-5`?)");
}

fn labels(lines: &str) -> String {
    format!("labels = [\"新闻\", \"求职\"]\n[[labels]]\nid = \"names\"\n[[labels]]\nid = \"l\"\n{lines}")
}

#[test]
fn what_stands_for_labels_means_what_it_says() {
    let of = |lines: &str| parse(&format!("{SMALL}{}", labels(lines))).unwrap().labels[1].words.clone();
    let StandIn::Phrased(phrased) = of("template = [\"{label}类\", \"{label}，例如{examples}\"]\nexamples.\"求职\" = \"招聘\"")
    else {
        panic!("phrases");
    };
    let sources: Vec<&str> = phrased.templates.iter().map(crate::prompt::LabelTemplate::source).collect();
    assert_eq!(sources, ["{label}类", "{label}，例如{examples}"]);
    assert_eq!(phrased.examples, [("求职".to_owned(), "招聘".to_owned())]);
    let from = Labelled { dataset: "apps6".to_owned(), split: "train".to_owned(), seed: Some(3) };
    let drawn = "from = { dataset = \"apps6\", split = \"train\", seed = 3 }";
    assert_eq!(of(&format!("shots = 4\n{drawn}")), StandIn::Samples(Samples { shots: 4, from }));
    // No texts at all: words.
    assert_eq!(of(&format!("shots = 0\n{drawn}")), StandIn::Phrased(Phrased::default()));
    let pooled = "[[labels]]\nid = \"m\"\n[[labels]]\nid = \"n\"\nensemble = [\"names\", \"m\"]";
    let spec = parse(&format!("{SMALL}{}", labels(pooled))).unwrap();
    assert_eq!(spec.labels[3].words, StandIn::Ensemble(vec!["names".to_owned(), "m".to_owned()]));
}

#[test]
fn mistakes_in_what_stands_for_labels() {
    let with = |lines: &str| wrong_with(&labels(lines));
    assert_eq!(
        with("template = \"一款{labl}应用\""),
        "14:15: the template has an unknown slot `{labl}` (the slots of labels are `{label}` and `{examples}`; literal braces are written `{{` and `}}`)"
    );
    assert_eq!(
        with("template = \"一款应用\""),
        "14:12: the template has no `{label}` slot (write `{label}` where the label's name or phrase goes)"
    );
    assert_eq!(
        with("examples.\"求职\" = \"招聘\""),
        "14:10: `examples` go into `{examples}` of a `template`, and there is none (write, say, `template = \"{label}，例如{examples}\"`)"
    );
    assert_eq!(
        with("shots = 4"),
        "14:9: `shots` has no `from` that says where texts are drawn from (add `from = { dataset = \"...\", split = \"...\" }`)"
    );
    let from = "from = { dataset = \"apps6\", split = \"train\" }";
    assert_eq!(
        with(from),
        "14:8: `from` goes with `shots`, and these labels have none (say how many texts of each label are drawn: `shots = 4`)"
    );
    assert_eq!(
        with(&format!("shots = 4\nprompt = \"raw\"\n{from}")),
        "14:9: these labels have both `shots` and `prompt` (make two `[[labels]]` of them, and a third with `ensemble` for both together)"
    );
    assert_eq!(
        with("ensemble = [\"names\", \"name\"]"),
        "14:22: there is no label wording `name` in this spec (did you mean `names`?)"
    );
    assert_eq!(with("ensemble = [\"names\", \"l\"]"), "14:22: `l` is an ensemble itself (name the sets that it is made of)");
    assert_eq!(
        with("ensemble = [\"names\", \"names\"]"),
        "14:22: `names` is in this ensemble twice (each set counts alike: name it once)"
    );
    assert_eq!(
        with("ensemble = [\"names\"]\nshots = 2"),
        "14:12: these labels have both `ensemble` and `shots` (an ensemble has the words of its members: put these into a `[[labels]]` of their own and name it there)"
    );
}
