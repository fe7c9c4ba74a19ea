// Floating-point instructions of SSE as the exact tier executes them: any operand, any MXCSR.
//
//     lanes of the operands ──> sse-exact-lane.ts, lane by lane ──> an unmasked exception? #XM, with the flags set and nothing else changed
//                                                               └─> results and flags written
//
// Intel SDM volume 2, under each name; volume 1, 11.5.

import type { Decoded } from "../../../isa/x86_64/decode-types.ts";
import { OPERAND } from "../../../isa/x86_64/decode-types.ts";
import { CR4, MXCSR, RFLAGS } from "../../../isa/x86_64/registers.ts";
import { BINARY32, BINARY64, type FloatFormat, Rounding } from "../../float/soft-float.ts";
import type { ExactOutcome, ExactRegisters, ExactX86 } from "../exact.ts";
import { CELL } from "../layout.ts";
import {
  add,
  type BinaryLane,
  compare,
  convertFormat,
  convertFromInteger,
  convertToInteger,
  divide,
  environmentOf,
  INT32,
  INT64,
  type LaneEnvironment,
  maximum,
  minimum,
  multiply,
  type Order,
  roundingOf,
  roundToWhole,
  settle,
  squareRoot,
  subtract,
} from "./sse-exact-lane.ts";
import { cellOf, readBits, tagMmxRegisters, writeBits } from "./sse-exact-operands.ts";

type Size = 4 | 8;

/** Lanes of a format: all of a vector, or the lowest one. */
interface Lanes {
  readonly format: FloatFormat;
  readonly size: Size;
  readonly count: number;
}

const PS: Lanes = { format: BINARY32, size: 4, count: 4 };
const PD: Lanes = { format: BINARY64, size: 8, count: 2 };
const SS: Lanes = { ...PS, count: 1 };
const SD: Lanes = { ...PD, count: 1 };

/** Computes, then writes unless an unmasked exception was found. */
function compute(registers: ExactRegisters, operate: (env: LaneEnvironment) => () => void): ExactOutcome {
  const mxcsr = registers.get(CELL.mxcsr);
  const env = environmentOf(mxcsr);
  const write = operate(env);
  const isComplete = settle(env);
  registers.set(CELL.mxcsr, mxcsr | env.settled);
  if (!isComplete) {
    return (registers.get(CELL.cr4) & CR4.OSXMMEXCPT) === 0 ? "undefined" : "simd-error";
  }
  write();
  return "done";
}

function readLanes(registers: ExactRegisters, decoded: Decoded, n: number, size: Size, count: number): bigint[] {
  const cell = cellOf(decoded, n);
  return Array.from({ length: count }, (_, lane) => readBits(registers, cell + lane * size, size));
}

function writeLanes(registers: ExactRegisters, cell: number, size: Size, lanes: readonly bigint[]): void {
  lanes.forEach((bits, lane) => writeBits(registers, cell + lane * size, size, bits));
}

/** Operand 0 takes what `operate` makes of the lanes of operands 0 and 1. */
function combine(
  { size, count }: Lanes,
  operate: (env: LaneEnvironment, a: readonly bigint[], b: readonly bigint[], control: number) => readonly bigint[],
): ExactX86 {
  return ({ registers }, decoded) => {
    const a = readLanes(registers, decoded, 0, size, count);
    const b = readLanes(registers, decoded, 1, size, count);
    return compute(registers, (env) => {
      const result = operate(env, a, b, decoded.immLo & 0xff);
      return () => writeLanes(registers, cellOf(decoded, 0), size, result);
    });
  };
}

/** A lane beyond the last one: there is none, so this is never computed with. */
const at = (lanes: readonly bigint[], n: number): bigint => lanes[n] ?? 0n;

const binary = (lanes: Lanes, operate: BinaryLane): ExactX86 =>
  combine(lanes, (env, a, b) => a.map((bits, n) => operate(lanes.format, env, bits, at(b, n))));

const root = (lanes: Lanes): ExactX86 =>
  combine(lanes, (env, _, b) => b.map((bits) => squareRoot(lanes.format, env, bits)));

/** Subtracts in even lanes, adds in odd ones. */
const addSubtract = (lanes: Lanes): ExactX86 =>
  combine(lanes, (env, a, b) =>
    a.map((bits, n) => ((n & 1) === 0 ? subtract : add)(lanes.format, env, bits, at(b, n))),
  );

/** Neighbours combined: those of the destination, then those of the source. */
const horizontal = (lanes: Lanes, operate: BinaryLane): ExactX86 =>
  combine(lanes, (env, a, b) => {
    const all = [...a, ...b];
    return a.map((_, n) => operate(lanes.format, env, at(all, 2 * n), at(all, 2 * n + 1)));
  });

/** The products that the control selects (bits 4 on), summed by pairs, in the lanes that it selects (bits 0 on). */
const dotProduct = (lanes: Lanes): ExactX86 =>
  combine(lanes, (env, a, b, control) => {
    const { format } = lanes;
    let terms = a.map((bits, n) => (((control >> (4 + n)) & 1) === 0 ? 0n : multiply(format, env, bits, at(b, n))));
    while (terms.length > 1 && settle(env)) {
      const pairs = terms;
      terms = Array.from({ length: pairs.length / 2 }, (_, n) =>
        add(format, env, at(pairs, 2 * n), at(pairs, 2 * n + 1)),
      );
    }
    return a.map((_, n) => (((control >> n) & 1) === 0 ? 0n : at(terms, 0)));
  });

/** By the control's low bits: whether the comparison holds, and whether quiet NaNs are invalid. Bit 2 negates. SDM volume 2, CMPPD. */
const PREDICATES: readonly (readonly [holds: (order: Order) => boolean, nans: "quiet" | "signaling"])[] = [
  [(order) => order === "equal", "quiet"],
  [(order) => order === "less", "signaling"],
  [(order) => order === "less" || order === "equal", "signaling"],
  [(order) => order === "unordered", "quiet"],
];

const compareLanes = (lanes: Lanes): ExactX86 =>
  combine(lanes, (env, a, b, control) => {
    const [holds, nans] = PREDICATES[control & 3] ?? [() => false, "quiet"];
    const isNegated = (control & 4) !== 0;
    const all = (1n << BigInt(lanes.size * 8)) - 1n;
    return a.map((bits, n) => (holds(compare(lanes.format, env, bits, at(b, n), nans)) === isNegated ? 0n : all));
  });

const ORDER_FLAGS: Readonly<Record<Order, number>> = {
  unordered: RFLAGS.ZF | RFLAGS.PF | RFLAGS.CF,
  less: RFLAGS.CF,
  equal: RFLAGS.ZF,
  greater: 0,
};

const compareToFlags =
  ({ format, size }: Lanes, nans: "quiet" | "signaling"): ExactX86 =>
  ({ registers }, decoded) =>
    compute(registers, (env) => {
      const [a, b] = [0, 1].map((n) => readBits(registers, cellOf(decoded, n), size));
      const order = compare(format, env, a ?? 0n, b ?? 0n, nans);
      return () => registers.setArithmeticFlags(ORDER_FLAGS[order]);
    });

/** Control: rounding mode (bits 1-0), or MXCSR's (bit 2); no PE (bit 3). */
const round = (lanes: Lanes): ExactX86 =>
  combine(lanes, (env, _, b, control) => {
    const rounding = (control & 4) === 0 ? roundingOf(control) : env.rounding;
    const inexact = (control & 8) === 0 ? "raised" : "suppressed";
    return b.map((bits) => roundToWhole(lanes.format, env, bits, rounding, inexact));
  });

// --- Conversions -----------------------------------------------------------------------------------------------------

/**
 * Lanes of operand 1 to lanes of operand 0, and zeros up to `width` bytes. The x87 side effects of MMX come along where operand 0 is an MMX register, or
 * operand 1 is one.
 */
function convert(
  count: number,
  from: Size,
  to: Size,
  width: number,
  lane: (env: LaneEnvironment, bits: bigint) => bigint,
): ExactX86 {
  return ({ registers }, decoded) => {
    const source = readLanes(registers, decoded, 1, from, count);
    return compute(registers, (env) => {
      const result = source.map((bits) => lane(env, bits));
      while (result.length * to < width) result.push(0n);
      return () => {
        if (decoded.operands[0].kind === OPERAND.mmx || decoded.operands[1].kind === OPERAND.mmx) {
          tagMmxRegisters(registers, decoded.operands[0]);
        }
        writeLanes(registers, cellOf(decoded, 0), to, result);
      };
    });
  };
}

type RoundingChoice = "current" | "truncate";

const toInt32 =
  ({ format }: Lanes, rounding: RoundingChoice) =>
  (env: LaneEnvironment, bits: bigint): bigint =>
    convertToInteger(format, env, bits, INT32, rounding === "truncate" ? Rounding.RTZ : env.rounding);

const fromInt32 =
  ({ format }: Lanes) =>
  (env: LaneEnvironment, bits: bigint): bigint =>
    convertFromInteger(format, env, BigInt.asIntN(32, bits));

const toFormat =
  (from: Lanes, to: Lanes) =>
  (env: LaneEnvironment, bits: bigint): bigint =>
    convertFormat(from.format, to.format, env, bits);

/** To a general register of 4 or 8 bytes. */
const toRegister =
  ({ format, size }: Lanes, rounding: RoundingChoice): ExactX86 =>
  ({ registers }, decoded) => {
    const range = decoded.operands[0].size === 8 ? INT64 : INT32;
    const bits = readBits(registers, cellOf(decoded, 1), size);
    return compute(registers, (env) => {
      const mode = rounding === "truncate" ? Rounding.RTZ : env.rounding;
      const value = convertToInteger(format, env, bits, range, mode);
      const result = range === INT32 ? BigInt.asUintN(32, value) : value;
      return () => writeBits(registers, cellOf(decoded, 0), 8, result);
    });
  };

/** From a general register or memory of 4 or 8 bytes. */
const fromRegister =
  ({ format, size }: Lanes): ExactX86 =>
  ({ registers }, decoded) => {
    const width = decoded.operands[1].size === 8 ? 8 : 4;
    const value = BigInt.asIntN(width * 8, readBits(registers, cellOf(decoded, 1), width));
    return compute(registers, (env) => {
      const bits = convertFromInteger(format, env, value);
      return () => writeBits(registers, cellOf(decoded, 0), size, bits);
    });
  };

// --- Approximations --------------------------------------------------------------------------------------------------

/** 1 / a, or 1 / sqrt(a), to nearest; denormal operands count as zeros, denormal results are zeros; nothing is raised. */
const approximate = (lanes: Lanes, which: "reciprocal" | "reciprocal of root"): ExactX86 => {
  const one = BigInt(BINARY32.maxExponent) << BigInt(BINARY32.fractionBits);
  // As with everything masked, DAZ and FTZ.
  const mxcsr = MXCSR.RESET | MXCSR.DAZ | MXCSR.FTZ;
  return ({ registers }, decoded) => {
    const source = readLanes(registers, decoded, 1, lanes.size, lanes.count);
    const result = source.map((bits) => {
      const env = environmentOf(mxcsr);
      const divisor = which === "reciprocal" ? bits : squareRoot(BINARY32, env, bits);
      return divide(BINARY32, env, one, divisor);
    });
    writeLanes(registers, cellOf(decoded, 0), lanes.size, result);
    return "done";
  };
};

export const exactSseFloat = {
  addps: binary(PS, add),
  addpd: binary(PD, add),
  addss: binary(SS, add),
  addsd: binary(SD, add),
  subps: binary(PS, subtract),
  subpd: binary(PD, subtract),
  subss: binary(SS, subtract),
  subsd: binary(SD, subtract),
  mulps: binary(PS, multiply),
  mulpd: binary(PD, multiply),
  mulss: binary(SS, multiply),
  mulsd: binary(SD, multiply),
  divps: binary(PS, divide),
  divpd: binary(PD, divide),
  divss: binary(SS, divide),
  divsd: binary(SD, divide),
  sqrtps: root(PS),
  sqrtpd: root(PD),
  sqrtss: root(SS),
  sqrtsd: root(SD),
  minps: binary(PS, minimum),
  minpd: binary(PD, minimum),
  minss: binary(SS, minimum),
  minsd: binary(SD, minimum),
  maxps: binary(PS, maximum),
  maxpd: binary(PD, maximum),
  maxss: binary(SS, maximum),
  maxsd: binary(SD, maximum),
  addsubps: addSubtract(PS),
  addsubpd: addSubtract(PD),
  haddps: horizontal(PS, add),
  haddpd: horizontal(PD, add),
  hsubps: horizontal(PS, subtract),
  hsubpd: horizontal(PD, subtract),
  dpps: dotProduct(PS),
  dppd: dotProduct(PD),
  cmpps: compareLanes(PS),
  cmppd: compareLanes(PD),
  cmpss: compareLanes(SS),
  cmpsd: compareLanes(SD),
  comiss: compareToFlags(SS, "signaling"),
  comisd: compareToFlags(SD, "signaling"),
  ucomiss: compareToFlags(SS, "quiet"),
  ucomisd: compareToFlags(SD, "quiet"),
  roundps: round(PS),
  roundpd: round(PD),
  roundss: round(SS),
  roundsd: round(SD),
  rcpps: approximate(PS, "reciprocal"),
  rcpss: approximate(SS, "reciprocal"),
  rsqrtps: approximate(PS, "reciprocal of root"),
  rsqrtss: approximate(SS, "reciprocal of root"),

  cvtdq2ps: convert(4, 4, 4, 16, fromInt32(PS)),
  cvtdq2pd: convert(2, 4, 8, 16, fromInt32(PD)),
  cvtps2dq: convert(4, 4, 4, 16, toInt32(PS, "current")),
  cvttps2dq: convert(4, 4, 4, 16, toInt32(PS, "truncate")),
  cvtpd2dq: convert(2, 8, 4, 16, toInt32(PD, "current")),
  cvttpd2dq: convert(2, 8, 4, 16, toInt32(PD, "truncate")),
  cvtps2pd: convert(2, 4, 8, 16, toFormat(PS, PD)),
  cvtpd2ps: convert(2, 8, 4, 16, toFormat(PD, PS)),
  cvtss2sd: convert(1, 4, 8, 8, toFormat(SS, SD)),
  cvtsd2ss: convert(1, 8, 4, 4, toFormat(SD, SS)),
  cvtpi2ps: convert(2, 4, 4, 8, fromInt32(PS)),
  cvtpi2pd: convert(2, 4, 8, 16, fromInt32(PD)),
  cvtps2pi: convert(2, 4, 4, 8, toInt32(PS, "current")),
  cvttps2pi: convert(2, 4, 4, 8, toInt32(PS, "truncate")),
  cvtpd2pi: convert(2, 8, 4, 8, toInt32(PD, "current")),
  cvttpd2pi: convert(2, 8, 4, 8, toInt32(PD, "truncate")),
  cvtss2si: toRegister(SS, "current"),
  cvtsd2si: toRegister(SD, "current"),
  cvttss2si: toRegister(SS, "truncate"),
  cvttsd2si: toRegister(SD, "truncate"),
  cvtsi2ss: fromRegister(SS),
  cvtsi2sd: fromRegister(SD),
} satisfies Record<string, ExactX86>;
