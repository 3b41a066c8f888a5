use super::super::groups::tests::{member, missing};
use super::*;
use crate::{
    findings::published::tests::read,
    report::{Document, html, json, markdown, terminal},
};
use serde_json::{Value as Json, json};

/// A found cell with its six accuracies, `more` per cent above some base.
fn found(index: usize, more: f64) -> BenchmarkCell {
    let names = ["cifar10", "cifar100", "imagenet16_120"];
    let accuracies = names.iter().enumerate().flat_map(|(at, data)| {
        ["valid", "test"].map(|part| CellAccuracy {
            name: format!("{data}_{part}"),
            percent: 90.0 - 20.0 * at as f64 + more,
            rank: 1000 - index,
            of: 15_625,
            best_percent: 94.37,
        })
    });
    BenchmarkCell { cell: "|none~0|".into(), index, cells: 15_625, accuracies: accuracies.collect() }
}

const PUBLISHED: &str = "
name: a_table
tags: {read: read in the source, recalled: from memory}
figures: [cifar10_valid, cifar10_test, cifar100_valid, cifar100_test]
rows:
  - {method: ResNet, source: a paper, tag: read, mean: [90.83, 93.97, 70.42, 70.86], recipe: made by hand}
  - method: REA
    source: a paper
    tag: read
    spread_tag: recalled
    n: 500
    mean: [91.19, 93.92, 71.81, 71.84]
    deviation: [0.31, 0.3, 1.12, 0.99]
    recipe: evolution
    note: the numbers are of the paper's second version
";

/// Two methods, one of which lacks a seed, and a third with one seed.
fn story() -> (Vec<Input>, BTreeMap<String, BenchmarkCell>, Vec<Missing>) {
    let at = |method: &str, seed: u64| [("method", json!(method)), ("seed", json!(seed))];
    let mut inputs = Vec::new();
    let mut all = BTreeMap::new();
    for (method, seed, index, more) in [
        ("single_level", 0, 11, 1.0),
        ("single_level", 1, 12, 2.5),
        ("bilevel", 0, 835, -35.7),
        ("consensus", 0, 7, 3.0),
    ] {
        let epochs = if method == "bilevel" { 50 } else { 25 };
        let params = json!({"strategy": method, "epochs": epochs, "seed": seed, "learning_rate": 0.1});
        inputs.push(member("search", "search", &at(method, seed), params));
        let table = member("table", "benchmark", &at(method, seed), Json::Null);
        all.insert(table.member.clone(), found(index, more));
        inputs.push(table);
    }
    (inputs, all, vec![missing("table", &at("bilevel", 1))])
}

fn document(published: Option<&Published>) -> Document {
    let (inputs, found, missing) = story();
    let members: Vec<&Input> = inputs.iter().filter(|input| input.kind == "benchmark").collect();
    let groups = groups(&members, &missing);
    let mut blocks = vec![Block::Table(cells(&members, &found))];
    blocks.extend(comparison(&groups, &found, published).unwrap());
    blocks.extend(searched(&groups, &inputs, published).map(Block::Table));
    blocks.extend(published.map(|published| Block::Text(sources(published))));
    Document { title: "methods".into(), sections: vec![Section::new("Benchmark", blocks)] }
}

#[test]
fn methods_stand_beside_each_other_and_beside_published_ones_in_eighty_columns() {
    let published = read(PUBLISHED).unwrap();
    let text = terminal::plain(&document(Some(&published)));
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    insta::assert_snapshot!(text, @"
    methods

    Benchmark

     stage                              cell   cifar10     rank  cifar100      rank
                                                  test  cifar10      test  cifar100
    ────────────────────────────────────────────────────────────────────────────────
     table[method=single_level,seed=0]    11     91.00      989     71.00       989
     table[method=single_level,seed=1]    12     92.50      988     72.50       988
     table[method=bilevel,seed=0]        835     54.30      165     34.30       165
     table[method=consensus,seed=0]        7     93.00      993     73.00       993

     stage                              imagenet16 120 test  rank imagenet16 120
    ─────────────────────────────────────────────────────────────────────────────
     table[method=single_level,seed=0]                51.00                  989
     table[method=single_level,seed=1]                52.50                  988
     table[method=bilevel,seed=0]                     14.30                  165
     table[method=consensus,seed=0]                   53.00                  993
    Accuracy in % of each found cell, trained alone, and its rank among the 15625
    cells of the benchmark by that accuracy.

    n differs among the rows: `single_level` 2, `bilevel` 1 of 2 planned,
    `consensus` 1.

    On cifar10:

     method          n  of    valid  ± valid    best    test      ±    best  source
                                (%)            valid     (%)   test    test
    ────────────────────────────────────────────────────────────────────────────────
     single_level    2   2    91.75     1.06   92.50   91.75   1.06   92.50  ours
     bilevel         1   2    54.30        –       –   54.30      –       –  ours
     consensus       1   1    93.00        –       –   93.00      –       –  ours
     ResNet          –   –    90.83        –       –   93.97      –       –  read
     REA           500   –    91.19     0.31       –   93.92   0.30       –  read
    cifar10: mean over the n cells that a method found, ± sample standard deviation.
    The best is the best of the n by its own column, and so no estimate of anything.
    Of a published row without n it is not known to us.

    On cifar100:

     method          n  of    valid  ± valid    best    test      ±    best  source
                                (%)            valid     (%)   test    test
    ────────────────────────────────────────────────────────────────────────────────
     single_level    2   2    71.75     1.06   72.50   71.75   1.06   72.50  ours
     bilevel         1   2    34.30        –       –   34.30      –       –  ours
     consensus       1   1    73.00        –       –   73.00      –       –  ours
     ResNet          –   –    70.42        –       –   70.86      –       –  read
     REA           500   –    71.81     1.12       –   71.84   0.99       –  read
    cifar100

    On imagenet16 120:

     method          n  of    valid  ± valid    best    test      ±    best  source
                                (%)            valid     (%)   test    test
    ────────────────────────────────────────────────────────────────────────────────
     single_level    2   2    51.75     1.06   52.50   51.75   1.06   52.50  ours
     bilevel         1   2    14.30        –       –   14.30      –       –  ours
     consensus       1   1    53.00        –       –   53.00      –       –  ours
     ResNet          –   –        –        –       –       –      –       –  read
     REA           500   –        –        –       –       –      –       –  read
    imagenet16 120

     method        how its cells were found
    ────────────────────────────────────────────────
     single_level  strategy single_level, epochs 25
     bilevel       strategy bilevel, epochs 50
     consensus     strategy consensus, epochs 25
     ResNet        made by hand
     REA           evolution
    Searches may differ in more than their method. The found cells were all trained
    alike, as the benchmark trains.

    Published rows, of the table `a_table`. ResNet; REA: a paper.

    read: read in the source. recalled: from memory. Where means are read, their
    deviations are recalled.

    REA: the numbers are of the paper's second version.
    ");
}

#[test]
fn numbers_are_numbers_for_programs_and_what_is_not_known_is_null() {
    let published = read(PUBLISHED).unwrap();
    let json: Json = serde_json::from_str(&json::render(&document(Some(&published)))).unwrap();
    let table = &json["sections"][0]["blocks"][3];
    let names: Vec<&str> = table["columns"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["method", "n", "of", "valid", "± valid", "best valid", "test", "± test", "best test", "source"]);
    let rows: Vec<&Vec<Json>> = table["rows"].as_array().unwrap().iter().map(|row| row.as_array().unwrap()).collect();
    assert_eq!(rows[0][1..3], [json!(2), json!(2)]);
    assert_eq!((&rows[0][3], &rows[0][5]), (&json!(91.75), &json!(92.5)));
    assert!((rows[0][4].as_f64().unwrap() - 1.5 / 2f64.sqrt()).abs() < 1e-12, "divisor n - 1: {}", rows[0][4]);
    assert_eq!(rows[1][1..6], [json!(1), json!(2), json!(54.3), Json::Null, Json::Null], "one of two has no spread");
    assert_eq!(rows[3][1..3], [Json::Null, Json::Null], "n of ResNet is not known");
    assert_eq!(rows[4][1..5], [json!(500), Json::Null, json!(91.19), json!(0.31)]);
    // A data set that the published rows have no figures of.
    let table = &json["sections"][0]["blocks"][7];
    assert_eq!(table["rows"][3][3], Json::Null);
}

#[test]
fn markdown_and_html_have_every_row() {
    let published = read(PUBLISHED).unwrap();
    let document = document(Some(&published));
    let (markdown, html) = (markdown::render(&document, "."), html::render(&document));
    for row in ["single_level", "bilevel", "consensus", "ResNet", "REA"] {
        let rows =
            |text: &str, start: &str| text.lines().filter(|line| line.starts_with(&format!("{start}{row} "))).count();
        assert!(rows(&markdown, "| ") >= 3, "{row}: {markdown}");
        assert!(html.matches(&format!("<td>{row}</td>")).count() >= 3, "{row}");
    }
}

#[test]
fn without_published_rows_there_are_neither_sources_nor_their_column() {
    let text = terminal::plain(&document(None));
    assert!(!text.contains("source") && !text.contains("known to us"), "{text}");
}

#[test]
fn a_table_of_another_benchmark_is_refused() {
    let (inputs, found, _) = story();
    let members: Vec<&Input> = inputs.iter().filter(|input| input.kind == "benchmark").collect();
    let other =
        read("{name: t, tags: {read: x}, figures: [svhn_test], rows: [{method: m, source: s, tag: read, mean: [1]}]}");
    let error = comparison(&groups(&members, &[]), &found, Some(&other.unwrap())).unwrap_err();
    assert!(error.to_string().contains("no figure of this benchmark's"), "{error}");
}
