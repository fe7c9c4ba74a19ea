// Every file call with good and bad arguments, from a C program: what each returns must be what Linux returned.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { boot } from "../../src/node/index.ts";
import { COMPILERS, eachArch } from "../support/architectures.ts";
import { runTool, skipWithout } from "../support/tools.ts";

const sources = fileURLToPath(new URL("../../../test/programs/", import.meta.url));

eachArch(({ arch, test }) => {
  const compiler = COMPILERS[arch];
  test("file calls return what Linux 6.18 returns for them", { skip: skipWithout(compiler) }, async () => {
    const folder = mkdtempSync(join(tmpdir(), "vitrine-calls-"));
    try {
      const program = join(folder, "file-calls");
      runTool(compiler, ["-O1", "-static", "-w", "-o", program, join(sources, "file-calls.c")]);
      await using system = await boot({
        arch,
        memory: 64 * 2 ** 20,
        mounts: [{ host: folder, guest: folder, readOnly: true }],
      });
      const run = system.spawn([program], { cwd: "/tmp" });
      let shown = "";
      for await (const chunk of run.stdout) shown += Buffer.from(chunk).toString("latin1");
      const expected = readFileSync(join(sources, "file-calls.expected"), "latin1");
      assert.deepEqual(shown.split("\n"), expected.split("\n"));
      assert.deepEqual(await run.status, { kind: "exited", code: 0 });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
