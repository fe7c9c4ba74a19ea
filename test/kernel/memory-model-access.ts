// Accesses to pages: by user mode on a hart, and by the kernel for the user.

import type { SyscallResult } from "../../src/kernel/syscall/row.ts";
import { accessOn, kernelWriteOn, physicalOn, walkTables } from "./memory-model-machine.ts";
import { STACK_WINDOW, type Operation } from "./memory-model-operations.ts";
import {
  cellOf,
  growStack,
  HEAD,
  noteTail,
  outcomeOf,
  PAGE,
  TAIL,
  writableCell,
  type ModelPage,
} from "./memory-model.ts";
import { Difference, expectSame, hex } from "./memory-model-difference.ts";
import { checkContents } from "./memory-model-check.ts";
import type { Slot, World } from "./memory-model-run.ts";

export function accessPage(
  world: World,
  operation: Extract<Operation, { kind: "write" | "read" | "execute" }>,
  slot: Slot,
): { page: number; pages: number } {
  const { page, hart, kind } = operation;
  const { model, user } = slot;
  const word = kind === "write" ? operation.word : HEAD;
  growStack(model, page, STACK_WINDOW);
  const address = page * PAGE + word;
  if (kind === "write" && operation.byKernel) return writeByKernel(world, operation, slot);
  world.frames.failCountdown = operation.fail;
  let outcome = accessOn(world.subject, user, hart, address, kind);
  if (outcome === "out of memory") outcome = accessOn(world.subject, user, hart, address, kind);
  world.frames.failCountdown = 0;
  expectSame(`${kind} of ${hex(address)}`, outcome, outcomeOf(model, page, kind, world.executeImpliesRead));
  const entry = model.pages.get(page);
  if (outcome === "done" && kind === "write" && entry !== undefined) {
    const physical = physicalOn(world.subject, hart, address, kind);
    world.subject.k.memory.write32(physical, operation.value);
    noteWrite(world, entry, operation.word, operation.value, physical - word);
  }
  return { page, pages: 1 };
}

function writeByKernel(
  world: World,
  operation: Extract<Operation, { kind: "write" }>,
  slot: Slot,
): { page: number; pages: number } {
  const { page, hart, word, value } = operation;
  const make = (): SyscallResult => kernelWriteOn(world.subject, slot.user, hart, page * PAGE + word, value);
  const isWritable = outcomeOf(slot.model, page, "write", world.executeImpliesRead) === "done";
  expectSame("write by the kernel", world.withFailure(operation, slot, 0, make), isWritable ? 0 : "EFAULT");
  const entry = slot.model.pages.get(page);
  if (isWritable && entry !== undefined) noteWrite(world, entry, word, value, addressOf(world, operation, slot, page));
  return { page, pages: 1 };
}

/** A word of the page was written; the other one may settle what was open. */
export function noteWrite(world: World, entry: ModelPage, word: number, value: number, frame: number): void {
  const cell = writableCell(entry);
  const other = word === HEAD ? "tail" : "head";
  if (cell.lenient === "all" || (cell.lenient === "tail" && other === "tail")) {
    const seen = world.subject.k.memory.read32(frame + (word === HEAD ? TAIL : HEAD));
    if (seen !== cell[other] && seen !== 0) throw new Difference(`${other} is ${hex(seen)}, neither old nor zero`);
    cell[other] = seen;
  }
  cell.lenient = "nothing";
  cell[word === HEAD ? "head" : "tail"] = value;
  noteTail(entry);
}

/** Where the contents of a page lie that may be read. The kernel may have written there without mapping it again. */
export function addressOf(world: World, { hart }: Operation, slot: Slot, page: number): number {
  const walked = walkTables(world.subject, slot.user.process.space, page * PAGE);
  if (walked !== undefined) return walked.physical;
  expectSame(`read of ${hex(page * PAGE)}`, accessOn(world.subject, slot.user, hart, page * PAGE, "read"), "done");
  return physicalOn(world.subject, hart, page * PAGE, "read");
}

/** Looks at a page that has just been accessed, where the model leaves open what it holds. */
export function settlePage(world: World, operation: Operation, slot: Slot, page: number, entry: ModelPage): void {
  if (cellOf(entry).lenient !== "nothing") checkContents(world, page, entry, addressOf(world, operation, slot, page));
}
