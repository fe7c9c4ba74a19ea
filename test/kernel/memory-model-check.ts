// The comparison itself (docs/memory-model.md, A-1 to A-14): pages beside raw tables and the harts' MMUs, regions, files of the host,
// and the invariants of the kernel.

import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import { findRegionAtOrAbove } from "../../src/kernel/mem/regions.ts";
import { translateOn, walkTables } from "./memory-model-machine.ts";
import type { Operation } from "./memory-model-operations.ts";
import {
  accepts,
  allowsAccess,
  cellOf,
  EXECUTE,
  HEAD,
  isBeyondEnd,
  PAGE,
  READ,
  TAIL,
  WRITE,
  type Access,
  type ModelPage,
} from "./memory-model.ts";
import { Difference, expectSame, hex } from "./memory-model-difference.ts";
import type { Slot, World } from "./memory-model-run.ts";

const ACCESSES: readonly Access[] = ["read", "write", "execute"];
const RIGHT_OF: Readonly<Record<Access, number>> = { read: READ, write: WRITE, execute: EXECUTE };

/** The pages that were touched, in every process, and one more of each. */
export function checkSome(world: World, operation: Operation, touched: { page: number; pages: number }): void {
  for (const slot of world.slots) {
    if (slot === undefined) continue;
    const shown = Math.min(touched.pages, 4);
    for (let i = 0; i < shown; i++) {
      checkPage(world, slot, touched.page + Math.floor((i * touched.pages) / shown));
    }
    checkPage(world, slot, touched.page + touched.pages);
    checkPage(world, slot, 0x1000_0000 / PAGE + ((world.done * 7 + operation.slot) % 40));
  }
}

export function checkAll(world: World): void {
  for (const slot of world.slots) {
    if (slot === undefined) continue;
    checkProcess(world, slot);
    checkRegions(world, slot);
  }
  expectInvariants(world, "after an operation");
}

export function expectInvariants(world: World, when: string): void {
  expectSame(`invariants ${when}`, checkInvariants(world.subject.k).join("\n"), "");
}

export function checkProcess(world: World, slot: Slot): void {
  for (const page of slot.model.pages.keys()) checkPage(world, slot, page);
}

/** what the raw tables and the harts say of one page, beside the model. Nothing is faulted in. */
function checkPage(world: World, slot: Slot, page: number): void {
  const address = page * PAGE;
  const { space } = slot.user.process;
  if (address + PAGE > world.subject.k.arch.layout.userTop) return;
  const walked = walkTables(world.subject, space, address);
  const entry = slot.model.pages.get(page);
  if (walked !== undefined && !isKernels(world, address)) {
    if (entry === undefined) throw new Difference(`A-5: ${hex(address)} is mapped by the tables and by no call`);
    for (const access of ACCESSES) {
      if ((walked.rights & RIGHT_OF[access]) !== 0 && !allowsAccess(entry, access, world.executeImpliesRead)) {
        throw new Difference(`A-5: the PTE of ${hex(address)} allows ${access}`);
      }
    }
    if (isBeyondEnd(entry))
      throw new Difference(`A-2: ${hex(address)} is mapped beyond the end of ${entry.object?.name}`);
    checkContents(world, page, entry, walked.physical);
  }
  for (const [hart, user] of world.subject.running.entries()) {
    if (user !== slot.user) continue;
    for (const access of ACCESSES) {
      const seen = translateOn(world.subject, hart, address, access);
      const isAllowed = walked !== undefined && (walked.rights & RIGHT_OF[access]) !== 0;
      if (seen === (isAllowed ? walked.physical : undefined)) continue;
      throw new Difference(
        `A-7: hart ${hart} translates ${access} of ${hex(address)} to ${hex(seen)}, the tables to ${hex(walked?.physical)} with rights ${walked?.rights}`,
      );
    }
  }
}

export function checkContents(world: World, page: number, entry: ModelPage, physical: number): void {
  const { memory } = world.subject.k;
  const head = memory.read32(physical + HEAD);
  const tail = memory.read32(physical + TAIL);
  if (accepts(entry, head, tail)) return;
  const cell = cellOf(entry);
  throw new Difference(
    `A-1: ${hex(page * PAGE)} holds ${hex(head)} … ${hex(tail)}, not ${hex(cell.head)} … ${hex(cell.tail)} (${cell.lenient} may be zero)`,
  );
}

/** After msync the file of the host has what its shared mapping shows. */
export function checkStored(world: World, entry: ModelPage | undefined): void {
  if (entry?.shared !== true || entry.object?.isOnHost !== true || isBeyondEnd(entry)) return;
  const { object, index } = entry;
  const { bytes } = world.subject.folder.files.get(object.name.slice(3)) ?? { bytes: new Uint8Array() };
  expectSame("size of the host's file", bytes.length, object.length);
  const stored = new Uint8Array(PAGE);
  stored.set(bytes.subarray(index * PAGE, (index + 1) * PAGE));
  const view = new DataView(stored.buffer);
  const isCut = index * PAGE + TAIL >= object.length;
  const { head, tail } = cellOf(entry);
  expectSame("head in the host's file", view.getInt32(HEAD, true), head);
  if (!isCut && cellOf(entry).lenient === "nothing")
    expectSame("tail in the host's file", view.getInt32(TAIL, true), tail);
}

/** the regions are the pages that the model has, and what lies between the two words of a page is zero. */
export function checkRegions(world: World, slot: Slot): void {
  const { space } = slot.user.process;
  let pages = 0;
  for (let at = 0; ;) {
    const region = findRegionAtOrAbove(space, at);
    if (region === undefined) break;
    at = region.end;
    if (isKernels(world, region.start)) continue;
    const { read, write, execute } = region.protection;
    const rights = (read ? READ : 0) | (write ? WRITE : 0) | (execute ? EXECUTE : 0);
    for (let address: number = region.start; address < region.end; address += PAGE) {
      pages += 1;
      const entry = slot.model.pages.get(address / PAGE);
      if (entry?.rights === rights && entry.shared === (region.sharing === "shared")) continue;
      throw new Difference(
        `A-10: region at ${hex(address)} has rights ${rights}, ${region.sharing}; the model ${entry?.rights}`,
      );
    }
  }
  expectSame("A-10: pages in regions", pages, slot.model.pages.size);
}

/** Pages that every space has without asking. */
function isKernels(world: World, address: number): boolean {
  const { layout } = world.subject.k.arch;
  return address >= layout.vdso;
}
