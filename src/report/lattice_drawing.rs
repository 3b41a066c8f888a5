//! A path through a lattice as a picture: a step to the right is a cell, a step down a fixed block.

use super::svg::{Anchor, Face, PALETTE, Svg, Type, short};

/// A lattice with the path through it, whose end has a ring. All orders of as many steps of both kinds lie on one grid: ways
/// that cross in a point have taken as many of each, and are maps of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrawnLattice {
    pub title: String,
    /// Cells behind the first, and fixed blocks.
    pub steps: [usize; 2],
    /// What a cell and a fixed block are called.
    pub names: [String; 2],
    /// Behind the first cell, of each step whether it is a cell.
    pub path: Vec<bool>,
}

const MARGIN: f64 = 16.0;
const TITLE: Type = Type::new(15.0, Face::Bold, Anchor::Start);
const LABEL: Type = Type::new(12.0, Face::Sans, Anchor::Middle).soft();
const ROW: Type = Type::new(12.0, Face::Sans, Anchor::End).soft();
/// Between two points of the grid.
const APART: [f64; 2] = [84.0, 54.0];
const COLOUR: &str = PALETTE[0];

impl DrawnLattice {
    /// Cells and fixed blocks taken at each point of the path, the first cell's before all.
    fn points(&self) -> Vec<[usize; 2]> {
        let mut at = [0; 2];
        let mut points = vec![at];
        for &is_cell in &self.path {
            at[usize::from(!is_cell)] += 1;
            points.push(at);
        }
        points
    }

    /// As large as the path needs it, if that is more than the lattice has.
    fn sides(&self) -> [usize; 2] {
        let end = self.points().pop().unwrap_or_default();
        [0, 1].map(|axis| self.steps[axis].max(end[axis]))
    }

    /// What stands over the columns and before the rows: how many of its kind were taken.
    fn counts(&self, kind: usize) -> impl Iterator<Item = String> + '_ {
        let shown = move |count: usize| match count {
            0 if kind == 0 => "first".to_owned(),
            0 => String::new(),
            _ => format!("{} {count}", self.names[kind]),
        };
        (0..=self.sides()[kind]).map(shown)
    }
}

/// The lattice as SVG, as large as it needs to be.
pub fn draw(lattice: &DrawnLattice) -> String {
    let [cells, blocks] = lattice.sides();
    let columns: Vec<String> = lattice.counts(0).collect();
    let rows: Vec<String> = lattice.counts(1).collect();
    let left = rows.iter().map(|name| ROW.width(name)).fold(0.0, f64::max) + MARGIN + 22.0;
    let half = columns.iter().map(|name| LABEL.width(name) / 2.0).fold(20.0, f64::max);
    let top = MARGIN + if lattice.title.is_empty() { 0.0 } else { 32.0 } + 30.0;
    let at = |[cell, block]: [usize; 2]| (left + half + cell as f64 * APART[0], top + block as f64 * APART[1]);
    let (right, bottom) = at([cells, blocks]);
    let width = (right + half).max(TITLE.width(&lattice.title) + MARGIN) + MARGIN;
    let mut svg = Svg::new(width, bottom + 14.0 + MARGIN);
    svg.text(MARGIN, MARGIN + 7.0, TITLE, &lattice.title);
    for (cell, name) in columns.iter().enumerate() {
        svg.text(at([cell, 0]).0, top - 26.0, LABEL, name);
    }
    for (block, name) in rows.iter().enumerate() {
        svg.text(left, at([0, block]).1, ROW, name);
    }
    let every = || (0..=blocks).flat_map(move |block| (0..=cells).map(move |cell| [cell, block]));
    for [cell, block] in every() {
        let (x, y) = at([cell, block]);
        for (to, exists) in [([cell + 1, block], cell < cells), ([cell, block + 1], block < blocks)] {
            let (end_x, end_y) = at(to);
            if exists {
                svg.wire(&format!("M {} {} L {} {}", short(x), short(y), short(end_x), short(end_y)), false);
            }
        }
    }
    let points = lattice.points();
    let taken: Vec<(f64, f64)> = points.iter().map(|&point| at(point)).collect();
    if taken.len() > 1 {
        svg.curve(&taken, COLOUR, "");
    }
    for point in every() {
        let (x, y) = at(point);
        if points.last() == Some(&point) {
            svg.state(x, y, 28.0, 28.0, 14.0);
        }
        if points.contains(&point) {
            svg.dot(x, y, 9.0, COLOUR);
        } else {
            svg.state(x, y, 12.0, 12.0, 6.0);
        }
    }
    svg.finish(&format!("path {}", lattice.title))
}

/// The lattice as lines for a terminal.
pub fn write(lattice: &DrawnLattice) -> String {
    let [cells, blocks] = lattice.sides();
    let points = lattice.points();
    let is_taken = |from: [usize; 2], to: [usize; 2]| points.windows(2).any(|step| step == [from, to]);
    let columns: Vec<String> = lattice.counts(0).collect();
    let wide = columns.iter().map(|name| console::measure_text_width(name)).max().unwrap_or(0) + 2;
    let rows: Vec<String> = lattice.counts(1).collect();
    let before = rows.iter().map(|name| console::measure_text_width(name)).max().unwrap_or(0) + 2;
    let left = |text: &str, width: usize| console::pad_str(text, width, console::Alignment::Left, None).into_owned();

    let heads: String = columns.iter().map(|name| left(name, wide)).collect();
    let mut out = if lattice.title.is_empty() { String::new() } else { format!("{}\n", lattice.title) };
    out += &format!("  {}{}\n", left("", before), heads.trim_end());
    for (block, name) in rows.iter().enumerate() {
        let (mut across, mut down) = (String::new(), String::new());
        for cell in 0..=cells {
            let here = [cell, block];
            across += match points.iter().position(|point| *point == here) {
                None => "○",
                Some(at) if at + 1 == points.len() => "◉",
                Some(_) => "●",
            };
            let rule = if is_taken(here, [cell + 1, block]) { "━" } else { "─" };
            if cell < cells {
                across += &rule.repeat(wide - 1);
            }
            down += &left(if is_taken(here, [cell, block + 1]) { "┃" } else { "│" }, wide);
        }
        out += &format!("  {}{across}\n", left(name, before));
        if block < blocks {
            out += &format!("  {}{}\n", left("", before), down.trim_end());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::svg::tests::texts_inside;

    fn lattice(steps: [usize; 2], path: &[bool]) -> DrawnLattice {
        let names = ["cell", "up"].map(str::to_owned);
        DrawnLattice { title: "path".to_owned(), steps, names, path: path.to_vec() }
    }

    #[test]
    fn a_path_is_drawn_on_the_grid_of_all_orders() {
        let drawn = lattice([4, 2], &[true, false, true, true, false, true]);
        insta::assert_snapshot!(write(&drawn), @"
        path
                first   cell 1  cell 2  cell 3  cell 4
                ●━━━━━━━●───────○───────○───────○
                │       ┃       │       │       │
          up 1  ○───────●━━━━━━━●━━━━━━━●───────○
                │       │       │       ┃       │
          up 2  ○───────○───────○───────●━━━━━━━◉
        ");
        let svg = draw(&drawn);
        assert_eq!(texts_inside(&svg), ["path", "first", "cell 1", "cell 2", "cell 3", "cell 4", "", "up 1", "up 2"]);
        assert_eq!(svg.matches("<circle").count(), 7, "a dot a map on the path");
    }

    #[test]
    fn a_path_may_leave_early_and_a_lattice_may_have_no_step() {
        insta::assert_snapshot!(write(&lattice([1, 2], &[false])), @"
        path
                first   cell 1
                ●───────○
                ┃       │
          up 1  ◉───────○
                │       │
          up 2  ○───────○
        ");
        insta::assert_snapshot!(write(&lattice([0, 0], &[])), @"
        path
            first
            ◉
        ");
        for (steps, path) in [([0, 0], &[][..]), ([1, 2], &[false]), ([0, 0], &[true, false, true])] {
            texts_inside(&draw(&lattice(steps, path)));
        }
    }
}
