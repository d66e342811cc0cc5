// One pass of shifted Cholesky QR, from the Gram matrix S = Y^T Y to the X that makes Y X^T orthonormal:
// D = diag(S)^-1/2; L L^T = D S D + shift I; X = L^-1 D and good = 1 if all of diag(S) and all pivots were finite and
// large enough, else 0; ANDed with what good holds unless fresh.
// gram: (k, k) S, overwritten with L^T above the diagonal; inverse: (k, k) X, lower triangular with zeros; good: (1).
// One workgroup, threads stride over columns; four rows at a time, so that a thread has four sums for each number it
// loads and the barriers are few. The factor is kept transposed: neighbouring threads read neighbouring numbers.
// Barriers only between rows that depend on each other, so software adapters, which run one workgroup on one core
// anyway, have no use for another form. Loops have fixed bounds, whatever S holds. Launch: 1 workgroup. Any k up to
// 768: on llvmpipe (Mesa 22.3) all loops of a thread together end after 65 535 turns.

// The squared norm of a column that counts as zero: numbers half as small are lost when they are squared.
const SMALLEST = 1e-30;

var<workgroup> bad: atomic<u32>;

// The triangle of four rows of L^T on the diagonal, with the inverse of the diagonal itself.
struct Triangle { inverse: vec4f, r01: f32, r02: f32, r03: f32, r12: f32, r13: f32, r23: f32 }

// Rows and columns past the end give what lies at the end: it ends up in components that are never stored.
fn entry(row: u32, column: u32) -> f32 {
  return gram[min(row, params.k - 1u) * params.k + min(column, params.k - 1u)];
}

// Four neighbours in a row that has a row below it.
fn four_across(row: u32, column: u32) -> vec4f {
  let at = row * params.k + column;
  return vec4f(gram[at], gram[at + 1u], gram[at + 2u], gram[at + 3u]);
}

fn four_below(row: u32, column: u32) -> vec4f {
  return vec4f(entry(row, column), entry(row + 1u, column), entry(row + 2u, column), entry(row + 3u, column));
}

fn store_below(row: u32, column: u32, value: vec4f) {
  let at = row * params.k + column;
  gram[at] = value.x;
  if (row + 1u < params.k) { gram[at + params.k] = value.y; }
  if (row + 2u < params.k) { gram[at + 2u * params.k] = value.z; }
  if (row + 3u < params.k) { gram[at + 3u * params.k] = value.w; }
}

// D, kept on the diagonal of `inverse` until its column is computed.
fn scale_of(column: u32) -> f32 {
  let c = min(column, params.k - 1u);
  return inverse[c * params.k + c];
}

fn is_bad(value: f32, least: f32) -> bool { return !(is_finite(value) && value > least); }

// Factorises the four rows on the diagonal; `lane` 0 reports the pivots.
fn factorise(j: u32, lane: u32) -> Triangle {
  let row0 = vec4f(entry(j, j), entry(j, j + 1u), entry(j, j + 2u), entry(j, j + 3u));
  let inverse0 = inverseSqrt(row0.x);
  let r0 = row0.yzw * inverse0;
  let pivot1 = entry(j + 1u, j + 1u) - r0.x * r0.x;
  let inverse1 = inverseSqrt(pivot1);
  let r12 = (entry(j + 1u, j + 2u) - r0.x * r0.y) * inverse1;
  let r13 = (entry(j + 1u, j + 3u) - r0.x * r0.z) * inverse1;
  let pivot2 = entry(j + 2u, j + 2u) - r0.y * r0.y - r12 * r12;
  let inverse2 = inverseSqrt(pivot2);
  let r23 = (entry(j + 2u, j + 3u) - r0.y * r0.z - r12 * r13) * inverse2;
  let pivot3 = entry(j + 3u, j + 3u) - r0.z * r0.z - r13 * r13 - r23 * r23;
  let left = params.k - j;
  let least = params.least_pivot;
  let spoilt = is_bad(row0.x, least) || (left > 1u && is_bad(pivot1, least)) ||
    (left > 2u && is_bad(pivot2, least)) || (left > 3u && is_bad(pivot3, least));
  if (lane == 0u && spoilt) { atomicStore(&bad, 1u); }
  return Triangle(vec4f(inverse0, inverse1, inverse2, inverseSqrt(pivot3)), r0.x, r0.y, r0.z, r12, r13, r23);
}

fn factorised(j: u32) -> Triangle {
  let diagonal = vec4f(entry(j, j), entry(j + 1u, j + 1u), entry(j + 2u, j + 2u), entry(j + 3u, j + 3u));
  return Triangle(
    1.0 / diagonal,
    entry(j, j + 1u), entry(j, j + 2u), entry(j, j + 3u),
    entry(j + 1u, j + 2u), entry(j + 1u, j + 3u),
    entry(j + 2u, j + 3u),
  );
}

// The y of L y = x, for the four rows of L that `t` has.
fn solve(t: Triangle, x: vec4f) -> vec4f {
  let y0 = x.x * t.inverse.x;
  let y1 = (x.y - t.r01 * y0) * t.inverse.y;
  let y2 = (x.z - t.r02 * y0 - t.r12 * y1) * t.inverse.z;
  let y3 = (x.w - t.r03 * y0 - t.r13 * y1 - t.r23 * y2) * t.inverse.w;
  return vec4f(y0, y1, y2, y3);
}

// Four rows of D S D + shift I in a column, less what the rows above explain.
fn remainder_of(j: u32, i: u32) -> vec4f {
  let scales = vec4f(scale_of(j), scale_of(j + 1u), scale_of(j + 2u), scale_of(j + 3u));
  let on_diagonal = vec4u(j, j + 1u, j + 2u, j + 3u) == vec4u(i);
  var sum = four_below(j, i) * scale_of(i) * scales + select(vec4f(0.0), vec4f(params.shift), on_diagonal);
  for (var p = 0u; p < j; p += 4u) {
    let at = p * params.k + i;
    sum -= four_across(p, j) * gram[at];
    sum -= four_across(p + 1u, j) * gram[at + params.k];
    sum -= four_across(p + 2u, j) * gram[at + 2u * params.k];
    sum -= four_across(p + 3u, j) * gram[at + 3u * params.k];
  }
  return sum;
}

// Column c of X, from the top down: forward substitution.
fn invert_column(c: u32) {
  let k = params.k;
  let scale = scale_of(c);
  let start = c / 4u * 4u;
  for (var i = 0u; i < start; i++) { inverse[i * k + c] = 0.0; }
  for (var i = start; i < k; i += 4u) {
    var sum = select(vec4f(0.0), vec4f(scale), vec4u(i, i + 1u, i + 2u, i + 3u) == vec4u(c));
    for (var p = start; p < i; p += 4u) {
      let at = p * k + c;
      sum -= four_across(p, i) * inverse[at];
      sum -= four_across(p + 1u, i) * inverse[at + k];
      sum -= four_across(p + 2u, i) * inverse[at + 2u * k];
      sum -= four_across(p + 3u, i) * inverse[at + 3u * k];
    }
    let y = solve(factorised(i), sum);
    let at = i * k + c;
    inverse[at] = y.x;
    if (i + 1u < k) { inverse[at + k] = y.y; }
    if (i + 2u < k) { inverse[at + 2u * k] = y.z; }
    if (i + 3u < k) { inverse[at + 3u * k] = y.w; }
  }
}

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(local_invocation_index) lane: u32) {
  let k = params.k;
  for (var c = lane; c < k; c += ${WORKGROUP}u) {
    let square = gram[c * k + c];
    if (is_bad(square, SMALLEST)) { atomicStore(&bad, 1u); }
    inverse[c * k + c] = inverseSqrt(square);
  }
  storageBarrier();
  for (var j = 0u; j < k; j += 4u) {
    for (var i = j + lane; i < k; i += ${WORKGROUP}u) { store_below(j, i, remainder_of(j, i)); }
    storageBarrier();
    let triangle = factorise(j, lane);
    // Nobody may overwrite the triangle before all have read it.
    storageBarrier();
    for (var i = j + lane; i < k; i += ${WORKGROUP}u) { store_below(j, i, solve(triangle, four_below(j, i))); }
    storageBarrier();
  }
  for (var c = lane; c < k; c += ${WORKGROUP}u) { invert_column(c); }
  workgroupBarrier();
  if (lane == 0u) {
    let verdict = 1u - atomicLoad(&bad);
    if (params.fresh != 0u) { good[0] = verdict; } else { good[0] &= verdict; }
  }
}
