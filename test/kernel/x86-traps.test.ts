// The trap path of x86-64 from the program's side: every exception and its siginfo, signal frames and corrupted ones, stacks that are no
// address, single-stepping, segments, and the old ways into the kernel. The program checks itself; it prints the same on Linux.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { decodeUtf8 } from "../../src/lib/bytes.ts";
import { GPR } from "../../src/isa/x86_64/registers.ts";
import { hartOf } from "../../src/kernel/arch/x86_64/context.ts";
import { sendNonMaskableInterrupt } from "../../src/kernel/arch/x86_64/devices.ts";
import { hartPage, layout, TABLES_PAGE } from "../../src/kernel/arch/x86_64/layout.ts";
import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import { checkProcessInvariants } from "../../src/kernel/process/checker.ts";
import { boot } from "../../src/node/index.ts";
import { ARCHITECTURES, COMPILERS } from "../support/architectures.ts";
import { assembleProgram, bootGuest, makeTar } from "../support/guest.ts";
import { runTool, skipWithout } from "../support/tools.ts";

const compiler = COMPILERS.x86_64;
const folder = mkdtempSync(join(tmpdir(), "vitrine-x86-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function build(): Uint8Array {
  const source = fileURLToPath(new URL("../../../test/kernel/guest/x86_64.c", import.meta.url));
  const output = join(folder, "x86_64");
  runTool(compiler, ["-O1", "-w", "-static", "-mfsgsbase", "-mno-red-zone", "-o", output, source]);
  return readFileSync(output);
}

const skip = ARCHITECTURES.includes("x86_64") ? skipWithout(compiler) : "another architecture was asked for";

for (const harts of [1, 3]) {
  test(
    `x86-64's exceptions, frames and ways in are Linux's, ${harts} hart(s)`,
    { skip, timeout: 120_000 },
    async () => {
      const archive = makeTar({ "bin/traps": build() });
      await using system = await boot({ arch: "x86_64", root: { archive }, harts, memory: 64 << 20 });
      const program = system.spawn(["/bin/traps", "all"]);
      let text = "";
      for await (const chunk of program.stdout) text += decodeUtf8(chunk);
      const lines = text.trimEnd().split("\n");
      assert.deepEqual(
        lines.filter((line) => !line.startsWith("ok ") && line !== "done"),
        [],
      );
      assert.equal(lines.at(-1), "done");
      assert.ok(lines.length > 130, `${lines.length} checks`);
      assert.deepEqual(await program.status, { kind: "exited", code: 0 });
      assert.deepEqual([...checkInvariants(system.kernel), ...checkProcessInvariants(system.kernel)], []);
    },
  );
}

/** Counts in registers alone, with a system call now and then, and ends with 0 if they were left alone. */
const COUNTER = `
    xor ebx, ebx
    mov rbp, 0x1122334455667788
    mov r12, rbp
    movq xmm3, rbp
1:  inc ebx
    test ebx, 63
    jnz 2f
    mov eax, 39
    syscall
2:  cmp ebx, 20000
    jb 1b
    movq rdx, xmm3
    xor edi, edi
    cmp rdx, rbp
    setne dil
    cmp r12, rbp
    setne al
    or dil, al
    mov eax, 231
    syscall
`;

test("a fault of which the stack is the cause goes to the double fault's own stack, and is a report", { skip }, () => {
  const guest = bootGuest({ arch: "x86_64", files: { "bin/a": assembleProgram("x86_64", COUNTER) }, argv: ["/bin/a"] });
  guest.system.run({ instructions: 1000 });
  const { kernel } = guest.system;
  kernel.arch.provokeFault(kernel, 0);
  hartOf(kernel, 0).setGprNumber(GPR.rsp, 0x1000);
  const state = guest.finish();
  assert.equal(state.reason, "panic");
  assert.match(state.report ?? "", /double fault in the kernel at fault/);
});

test(
  "an NMI in the trampoline, on either page table and stack, changes nothing that a program can see",
  { skip },
  () => {
    const guest = bootGuest({
      arch: "x86_64",
      files: { "bin/a": assembleProgram("x86_64", COUNTER) },
      argv: ["/bin/a"],
    });
    const { kernel, machine } = guest.system;
    const places = new Set<string>();
    kernel.probes.log = (line) => {
      const place = /^NMI on hart 0 at ([a-z]*)/.exec(line);
      if (place !== null) places.add(place[1] ?? "");
    };
    // After the instruction that changes the page table, on the way in and on the way out; the NMI's own way changes it twice.
    let writes = 0;
    machine.probes.addressSpace = () => {
      writes += 1;
      if (writes % 5 === 0) sendNonMaskableInterrupt(kernel, 0);
    };
    const state = guest.finish();
    assert.deepEqual([state.reason, state.status], ["power-off", 0]);
    assert.ok(places.has("uservec") || places.has("usertrap"), [...places].join());
    assert.ok(places.has("usersysret") || places.has("userret"), [...places].join());
  },
);

test("what every space maps for the kernel is out of user mode's reach", { skip }, () => {
  const guest = bootGuest({
    arch: "x86_64",
    files: { "bin/a": assembleProgram("x86_64", COUNTER) },
    argv: ["/bin/a"],
  });
  guest.system.run({ instructions: 1000 });
  const hart = hartOf(guest.system.kernel, 0);
  const pages = [layout.trampoline, TABLES_PAGE, hartPage(0), layout.trapframe];
  while (hart.cpl !== 3) guest.system.run({ instructions: 1 });
  for (const page of pages) {
    for (const access of ["load", "store", "execute"] as const) assert.equal(hart.translate(page, access).ok, false);
  }
});
