// Repeatable randomness for the oracles: a seed is all it takes to see a failure again.

/** A stream of pseudo-random numbers (xorshift, 32 bits of state). */
export interface Random {
  /** An unsigned 32-bit number. */
  next(): number;
  /** An integer in [0, limit). */
  below(limit: number): number;
  /** True once in `n` times. */
  oneIn(n: number): boolean;
  pick<T>(items: readonly T[]): T;
  /** 64 bits with the values at which hardware errs far more often than chance has them. */
  integer(): bigint;
  /** The bits of a double, biased likewise. */
  double(): bigint;
  /** The bits of a single, biased likewise. */
  single(): bigint;
}

const CORNER_INTEGERS: readonly bigint[] = [
  0n,
  1n,
  2n,
  -1n,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  0x100000000n,
  -0x80000000n,
  -0x80000001n,
  0x7fffffffffffffffn,
  -0x8000000000000000n,
];

export function createRandom(seed: number): Random {
  // Zero is the one state that xorshift never leaves.
  let state = Math.imul(seed + 1, 0x9e3779b1) | 0 || 1;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  // The high bits of xorshift are its better ones.
  const below = (limit: number): number => Math.floor((next() / 2 ** 32) * limit);
  const oneIn = (n: number): boolean => below(n) === 0;
  const pick = <T>(items: readonly T[]): T => {
    const item = items[below(items.length)];
    if (item === undefined) throw new RangeError("nothing to pick from");
    return item;
  };
  const word = (): bigint => (BigInt(next()) << 32n) | BigInt(next());

  const integer = (): bigint => {
    switch (below(5)) {
      case 0:
        return BigInt.asUintN(64, pick(CORNER_INTEGERS) + BigInt(below(3) - 1));
      case 1:
        return 1n << BigInt(below(64));
      case 2:
        return BigInt.asUintN(64, BigInt(below(512) - 256));
      case 3:
        return word() >> BigInt(below(64));
      default:
        return word();
    }
  };

  const float = (exponentBits: number, fractionBits: number): bigint => {
    const top = 2 ** exponentBits - 1;
    const bias = top >> 1;
    const exponent = pick([
      () => below(top + 1),
      () => bias + below(9) - 4,
      () => bias + below(9) - 4,
      () => bias + below(2 * fractionBits) - fractionBits,
      () =>
        pick([
          0,
          0,
          1,
          2,
          bias - 1,
          bias,
          bias + 30,
          bias + 31,
          bias + 32,
          bias + 62,
          bias + 63,
          bias + 64,
          top - 1,
          top,
        ]),
    ])();
    const mask = (1n << BigInt(fractionBits)) - 1n;
    const bit = (): bigint => 1n << BigInt(below(fractionBits));
    const fraction = pick([
      () => word() & mask,
      () => word() & mask & ~(bit() - 1n),
      () => pick([0n, 0n, 1n, mask, mask - 1n, (mask + 1n) >> 1n]),
      () => bit(),
      () => mask ^ bit(),
    ])();
    const sign = BigInt(below(2)) << BigInt(exponentBits + fractionBits);
    // Beyond the range of singles, bias + 62 and the like would spill into the sign.
    return sign | (BigInt(Math.min(exponent, top)) << BigInt(fractionBits)) | fraction;
  };

  return { next, below, oneIn, pick, integer, double: () => float(11, 52), single: () => float(8, 23) };
}
