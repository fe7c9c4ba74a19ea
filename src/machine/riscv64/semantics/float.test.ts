// Floating point through the instruction stream, on both tiers: flags, NaN boxes, rounding modes, and the state FS.

import assert from "node:assert/strict";
import { test } from "node:test";
import { assemble } from "../../../isa/riscv64/assembler.ts";
import { CSR } from "../../../isa/riscv64/csrs.ts";
import { encode } from "../../../isa/riscv64/decode.ts";
import { INSTRUCTIONS } from "../../../isa/riscv64/instructions.ts";
import { createMachine } from "../../create-machine.ts";
import { riscv64Processor } from "../engine.ts";
import type { RiscvHart } from "../hart.ts";

const BASE = 0x8000_0000;
const ILLEGAL = 2;
const BREAKPOINT = 3;
const FS = { off: 0, initial: 1 << 13, clean: 2 << 13, dirty: 3 << 13 };
const FLAG = { NX: 1, UF: 2, OF: 4, DZ: 8, NV: 16 };

interface Run {
  readonly hart: RiscvHart;
  readonly cause: number;
  readonly tval: number;
  /** Instructions that the interpreter or the exact tier retired. */
  readonly retired: number;
}

type Tier = "run" | "step";

/** Runs a piece of code in machine mode until it traps, which at its end it does by `ebreak`. */
function runCode(tier: Tier, code: string | readonly number[], prepare: (hart: RiscvHart) => void): Run {
  const machine = createMachine({ processor: riscv64Processor, ramBase: BASE, ramSize: 1 << 20, harts: 1, tier });
  const words = typeof code === "string" ? code : code.map((word) => `.word ${word >>> 0}`).join("\n");
  machine.memory.write(BASE, assemble(`${words}\nebreak`, { base: BASE }).bytes);
  const [hart] = machine.harts;
  assert.ok(hart !== undefined);
  hart.writeCsr(CSR.mstatus, FS.dirty, 0);
  prepare(hart);
  let trapped: { cause: number; tval: number } | undefined;
  machine.probes.trap = (_, trap) => {
    trapped ??= trap;
    machine.requestStop();
  };
  machine.run({ instructions: 1000 });
  assert.ok(trapped !== undefined, "it did not trap");
  return { hart, cause: trapped.cause, tval: trapped.tval, retired: hart.instructionsRetired };
}

function setF(hart: RiscvHart, register: number, bits: bigint): void {
  hart.setF(register, Number(BigInt.asIntN(32, bits)), Number(BigInt.asIntN(32, bits >> 32n)));
}

function getF(hart: RiscvHart, register: number): bigint {
  return (BigInt(hart.fHi(register) >>> 0) << 32n) | BigInt(hart.fLo(register) >>> 0);
}

const view = new DataView(new ArrayBuffer(8));

function double(value: number): bigint {
  view.setFloat64(0, value);
  return view.getBigUint64(0);
}

function single(value: number): bigint {
  view.setFloat32(0, value);
  return boxed(BigInt(view.getUint32(0)));
}

const boxed = (bits: bigint): bigint => 0xffffffff00000000n | bits;

const NAN64 = 0x7ff8000000000000n;
const SIGNALING64 = 0x7ff0000000000001n;
const NAN32 = boxed(0x7fc00000n);
const TINY = double(2 ** -1022);

/** Code, operands fa1 to fa3, the result in fa0, and the flags that it raises. */
const COMPUTATIONS: readonly (readonly [string, readonly bigint[], bigint, number])[] = [
  // Exact or not
  ["fadd.d fa0, fa1, fa2", [double(1), double(2)], double(3), 0],
  ["fadd.d fa0, fa1, fa2", [double(1), double(2 ** -60)], double(1), FLAG.NX],
  ["fadd.d fa0, fa1, fa2", [double(2 ** -60), double(1)], double(1), FLAG.NX],
  ["fsub.d fa0, fa1, fa2", [double(1), double(1)], double(0), 0],
  ["fmul.d fa0, fa1, fa2", [double(3), double(5)], double(15), 0],
  ["fmul.d fa0, fa1, fa2", [double(0), double(-5)], double(-0), 0],
  ["fmul.d fa0, fa1, fa2", [double(1 + 2 ** -52), double(1 + 2 ** -52)], double(1 + 2 ** -51), FLAG.NX],
  ["fdiv.d fa0, fa1, fa2", [double(15), double(5)], double(3), 0],
  ["fdiv.d fa0, fa1, fa2", [double(1), double(3)], double(1 / 3), FLAG.NX],
  ["fsqrt.d fa0, fa1", [double(49)], double(7), 0],
  ["fsqrt.d fa0, fa1", [double(2)], double(Math.SQRT2), FLAG.NX],
  ["fcvt.s.d fa0, fa1", [double(0.5)], single(0.5), 0],
  ["fcvt.s.d fa0, fa1", [double(0.1)], single(0.1), FLAG.NX],
  // One rounding only, also where the rounding of the tail decides
  ["fmadd.d fa0, fa1, fa2, fa3", [double(1 + 2 ** -52), double(1 - 2 ** -52), double(-1)], double(-(2 ** -104)), 0],
  [
    "fmadd.d fa0, fa1, fa2, fa3",
    [double(1 + 2 ** -30), double(1 + 2 ** -23), double(2 ** -60)],
    double((1 + 2 ** -30) * (1 + 2 ** -23) + 2 ** -52),
    FLAG.NX,
  ],
  ["fnmadd.d fa0, fa1, fa2, fa3", [double(2), double(3), double(4)], double(-10), 0],
  ["fmsub.s fa0, fa1, fa2, fa3", [single(2), single(3), single(4)], single(2), 0],
  ["fnmsub.s fa0, fa1, fa2, fa3", [single(2), single(3), single(4)], single(-2), 0],
  [
    "fmadd.s fa0, fa1, fa2, fa3",
    [single(1 + 2 ** -12), single(1 + 2 ** -12), single(2 ** -100)],
    single(1 + 2 ** -11 + 2 ** -23),
    FLAG.NX,
  ],
  ["fmadd.d fa0, fa1, fa2, fa3", [double(Infinity), double(0), NAN64], NAN64, FLAG.NV],
  // The ends of the range
  ["fmul.d fa0, fa1, fa2", [TINY, double(0.5)], double(2 ** -1023), 0],
  ["fmul.d fa0, fa1, fa2", [TINY, double(1 - 2 ** -53)], TINY, FLAG.NX | FLAG.UF],
  ["fmul.d fa0, fa1, fa2", [double(1e300), double(1e300)], double(Infinity), FLAG.OF | FLAG.NX],
  ["fmul.s fa0, fa1, fa2", [single(2 ** -100), single(2 ** -100)], single(0), FLAG.UF | FLAG.NX],
  ["fdiv.d fa0, fa1, fa2", [double(1), double(-0)], double(-Infinity), FLAG.DZ],
  ["fdiv.d fa0, fa1, fa2", [double(0), double(0)], NAN64, FLAG.NV],
  ["fsqrt.d fa0, fa1", [double(-1)], NAN64, FLAG.NV],
  ["fsqrt.d fa0, fa1", [double(-0)], double(-0), 0],
  // NaNs and boxes
  ["fadd.d fa0, fa1, fa2", [0xfff8000000000123n, double(1)], NAN64, 0],
  ["fadd.d fa0, fa1, fa2", [SIGNALING64, double(1)], NAN64, FLAG.NV],
  ["fmin.d fa0, fa1, fa2", [SIGNALING64, double(1)], double(1), FLAG.NV],
  ["fmax.d fa0, fa1, fa2", [double(-0), double(0)], double(0), 0],
  ["fadd.s fa0, fa1, fa2", [double(1), single(1)], NAN32, 0],
  ["fsgnj.s fa0, fa1, fa2", [double(1), single(-1)], boxed(0xffc00000n), 0],
  ["fsgnjn.d fa0, fa1, fa1", [SIGNALING64], SIGNALING64 | (1n << 63n), 0],
  ["fmv.w.x fa0, zero", [], boxed(0n), 0],
  ["fcvt.d.s fa0, fa1", [boxed(0x7f800001n)], NAN64, FLAG.NV],
  // Other rounding modes
  ["fadd.d fa0, fa1, fa2, rup", [double(1), double(2 ** -60)], double(1 + 2 ** -52), FLAG.NX],
  ["fadd.d fa0, fa1, fa2, rdn", [double(1), double(-1)], double(-0), 0],
  ["fsrmi 1\nfdiv.d fa0, fa1, fa2", [double(2), double(3)], double(2 / 3), FLAG.NX],
  ["fsrmi 3\nfdiv.d fa0, fa1, fa2\nfsrmi 0", [double(2), double(3)], double(2 / 3 + 2 ** -53), FLAG.NX],
];

for (const tier of ["run", "step"] as const) {
  test(`results and flags (${tier})`, () => {
    for (const [code, operands, result, flags] of COMPUTATIONS) {
      for (const before of [0, FLAG.NX | FLAG.DZ]) {
        const { hart, cause } = runCode(tier, code, (hart) => {
          operands.forEach((bits, i) => setF(hart, 11 + i, bits));
          hart.writeCsr(CSR.fflags, before, 0);
        });
        assert.equal(cause, BREAKPOINT, code);
        assert.equal(getF(hart, 10).toString(16), result.toString(16), code);
        assert.equal(hart.csrNumber(CSR.fflags), before | flags, `${code}, flags ${before} before`);
      }
    }
  });

  test(`conversions to integers round as the mode says (${tier})`, () => {
    for (const [value, nearest, zero, down, up, away] of [
      [2.5, 2, 2, 2, 3, 3],
      [-2.5, -2, -2, -3, -2, -3],
      [0.49999999999999994, 0, 0, 0, 1, 0],
      [-0.5, 0, 0, -1, 0, -1],
      [7, 7, 7, 7, 7, 7],
    ] as const) {
      const expected = { rne: nearest, rtz: zero, rdn: down, rup: up, rmm: away };
      for (const [mode, result] of Object.entries(expected)) {
        for (const instruction of ["fcvt.w.d", "fcvt.l.d"]) {
          const { hart } = runCode(tier, `${instruction} a0, fa1, ${mode}`, (hart) => setF(hart, 11, double(value)));
          assert.equal(hart.x(10), result, `${instruction} of ${value}, ${mode}`);
          assert.equal(hart.csrNumber(CSR.fflags), Number.isInteger(value) ? 0 : FLAG.NX);
        }
      }
    }
  });

  test(`without FS every floating-point instruction is illegal and changes nothing (${tier})`, () => {
    for (const row of INSTRUCTIONS.filter(({ extension }) => extension === "F" || extension === "D")) {
      const word = encode(row.id, {
        rd: 10,
        rs1: 10,
        rs2: row.format.operands.some((name) => name.endsWith("rs2")) ? 11 : 0,
      });
      const { hart, cause, tval, retired } = runCode(tier, [word], (hart) => {
        hart.setXNumber(10, BASE + 0x800);
        hart.writeCsr(CSR.mstatus, FS.off, 0);
      });
      assert.equal(cause, ILLEGAL, row.mnemonic);
      assert.equal(tval, word >>> 0, row.mnemonic);
      assert.equal(retired, 0, row.mnemonic);
      assert.equal(hart.x(10), BASE + 0x800, row.mnemonic);
      assert.equal(getF(hart, 10), 0n, row.mnemonic);
    }
  });

  test(`a floating-point instruction makes FS dirty, and SD with it (${tier})`, () => {
    for (const state of [FS.initial, FS.clean]) {
      const { hart } = runCode(tier, "fadd.d fa0, fa1, fa2", (hart) => hart.writeCsr(CSR.mstatus, state, 0));
      const mstatus = hart.readCsr(CSR.mstatus);
      assert.equal(mstatus.lo & FS.dirty, FS.dirty);
      assert.ok(mstatus.hi < 0, "SD");
    }
  });

  test(`reserved rounding modes are illegal, in the instruction or in frm (${tier})`, () => {
    const add = INSTRUCTIONS.find(({ mnemonic }) => mnemonic === "fadd.d")?.id ?? -1;
    const dynamic = 7;
    for (const rm of [5, 6]) {
      assert.equal(runCode(tier, [encode(add, { rd: 1, rm })], () => undefined).cause, ILLEGAL);
    }
    for (const frm of [5, 6, 7]) {
      const withFrm = (rm: number): Run =>
        runCode(tier, [encode(add, { rd: 1, rm })], (hart) => hart.writeCsr(CSR.frm, frm, 0));
      assert.equal(withFrm(dynamic).cause, ILLEGAL);
      assert.equal(withFrm(0).cause, BREAKPOINT);
      assert.equal(withFrm(1).cause, BREAKPOINT);
    }
  });
}
