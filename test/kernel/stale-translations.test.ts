// The stale-translation detector (src/machine/engine/translation-check.ts) on a running system: a kernel that flushes as it should is
// left alone, with several harts too; one that forgets a flush is stopped at the first instruction that uses the translation, with the
// line that edited the PTE. INV-3.

import assert from "node:assert/strict";
import { boot, type Vitrine } from "../../src/node/index.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import type { Architecture } from "../../src/system/platform.ts";
import { eachArch } from "../support/architectures.ts";

const SCRIPT =
  "ls -l / | sort | wc; (echo one; echo two) > /tmp/x; cat /tmp/x; for i in 1 2 3; do ls / & done; wait; echo end";

function start(arch: Architecture, harts: number, onKernel: (k: Kernel) => void = () => {}): Promise<Vitrine> {
  return boot({ arch, harts, memory: 32 << 20, checkTranslations: true, init: ["/bin/sh", "-c", SCRIPT], onKernel });
}

eachArch(({ arch, test }) => {
  for (const harts of [1, 3]) {
    test(`the kernel uses no stale translation, on ${harts} harts`, async () => {
      await using system = await start(arch, harts);
      const { reason, report, status } = await system.stopped;
      assert.equal(report, undefined, reason);
      assert.equal(status, 0);
    });
  }

  test("INV-3: a flush that is left out is found, with the instruction and the kernel's line", async () => {
    await using system = await start(arch, 1, (k) => {
      const { flushTlb } = k.arch;
      const forgetful: Partial<Kernel["arch"]> = {
        flushTlb(kernel, hart, address, asid) {
          if (asid === 0) flushTlb(kernel, hart, address, asid);
        },
      };
      Object.assign(k, { arch: { ...k.arch, ...forgetful } });
    });
    const { report = "" } = await system.stopped;
    assert.match(report, /stale translation used on hart 0 at pc [0-9a-f]{16}: (sd|sw|c\.|mov|push|call)/);
    assert.match(report, /store at [0-9a-f]{16}/);
    assert.match(report, /changed and not flushed: the PTE at [0-9a-f]{16}, level 0, by the host/);
    assert.match(report, /at cloneAddressSpace \(src\/kernel\/mem\/address-space/);
  });
});
