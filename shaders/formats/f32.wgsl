// Numbers in f32.
#if ${FOURS}
@group(0) @binding(${BINDING}) var<storage, ${ACCESS}> ${NAME}: array<vec4f>;
#if ${LOAD4}
fn load4_${NAME}(i: u32) -> vec4f { return ${NAME}[i]; }
#endif
#if ${STORE4}
fn store4_${NAME}(i: u32, new_value: vec4f) { ${NAME}[i] = new_value; }
#endif
#else
@group(0) @binding(${BINDING}) var<storage, ${ACCESS}> ${NAME}: array<f32>;
#if ${LOAD1}
fn load1_${NAME}(i: u32) -> f32 { return ${NAME}[i]; }
#endif
#if ${LOAD2}
fn load2_${NAME}(i: u32) -> vec2f { return vec2f(${NAME}[2u * i], ${NAME}[2u * i + 1u]); }
#endif
#if ${STORE1}
fn store1_${NAME}(i: u32, new_value: f32) { ${NAME}[i] = new_value; }
#endif
#if ${LOAD4}
fn load4_${NAME}(i: u32) -> vec4f {
  return vec4f(${NAME}[4u * i], ${NAME}[4u * i + 1u], ${NAME}[4u * i + 2u], ${NAME}[4u * i + 3u]);
}
#endif
#if ${STORE4}
fn store4_${NAME}(i: u32, new_value: vec4f) {
#for c in 4
  ${NAME}[4u * i + ${c}u] = new_value[${c}];
#end
}
#endif
#endif
