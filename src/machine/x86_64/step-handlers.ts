/**
 * The exact tier's handlers: for each instruction with its kinds and sizes of operands a WebAssembly function of its own, made from the
 * same semantics as the interpreter. Those of the instructions that the interpreter has operations for are made beforehand, in one module
 * (step-module.ts); any other when it is first needed, as a module of its own: a program meets few of the thousands that there could be.
 */
import type { Decoded } from "../../isa/x86_64/decode-types.ts";
import { OPERAND } from "../../isa/x86_64/decode-types.ts";
import { SEGMENT } from "../../isa/x86_64/registers.ts";
import { compileModule, instantiate, type WasmMemory, type WasmModule, type WasmTable } from "../../wasm/engine.ts";
import type { InterpreterHost } from "./interpreter.ts";
import { CELL, RECORD, segmentBase } from "./layout.ts";
import type { Registers } from "./registers.ts";
import { findSemantics } from "./semantics/table.ts";
import { MNEMONICS, mnemonicIndexOf, shapeKeyOf, signatureOf } from "./shapes.ts";
import { usualHandlers } from "./step-handlers.prebuilt.ts";
import { buildStepModule, STEPS_EXPORT } from "./step-module.ts";
import { gprAddress, mmxAddress, xmmAddress } from "./window-address.ts";

/** Compiled handlers by key; every machine of a process uses the same. Undefined: the instruction has no emitted form. */
const compiled = new Map<number, WasmModule | undefined>();

export class StepHandlers {
  private readonly memory: WasmMemory;
  private readonly host: Pick<InterpreterHost, "load" | "store">;
  private readonly handlers = new Map<number, (() => number) | undefined>();
  private usualTable: WasmTable | undefined;

  constructor(memory: WasmMemory, host: Pick<InterpreterHost, "load" | "store">) {
    this.memory = memory;
    this.host = host;
  }

  /** The handler of a decoded instruction; undefined where it has no emitted form. */
  find(decoded: Decoded): (() => number) | undefined {
    const mnemonic = mnemonicIndexOf(decoded.id);
    const key = shapeKeyOf(decoded, mnemonic, "base", "none", "used") * 4 + decoded.addressSize / 4;
    if (this.handlers.has(key)) return this.handlers.get(key);
    const handler = this.make(key, decoded, mnemonic);
    this.handlers.set(key, handler);
    return handler;
  }

  private make(key: number, decoded: Decoded, mnemonic: number): (() => number) | undefined {
    usual ??= loadUsualHandlers();
    const index = usual.indices.get(key);
    if (index !== undefined) {
      this.usualTable ??= this.instantiate(usual.module);
      return handlerAt(this.usualTable, index);
    }
    let module = compiled.get(key);
    if (module === undefined && !compiled.has(key)) {
      module = compileHandler(decoded, mnemonic);
      compiled.set(key, module);
    }
    return module === undefined ? undefined : handlerAt(this.instantiate(module), 0);
  }

  private instantiate(module: WasmModule): WasmTable {
    const { host } = this;
    const imports = {
      memory: this.memory,
      load: (size: number, lo: number, hi: number) => host.load(size, lo, hi),
      store: (size: number, lo: number, hi: number) => host.store(size, lo, hi),
    };
    // The module is ours: this is what it exports.
    return instantiate(module, { host: imports })[STEPS_EXPORT] as WasmTable;
  }
}

/** The table has functions of that kind only. */
const handlerAt = (table: WasmTable, index: number): (() => number) => table.get(index) as () => number;

let usual: { readonly indices: ReadonlyMap<number, number>; readonly module: WasmModule } | undefined;

function loadUsualHandlers(): NonNullable<typeof usual> {
  const { keys, module } = usualHandlers();
  const indices = new Map<number, number>();
  keys.forEach((key, index) => indices.set(key, index));
  return { indices, module: compileModule(module) };
}

function compileHandler(decoded: Decoded, mnemonicIndex: number): WasmModule | undefined {
  const mnemonic = MNEMONICS[mnemonicIndex];
  if (mnemonic === undefined || findSemantics(mnemonic) === undefined) return undefined;
  const { operandSize, addressSize, condition } = decoded;
  const shape = { mnemonic, operands: signatureOf(decoded), operandSize, addressSize, condition };
  return compileModule(buildStepModule([{ ...shape, address: "base", transfer: "none", flags: "used" }]));
}

/** Puts the operands of a decoded instruction where its handler looks for them. */
export function prepareStep(registers: Registers, decoded: Decoded): void {
  const addresses: number[] = [CELL.sink, CELL.sink, CELL.sink];
  let immLo = decoded.immLo;
  let immHi = decoded.immHi;
  for (let n = 0; n < Math.min(3, decoded.operandCount); n++) {
    // There are four operands.
    const operand = decoded.operands[n] as (typeof decoded.operands)[0];
    switch (operand.kind) {
      case OPERAND.gpr:
        addresses[n] = gprAddress(operand.register, operand.isHighByte);
        break;
      case OPERAND.xmm:
        addresses[n] = xmmAddress(operand.register);
        break;
      case OPERAND.mmx:
        addresses[n] = mmxAddress(operand.register);
        break;
      case OPERAND.memory:
      case OPERAND.absolute:
        addresses[n] = CELL.operand;
        break;
      case OPERAND.one:
        immLo = 1;
        immHi = 0;
        break;
      default:
    }
  }
  const record = CELL.stepRecord;
  const [a = 0, b = 0, c = 0] = addresses;
  registers.set(record, a << 16);
  registers.set(record + RECORD.b, b | (c << 16));
  registers.setWords(record + RECORD.imm, immLo, immHi);
  registers.set(record + RECORD.disp, decoded.imm2);
  // In 64-bit mode only fs and gs have bases.
  const hasBase = registers.get(CELL.codeMode) !== 64 || decoded.segment >= SEGMENT.fs;
  const base = hasBase ? segmentBase(decoded.segment) : CELL.zero;
  registers.setWords(CELL.stepSegmentBase, registers.get(base), registers.get(base + 4));
}
