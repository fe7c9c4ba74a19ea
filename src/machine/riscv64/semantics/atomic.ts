/**
 * What the atomic instructions do. RISC-V unprivileged ISA, chapter "A".
 *
 * Harts are interleaved between instructions, so every read-modify-write is indivisible and the acquire and release bits
 * ask for nothing more.
 */
import type { MnemonicOfExtension } from "../../../isa/riscv64/instructions.ts";
import type { I64 } from "../../../wasm/values.ts";
import type { AtomicKind, Local } from "../../emitter.ts";
import type { RiscvEmitter, Semantics } from "../emitter.ts";

type Update = (e: RiscvEmitter, old: Local<"i64">, operand: Local<"i64">) => I64;

/** rd = the old value, sign-extended; memory = update(old, rs2). The operand of a word operation is rs2's low word, sign-extended. */
const readModifyWrite =
  (kind: AtomicKind, update: Update): Semantics =>
  (e) => {
    const operand = e.let(kind === "i32" ? e.i64.extend_i32_s(e.rs2Word()) : e.rs2());
    e.setRd(e.atomic(kind, e.rs1(), (old) => update(e, old, operand)));
  };

const swap: Update = (_, __, operand) => operand.get();
const add: Update = (e, old, operand) => e.i64.add(old.get(), operand.get());
const xor: Update = (e, old, operand) => e.i64.xor(old.get(), operand.get());
const and: Update = (e, old, operand) => e.i64.and(old.get(), operand.get());
const or: Update = (e, old, operand) => e.i64.or(old.get(), operand.get());

/** Sign extension keeps the unsigned order of words too, so one comparison serves both widths. */
const choose =
  (op: "lt_s" | "lt_u" | "gt_s" | "gt_u"): Update =>
  (e, old, operand) =>
    e.select(old.get(), operand.get(), e.i64[op](old.get(), operand.get()));

const loadReserved =
  (kind: AtomicKind): Semantics =>
  (e) =>
    e.setRd(e.loadReserved(kind, e.rs1()));

const storeConditional =
  (kind: AtomicKind): Semantics =>
  (e) =>
    e.setRd(e.storeConditional(kind, e.rs1(), e.rs2()));

export const atomicSemantics = {
  "lr.w": loadReserved("i32"),
  "sc.w": storeConditional("i32"),
  "amoswap.w": readModifyWrite("i32", swap),
  "amoadd.w": readModifyWrite("i32", add),
  "amoxor.w": readModifyWrite("i32", xor),
  "amoand.w": readModifyWrite("i32", and),
  "amoor.w": readModifyWrite("i32", or),
  "amomin.w": readModifyWrite("i32", choose("lt_s")),
  "amomax.w": readModifyWrite("i32", choose("gt_s")),
  "amominu.w": readModifyWrite("i32", choose("lt_u")),
  "amomaxu.w": readModifyWrite("i32", choose("gt_u")),
  "lr.d": loadReserved("i64"),
  "sc.d": storeConditional("i64"),
  "amoswap.d": readModifyWrite("i64", swap),
  "amoadd.d": readModifyWrite("i64", add),
  "amoxor.d": readModifyWrite("i64", xor),
  "amoand.d": readModifyWrite("i64", and),
  "amoor.d": readModifyWrite("i64", or),
  "amomin.d": readModifyWrite("i64", choose("lt_s")),
  "amomax.d": readModifyWrite("i64", choose("gt_s")),
  "amominu.d": readModifyWrite("i64", choose("lt_u")),
  "amomaxu.d": readModifyWrite("i64", choose("gt_u")),
} satisfies Record<MnemonicOfExtension<"A">, Semantics>;
