// Files of the host as memory: what a shared mapping writes reaches the file, whichever way the mapping ends.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Architecture } from "../../src/system/platform.ts";
import { mountFilesystem } from "../../src/kernel/fs/mounts.ts";
import { resolveFromRoot } from "../../src/kernel/fs/path.ts";
import { createHostDirectory } from "../../src/node/host-directory.ts";
import { eachArch } from "../support/architectures.ts";
import { bootGuest, portableProgram } from "../support/guest.ts";

/** Maps /tmp/file shared, closes it, writes "HE" at its start, then ends as the tail says. */
const program = (arch: Architecture, tail: string): Uint8Array =>
  portableProgram(
    arch,
    `
_start:
    sys openat, -100, &path, 2      # O_RDWR
    if r < 0 goto failed
    set s0, r
    sys mmap, 0, 4096, 3, 1, s0, 0  # MAP_SHARED
    if r < 0 goto failed
    set s1, r
    sys close, s0
    set t0, 0x4548                  # "HE"
    store16 t0, [s1]
${tail}
    load8 t0, [s1 + 2]              # "l" of "hello"
    sys exit, t0
failed:
    sys exit, 1
path:
    .asciz "/tmp/file"
`,
  );

const TAILS: Readonly<Record<string, string>> = {
  "the process ends": "",
  msync: "sys msync, s1, 4096, 4",
  "mprotect takes the right away first": "sys mprotect, s1, 4096, 1",
  "the mapping is moved": "sys mremap, s1, 4096, 4096, 3, 0x20000000\n set s1, r",
};

eachArch(({ arch, test }) => {
  for (const [name, tail] of Object.entries(TAILS)) {
    test(`a shared mapping's writes reach the host's file: ${name}`, () => {
      const folder = mkdtempSync(join(tmpdir(), "vitrine-mapped-"));
      try {
        writeFileSync(join(folder, "file"), "hello");
        const guest = bootGuest({
          arch,
          files: { "bin/mapper": program(arch, tail) },
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
});
