// The kernel's two architectures are twins, and nothing but the code of an architecture asks which one it is on.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { riscv64 } from "../../src/kernel/arch/riscv64/riscv64.ts";
import { x86_64 } from "../../src/kernel/arch/x86_64/x86_64.ts";
import { ARCHITECTURES, type Architecture } from "../../src/system/platform.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

type Exports = Readonly<Record<string, unknown>>;

/** Modules of an architecture by file name; the one that is named after it stands under "ARCH". */
function filesOf(arch: Architecture): string[] {
  return readdirSync(join(ROOT, "src/kernel/arch", arch))
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
    .map((name) => (name === `${arch}.ts` ? "ARCH.ts" : name))
    .toSorted();
}

async function exportsOf(arch: Architecture, file: string): Promise<Exports> {
  const name = (file === "ARCH.ts" ? `${arch}.ts` : file).replace(/\.ts$/, ".js");
  return (await import(new URL(`../../src/kernel/arch/${arch}/${name}`, import.meta.url).href)) as Exports;
}

/** What a value looks like from outside: a function by its number of parameters. */
const shapeOf = (value: unknown): string =>
  typeof value === "function" ? `function of ${value.length}` : Array.isArray(value) ? "array" : typeof value;

/** What riscv64 exports under a name of its own hardware; everything else has a twin of the same name and shape. */
const OWN_NAMES: Readonly<Record<string, readonly string[]>> = {
  "ARCH.ts": ["riscv64"],
  // x86Hart
  "context.ts": ["riscvHart"],
  // The word from which harts load their first page table: KERNEL_CR3.
  "layout.ts": ["SATP_WORD"],
  // fourLevel
  "paging.ts": ["sv39", "sv48"],
};

test("kernel/arch: both architectures have the same files", () => {
  assert.deepEqual(filesOf("x86_64"), filesOf("riscv64"));
});

for (const file of filesOf("riscv64")) {
  test(`kernel/arch: ${file} exports the same shapes for both architectures`, async () => {
    const [first, second] = await Promise.all([exportsOf("riscv64", file), exportsOf("x86_64", file)]);
    const alone = Object.keys(first).filter((name) => !(name in second));
    assert.deepEqual(alone, OWN_NAMES[file] ?? []);
    for (const [name, value] of Object.entries(first)) {
      if (name in second) assert.equal(shapeOf(second[name]), shapeOf(value), name);
    }
  });
}

test("kernel/arch: both architectures give the core kernel the same things", () => {
  for (const [name, value] of Object.entries(riscv64)) {
    assert.equal(shapeOf(x86_64[name as keyof typeof x86_64]), shapeOf(value), name);
  }
  const alone = Object.keys(x86_64).filter((name) => !(name in riscv64));
  // FS and GS bases are no registers that the core kernel could set as such.
  assert.deepEqual(alone, ["segmentBases"]);
});

/** Where an architecture is known: its own folders, the boards and devices that it has, and what joins it all. */
const AT_HOME =
  /^src\/(isa|abi|machine\/(riscv64|x86_64|boards|devices)|kernel\/arch\/(riscv64|x86_64)|system\/platforms)\//;

/** Files elsewhere that name an architecture, and why. */
const NAMED: ReadonlyMap<string, string> = new Map([
  ["src/machine/hart.ts", "the type of Hart.arch"],
  ["src/node/architecture.ts", "e_machine to architecture, and the default"],
]);

const sources = readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts") && !/\.test(\.support)?\.ts$/.test(name))
  .map((name) => relative(ROOT, join(ROOT, "src", name)))
  .filter((path) => !AT_HOME.test(path));

test("no file outside an architecture's folders names one in its code, but those that list them", () => {
  const name = new RegExp(`["'\`](${ARCHITECTURES.join("|")})["'\`]`);
  const branch = new RegExp(`([!=]==?|case)\\s*["'\`](${ARCHITECTURES.join("|")})["'\`]`);
  const naming: string[] = [];
  for (const path of sources) {
    const text = readFileSync(join(ROOT, path), "utf8");
    assert.doesNotMatch(text, branch, `${path} has a branch for an architecture`);
    if (name.test(text)) naming.push(path);
  }
  assert.deepEqual(naming.toSorted(), [...NAMED.keys()].toSorted());
});
