// Files of the host as memory: what a shared mapping writes reaches the file, whichever way the mapping ends.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { mountFilesystem } from "../../src/kernel/fs/mounts.ts";
import { resolveFromRoot } from "../../src/kernel/fs/path.ts";
import { createHostDirectory } from "../../src/node/host-directory.ts";
import { assembleProgram, bootGuest, CALL } from "../support/guest.ts";

/** Maps /tmp/file shared, closes it, writes "HE" at its start, then ends as \`TAIL\` says. */
const program = (tail: string): Uint8Array =>
  assembleProgram(`
_start:
    li a0, -100
    lla a1, path
    li a2, 2                        # O_RDWR
    li a7, 56                       # openat
    ecall
    bltz a0, failed
    mv s0, a0
    li a0, 0
    li a1, 4096
    li a2, 3
    li a3, 1                        # MAP_SHARED
    mv a4, s0
    li a5, 0
    li a7, ${CALL.mmap}
    ecall
    bltz a0, failed
    mv s1, a0
    mv a0, s0
    li a7, 57                       # close
    ecall
    li t0, 0x4548                   # "HE"
    sh t0, 0(s1)
${tail}
    lbu a0, 2(s1)                   # "l" of "hello"
    li a7, ${CALL.exit}
    ecall
failed:
    li a0, 1
    li a7, ${CALL.exit}
    ecall
path:
    .asciz "/tmp/file"
`);

const TAILS: Readonly<Record<string, string>> = {
  "the process ends": "",
  msync: `
    mv a0, s1
    li a1, 4096
    li a2, 4
    li a7, 227
    ecall`,
  "mprotect takes the right away first": `
    mv a0, s1
    li a1, 4096
    li a2, 1
    li a7, ${CALL.mprotect}
    ecall`,
  "the mapping is moved": `
    mv a0, s1
    li a1, 4096
    li a2, 4096
    li a3, 3
    li a4, 0x20000000
    li a7, 216
    ecall
    mv s1, a0`,
};

for (const [name, tail] of Object.entries(TAILS)) {
  test(`a shared mapping's writes reach the host's file: ${name}`, () => {
    const folder = mkdtempSync(join(tmpdir(), "vitrine-mapped-"));
    try {
      writeFileSync(join(folder, "file"), "hello");
      const guest = bootGuest({
        files: { "bin/mapper": program(tail) },
        argv: ["/bin/mapper"],
        checkInvariants: true,
        directories: new Map([["host", createHostDirectory(folder, { readOnly: false })]]),
      });
      const { kernel } = guest.system;
      const place = resolveFromRoot(kernel, "/tmp");
      assert.ok(typeof place !== "string");
      assert.equal(typeof mountFilesystem(kernel, "hostfs", place, { source: "host" }), "object");
      const state = guest.finish();
      assert.equal(state.report, undefined);
      assert.equal(state.status, "l".charCodeAt(0));
      assert.equal(readFileSync(join(folder, "file"), "latin1"), "HEllo");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}
