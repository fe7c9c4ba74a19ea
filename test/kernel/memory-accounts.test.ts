// What /proc and sysinfo(2) say of memory, against counts made here from the raw tables, the page maps and the frames.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE } from "../../src/abi/linux/memory.ts";
import { translateUser } from "../../src/inspect/peek.ts";
import { mountFilesystem } from "../../src/kernel/fs/mounts.ts";
import { resolveFromRoot } from "../../src/kernel/fs/path.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { cloneAddressSpace, releaseAddressSpace } from "../../src/kernel/mem/address-space.ts";
import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import { forEachSlot } from "../../src/kernel/mem/page-map.ts";
import { reclaimFrames } from "../../src/kernel/mem/reclaim.ts";
import { regionsOf } from "../../src/kernel/mem/region-tree.ts";
import { swapOn } from "../../src/kernel/mem/swap-areas.ts";
import { FRAME_OWNERS, type AddressSpace, type FrameOwner } from "../../src/kernel/mem/types.ts";
import { copyFromUser, copyToUser } from "../../src/kernel/mem/user-memory.ts";
import { readU32 } from "../../src/lib/bytes.ts";
import { createHostDirectory } from "../../src/node/host-directory.ts";
import type { Architecture } from "../../src/system/platform.ts";
import { eachArch } from "../support/architectures.ts";
import { AT_FDCWD, BUFFER, createFileKernel, type User } from "../support/file-kernel.ts";
import { createMemoryDevice, type MemoryDevice } from "../support/memory-device.ts";

const folder = mkdtempSync(join(tmpdir(), "vitrine-accounts-"));
after(() => rmSync(folder, { recursive: true }));

const RW = PROT_READ | PROT_WRITE;
const PAGES = 24;

interface World {
  readonly k: Kernel;
  readonly user: User;
  readonly device: MemoryDevice;
  /** A copy of the user's space, as fork makes it. */
  readonly child: AddressSpace;
}

/** Private, file and shared memory, a fork of all, and some of it in swap. */
function createWorld(arch: Architecture): World {
  writeFileSync(join(folder, "file"), "x".repeat(5 * 4096));
  const device = createMemoryDevice(1000);
  const { k, user } = createFileKernel(arch, {
    host: {
      directories: new Map([["host", createHostDirectory(folder, { readOnly: false })]]),
      blockDevices: new Map([["swap0", device]]),
    },
  });
  for (const name of ["proc", "host"]) user.must("mkdirat", AT_FDCWD, `/${name}`, 0o755);
  mount(k, "/proc", "procfs");
  mount(k, "/host", "hostfs");
  assert.equal(swapOn(k, "swap0"), 0);
  const bytes = (fill: number, pages: number): Uint8Array => new Uint8Array(pages * 4096).fill(fill);
  const put = (address: number, data: Uint8Array): void =>
    assert.equal(copyToUser(k, user.process.space, address, data), 0);
  const anonymous = user.must("mmap", 0, PAGES * 4096, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  put(anonymous, bytes(1, PAGES - 4));
  const fd = user.must("openat", AT_FDCWD, "/host/file", 2, 0);
  const file = user.must("mmap", 0, 5 * 4096, RW, MAP_SHARED, fd, 0);
  put(file, bytes(2, 3));
  const copy = user.must("mmap", 0, 5 * 4096, RW, MAP_PRIVATE, fd, 0);
  put(copy, bytes(3, 1));
  for (const page of [1, 4]) assert.notEqual(copyFromUser(k, user.process.space, copy + page * 4096, 1), "EFAULT");
  const shared = user.must("mmap", 0, 6 * 4096, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  put(shared, bytes(4, 6));
  user.writeFile("/unmapped", "y".repeat(2 * 4096));
  const child = cloneAddressSpace(k, user.process.space);
  assert.ok(child !== "ENOMEM");
  reclaimFrames(k, 10);
  put(anonymous, bytes(5, 2));
  put(BUFFER, bytes(0, 16)); // what is read comes here, and is to change no count
  assert.deepEqual(checkInvariants(k), []);
  return { k, user, device, child };
}

function mount(k: Kernel, path: string, kind: "procfs" | "hostfs"): void {
  const over = resolveFromRoot(k, path);
  assert.ok(typeof over !== "string");
  assert.notEqual(typeof mountFilesystem(k, kind, over, { source: "host" }), "string");
}

/** Rows "name: value kB" or "name value", summed where a name comes more than once. */
function rowsOf(text: string): (name: string) => number {
  const rows = new Map<string, number>();
  for (const [, name = "", value] of text.matchAll(/^(\w+):?\s+(\d+)(?: kB)?\s*$/gm))
    rows.set(name, (rows.get(name) ?? 0) + Number(value));
  return (name) => rows.get(name) ?? NaN;
}

/** Frames that the raw table of a space shows in its regions, by address. */
function shown(k: Kernel, space: AddressSpace): Map<number, number> {
  const frames = new Map<number, number>();
  for (const { start, end } of regionsOf(space)) {
    for (let at: number = start; at < end; at += 4096) {
      const physical = translateUser(k, space, at);
      if (physical !== undefined) frames.set(at, physical / 4096);
    }
  }
  return frames;
}

function framesOwnedBy(k: Kernel, ...owners: FrameOwner[]): number {
  return [...k.state.memory.frames.owners].filter((owner) => owners.includes(FRAME_OWNERS[owner] ?? "free")).length;
}

/** Frames in the page maps: of private memory, and of files and shared memory. */
function heldFrames(k: Kernel): { own: Set<number>; common: Set<number>; swapped: number } {
  const held = { own: new Set<number>(), common: new Set<number>(), swapped: 0 };
  for (const family of k.state.memory.families.values()) {
    for (const vmo of family.values()) {
      const isPrivate = [...vmo.mappings].some(({ sharing }) => sharing === "private") && vmo.source.kind !== "inode";
      forEachSlot(vmo.pages, 0, Infinity, (_index, slot) => {
        if (slot > 0) held[isPrivate ? "own" : "common"].add(slot);
        else held.swapped += 1;
      });
    }
  }
  return held;
}

eachArch(({ arch, test }) => {
  test("meminfo: every frame is in one row, and each row is what the page maps and the free lists have", () => {
    const { k, user } = createWorld(arch);
    const row = rowsOf(user.readFile("/proc/meminfo"));
    const pages = (name: string): number => row(name) / 4;
    const held = heldFrames(k);
    assert.equal(pages("MemTotal"), k.memory.size / 4096);
    assert.equal(pages("MemFree"), [...k.state.memory.frames.shareCounts].filter((count) => count === 0).length);
    assert.equal(pages("AnonPages"), held.own.size);
    assert.equal(pages("Cached"), held.common.size);
    assert.equal(pages("Shmem"), 6 + 2, "the shared mapping and the file of the tmpfs");
    const rest = framesOwnedBy(k, "kernel", "trapframe");
    const sum = ["MemFree", "AnonPages", "Cached", "PageTables", "KernelStack"].reduce(
      (total, name) => total + pages(name),
      rest,
    );
    assert.equal(sum, pages("MemTotal"));
    const mapped = new Set<number>();
    for (const space of k.state.memory.spaces.values()) {
      for (const frame of shown(k, space).values()) if (held.common.has(frame)) mapped.add(frame);
    }
    assert.equal(pages("Mapped"), mapped.size);
    assert.equal(pages("Dirty"), 3);
    assert.ok(pages("MemAvailable") <= pages("MemFree") + pages("Cached"));
    assert.ok(pages("Committed_AS") >= PAGES);
    assert.equal(row("DirectMap4k") + row("DirectMap2M") + row("DirectMap1G"), row("MemTotal"));
  });

  test("swaps, meminfo, vmstat and sysinfo agree on swap, and with the device", () => {
    const { k, user, device } = createWorld(arch);
    const memory = rowsOf(user.readFile("/proc/meminfo"));
    const counters = rowsOf(user.readFile("/proc/vmstat"));
    assert.ok(device.writes > 0);
    assert.equal(counters("pswpout"), device.writes);
    assert.equal(counters("pswpin") + 1, device.reads, "and the header");
    const [, size, used, priority] = /^\/dev\/swap0 +partition\t(\d+)\t\t(\d+)\t\t(-\d+)$/m.exec(
      user.readFile("/proc/swaps"),
    ) ?? ["", "", "", ""];
    assert.deepEqual([Number(size), Number(priority)], [999 * 4, -2]);
    assert.equal(memory("SwapTotal"), Number(size));
    assert.equal(memory("SwapTotal") - memory("SwapFree"), Number(used));
    assert.equal(memory("SwapCached"), k.state.memory.swap.frames.size * 4);
    user.must("sysinfo", BUFFER);
    const fields = user.get(112);
    const field = (offset: number): number => readU32(fields, offset) / 1024;
    assert.equal(field(32), memory("MemTotal"));
    assert.equal(field(48), memory("Shmem"));
    assert.deepEqual([field(64), field(72)], [memory("SwapTotal"), memory("SwapFree")]);
  });

  test("status, statm, smaps and smaps_rollup count the pages that the raw table shows", () => {
    const { k, user } = createWorld(arch);
    const { pid, space } = user.process;
    const resident = [...shown(k, space).values()];
    const status = rowsOf(user.readFile(`/proc/${pid}/status`));
    const sums = rowsOf(user.readFile(`/proc/${pid}/smaps`));
    const rollup = rowsOf(user.readFile(`/proc/${pid}/smaps_rollup`));
    const statm = user.readFile(`/proc/${pid}/statm`).split(" ").map(Number);
    const { common } = heldFrames(k);
    assert.equal(status("VmRSS"), resident.length * 4);
    assert.equal(sums("Rss"), resident.length * 4);
    assert.equal(rollup("Rss"), resident.length * 4);
    assert.equal(status("RssAnon") + status("RssFile") + status("RssShmem"), status("VmRSS"));
    assert.equal(status("RssFile") + status("RssShmem"), resident.filter((frame) => common.has(frame)).length * 4);
    assert.deepEqual(statm.slice(1, 3), [resident.length, (status("RssFile") + status("RssShmem")) / 4]);
    assert.ok(status("VmSwap") > 0);
    assert.equal(status("VmPTE"), space.tablePages * 4);
  });

  test("pagemap tells present, swapped and shared pages; frame numbers are the superuser's", () => {
    const { k, user, child } = createWorld(arch);
    const { pid, space, credentials } = user.process;
    const places = new Map<number, number>();
    for (const one of [space, child]) {
      for (const frame of shown(k, one).values()) places.set(frame, (places.get(frame) ?? 0) + 1);
    }
    const table = shown(k, space);
    const fd = user.must("openat", AT_FDCWD, `/proc/${pid}/pagemap`, 0, 0);
    const read = (address: number): { low: number; high: number } => {
      assert.equal(user.must("pread64", fd, BUFFER, 8, (address / 4096) * 8), 8);
      return { low: readU32(user.get(8), 0), high: readU32(user.get(8), 4) };
    };
    let swapped = 0;
    for (const { start, end, file, sharing } of regionsOf(space)) {
      if (start === BUFFER) continue;
      for (let at: number = start; at < end; at += 4096) {
        const { low, high } = read(at);
        const frame = table.get(at);
        const isPresent = high >>> 31 === 1;
        assert.equal(isPresent, frame !== undefined);
        if (((high >>> 30) & 1) === 1) swapped += 1;
        if (frame === undefined) continue;
        assert.equal(low, frame);
        assert.equal((high >>> 24) & 1, places.get(frame) === 1 ? 1 : 0, `place of ${at.toString(16)}`);
        if (file === undefined) assert.equal((high >>> 29) & 1, sharing === "shared" ? 1 : 0);
      }
    }
    assert.equal(swapped * 4, rowsOf(user.readFile(`/proc/${pid}/smaps`))("Swap"));
    assert.ok(swapped > 0);
    credentials.euid = 1000;
    const address = [...table.keys()].find((at) => at > BUFFER + 0x40_0000);
    const { low, high } = read(address ?? 0);
    assert.deepEqual([low, high >>> 31], [0, 1]);
    releaseAddressSpace(k, child);
  });
});
