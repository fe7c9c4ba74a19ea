// Which process ends when memory is out: the one with the highest score, as /proc/PID/oom_score_adj moves it.

import assert from "node:assert/strict";
import { boot, type Vitrine } from "../../src/node/index.ts";
import { eachArch } from "../support/architectures.ts";

eachArch(({ arch, test }) => {
  async function run(script: string, memory = 32 * 2 ** 20): Promise<string> {
    const system: Vitrine = await boot({ arch, memory });
    try {
      const program = system.spawn(["sh", "-c", script]);
      const output = await program.stdout.text();
      await program.status;
      return output;
    } finally {
      await system.close();
    }
  }

  test("oom_score_adj is kept, inherited, and bounded", async () => {
    const output = await run(
      `f=/proc/self/oom_score_adj
       echo -1000 > /proc/$$/oom_score_adj; cat $f; cat /proc/$$/oom_score
       echo 1000 > /proc/$$/oom_score_adj; cat $f
       echo 1001 > /proc/$$/oom_score_adj 2>/dev/null || cat $f
       echo ten > /proc/$$/oom_score_adj 2>/dev/null || cat $f`,
    );
    assert.equal(output, "-1000\n0\n1000\n1000\n1000\n");
  });

  test("the process that asks to be ended first is ended, though another is larger", async () => {
    // tail keeps all of an input that never ends.
    const output = await run(
      `(echo 1000 > /proc/self/oom_score_adj; exec sleep 1000) &
       first=$!
       tail -c 1000000000 /dev/zero > /dev/null & second=$!
       wait $first; echo $?; kill $second`,
    );
    assert.equal(output.split("\n")[0], "137");
  });
});
