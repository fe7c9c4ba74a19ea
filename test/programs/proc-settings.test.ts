// Settings of memory below /proc/sys: what is written is what is read and what counts; other values change nothing.

import assert from "node:assert/strict";
import { boot } from "../../src/node/index.ts";
import { eachArch } from "../support/architectures.ts";

eachArch(({ arch, test }) => {
  async function run(script: string): Promise<string> {
    const system = await boot({ arch, memory: 32 * 2 ** 20 });
    try {
      return await system.spawn(["sh", "-c", script]).stdout.text();
    } finally {
      await system.close();
    }
  }

  test("settings of memory take the values that Linux takes", async () => {
    const output = await run(
      `cd /proc/sys; cat kernel/tainted
       set_to() { echo "$2" > $1 2>/dev/null && echo -n "ok " || echo -n "refused "; cat $1; }
       set_to vm/overcommit_memory 2
       set_to vm/overcommit_memory 3
       set_to vm/overcommit_ratio 80
       set_to vm/max_map_count 1000
       set_to vm/max_map_count -1
       set_to vm/mmap_min_addr 4096
       set_to vm/mmap_min_addr 0x1000
       set_to kernel/randomize_va_space 0
       set_to kernel/pid_max 300
       set_to kernel/pid_max 310
       i=0; while [ $i -lt 320 ]; do true | true; i=$((i + 1)); done; sh -c '[ $$ -lt 310 ] && echo below'`,
    );
    assert.deepEqual(output.trim().split("\n"), [
      "0",
      "ok 2",
      "refused 2",
      "ok 80",
      "ok 1000",
      "refused 1000",
      "ok 4096",
      "refused 4096",
      "ok 0",
      "refused 32768",
      "ok 310",
      "below",
    ]);
  });

  test("/sys tells how private memory gets large pages, and lets it be changed", async () => {
    const output = await run(
      `cd /sys/kernel/mm/transparent_hugepage; cat enabled hpage_pmd_size
       for word in madvise sometimes never; do echo $word > enabled 2>/dev/null || echo refused; cat enabled; done
       cd ../hugepages; for file in */*; do echo $file; cat $file; done`,
    );
    assert.deepEqual(output.trim().split("\n"), [
      "[always] madvise never",
      "2097152",
      "always [madvise] never",
      "refused",
      "always [madvise] never",
      "always madvise [never]",
      ...["free", "nr", "resv", "surplus"].flatMap((name) => [`hugepages-2048kB/${name}_hugepages`, "0"]),
    ]);
  });
});
