// Tests of fdt.ts.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { cells64, writeFdt } from "./fdt.ts";
import { describeVirtBoard } from "./virt-tree.ts";

function decompile(blob: Uint8Array): { source: string; warnings: string } | undefined {
  try {
    execFileSync("dtc", ["--version"], { stdio: "ignore" });
  } catch {
    return undefined;
  }
  const source = execFileSync("dtc", ["-I", "dtb", "-O", "dts", "-s"], {
    input: blob,
    stdio: ["pipe", "pipe", "ignore"],
  }).toString();
  const warnings = execFileSync("sh", ["-c", "dtc -I dtb -O dtb 2>&1 >/dev/null"], { input: blob }).toString();
  return { source, warnings };
}

test("every kind of property, as dtc reads it back", (t) => {
  const blob = writeFdt({
    properties: {
      "#address-cells": [1],
      "#size-cells": [0],
      cells: [1, 0xffff_ffff],
      text: 'a"b',
      list: ["one", "two"],
      bytes: Uint8Array.of(1, 2, 3),
      empty: true,
      address: cells64(0x1_2345_6789),
    },
    children: { "child@1": { properties: { reg: [1], text: "again" } } },
  });
  const read = decompile(blob);
  if (read === undefined) return t.skip("needs dtc");
  assert.match(read.source, /cells = <0x01 0xffffffff>;/);
  assert.match(read.source, /text = "a\\"b";/);
  assert.match(read.source, /list = "one", "two";|list = "one\\0two";/);
  assert.match(read.source, /bytes = \[01 02 03\];/);
  assert.match(read.source, /empty;/);
  assert.match(read.source, /address = <0x01 0x23456789>;/);
  assert.match(read.source, /child@1 \{\s*reg = <0x01>;\s*text = "again";/);
});

test("the board's tree is one that dtc accepts without a warning", (t) => {
  const blob = writeFdt(
    describeVirtBoard({
      harts: 4,
      ramSize: 256 << 20,
      bootArguments: "console=ttyS0",
      initrd: { start: 0x8800_0000, end: 0x8810_0000 },
    }),
  );
  const read = decompile(blob);
  if (read === undefined) return t.skip("needs dtc");
  assert.equal(read.warnings, "");
  assert.match(read.source, /cpu@3 \{/);
  assert.match(read.source, /riscv,isa = "rv64imafdc_zicsr_zifencei_zba_zbb_zbs_sstc";/);
  assert.match(read.source, /memory@80000000 \{\s*device_type = "memory";\s*reg = <0x00 0x80000000 0x00 0x10000000>;/);
  assert.match(read.source, /linux,initrd-end = <0x00 0x88100000>;/);
  assert.match(read.source, /serial@10000000 \{/);
  assert.match(read.source, /virtio_mmio@10008000 \{/);
});
