/**
 * Instructions of x87 that move numbers: loads, stores, constants, exchanges, conditional moves.
 *
 * Intel SDM volume 1, 8.3.3 and 8.3.4; volume 2, FLD, FST, FILD, FIST, FISTTP, FBLD, FBSTP, FXCH, FCMOVcc, FLD1/….
 */
import type { Decoded } from "../../isa/x86_64/decode-types.ts";
import { RFLAGS } from "../../isa/x86_64/registers.ts";
import { toInteger } from "../float/extended-arithmetic.ts";
import { fromDecimal, toDecimal, toDouble, toSingle } from "../float/extended-convert.ts";
import {
  BIAS,
  BEFORE_COMPUTATION,
  Exception,
  type Extended,
  type ExtendedEnvironment,
  INDEFINITE,
  ONE,
  propagateOne,
  significandOf,
  withSignificand,
  zero,
} from "../float/extended.ts";
import { Rounding } from "../float/format.ts";
import type { ExactHart, ExactOutcome, ExactRegisters, ExactX86 } from "./exact.ts";
import { CELL } from "./layout.ts";
import { isRealDenormal, memoryOperand, readInteger, readReal, stackOperand, waiting } from "./x87-operands.ts";
import {
  accrue,
  environmentOf,
  faultStack,
  isEmpty,
  pop,
  push,
  readExtended,
  readStack,
  writeExtended,
  writeStack,
} from "./x87-state.ts";

// --- Loads ---------------------------------------------------------------------------------------------------------

type Source = (registers: ExactRegisters, env: ExtendedEnvironment, decoded: Decoded) => Extended;

/** Pushes a number; where st(7) is not empty, the stack overflows. */
function load(source: Source): ExactX86 {
  return waiting((hart, decoded) => {
    const { registers } = hart;
    if (!isEmpty(registers, 7)) {
      if (faultStack(hart, "overflow")) push(registers, INDEFINITE);
      return "done";
    }
    const env = environmentOf(registers);
    const value = source(registers, env, decoded);
    accrue(hart, env.flags, false);
    // A denormal number is loaded even where that exception is not masked.
    if ((env.flags & env.unmasked & Exception.invalid) === 0) push(registers, value);
    return "done";
  });
}

const sizeOf = (decoded: Decoded): number => memoryOperand(decoded)?.size ?? 0;

const loadReal = load((registers, env, decoded) => {
  const size = sizeOf(decoded);
  const value = readReal(registers, size);
  // The 10-byte form is a move of bits.
  if (size === 10) return value;
  if (isRealDenormal(registers, size)) env.flags |= Exception.denormal;
  return propagateOne(env, value) ?? value;
});
const loadRegister: ExactX86 = waiting((hart, decoded) => {
  const { registers } = hart;
  const index = stackOperand(decoded, 0);
  const isMissing = isEmpty(registers, index);
  if (isMissing || !isEmpty(registers, 7)) {
    if (faultStack(hart, isMissing ? "underflow" : "overflow")) push(registers, INDEFINITE);
    return "done";
  }
  const value = readStack(registers, index);
  accrue(hart, 0, false);
  push(registers, value);
  return "done";
});

/**
 * A constant of which the processor knows more bits than a register has: `significand` is cut off, and what is cut off is more
 * than half of the last bit, or not.
 */
function constant(exponent: number, significand: bigint, rest: "more than half" | "less than half"): ExactX86 {
  const low = withSignificand(exponent + BIAS, significand);
  const high = withSignificand(exponent + BIAS, significand + 1n);
  const nearest = rest === "more than half" ? high : low;
  return load((_, { rounding }) => (rounding === Rounding.RNE ? nearest : rounding === Rounding.RUP ? high : low));
}

// --- Stores --------------------------------------------------------------------------------------------------------

/** Converts, and puts the result at CELL.operand. */
type Sink = (registers: ExactRegisters, env: ExtendedEnvironment, value: Extended, decoded: Decoded) => void;

/** Exceptions that, unmasked, keep memory as it is. */
const BEFORE_STORE = BEFORE_COMPUTATION | Exception.overflow | Exception.underflow;

function store(sink: Sink, after: "keep" | "pop"): ExactX86 {
  return waiting((hart, decoded) => {
    const { registers } = hart;
    const env = environmentOf(registers);
    if (isEmpty(registers, 0)) {
      if (!faultStack(hart, "underflow")) return "suppressed";
      sink(registers, env, INDEFINITE, decoded);
    } else {
      sink(registers, env, readStack(registers, 0), decoded);
      const isStopped = (env.flags & env.unmasked & BEFORE_STORE) !== 0;
      accrue(hart, isStopped ? env.flags & BEFORE_STORE : env.flags, env.isRoundedUp && !isStopped);
      if (isStopped) return "suppressed";
    }
    if (after === "pop") pop(registers);
    return "done";
  });
}

const storeReal: Sink = (registers, env, value, decoded) => {
  switch (sizeOf(decoded)) {
    case 4:
      registers.set(CELL.operand, toSingle(env, value));
      break;
    case 8: {
      const { hi, lo } = toDouble(env, value);
      registers.setWords(CELL.operand, lo, hi);
      break;
    }
    default:
      // All bits as they are, whatever they stand for.
      writeExtended(registers, CELL.operand, value);
  }
};

const storeInteger: Sink = (registers, env, value, decoded) => {
  const size = sizeOf(decoded);
  const integer = toInteger(env, value, size);
  if (integer !== undefined) registers.setWords(CELL.operand, integer.lo, integer.hi);
  // "Integer indefinite", the least one.
  else if (size === 8) registers.setWords(CELL.operand, 0, -0x80000000);
  else registers.set(CELL.operand, size === 2 ? 0x8000 : -0x80000000);
};

const storeTruncated: Sink = (registers, env, value, decoded) => {
  env.rounding = Rounding.RTZ;
  storeInteger(registers, env, value, decoded);
};

const storeDecimal: Sink = (registers, env, value) => {
  const digits = toDecimal(env, value);
  writeExtended(registers, CELL.operand, withSignificand(Number(digits >> 64n), digits));
};

function storeRegister(after: "keep" | "pop"): ExactX86 {
  return (hart, decoded) => {
    const { registers } = hart;
    if (!isEmpty(registers, 0)) {
      accrue(hart, 0, false);
      writeStack(registers, stackOperand(decoded, 0), readStack(registers, 0));
    } else if (faultStack(hart, "underflow")) writeStack(registers, stackOperand(decoded, 0), INDEFINITE);
    else return "done";
    if (after === "pop") pop(registers);
    return "done";
  };
}

/** One instruction by whether it has a memory operand. */
function byOperand(ofMemory: ExactX86, ofRegister: ExactX86): ExactX86 {
  return (hart, decoded) => (memoryOperand(decoded) === undefined ? ofRegister : ofMemory)(hart, decoded);
}

// --- Moves within the stack ----------------------------------------------------------------------------------------

/** st(0) and st(i), after the missing ones have become indefinite; undefined where they must not. */
function takePair(hart: ExactHart, index: number): readonly [Extended, Extended] | undefined {
  const { registers } = hart;
  const [isFirstMissing, isSecondMissing] = [isEmpty(registers, 0), isEmpty(registers, index)];
  if (isFirstMissing || isSecondMissing) {
    if (!faultStack(hart, "underflow")) return undefined;
  } else accrue(hart, 0, false);
  return [
    isFirstMissing ? INDEFINITE : readStack(registers, 0),
    isSecondMissing ? INDEFINITE : readStack(registers, index),
  ];
}

const exchange: ExactX86 = waiting((hart, decoded) => {
  const index = stackOperand(decoded, 1);
  const pair = takePair(hart, index);
  if (pair === undefined) return "done";
  writeStack(hart.registers, 0, pair[1]);
  writeStack(hart.registers, index, pair[0]);
  return "done";
});

/** Moves where any of `flags` is set, or where none is. */
function moveIf(wanted: "any" | "none", flags: number): ExactX86 {
  return waiting((hart, decoded): ExactOutcome => {
    const { registers } = hart;
    const index = stackOperand(decoded, 0);
    const isMissing = isEmpty(registers, 0) || isEmpty(registers, index);
    if (isMissing) {
      if (faultStack(hart, "underflow")) writeStack(registers, 0, INDEFINITE);
      return "done";
    }
    const isAny = (registers.arithmeticFlags() & flags) !== 0;
    if (isAny === (wanted === "any")) writeStack(registers, 0, readStack(registers, index));
    return "done";
  });
}

export const transferSemantics = {
  fld: byOperand(loadReal, loadRegister),
  fild: load((registers, _, decoded) => readInteger(registers, sizeOf(decoded))),
  fbld: load((registers) => {
    const bits = readExtended(registers, CELL.operand);
    return fromDecimal((BigInt(bits.head) << 64n) | significandOf(bits));
  }),
  fldz: load(() => zero(false)),
  fld1: load(() => ONE),
  fldl2t: constant(1, 0xd49a784bcd1b8afen, "less than half"),
  fldl2e: constant(0, 0xb8aa3b295c17f0bbn, "more than half"),
  fldpi: constant(1, 0xc90fdaa22168c234n, "more than half"),
  fldlg2: constant(-2, 0x9a209a84fbcff798n, "more than half"),
  fldln2: constant(-1, 0xb17217f7d1cf79abn, "more than half"),
  fst: byOperand(store(storeReal, "keep"), waiting(storeRegister("keep"))),
  fstp: byOperand(store(storeReal, "pop"), waiting(storeRegister("pop"))),
  fist: store(storeInteger, "keep"),
  fistp: store(storeInteger, "pop"),
  fisttp: store(storeTruncated, "pop"),
  fbstp: store(storeDecimal, "pop"),
  fxch: exchange,
  fcmovb: moveIf("any", RFLAGS.CF),
  fcmove: moveIf("any", RFLAGS.ZF),
  fcmovbe: moveIf("any", RFLAGS.CF | RFLAGS.ZF),
  fcmovu: moveIf("any", RFLAGS.PF),
  fcmovnb: moveIf("none", RFLAGS.CF),
  fcmovne: moveIf("none", RFLAGS.ZF),
  fcmovnbe: moveIf("none", RFLAGS.CF | RFLAGS.ZF),
  fcmovnu: moveIf("none", RFLAGS.PF),
} satisfies Record<string, ExactX86>;
