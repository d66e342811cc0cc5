// The state-full ones of the WIDTH neighbours from element `i * WIDTH` on, as bits, and the slot of the first of them:
// the k-th state-full element of a matrix, in row-major order, has slot k. `count` rows or columns are selected.
// PER_ROW, PER_COLUMN: selection has a word for each 16 rows or columns: the low half has a bit for each selected one,
// the high half the number of those before. PER_ELEMENT: two words for each 32 elements, the bits and the number
// before.
struct Selected { bits: u32, slot: u32 }

fn selected(i: u32, columns: u32, count: u32) -> Selected {
  let element = i * ${WIDTH}u;
#if ${PER_ELEMENT}
  let word = selection[(element >> 5u) * 2u];
  let shift = element & 31u;
  let before = selection[(element >> 5u) * 2u + 1u] + countOneBits(word & ((1u << shift) - 1u));
  return Selected((word >> shift) & ${MASK}u, before);
#else
  let row = element / columns;
  return selected_at(row, element - row * columns, columns, count);
#endif
}

#if ${PER_ELEMENT}
#else
// The state-full ones of WIDTH neighbours in a row from a column on, which takes no division.
fn selected_at(row: u32, column: u32, columns: u32, count: u32) -> Selected {
#if ${PER_ROW}
  let place = row;
#else
  let place = column;
#endif
  let word = selection[place >> 4u];
  let shift = place & 15u;
  let before = (word >> 16u) + countOneBits(word & ((1u << shift) - 1u));
#if ${PER_ROW}
  return Selected(((word >> shift) & 1u) * ${MASK}u, before * columns + column);
#else
  return Selected((word >> shift) & ${MASK}u, row * count + before);
#endif
}
#endif
