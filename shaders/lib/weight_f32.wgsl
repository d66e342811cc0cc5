// Weights in f32.
fn weight_at(i: u32) -> ${VECTOR} { return parameter[i]; }
fn put_weight(i: u32, weight: ${VECTOR}) { parameter[i] = weight; }
