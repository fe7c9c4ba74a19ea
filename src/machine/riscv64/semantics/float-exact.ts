// Floating-point instructions as the exact tier executes them: any operand, any rounding mode, all flags.
//
//     registers --> operands (NaN boxes opened) --> soft-float --> result (boxed), flags --> registers
//
// Rows exist for every instruction that rounds, compares or looks at a NaN box: those whose emitted form may leave by `slow`.

import type { Decoded } from "../../../isa/riscv64/decode.ts";
import {
  convertFormat,
  fromInteger,
  INT32,
  INT64,
  type IntegerRange,
  toInteger,
  UINT32,
  UINT64,
} from "../../float/convert.ts";
import {
  add,
  BINARY32,
  BINARY64,
  classify,
  divide,
  type FloatEnvironment,
  type FloatFormat,
  fusedMultiplyAdd,
  isEqual,
  isLess,
  isLessOrEqual,
  maximum,
  minimum,
  multiply,
  Rounding,
  squareRoot,
  subtract,
} from "../../float/soft-float.ts";
import type { ExactFloat, ExactRegisters } from "../exact.ts";
import type { FloatMnemonic } from "./float.ts";

type BitsOnlyMnemonic = "flw" | "fsw" | "fld" | "fsd" | "fmv.x.w" | "fmv.w.x" | "fmv.x.d" | "fmv.d.x";

const BOX = 0xffffffff00000000n;
const DYNAMIC = 7;

/** The rounding mode that an `rm` field stands for; undefined when it is reserved, and the instruction illegal. */
function roundingOf(hart: ExactRegisters, rm: number): Rounding | undefined {
  const mode = rm === DYNAMIC ? hart.frm : rm;
  switch (mode) {
    case Rounding.RNE:
    case Rounding.RTZ:
    case Rounding.RDN:
    case Rounding.RUP:
    case Rounding.RMM:
      return mode;
    default:
      return undefined;
  }
}

function readF(hart: ExactRegisters, format: FloatFormat, register: number): bigint {
  const low = BigInt(hart.fLo(register) >>> 0);
  const high = hart.fHi(register);
  if (format === BINARY64) return (BigInt(high >>> 0) << 32n) | low;
  return high === -1 ? low : BINARY32.canonicalNaN;
}

function writeF(hart: ExactRegisters, format: FloatFormat, register: number, bits: bigint): void {
  const boxed = format === BINARY64 ? bits : bits | BOX;
  hart.setF(register, Number(boxed & 0xffffffffn) | 0, Number(boxed >> 32n) | 0);
}

function readX(hart: ExactRegisters, register: number, range: IntegerRange): bigint {
  const low = BigInt(hart.xLo(register) >>> 0);
  switch (range) {
    case INT32:
      return BigInt.asIntN(32, low);
    case UINT32:
      return low;
    default: {
      const bits = (BigInt(hart.xHi(register) >>> 0) << 32n) | low;
      return range === INT64 ? BigInt.asIntN(64, bits) : bits;
    }
  }
}

/** Writes an integer; a 32-bit one is sign-extended, unsigned or not. */
function writeX(hart: ExactRegisters, register: number, value: bigint, range: IntegerRange): void {
  const extended = range === INT32 || range === UINT32 ? BigInt.asIntN(32, value) : value;
  hart.setX(register, Number(extended & 0xffffffffn) | 0, Number((extended >> 32n) & 0xffffffffn) | 0);
}

/** Runs `operate` under the instruction's rounding mode, and accrues its flags after all else has succeeded. */
function rounded(operate: (hart: ExactRegisters, instruction: Decoded, env: FloatEnvironment) => void): ExactFloat {
  return (hart, instruction) => {
    const rounding = roundingOf(hart, instruction.rm);
    if (rounding === undefined) return false;
    const env = { rounding, flags: 0 };
    operate(hart, instruction, env);
    if (env.flags !== 0) hart.raiseFlags(env.flags);
    return true;
  };
}

/** As `rounded`, for instructions that use funct3 for themselves and do not round. */
function unrounded(operate: (hart: ExactRegisters, instruction: Decoded, env: FloatEnvironment) => void): ExactFloat {
  const exact = rounded(operate);
  return (hart, instruction) => exact(hart, { ...instruction, rm: Rounding.RNE });
}

type BinaryOperation = (format: FloatFormat, env: FloatEnvironment, a: bigint, b: bigint) => bigint;
type Operation = (hart: ExactRegisters, instruction: Decoded, env: FloatEnvironment) => void;

function binary(format: FloatFormat, operation: BinaryOperation): Operation {
  return (hart, { rd, rs1, rs2 }, env) =>
    writeF(hart, format, rd, operation(format, env, readF(hart, format, rs1), readF(hart, format, rs2)));
}

function root(format: FloatFormat): ExactFloat {
  return rounded((hart, { rd, rs1 }, env) =>
    writeF(hart, format, rd, squareRoot(format, env, readF(hart, format, rs1))),
  );
}

/** Negating a multiplicand or the addend before the operation is exact, and so is the whole. */
function fused(format: FloatFormat, product: 1 | -1, addend: 1 | -1): ExactFloat {
  const productSign = product === 1 ? 0n : format.signBit;
  const addendSign = addend === 1 ? 0n : format.signBit;
  return rounded((hart, { rd, rs1, rs2, rs3 }, env) => {
    const a = readF(hart, format, rs1) ^ productSign;
    const c = readF(hart, format, rs3) ^ addendSign;
    writeF(hart, format, rd, fusedMultiplyAdd(format, env, a, readF(hart, format, rs2), c));
  });
}

function inject(format: FloatFormat, sign: (a: bigint, b: bigint) => bigint): ExactFloat {
  return unrounded(binary(format, (_, __, a, b) => (a & (format.signBit - 1n)) | (sign(a, b) & format.signBit)));
}

function compare(
  format: FloatFormat,
  holds: (format: FloatFormat, env: FloatEnvironment, a: bigint, b: bigint) => boolean,
): ExactFloat {
  return unrounded((hart, { rd, rs1, rs2 }, env) => {
    const result = holds(format, env, readF(hart, format, rs1), readF(hart, format, rs2));
    hart.setX(rd, result ? 1 : 0, 0);
  });
}

function classOf(format: FloatFormat): ExactFloat {
  return unrounded((hart, { rd, rs1 }) => hart.setX(rd, 1 << classify(format, readF(hart, format, rs1)), 0));
}

function toX(format: FloatFormat, range: IntegerRange): ExactFloat {
  return rounded((hart, { rd, rs1 }, env) =>
    writeX(hart, rd, toInteger(format, env, readF(hart, format, rs1), range), range),
  );
}

function fromX(format: FloatFormat, range: IntegerRange): ExactFloat {
  return rounded((hart, { rd, rs1 }, env) =>
    writeF(hart, format, rd, fromInteger(format, env, readX(hart, rs1, range))),
  );
}

function convert(from: FloatFormat, to: FloatFormat): ExactFloat {
  return rounded((hart, { rd, rs1 }, env) =>
    writeF(hart, to, rd, convertFormat(from, to, env, readF(hart, from, rs1))),
  );
}

const copied = (_: bigint, b: bigint): bigint => b;
const negated = (_: bigint, b: bigint): bigint => ~b;
const multiplied = (a: bigint, b: bigint): bigint => a ^ b;

/** The exact definitions, by mnemonic. */
export const exactFloat: Readonly<Record<Exclude<FloatMnemonic, BitsOnlyMnemonic>, ExactFloat>> = {
  "fmadd.s": fused(BINARY32, 1, 1),
  "fmsub.s": fused(BINARY32, 1, -1),
  "fnmsub.s": fused(BINARY32, -1, 1),
  "fnmadd.s": fused(BINARY32, -1, -1),
  "fadd.s": rounded(binary(BINARY32, add)),
  "fsub.s": rounded(binary(BINARY32, subtract)),
  "fmul.s": rounded(binary(BINARY32, multiply)),
  "fdiv.s": rounded(binary(BINARY32, divide)),
  "fsqrt.s": root(BINARY32),
  "fsgnj.s": inject(BINARY32, copied),
  "fsgnjn.s": inject(BINARY32, negated),
  "fsgnjx.s": inject(BINARY32, multiplied),
  "fmin.s": unrounded(binary(BINARY32, minimum)),
  "fmax.s": unrounded(binary(BINARY32, maximum)),
  "feq.s": compare(BINARY32, isEqual),
  "flt.s": compare(BINARY32, isLess),
  "fle.s": compare(BINARY32, isLessOrEqual),
  "fclass.s": classOf(BINARY32),
  "fcvt.w.s": toX(BINARY32, INT32),
  "fcvt.wu.s": toX(BINARY32, UINT32),
  "fcvt.l.s": toX(BINARY32, INT64),
  "fcvt.lu.s": toX(BINARY32, UINT64),
  "fcvt.s.w": fromX(BINARY32, INT32),
  "fcvt.s.wu": fromX(BINARY32, UINT32),
  "fcvt.s.l": fromX(BINARY32, INT64),
  "fcvt.s.lu": fromX(BINARY32, UINT64),
  "fmadd.d": fused(BINARY64, 1, 1),
  "fmsub.d": fused(BINARY64, 1, -1),
  "fnmsub.d": fused(BINARY64, -1, 1),
  "fnmadd.d": fused(BINARY64, -1, -1),
  "fadd.d": rounded(binary(BINARY64, add)),
  "fsub.d": rounded(binary(BINARY64, subtract)),
  "fmul.d": rounded(binary(BINARY64, multiply)),
  "fdiv.d": rounded(binary(BINARY64, divide)),
  "fsqrt.d": root(BINARY64),
  "fsgnj.d": inject(BINARY64, copied),
  "fsgnjn.d": inject(BINARY64, negated),
  "fsgnjx.d": inject(BINARY64, multiplied),
  "fmin.d": unrounded(binary(BINARY64, minimum)),
  "fmax.d": unrounded(binary(BINARY64, maximum)),
  "feq.d": compare(BINARY64, isEqual),
  "flt.d": compare(BINARY64, isLess),
  "fle.d": compare(BINARY64, isLessOrEqual),
  "fclass.d": classOf(BINARY64),
  "fcvt.s.d": convert(BINARY64, BINARY32),
  "fcvt.d.s": convert(BINARY32, BINARY64),
  "fcvt.w.d": toX(BINARY64, INT32),
  "fcvt.wu.d": toX(BINARY64, UINT32),
  "fcvt.l.d": toX(BINARY64, INT64),
  "fcvt.lu.d": toX(BINARY64, UINT64),
  "fcvt.d.w": fromX(BINARY64, INT32),
  "fcvt.d.wu": fromX(BINARY64, UINT32),
  "fcvt.d.l": fromX(BINARY64, INT64),
  "fcvt.d.lu": fromX(BINARY64, UINT64),
};
