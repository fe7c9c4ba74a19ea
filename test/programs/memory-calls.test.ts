// Mappings, shared memory and mapped files, with good and bad arguments, from C programs: what each call returns, and what memory and files hold
// afterwards, must be what Linux returned.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { boot } from "../../src/node/index.ts";
import { COMPILERS, eachArch } from "../support/architectures.ts";
import { runTool, skipWithout } from "../support/tools.ts";

const sources = fileURLToPath(new URL("../../../test/programs/", import.meta.url));

/** Title, program, and the folder of the guest that it works in. */
const RUNS: readonly (readonly [string, string, string?])[] = [
  ["mappings, advice, locks and limits", "region-calls"],
  ["memfds and seals", "memfd-calls"],
  ["programs in memfds", "memfd-programs"],
  ["System V and POSIX shared memory", "shared-memory-calls"],
  ["mapped files on a tmpfs", "mapped-file-calls", "/dev/shm"],
  ["mapped files on a host folder", "mapped-file-calls", "/host"],
];

eachArch(({ arch, test }) => {
  const compiler = COMPILERS[arch];
  for (const [title, name, work] of RUNS) {
    test(`${title} do what they do on Linux 6.18`, { skip: skipWithout(compiler) }, async () => {
      const folder = mkdtempSync(join(tmpdir(), "vitrine-calls-"));
      try {
        const program = join(folder, name);
        const host = join(folder, "host");
        mkdirSync(host);
        runTool(compiler, ["-O1", "-static", "-pthread", "-w", "-o", program, join(sources, `${name}.c`)]);
        await using system = await boot({
          arch,
          memory: 64 * 2 ** 20,
          mounts: [
            { host: folder, guest: folder, readOnly: true },
            { host, guest: "/host", readOnly: false },
          ],
        });
        const run = system.spawn(work === undefined ? [program] : [program, work], { cwd: "/tmp" });
        let shown = "";
        for await (const chunk of run.stdout) shown += Buffer.from(chunk).toString("latin1");
        const expected = readFileSync(join(sources, `${name}.expected`), "latin1");
        assert.deepEqual(shown.split("\n"), expected.split("\n"));
        assert.deepEqual(await run.status, { kind: "exited", code: 0 });
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  }
});
