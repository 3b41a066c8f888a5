//! A document as Markdown whose tables are readable without being rendered. Figures are files
//! beside it.

use super::{Align, Block, Document, Figure, Table, Verdict};
use crate::observe::without_hidden;

/// The text. Links to figures are `figures`, a slash and the names of [`Document::figures`].
pub fn render(document: &Document, figures: &str) -> String {
    let mut files = document.figures().into_iter();
    let mut out = format!("# {}\n", inline(&document.title));
    for section in &document.sections {
        out.push_str(&format!("\n## {}\n", inline(&section.heading)));
        for block in &section.blocks {
            out.push('\n');
            match block {
                Block::Text(text) => out.push_str(&format!("{}\n", prose(text.trim()))),
                Block::Code(text) => out.push_str(&fenced(text.trim_end())),
                Block::Table(table) => out.push_str(&pipes(table)),
                Block::Figure(figure) => {
                    let file = files.next().map(|(file, _)| file).unwrap_or_default();
                    out.push_str(&image(figure, &format!("{figures}/{file}")));
                }
                Block::Expectations(verdicts) => verdicts.iter().for_each(|verdict| out.push_str(&item(verdict))),
            }
        }
    }
    out
}

fn image(figure: &Figure, target: &str) -> String {
    // Brackets would end what stands between brackets.
    let alt = inline(&figure.caption.replace('[', "(").replace(']', ")"));
    format!("![{alt}]({target})\n\n*{}*\n", inline(&figure.caption))
}

/// Code between fences that are longer than any run of backticks in it.
fn fenced(code: &str) -> String {
    let longest = code.split(|c: char| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat((longest + 1).max(3));
    format!("{fence}\n{}\n{fence}\n", without_hidden(code, &['\n']))
}

fn item(verdict: &Verdict) -> String {
    let mark = if verdict.met { "✓" } else { "✗" };
    format!("- {mark} **{}**: {}\n", verdict.word(), prose(&verdict.sentence()))
}

fn pipes(table: &Table) -> String {
    let cells = |row: &[String]| row.iter().map(|cell| inline(cell).replace('|', "\\|")).collect::<Vec<_>>();
    let head = cells(&table.columns().iter().map(|column| column.shown()).collect::<Vec<_>>());
    let rows: Vec<Vec<String>> =
        table.rows().iter().map(|row| cells(&row.iter().map(|cell| cell.shown()).collect::<Vec<_>>())).collect();
    let width = |at: usize| {
        let cells = rows.iter().chain([&head]).map(|row| console::measure_text_width(&row[at]));
        cells.max().unwrap_or(0).max(3)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |row: &[String]| {
        let padded = row.iter().zip(&widths).zip(table.columns()).map(|((cell, width), column)| {
            let side = match column.align {
                Align::Left => console::Alignment::Left,
                Align::Right => console::Alignment::Right,
            };
            format!(" {} |", console::pad_str(cell, *width, side, None))
        });
        format!("|{}\n", padded.collect::<String>())
    };
    let rule = widths.iter().zip(table.columns()).map(|(width, column)| match column.align {
        Align::Left => format!(" {} |", "-".repeat(*width)),
        Align::Right => format!(" {}: |", "-".repeat(*width - 1)),
    });
    let mut out = format!("{}|{}\n", line(&head), rule.collect::<String>());
    rows.iter().for_each(|row| out.push_str(&line(row)));
    if !table.caption.is_empty() {
        out.push_str(&format!("\n*{}*\n", inline(&table.caption)));
    }
    out
}

/// One line, with what Markdown would read as markup made plain.
fn inline(text: &str) -> String {
    prose(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Escapes outside of code; a line's own breaks are kept. What a name or a message holds becomes no
/// link and no picture: a bracket that could end the words of one is escaped, others are not, so
/// that `search[seed=1]` is read as it is written.
fn prose(text: &str) -> String {
    let text = without_hidden(text, &['\n']);
    // Runs of several backticks pair by rules of their own: then none marks code.
    let paired = text.matches('`').count().is_multiple_of(2) && !text.contains("``");
    let mut code = false;
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        if c == '`' && paired {
            code = !code;
        }
        match c {
            '*' | '<' | '\\' if !code => out.extend(['\\', c]),
            ']' if !code && matches!(characters.peek(), Some('(' | ':')) => out.push_str("\\]"),
            '&' if !code => out.push_str("&amp;"),
            '`' if !paired => out.push_str("\\`"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::document::tests::everything;

    #[test]
    fn everything_in_it() {
        insta::assert_snapshot!(render(&everything(), "figures"), @r#"
        # quickstart: report

        ## Results

        Three seeds of `search`, a \< b &amp; \*not\* emphasised; the text of this paragraph is longer than a line of eighty columns.

        A second paragraph.

        | search                  | parameters |   n | test accuracy, mean (%) | std (%) | min (%) | max (%) |
        | ----------------------- | ---------: | --: | ----------------------: | ------: | ------: | ------: |
        | single-level \| softmax |  1,930,618 |   3 |                   93.28 |    0.32 |   92.98 |   93.61 |
        | bilevel \<first order>  |          – |   1 |                   91.50 |       – |   91.50 |   91.50 |
        | diverged                |          0 |   2 |                     NaN |       – |       – |       – |

        *Test accuracy by seed, CIFAR-10 | retrained*

        - ✓ **met**: `table.cifar10_test_percent`: mean 93.28 (n = 3), expected at least 93.2, tolerance 0.1
        - ✗ **missed by 0.62**: `table.cifar10_test_percent`: mean 93.28 (n = 3), expected at least 94, tolerance 0.1
        - ✗ **missed**: `table.cifar10_tset_percent`: no such metric (the nearest: `table.cifar10_test_percent`, `search.loss`), expected 94, tolerance 0.1

        ## Figures

        ![The cell of seed 1 (best of 3)](figures/found_cell.svg)

        *The cell of seed 1 [best of 3]*

        ![Loss by epoch](figures/found_cell_2.svg)

        *Loss by epoch*
        "#);
    }

    #[test]
    fn raw_tables_are_aligned() {
        let text = render(&everything(), "figures");
        let widths: std::collections::BTreeSet<usize> =
            text.lines().filter(|line| line.starts_with('|')).map(console::measure_text_width).collect();
        assert_eq!(widths.len(), 1, "{text}");
    }

    #[test]
    fn an_odd_backtick_and_markup_are_plain_text() {
        assert_eq!(prose("a`b *c* <d>"), "a\\`b \\*c\\* \\<d>");
        assert_eq!(prose("`a*b` *"), "`a*b` \\*");
    }

    #[test]
    fn names_become_no_links_no_pictures_and_nothing_hidden() {
        for (text, plain) in [
            ("[here](http://a.b)", "[here\\](http://a.b)"),
            ("![p](//a.b/c.png) [a]: //b", "![p\\](//a.b/c.png) [a\\]: //b"),
            ("a\u{202e}]\u{202e}(b)", "a\\](b)"),
            ("search[seed=1] `[a](b)`", "search[seed=1] `[a](b)`"),
            // Of these backticks Markdown pairs none.
            ("`` `[a](b)``` ", "\\`\\` \\`[a\\](b)\\`\\`\\` "),
        ] {
            assert_eq!(prose(text), plain);
        }
        assert_eq!(inline("one\n# two"), "one # two");
        assert_eq!(fenced("a\n```\n[b](c)\u{1b}[1m"), "````\na\n```\n[b](c)[1m\n````\n");
    }
}
