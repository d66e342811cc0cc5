// Trajectories on gradients that are a formula, computed with the authors' code: W after 7 steps of lr 0.01 with a
// switch at every third.

import type { GridCase } from "./grid.ts";
import { transposed } from "./grid_authors.ts";
import type { Chosen } from "./grid_split.ts";
import type { Reals } from "./ops.ts";
import { activeBlocks } from "../../src/optim/split/blocks.ts";

export const GAP = 3, LR = 0.01;

/** A matrix (m, n) by a formula of row, column. */
const matrix = (m: number, n: number, f: (i: number, j: number) => number): Reals =>
  Float64Array.from({ length: m * n }, (_, k) => f(Math.floor(k / n), k % n));

/** W of parameter k before the first step. Only the tables of blocks have more than one parameter. */
export const initialWeights = (m: number, n: number, k: number): Reals =>
  matrix(m, n, (i, j) => 0.1 * Math.cos(0.3 * i - 0.7 * j) + 0.01 * k);
/** Gradient of parameter k at step t. It does not depend on W. */
export const gradientAt = (t: number, m: number, n: number, k: number): Reals =>
  matrix(
    m,
    n,
    (i, j) => Math.sin(1 + 0.7 * i + 1.1 * j + 0.3 * t + 0.5 * k) + 0.5 * Math.cos(0.9 * i * j + 0.2 * t + k),
  );

/** The choice of switch number s = 0, 1, 2 for a matrix (m, n). */
type Chooser = (s: number, m: number, n: number) => Chosen;

const half = (total: number, s: number): Chosen => ({
  indices: Array.from({ length: Math.floor(total / 2) }, (_, q) => (5 * q + 3 + s) % total),
});
const columns: Chooser = (s, _, n) => half(n, s);
const rows: Chooser = (s, m) => half(m, s);
const randk: Chooser = (s, m, n) => half(m * n, s);
const block = (order: "ascending" | "descending", k: number): Chooser => (s) => ({
  active: activeBlocks(order, 8, 0.25, s, 0).includes(k),
});
/** The leading two singular vectors of the gradient at the switch, the largest entry of each positive, as rows. */
const SINGULAR_VECTORS = {
  left: [
    [[0.4473532472, 0.7015782509, 0.4972042991, 0.2458676781], [
      -0.5140121353,
      -0.2513650157,
      0.4931029468,
      0.6553294115,
    ]],
    [[0.5830265998, 0.732996593, 0.3498391646, 0.0202123109], [
      -0.3495073407,
      -0.0512375951,
      0.6510108456,
      0.6718662118,
    ]],
    [[-0.2234728764, 0.0272976018, 0.7013295186, 0.6763516991], [
      0.5829277238,
      0.7458165461,
      0.2908659226,
      -0.1391041458,
    ]],
  ],
  right: [
    [[0.6018098093, 0.5528615433, -0.1646282443, -0.5523283521], [
      -0.4205984445,
      0.6765373527,
      0.6032114037,
      0.0391172766,
    ]],
    [[-0.558001722, -0.3402082313, 0.4703637447, 0.593001168], [
      -0.2103906148,
      0.8180300353,
      0.5170187622,
      -0.1387596845,
    ]],
    [[0.3075940029, 0.8017895155, 0.0610903875, -0.5087115752], [
      -0.3647558042,
      0.2978276288,
      0.811375296,
      0.3462976117,
    ]],
  ],
};
const oriented = (m: number, n: number, vectors: Reals): Chosen => (m < n ? { left: vectors } : { right: vectors });
const basis: Chooser = (s, m, n) =>
  oriented(m, n, transposed(SINGULAR_VECTORS[m < n ? "left" : "right"][s]!.flat(), Math.min(m, n)));
/** APOLLO's projector of rank r: left (m, r), right (r, n) by the same formula, never renewed. */
const apollo = (r: number): Chooser => (_, m, n) => {
  const entry = (i: number, j: number): number => Math.cos(0.5 + 1.3 * i + 2.1 * j) / Math.sqrt(r);
  return oriented(m, n, m < n ? matrix(m, r, entry) : matrix(n, r, (j, i) => entry(i, j)));
};

export interface TableRow {
  readonly name: string;
  readonly shape: readonly [number, number];
  readonly settings: Partial<GridCase>;
  /** Choices of the split; none by default. */
  readonly chosen?: Chooser;
  /** Number of steps, default 7. */
  readonly steps?: number;
  /** Parameter k of the formulas, default 0. */
  readonly parameter?: number;
  /** The limiter's divisor in each step, and the norm that it let through. */
  readonly limiter?: readonly (readonly [number, number])[];
  /** W[0, 0], W[1, 2], sum(W), Frobenius norm of W. */
  readonly expected: readonly [number, number, number, number];
}

const HF = { state_full: "adam_hf", decay: "after", moments: "keep" } as const;
const FRUGAL = { inactive_lr_scale: 0.1 } as const;

export const TABLE: readonly TableRow[] = [
  {
    name: "adamw",
    shape: [4, 6],
    settings: { weight_decay: 0.1 },
    expected: [0.030839220889, 0.114965120047, -0.020952033545, 0.491983846889],
  },
  {
    name: "adam_hf",
    shape: [4, 6],
    settings: { ...HF, weight_decay: 0.1 },
    expected: [0.030908606212, 0.114893937959, -0.020732257237, 0.49180531153],
  },
  {
    name: "FRUGAL, bases, sign_sgd",
    shape: [4, 6],
    settings: { ...FRUGAL, split: "left", state_free: "sign_sgd" },
    chosen: basis,
    expected: [0.030092229171, 0.095701160289, 0.147009141686, 0.462801837784],
  },
  {
    name: "FRUGAL, bases, sgd",
    shape: [4, 6],
    settings: { ...FRUGAL, split: "left", state_free: "sgd" },
    chosen: basis,
    expected: [0.035493233175, 0.090051407512, 0.162119967414, 0.46345959196],
  },
  {
    name: "FRUGAL, bases, no",
    shape: [4, 6],
    settings: { ...FRUGAL, split: "left", state_free: "no" },
    chosen: basis,
    expected: [0.037092229171, 0.088701160289, 0.169009141686, 0.463291326307],
  },
  {
    name: "FRUGAL, bases, sign_sgd",
    shape: [4, 6],
    settings: { ...FRUGAL, split: "left", state_free: "sign_sgd", weight_decay: 0.1 },
    chosen: basis,
    expected: [0.029609006165, 0.095250481712, 0.145649527466, 0.460076177225],
  },
  {
    name: "FRUGAL, bases, sgd",
    shape: [4, 6],
    settings: { ...FRUGAL, split: "left", state_free: "sgd", weight_decay: 0.1 },
    chosen: basis,
    expected: [0.034993949702, 0.089617040648, 0.160700310419, 0.460733472238],
  },
  {
    name: "FRUGAL, bases, no",
    shape: [4, 6],
    settings: { ...FRUGAL, split: "left", state_free: "no", weight_decay: 0.1 },
    chosen: basis,
    expected: [0.03658804113, 0.088271446747, 0.167565689288, 0.460565770977],
  },
  {
    name: "FRUGAL, bases, moments kept",
    shape: [4, 6],
    settings: { split: "left", moments: "keep" },
    chosen: basis,
    expected: [0.052267754801, 0.083842193812, 0.193191900301, 0.464701238949],
  },
  {
    name: "FRUGAL, columns, adam",
    shape: [4, 6],
    settings: { ...FRUGAL, split: "columns", state_full: "adam", state_free: "sign_sgd", weight_decay: 0.1 },
    chosen: columns,
    expected: [0.092323061538, 0.105747100482, 0.243601993195, 0.437272823379],
  },
  {
    name: "FRUGAL, columns, lion",
    shape: [4, 6],
    settings: { ...FRUGAL, split: "columns", state_full: "lion", state_free: "sign_sgd", weight_decay: 0.1 },
    chosen: columns,
    expected: [0.092323061538, 0.105833395474, 0.236291275619, 0.440708206557],
  },
  {
    name: "FRUGAL, rows, adam",
    shape: [4, 6],
    settings: { ...FRUGAL, split: "rows", state_full: "adam", state_free: "sign_sgd", weight_decay: 0.1 },
    chosen: rows,
    expected: [0.038855718408, 0.087925246079, 0.100852422132, 0.433789680216],
  },
  {
    name: "FRUGAL, rows, lion",
    shape: [4, 6],
    settings: { ...FRUGAL, split: "rows", state_full: "lion", state_free: "sign_sgd", weight_decay: 0.1 },
    chosen: rows,
    expected: [0.038511746853, 0.087968116779, 0.091341105965, 0.434223276291],
  },
  {
    name: "FRUGAL, randk, adam",
    shape: [4, 6],
    settings: { ...FRUGAL, split: "randk", state_full: "adam", state_free: "sign_sgd", weight_decay: 0.1 },
    chosen: randk,
    expected: [0.038855718408, 0.078843935095, 0.16153108, 0.443464262968],
  },
  {
    name: "FRUGAL, randk, lion",
    shape: [4, 6],
    settings: { ...FRUGAL, split: "randk", state_full: "lion", state_free: "sign_sgd", weight_decay: 0.1 },
    chosen: randk,
    expected: [0.038511746853, 0.078887359483, 0.164578933907, 0.447598848795],
  },
  {
    name: "GaLore, 3 steps",
    shape: [4, 6],
    settings: { ...HF, split: "left", scale: 0.25 },
    chosen: basis,
    steps: 3,
    expected: [0.09307133541, 0.048888639219, 0.236420232415, 0.376314325942],
  },
  {
    name: "GaLore",
    shape: [4, 6],
    settings: { ...HF, split: "left", scale: 0.25 },
    chosen: basis,
    expected: [0.088067460991, 0.054980144601, 0.239132033239, 0.389783093433],
  },
  {
    name: "Fira, 3 steps",
    shape: [4, 6],
    settings: { ...HF, split: "left", state_free: "fira", scale: 0.25 },
    chosen: basis,
    steps: 3,
    expected: [0.075046534718, 0.067204448823, 0.185222335822, 0.395187285517],
  },
  {
    name: "Fira",
    shape: [4, 6],
    settings: { ...HF, split: "left", state_free: "fira", scale: 0.25 },
    chosen: basis,
    limiter: [
      [1, 9.18710925],
      [1.2112503, 9.27898036],
      [1.3379742, 9.37177017],
      [1.46446457, 9.46548788],
      [1.52205671, 9.56014277],
      [1.52770218, 9.65574421],
      [1.31428198, 9.75230166],
    ],
    expected: [0.050133932482, 0.090683931323, 0.144922132756, 0.443038204615],
  },
  {
    name: "APOLLO",
    shape: [4, 6],
    settings: { ...HF, split: "left", state_free: "apollo" },
    chosen: apollo(2),
    limiter: [
      [1, 28.07284863],
      [1, 21.10842761],
      [1, 17.24617743],
      [1.13831599, 17.41863921],
      [1.47359217, 17.59282561],
      [1.97672964, 17.76875388],
      [1.45465007, 17.94644143],
    ],
    expected: [0.031585523547, 0.099267564744, -0.139698431344, 0.510764313627],
  },
  {
    name: "APOLLO-Mini",
    shape: [4, 6],
    settings: { ...HF, split: "left", state_free: "apollo", scale: 128, scale_type: "tensor", scale_front: true },
    chosen: apollo(1),
    limiter: [
      [1, 121.42462783],
      [1.09293498, 122.63887412],
      [1.13491385, 123.86526287],
      [1.29930554, 125.10391551],
      [1.39408195, 126.35495468],
      [1.41811903, 127.61850423],
      [1.40530805, 128.89468928],
    ],
    expected: [-0.404057037332, 0.523201020786, -0.806261899275, 1.647780387879],
  },
  {
    name: "APOLLO-Mini",
    shape: [4, 6],
    settings: { ...HF, split: "left", state_free: "apollo", scale: 128, scale_type: "tensor", scale_front: false },
    chosen: apollo(1),
    limiter: [
      [1, 10.73252222],
      [1.09293498, 10.83984745],
      [1.13491385, 10.94824593],
      [1.29930554, 11.0577284],
      [1.39408195, 11.1683057],
      [1.41811902, 11.27998877],
      [1.40530805, 11.39278866],
    ],
    expected: [-0.404057038263, 0.523201021926, -0.806261900605, 1.647780391054],
  },
  {
    name: "adamw",
    shape: [6, 4],
    settings: { weight_decay: 0.1 },
    expected: [0.030839220889, 0.114965120047, 1.482341524394, 0.401272206458],
  },
  {
    name: "adam_hf",
    shape: [6, 4],
    settings: { ...HF, weight_decay: 0.1 },
    expected: [0.030908606212, 0.114893937959, 1.482233030789, 0.401136961284],
  },
  {
    name: "FRUGAL, bases, sign_sgd",
    shape: [6, 4],
    settings: { ...FRUGAL, split: "right", state_free: "sign_sgd" },
    chosen: basis,
    expected: [0.067116411137, 0.112914274967, 1.562511873724, 0.404260565306],
  },
  {
    name: "FRUGAL, bases, sgd",
    shape: [6, 4],
    settings: { ...FRUGAL, split: "right", state_free: "sgd" },
    chosen: basis,
    expected: [0.071201599943, 0.10668820496, 1.590984246268, 0.406127559744],
  },
  {
    name: "FRUGAL, bases, no",
    shape: [6, 4],
    settings: { ...FRUGAL, split: "right", state_free: "no" },
    chosen: basis,
    expected: [0.074116411137, 0.105914274967, 1.604511873724, 0.4075487354],
  },
  {
    name: "FRUGAL, bases, sign_sgd",
    shape: [6, 4],
    settings: { ...FRUGAL, split: "right", state_free: "sign_sgd", weight_decay: 0.1 },
    chosen: basis,
    expected: [0.066507663943, 0.112404140352, 1.551977152541, 0.401754921236],
  },
  {
    name: "FRUGAL, bases, sgd",
    shape: [6, 4],
    settings: { ...FRUGAL, split: "right", state_free: "sgd", weight_decay: 0.1 },
    chosen: basis,
    expected: [0.070582038609, 0.106197143137, 1.580382940759, 0.403618029974],
  },
  {
    name: "FRUGAL, bases, no",
    shape: [6, 4],
    settings: { ...FRUGAL, split: "right", state_free: "no", weight_decay: 0.1 },
    chosen: basis,
    expected: [0.073486698908, 0.105425105387, 1.593859320401, 0.405032213583],
  },
  {
    name: "FRUGAL, bases, moments kept",
    shape: [6, 4],
    settings: { split: "right", moments: "keep" },
    chosen: basis,
    expected: [0.095108181906, 0.087846908504, 1.625947209891, 0.41337178864],
  },
  {
    name: "FRUGAL, columns, adam",
    shape: [6, 4],
    settings: { ...FRUGAL, split: "columns", state_full: "adam", state_free: "sign_sgd", weight_decay: 0.1 },
    chosen: columns,
    expected: [0.038855718408, 0.061022080693, 1.46162987331, 0.35734962058],
  },
  {
    name: "FRUGAL, columns, lion",
    shape: [6, 4],
    settings: { ...FRUGAL, split: "columns", state_full: "lion", state_free: "sign_sgd", weight_decay: 0.1 },
    chosen: columns,
    expected: [0.038511746853, 0.061022080788, 1.473239211572, 0.363554698768],
  },
  {
    name: "FRUGAL, rows, adam",
    shape: [6, 4],
    settings: { ...FRUGAL, split: "rows", state_full: "adam", state_free: "sign_sgd", weight_decay: 0.1 },
    chosen: rows,
    expected: [0.092323061538, 0.078843935095, 1.475372256304, 0.390988199824],
  },
  {
    name: "FRUGAL, rows, lion",
    shape: [6, 4],
    settings: { ...FRUGAL, split: "rows", state_full: "lion", state_free: "sign_sgd", weight_decay: 0.1 },
    chosen: rows,
    expected: [0.092323061538, 0.078887359483, 1.472826254367, 0.39634692649],
  },
  {
    name: "FRUGAL, randk, adam",
    shape: [6, 4],
    settings: { ...FRUGAL, split: "randk", state_full: "adam", state_free: "sign_sgd", weight_decay: 0.1 },
    chosen: randk,
    expected: [0.038855718408, 0.087925246079, 1.33630936212, 0.361666623313],
  },
  {
    name: "FRUGAL, randk, lion",
    shape: [6, 4],
    settings: { ...FRUGAL, split: "randk", state_full: "lion", state_free: "sign_sgd", weight_decay: 0.1 },
    chosen: randk,
    expected: [0.038511746853, 0.087968116779, 1.347449079708, 0.365642311509],
  },
  {
    name: "GaLore, 3 steps",
    shape: [6, 4],
    settings: { ...HF, split: "right", scale: 0.25 },
    chosen: basis,
    steps: 3,
    expected: [0.098072088269, 0.05107571449, 1.462904448494, 0.359031150018],
  },
  {
    name: "GaLore",
    shape: [6, 4],
    settings: { ...HF, split: "right", scale: 0.25 },
    chosen: basis,
    expected: [0.098776971664, 0.055981238983, 1.485852560151, 0.367121433457],
  },
  {
    name: "Fira, 3 steps",
    shape: [6, 4],
    settings: { ...HF, split: "right", state_free: "fira", scale: 0.25 },
    chosen: basis,
    steps: 3,
    expected: [0.075919353103, 0.064062795998, 1.462608524424, 0.360852053293],
  },
  {
    name: "Fira",
    shape: [6, 4],
    settings: { ...HF, split: "right", state_free: "fira", scale: 0.25 },
    chosen: basis,
    limiter: [
      [1, 8.97272472],
      [1.24715613, 9.06245198],
      [1.36028248, 9.15307651],
      [1.12604621, 9.24460728],
      [1.08143824, 9.33705337],
      [1.10398581, 9.43042391],
      [1, 8.22970026],
    ],
    expected: [0.066012059173, 0.090656126304, 1.496647222498, 0.383210297285],
  },
  {
    name: "APOLLO",
    shape: [6, 4],
    settings: { ...HF, split: "right", state_free: "apollo" },
    chosen: apollo(2),
    limiter: [
      [1, 22.49911136],
      [1.24617521, 22.72410249],
      [1.4631492, 22.95134352],
      [3.58306926, 23.18085697],
      [1.28556195, 23.41266555],
      [1.41090445, 23.64679221],
      [2.43462615, 23.88326015],
    ],
    expected: [-0.003534393604, 0.122598846681, 1.320143149893, 0.370038862999],
  },
  {
    name: "APOLLO-Mini",
    shape: [6, 4],
    settings: { ...HF, split: "right", state_free: "apollo", scale: 128, scale_type: "tensor", scale_front: true },
    chosen: apollo(1),
    limiter: [
      [1, 130.79749957],
      [1.25936598, 132.10547458],
      [1.26073281, 133.42652933],
      [1.22378582, 134.76079464],
      [1.26861179, 136.10840259],
      [1.33041577, 137.46948663],
      [1.39428666, 138.84418151],
    ],
    expected: [-0.459870875303, 0.582133516966, 1.80589831722, 1.603607883902],
  },
  {
    name: "APOLLO-Mini",
    shape: [6, 4],
    settings: { ...HF, split: "right", state_free: "apollo", scale: 128, scale_type: "tensor", scale_front: false },
    chosen: apollo(1),
    limiter: [
      [1, 11.56097486],
      [1.25936597, 11.67658462],
      [1.26073281, 11.79335048],
      [1.22378582, 11.91128399],
      [1.26861179, 12.03039684],
      [1.33041577, 12.15070082],
      [1.39428665, 12.27220784],
    ],
    expected: [-0.459870876292, 0.582133518181, 1.80589831794, 1.60360788691],
  },
  {
    name: "signSGD",
    shape: [4, 6],
    settings: { split: "none", state_free: "sign_sgd" },
    expected: [0.03, 0.115359612143, 0.094440026719, 0.504515949154],
  },
  {
    name: "Lion",
    shape: [4, 6],
    settings: { state_full: "lion" },
    expected: [0.03, 0.115359612143, 0.054440026719, 0.501964983761],
  },
  {
    name: "FRUGAL, blocks ascending, parameter 0",
    shape: [4, 6],
    settings: { ...FRUGAL, split: "blocks", state_free: "sign_sgd", weight_decay: 0.1 },
    chosen: block("ascending", 0),
    parameter: 0,
    expected: [0.065423868954, 0.078843935095, 0.134331516559, 0.409287508389],
  },
  {
    name: "FRUGAL, blocks ascending, parameter 2",
    shape: [4, 6],
    settings: { ...FRUGAL, split: "blocks", state_free: "sign_sgd", weight_decay: 0.1 },
    chosen: block("ascending", 2),
    parameter: 2,
    expected: [0.145663885834, 0.090968985787, 0.757749114383, 0.463931718047],
  },
  {
    name: "FRUGAL, blocks ascending, parameter 5",
    shape: [4, 6],
    settings: { ...FRUGAL, split: "blocks", state_free: "sign_sgd", weight_decay: 0.1 },
    chosen: block("ascending", 5),
    parameter: 5,
    expected: [0.164932179421, 0.078715059225, 1.386347352956, 0.443327308861],
  },
  {
    name: "FRUGAL, blocks ascending, parameter 7",
    shape: [4, 6],
    settings: { ...FRUGAL, split: "blocks", state_free: "sign_sgd", weight_decay: 0.1 },
    chosen: block("ascending", 7),
    parameter: 7,
    expected: [0.175792599021, 0.109575478411, 1.910967468163, 0.526670484095],
  },
  {
    name: "FRUGAL, blocks descending, parameter 0",
    shape: [4, 6],
    settings: { ...FRUGAL, split: "blocks", state_free: "sign_sgd", weight_decay: 0.1 },
    chosen: block("descending", 0),
    parameter: 0,
    expected: [0.092323061538, 0.052022080788, 0.236740143004, 0.37715193952],
  },
  {
    name: "FRUGAL, blocks descending, parameter 2",
    shape: [4, 6],
    settings: { ...FRUGAL, split: "blocks", state_free: "sign_sgd", weight_decay: 0.1 },
    chosen: block("descending", 2),
    parameter: 2,
    expected: [0.129171488747, 0.058884500272, 0.757306346759, 0.405467406693],
  },
  {
    name: "FRUGAL, blocks descending, parameter 5",
    shape: [4, 6],
    settings: { ...FRUGAL, split: "blocks", state_free: "sign_sgd", weight_decay: 0.1 },
    chosen: block("descending", 5),
    parameter: 5,
    expected: [0.182792927297, 0.060782176233, 1.355982357612, 0.442104926773],
  },
  {
    name: "FRUGAL, blocks descending, parameter 7",
    shape: [4, 6],
    settings: { ...FRUGAL, split: "blocks", state_free: "sign_sgd", weight_decay: 0.1 },
    chosen: block("descending", 7),
    parameter: 7,
    expected: [0.202699266114, 0.082697988963, 1.880596762621, 0.507849527459],
  },
];
