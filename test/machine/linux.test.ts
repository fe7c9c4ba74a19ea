/**
 * Boots Debian's Linux kernel for riscv64, unmodified, through OpenSBI on the board: to the shell of a static busybox.
 *
 *   0x8000_0000  OpenSBI, fw_jump: goes on at 0x8020_0000 in supervisor mode
 *   0x8020_0000  Linux, as an Image
 *
 * The packages are fetched when VITRINE_SLOW_TESTS is set (the kernel's is 110 MB).
 */
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createVirtBoard, VIRT } from "../../src/machine/boards/virt.ts";
import { ConsoleLog, runUntil, type } from "../support/console.ts";
import { writeCpio } from "../support/cpio.ts";
import { debianDependencies, debianFile, debianPackage, debianSkip } from "../support/debian.ts";

const linuxOffset = 0x20_0000;
/** The shell asks the terminal where the cursor is. */
const prompt = /# (.\[6n)?$/;

const init = `#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
exec setsid sh -c 'exec sh -i </dev/ttyS0 >/dev/ttyS0 2>&1'
`;

/** The files to boot, or the reason why they cannot be had. */
function findFiles(): { firmware: Uint8Array; kernel: Uint8Array; initrd: Uint8Array } | string {
  if (process.env["VITRINE_SLOW_TESTS"] === undefined) return "a slow test: set VITRINE_SLOW_TESTS to run it";
  const firmware = debianFile({
    package: "opensbi",
    arch: "all",
    path: "/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_jump.bin",
  });
  if (firmware === undefined) return debianSkip("opensbi", "all");
  const busybox = debianFile({ package: "busybox-static", arch: "riscv64", path: "/bin/busybox" });
  if (busybox === undefined) return debianSkip("busybox-static", "riscv64");
  const image = debianDependencies("linux-image-riscv64", "riscv64").find((name) => name.startsWith("linux-image-"));
  const linux = image === undefined ? undefined : debianPackage(image, "riscv64");
  if (linux === undefined) return debianSkip(image ?? "linux-image-riscv64", "riscv64");
  const boot = join(linux, "boot");
  const kernel = readdirSync(boot).find((name) => name.startsWith("vmlinu"));
  if (kernel === undefined) return "the package holds no kernel";
  const folder = 0o40755;
  const initrd = writeCpio([
    ...["bin", "proc", "dev"].map((name) => ({ name, mode: folder })),
    { name: "bin/busybox", mode: 0o100755, data: readFileSync(busybox) },
    { name: "init", mode: 0o100755, data: Buffer.from(init) },
  ]);
  return { firmware: readFileSync(firmware), kernel: readFileSync(join(boot, kernel)), initrd };
}

for (const harts of [1, 2]) {
  test(`Debian's Linux boots on ${harts} harts through OpenSBI, runs programs and powers off`, (t) => {
    const files = findFiles();
    if (typeof files === "string") return t.skip(files);
    const log = new ConsoleLog();
    const board = createVirtBoard({
      ramSize: 256 << 20,
      harts,
      consoleOutput: log.take,
      bootArguments: "console=ttyS0 quiet",
      initrd: files.initrd,
      bootTime: { seconds: 1_790_000_000, nanoseconds: 0 },
    });
    board.machine.memory.write(VIRT.ram, files.firmware);
    board.machine.memory.write(VIRT.ram + linuxOffset, files.kernel);
    runUntil(board, log, prompt, { limit: 20_000_000_000 });
    assert.match(log.text, /OpenSBI/);
    const command = (line: string): string => {
      const from = log.text.length;
      type(board, `${line}\n`);
      const end = runUntil(board, log, prompt, { limit: 20_000_000_000, from });
      return log.text.slice(from, end);
    };
    assert.match(command("uname -m; nproc"), new RegExp(`riscv64\\r\\n${harts}\\r\\n`));
    assert.match(command("grep mmu /proc/cpuinfo"), /sv48/);
    assert.match(command("date -u +%F"), /2026-09-21/);
    assert.match(command("seq 1 1000 | awk '{ sum += $1 / 4 } END { print sum }'"), /125125/);
    type(board, "poweroff -f\n");
    let stop = board.machine.run({ instructions: 1_000_000 });
    for (let i = 0; i < 1000 && (stop.kind === "budget" || stop.kind === "idle"); i++) {
      stop = board.machine.run({ instructions: 1_000_000 });
    }
    assert.deepEqual(stop, { kind: "halted", reason: "power-off", status: 0 });
  });
}
