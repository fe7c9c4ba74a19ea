// The 32 integer and 32 floating-point registers, by the names of the calling convention.
//
// RISC-V ELF psABI, "Integer Register Convention" and "Floating-point Register Convention".

/** ABI names of x0..x31. */
export const X_REGISTER_NAMES = [
  "zero",
  "ra",
  "sp",
  "gp",
  "tp",
  "t0",
  "t1",
  "t2",
  "s0",
  "s1",
  "a0",
  "a1",
  "a2",
  "a3",
  "a4",
  "a5",
  "a6",
  "a7",
  "s2",
  "s3",
  "s4",
  "s5",
  "s6",
  "s7",
  "s8",
  "s9",
  "s10",
  "s11",
  "t3",
  "t4",
  "t5",
  "t6",
] as const;

/** ABI names of f0..f31. */
export const F_REGISTER_NAMES = [
  "ft0",
  "ft1",
  "ft2",
  "ft3",
  "ft4",
  "ft5",
  "ft6",
  "ft7",
  "fs0",
  "fs1",
  "fa0",
  "fa1",
  "fa2",
  "fa3",
  "fa4",
  "fa5",
  "fa6",
  "fa7",
  "fs2",
  "fs3",
  "fs4",
  "fs5",
  "fs6",
  "fs7",
  "fs8",
  "fs9",
  "fs10",
  "fs11",
  "ft8",
  "ft9",
  "ft10",
  "ft11",
] as const;

/** Numbers of the integer registers that code names most. */
export const X = {
  zero: 0,
  ra: 1,
  sp: 2,
  gp: 3,
  tp: 4,
  t0: 5,
  t1: 6,
  t2: 7,
  s0: 8,
  s1: 9,
  a0: 10,
  a1: 11,
  a2: 12,
  a3: 13,
  a4: 14,
  a5: 15,
  a6: 16,
  a7: 17,
  s2: 18,
  s3: 19,
  s4: 20,
  s5: 21,
  s6: 22,
  s7: 23,
  s8: 24,
  s9: 25,
  s10: 26,
  s11: 27,
  t3: 28,
  t4: 29,
  t5: 30,
  t6: 31,
} as const;

/** The number of an integer register from its ABI name, `x` name, or `fp`. */
export function xRegisterNumber(name: string): number | undefined {
  return xNumbers.get(name);
}

/** The number of a floating-point register from its ABI name or `f` name. */
export function fRegisterNumber(name: string): number | undefined {
  return fNumbers.get(name);
}

/** The ABI name of x`n`. */
export function xRegisterName(n: number): string {
  return X_REGISTER_NAMES[n] ?? `x${n}`;
}

/** The ABI name of f`n`. */
export function fRegisterName(n: number): string {
  return F_REGISTER_NAMES[n] ?? `f${n}`;
}

const xNumbers: ReadonlyMap<string, number> = new Map([...numbersOf(X_REGISTER_NAMES, "x"), ["fp", 8]]);
const fNumbers: ReadonlyMap<string, number> = new Map(numbersOf(F_REGISTER_NAMES, "f"));

function numbersOf(abiNames: readonly string[], prefix: string): [string, number][] {
  return abiNames.flatMap((name, n): [string, number][] => [
    [name, n],
    [`${prefix}${n}`, n],
  ]);
}
