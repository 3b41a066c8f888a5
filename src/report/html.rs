//! A document as one HTML file that loads nothing: style and figures are inside, light or dark as
//! the reader has it.

use super::{Align, Block, Cell, Document, Table, Verdict, svg::escaped};

const STYLE: &str = "\
:root { color-scheme: light dark; --ink: #1f2328; --soft: #59636e; --line: #d1d9e0; --good: #1a7f37; --bad: #cf222e }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --soft: #9198a1; --line: #3d444d; --good: #3fb950; --bad: #f85149; --paper: #0d1117 }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper, #fff); max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2.5rem }
code { font: 0.9em ui-monospace, monospace }
.scroll, pre { overflow-x: auto } .scroll { margin: 1.2rem 0 } pre { font: 0.9em/1.4 ui-monospace, monospace }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: 0.3rem 0.8rem; text-align: left; border-bottom: 1px solid var(--line) }
th { border-bottom-width: 2px; vertical-align: bottom } .right { text-align: right } .missing { color: var(--soft) }
caption, figcaption { caption-side: bottom; color: var(--soft); font-size: 0.9rem; text-align: left; padding-top: 0.4rem }
figure { margin: 1.5rem 0 } figure svg { max-width: 100%; height: auto } figure svg .paper { fill: none }
ul { list-style: none; padding: 0 } .met b { color: var(--good) } .missed b { color: var(--bad) }
";

pub fn render(document: &Document) -> String {
    let title = escaped(&document.title);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
    );
    for section in &document.sections {
        out.push_str(&format!("<h2>{}</h2>\n", escaped(&section.heading)));
        for block in &section.blocks {
            match block {
                Block::Text(text) => {
                    for paragraph in text.trim().split("\n\n") {
                        out.push_str(&format!("<p>{}</p>\n", inline(paragraph)));
                    }
                }
                Block::Code(text) => out.push_str(&format!("<pre>{}</pre>\n", escaped(text.trim_end()))),
                Block::Table(table) => out.push_str(&rows(table)),
                Block::Figure(figure) => out.push_str(&format!(
                    "<figure>\n{}<figcaption>{}</figcaption>\n</figure>\n",
                    figure.svg,
                    inline(&figure.caption)
                )),
                Block::Expectations(verdicts) => {
                    out.push_str(&format!("<ul>\n{}</ul>\n", verdicts.iter().map(item).collect::<String>()));
                }
            }
        }
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn item(verdict: &Verdict) -> String {
    let (class, mark) = if verdict.met { ("met", "✓") } else { ("missed", "✗") };
    format!("<li class=\"{class}\"><b>{mark} {}</b>: {}</li>\n", verdict.word(), inline(&verdict.sentence()))
}

fn rows(table: &Table) -> String {
    let class = |at: usize, missing: bool| {
        let right = table.columns()[at].align == Align::Right;
        let classes: Vec<&str> = [(right, "right"), (missing, "missing")].iter().filter(|c| c.0).map(|c| c.1).collect();
        if classes.is_empty() { String::new() } else { format!(" class=\"{}\"", classes.join(" ")) }
    };
    let mut out = String::from("<div class=\"scroll\"><table>\n");
    if !table.caption.is_empty() {
        out.push_str(&format!("<caption>{}</caption>\n", inline(&table.caption)));
    }
    let head = table.columns().iter().enumerate();
    let head = head.map(|(at, column)| format!("<th{}>{}</th>", class(at, false), inline(&column.shown())));
    out.push_str(&format!("<thead><tr>{}</tr></thead>\n<tbody>\n", head.collect::<String>()));
    for row in table.rows() {
        let cells = row.iter().enumerate().map(|(at, cell)| {
            let text = inline(&cell.shown());
            format!("<td{}>{text}</td>", class(at, *cell == Cell::Missing))
        });
        out.push_str(&format!("<tr>{}</tr>\n", cells.collect::<String>()));
    }
    out + "</tbody>\n</table></div>\n"
}

/// Escaped, with paired backticks as code.
fn inline(text: &str) -> String {
    let text = escaped(text);
    let pieces: Vec<&str> = text.split('`').collect();
    if pieces.len().is_multiple_of(2) {
        return text;
    }
    pieces
        .iter()
        .enumerate()
        .map(|(at, piece)| if at % 2 == 1 { format!("<code>{piece}</code>") } else { (*piece).to_owned() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::document::tests::everything;

    #[test]
    fn everything_in_it() {
        let html = render(&everything());
        // The drawings and the style have tests, or eyes, of their own.
        let body = html.split("<body>").nth(1).unwrap();
        let mut shown = String::new();
        for piece in body.split_inclusive("</svg>") {
            let at = piece.find("<svg").unwrap_or(piece.len());
            shown.push_str(&piece[..at]);
            shown.push_str(if at < piece.len() { "[svg]" } else { "" });
        }
        insta::assert_snapshot!(shown, @r#"

        <h1>quickstart: report</h1>
        <h2>Results</h2>
        <p>Three seeds of <code>search</code>, a &lt; b &amp; *not* emphasised; the text of this paragraph is longer than a line of eighty columns.</p>
        <p>A second paragraph.</p>
        <div class="scroll"><table>
        <caption>Test accuracy by seed, CIFAR-10 | retrained</caption>
        <thead><tr><th>search</th><th class="right">parameters</th><th class="right">n</th><th class="right">test accuracy, mean (%)</th><th class="right">std (%)</th><th class="right">min (%)</th><th class="right">max (%)</th></tr></thead>
        <tbody>
        <tr><td>single-level | softmax</td><td class="right">1,930,618</td><td class="right">3</td><td class="right">93.28</td><td class="right">0.32</td><td class="right">92.98</td><td class="right">93.61</td></tr>
        <tr><td>bilevel &lt;first order&gt;</td><td class="right missing">–</td><td class="right">1</td><td class="right">91.50</td><td class="right missing">–</td><td class="right">91.50</td><td class="right">91.50</td></tr>
        <tr><td>diverged</td><td class="right">0</td><td class="right">2</td><td class="right">NaN</td><td class="right missing">–</td><td class="right missing">–</td><td class="right missing">–</td></tr>
        </tbody>
        </table></div>
        <ul>
        <li class="met"><b>✓ met</b>: <code>table.cifar10_test_percent</code>: mean 93.28 (n = 3), expected at least 93.2, tolerance 0.1</li>
        <li class="missed"><b>✗ missed by 0.62</b>: <code>table.cifar10_test_percent</code>: mean 93.28 (n = 3), expected at least 94, tolerance 0.1</li>
        <li class="missed"><b>✗ missed</b>: <code>table.cifar10_tset_percent</code>: no such metric (the nearest: <code>table.cifar10_test_percent</code>, <code>search.loss</code>), expected 94, tolerance 0.1</li>
        </ul>
        <h2>Figures</h2>
        <figure>
        [svg]
        <figcaption>The cell of seed 1 [best of 3]</figcaption>
        </figure>
        <figure>
        [svg]
        <figcaption>Loss by epoch</figcaption>
        </figure>
        </body>
        </html>
        "#);
    }

    #[test]
    fn it_loads_nothing_and_holds_the_figures() {
        let html = render(&everything());
        for loader in ["src=", "href=", "url(", "@import", "<script"] {
            assert!(!html.contains(loader), "{loader}");
        }
        assert_eq!(html.matches("<svg").count(), 2);
        assert!(html.contains("prefers-color-scheme: dark"));
    }

    #[test]
    fn an_odd_backtick_stays_a_backtick() {
        assert_eq!(inline("a`b <c>"), "a`b &lt;c&gt;");
        assert_eq!(inline("`a` b"), "<code>a</code> b");
    }
}
