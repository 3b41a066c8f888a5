//! A document for a terminal, or for standard output into a file.

use super::{Align, Block, Document, Table, Verdict};
use crate::observe::{Look, Tone, fold};
use comfy_table::{Cell as Framed, CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, TableStyle, Width};

/// The text within `look.width` columns, with a line break at its end. A table that is too wide for
/// that is folded, then split: each part repeats the first column, and nothing is left out.
pub fn render(document: &Document, look: &Look) -> String {
    let mut out = format!("{}\n", look.paint(&fold(&look.text(&document.title), look.width, 0), Tone::Strong));
    let mut files = document.figures().into_iter().map(|(file, _)| file);
    for section in &document.sections {
        out.push_str(&format!("\n{}\n", look.paint(&fold(&look.text(&section.heading), look.width, 0), Tone::Strong)));
        for block in &section.blocks {
            let text = match block {
                Block::Text(text) => prose(text, look),
                Block::Code(text) => lines(text, look) + "\n",
                Block::Table(table) => framed(table, look),
                Block::Figure(figure) => {
                    let caption = caption(&figure.caption, look);
                    match (&figure.text, files.next()) {
                        (Some(text), _) => format!("{}\n{caption}", lines(text, look)),
                        (None, file) => caption.trim_end().to_owned() + &format!(" ({})\n", file.unwrap_or_default()),
                    }
                }
                Block::Expectations(verdicts) => verdicts.iter().map(|verdict| item(verdict, look)).collect(),
            };
            out.push_str(&format!("\n{text}"));
        }
    }
    out
}

/// The text for a file: 80 columns, no colour.
pub fn plain(document: &Document) -> String {
    render(document, &Look::PLAIN)
}

fn prose(text: &str, look: &Look) -> String {
    let paragraphs = text.trim().split("\n\n").map(|paragraph| fold(&look.text(paragraph), look.width, 0) + "\n");
    paragraphs.collect::<Vec<_>>().join("\n")
}

/// Drawn text: its lines are kept as they are.
fn lines(text: &str, look: &Look) -> String {
    text.trim_end().lines().map(|line| look.text(line).into_owned()).collect::<Vec<_>>().join("\n")
}

fn caption(text: &str, look: &Look) -> String {
    if text.is_empty() {
        return String::new();
    }
    format!("{}\n", look.paint(&fold(&look.text(text), look.width, 0), Tone::Quiet))
}

fn item(verdict: &Verdict, look: &Look) -> String {
    let (mark, tone) = if verdict.met { ("✓", Tone::Good) } else { ("✗", Tone::Bad) };
    let word = verdict.word();
    let text = fold(&look.text(&format!("{mark} {word}: {}", verdict.sentence())), look.width, 2);
    let head = look.text(&format!("{mark} {word}")).into_owned();
    format!("{}\n", text.replacen(&head, &look.paint(&head, tone), 1))
}

fn framed(table: &Table, look: &Look) -> String {
    let mut out = String::new();
    for columns in parts(table, look.width) {
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&part(table, &columns, look));
    }
    out + &caption(&table.caption, look)
}

/// The columns of each part. A part is full when its longest words no longer fit beside each other.
fn parts(table: &Table, width: usize) -> Vec<Vec<usize>> {
    let needs: Vec<usize> = (0..table.columns().len()).map(|at| least_width(table, at)).collect();
    let mut parts: Vec<Vec<usize>> = vec![Vec::new()];
    let mut used = 0;
    for (at, need) in needs.iter().enumerate() {
        let part = parts.last_mut().expect("there is always a part");
        if part.len() > 1 && used + need > width {
            parts.push(vec![0, at]);
            used = needs[0] + need;
        } else {
            part.push(at);
            used += need;
        }
    }
    parts
}

/// The longest word of a column, and the spaces beside it.
fn least_width(table: &Table, column: usize) -> usize {
    let words = shown(table, column)
        .flat_map(|text| text.split_whitespace().map(console::measure_text_width).collect::<Vec<_>>());
    words.max().unwrap_or(0) + 2
}

fn shown(table: &Table, column: usize) -> impl Iterator<Item = String> {
    table.rows().iter().map(move |row| row[column].shown()).chain([table.columns()[column].shown()])
}

/// Each column has its longest word; what room is left goes, a space at a time, to those that must
/// still fold.
fn widths(table: &Table, columns: &[usize], room: usize) -> Vec<usize> {
    let full = |at: &usize| shown(table, *at).map(|text| console::measure_text_width(&text)).max().unwrap_or(0) + 2;
    let full: Vec<usize> = columns.iter().map(full).collect();
    let mut widths: Vec<usize> = columns.iter().map(|at| least_width(table, *at)).collect();
    let mut left = room.saturating_sub(widths.iter().sum());
    while left > 0 && widths != full {
        for (width, full) in widths.iter_mut().zip(&full) {
            if *width < *full && left > 0 {
                *width += 1;
                left -= 1;
            }
        }
    }
    widths
}

fn part(table: &Table, columns: &[usize], look: &Look) -> String {
    let rule = if look.unicode { '─' } else { '-' };
    let style = TableStyle::new().header_separator(LineStyle::none().fill(rule));
    let mut drawn = comfy_table::Table::new();
    drawn.load_style(style);
    drawn.set_content_arrangement(ContentArrangement::Dynamic);
    drawn.set_width(u16::try_from(look.width).unwrap_or(u16::MAX));
    drawn.force_no_tty();
    let cell = |at: usize, text: &str| {
        let side = match table.columns()[at].align {
            Align::Left => CellAlignment::Left,
            Align::Right => CellAlignment::Right,
        };
        Framed::new(look.text(text)).set_alignment(side)
    };
    drawn.set_header(columns.iter().map(|at| cell(*at, &table.columns()[*at].shown())));
    for row in table.rows() {
        drawn.add_row(columns.iter().map(|at| cell(*at, &row[*at].shown())));
    }
    let widths = widths(table, columns, look.width).into_iter().map(|width| u16::try_from(width).unwrap_or(u16::MAX));
    drawn.set_constraints(widths.map(|width| ColumnConstraint::Absolute(Width::Fixed(width))));
    drawn.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Cell, Column, document::tests::everything};

    fn widest(text: &str) -> usize {
        text.lines().map(console::measure_text_width).max().unwrap_or(0)
    }

    #[test]
    fn everything_in_eighty_columns() {
        let text = render(&everything(), &Look::PLAIN);
        assert!(widest(&text) <= 80);
        insta::assert_snapshot!(text, @r#"
        quickstart: report

        Results

        Three seeds of `search`, a < b & *not* emphasised; the text of this paragraph is
        longer than a line of eighty columns.

        A second paragraph.

         search               parameters  n   test accuracy,  std (%)  min (%)  max (%)
                                                    mean (%)
        ────────────────────────────────────────────────────────────────────────────────
         single-level |        1,930,618  3            93.28     0.32    92.98    93.61
         softmax
         bilevel <first                –  1            91.50        –    91.50    91.50
         order>
         diverged                      0  2              NaN        –        –        –
        Test accuracy by seed, CIFAR-10 | retrained

        ✓ met: `table.cifar10_test_percent`: mean 93.28 (n = 3), expected at least 93.2,
          tolerance 0.1
        ✗ missed by 0.62: `table.cifar10_test_percent`: mean 93.28 (n = 3), expected at
          least 94, tolerance 0.1
        ✗ missed: `table.cifar10_tset_percent`: no such metric (the nearest:
          `table.cifar10_test_percent`, `search.loss`), expected 94, tolerance 0.1

        Figures

        found cell
          1      ← input  conv_3x3
          2      ← input  skip
                 ← 1      conv_1x1
          3      ← input  none
                 ← 1      conv_3x3
                 ← 2      avg_pool_3x3
          output ← 3
        The cell of seed 1 [best of 3]

        Loss by epoch (found_cell_2.svg)
        "#);
    }

    #[test]
    fn everything_in_fifty_columns_of_ascii() {
        let text = render(&everything(), &Look { width: 50, unicode: false, ..Look::PLAIN });
        assert!(text.is_ascii(), "{text}");
        insta::assert_snapshot!(text, @r#"
        quickstart: report

        Results

        Three seeds of `search`, a < b & *not* emphasised;
        the text of this paragraph is longer than a line
        of eighty columns.

        A second paragraph.

         search          parameters  n        test    std
                                         accuracy,    (%)
                                          mean (%)
        --------------------------------------------------
         single-level |   1,930,618  3       93.28   0.32
         softmax
         bilevel <first           -  1       91.50      -
         order>
         diverged                 0  2         NaN      -

         search                  min (%)  max (%)
        ------------------------------------------
         single-level | softmax    92.98    93.61
         bilevel <first order>     91.50    91.50
         diverged                      -        -
        Test accuracy by seed, CIFAR-10 | retrained

        + met: `table.cifar10_test_percent`: mean 93.28 (n
          = 3), expected at least 93.2, tolerance 0.1
        x missed by 0.62: `table.cifar10_test_percent`:
          mean 93.28 (n = 3), expected at least 94,
          tolerance 0.1
        x missed: `table.cifar10_tset_percent`: no such
          metric (the nearest:
          `table.cifar10_test_percent`, `search.loss`),
          expected 94, tolerance 0.1

        Figures

        found cell
          1      <- input  conv_3x3
          2      <- input  skip
                 <- 1      conv_1x1
          3      <- input  none
                 <- 1      conv_3x3
                 <- 2      avg_pool_3x3
          output <- 3
        The cell of seed 1 [best of 3]

        Loss by epoch (found_cell_2.svg)
        "#);
    }

    #[test]
    fn colour_adds_only_escapes() {
        let plain = render(&everything(), &Look::PLAIN);
        let colour = render(&everything(), &Look { colour: true, ..Look::PLAIN });
        assert_ne!(colour, plain);
        assert_eq!(console::strip_ansi_codes(&colour), plain);
    }

    #[test]
    fn a_table_wider_than_the_terminal_is_split_and_keeps_every_cell() {
        let mut table = Table::new("", (0..20).map(|at| Column::number(format!("column_{at}"))).collect());
        table.push((0..20).map(|at| Cell::count(1000 + at)));
        let text = framed(&table, &Look::PLAIN);
        assert!(widest(&text) <= 80, "{text}");
        assert!((0..20).all(|at| text.contains(&format!("{}", 1000 + at))), "{text}");
        assert_eq!(text.matches("column_0").count(), 3);
    }
}
