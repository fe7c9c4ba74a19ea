// Every row has a number in some ABI, and no two rows share one.

import assert from "node:assert/strict";
import { test } from "node:test";
import { RISCV64_CALLS } from "../../abi/linux/calls-riscv64.ts";
import { X86_64_CALLS } from "../../abi/linux/calls-x86_64.ts";
import { ALL_CALLS, COMPATIBLE_CALLS, riscv64Calls, x86_64CallNames, x86_64Calls } from "./table.ts";

test("each row's name is a Linux system call, and stands in the table once", () => {
  const seen = new Set<string>();
  for (const { name } of ALL_CALLS) {
    assert.ok(RISCV64_CALLS.has(name) || X86_64_CALLS.has(name), `${name} is no system call`);
    assert.ok(!seen.has(name), `${name} has two rows`);
    seen.add(name);
  }
});

test("numbers lead to the rows of their names", () => {
  assert.equal(riscv64Calls.get(93)?.name, "exit");
  assert.equal(riscv64Calls.get(220)?.name, "clone");
  assert.equal(riscv64Calls.get(172)?.name, "getpid");
  assert.equal(x86_64Calls.get(60)?.name, "exit");
  assert.equal(x86_64Calls.get(56)?.name, "clone");
  assert.equal(x86_64Calls.get(2)?.name, "open");
});

test("clone's last two arguments are in each architecture's order", () => {
  const names = (row: { readonly args: readonly { readonly name: string }[] } | undefined): string[] =>
    (row?.args ?? []).map(({ name }) => name).slice(3);
  assert.deepEqual(names(riscv64Calls.get(220)), ["tls", "child_tidptr"]);
  assert.deepEqual(names(x86_64Calls.get(56)), ["child_tidptr", "tls"]);
});

test("an older form has the arguments that it is given, and its own name", () => {
  const open = x86_64Calls.get(2);
  assert.deepEqual(
    open?.args.map(({ name }) => name),
    ["pathname", "flags", "mode"],
  );
  assert.deepEqual(
    x86_64Calls.get(84)?.args.map(({ name }) => name),
    ["pathname"],
  );
  assert.equal(x86_64Calls.get(84)?.name, "rmdir");
});

test("calls by i386's numbers lie beside the native ones", () => {
  assert.equal(x86_64Calls.get(COMPATIBLE_CALLS + 1)?.name, "exit");
  assert.equal(x86_64Calls.get(COMPATIBLE_CALLS + 4)?.name, "write");
  assert.equal(x86_64Calls.get(COMPATIBLE_CALLS + 192)?.name, "mmap2");
  // Its time_t is 32 bits wide.
  assert.equal(x86_64Calls.get(COMPATIBLE_CALLS + 13), undefined);
  assert.equal(x86_64CallNames.get(COMPATIBLE_CALLS + 13), "time");
  assert.equal(x86_64CallNames.get(13), "rt_sigaction");
});
