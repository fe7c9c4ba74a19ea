// The page-table editor, against the machine's own walker.

import assert from "node:assert/strict";
import fc from "fast-check";
import type { ArchitectureName } from "../../src/abi/linux/abi.ts";
import { physAddr, virtAddr, type FrameNumber } from "../../src/lib/address.ts";
import { CSR } from "../../src/isa/riscv64/csrs.ts";
import { CR0, CR4, EFER, SEGMENT } from "../../src/isa/x86_64/registers.ts";
import type { PageTableFormat, PteFlags } from "../../src/kernel/arch/arch.ts";
import { rootRegisterOf } from "../../src/kernel/arch/riscv64/boot.ts";
import { hartOf as riscvHart } from "../../src/kernel/arch/riscv64/context.ts";
import { sv39, sv48 } from "../../src/kernel/arch/riscv64/paging.ts";
import { hartOf as x86Hart } from "../../src/kernel/arch/x86_64/context.ts";
import { SEGMENT_ATTRIBUTES, SELECTORS } from "../../src/kernel/arch/x86_64/hart.ts";
import { fourLevel } from "../../src/kernel/arch/x86_64/paging.ts";
import type { Translation } from "../../src/machine/hart.ts";
import { KernelBug, type Kernel } from "../../src/kernel/kernel.ts";
import { createAddressSpace, releaseAddressSpace } from "../../src/kernel/mem/address-space.ts";
import { enterSpace } from "../../src/kernel/mem/asid.ts";
import { finishFlush, FLUSH_PAGE_LIMIT, flushPage, newFlush } from "../../src/kernel/mem/flush.ts";
import { freeFrameCount } from "../../src/kernel/mem/frames.ts";
import { mapContiguous, mapPage, query, unmap, updateFlags, visitEntries } from "../../src/kernel/mem/page-table.ts";
import { answerRequests } from "../../src/kernel/mem/shootdown.ts";
import type { AddressSpace } from "../../src/kernel/mem/types.ts";
import { eachArch } from "../support/architectures.ts";
import { createMemoryKernel } from "../support/memory-kernel.ts";

const FLAGS: PteFlags = {
  read: true,
  write: true,
  execute: false,
  user: true,
  global: false,
  accessed: true,
  dirty: true,
};
const PAGE = 4096;
const MIB = 1 << 20;
const RAM_FRAME = 0x80000 as FrameNumber;

function spaceOf(k: Kernel): AddressSpace {
  const space = createAddressSpace(k);
  assert.notEqual(space, "ENOMEM");
  return space as AddressSpace;
}

type Access = "load" | "store" | "execute";

/** Looks an address up in user mode under the tables of `space`, with nothing in the TLB. */
const LOOK_UP: Readonly<
  Record<ArchitectureName, (k: Kernel, space: AddressSpace, at: number, access: Access) => Translation>
> = {
  riscv64(k, space, address, access) {
    const hart = riscvHart(k, 0);
    const satp = rootRegisterOf(space, 7);
    hart.sfence(undefined, undefined);
    hart.writeCsr(CSR.satp, satp.lo, satp.hi);
    hart.setPrivilege(0);
    const found = hart.translate(address, access);
    hart.setPrivilege(3);
    hart.writeCsr(CSR.satp, 0, 0);
    return found;
  },
  x86_64(k, space, address, access) {
    const hart = x86Hart(k, 0);
    hart.setSystemRegister("efer", EFER.LME | EFER.LMA | EFER.NXE, 0);
    hart.setSystemRegister("cr4", CR4.PAE, 0);
    hart.setSystemRegister("cr0", CR0.PE | CR0.WP | CR0.PG, 0);
    hart.setSystemRegister("cr3", space.root * PAGE, 0);
    const attributes = SEGMENT_ATTRIBUTES.get(SELECTORS.userCode) ?? 0;
    hart.setSegment(SEGMENT.cs, { selector: SELECTORS.userCode, base: { lo: 0, hi: 0 }, limit: -1, attributes });
    return hart.translate(address, access);
  },
};

/** Formats, the bits of their frame numbers, and whether every page can be read. */
const FORMATS: Readonly<
  Record<ArchitectureName, readonly { format: PageTableFormat; frameBits: number; alwaysReads: boolean }[]>
> = {
  riscv64: [
    { format: sv39, frameBits: 44, alwaysReads: false },
    { format: sv48, frameBits: 44, alwaysReads: false },
  ],
  x86_64: [{ format: fourLevel, frameBits: 40, alwaysReads: true }],
};

eachArch(({ arch, test }) => {
  /** What the machine's own walker, written apart from the editor, makes of an address. */
  function walk(k: Kernel, space: AddressSpace, address: number, access: Access): number | undefined {
    const found = LOOK_UP[arch](k, space, address, access);
    return found.ok ? found.physical : undefined;
  }

  test("mapContiguous takes the largest page that alignment and length allow (K10)", () => {
    const k = createMemoryKernel(arch);
    const space = spaceOf(k);
    const flush = newFlush(k, space);
    // 4 KiB short of a 2 MiB boundary, then 4 MiB, then one page.
    const start = virtAddr(0x4000_0000 - PAGE);
    assert.equal(mapContiguous(k, space, start, (0x80200 - 1) as FrameNumber, PAGE + 4 * MIB + PAGE, FLAGS, flush), 0);
    finishFlush(k, flush, "test");
    const sizes: number[] = [];
    visitEntries(k, space, ({ address, level, isLeaf }) => {
      if (isLeaf && address >= start && address < 0x5000_0000) sizes.push(level);
    });
    assert.deepEqual(sizes, [0, 1, 1, 0]);
    assert.equal(query(k, space, virtAddr(0x4000_0000 + 2 * MIB + 5))?.physical, 0x8020_0000 + 2 * MIB + 5);
    releaseAddressSpace(k, space);
  });

  test("gigabyte pages are used where they fit, and a part of one can be unmapped", () => {
    const k = createMemoryKernel(arch);
    const space = spaceOf(k);
    const free = freeFrameCount(k);
    const gib = 1 << 30;
    const flush = newFlush(k, space);
    assert.equal(mapContiguous(k, space, virtAddr(2 * gib), RAM_FRAME, gib, FLAGS, flush), 0);
    assert.equal(query(k, space, virtAddr(2 * gib))?.level, 2);
    // Sv39's root has entries of that size; with four levels there is one table more.
    assert.equal(freeFrameCount(k), free - (k.arch.format.levels.length - 3), "no smaller tables are needed");
    assert.equal(unmap(k, space, virtAddr(2 * gib + 6 * MIB + PAGE), virtAddr(2 * gib + 6 * MIB + 2 * PAGE), flush), 0);
    finishFlush(k, flush, "test");
    assert.equal(query(k, space, virtAddr(2 * gib + 6 * MIB + PAGE)), undefined);
    assert.equal(query(k, space, virtAddr(2 * gib + 6 * MIB))?.physical, 0x8000_0000 + 6 * MIB);
    assert.equal(query(k, space, virtAddr(2 * gib + 8 * MIB))?.level, 1);
    assert.equal(walk(k, space, 2 * gib + 6 * MIB + PAGE, "load"), undefined);
    assert.equal(walk(k, space, 3 * gib - 1, "load"), 0x8000_0000 + gib - 1);
    releaseAddressSpace(k, space);
  });

  test("the editor and the machine's walker agree on random mappings, rights and removals", () => {
    const k = createMemoryKernel(arch);
    const pageNumber = fc.oneof(
      fc.nat(40),
      fc.nat(40).map((n) => n + 0x3ffff00),
      fc.nat(1023).map((n) => n + 0x200),
    );
    const step = fc.record({
      page: pageNumber,
      frame: fc.nat(1023).map((n) => RAM_FRAME + n),
      pages: fc.integer({ min: 1, max: 700 }),
      kind: fc.constantFrom("map", "map", "protect", "unmap"),
      write: fc.boolean(),
      execute: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const before = freeFrameCount(k);
        const space = spaceOf(k);
        const model = new Map<number, { frame: number; write: boolean; execute: boolean }>();
        for (const { page, frame, pages, kind, write, execute } of steps) {
          const start = virtAddr(page * PAGE);
          const length = Math.min(pages, 0x3ffff80 - page) * PAGE;
          if (length <= 0) continue;
          const end = virtAddr(start + length);
          const flush = newFlush(k, space);
          if (kind === "map") {
            assert.equal(unmap(k, space, start, end, flush), 0);
            assert.equal(
              mapContiguous(k, space, start, frame as FrameNumber, length, { ...FLAGS, write, execute }, flush),
              0,
            );
          } else if (kind === "unmap") {
            assert.equal(unmap(k, space, start, end, flush), 0);
          } else {
            assert.equal(
              updateFlags(k, space, start, end, (flags) => ({ ...flags, write, execute }), flush),
              0,
            );
          }
          finishFlush(k, flush, "test");
          for (let i = 0; i < length / PAGE; i++) {
            if (kind === "unmap") model.delete(page + i);
            else if (kind === "map") model.set(page + i, { frame: frame + i, write, execute });
            else if (model.has(page + i))
              model.set(page + i, { frame: model.get(page + i)?.frame ?? 0, write, execute });
          }
        }
        const probes = new Set([...model.keys()].filter((_, i) => i % 37 === 0));
        for (const { page, pages } of steps)
          for (const at of [page - 1, page, page + pages - 1, page + pages]) probes.add(at);
        for (const page of probes) {
          if (page < 0 || page >= 0x3ffff80) continue;
          const expected = model.get(page);
          const at = page * PAGE + 8;
          const physical = expected === undefined ? undefined : expected.frame * PAGE + 8;
          assert.equal(query(k, space, virtAddr(at))?.physical, physical, `query ${page.toString(16)}`);
          assert.equal(walk(k, space, at, "load"), physical);
          assert.equal(walk(k, space, at, "store"), expected?.write === true ? physical : undefined);
          assert.equal(walk(k, space, at, "execute"), expected?.execute === true ? physical : undefined);
        }
        releaseAddressSpace(k, space);
        assert.equal(freeFrameCount(k), before);
      }),
      { numRuns: 40 },
    );
  });

  test("protect advances through all pages of its range, absent ones and whole tables included", () => {
    const k = createMemoryKernel(arch);
    const space = spaceOf(k);
    const flush = newFlush(k, space);
    const at = [0, 1, 511, 512, 1024].map((page) => virtAddr(0x1000_0000 + page * PAGE));
    for (const address of at) assert.equal(mapPage(k, space, address, RAM_FRAME, FLAGS, flush), 0);
    updateFlags(
      k,
      space,
      virtAddr(0x1000_0000),
      virtAddr(0x1000_0000 + 1024 * PAGE),
      (flags) => ({ ...flags, write: false }),
      flush,
    );
    finishFlush(k, flush, "test");
    assert.deepEqual(
      at.map((address) => query(k, space, address)?.flags.write),
      [false, false, false, false, true],
    );
    releaseAddressSpace(k, space);
  });

  test("INV-3: a Flush that is not finished shows, and one is finished once", () => {
    const k = createMemoryKernel(arch);
    const space = spaceOf(k);
    const flush = newFlush(k, space);
    assert.equal(k.state.memory.openFlushes, 1);
    finishFlush(k, flush, "test");
    assert.equal(k.state.memory.openFlushes, 0);
    assert.throws(() => finishFlush(k, flush, "test"), KernelBug);
  });

  test("a flush drops single pages up to a threshold, and the ASID beyond it, on every hart that may cache the space (K13)", () => {
    const k = createMemoryKernel(arch, { harts: 3 });
    const space = spaceOf(k);
    for (const hart of [0, 2]) enterSpace(k, hart, space);
    const heard: string[] = [];
    k.machine.probes.tlbFlush = (hart, address, asid) => heard.push(`${hart.id}:${address ?? "all"}:${asid ?? "all"}`);
    const few = newFlush(k, space);
    flushPage(few, virtAddr(0x5000));
    finishFlush(k, few, "test");
    answerRequests(k, 2);
    assert.deepEqual(heard.splice(0), [`0:${0x5000}:${space.asid}`, `2:${0x5000}:${space.asid}`]);
    enterSpace(k, 2, space);
    const many = newFlush(k, space);
    for (let i = 0; i <= FLUSH_PAGE_LIMIT; i++) flushPage(many, virtAddr(i * PAGE));
    finishFlush(k, many, "test");
    answerRequests(k, 2);
    assert.deepEqual(heard, [`0:all:${space.asid}`, `2:all:${space.asid}`]);
  });

  test("formats: a writable page is readable, a pointer has no rights, the whole frame number survives", () => {
    const out = new Int32Array(2);
    for (const { format, frameBits, alwaysReads } of FORMATS[arch]) {
      fc.assert(
        fc.property(
          fc.nat(2 ** 31 - 1),
          fc.nat(8191),
          fc.record({ read: fc.boolean(), write: fc.boolean(), execute: fc.boolean() }),
          (low, high, rights) => {
            const frame = (high * 2 ** 31 + low) as FrameNumber;
            fc.pre(frame < 2 ** frameBits && (rights.read || rights.write || rights.execute));
            format.encodeLeaf(frame, { ...FLAGS, ...rights }, 0, out);
            const view = format.view(out[1] ?? 0, out[0] ?? 0, 0);
            assert.ok(view.kind === "leaf");
            assert.equal(view.frame, frame);
            assert.deepEqual(view.flags, { ...FLAGS, ...rights, read: alwaysReads || rights.read || rights.write });
            format.encodeTable(frame, true, out);
            assert.deepEqual(format.view(out[1] ?? 0, out[0] ?? 0, 1), { kind: "table", frame });
          },
        ),
      );
    }
    assert.equal(physAddr(0), 0);
  });
});
