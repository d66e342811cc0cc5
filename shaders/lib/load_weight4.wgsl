// Four neighbours of the matrix ${STORED}, which has ${NUMBERS} numbers, rows of multiples of four, and is stored in
// one of the formats of src/gpu/formats. `at` counts fours. A group of 64 that shares a scale holds 16 of them.
#if ${BF16}
fn load_weight4(at: u32) -> vec4f { return unpack_bf16(${STORED}[at]); }
#elif ${F16}
fn load_weight4(at: u32) -> vec4f { return unpack_f16(${STORED}[at]); }
#elif ${INT8}
fn load_weight4(at: u32) -> vec4f { return unpack_int8(${STORED}[at], ${STORED}[${NUMBERS} / 4u + at / 16u]); }
#elif ${NF4}
fn load_weight4(at: u32) -> vec4f {
  return unpack_nf4(${STORED}[at / 2u] >> (at % 2u * 16u), ${STORED}[(${NUMBERS} + 7u) / 8u + at / 16u]);
}
#endif
