/** Sets of interrupt vectors, as IRR, ISR and TMR are: 256 bits in eight words. */
export type VectorSet = number[];

export const emptyVectors = (): VectorSet => [0, 0, 0, 0, 0, 0, 0, 0];

export function hasVector(set: VectorSet, vector: number): boolean {
  return (((set[vector >> 5] ?? 0) >>> (vector & 31)) & 1) !== 0;
}

export function addVector(set: VectorSet, vector: number): void {
  set[vector >> 5] = (set[vector >> 5] ?? 0) | (1 << (vector & 31));
}

export function removeVector(set: VectorSet, vector: number): void {
  set[vector >> 5] = (set[vector >> 5] ?? 0) & ~(1 << (vector & 31));
}

/** The highest vector, which has the highest priority; -1 for none. */
export function highestVector(set: VectorSet): number {
  for (let word = 7; word >= 0; word--) {
    const bits = set[word] ?? 0;
    if (bits !== 0) return word * 32 + 31 - Math.clz32(bits);
  }
  return -1;
}
