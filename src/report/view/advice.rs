//! What to change, as sentences that follow from the data.

use super::Axis;
use super::comparison::Comparison;
use super::confusion;
use super::contest::{Contest, Entry, Reference};
use super::diagnosis;
use super::effects::{Effect, Worth};
use super::worth::some;
use crate::report::document::Block;
use crate::report::escape::{code, text};
use crate::report::number::{counted, decimal, percent, points, points_range};
use crate::spec::TaskKind;
use crate::stats::{Estimate, number};

/// Half-width of an accuracy's interval from which more texts are worth more than more cells.
const WIDE: f64 = 0.06;

pub fn blocks(contest: &Contest, effects: &[Effect]) -> Vec<Block> {
    let Some(best) = contest.best().filter(|best| best.accuracy.n > 0) else { return Vec::new() };
    if contest.slice.labels.len() < 2 {
        return vec![
            Block::Heading(3, "What to change".to_owned()),
            Block::Bullets(vec!["**Score texts of two labels or more**: with one there is nothing to decide.".to_owned()]),
        ];
    }
    let mut sentences: Vec<String> = floor(contest).into_iter().collect();
    let mut choices: Vec<(Option<f64>, String)> = effects.iter().filter_map(|effect| worth(contest, effect, best)).collect();
    choices.sort_by(|a, b| b.0.unwrap_or(-1.0).total_cmp(&a.0.unwrap_or(-1.0)));
    sentences.extend(choices.into_iter().map(|(_, sentence)| sentence));
    sentences.extend(diagnosis::cut_advice(contest));
    // What is learnt has no wording and no calibration to change.
    if contest.task == TaskKind::LabelSimilarity {
        sentences.extend(diagnosis::centring_advice(contest));
        sentences.extend(diagnosis::hub_advice(contest, best));
        sentences.extend(confused(contest, best));
    }
    sentences.extend(sample_size(best));
    if sentences.is_empty() {
        sentences.push("Nothing that these cells show.".to_owned());
    }
    let mut blocks = vec![Block::Heading(3, "What to change".to_owned())];
    blocks.extend(picked(contest).filter(|_| !effects.is_empty()).map(Block::Paragraph));
    blocks.push(Block::Bullets(sentences));
    blocks
}

/// Where the choices below come from, and what that does to their gains.
fn picked(contest: &Contest) -> Option<String> {
    contest.best()?;
    Some(match contest.chosen_on {
        Some(dev) => format!(
            "Choices were picked by their means on {}; their gains are measured on {}.",
            code(&dev.id),
            code(&contest.slice.id)
        ),
        None => "Choices were picked on the same texts that their gains are measured on, and the intervals are not corrected for that.".to_owned(),
    })
}

/// Whether a language model earns its cost.
fn floor(contest: &Contest) -> Option<String> {
    let model = contest.best_model()?;
    let Some(floor) = contest.floor() else {
        return Some("**Add the lexical floor** (`source = \"builtin:char-ngram\"`): without it nobody knows what no model at all would score.".to_owned());
    };
    let found = Comparison::of(contest, model, floor)?;
    let (gain, evidence) = (points(found.pair.difference.value), found.evidence());
    Some(if found.pair.difference.value <= 0.0 {
        format!("**Use the floor**: the language model does not beat character n-grams here ({gain} points; {evidence}).")
    } else if found.is_clear() {
        format!("**Keep the language model**: it beats character n-grams by {gain} points ({evidence}).")
    } else {
        format!("**Doubt the language model**: its {gain} points over character n-grams may be noise ({evidence}).")
    })
}

/// What one axis says of its choices, with the gain that it promises: clear gains are worth reading first.
fn worth(contest: &Contest, effect: &Effect, best: &Entry) -> Option<(Option<f64>, String)> {
    let (top, others) = effect.choices.split_first()?;
    let gains: Vec<(&Worth, Estimate)> = others.iter().map(|other| (other, top.over(other))).collect();
    let usual = if effect.axis == Axis::Calibration {
        Some("none")
    } else {
        contest.reference_entry().map(|entry| entry.on(effect.axis))
    };
    let (rival, gain) = gains.iter().find(|(other, _)| Some(other.id) == usual).or(gains.first())?;
    let over = |rival: &Worth, gain: &Estimate| {
        let to = if gain.value < 0.0 { "against" } else { "over" };
        format!("{} points {to} {} ({})", points(gain.value), code(rival.id), effect_evidence(effect, gain))
    };
    let axis = effect.axis.name();
    let aside = match best.on(effect.axis) {
        used if used == top.id => String::new(),
        used => format!(" The best cell uses {} all the same.", code(used)),
    };
    if let Some((better, loss)) = gains.iter().find(|(_, gain)| is_clear_loss(gain)) {
        let on = contest.chosen_on.map_or(String::new(), |dev| format!("picked on {}, ", code(&dev.id)));
        return Some((None, format!("**Doubt {axis} {}**: {on}it is {} here.{aside}", code(top.id), over(better, loss))));
    }
    let clearly = is_clear(gain);
    if effect.axis == Axis::Calibration {
        return Some((clearly.then_some(gain.value), calibration(top, rival, clearly, &over(rival, gain)) + &aside));
    }
    if clearly {
        return Some((
            Some(gain.value),
            format!("**Use {axis} {}**: {}.{}{aside}", code(top.id), over(rival, gain), as_good(&gains)),
        ));
    }
    Some(match gains.iter().rev().find(|(_, gain)| is_clear(gain)) {
        Some((worst, gain)) => (
            Some(gain.value),
            format!("**Avoid {axis} {}**: {} is {}.{}", code(worst.id), code(top.id), over(worst, gain), as_good(&gains)),
        ),
        None => {
            (None, format!("**Any {axis} will do**, as far as these texts tell: {} is {}.", code(top.id), over(rival, gain)))
        }
    })
}

fn is_clear(gain: &Estimate) -> bool {
    gain.interval.is_some_and(|interval| interval.low > 0.0)
}

fn is_clear_loss(gain: &Estimate) -> bool {
    gain.interval.is_some_and(|interval| interval.high < 0.0)
}

/// The choices that these texts cannot tell from the top one.
fn as_good(gains: &[(&Worth, Estimate)]) -> String {
    let ids: Vec<&str> = gains.iter().filter(|(_, gain)| !is_clear(gain)).map(|(other, _)| other.id).collect();
    match ids.len() {
        0 => String::new(),
        1 => format!(" As far as these texts tell, {} is as good.", some(&ids)),
        _ => format!(" As far as these texts tell, {} are as good.", some(&ids)),
    }
}

fn calibration(top: &Worth, rival: &Worth, clear: bool, over: &str) -> String {
    let name = |id: &str| if id == "center" { "Centring".to_owned() } else { format!("Calibration {}", code(id)) };
    match (clear, top.id == "none") {
        (true, true) => format!("**{} hurts**: {} is {over}.", name(rival.id), code(top.id)),
        (true, false) => format!("**{} helps**: {over}.", name(top.id)),
        (false, true) => format!("**{} does not help**: {} is {over}.", name(rival.id), code(top.id)),
        (false, false) => format!("**{} does not clearly help**: {over}.", name(top.id)),
    }
}

/// `95 % interval +4.2 to +12.0, mean of 12 matched pairs of cells`: cells that differ in nothing else
pub fn effect_evidence(effect: &Effect, gain: &Estimate) -> String {
    let range = gain.interval.map_or(String::new(), |interval| format!("95 % interval {}, ", points_range(interval)));
    match effect.blocks {
        1 => format!("{range}one matched pair of cells"),
        blocks => format!("{range}mean of {blocks} matched pairs of cells"),
    }
}

/// The labels to tell apart, when one pair makes up much of the errors: by other words, or by other texts where those stand for them.
fn confused(contest: &Contest, best: &Entry) -> Option<String> {
    let (pair, errors) = (confusion::worst_pair(contest, best)?, confusion::errors(contest, best));
    let [gold, predicted] = [pair.gold, pair.predicted].map(|label| text(contest.label(label)));
    let advice = if contest.shows_texts(best) {
        format!("Draw more texts of {gold} and {predicted}")
    } else {
        format!("Word {gold} and {predicted} further apart")
    };
    (pair.both >= 3 && number(errors) * 0.2 <= number(pair.both))
        .then(|| format!("**{advice}**: {} of the best cell's {} mix them up.", pair.both, counted(errors, "mistake")))
}

fn sample_size(best: &Entry) -> Option<String> {
    let interval = best.accuracy.interval?;
    let half = (interval.high - interval.low) / 2.0;
    (half > WIDE).then(|| {
        format!(
            "**Score more texts before trusting small gaps**: with n = {} an accuracy is known to ±{} points.",
            best.accuracy.n,
            decimal(100.0 * half, 0)
        )
    })
}

/// What a missing reference means for the reader.
pub fn reference_note(contest: &Contest) -> Option<String> {
    match &contest.reference {
        Reference::Entry(_) => None,
        Reference::Failed(_) => Some("The reference cell has no score, so no differences to it are given.".to_owned()),
        Reference::Absent => Some("This slice has no reference cell, so no differences to one are given.".to_owned()),
    }
}

/// `72.5 %`, or a dash.
pub fn share_or_dash(estimate: Option<Estimate>) -> String {
    estimate.map_or("–".to_owned(), |estimate| percent(estimate.value))
}
