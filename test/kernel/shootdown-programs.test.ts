// Shootdowns as programs see them: threads on several harts that change each other's memory (guest/shootdowns.c), with inter-processor
// interrupts that are served at once, and with ones that come late: then harts use their old translations for thousands of instructions.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { fileURLToPath } from "node:url";
import type { Arch } from "../../src/kernel/arch/arch.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import { checkProcessInvariants } from "../../src/kernel/process/checker.ts";
import type { Architecture } from "../../src/system/platform.ts";
import { COMPILERS, eachArch } from "../support/architectures.ts";
import { bootGuest } from "../support/guest.ts";
import { runTool, skipWithout } from "../support/tools.ts";

const SOURCE = fileURLToPath(new URL("../../../test/kernel/guest/shootdowns.c", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "vitrine-shootdowns-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const built = new Map<Architecture, Uint8Array>();

function build(arch: Architecture): Uint8Array {
  const known = built.get(arch);
  if (known !== undefined) return known;
  const output = join(folder, arch);
  runTool(COMPILERS[arch], ["-O1", "-w", "-static", "-pthread", "-o", output, SOURCE]);
  const bytes = new Uint8Array(readFileSync(output));
  built.set(arch, bytes);
  return bytes;
}

/** Instructions after which interrupts that are kept back are sent, several harts' turns long. */
const DELAY = 60_000;
/** Instructions that a program may take. */
const LIMIT = 1_000_000_000;

interface Run {
  readonly arch: Architecture;
  /** Part of the program, or another program's arguments. */
  readonly part: string;
  readonly harts: number;
  /** Keeps inter-processor interrupts back for a while. */
  readonly isLate: boolean;
  /** Whenever interrupts are about to be sent late. */
  readonly checkInvariants?: boolean;
  readonly maxAsid?: number;
}

/** Runs a part of the program to its end, and looks at what it says. Returns the kernel. */
function run({ arch, part, harts, isLate, checkInvariants: isChecked = false, maxAsid }: Run): Kernel {
  const kept = new Set<number>();
  let send = (_hart: number): void => {};
  const guest = bootGuest({
    arch,
    files: { "bin/shootdowns": build(arch) },
    argv: ["/bin/shootdowns", part],
    harts,
    // The checker's time is in proportion to memory.
    memoryBytes: (isChecked ? 16 : 64) << 20,
    onKernel(k) {
      const { sendInterprocessorInterrupt } = k.arch;
      send = (hart) => sendInterprocessorInterrupt(k, hart);
      const changes: Partial<Arch> = {
        ...(maxAsid === undefined ? {} : { maxAsid }),
        ...(isLate ? { sendInterprocessorInterrupt: (_: Kernel, hart: number) => void kept.add(hart) } : {}),
      };
      Object.assign(k, { arch: { ...k.arch, ...changes } });
    },
  });
  for (let spent = 0; ; spent += DELAY) {
    assert.ok(spent < LIMIT, `the program ends\n${guest.output()}`);
    const state = guest.system.run({ instructions: DELAY });
    if (state.kind === "stopped") {
      assert.equal(state.report, undefined);
      break;
    }
    if (isChecked) assert.deepEqual(checkInvariants(guest.system.kernel), []);
    const isIdle = state.kind === "idle" && kept.size === 0;
    for (const hart of [...kept].toSorted()) {
      kept.delete(hart);
      send(hart);
    }
    if (!isIdle) continue;
    assert.ok(state.untilNs !== undefined, `nobody waits for ever\n${guest.output()}`);
    guest.system.skipTo(state.untilNs);
  }
  const lines = guest.output().trimEnd().split(/\r?\n/);
  assert.deepEqual(
    lines.filter((line) => !line.startsWith("ok ") && line !== "done"),
    [],
  );
  assert.equal(lines.at(-1), "done");
  const { kernel } = guest.system;
  assert.deepEqual([...checkInvariants(kernel), ...checkProcessInvariants(kernel)], []);
  return kernel;
}

const PARTS: readonly { readonly part: string; readonly title: string }[] = [
  {
    part: "unmap",
    title: "a page is unmapped while another hart writes to it: SIGSEGV, and never a write to the frame's next use",
  },
  { part: "move", title: "mremap: what is written by the old address is not in the moved page" },
  { part: "protect", title: "mprotect: a page does not change once it is read-only" },
  {
    part: "copy",
    title: "copy-on-write: one thread breaks the sharing, one writes to the new page, one does not read the old one",
  },
  { part: "fork", title: "fork while a sibling writes: the child has the memory of one moment" },
  {
    part: "ends",
    title: "INV-11: threads that are held for a shootdown are killed, stopped, and execute other programs",
  },
];

eachArch(({ arch, test }) => {
  const options = { skip: skipWithout(COMPILERS[arch]), timeout: 300_000 };

  for (const { part, title } of PARTS) {
    test(title, options, () => {
      for (const harts of [2, 4]) {
        for (const isLate of [false, true]) {
          const { sent, received } = run({ arch, part, harts, isLate }).state.memory.shootdowns.counters;
          assert.ok(sent > 0 && received > 0, `${harts} harts: there were shootdowns`);
        }
      }
    });
  }

  test("INV-10, INV-11, INV-12 hold while harts shoot at each other, and interrupts are late", options, () => {
    run({ arch, part: "few", harts: 4, isLate: true, checkInvariants: true });
  });

  test("INV-5: more processes than ASIDs, on 1 and 4 harts", options, () => {
    for (const harts of [1, 4]) {
      for (const part of ["fork", "ends"]) {
        const { asids } = run({ arch, part, harts, isLate: false, maxAsid: harts }).state.memory;
        assert.ok(asids.generation > 3, `${harts} harts: ${asids.generation} generations`);
      }
    }
  });
});
