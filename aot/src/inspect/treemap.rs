//! A tree of sizes laid out as nested rectangles ("squarified": as near to squares as they get, so that areas can be compared).
//! M. Bruls, K. Huizing, J. van Wijk: Squarified treemaps, 2000.

use crate::fuse::map::Node;

/// A rectangle of the map; lengths are in the map's own units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rect {
    /// Left.
    pub x: f64,
    /// Top.
    pub y: f64,
    /// Width.
    pub w: f64,
    /// Height.
    pub h: f64,
}

/// A node and its place.
#[derive(Clone, Debug)]
pub struct Tile<'a> {
    /// The node.
    pub node: &'a Node,
    /// Names from the root's child down to the node's parent.
    pub path: Vec<&'a str>,
    /// Its place.
    pub rect: Rect,
    /// Whether its children are laid out in it, below a line with its name.
    pub open: bool,
}

/// Height of the line with a name.
const TITLE: f64 = 18.0;
/// Space around the children of a node.
const GAP: f64 = 2.0;
/// Smaller nodes are not opened.
const MIN_OPEN: (f64, f64) = (70.0, 48.0);
/// The smallest side of a rectangle that is worth drawing.
const MIN_SIDE: f64 = 1.5;

/// Lays the children of `root` out in a rectangle of `width` by `height`; parents come before their children.
pub fn layout(root: &Node, width: f64, height: f64) -> Vec<Tile<'_>> {
    let mut tiles = Vec::new();
    place(root, Rect { x: 0.0, y: 0.0, w: width, h: height }, &[], &mut tiles);
    tiles
}

fn place<'a>(parent: &'a Node, rect: Rect, path: &[&'a str], tiles: &mut Vec<Tile<'a>>) {
    let mut children: Vec<&Node> = parent.children.iter().collect();
    children.sort_by_key(|part| std::cmp::Reverse(part.bytes));
    for (node, rect) in squarify(&children, rect) {
        if rect.w < MIN_SIDE || rect.h < MIN_SIDE {
            continue;
        }
        let open = !node.children.is_empty() && rect.w >= MIN_OPEN.0 && rect.h >= MIN_OPEN.1;
        tiles.push(Tile { node, path: path.to_vec(), rect, open });
        if open {
            let inner = Rect { x: rect.x + GAP, y: rect.y + TITLE, w: rect.w - 2.0 * GAP, h: rect.h - TITLE - GAP };
            let path: Vec<&str> = path.iter().copied().chain([node.name.as_str()]).collect();
            place(node, inner, &path, tiles);
        }
    }
}

/// Fills `rect` row by row along its shorter side; a row takes nodes while that makes its rectangles more square.
fn squarify<'a>(nodes: &[&'a Node], mut rect: Rect) -> Vec<(&'a Node, Rect)> {
    let total: f64 = nodes.iter().map(|node| node.bytes as f64).sum();
    let scale = if total > 0.0 { rect.w * rect.h / total } else { 0.0 };
    let mut placed = Vec::new();
    let mut rest = nodes;
    while !rest.is_empty() {
        let side = rect.w.min(rect.h);
        let mut count = 1;
        while count < rest.len() {
            let now = worst(rest.get(..count).unwrap_or_default(), side, scale);
            let more = worst(rest.get(..count + 1).unwrap_or_default(), side, scale);
            if more > now {
                break;
            }
            count += 1;
        }
        let (row, behind) = rest.split_at(count);
        rect = place_row(row, rect, scale, &mut placed);
        rest = behind;
    }
    placed
}

/// The largest ratio of sides in a row along `side`.
fn worst(row: &[&Node], side: f64, scale: f64) -> f64 {
    let areas = row.iter().map(|node| node.bytes as f64 * scale);
    let sum: f64 = areas.clone().sum();
    if sum <= 0.0 || side <= 0.0 {
        return f64::INFINITY;
    }
    let thickness = sum / side;
    areas.map(|area| (thickness * thickness / area).max(area / (thickness * thickness))).fold(0.0, f64::max)
}

/// Places a row at the left or the top of `rect`, and returns what is left of it.
fn place_row<'a>(row: &[&'a Node], rect: Rect, scale: f64, placed: &mut Vec<(&'a Node, Rect)>) -> Rect {
    let sum: f64 = row.iter().map(|node| node.bytes as f64 * scale).sum();
    let upright = rect.w >= rect.h;
    let side = if upright { rect.h } else { rect.w };
    let thickness = if side > 0.0 { sum / side } else { 0.0 };
    let mut at = 0.0;
    for node in row {
        let length = if thickness > 0.0 { node.bytes as f64 * scale / thickness } else { 0.0 };
        let tile = match upright {
            true => Rect { x: rect.x, y: rect.y + at, w: thickness, h: length },
            false => Rect { x: rect.x + at, y: rect.y, w: length, h: thickness },
        };
        placed.push((node, tile));
        at += length;
    }
    match upright {
        true => Rect { x: rect.x + thickness, w: rect.w - thickness, ..rect },
        false => Rect { y: rect.y + thickness, h: rect.h - thickness, ..rect },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Node {
        let children = [6u64, 6, 4, 3, 2, 2, 1].map(|bytes| Node::leaf(format!("n{bytes}"), bytes));
        Node::sum("root", children)
    }

    #[test]
    fn areas_are_proportional_and_inside() {
        let tree = tree();
        let tiles = layout(&tree, 600.0, 400.0);
        assert_eq!(tiles.len(), 7);
        for tile in &tiles {
            let Rect { x, y, w, h } = tile.rect;
            let wanted = tile.node.bytes as f64 / 24.0 * 600.0 * 400.0;
            assert!((w * h - wanted).abs() < 1e-6 * wanted, "{tile:?}");
            assert!(x >= 0.0 && y >= 0.0 && x + w < 600.001 && y + h < 400.001, "{tile:?}");
            assert!((w / h).max(h / w) < 3.0, "the paper's example stays below 3: {tile:?}");
        }
    }

    #[test]
    fn tiles_do_not_overlap() {
        let tree = tree();
        let tiles = layout(&tree, 600.0, 400.0);
        for (i, a) in tiles.iter().enumerate() {
            for b in &tiles[i + 1..] {
                let apart = a.rect.x + a.rect.w <= b.rect.x + 1e-9
                    || b.rect.x + b.rect.w <= a.rect.x + 1e-9
                    || a.rect.y + a.rect.h <= b.rect.y + 1e-9
                    || b.rect.y + b.rect.h <= a.rect.y + 1e-9;
                assert!(apart, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn large_nodes_are_opened_and_empty_ones_do_no_harm() {
        let inner = Node::sum("inner", [Node::leaf("a", 5), Node::leaf("b", 5)]);
        let tree = Node::sum("root", [inner, Node::leaf("c", 1)]);
        let tiles = layout(&tree, 600.0, 400.0);
        assert!(tiles[0].open && tiles[1].path == ["inner"]);
        assert!(layout(&Node::leaf("empty", 0), 600.0, 400.0).is_empty());
    }
}
