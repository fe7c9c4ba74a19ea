/**
 * Boots an unmodified xv6-riscv on the board: the proof that the machine knows nothing of our own kernel.
 *
 * VITRINE_XV6 names a folder that holds a built xv6 (`kernel/kernel` and `fs.img`).
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createVirtBoard } from "../../src/machine/boards/virt.ts";
import { createMemoryBlock } from "../../src/machine/devices/virtio/block.ts";
import { ConsoleLog, runUntil, type } from "../support/console.ts";
import { loadElf } from "../support/elf.ts";

const folder = process.env["VITRINE_XV6"];
const skip = folder === undefined ? "needs VITRINE_XV6, the folder of a built xv6-riscv" : false;
const prompt = /\$ $/;

function bootXv6(harts: number) {
  const log = new ConsoleLog();
  const disk = new Uint8Array(readFileSync(join(folder ?? "", "fs.img")));
  const board = createVirtBoard({
    ramSize: 128 << 20,
    harts,
    consoleOutput: log.take,
    disks: [createMemoryBlock(disk)],
  });
  loadElf(board.machine.memory, readFileSync(join(folder ?? "", "kernel/kernel")));
  runUntil(board, log, prompt, { limit: 2_000_000_000 });
  const command = (line: string, limit = 2_000_000_000): string => {
    const from = log.text.length;
    type(board, `${line}\n`);
    const end = runUntil(board, log, prompt, { limit, from });
    return log.text.slice(from, end);
  };
  return { board, log, command };
}

for (const harts of [1, 3]) {
  test(`xv6 boots on ${harts} harts to its shell, which runs programs`, { skip }, () => {
    const { command, log } = bootXv6(harts);
    assert.match(log.text, /xv6 kernel is booting/);
    assert.match(command("echo hello vitrine"), /hello vitrine/);
    assert.match(command("ls"), /README +2 +\d+ +\d+/);
    assert.match(command("cat README | wc"), /\d+ \d+ \d+/);
    assert.match(command("forktest"), /fork test OK/);
  });
}

for (const name of ["copyin", "exitiput", "sbrkbasic", "preempt"]) {
  test(`xv6 usertests ${name}`, { skip }, () => {
    assert.match(bootXv6(2).command(`usertests ${name}`, 20_000_000_000), /ALL TESTS PASSED/);
  });
}
