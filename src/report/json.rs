//! A document for programs. Keys stand in a fixed order; a missing value is `null`, one that is no
//! number a text.

use super::{Block, Cell, Document, Series, Verdict};
use serde::Serialize;

/// Raised when a key changes its meaning or goes.
const FORMAT: u32 = 1;

/// Indented JSON with a line break at its end. Figures are named by their files, as in
/// [`Document::figures`].
pub fn render(document: &Document) -> String {
    let mut files = document.figures().into_iter().map(|(file, _)| file);
    let sections = document
        .sections
        .iter()
        .map(|section| SectionView {
            heading: &section.heading,
            blocks: section.blocks.iter().map(|block| BlockView::of(block, &mut files)).collect(),
        })
        .collect();
    let view = DocumentView { format: FORMAT, title: &document.title, sections };
    let mut text = serde_json::to_string_pretty(&view).expect("texts, numbers and lists are always JSON");
    text.push('\n');
    text
}

#[derive(Serialize)]
struct DocumentView<'a> {
    format: u32,
    title: &'a str,
    sections: Vec<SectionView<'a>>,
}

#[derive(Serialize)]
struct SectionView<'a> {
    heading: &'a str,
    blocks: Vec<BlockView<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "block", rename_all = "snake_case")]
enum BlockView<'a> {
    Text {
        text: &'a str,
    },
    Code {
        text: &'a str,
    },
    Table {
        caption: &'a str,
        columns: Vec<ColumnView<'a>>,
        rows: Vec<Vec<Value<'a>>>,
    },
    Figure {
        name: &'a str,
        file: String,
        caption: &'a str,
        /// Points are `[x, y]`, a coordinate that is not finite `null`.
        #[serde(skip_serializing_if = "<[Series]>::is_empty")]
        series: &'a [Series],
    },
    Expectations {
        expectations: Vec<VerdictView<'a>>,
    },
}

#[derive(Serialize)]
struct ColumnView<'a> {
    name: &'a str,
    unit: Option<&'a str>,
}

#[derive(Serialize)]
struct VerdictView<'a> {
    verdict: String,
    #[serde(flatten)]
    of: &'a Verdict,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Value<'a> {
    Text(&'a str),
    Count(i64),
    Number(f64),
    NotFinite(String),
    Missing(()),
}

impl<'a> BlockView<'a> {
    fn of(block: &'a Block, files: &mut impl Iterator<Item = String>) -> Self {
        match block {
            Block::Text(text) => Self::Text { text },
            Block::Code(text) => Self::Code { text },
            Block::Table(table) => Self::Table {
                caption: &table.caption,
                columns: table
                    .columns()
                    .iter()
                    .map(|column| ColumnView { name: &column.name, unit: column.unit.as_deref() })
                    .collect(),
                rows: table.rows().iter().map(|row| row.iter().map(Value::of).collect()).collect(),
            },
            Block::Figure(figure) => Self::Figure {
                name: &figure.name,
                file: files.next().unwrap_or_default(),
                caption: &figure.caption,
                series: &figure.series,
            },
            Block::Expectations(verdicts) => Self::Expectations {
                expectations: verdicts.iter().map(|of| VerdictView { verdict: of.word(), of }).collect(),
            },
        }
    }
}

impl<'a> Value<'a> {
    fn of(cell: &'a Cell) -> Self {
        /// Up to here a count is exact as an f64.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        match cell {
            Cell::Text(text) => Self::Text(text),
            Cell::Missing => Self::Missing(()),
            Cell::Number { value, .. } if !value.is_finite() => Self::NotFinite(super::decimal::decimal(*value, 0)),
            Cell::Number { value, digits: 0 } if value.fract() == 0.0 && value.abs() <= EXACT => {
                Self::Count(*value as i64)
            }
            Cell::Number { value, .. } => Self::Number(*value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::document::tests::everything;

    #[test]
    fn everything_in_it() {
        insta::assert_snapshot!(render(&everything()), @r#"
        {
          "format": 1,
          "title": "quickstart: report",
          "sections": [
            {
              "heading": "Results",
              "blocks": [
                {
                  "block": "text",
                  "text": "Three seeds of `search`, a < b & *not* emphasised; the text of this paragraph is longer than a line of eighty columns.\n\nA second paragraph."
                },
                {
                  "block": "table",
                  "caption": "Test accuracy by seed, CIFAR-10 | retrained",
                  "columns": [
                    {
                      "name": "search",
                      "unit": null
                    },
                    {
                      "name": "parameters",
                      "unit": null
                    },
                    {
                      "name": "n",
                      "unit": null
                    },
                    {
                      "name": "test accuracy, mean",
                      "unit": "%"
                    },
                    {
                      "name": "std",
                      "unit": "%"
                    },
                    {
                      "name": "min",
                      "unit": "%"
                    },
                    {
                      "name": "max",
                      "unit": "%"
                    }
                  ],
                  "rows": [
                    [
                      "single-level | softmax",
                      1930618,
                      3,
                      93.28000000000002,
                      0.31606961258558,
                      92.98,
                      93.61
                    ],
                    [
                      "bilevel <first order>",
                      null,
                      1,
                      91.5,
                      null,
                      91.5,
                      91.5
                    ],
                    [
                      "diverged",
                      0,
                      2,
                      "NaN",
                      null,
                      null,
                      null
                    ]
                  ]
                },
                {
                  "block": "expectations",
                  "expectations": [
                    {
                      "verdict": "met",
                      "metric": "table.cifar10_test_percent",
                      "at_least": 93.2,
                      "tolerance": 0.1,
                      "over": "mean",
                      "met": true,
                      "found": 93.28000000000002,
                      "n": 3,
                      "missed_by": null,
                      "nearest": []
                    },
                    {
                      "verdict": "missed by 0.62",
                      "metric": "table.cifar10_test_percent",
                      "at_least": 94.0,
                      "tolerance": 0.1,
                      "over": "mean",
                      "met": false,
                      "found": 93.28000000000002,
                      "n": 3,
                      "missed_by": 0.6199999999999847,
                      "nearest": []
                    },
                    {
                      "verdict": "missed",
                      "metric": "table.cifar10_tset_percent",
                      "equals": 94.0,
                      "tolerance": 0.1,
                      "over": "mean",
                      "met": false,
                      "found": null,
                      "n": 0,
                      "missed_by": null,
                      "nearest": [
                        "table.cifar10_test_percent",
                        "search.loss"
                      ]
                    }
                  ]
                }
              ]
            },
            {
              "heading": "Figures",
              "blocks": [
                {
                  "block": "figure",
                  "name": "Found cell",
                  "file": "found_cell.svg",
                  "caption": "The cell of seed 1 [best of 3]"
                },
                {
                  "block": "figure",
                  "name": "found cell",
                  "file": "found_cell_2.svg",
                  "caption": "Loss by epoch",
                  "series": [
                    {
                      "name": "search & <held out>",
                      "points": [
                        [
                          1.0,
                          2.3
                        ],
                        [
                          2.0,
                          1.7
                        ]
                      ]
                    }
                  ]
                }
              ]
            }
          ]
        }
        "#);
    }

    #[test]
    fn it_reads_back_and_missing_is_null() {
        let value: serde_json::Value = serde_json::from_str(&render(&everything())).unwrap();
        let rows = &value["sections"][0]["blocks"][1]["rows"];
        assert_eq!(rows[0][1], 1_930_618);
        assert_eq!(rows[1][1], serde_json::Value::Null);
        assert_eq!(rows[2][1], 0);
        assert_eq!(rows[2][3], "NaN");
    }
}
