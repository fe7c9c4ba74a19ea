// Programs that want the host's time or memory rather than an answer: the host keeps its turn, ends them at will, and gets all back.

import assert from "node:assert/strict";
import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import { freeFrameCount } from "../../src/kernel/mem/frames.ts";
import { checkProcessInvariants } from "../../src/kernel/process/checker.ts";
import { sendSignal } from "../../src/kernel/process/signals.ts";
import { boot, type GuestProcess, type Vitrine } from "../../src/node/index.ts";
import { eachArch } from "../support/architectures.ts";
import { bootGuest, makeTar, portableProgram } from "../support/guest.ts";
import { callNumber } from "../support/portable.ts";
import { BLOB, callStorm, type CallRecord } from "./call-storm.ts";

const SIGKILL = 9;
/** Half of what a program may map. */
const HALF_OF_SPACE = { riscv64: 2 ** 37, x86_64: 2 ** 46 } as const;

const OK = `
_start:
    sys exit, 0
`;

eachArch(({ arch, test }) => {
  async function bootWith(files: Readonly<Record<string, string>>): Promise<Vitrine> {
    const programs = Object.entries(files).map(
      ([name, source]) => [`bin/${name}`, portableProgram(arch, source, { HALF: HALF_OF_SPACE[arch] })] as const,
    );
    const archive = makeTar({ "bin/ok": portableProgram(arch, OK), ...Object.fromEntries(programs) });
    return boot({ arch, memory: 32 << 20, root: { archive } });
  }

  /** Lets a program run for a moment, kills it, and says how long that took and how long the event loop once had no turn. */
  async function killAfter(program: GuestProcess, ms: number): Promise<{ toDieMs: number; longestMs: number }> {
    let longestMs = 0;
    let last = performance.now();
    const beat = setInterval(() => {
      longestMs = Math.max(longestMs, performance.now() - last);
      last = performance.now();
    }, 5);
    await new Promise((resolve) => setTimeout(resolve, ms));
    const killed = performance.now();
    program.kill(SIGKILL);
    const status = await program.status;
    clearInterval(beat);
    assert.deepEqual(status, { kind: "signaled", signal: SIGKILL, coreDumped: false });
    return { toDieMs: performance.now() - killed, longestMs };
  }

  /** What each storm leaves: a system that runs programs, with every frame free that was free, and every invariant kept. */
  async function expectSound(system: Vitrine, freeBefore: number): Promise<void> {
    assert.deepEqual(await system.spawn(["/bin/ok"]).status, { kind: "exited", code: 0 });
    assert.equal(freeFrameCount(system.kernel), freeBefore);
    assert.deepEqual([...checkInvariants(system.kernel), ...checkProcessInvariants(system.kernel)], []);
  }

  // Generous bounds: they tell "at once" from "in a minute" also on a busy machine.
  const SOON_MS = 5000;

  const STORMS: Readonly<Record<string, string>> = {
    "a program that does nothing but sleep": `
_start:
    sys nanosleep, &second, 0
    goto _start
    .balign 8
second:
    .quad 1, 0
`,
    "a program that loops": `
_start:
    goto _start
`,
    "a program that writes a gibibyte of zeros with each call": `
_start:
    sys mmap, 0, 0x40000000, 1, 0x22, -1, 0         # PROT_READ
    set s1, r
    sys openat, -100, &path, 1
    set s0, r
again:
    sys write, s0, s1, 0x40000000
    goto again
path:
    .asciz "/dev/null"
`,
    "a program that fills and punches a file in memory": `
_start:
    sys memfd_create, &name, 0
    set s0, r
again:
    sys fallocate, s0, 0, 0, 0x1400000
    sys fallocate, s0, 3, 0, 0x1400000              # PUNCH_HOLE, KEEP_SIZE
    goto again
name:
    .asciz "m"
`,
    "a program that wants all of its address space resident": `
_start:
    sys mmap, 0, HALF, 2, 0x8022, -1, 0             # MAP_POPULATE
    set s1, r
again:
    sys mlock, s1, HALF
    sys mincore, s1, HALF, sp
    goto again
`,
  };

  for (const [name, source] of Object.entries(STORMS)) {
    test(`${name} leaves the host its turn and can be killed`, async () => {
      await using system = await bootWith({ storm: source });
      await system.spawn(["/bin/ok"]).status;
      const free = freeFrameCount(system.kernel);
      const { toDieMs, longestMs } = await killAfter(system.spawn(["/bin/storm"]), 700);
      assert.ok(toDieMs < SOON_MS, `${toDieMs} ms to die`);
      assert.ok(longestMs < SOON_MS, `${longestMs} ms without a turn`);
      await expectSound(system, free);
    });
  }

  test("a program that is killed dies before a fork bomb's other processes have their turn", async () => {
    await using system = await bootWith({
      bomb: `
_start:
    sys clone, 17, 0, 0, 0, 0
    goto _start
`,
    });
    await system.spawn(["/bin/ok"]).status;
    const free = freeFrameCount(system.kernel);
    const { toDieMs } = await killAfter(system.spawn(["/bin/bomb"]), 1000);
    assert.ok(toDieMs < SOON_MS, `${toDieMs} ms to die`);
    const { processes } = system.kernel.state;
    assert.ok(processes.size > 100, "its children go on");
    // The bomb refills what one process leaves: so all are ended in one moment, as kill(-1) would.
    for (let tries = 0; processes.size > 1 && tries < 50; tries++) {
      for (const process of [...processes.values()]) {
        if (process.pid > 1) sendSignal(system.kernel, process, { signal: SIGKILL, code: 0 });
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await expectSound(system, free);
  });

  const call = (name: string): number => callNumber(arch, name);
  const times = (count: number, make: (index: number) => CallRecord[]): CallRecord[] =>
    Array.from({ length: count }, (_, i) => make(i)).flat();

  /** Runs one child's calls; `look` sees the kernel after each. */
  function runCalls(calls: readonly CallRecord[], blob: string, look?: (results: readonly unknown[]) => void): void {
    const results: unknown[] = [];
    const free: number[] = [];
    const guest = bootGuest({
      arch,
      files: { "bin/storm": callStorm(arch, Buffer.from(blob, "latin1"), [], [calls, calls]) },
      argv: ["/bin/storm"],
      onKernel: (k) => {
        k.probes.syscallExit = (thread, _number, _row, _args, result) => {
          if (thread.process.pid !== 1) results.push(result);
        };
        k.probes.exit = (process) => {
          if (process.pid !== 1) free.push(freeFrameCount(k));
        };
      },
    });
    const began = performance.now();
    const state = guest.finish(4_000_000_000);
    assert.equal(state.report, undefined);
    assert.equal(state.status, 0);
    assert.ok(performance.now() - began < 20_000, "it takes moments");
    assert.equal(free[1], free[0], "the second child leaves as much memory as the first");
    assert.deepEqual(checkInvariants(guest.system.kernel), []);
    const { files, memory } = guest.system.kernel.state;
    assert.equal(files.pipeCapacity, 0);
    assert.ok(files.descriptorSlots < 10 && memory.regionCount < 10, "nothing is left on the accounts");
    look?.(results);
  }

  test("epoll instances in epoll instances are looked at once each, however many paths lead to them", () => {
    const width = 40;
    const levels = 5;
    const first = 3;
    const at = (level: number, index: number): number => first + level * width + index;
    const event = 0x100;
    runCalls(
      [
        ...times(levels * width, () => [[call("epoll_create1"), 0]]),
        ...times(levels - 1, (level) =>
          times(width, (from) =>
            times(width, (to) => [[call("epoll_ctl"), at(level, from), 1, at(level + 1, to), BLOB + event]]),
          ),
        ),
        [call("epoll_pwait"), first, BLOB + event, 1, 0, 0, 8],
      ],
      `${"\0".repeat(event)}\u0001${"\0".repeat(64)}`,
      (results) => assert.ok(!results.includes("EINVAL") && !results.includes("ELOOP")),
    );
  });

  test("a process that ends while another shares its descriptors leaves them to the other (INV-21)", () => {
    const calls: CallRecord[] = [
      [call("clone"), 0x411, 0, 0, 0, 0], // CLONE_FILES and SIGCHLD: both go on here
      [call("exit_group"), 0],
    ];
    const guest = bootGuest({
      arch,
      files: { "bin/storm": callStorm(arch, new Uint8Array(64), [], [calls]) },
      argv: ["/bin/storm"],
      checkInvariants: true,
      harts: 2,
    });
    assert.deepEqual(guest.finish(), { kind: "stopped", status: 0, reason: "power-off", report: undefined });
  });

  test("the buffers of all pipes together stay within a quarter of memory", () => {
    const pipes = 400;
    let [granted, refused] = [0, 0];
    runCalls(
      times(pipes, (i) => [
        [call("pipe2"), BLOB, 0],
        [call("fcntl"), 3 + 2 * i, 1031, 1 << 20],
      ]),
      "\0".repeat(64),
      (results) => {
        granted = results.filter((result) => result === 1 << 20).length;
        refused = results.filter((result) => result === "EPERM").length;
      },
    );
    assert.ok(granted > 0 && granted <= 2 * 8 && refused > 0, `${granted} granted, ${refused} refused`);
  });

  test("shared memory segments that nobody removes keep to their number", () => {
    const asked = 4200;
    runCalls(
      times(asked, () => [[call("shmget"), 0, 0x100000, 0o600]]),
      "",
      (results) => {
        // Two children ask one after the other; what the first has made stays.
        assert.equal(results.filter((result) => result === "ENOSPC").length, 2 * asked - 4096);
      },
    );
  });

  test("a tmpfs that is unmounted gives its files' memory back", () => {
    runCalls(
      times(20, () => [
        [call("mount"), BLOB, BLOB, BLOB + 16, 0, 0],
        [call("openat"), -100, BLOB + 32, 0o102, 0o600],
        [call("write"), 3, 0x10000, 0x10000],
        [call("close"), 3],
        [call("umount2"), BLOB, 0],
      ]),
      "/tmp".padEnd(16, "\0") + "tmpfs".padEnd(16, "\0") + "/tmp/f".padEnd(16, "\0"),
      (results) => assert.ok(!results.includes("ENOSPC") && !results.includes("EBUSY")),
    );
  });

  test("thousands of regions leave the accounts as they were", () => {
    const base = 0x1000_0000;
    runCalls(
      [
        [call("mmap"), base, 0x8000_0000, 0, 0x4032, -1, 0],
        ...times(3000, (i) => [[call("mprotect"), base + i * 8192, 4096, 1]]),
        [call("munmap"), base, 0x8000_0000],
      ],
      "",
      (results) => assert.ok(!results.includes("ENOMEM")),
    );
  });

  test("locks on a file, and further names of it, end with an error before the host's memory does", () => {
    const count = 1100;
    // struct flock: type, whence, start, length; every second byte, so that none join.
    const locks = new Uint8Array(count * 32);
    const view = new DataView(locks.buffer);
    for (let i = 0; i < count; i++) {
      view.setUint16(i * 32, 1, true);
      view.setUint32(i * 32 + 8, 2 * i, true);
      view.setUint32(i * 32 + 16, 1, true);
    }
    const names = 5000;
    const header = "/tmp/f".padEnd(16, "\0");
    const text = header + Array.from({ length: names }, (_, i) => `/tmp/${i}`.padEnd(16, "\0")).join("");
    const locksAt = BLOB + text.length;
    runCalls(
      [
        [call("openat"), -100, BLOB, 0o102, 0o600],
        ...times(count, (i) => [[call("fcntl"), 3, 6, locksAt + i * 32]]),
        ...times(names, (i) => [[call("linkat"), -100, BLOB, -100, BLOB + 16 + i * 16, 0]]),
        ...times(names, (i) => [[call("unlinkat"), -100, BLOB + 16 + i * 16, 0]]),
        [call("unlinkat"), -100, BLOB, 0],
      ],
      text + Buffer.from(locks).toString("latin1"),
      (results) => assert.ok(results.includes("ENOLCK") && results.includes("ENOSPC")),
    );
  });

  test("a sparse file of the greatest size can be made, searched and sent in pieces", () => {
    runCalls(
      [
        [call("openat"), -100, BLOB, 0o102, 0o600],
        [call("ftruncate"), 3, (1n << 63n) - 1n],
        [call("ftruncate"), 3, 1n << 43n],
        [call("openat"), -100, BLOB + 16, 1],
        [call("sendfile"), 4, 3, 0, 1n << 40n],
        [call("lseek"), 3, 1n << 40n, 3],
        [call("fallocate"), 3, 3, 0, 1n << 42n],
        [call("unlinkat"), -100, BLOB, 0],
      ],
      `${"/tmp/f".padEnd(16, "\0")}/dev/null\0`,
      (results) => {
        assert.equal(results[1], "EFBIG");
        assert.equal(results[2], 0);
        assert.equal(results[4], 0x7fff_f000);
      },
    );
  });
});
