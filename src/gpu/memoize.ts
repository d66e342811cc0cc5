/**
 * Remembers results by the JSON of the argument: for kernels whose text is unrolled, which takes longer than it looks.
 */
export function memoize<A, R>(make: (argument: A) => R): (argument: A) => R {
  const results = new Map<string, R>();
  return (argument) => {
    const key = JSON.stringify(argument);
    if (!results.has(key)) results.set(key, make(argument));
    return results.get(key)!;
  };
}
