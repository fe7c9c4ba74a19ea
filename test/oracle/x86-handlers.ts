// Our side of the comparison with the host CPU: the semantics of each form as a WebAssembly function over a hart's window, and the exact
// tier's definition of it.
//
// Operands lie where the state has them: xmm0-2, mm0-1, rax, rcx and a memory operand at CELL.operand.

import { newDecoded, OPERAND, type Decoded, type DecodedOperand } from "../../src/isa/x86_64/decode-types.ts";
import { CR4 } from "../../src/isa/x86_64/registers.ts";
import type { Local } from "../../src/machine/emitter.ts";
import type { Semantics, X86Emitter } from "../../src/machine/x86_64/emitter.ts";
import type { ExactHart, ExactOutcome, ExactX86 } from "../../src/machine/x86_64/exact.ts";
import { CELL, FPU_STRIDE, XMM_STRIDE } from "../../src/machine/x86_64/layout.ts";
import { Registers } from "../../src/machine/x86_64/registers.ts";
import { compileModule, createMemory, instantiate } from "../../src/wasm/engine.ts";
import { FunctionBuilder, type MemoryLoad, type MemoryStore } from "../../src/wasm/function-builder.ts";
import { ModuleBuilder } from "../../src/wasm/module-builder.ts";
import { tokenOf, type I32, type I64, type V128, type Value, type ValueType } from "../../src/wasm/values.ts";
import type { Form } from "./x86-forms.ts";
import { STATE, STATE_SIZE } from "./x86-host.ts";

/** Where a handler finds its immediate. */
const IMMEDIATE = 0x20;

const memory = createMemory(1);
const bytes = new Uint8Array(memory.buffer);
const words = new Int32Array(memory.buffer);
const registers = new Registers(memory, 0);

/** Runs a form's handler; false when it left by `slow`. */
export type Handler = (immediate: number) => boolean;

function unexpected(): never {
  throw new Error("no instruction of MMX or SSE does this");
}

/** The window address of operand n. */
function operandCell(form: Form, n: number): number {
  switch (form.operands[n]?.letter) {
    case "x":
      return CELL.xmm + XMM_STRIDE * (n === 2 ? 0 : n + 1);
    case "q":
      return CELL.fpu + FPU_STRIDE * n;
    case "r":
      return CELL.gpr + 8 * n;
    case "m":
      return CELL.operand;
    default:
      return unexpected();
  }
}

/** The part of the emitter that these instructions use. */
function makeEmitter(f: FunctionBuilder, form: Form, known: number | undefined): X86Emitter {
  const { i32, i64 } = f;
  const at = (): I32 => i32.const(0);
  const let_ = <T extends ValueType>(value: Value<T>): Local<T> => {
    const type: T = value;
    const local = f.local(type);
    f.setLocal(local, value);
    return {
      get: () => f.getLocal(local, type),
      set: (next) => f.setLocal(local, next),
      tee: (next) => f.teeLocal(local, next),
    };
  };
  const load = <K extends MemoryLoad>(kind: K, cell: number) => f.load(kind, at(), cell);
  const store = <K extends MemoryStore>(kind: K, cell: number, type: ValueType): void => {
    const value = f.local(type);
    f.setLocal(value, tokenOf(type));
    f.store(kind, at(), f.getLocal(value, type) as never, cell);
  };
  const sizeOf = (n: number): number => form.operands[n]?.size ?? unexpected();
  const letterOf = (n: number): string => form.operands[n]?.letter ?? "";
  const slow = (condition?: I32): void => {
    if (condition !== undefined) f.if(condition);
    f.return(i32.const(1));
    if (condition !== undefined) f.end();
  };
  const read = (n: number, sign: "s" | "u"): I64 => {
    if (letterOf(n) === "i") return i64.extend_i32_s(readWord(n));
    const size = sizeOf(n);
    const kind = size === 8 ? "i64" : (`i64_${size * 8}${sign}` as MemoryLoad);
    return load(kind, operandCell(form, n)) as I64;
  };
  const readWord = (n: number): I32 => {
    if (letterOf(n) === "i") return known === undefined ? load("i32", IMMEDIATE) : i32.const(known);
    return i32.wrap_i64(read(n, "s"));
  };
  const write = (n: number, value: I64): void => {
    const size = sizeOf(n);
    const isWord = letterOf(n) === "r" && size === 4;
    if (isWord) i64.and(value, i64.constWords(0, -1));
    const kind = size === 8 || isWord ? "i64" : (`i64_${size * 8}` as MemoryStore);
    store(kind, operandCell(form, n), "i64");
  };
  return {
    i32,
    i64,
    f32: f.f32,
    f64: f.f64,
    v128: f.v128,
    let: let_,
    select: (whenTrue, whenFalse, condition) => f.select(whenTrue, whenFalse, condition),
    if: (condition, then, otherwise) => {
      f.if(condition);
      then();
      if (otherwise !== undefined) {
        f.else();
        otherwise();
      }
      f.end();
    },
    choose: (type, condition, whenTrue, whenFalse) => {
      f.ifValue(condition, type);
      whenTrue();
      f.else();
      whenFalse();
      f.end();
      return tokenOf(type);
    },
    slow,
    load: unexpected,
    store: unexpected,
    atomic: unexpected,
    loadReserved: unexpected,
    storeConditional: unexpected,
    sizeOf,
    isMemory: (n) => letterOf(n) === "m",
    isXmm: (n) => letterOf(n) === "x",
    isMmx: (n) => letterOf(n) === "q",
    knownImmediate: () => known,
    operandSize: 4,
    operandCount: form.operands.length,
    isRelative: () => false,
    repeat: unexpected,
    secondImmediate: unexpected,
    segmentBase: unexpected,
    addressSize: 8,
    read: (n) => read(n, "s"),
    readUnsigned: (n) => read(n, "u"),
    readWord,
    write,
    writeWord: (n, value) => write(n, i64.extend_i32_u(value)),
    modify: unexpected,
    narrow: unexpected,
    address: unexpected,
    gpr: unexpected,
    setGpr: unexpected,
    state32: unexpected,
    state64: unexpected,
    setState64: unexpected,
    flags: (result, carries, carry) => {
      result.get();
      store("i64", CELL.flagResult, "i64");
      carries();
      store("i64", CELL.flagCarries, "i64");
      carry();
      store("i32", CELL.flagCarry, "i32");
    },
    flagsOfSubtract: unexpected,
    flagsOfLogic: unexpected,
    flagsKeepingCarry: unexpected,
    carry: unexpected,
    setCarry: unexpected,
    arithmeticFlags: unexpected,
    setArithmeticFlags: unexpected,
    needsFlags: true,
    condition: unexpected,
    stackSize: 8,
    push: unexpected,
    pop: unexpected,
    pc: unexpected,
    nextPc: unexpected,
    branchIf: unexpected,
    jump: unexpected,
    jumpTo: unexpected,
    require: (what) => {
      if (what === "nearest") slow(i32.eqz(load("i32", CELL.sseNearest)));
    },
    tagMmx: (tags) => {
      i32.const(tags === "valid" ? 0 : 0xffff);
      store("i32", CELL.fpuTag, "i32");
    },
    readVector: (n) => load("v128", operandCell(form, n)) as V128,
    readVectorAligned: (n) => load("v128", operandCell(form, n)) as V128,
    readScalar: (n, size) => load(size === 4 ? "i64_32u" : "i64", operandCell(form, n)) as I64,
    writeVector: (n) => store("v128", operandCell(form, n), "v128"),
    storeVector: (n) => store("v128", operandCell(form, n), "v128"),
    writeScalar: (n, size) => store(size === 4 ? "i64_32" : "i64", operandCell(form, n), "i64"),
    readMmx: (n) => load("i64", operandCell(form, n)) as I64,
    writeMmx: (n) => store("i64", operandCell(form, n), "i64"),
    mxcsr: () => load("i32", CELL.mxcsr) as I32,
    raiseMxcsr: (flags) => {
      i32.or(flags, load("i32", CELL.mxcsr) as I32);
      store("i32", CELL.mxcsr, "i32");
    },
  };
}

export interface CompiledForm {
  readonly handler: Handler;
  /** Bytes of its code. */
  readonly codeSize: number;
}

/** A function for each form; with `known`, one that has that value of the immediate in its code. */
export function compileHandlers(
  forms: readonly { form: Form; semantics: Semantics; known?: number | undefined }[],
): CompiledForm[] {
  const module = new ModuleBuilder();
  module.importMemory("host", "memory", 1, 1);
  const f = new FunctionBuilder();
  const sizes = forms.map(({ form, semantics, known }, n) => {
    f.reset([]);
    semantics(makeEmitter(f, form, known));
    f.return(f.i32.const(0));
    f.unreachable();
    const size = f.code.length;
    module.addFunction(`f${n}`, { parameters: [], results: ["i32"] }, f, { export: `f${n}` });
    return size;
  });
  const exports = instantiate(compileModule(module.finish()), { host: { memory } });
  return forms.map((_, n) => {
    const run = exports[`f${n}`] as () => number;
    return {
      codeSize: sizes[n] ?? 0,
      handler: (immediate) => {
        words[IMMEDIATE >> 2] = immediate;
        return run() === 0;
      },
    };
  });
}

/** Executes a form by its exact definition. */
export function runExact(form: Form, exact: ExactX86, immediate: number): ExactOutcome {
  return exact(exactHart, decodedOf(form, immediate));
}

/** Lays a state out in the window. */
export function loadState(state: Uint8Array): void {
  const view = new DataView(state.buffer, state.byteOffset);
  bytes.fill(0);
  for (let n = 0; n < 3; n++) bytes.set(state.subarray(16 * n, 16 * n + 16), CELL.xmm + XMM_STRIDE * n);
  for (let n = 0; n < 2; n++) bytes.set(state.subarray(48 + 8 * n, 56 + 8 * n), CELL.fpu + FPU_STRIDE * n);
  bytes.set(state.subarray(STATE.rax, STATE.rax + 16), CELL.gpr);
  bytes.set(state.subarray(STATE.memory, STATE.memory + 16), CELL.operand);
  bytes.set(state.subarray(STATE.memory, STATE.memory + 8), CELL.gpr + 8 * 2);
  const mxcsr = view.getUint32(STATE.mxcsr, true);
  words[CELL.mxcsr >> 2] = mxcsr;
  words[CELL.sseReady >> 2] = 1;
  words[CELL.sseNearest >> 2] = (mxcsr & 0xffc0) === 0x1f80 ? 1 : 0;
  words[CELL.cr4 >> 2] = CR4.OSFXSR | CR4.OSXMMEXCPT;
  registers.setArithmeticFlags(0);
}

/** The state that the window now has. */
export function storeState(trapped: boolean): Uint8Array {
  const state = new Uint8Array(STATE_SIZE);
  const view = new DataView(state.buffer);
  for (let n = 0; n < 3; n++) state.set(bytes.subarray(CELL.xmm + 32 * n, CELL.xmm + 32 * n + 16), 16 * n);
  for (let n = 0; n < 2; n++) state.set(bytes.subarray(CELL.fpu + 16 * n, CELL.fpu + 16 * n + 8), 48 + 8 * n);
  state.set(bytes.subarray(CELL.gpr, CELL.gpr + 16), STATE.rax);
  state.set(bytes.subarray(CELL.operand, CELL.operand + 16), STATE.memory);
  view.setUint32(STATE.mxcsr, words[CELL.mxcsr >> 2] ?? 0, true);
  view.setUint32(STATE.flags, registers.arithmeticFlags() | 0x202, true);
  view.setUint32(STATE.trapped, trapped ? 1 : 0, true);
  return state;
}

const exactHart: ExactHart = {
  registers,
  operandLo: 0,
  operandHi: 0,
  codeByte: unexpected,
  readMemory: unexpected,
  writeMemory: (decoded, from) => {
    bytes.set(from, CELL.operand + decoded.dispLo);
    return true;
  },
};

const KINDS = {
  x: OPERAND.xmm,
  q: OPERAND.mmx,
  r: OPERAND.gpr,
  m: OPERAND.memory,
  i: OPERAND.immediate,
} as const;

function decodedOf(form: Form, immediate: number): Decoded {
  const operandOf = (n: number): DecodedOperand => {
    const operand = form.operands[n];
    if (operand === undefined) return { kind: OPERAND.none, register: 0, isHighByte: false, size: 0 };
    const register = operand.letter === "x" ? (n === 2 ? 0 : n + 1) : n;
    return { kind: KINDS[operand.letter], register, isHighByte: false, size: operand.size };
  };
  return {
    ...newDecoded(),
    id: 0,
    length: 4,
    operandCount: form.operands.length,
    operands: [operandOf(0), operandOf(1), operandOf(2), operandOf(3)],
    immLo: immediate,
  };
}
