// Moments in eight bits (Dettmers et al., "8-bit Optimizers via Block-wise Quantization", 2022): blocks of 256 numbers,
// 65 words each: the largest absolute value, then four codes a word. codes: the 256 values of the signed map, then
// those of the unsigned.
const BLOCK_WORDS = 65u;

fn dequantize(word: u32, largest: f32, table: u32) -> vec4f {
  let code = vec4u(word & 255u, (word >> 8u) & 255u, (word >> 16u) & 255u, word >> 24u) + table;
  return largest * vec4f(codes[code.x], codes[code.y], codes[code.z], codes[code.w]);
}

// The code whose value is nearest, the lower of two that are equally near.
fn nearest_code(value: f32, table: u32) -> u32 {
  var low = 0u;
  for (var jump = 128u; jump > 0u; jump /= 2u) { if (codes[table + low + jump] <= value) { low += jump; } }
  let high = min(low + 1u, 255u);
  return select(low, high, codes[table + high] - value < value - codes[table + low]);
}

fn quantize(x: vec4f, largest: f32, table: u32) -> u32 {
  let scaled = x * select(1.0 / largest, 0.0, largest == 0.0);
  return nearest_code(scaled.x, table) | (nearest_code(scaled.y, table) << 8u) |
    (nearest_code(scaled.z, table) << 16u) | (nearest_code(scaled.w, table) << 24u);
}

fn largest_of(x: vec4f) -> f32 {
  let size = abs(x);
  return max(max(size.x, size.y), max(size.z, size.w));
}
