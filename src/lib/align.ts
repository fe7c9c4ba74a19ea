// Alignment of addresses and sizes. They are JS numbers up to 2^53 and may be negative (the upper half of a 64-bit address
// space), so nothing here uses 32-bit bit operations. Alignments are positive; they need not be powers of two.

/** The largest multiple of `alignment` that is not above `value`. */
export function alignDown(value: number, alignment: number): number {
  return Math.floor(value / alignment) * alignment;
}

/** The smallest multiple of `alignment` that is not below `value`. */
export function alignUp(value: number, alignment: number): number {
  // Adding 0 turns the -0 that Math.ceil gives for (-1, 0) into 0.
  return Math.ceil(value / alignment) * alignment + 0;
}

export function isAligned(value: number, alignment: number): boolean {
  return value % alignment === 0;
}
