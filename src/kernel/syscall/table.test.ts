// Every row has a number in some ABI, and no two rows share one.

import assert from "node:assert/strict";
import { test } from "node:test";
import { RISCV64_CALLS } from "../../abi/linux/calls-riscv64.ts";
import { X86_64_CALLS } from "../../abi/linux/calls-x86_64.ts";
import { ALL_CALLS, riscv64Calls } from "./table.ts";

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
});
