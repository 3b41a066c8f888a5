//! Trained classifiers on their test set: top-1, top-5, and each class.

use super::{
    groups::{Group, groups, unequal},
    recipe,
    trade_off::{self, Placed},
};
use crate::{
    records,
    report::{Block, Cell, Column, Proportion, Section, Summary, Table},
    run::{Input, Missing},
    tasks::classification::ClassEvaluation,
};
use std::collections::BTreeMap;

/// With more classes than this only those that go worst are listed.
const LISTED_CLASSES: usize = 20;

type Evaluation = records::Evaluation<ClassEvaluation>;

impl Evaluation {
    fn share(&self) -> Proportion {
        Proportion::new(self.of.all.correct, self.of.all.images)
    }

    fn percent(&self) -> f64 {
        self.share().percent()
    }
}

/// A row a network, then methods and classes.
pub(super) fn section(
    members: &[&Input],
    evaluations: &BTreeMap<String, Evaluation>,
    inputs: &[Input],
    missing: &[Missing],
) -> Section {
    let groups = groups(members, missing);
    let mut all: Vec<(String, String, Evaluation)> = Vec::new();
    for group in &groups {
        for Input { member, .. } in group.members.iter().copied() {
            all.push((group.name.clone(), member.clone(), evaluations[member].clone()));
        }
    }
    let mut blocks = vec![Block::Table(accuracies(&all))];
    blocks.extend(unequal(&groups).filter(|_| groups.len() > 1).map(Block::Text));
    blocks.extend(by_method(&groups, &all).map(Block::Table));
    let trainings = || inputs.iter().filter(|input| ["retrain", "transfer"].contains(&input.kind.as_str()));
    blocks.extend(recipe::differences(&groups, |member| recipe::only(member, trainings())).map(Block::Table));
    for group in &groups {
        let of_group: Vec<&(String, String, Evaluation)> = all.iter().filter(|(of, ..)| *of == group.name).collect();
        blocks.extend(together(&group.name, &of_group).map(Block::Text));
        blocks.extend(by_class(&group.name, &of_group).map(Block::Table));
    }
    let placed = all.iter().map(|(group, member, evaluation)| Placed {
        group: group.clone(),
        member: member.clone(),
        multiply_adds: evaluation.multiply_adds,
        value: evaluation.percent(),
    });
    blocks.extend(trade_off::figure(&placed.collect::<Vec<_>>(), "top-1 (%)", "of an image"));
    Section::new("Evaluation", blocks)
}

/// A row a method, where there are several and one of them was trained more than once.
fn by_method(groups: &[Group<'_>], all: &[(String, String, Evaluation)]) -> Option<Table> {
    if groups.len() < 2 || groups.iter().all(|group| group.planned < 2) {
        return None;
    }
    let mut table = Table::new(
        "Top-1 by method: mean over n trainings, ± sample standard deviation. The best is chosen by the test set itself, and so no \
         estimate.",
        vec![
            Column::text("method"),
            Column::number("n"),
            Column::number("of"),
            Column::number("top-1").unit("%"),
            Column::number("±"),
            Column::number("best").unit("%"),
        ],
    );
    for group in groups {
        let values: Vec<f64> =
            all.iter().filter(|(of, ..)| *of == group.name).map(|(.., evaluation)| evaluation.percent()).collect();
        let Some(Summary { n, mean, deviation, max, .. }) = Summary::of(&values) else { continue };
        table.push([
            Cell::Text(group.name.clone()),
            Cell::count(n),
            Cell::count(group.planned),
            Cell::number(mean, 2),
            Cell::known(deviation, 2),
            Cell::known((n > 1).then_some(max), 2),
        ]);
    }
    Some(table)
}

/// A row a network.
fn accuracies(all: &[(String, String, Evaluation)]) -> Table {
    let has_top5 = all.iter().any(|(.., evaluation)| evaluation.of.top5_percent.is_some());
    let mut columns = vec![
        Column::text("network"),
        Column::number("test images"),
        Column::number("top-1").unit("%"),
        Column::text("95 % interval"),
        Column::number("error").unit("%"),
    ];
    if has_top5 {
        columns.push(Column::number("top-5").unit("%"));
    }
    columns.push(Column::number("parameters").unit("M"));
    columns.push(Column::number("multiply-adds").unit("M"));
    let mut table = Table::new(
        "Trained networks on the full test set. The interval is Wilson's and is about the number of test images alone: another seed \
         may land outside. Parameters and multiply-adds are without the auxiliary head; multiply-adds are of convolutions and the \
         classifier.",
        columns,
    );
    for (_, member, evaluation) in all {
        let share = evaluation.share();
        let (low, high) = share.interval();
        let mut row = vec![
            Cell::Text(member.clone()),
            Cell::count(share.of),
            Cell::number(share.percent(), 2),
            Cell::Text(format!("{low:.2} to {high:.2}")),
            Cell::number(100.0 - share.percent(), 2),
        ];
        if has_top5 {
            row.push(Cell::known(evaluation.of.top5_percent, 2));
        }
        row.push(Cell::number(evaluation.parameters as f64 / 1e6, 3));
        row.push(Cell::number(evaluation.multiply_adds as f64 / 1e6, 1));
        table.push(row);
    }
    table
}

/// What several networks of one method say together: mean and spread, and the best apart from them.
fn together(stage: &str, of: &[&(String, String, Evaluation)]) -> Option<String> {
    let values: Vec<f64> = of.iter().map(|(.., evaluation)| evaluation.percent()).collect();
    let summary = Summary::of(&values).filter(|summary| summary.n > 1)?;
    let (_, best, evaluation) = of.iter().max_by(|a, b| a.2.percent().total_cmp(&b.2.percent()))?;
    Some(format!(
        "`{stage}` over {} trainings, top-1 in %: {}. The best of them, chosen by the test set itself and so no estimate: {:.2} % (`{best}`).",
        summary.n,
        summary.shown(2),
        evaluation.percent()
    ))
}

/// Accuracy by class, the images of all trainings of a stage together.
fn by_class(stage: &str, of: &[&(String, String, Evaluation)]) -> Option<Table> {
    let (_, _, first) = of.first()?;
    let mut classes: Vec<(&str, Proportion)> = first
        .of
        .classes
        .iter()
        .enumerate()
        .map(|(at, class)| {
            let same = of.iter().filter_map(|(.., evaluation)| evaluation.of.classes.get(at));
            let (correct, images) = same
                .fold((0, 0), |(correct, images), class| (correct + class.share.correct, images + class.share.images));
            (class.class.as_str(), Proportion::new(correct, images))
        })
        .collect();
    let few = classes.len() <= LISTED_CLASSES;
    if !few {
        classes.sort_by(|(_, a), (_, b)| a.percent().total_cmp(&b.percent()));
        classes.truncate(LISTED_CLASSES);
    }
    let title = match (few, of.len()) {
        (true, 1) => format!("`{stage}` by class"),
        (true, trainings) => format!("`{stage}` by class, the predictions of {trainings} trainings together"),
        (false, _) => format!("`{stage}`: the {LISTED_CLASSES} of {} classes that go worst", first.of.classes.len()),
    };
    let columns = vec![
        Column::text("class"),
        Column::number("images"),
        Column::number("accuracy").unit("%"),
        Column::text("95 % interval"),
    ];
    let mut table = Table::new(title, columns);
    for (name, share) in classes {
        let (low, high) = share.interval();
        table.push([
            Cell::Text(name.to_owned()),
            Cell::count(share.of),
            Cell::number(share.percent(), 1),
            Cell::Text(format!("{low:.1} to {high:.1}")),
        ]);
    }
    Some(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::classification::{ClassScore, Share};

    fn network(seed: usize, correct: [usize; 2]) -> (String, String, Evaluation) {
        let share = |correct, images| Share {
            images,
            correct,
            accuracy_percent: Proportion::new(correct, images).percent(),
            interval_95_percent: Proportion::new(correct, images).interval().into(),
        };
        let class = |(name, correct): (&str, usize)| ClassScore { class: name.to_owned(), share: share(correct, 50) };
        let of = ClassEvaluation {
            all: share(correct.iter().sum(), 100),
            loss: None,
            top5_percent: None,
            classes: ["cat", "dog"].into_iter().zip(correct).map(class).collect(),
        };
        let evaluation = Evaluation { of, parameters: 1_500_000, multiply_adds: 500_000_000, at_size: None };
        ("test".to_owned(), format!("test[seed={seed}]"), evaluation)
    }

    #[test]
    fn the_best_of_several_never_stands_without_their_number_mean_and_spread() {
        let all = [network(1, [45, 45]), network(2, [50, 30])];
        let together = together("test", &all.iter().collect::<Vec<_>>()).unwrap();
        assert!(together.contains("over 2 trainings, top-1 in %: 85.00 ± 7.07 (n = 2)."), "{together}");
        assert!(together.contains("no estimate: 90.00 % (`test[seed=1]`)"), "{together}");
        assert!(super::together("test", &[&all[0]]).is_none());
    }

    #[test]
    fn classes_are_counted_over_all_trainings() {
        let all = [network(1, [45, 45]), network(2, [50, 30])];
        let table = by_class("test", &all.iter().collect::<Vec<_>>()).unwrap();
        let text = format!("{table:?}");
        assert!(
            text.contains("value: 95.0") && text.contains("value: 75.0") && text.contains("of 2 trainings together"),
            "{text}"
        );
        let accuracies = format!("{:?}", accuracies(&all));
        assert!(
            accuracies.contains("value: 1.5,") && accuracies.contains("value: 500.0") && !accuracies.contains("top-5"),
            "{accuracies}"
        );
    }
}
