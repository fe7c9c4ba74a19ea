/** The stack, jumps and calls, single flags, and what does nothing. Intel SDM volume 2. */
import type { Mnemonic } from "../../../isa/x86_64/instructions.ts";
import { GPR } from "../../../isa/x86_64/registers.ts";
import type { I32 } from "../../../wasm/values.ts";
import type { Semantics } from "../emitter.ts";
import { setAccumulator, zeroExtend } from "./integer-values.ts";

const RAX = GPR.rax;
const RCX = GPR.rcx;

const push: Semantics = (e) => e.push(e.read(0));
/** Where the target is memory whose address has rsp in it, the hart core has computed it with the stack pointer as it is afterwards. */
const pop: Semantics = (e) => e.write(0, e.pop());

const call: Semantics = (e) => {
  if (e.isRelative(0)) {
    e.push(e.nextPc());
    e.jump();
    return;
  }
  const target = e.let(e.readUnsigned(0));
  e.push(e.nextPc());
  e.jumpTo(target.get());
};

const jmp: Semantics = (e) => (e.isRelative(0) ? e.jump() : e.jumpTo(e.readUnsigned(0)));

/** With an immediate: so many bytes more are released. */
const ret: Semantics = (e) => {
  const target = e.let(e.pop());
  if (e.operandCount === 1) e.setGpr(GPR.rsp, e.i64.add(e.gpr(GPR.rsp), e.i64.and(e.read(0), e.i64.const(0xffff))));
  e.jumpTo(target.get());
};

const jcc: Semantics = (e) => e.branchIf(e.condition());

const leave: Semantics = (e) => {
  const size = e.stackSize;
  const frame = e.let(e.gpr(GPR.rbp));
  const value = e.let(e.load(size === 8 ? "i64" : size === 4 ? "u32" : "u16", frame.get()));
  e.setGpr(GPR.rsp, e.i64.add(frame.get(), e.i64.const(size)));
  setAccumulator(e, size, GPR.rbp, value.get());
};

/** Copies of the frames around this one, if a level asks for them, and room for locals. The stack pointer moves last. */
const enter: Semantics = (e) => {
  const { i32, i64 } = e;
  const size = e.stackSize;
  const kind = size === 8 ? "i64" : size === 4 ? "i32" : "i16";
  const room = e.let(e.read(0));
  const level = e.let(i32.and(e.secondImmediate(), i32.const(31)));
  const stack = e.let(i64.sub(e.gpr(GPR.rsp), i64.const(size)));
  e.store(kind, stack.get(), e.gpr(GPR.rbp));
  const frame = e.let(stack.get());
  const display = e.let(e.gpr(GPR.rbp));
  e.if(level.get(), () => {
    e.repeat(
      () => i32.gt_s(level.get(), i32.const(1)),
      () => {
        display.set(i64.sub(display.get(), i64.const(size)));
        stack.set(i64.sub(stack.get(), i64.const(size)));
        e.store(kind, stack.get(), e.load(size === 8 ? "i64" : size === 4 ? "u32" : "u16", display.get()));
        level.set(i32.sub(level.get(), i32.const(1)));
      },
    );
    stack.set(i64.sub(stack.get(), i64.const(size)));
    e.store(kind, stack.get(), frame.get());
  });
  setAccumulator(e, size, GPR.rbp, frame.get());
  setAccumulator(e, size, GPR.rsp, i64.sub(stack.get(), i64.and(room.get(), i64.const(0xffff))));
};

/** al = the byte at rbx + al. */
const xlat: Semantics = (e) => {
  const { i64 } = e;
  const offset = zeroExtend(e, e.addressSize, i64.add(e.gpr(GPR.rbx), zeroExtend(e, 1, e.gpr(RAX))));
  setAccumulator(e, 1, RAX, e.load("u8", i64.add(offset, e.segmentBase())));
};

/** The count register, of the address size. */
const loop =
  (condition: "none" | "equal" | "unequal"): Semantics =>
  (e) => {
    const { i32, i64 } = e;
    const size = e.addressSize;
    const count = e.let(zeroExtend(e, size, i64.sub(e.gpr(RCX), i64.const(1))));
    setAccumulator(e, size, RCX, count.get());
    const isLeft = (): I32 => i64.ne(count.get(), i64.const(0));
    if (condition === "none") e.branchIf(isLeft());
    else e.branchIf(i32.and(isLeft(), e.condition(condition === "equal" ? 4 : 5)));
  };

const jcxz: Semantics = (e) => e.branchIf(e.i64.eqz(zeroExtend(e, e.addressSize, e.gpr(RCX))));

const FLAGS_OF_AH = 0xd5;

const lahf: Semantics = (e) => {
  const { i32, i64 } = e;
  const flags = e.let(i32.or(i32.and(e.arithmeticFlags(), i32.const(FLAGS_OF_AH)), i32.const(2)));
  const kept = i64.and(e.gpr(RAX), i64.constWords(-1, ~0xff00));
  e.setGpr(RAX, i64.or(kept, i64.extend_i32_u(i32.shl(flags.get(), i32.const(8)))));
};

const sahf: Semantics = (e) => {
  const { i32, i64 } = e;
  const ah = e.let(i32.wrap_i64(i64.shr_u(e.gpr(RAX), i64.const(8))));
  const kept = e.let(i32.and(e.arithmeticFlags(), i32.const(~FLAGS_OF_AH)));
  e.setArithmeticFlags(i32.or(kept.get(), i32.and(ah.get(), i32.const(FLAGS_OF_AH))));
};

const clc: Semantics = (e) => e.setCarry(e.i32.const(0));
const stc: Semantics = (e) => e.setCarry(e.i32.const(1));
const cmc: Semantics = (e) => e.setCarry(e.i32.eqz(e.carry()));

const nothing: Semantics = () => {
  // Hints and fences: memory is always coherent, and harts take turns between instructions.
};

export const controlSemantics = {
  push,
  pop,
  call,
  jmp,
  ret,
  jcc,
  leave,
  enter,
  xlat,
  loop: loop("none"),
  loope: loop("equal"),
  loopne: loop("unequal"),
  jcxz,
  lahf,
  sahf,
  clc,
  stc,
  cmc,
  nop: nothing,
  pause: nothing,
  endbr64: nothing,
  endbr32: nothing,
  lfence: nothing,
  mfence: nothing,
  sfence: nothing,
  prefetchw: nothing,
  prefetchnta: nothing,
  prefetcht0: nothing,
  prefetcht1: nothing,
  prefetcht2: nothing,
} satisfies Partial<Record<Mnemonic, Semantics>>;
