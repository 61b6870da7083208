import type { BinnedField } from './bin-columns.js';
import type { TreeNode } from './trained-model.js';
import type { GbtParams } from './trainer-params.js';

/** Slopes of the loss at the current prediction, per row, and scratch space that is reused from tree to tree. */
export interface TreeGround {
  fields: readonly BinnedField[];
  params: GbtParams;
  gradient: Float64Array;
  hessian: Float64Array;
  /** A permutation of the row numbers; growing a tree reorders it. */
  rows: Uint32Array;
}

/** A grown tree and, for each leaf, its rows: `rows[start … end)` of the ground. */
export interface GrownTree {
  nodes: TreeNode[];
  leaves: { value: number; start: number; end: number }[];
}

interface OpenNode {
  id: number;
  start: number;
  end: number;
  gradient: number;
  hessian: number;
  /** Interleaved (gradient, hessian) sums per bin, all fields one after the other. */
  histogram: Float64Array;
}

interface Split {
  gain: number;
  field: number;
  /** Last bin that goes left (numeric), or the category that goes right. */
  bin: number;
  leftGradient: number;
  leftHessian: number;
}

// A smaller gain is rounding of the sums it comes from.
const MIN_GAIN = 1e-9;

function histogramOf(ground: TreeGround, start: number, end: number): Float64Array {
  const { fields, gradient, hessian, rows } = ground;
  const total = fields.reduce((sum, { binCount }) => sum + binCount, 0);
  const histogram = new Float64Array(2 * total);
  let offset = 0;
  for (const { bins, binCount } of fields) {
    for (let r = start; r < end; r++) {
      const row = rows[r] ?? 0;
      const at = offset + 2 * (bins[row] ?? 0);
      histogram[at] = (histogram[at] ?? 0) + (gradient[row] ?? 0);
      histogram[at + 1] = (histogram[at + 1] ?? 0) + (hessian[row] ?? 0);
    }
    offset += 2 * binCount;
  }
  return histogram;
}

/** Turns the parent's histogram into that of the child which is not given: parent − sibling. */
function subtractSibling(parent: Float64Array, sibling: Float64Array): Float64Array {
  for (let i = 0; i < parent.length; i++) parent[i] = (parent[i] ?? 0) - (sibling[i] ?? 0);
  return parent;
}

/** Best split by gain G_L²/(H_L+λ) + G_R²/(H_R+λ) − G²/(H+λ); of equal ones the first field, then the first bin. */
function bestSplit({ fields, params }: TreeGround, node: OpenNode): Split | undefined {
  const { lambda, minHessian } = params;
  const { gradient: G, hessian: H, histogram } = node;
  const base = (G * G) / (H + lambda);
  let best: Split | undefined;
  let offset = 0;
  for (const [f, { field, binCount }] of fields.entries()) {
    let gl = 0;
    let hl = 0;
    const numeric = field.kind === 'numeric';
    for (let b = 0; b < (numeric ? binCount - 1 : binCount); b++) {
      const g = histogram[offset + 2 * b] ?? 0;
      const h = histogram[offset + 2 * b + 1] ?? 0;
      gl = numeric ? gl + g : G - g;
      hl = numeric ? hl + h : H - h;
      const hr = H - hl;
      if (hl < minHessian || hr < minHessian) continue;
      const gain = (gl * gl) / (hl + lambda) + (G - gl) ** 2 / (hr + lambda) - base;
      if (gain <= (best?.gain ?? MIN_GAIN)) continue;
      best = { gain, field: f, bin: b, leftGradient: gl, leftHessian: hl };
    }
    offset += 2 * binCount;
  }
  return best;
}

/** Moves the rows that go left to the front of the node's segment, keeping their order; returns where the right begins. */
function partition({ fields, rows }: TreeGround, node: OpenNode, split: Split): number {
  const chosen = fields[split.field];
  if (chosen === undefined) return node.end;
  const numeric = chosen.field.kind === 'numeric';
  const right: number[] = [];
  let at = node.start;
  for (let r = node.start; r < node.end; r++) {
    const row = rows[r] ?? 0;
    const bin = chosen.bins[row] ?? 0;
    if (numeric ? bin <= split.bin : bin !== split.bin) rows[at++] = row;
    else right.push(row);
  }
  rows.set(right, at);
  return at;
}

function splitNode(
  { fields }: TreeGround,
  split: Split,
  at: { left: number; right: number; cover: number },
): TreeNode {
  const chosen = fields[split.field];
  return chosen?.field.kind === 'numeric'
    ? {
        kind: 'threshold',
        field: split.field,
        threshold: chosen.thresholds[split.bin] ?? 0,
        ...at,
      }
    : { kind: 'category', field: split.field, category: split.bin, ...at };
}

function divide(
  ground: TreeGround,
  node: OpenNode,
  how: { split: Split; leftId: number; needHistogram: boolean },
): [OpenNode, OpenNode] {
  const { split, leftId, needHistogram } = how;
  const middle = partition(ground, node, split);
  const leftSmaller = middle - node.start <= node.end - middle;
  const none = new Float64Array();
  // Summing the smaller child alone and subtracting it from the parent halves the passes over the rows.
  const small = needHistogram
    ? leftSmaller
      ? histogramOf(ground, node.start, middle)
      : histogramOf(ground, middle, node.end)
    : none;
  const large = needHistogram ? subtractSibling(node.histogram, small) : none;
  const left: OpenNode = {
    id: leftId,
    start: node.start,
    end: middle,
    gradient: split.leftGradient,
    hessian: split.leftHessian,
    histogram: leftSmaller ? small : large,
  };
  const right: OpenNode = {
    id: leftId + 1,
    start: middle,
    end: node.end,
    gradient: node.gradient - split.leftGradient,
    hessian: node.hessian - split.leftHessian,
    histogram: leftSmaller ? large : small,
  };
  return [left, right];
}

function rootOf(ground: TreeGround): OpenNode {
  const end = ground.rows.length;
  let gradient = 0;
  let hessian = 0;
  for (let i = 0; i < end; i++) {
    ground.rows[i] = i;
    gradient += ground.gradient[i] ?? 0;
    hessian += ground.hessian[i] ?? 0;
  }
  return { id: 0, start: 0, end, gradient, hessian, histogram: histogramOf(ground, 0, end) };
}

/**
 * Grows one tree level by level on histograms of slopes (Chen & Guestrin, 2016, eqs. 5–7: leaf −G/(H+λ), here times
 * `rate`). Categories split one against the rest. At most `depth` splits on a path; each child keeps `minHessian`.
 */
export function growTree(ground: TreeGround): GrownTree {
  const { params } = ground;
  const grown: GrownTree = { nodes: [], leaves: [] };
  let level = [rootOf(ground)];
  let nextId = 1;
  for (let depth = 0; level.length > 0; depth++) {
    const children: OpenNode[] = [];
    for (const node of level) {
      const cover = node.end - node.start;
      const split = depth < params.depth ? bestSplit(ground, node) : undefined;
      if (split === undefined) {
        const value = (-node.gradient / (node.hessian + params.lambda)) * params.rate;
        grown.nodes[node.id] = { kind: 'leaf', value, cover };
        grown.leaves.push({ value, start: node.start, end: node.end });
        continue;
      }
      const [left, right] = divide(ground, node, {
        split,
        leftId: nextId,
        needHistogram: depth + 1 < params.depth,
      });
      grown.nodes[node.id] = splitNode(ground, split, { left: left.id, right: right.id, cover });
      nextId += 2;
      children.push(left, right);
    }
    level = children;
  }
  return grown;
}
