// One instruction of Intel syntax to bytes, driven by the instruction table.
//
//     text --> prefixes, name, operands --> every form of every row that they fit --> the shortest one

import type { StatementContext } from "../assembly/assembler.ts";
import { OperandError } from "../assembly/errors.ts";
import { splitOperands } from "../assembly/source.ts";
import { encodeFields } from "./assembler-encoding.ts";
import { type Form, formsOf } from "./assembler-forms.ts";
import { meaningsOf, type MnemonicMeaning } from "./assembler-mnemonics.ts";
import { type ImmediateOperand, type Operand, parseOperand } from "./assembler-operands.ts";
import type { CodeMode } from "./decode-types.ts";
import { instructionsOf } from "./instructions.ts";
import { GPR, SEGMENT } from "./registers.ts";

/** Assembles an instruction with its prefixes, or prefixes alone; throws OperandError or ExpressionError. */
export function assembleInstruction(text: string, mode: CodeMode, context: StatementContext): Uint8Array {
  const prefixes: number[] = [];
  let rest = text;
  for (;;) {
    const [, word = "", operands = ""] = /^\s*(\S*)\s*(.*)$/s.exec(rest) ?? [];
    const name = word.toLowerCase();
    if (name === "") return Uint8Array.from(prefixes);
    const prefix = PREFIXES[name];
    if (prefix === undefined) return assembleNamed(name, splitOperands(operands), prefixes, mode, context);
    prefixes.push(prefix);
    rest = operands;
  }
}

const LOCK = 0xf0;
const FWAIT = 0x9b;

const PREFIXES: Readonly<Record<string, number>> = {
  lock: LOCK,
  rep: 0xf3,
  repe: 0xf3,
  repz: 0xf3,
  repne: 0xf2,
  repnz: 0xf2,
};

function assembleNamed(
  name: string,
  texts: readonly string[],
  prefixes: readonly number[],
  mode: CodeMode,
  context: StatementContext,
): Uint8Array {
  const meanings = meaningsOf(name);
  if (meanings.length === 0) throw new OperandError(`unknown instruction '${name}'`);
  const operands = texts.map((text) => parseOperand(text, mode, context));
  const forms = meanings.flatMap((meaning) => formsOfMeaning(meaning, operands, prefixes, mode));
  if (forms.length === 0)
    throw new OperandError(`'${name}' cannot be had with these operands${whereOf(prefixes, mode)}`);
  const chosen = choose(withMemorySize(forms), mode, context);
  checkNumbers(chosen.form, operands, context);
  return Uint8Array.from(chosen.bytes);
}

function whereOf(prefixes: readonly number[], mode: CodeMode): string {
  return `${prefixes.length > 0 ? " and prefixes" : ""} in ${mode}-bit mode`;
}

function formsOfMeaning(
  meaning: MnemonicMeaning,
  operands: readonly Operand[],
  prefixes: readonly number[],
  mode: CodeMode,
): Form[] {
  const repeat = prefixes.find((prefix) => prefix !== LOCK) ?? 0;
  const context = { mode, meaning, repeat, hasLock: prefixes.includes(LOCK) };
  const { immediate } = meaning;
  const added = immediate === undefined ? operands : [...operands, immediateOperand(immediate)];
  return rewrite(meaning.mnemonic, added).flatMap(([mnemonic, args]) =>
    instructionsOf(mnemonic).flatMap((row) => formsOf(row, args, context)),
  );
}

function immediateOperand(value: bigint): ImmediateOperand {
  return {
    kind: "immediate",
    value: { value, status: "constant", addresses: 0 },
    size: undefined,
    qualifier: undefined,
  };
}

/** What an instruction may be written as that has another form in the table, or none. */
function rewrite(mnemonic: string, operands: readonly Operand[]): [mnemonic: string, operands: readonly Operand[]][] {
  const [first, second] = operands;
  switch (mnemonic) {
    case "jmp":
    case "call": {
      const isFar = first?.kind === "far" || (first?.kind === "memory" && (first.size === 6 || first.size === 10));
      return [[isFar ? `${mnemonic}f` : mnemonic, operands]];
    }
    // The two operands are equal in rank.
    case "xchg":
    case "test":
      if (first === undefined || second === undefined) break;
      return [
        [mnemonic, operands],
        [mnemonic, [second, first]],
      ];
    // A segment register is moved to and from the low word of a register, and the rest of a destination is cleared.
    case "mov":
      if (first?.kind !== "register" || second?.kind !== "register") break;
      if (second.class === "segment" && first.size === 8) return [[mnemonic, [{ ...first, size: 4 }, second]]];
      if (first.class === "segment" && second.size > 2) return [[mnemonic, [first, { ...second, size: 2 }]]];
      break;
    // Nor do these have more than the low word to store.
    case "sldt":
    case "str":
      if (first?.kind === "register" && first.size === 8) return [[mnemonic, [{ ...first, size: 4 }]]];
      break;
    // Its operand is there to be read.
    case "xlat":
      if (first?.kind === "memory" && first.base === GPR.rbx && (first.segment ?? SEGMENT.ds) === SEGMENT.ds)
        return [[mnemonic, []]];
      break;
    case "int":
      if (first?.kind === "immediate" && first.value.status === "constant" && first.value.value === 3n)
        return [["int3", []]];
      break;
  }
  return [[mnemonic, operands]];
}

/**
 * Leaves the forms of one size where the memory operand has none written: of jumps and the stack's instructions, that of the
 * mode; of others there must be only one.
 */
function withMemorySize(forms: readonly Form[]): readonly Form[] {
  const [first] = forms;
  if (first === undefined || new Set(forms.map(({ memorySize }) => memorySize)).size === 1) return forms;
  const hasDefault = first.row.attributes.has("d64") || first.row.attributes.has("f64");
  if (!hasDefault)
    throw new OperandError("the size is not known: write byte ptr, word ptr, … before the memory operand");
  return [first];
}

/** A form with its bytes. */
interface Candidate {
  readonly form: Form;
  readonly bytes: readonly number[];
  /** A number that there is no room for. */
  readonly misfit: bigint | undefined;
}

/** The shortest form that has room for its numbers; of equally short ones, the table's first. */
function choose(forms: readonly Form[], mode: CodeMode, context: StatementContext): Candidate {
  let shortest: Candidate | undefined;
  let longest: Candidate | undefined;
  for (const form of forms) {
    const candidate = encodeForm(form, mode, context);
    const { length } = candidate.bytes;
    if (longest === undefined || length > longest.bytes.length) longest = candidate;
    if (candidate.misfit !== undefined) continue;
    if (shortest === undefined || length < shortest.bytes.length) shortest = candidate;
  }
  if (shortest !== undefined) return shortest;
  if (longest === undefined) throw new OperandError("no form");
  if (context.pass === "layout") return longest;
  throw new OperandError(
    longest.form.target === undefined ? `${longest.misfit ?? 0n} does not fit` : "the target is out of reach",
  );
}

function encodeForm(form: Form, mode: CodeMode, context: StatementContext): Candidate {
  const wait = form.hasWait ? [FWAIT] : [];
  const encoded = encodeFields(form.fields, mode, () => context.address + BigInt(wait.length));
  const bytes = [...wait, ...encoded.bytes];
  if (form.target === undefined) return { form, bytes, misfit: form.misfit ?? encoded.misfit };
  // A jump begins short and does not become short again.
  if (form.target.value.status === "unknown") return { form, bytes, misfit: undefined };
  return { form, bytes, misfit: bytes.length < context.previousSize ? form.target.value.value : encoded.misfit };
}

/** A bare label would be taken for memory by other assemblers of this syntax. */
function checkNumbers(form: Form, operands: readonly Operand[], context: StatementContext): void {
  for (const operand of operands) {
    if (operand.kind !== "immediate" || operand === form.target || operand.qualifier === "offset") continue;
    if (operand.value.addresses === 1 && context.pass === "final")
      throw new OperandError("an address as a number is written 'offset …', memory '[…]'");
  }
}
