// `vitrine maps`, `pt` and `frames`: what they show of a program that shares pages until they are written and has pages of 2 MiB.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { eachArch } from "../support/architectures.ts";
import { commandLine } from "../support/command-line.ts";

const folder = mkdtempSync(join(tmpdir(), "vitrine-memory-"));
after(() => rmSync(folder, { recursive: true }));

/** A shell whose child, a copy of it, still lives when it ends. */
const FORKING = ["sh", "-c", "(sleep 1; :) & :"];
/** Reads 8 MiB into one buffer; the counts of calls before it ends differ, its buffer is there before the call after the read. */
const LARGE = ["dd", "if=/dev/zero", "of=/dev/null", "bs=8M", "count=1"];
const AFTER_READ = { riscv64: "9", x86_64: "10" } as const;

interface Region {
  readonly start: number;
  readonly end: number;
  readonly purpose: string;
  readonly resident: number;
  readonly copyOnWrite: number;
  readonly large: number;
}

interface Leaf {
  readonly kind: string;
  readonly size: number;
  readonly count: number;
  readonly physical: number;
  readonly children: readonly Leaf[];
  readonly pages?: { readonly state: string; readonly holders: readonly [number, number] };
}

function leavesOf(tree: readonly Leaf[]): Leaf[] {
  return tree.flatMap((entry) => (entry.kind === "leaf" ? entry : leavesOf(entry.children)));
}

const ESCAPE = String.fromCharCode(27);

eachArch(({ arch, test }) => {
  const { vitrine } = commandLine(arch);

  test("maps shows what a fork left copy-on-write, in a table and on a narrow terminal", async () => {
    const wide = (await vitrine(["maps", ...FORKING])).stderr;
    assert.match(wide, /^pid 2 \(sh\): .*, (ASID|PCID) \d+ of generation 1$/m);
    assert.match(wide, /^START +-END +MODE +SIZE +RES UNMAPPED +SWAP +COW +LARGE +VMO +WHAT$/m);
    assert.match(wide, /^[0-9a-f]{16}-[0-9a-f]{16} rw-p +132K +\d+K +- +- +\d+K +- +\d+ +\[stack\] \(grows down\)$/m);
    assert.ok(wide.split("\n").every((line) => line.length <= 120));
    const narrow = (await vitrine(["maps", "--width", "80", ...FORKING])).stderr;
    assert.match(narrow, /rw-p +132K {2}\[stack\] \(grows down\)\n {2}VMO \d+: \d+K resident, \d+K copy-on-write$/m);
    assert.ok(narrow.split("\n").every((line) => line.length <= 80));
  });

  test("maps --json counts the same pages as the page table has", async () => {
    const maps = JSON.parse((await vitrine(["maps", "--json", ...FORKING])).stderr);
    const table = JSON.parse((await vitrine(["pt", "--json", ...FORKING])).stderr);
    const leaves = leavesOf(table.tree).filter(({ pages }) => pages !== undefined);
    const pages = (chosen: readonly Leaf[]): number =>
      chosen.reduce((sum, { count, size }) => sum + (count * size) / 4096, 0);
    assert.equal(maps.total.resident, pages(leaves));
    const shared = leaves.filter((leaf) => leaf.pages?.state === "copy-on-write");
    assert.ok(shared.every((leaf) => leaf.pages?.holders[1] === 2));
    assert.ok(maps.total.copyOnWrite > 0);
    assert.equal(maps.total.copyOnWrite, pages(shared));
    const sum = (key: "resident" | "copyOnWrite"): number =>
      maps.regions.reduce((total: number, region: Region) => total + region[key], 0);
    assert.deepEqual([sum("resident"), sum("copyOnWrite")], [maps.total.resident, maps.total.copyOnWrite]);
  });

  test("pt marks who holds the frames, large pages, and pages that the table does not show", async () => {
    const { stderr } = await vitrine(["pt", ...FORKING]);
    assert.match(stderr, /^page table of pid 2 \(sh\): .*, (ASID|PCID) \d+ of generation 1, \d+ table pages/m);
    assert.match(stderr, / 4K .*\[stack\] +copy-on-write x2/);
    assert.match(stderr, /\/bin\/vbox +file$/m);
    const { stderr: entry } = await vitrine(["pt", "--at", "entry", "hello"]);
    assert.match(entry, /^pages that the table does not show\n0x[0-9a-f]{16} x\d+ +\/bin\/hello +resident$/m);
    const large = await vitrine(["pt", "--at", AFTER_READ[arch], ...LARGE]);
    assert.match(large.stderr, /^ +(L1|PD)\[\d+\] 0x0{4}[0-9a-f]{6}[02468ace]0{5} .* 2M x[34] .* \[anonymous\] +own/m);
  });

  test("maps, pt and frames show what is in swap", async () => {
    const swap = ["--swap", join(folder, `swap-${arch}`), "--swap-size", "32M", "-m", "16M", "--at", AFTER_READ[arch]];
    const program = ["dd", "if=/dev/zero", "of=/dev/null", "bs=20M", "count=1"];
    const maps = (await vitrine(["maps", "--json", ...swap, ...program])).stderr;
    const { total } = JSON.parse(maps.split("\n")[0] ?? "");
    assert.ok(total.swapped > 1000);
    const { stderr: table } = await vitrine(["pt", "--width", "80", ...swap, ...program]);
    const runs = [...table.matchAll(/^0x[0-9a-f]{16} x(\d+) .* swapped: \/dev\/swap0 page (\d+)(?:-(\d+))?$/gm)];
    for (const [, count, first, last] of runs) assert.equal(Number(last ?? first) - Number(first) + 1, Number(count));
    assert.equal(
      runs.reduce((sum, run) => sum + Number(run[1]), 0),
      total.swapped,
    );
    const { stderr: frames } = await vitrine(["frames", ...swap, ...program]);
    const [, used] = /^swap area \/dev\/swap0, priority -2: (\d+) of 8191 pages used$/m.exec(frames) ?? [];
    assert.ok(Number(used) >= total.swapped);
  });

  test("maps shows the large pages of a region", async () => {
    const { stderr } = await vitrine(["maps", "--json", "--at", AFTER_READ[arch], ...LARGE]);
    const { regions } = JSON.parse(stderr.split("\n")[0] ?? ""); // dd's own words follow
    const [region, ...rest] = regions.filter(({ large }: Region) => large > 0);
    assert.deepEqual(rest, []);
    const blocks = Math.floor(region.end / 2 ** 21) - Math.ceil(region.start / 2 ** 21);
    assert.deepEqual([region.purpose, region.large, region.resident], ["anonymous", blocks * 512, 2049]);
  });

  test("frames maps all of memory: owners and free frames add up, and the first of the free list is what is taken next", async () => {
    const { stderr, stdout, status } = await vitrine(["frames", "--width", "80", "--limit", "3", "hello"]);
    assert.equal(stdout, "hello from user mode\n");
    assert.equal(status, 0);
    assert.match(stderr, /^32768 frames of 4 KiB, \d+ free; watermarks 256 and 384$/m);
    assert.match(stderr, /^single frames .*, the first 3\n {2}(0x[0-9a-f]{8} -> ){3}… \d+ more$/m);
    assert.match(stderr, /^no swap area\nswap cache: 0 frames$/m);
    assert.ok(!stderr.includes(ESCAPE), "no colours where there is no terminal");
    assert.ok(stderr.split("\n").every((line) => line.length <= 80));
    const view = JSON.parse((await vitrine(["frames", "--json", "--limit", "100000", "-m", "16M", "hello"])).stderr);
    const sum = view.owners.reduce((total: number, { frames }: { frames: number }) => total + frames, 0);
    assert.equal(sum, view.frameCount);
    assert.equal(view.frameCount, 4096);
    assert.equal(view.freeList.length + 512 * view.freeBlocks.length, view.free);
    assert.equal(view.freeList.length, view.freeSingles);
    const uses = view.shareCounts.reduce((total: number, { frames }: { frames: number }) => total + frames, 0);
    assert.equal(uses + view.free, view.frameCount);
  });
});
