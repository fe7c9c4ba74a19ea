// Every way of showing that a system call's row asks for is known to the tracer, and values read as strace prints them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { riscv64 } from "../../kernel/arch/riscv64/riscv64.ts";
import { NAME_TABLES, showNamed } from "./names.ts";
import { hexWords, isKnownShow, quote, shownArguments, showRawArguments } from "./show.ts";

const rows = [...riscv64.systemCalls.values()];

test("every row's `show` is known", () => {
  const unknown = rows.flatMap((row) =>
    row.args.filter((spec) => !isKnownShow(spec)).map((spec) => `${row.name}.${spec.name}: ${spec.show}`),
  );
  assert.deepEqual(unknown, []);
});

test("a pointer's length is an argument of its call, a number or the result", () => {
  const wrong: string[] = [];
  for (const row of rows) {
    for (const spec of row.args) {
      const where = spec.type === "pointer" ? spec.show?.split(":")[2] : undefined;
      if (
        where === undefined ||
        where === "RESULT" ||
        /^\d+$/.test(where) ||
        row.args.some(({ name }) => name === where)
      )
        continue;
      wrong.push(`${row.name}.${spec.name}: ${where}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test("no table of names is empty", () => {
  for (const [name, table] of Object.entries(NAME_TABLES)) assert.ok(table.names.size > 0, name);
});

function named(table: string, value: number): string {
  const names = NAME_TABLES[table];
  assert.ok(names, table);
  return showNamed(names, value);
}

test("flags read as strace prints them", () => {
  assert.equal(named("open", 0), "O_RDONLY");
  assert.equal(named("open", 0o1101), "O_WRONLY|O_CREAT|O_TRUNC");
  assert.equal(named("open-flags", 0o2000000), "O_CLOEXEC");
  assert.equal(named("open-flags", 0), "0");
  assert.equal(named("mmap-prot", 0), "PROT_NONE");
  assert.equal(named("mmap-prot", 3), "PROT_READ|PROT_WRITE");
  assert.equal(named("mmap-flags", 0x22), "MAP_PRIVATE|MAP_ANONYMOUS");
  assert.equal(named("clone", 17), "SIGCHLD");
  assert.equal(named("clone", 0x4111), "CLONE_VM|CLONE_VFORK|SIGCHLD");
  assert.equal(named("access", 0), "F_OK");
  assert.equal(named("clock", 1), "CLOCK_MONOTONIC");
  assert.equal(named("clock", 999), "0x3e7");
  assert.equal(named("wait", 0), "0");
});

test("bytes read as a C string", () => {
  assert.equal(quote(Buffer.from('a"\\\n\t\x007\x1bé')), '"a\\"\\\\\\n\\t\\0007\\33\\303\\251"');
});

test("arguments that a call does not look at are left out", () => {
  const row = (name: string): (typeof rows)[number] => {
    const found = rows.find((candidate) => candidate.name === name);
    assert.ok(found);
    return found;
  };
  const args = (...values: number[]): Int32Array =>
    Int32Array.from({ length: 12 }, (_, index) => (index % 2 === 0 ? (values[index / 2] ?? 0) : 0));
  assert.equal(shownArguments(row("openat"), args(-100, 0, 0)), 3);
  assert.equal(shownArguments(row("openat"), args(-100, 0, 0o100)), 4);
  assert.equal(shownArguments(row("fcntl"), args(0, 1)), 2);
  assert.equal(shownArguments(row("fcntl"), args(0, 2)), 3);
  assert.equal(shownArguments(row("clone"), args(17)), 2);
  assert.equal(shownArguments(row("clone"), args(0x200000)), 5);
});

test("64 bits are shown exactly", () => {
  assert.equal(hexWords(-1, -38), "0xffffffffffffffda");
  assert.equal(hexWords(0, -1), "0xffffffff");
  assert.equal(
    showRawArguments(Int32Array.of(1, 0, -1, -1, 0, 1, 0, 0, 0, 0, 0, 0)),
    "0x1, 0xffffffffffffffff, 0x100000000, 0x0, 0x0, 0x0",
  );
});
