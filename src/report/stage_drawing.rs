//! The stages of a pipeline as a picture: what is read stands left of what reads it.

use super::{
    cell_drawing::wire,
    cell_layout::{Edge, Layout, Size, layout},
    svg::{Anchor, Face, Svg, Type},
};

/// Stages to draw, each after those that it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrawnStages {
    pub title: String,
    /// Name and kind.
    pub stages: Vec<[String; 2]>,
    /// What is read, and who reads it.
    pub edges: Vec<(usize, usize)>,
}

const MARGIN: f64 = 16.0;
const TITLE: Type = Type::new(15.0, Face::Bold, Anchor::Start);
const NAME: Type = Type::new(13.0, Face::Sans, Anchor::Middle);
const KIND: Type = Type::new(11.0, Face::Sans, Anchor::Middle).soft();
const HEIGHT: f64 = 42.0;

/// The stages as SVG, as large as it needs to be; the same text on every machine.
pub fn draw(drawn: &DrawnStages) -> String {
    let size =
        |[name, kind]: &[String; 2]| Size { width: NAME.width(name).max(KIND.width(kind)) + 24.0, height: HEIGHT };
    let sizes: Vec<Size> = drawn.stages.iter().map(size).collect();
    let edges: Vec<Edge> = drawn.edges.iter().map(|&(from, to)| Edge { from, to, label: None }).collect();
    // Those that read nothing stand first, in the first column.
    let fixed = (0..sizes.len()).take_while(|at| edges.iter().all(|edge| edge.to != *at)).count();
    let Layout { states: mut items, mut routes, width, height, .. } = layout(&sizes, fixed, &edges);
    let top = MARGIN + 32.0;
    for item in items.iter_mut().chain(routes.iter_mut().flatten()) {
        (item.x, item.y) = (item.x + MARGIN, item.y + top);
    }
    let mut svg = Svg::new((width + 2.0 * MARGIN).max(TITLE.width(&drawn.title) + 2.0 * MARGIN), height + top + MARGIN);
    svg.text(MARGIN, MARGIN + 7.0, TITLE, &drawn.title);
    for (edge, route) in edges.iter().zip(&routes) {
        svg.wire(&wire(&items[edge.from], route, &items[edge.to]), false);
    }
    for (at, item) in items.iter().enumerate() {
        // Once a stage: many edges end in the same point.
        if edges.iter().any(|edge| edge.to == at) {
            svg.arrow_head(item.x - item.width / 2.0, item.y);
        }
        let [name, kind] = &drawn.stages[at];
        svg.state(item.x, item.y, item.width, item.height, 6.0);
        svg.text(item.x, item.y - 7.0, NAME, name);
        svg.text(item.x, item.y + 9.0, KIND, kind);
    }
    svg.finish(&format!("stages of {}", drawn.title))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::svg::tests::texts_inside;

    #[test]
    fn each_stage_has_a_box_and_each_reading_a_wire() {
        let stages = [["images", "prepare"], ["search × 3", "search"], ["cell", "derive"], ["report", "report"]];
        let drawn = DrawnStages {
            title: "tiny".to_owned(),
            stages: stages.map(|stage| stage.map(str::to_owned)).to_vec(),
            edges: vec![(0, 1), (1, 2), (0, 3), (2, 3)],
        };
        let svg = draw(&drawn);
        let texts = ["tiny", "images", "prepare", "search × 3", "search", "cell", "derive", "report", "report"];
        assert_eq!(texts_inside(&svg), texts);
        assert_eq!((svg.matches("class=\"wire\" d=").count(), svg.matches("class=\"state\"").count()), (4, 4));
    }
}
