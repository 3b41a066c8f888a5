//! A genotype's cell as a picture: inputs left, nodes in the middle, output right, operations on
//! the edges.

use super::{
    ReportError,
    cell_layout::{Edge, Item, Layout, Size, layout},
    svg::{Anchor, Face, PALETTE, Svg, Type, short},
};
use std::collections::BTreeMap;

/// A cell to draw. States are numbered inputs first, then nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrawnCell {
    pub title: String,
    /// Their names.
    pub inputs: Vec<String>,
    /// For each node what it reads: operation and source state.
    pub nodes: Vec<Vec<(String, usize)>>,
    /// The states that the cell's output is made of.
    pub output: Vec<usize>,
    /// Of nodes that chose their width, by their number among the nodes.
    pub widths: BTreeMap<usize, String>,
}

impl DrawnCell {
    /// What a state is called: an input by its name, a node by its number, with its width where it chose
    /// one.
    fn name(&self, state: usize) -> String {
        let node = state.checked_sub(self.inputs.len());
        match (self.inputs.get(state), node.and_then(|node| self.widths.get(&node))) {
            (Some(input), _) => input.clone(),
            (None, Some(width)) => format!("{state} · {width}"),
            (None, None) => state.to_string(),
        }
    }
}

const MARGIN: f64 = 16.0;
const TITLE: Type = Type::new(15.0, Face::Bold, Anchor::Start);
const OPERATION: Type = Type::new(11.5, Face::Mono, Anchor::Middle);
const STATE: Type = Type::new(13.0, Face::Sans, Anchor::Middle);
const NODE: f64 = 30.0;
const OPERATION_HEIGHT: f64 = 23.0;

/// The cell as SVG, as large as it needs to be; the same text on every machine.
///
/// # Errors
/// A source that is not before its node, an output that the cell has not.
pub fn draw(cell: &DrawnCell) -> Result<String, ReportError> {
    check(cell)?;
    let inputs = cell.inputs.len();
    let states = inputs + cell.nodes.len();
    let name_box = |name: &str| Size { width: STATE.width(name) + 18.0, height: NODE };
    let is_narrow = |state: usize| state.checked_sub(inputs).is_some_and(|node| !cell.widths.contains_key(&node));
    let of_state = |state: usize| match is_narrow(state) {
        true => Size { width: NODE, height: NODE },
        false => name_box(&cell.name(state)),
    };
    let mut sizes: Vec<Size> = (0..states).map(of_state).collect();
    sizes.push(name_box("output"));
    let mut edges: Vec<Edge> = Vec::new();
    for (operation, from, to) in all_edges(cell) {
        let label = Size { width: OPERATION.width(operation) + 20.0, height: OPERATION_HEIGHT };
        edges.push(Edge { from, to, label: Some(label) });
    }
    edges.extend(cell.output.iter().map(|from| Edge { from: *from, to: states, label: None }));

    let Layout { states: mut items, mut routes, mut labels, width, height } = layout(&sizes, inputs, &edges);
    let top = MARGIN + if cell.title.is_empty() { 0.0 } else { 32.0 };
    let moved = |item: &mut Item| {
        item.x += MARGIN;
        item.y += top;
    };
    items.iter_mut().chain(routes.iter_mut().flatten()).chain(labels.iter_mut().flatten()).for_each(moved);

    let mut svg = Svg::new((width + 2.0 * MARGIN).max(TITLE.width(&cell.title) + 2.0 * MARGIN), height + top + MARGIN);
    svg.text(MARGIN, MARGIN + 7.0, TITLE, &cell.title);
    for (edge, route) in edges.iter().zip(&routes) {
        let path = wire(&items[edge.from], route, &items[edge.to]);
        svg.wire(&path, edge.label.is_none());
    }
    // Once a state: many edges end in the same point.
    for (at, item) in items.iter().enumerate() {
        if edges.iter().any(|edge| edge.to == at) {
            svg.arrow_head(item.x - item.width / 2.0, item.y);
        }
    }
    for ((operation, ..), label) in all_edges(cell).zip(labels.iter().flatten()) {
        svg.pill(label.x, label.y, label.width, label.height, colour(operation));
        svg.text(label.x, label.y, OPERATION, operation);
    }
    for (at, item) in items.iter().enumerate() {
        let name = if at < states { cell.name(at) } else { "output".to_owned() };
        svg.state(item.x, item.y, item.width, item.height, if (inputs..states).contains(&at) { 15.0 } else { 6.0 });
        svg.text(item.x, item.y, STATE, &name);
    }
    Ok(svg.finish(&format!("cell {}", cell.title)))
}

/// The cell as lines for a terminal.
///
/// # Errors
/// As [`draw`].
pub fn write(cell: &DrawnCell) -> Result<String, ReportError> {
    check(cell)?;
    let inputs = cell.inputs.len();
    let name = |state: usize| cell.name(state);
    let states = inputs + cell.nodes.len();
    let longest = |names: &mut dyn Iterator<Item = String>| {
        names.map(|name| console::measure_text_width(&name)).max().unwrap_or(0)
    };
    let targets = longest(&mut (inputs..states).map(name).chain(["output".to_owned()]));
    let sources = longest(&mut all_edges(cell).map(|(_, from, _)| name(from)));
    let left = |text: &str, width: usize| console::pad_str(text, width, console::Alignment::Left, None).into_owned();

    let mut out = if cell.title.is_empty() { String::new() } else { format!("{}\n", cell.title) };
    for (node, edges) in cell.nodes.iter().enumerate() {
        for (at, (operation, from)) in edges.iter().enumerate() {
            let target = if at == 0 { name(inputs + node) } else { String::new() };
            out.push_str(&format!("  {} ← {}  {operation}\n", left(&target, targets), left(&name(*from), sources)));
        }
    }
    let made_of: Vec<String> = cell.output.iter().map(|state| name(*state)).collect();
    out.push_str(&format!("  {} ← {}\n", left("output", targets), made_of.join(", ")));
    Ok(out)
}

fn check(cell: &DrawnCell) -> Result<(), ReportError> {
    let title = || cell.title.clone();
    if let Some((_, source_state, state)) = all_edges(cell).find(|(_, from, to)| from >= to) {
        return Err(ReportError::NotBefore { title: title(), state, source_state });
    }
    let states = cell.inputs.len() + cell.nodes.len();
    match cell.output.iter().find(|state| **state >= states) {
        Some(state) => Err(ReportError::NoSuchState { title: title(), state: *state, states }),
        None => Ok(()),
    }
}

/// Operation, source and target of each edge, in the order of the nodes.
fn all_edges(cell: &DrawnCell) -> impl Iterator<Item = (&str, usize, usize)> {
    cell.nodes.iter().enumerate().flat_map(move |(node, edges)| {
        edges.iter().map(move |(operation, from)| (operation.as_str(), *from, cell.inputs.len() + node))
    })
}

/// Runs flat through the items and curves between them.
pub(super) fn wire(from: &Item, route: &[Item], to: &Item) -> String {
    let (mut x, mut y) = (from.x + from.width / 2.0, from.y);
    let mut path = format!("M {} {}", short(x), short(y));
    let inner = route.iter().map(|item| (item.x - item.width / 2.0, item.y, item.x + item.width / 2.0));
    for (left, level, right) in inner.chain([(to.x - to.width / 2.0 - 3.0, to.y, to.x - to.width / 2.0 - 3.0)]) {
        let middle = (x + left) / 2.0;
        path += &format!(
            " C {} {} {} {} {} {}",
            short(middle),
            short(y),
            short(middle),
            short(level),
            short(left),
            short(level)
        );
        if right > left {
            path += &format!(" L {} {}", short(right), short(level));
        }
        (x, y) = (right, level);
    }
    path
}

/// An operation has the same colour in every cell: its name's hash (FNV-1a) chooses it. Two may
/// share one; the name stands on it.
fn colour(operation: &str) -> &'static str {
    let hash = operation
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    PALETTE[(hash >> 32) as usize % PALETTE.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::svg::tests::texts_inside;

    fn cell(title: &str, inputs: &[&str], nodes: &[&[(&str, usize)]], output: &[usize]) -> DrawnCell {
        let node = |edges: &&[(&str, usize)]| edges.iter().map(|(op, from)| ((*op).to_owned(), *from)).collect();
        DrawnCell {
            title: title.into(),
            inputs: inputs.iter().map(|name| (*name).to_owned()).collect(),
            nodes: nodes.iter().map(node).collect(),
            output: output.to_vec(),
            widths: BTreeMap::new(),
        }
    }

    fn nas_bench_201() -> DrawnCell {
        let (conv, skip, none) = ("nor_conv_3x3", "skip_connect", "none");
        cell(
            "NAS-Bench-201 cell",
            &["input"],
            &[&[(conv, 0)], &[(none, 0), ("avg_pool_3x3", 1)], &[(skip, 0), ("nor_conv_1x1", 1), (conv, 2)]],
            &[3],
        )
    }

    /// DARTS_V2 of quark0/darts, `cnn/genotypes.py`.
    fn darts_v2() -> [DrawnCell; 2] {
        let (sep, skip, dil, max) = ("sep_conv_3x3", "skip_connect", "dil_conv_3x3", "max_pool_3x3");
        let inputs = ["c_{k-2}", "c_{k-1}"];
        [
            cell(
                "DARTS_V2, normal",
                &inputs,
                &[&[(sep, 0), (sep, 1)], &[(sep, 0), (sep, 1)], &[(sep, 1), (skip, 0)], &[(skip, 0), (dil, 2)]],
                &[2, 3, 4, 5],
            ),
            cell(
                "DARTS_V2, reduce",
                &inputs,
                &[&[(max, 0), (max, 1)], &[(skip, 2), (max, 1)], &[(max, 0), (skip, 2)], &[(skip, 2), (max, 1)]],
                &[2, 3, 4, 5],
            ),
        ]
    }

    /// NASNet-A's normal cell: parallel edges between the same states, and five nodes.
    fn nasnet() -> DrawnCell {
        let (sep3, sep5, avg, skip) = ("sep_conv_3x3", "sep_conv_5x5", "avg_pool_3x3", "skip_connect");
        cell(
            "NASNet-A, normal",
            &["c_{k-2}", "c_{k-1}"],
            &[
                &[(sep5, 1), (sep3, 0)],
                &[(sep5, 0), (sep3, 0)],
                &[(avg, 1), (skip, 0)],
                &[(avg, 0), (avg, 0)],
                &[(sep3, 1), (skip, 1)],
            ],
            &[2, 3, 4, 5, 6],
        )
    }

    #[test]
    fn every_label_is_there_and_nothing_lies_outside() {
        for cell in darts_v2().into_iter().chain([nas_bench_201(), nasnet()]) {
            let svg = draw(&cell).unwrap();
            if let Some(folder) = std::env::var_os("DARTS_RUN_DRAWINGS") {
                std::fs::write(std::path::Path::new(&folder).join(format!("{}.svg", cell.title)), &svg).unwrap();
            }
            let texts = texts_inside(&svg);
            let mut expected: Vec<String> = all_edges(&cell).map(|(operation, ..)| operation.to_owned()).collect();
            expected.extend(cell.inputs.clone());
            expected.extend((0..cell.nodes.len()).map(|node| (cell.inputs.len() + node).to_string()));
            expected.extend([cell.title.clone(), "output".into()]);
            let mut found = texts.clone();
            found.sort();
            expected.sort();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn the_same_cell_is_the_same_text() {
        assert_eq!(draw(&nasnet()), draw(&nasnet()));
    }

    #[test]
    fn awkward_cells_are_drawn_too() {
        let long = cell(&"a long title ".repeat(20), &["in"], &[&[("an_operation_with_a_very_long_name<&>", 0)]], &[1]);
        let lonely = cell("", &["in"], &[&[]], &[0, 1]);
        let bare = cell("bare", &[], &[], &[]);
        for cell in [long, lonely, bare] {
            texts_inside(&draw(&cell).unwrap());
            write(&cell).unwrap();
        }
    }

    #[test]
    fn a_cell_that_reads_forwards_is_refused() {
        let forwards = cell("wrong", &["in"], &[&[("conv", 1)]], &[1]);
        assert_eq!(draw(&forwards).unwrap_err().to_string(), {
            "state 1 of cell `wrong` reads state 1, which is not before it"
        });
        let outside = cell("wrong", &["in"], &[&[("conv", 0)]], &[2]);
        assert_eq!(write(&outside).unwrap_err().to_string(), {
            "the output of cell `wrong` reads state 2, but the cell has 2 states"
        });
    }

    #[test]
    fn lines_for_a_terminal() {
        let text = format!("{}\n{}", write(&nas_bench_201()).unwrap(), write(&darts_v2()[0]).unwrap());
        insta::assert_snapshot!(text, @r#"
        NAS-Bench-201 cell
          1      ← input  nor_conv_3x3
          2      ← input  none
                 ← 1      avg_pool_3x3
          3      ← input  skip_connect
                 ← 1      nor_conv_1x1
                 ← 2      nor_conv_3x3
          output ← 3

        DARTS_V2, normal
          2      ← c_{k-2}  sep_conv_3x3
                 ← c_{k-1}  sep_conv_3x3
          3      ← c_{k-2}  sep_conv_3x3
                 ← c_{k-1}  sep_conv_3x3
          4      ← c_{k-1}  sep_conv_3x3
                 ← c_{k-2}  skip_connect
          5      ← c_{k-2}  skip_connect
                 ← 2        dil_conv_3x3
          output ← 2, 3, 4, 5
        "#);
    }
}
