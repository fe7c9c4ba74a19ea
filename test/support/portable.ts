// A small language in which a guest program is written once and assembled for every architecture. A line is a label, a directive, or
//
//     sys write, 1, &text, 6          a system call by name; the result is in `r`
//     set s0, VALUE                   add, sub, and, or: register, value
//     load64 s0, [sp + 8]             load8, load16: zero-extended; load32: sign-extended; store8 … store64 likewise
//     if s0 >= 3 goto done            ==, !=, <, <=, >, >= (signed)
//     goto LABEL      gosub LABEL     return
//     @x86_64 int3                    a line for one architecture
//
// Registers: r (what a call returns), s0 to s3 (kept over calls), t0, t1 (kept over calls too, but not over what a line needs to
// work), sp. A value is a register, `&label` for an address, or an expression of the assembler. Directives are those that both
// assemblers have: .quad, .byte, .ascii, .asciz, .space, .balign.

import type { ArchitectureName } from "../../src/abi/linux/abi.ts";
import { RISCV64_CALLS } from "../../src/abi/linux/calls-riscv64.ts";
import { X86_64_CALLS } from "../../src/abi/linux/calls-x86_64.ts";

/** What each construct comes to. `scratch` is a register that no program names. */
interface Target {
  readonly registers: Readonly<Record<string, string>>;
  readonly scratch: string;
  /** Registers of the call's arguments, of its number, and the instruction. */
  readonly argumentRegisters: readonly string[];
  readonly numberRegister: string;
  readonly call: string;
  set(register: string, expression: string): string[];
  move(register: string, from: string): string[];
  address(register: string, label: string): string[];
  operate(operation: "add" | "sub" | "and" | "or", register: string, operand: string): string[];
  load(bits: number, register: string, base: string, offset: string): string[];
  store(bits: number, register: string, base: string, offset: string): string[];
  branch(condition: Condition, left: string, right: string, label: string): string[];
  readonly jump: string;
  readonly gosub: string;
}

type Condition = "==" | "!=" | "<" | "<=" | ">" | ">=";

const riscv64: Target = {
  registers: { r: "a0", s0: "s0", s1: "s1", s2: "s2", s3: "s3", t0: "t0", t1: "t1", sp: "sp" },
  scratch: "t6",
  argumentRegisters: ["a0", "a1", "a2", "a3", "a4", "a5"],
  numberRegister: "a7",
  call: "ecall",
  set: (register, expression) => [`li ${register}, ${expression}`],
  move: (register, from) => [`mv ${register}, ${from}`],
  address: (register, label) => [`lla ${register}, ${label}`],
  operate: (operation, register, operand) => [`${operation} ${register}, ${register}, ${operand}`],
  load: (bits, register, base, offset) => [
    ...placeInT5(base, offset),
    `${{ 8: "lbu", 16: "lhu", 32: "lw", 64: "ld" }[bits]} ${register}, 0(t5)`,
  ],
  store: (bits, register, base, offset) => [
    ...placeInT5(base, offset),
    `${{ 8: "sb", 16: "sh", 32: "sw", 64: "sd" }[bits]} ${register}, 0(t5)`,
  ],
  branch: (condition, left, right, label) => [
    `${{ "==": "beq", "!=": "bne", "<": "blt", "<=": "ble", ">": "bgt", ">=": "bge" }[condition]} ${left}, ${right}, ${label}`,
  ],
  jump: "j",
  gosub: "call",
};

function placeInT5(base: string, offset: string): string[] {
  return [`li t5, ${offset}`, `add t5, t5, ${base}`];
}

/** Names of the lower parts of a register of x86-64, by bits. */
function part(register: string, bits: number): string {
  if (bits === 64) return register;
  if (/^r\d/.test(register)) return `${register}${{ 8: "b", 16: "w", 32: "d" }[bits]}`;
  const name = register.slice(1);
  if (bits === 32) return `e${name}`;
  if (bits === 16) return name;
  return name.endsWith("x") ? `${name[0]}l` : `${name}l`;
}

const WIDTHS: Readonly<Record<number, string>> = { 8: "byte", 16: "word", 32: "dword", 64: "qword" };

const x86_64: Target = {
  registers: { r: "rax", s0: "rbx", s1: "rbp", s2: "r12", s3: "r13", t0: "r14", t1: "r15", sp: "rsp" },
  // `syscall` takes it for its own.
  scratch: "r11",
  argumentRegisters: ["rdi", "rsi", "rdx", "r10", "r8", "r9"],
  numberRegister: "rax",
  call: "syscall",
  set: (register, expression) => [`movabs ${register}, ${expression}`],
  move: (register, from) => [`mov ${register}, ${from}`],
  address: (register, label) => [`lea ${register}, [rip + ${label}]`],
  operate: (operation, register, operand) => [`${operation} ${register}, ${operand}`],
  load: (bits, register, base, offset) => {
    const place = `${WIDTHS[bits]} ptr [${base} + (${offset})]`;
    if (bits === 64) return [`mov ${register}, ${place}`];
    return [`${bits === 32 ? "movsxd" : "movzx"} ${register}, ${place}`];
  },
  store: (bits, register, base, offset) => [`mov ${WIDTHS[bits]} ptr [${base} + (${offset})], ${part(register, bits)}`],
  branch: (condition, left, right, label) => [
    `cmp ${left}, ${right}`,
    `${{ "==": "je", "!=": "jne", "<": "jl", "<=": "jle", ">": "jg", ">=": "jge" }[condition]} ${label}`,
  ],
  jump: "jmp",
  gosub: "call",
};

const TARGETS: Readonly<Record<ArchitectureName, Target>> = { riscv64, x86_64 };
const CALLS: Readonly<Record<ArchitectureName, ReadonlyMap<string, number>>> = {
  riscv64: RISCV64_CALLS,
  x86_64: X86_64_CALLS,
};

/** The number of a system call; throws where the architecture has no call of the name. */
export function callNumber(arch: ArchitectureName, name: string): number {
  const number = CALLS[arch].get(name);
  if (number === undefined) throw new Error(`${arch} has no system call ${name}`);
  return number;
}

/** The numbers of all calls that the architecture has. */
export function callNumbers(arch: ArchitectureName): number[] {
  return [...CALLS[arch].values()];
}

/** Assembly text of a portable program. */
export function translate(source: string, arch: ArchitectureName): string {
  return source
    .split("\n")
    .flatMap((line) => translateLine(withoutComment(line), arch))
    .join("\n");
}

function withoutComment(line: string): string {
  const match = /^((?:"(?:\\.|[^"\\])*"|[^"#])*)/.exec(line);
  return match?.[1] ?? "";
}

function translateLine(line: string, arch: ArchitectureName): string[] {
  const target = TARGETS[arch];
  const labelled = /^\s*([\w.$]+:)\s*(.*)$/.exec(line);
  if (labelled !== null) return [labelled[1] ?? "", ...translateLine(labelled[2] ?? "", arch)];
  const [, word = "", rest = ""] = /^\s*(\S*)\s*(.*?)\s*$/.exec(line) ?? [];
  if (word === "" || word.startsWith(".")) return [line];
  if (word.startsWith("@")) return word === `@${arch}` ? [rest] : [];
  const operands = rest.split(",").map((operand) => operand.trim());
  const [first = "", second = ""] = operands;
  const access = /^(load|store)(8|16|32|64)$/.exec(word);
  if (access !== null) return translateAccess(target, access[1] ?? "", Number(access[2]), first, second);
  switch (word) {
    case "sys":
      return translateCall(target, callNumber(arch, first), operands.slice(1));
    case "set":
      return place(target, registerOf(target, first), second);
    case "add":
    case "sub":
    case "and":
    case "or": {
      const value = valueOf(target, second);
      return [...value.code, ...target.operate(word, registerOf(target, first), value.register)];
    }
    case "if": {
      const [, left = "", condition = "", right = "", label = ""] =
        /^(\S+)\s+(==|!=|<=|>=|<|>)\s+(.+?)\s+goto\s+(\S+)$/.exec(rest) ?? [];
      const value = valueOf(target, right);
      return [...value.code, ...target.branch(condition as Condition, registerOf(target, left), value.register, label)];
    }
    case "goto":
      return [`${target.jump} ${first}`];
    case "gosub":
      return [`${target.gosub} ${first}`];
    case "return":
      return ["ret"];
    default:
      throw new Error(`not understood: ${line.trim()}`);
  }
}

/** Later arguments first, so that `r`, which may be the first's register or the number's, can be any of them. */
function translateCall(target: Target, number: number, values: readonly string[]): string[] {
  const code: string[] = [];
  for (const [index, value] of [...values.entries()].toReversed()) {
    const register = target.argumentRegisters[index];
    if (register === undefined) throw new Error("a system call has at most six arguments");
    code.push(...place(target, register, value));
  }
  return [...code, ...target.set(target.numberRegister, String(number)), target.call];
}

function translateAccess(target: Target, kind: string, bits: number, register: string, where: string): string[] {
  const [, base = "", offset = "0"] = /^\[\s*(\S+?)\s*(?:\+\s*(.+?)\s*)?\]$/.exec(where) ?? [];
  const value = valueOf(target, base);
  const access = kind === "load" ? target.load : target.store;
  return [...value.code, ...access(bits, registerOf(target, register), value.register, offset)];
}

/** Code that puts a value into a register. */
function place(target: Target, register: string, value: string): string[] {
  const from = target.registers[value];
  if (from !== undefined) return from === register ? [] : target.move(register, from);
  return value.startsWith("&") ? target.address(register, value.slice(1)) : target.set(register, value);
}

/** A value in some register: its own, or the scratch register after that code. */
function valueOf(target: Target, value: string): { readonly code: readonly string[]; readonly register: string } {
  const own = target.registers[value];
  if (own !== undefined) return { code: [], register: own };
  return { code: place(target, target.scratch, value), register: target.scratch };
}

function registerOf(target: Target, name: string): string {
  const register = target.registers[name];
  if (register === undefined) throw new Error(`no register ${name}`);
  return register;
}
