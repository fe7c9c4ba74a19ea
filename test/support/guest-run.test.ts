/** What is made of a program of the guest that has no end. */
import assert from "node:assert/strict";
import { boot } from "../../src/node/index.ts";
import { eachArch } from "./architectures.ts";
import { runGuest } from "./guest-run.ts";

eachArch(({ arch, test }) => {
  test("a program without end is ended with an account of the guest, which goes on", async () => {
    await using system = await boot({ arch });
    await assert.rejects(runGuest(system, ["cat"], { stdin: "pipe" }, 3000), (error: Error) => {
      assert.match(error.message, /no end after 3 s of cat\n/);
      assert.match(error.message, /process \d+ of 1 \(cat\): running\n {4}thread \d+: {"kind":"blocked".*}, in \w+\n/);
      assert.match(error.message, /hart 0: pc [0-9a-f]+, privilege \d/);
      return true;
    });
    const { stdout, status } = await runGuest(system, ["sh", "-c", "echo on; exit 3"], {});
    assert.deepEqual([stdout, status], ["on\n", 3]);
  });
});
