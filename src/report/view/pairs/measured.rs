//! What a report says of queries that found little, and of clusters.

use super::contest::{PairContest, hundredths};
use crate::report::document::{Block, Column, Example};
use crate::report::escape::{code, shorten, text};
use crate::report::number::{counted, percent};
use crate::results::{Kind, SampleText, SliceRecord};
use crate::spec::{Companion, Task, TaskKind};
use crate::stats::{Table, number};

/// Queries and clusters that are shown.
const SHOWN: usize = 5;
const CLUSTERS: usize = 20;
/// Most characters of one text.
const CHARACTERS: usize = 100;

/// The queries for which the best cell finds least.
pub fn queries(contest: &PairContest) -> Vec<Block> {
    let Some(best) = contest.best().filter(|_| contest.task_kind == TaskKind::Retrieval) else { return Vec::new() };
    let figures = best.paired.figures().enumerate();
    let mut poor: Vec<(usize, f64)> = figures.filter_map(|(query, figure)| Some((query, figure?))).collect();
    poor.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    let documents = searched(contest);
    let nothing = poor.iter().filter(|(_, figure)| *figure <= 0.0).count();
    let example = |&(query, figure): &(usize, f64)| {
        let sample = contest.samples.get(query);
        // Judged queries have no label.
        let label = sample.and_then(|sample| contest.slice.labels.get(sample.gold.label()?));
        let label = label.map_or_else(String::new, |label| format!("**label {}**, ", code(label)));
        let numbers = best.paired.scores_of(query);
        let [map, first, relevant] = [1, 2, numbers.len().saturating_sub(2)].map(|at| numbers.get(at).copied().unwrap_or(0.0));
        let id = sample.map_or("?", |sample| sample.id.as_str());
        // The last number is the place of the nearest document.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place, from 0")]
        let nearest = numbers.last().and_then(|place| documents.get(*place as usize));
        let nearest = nearest.map(|document| format!(" Nearest: {}", text(&shorten(&document.text, CHARACTERS))));
        Example {
            verdict: format!("{label}nDCG@10 **{}** (sample {})", hundredths(figure), code(&shorten(id, 60))),
            text: sample.map_or_else(|| "(text not kept)".to_owned(), |sample| text(&shorten(&sample.text, CHARACTERS))),
            scores: format!(
                "Average precision {}, one over the rank of the first relevant document {}, of {relevant} relevant.{}",
                hundredths(map),
                hundredths(first),
                nearest.unwrap_or_default()
            ),
        }
    };
    let sentence = format!(
        "{} of {} with relevant documents find none of them among the first ten.",
        percent(number(nothing) / number(poor.len().max(1))),
        counted(poor.len(), "query")
    );
    vec![Block::Paragraph(sentence), Block::Examples(poor.iter().take(SHOWN).map(example).collect())]
}

/// The texts that a contest's queries are sought among; none where the record does not tell.
fn searched<'a>(contest: &PairContest<'a>) -> &'a [SampleText] {
    let (slices, own) = (&contest.run.provenance.slices, contest.slice);
    let slice = match contest.task {
        _ if own.kind == Kind::Retrieval => {
            let corpora =
                || slices.iter().filter(|slice| slice.kind == Kind::Documents && slice.origin.dataset == own.origin.dataset);
            let of_split = corpora().find(|corpus| corpus.origin.split == own.origin.split);
            of_split.or_else(|| corpora().next().filter(|_| corpora().count() == 1))
        }
        Some(Task::Retrieval { documents: Some(Companion::Slice(id)), .. }) => slices.iter().find(|slice| slice.id == *id),
        Some(Task::Retrieval { documents: Some(Companion::Split { dataset, split }), .. }) => {
            let dataset = dataset.as_ref().unwrap_or(&own.origin.dataset);
            let is_it = |slice: &&SliceRecord| {
                let of_split = slice.origin.dataset == *dataset && slice.origin.split == *split;
                of_split && slice.labels == own.labels && slice.id.contains(':')
            };
            slices.iter().find(is_it)
        }
        _ => Some(own),
    };
    slice.and_then(|slice| contest.run.samples.get(&slice.id)).map_or(&[], |texts| texts.as_slice())
}

/// What each cluster of the best cell is made of, the largest first.
pub fn clusters(contest: &PairContest) -> Vec<Block> {
    let Some(best) = contest.best().filter(|_| contest.task_kind == TaskKind::Clustering) else { return Vec::new() };
    let of: Vec<usize> = best.paired.clusters().collect();
    let gold = contest.labels();
    let sizes = Table::of(&gold, &of, &vec![1; of.len()]).sizes();
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by(|&a, &b| sizes[b].total_cmp(&sizes[a]).then(a.cmp(&b)));
    let row = |&cluster: &usize| {
        let mut counts: Vec<(usize, usize)> = (0..contest.slice.labels.len())
            .map(|label| (label, of.iter().zip(&gold).filter(|(of, gold)| (**of, **gold) == (cluster, label)).count()))
            .filter(|(_, count)| *count > 0)
            .collect();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        let named = |(label, count): &(usize, usize)| format!("{} ({count})", text(&contest.slice.labels[*label]));
        let most = counts.first().map_or(0, |(_, count)| *count);
        vec![
            (cluster + 1).to_string(),
            counted(counts.iter().map(|(_, count)| count).sum(), "text"),
            percent(number(most) / sizes[cluster].max(1.0)),
            counts.iter().take(3).map(named).collect::<Vec<_>>().join(", "),
        ]
    };
    let columns = vec![
        Column::numbers("cluster of the best cell"),
        Column::numbers("size"),
        Column::numbers("share of its first label"),
        Column::words("most frequent labels"),
    ];
    let mut blocks = vec![Block::table(columns, order.iter().take(CLUSTERS).map(row).collect())];
    if sizes.len() > CLUSTERS {
        blocks.push(Block::Paragraph(format!("{} are smaller.", counted(sizes.len() - CLUSTERS, "more cluster"))));
    }
    blocks
}
