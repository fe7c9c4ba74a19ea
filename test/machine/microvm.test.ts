/**
 * The board microvm through the instruction stream: bare-metal programs that use its devices as a kernel would. What they have in
 * common with any PC must come out of QEMU alike.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createMicrovmBoard } from "../../src/machine/boards/microvm.ts";
import { loadMultiboot } from "../../src/machine/boards/multiboot.ts";
import { createMemoryBlock } from "../../src/machine/devices/virtio/block.ts";
import { makeMultibootImage } from "../support/multiboot-image.ts";
import { skipWithout } from "../support/tools.ts";
import { BOARD_PROGRAMS } from "./microvm-programs.ts";

/** More than any of the programs takes. */
const LIMIT = 50_000_000;

for (const program of BOARD_PROGRAMS) {
  for (const tier of ["run", "step"] as const) {
    test(`${program.name} (${tier})`, () => {
      const output: number[] = [];
      const board = createMicrovmBoard({
        ramSize: 8 << 20,
        harts: program.harts ?? 1,
        consoleOutput: (byte) => output.push(byte),
        disks: [createMemoryBlock(new Uint8Array(512))],
        tier,
      });
      loadMultiboot(board.machine, makeMultibootImage(program.source), "");
      board.uart.pushInput(Buffer.from(program.input ?? ""));
      const stop = board.machine.run({ instructions: LIMIT });
      assert.equal(String.fromCharCode(...output), program.output);
      assert.deepEqual(stop, { kind: "halted", reason: "power-off", status: program.status ?? 1 });
    });
  }
  if (!program.anywhere) continue;
  test(`QEMU agrees: ${program.name}`, { skip: skipWithout("qemu-system-x86_64") }, () => {
    const { output, status } = runOnQemu(makeMultibootImage(program.source));
    assert.equal(output, program.output);
    assert.equal(status, program.status ?? 1);
  });
}

function runOnQemu(image: Uint8Array): { output: string; status: number | null } {
  const folder = mkdtempSync(join(tmpdir(), "vitrine-"));
  try {
    const kernel = join(folder, "image");
    const serial = join(folder, "serial");
    writeFileSync(kernel, image);
    const machine = ["-M", "pc", "-cpu", "max", "-m", "64", "-display", "none", "-no-reboot"];
    const devices = ["-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-serial", `file:${serial}`];
    const { status } = spawnSync("qemu-system-x86_64", [...machine, ...devices, "-kernel", kernel], {
      timeout: 60_000,
      killSignal: "SIGKILL",
    });
    return { output: readFileSync(serial, "latin1"), status };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
