// Every system call with bad and with random arguments, on valid files of each kind and on none: the kernel answers with an error, and
// after the last child nothing is left of any. Seeds are printed; VITRINE_SEED and VITRINE_CHILDREN choose others.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mountFilesystem } from "../../src/kernel/fs/mounts.ts";
import { resolveFromRoot } from "../../src/kernel/fs/path.ts";
import type { HostDirectory } from "../../src/kernel/host.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { checkInvariants } from "../../src/kernel/mem/checker.ts";
import { freeFrameCount } from "../../src/kernel/mem/frames.ts";
import { encodeUtf8 } from "../../src/lib/bytes.ts";
import { createHostDirectory } from "../../src/node/host-directory.ts";
import { createRandom, type Random } from "../oracle/random.ts";
import { eachArch } from "../support/architectures.ts";
import { bootGuest } from "../support/guest.ts";
import { callNumber, callNumbers } from "../support/portable.ts";
import { BLOB, callStorm, type CallRecord } from "./call-storm.ts";

const SEED = Number(process.env["VITRINE_SEED"] ?? 1);
const CHILDREN = Number(process.env["VITRINE_CHILDREN"] ?? 60);
const CALLS = 40;
const LAST_NUMBER = 500;

/** Memory of the child: writable with nothing above it, read-only, without rights. */
const WRITABLE = 0x1000_0000;
const WRITABLE_END = 0x1001_0000;
const READ_ONLY = 0x1100_0000;
const NO_ACCESS = 0x1200_0000;
/** Beyond what any program may map. */
const USER_TOPS = { riscv64: 0x40_0000_0000, x86_64: 0x8000_0000_0000 } as const;

const STRINGS = [
  "/tmp/x",
  "/tmp",
  "/tmp/d",
  "/",
  "",
  ".",
  "..",
  "/proc/self/maps",
  "/proc/self",
  "/proc/self/fd/3",
  "/dev/zero",
  "/dev/full",
  "/dev/random",
  "/dev/null",
  "/dev/tty",
  "/bin/other",
  "/tmp/fifo",
  "/host",
  "/host/file",
  "/host/folder/link",
  "/host/escape/secret",
  "/host/new",
  "tmpfs",
  "proc",
  "EFAULT",
  "x/",
  "/tmp/x/y",
  "a".repeat(300),
  "/a".repeat(2500),
];

eachArch(({ arch, test }) => {
  const USER_TOP = USER_TOPS[arch];
  const call = (name: string): number => callNumber(arch, name);

  /** The blob: strings, then words that are addresses, sizes and times. */
  function makeBlob(random: Random): { bytes: Uint8Array; strings: readonly number[]; words: number } {
    const bytes = new Uint8Array(0x4000);
    const strings: number[] = [];
    let at = 0;
    for (const text of STRINGS) {
      strings.push(BLOB + at);
      bytes.set(encodeUtf8(text), at);
      at += text.length + 1;
    }
    const words = Math.ceil(at / 4096) * 4096;
    const view = new DataView(bytes.buffer);
    for (let i = words; i < bytes.length; i += 8)
      view.setBigUint64(i, BigInt.asUintN(64, value(random, strings)), true);
    return { bytes, strings, words: BLOB + words };
  }

  /** One argument, or one word of a structure. */
  function value(random: Random, strings: readonly number[]): bigint {
    switch (random.below(14)) {
      case 0:
        return BigInt(random.pick([0, 1, -1, 2, 3, 4, 8, 16, 4095, 4096, 4097, 65536]));
      case 1:
      case 2:
        return BigInt(random.below(24)); // a descriptor, a signal
      case 3:
      case 4:
        return BigInt(random.pick(strings));
      case 5:
      case 6:
        return BigInt(BLOB + 0x2000 + random.below(0x1000));
      case 7:
        return BigInt(random.pick([WRITABLE, WRITABLE_END - 8, WRITABLE_END - 1, WRITABLE_END, READ_ONLY, NO_ACCESS]));
      case 8:
        return random.pick([
          BigInt(USER_TOP),
          BigInt(USER_TOP - 1),
          BigInt(USER_TOP - 4096),
          BigInt(USER_TOP) - 8192n,
          -1n << 38n,
          -4096n,
          -8n,
          1n << 38n,
          1n << 47n,
          1n << 62n,
          -0x80000000n,
          0x7fffffffn,
          0xffffffffn,
          1n << 53n,
          (1n << 63n) - 1n,
          -1n << 63n,
        ]);
      case 9:
        return BigInt(-100); // AT_FDCWD
      case 10:
        return 1n << BigInt(random.below(40)); // a flag
      case 11:
        return BigInt(random.next() & random.next());
      case 12:
        return BigInt(WRITABLE + random.below(0x10000));
      default:
        return random.integer();
    }
  }

  /** The files that each child starts with, from descriptor 3 on. */
  function openFiles(path: (text: string) => number): CallRecord[] {
    const open = (text: string, flags: number): CallRecord => [call("openat"), -100, path(text), flags, 0o644];
    return [
      [call("mmap"), WRITABLE, WRITABLE_END - WRITABLE, 3, 0x32, -1, 0],
      [call("mmap"), READ_ONLY, 4096, 1, 0x32, -1, 0],
      [call("mmap"), NO_ACCESS, 4096, 0, 0x32, -1, 0],
      [call("pipe2"), WRITABLE, 0],
      open("/", 0o200000),
      open("/proc/self/maps", 0),
      open("/proc/self", 0),
      open("/dev/zero", 2),
      open("/dev/full", 2),
      open("/dev/random", 2),
      open("/tmp/x", 0o102),
      [call("epoll_create1"), 0],
      [call("eventfd2"), 0, 0],
      open("/tmp", 0o10000000),
      [call("pipe2"), WRITABLE, 0o4000],
      open("/dev/null", 2),
      open("/dev/tty", 2),
      [call("epoll_ctl"), 12, 1, 3, BLOB + 0x2000],
      [call("epoll_ctl"), 12, 1, 13, BLOB + 0x2000],
      [call("mknodat"), -100, path("/tmp/fifo"), 0o10644, 0],
      open("/tmp/fifo", 2),
      open("/host/file", 2),
      open("/host", 0),
      [call("write"), 4, WRITABLE, 1000],
      [call("write"), 11, BLOB, 8000],
    ];
  }

  /** Calls that end the child at once. */
  const FATAL = new Set(["exit", "exit_group", "rt_sigreturn"].map(call));

  function randomCall(random: Random, numbers: readonly number[], strings: readonly number[]): CallRecord {
    let number = random.oneIn(10) ? random.below(LAST_NUMBER) : random.pick(numbers);
    if (FATAL.has(number) && !random.oneIn(20)) number = call("getpid");
    const word = (): bigint => value(random, strings);
    return [number, word(), word(), word(), word(), word(), word()];
  }

  interface Storm {
    readonly bytes: Uint8Array;
    readonly children: number;
  }

  /** A folder of the host beside which a secret lies, with a link that leads there. */
  function makeHostFolder(): { readonly path: string; readonly secret: string; remove(): void } {
    const place = mkdtempSync(join(tmpdir(), "vitrine-"));
    const path = join(place, "shared");
    const secret = join(place, "outside", "secret");
    mkdirSync(join(path, "folder"), { recursive: true });
    mkdirSync(join(place, "outside"));
    writeFileSync(secret, SECRET);
    writeFileSync(join(path, "file"), "shared\n");
    symlinkSync("../file", join(path, "folder", "link"));
    symlinkSync("../outside", join(path, "escape"));
    return { path, secret, remove: () => rmSync(place, { recursive: true, force: true }) };
  }

  const SECRET = "nobody's business\n";

  /** Shows the folder at /host, before the first instruction of pid 1. */
  function showFolder(k: Kernel, path: string): void {
    const place = resolveFromRoot(k, "/host");
    assert.ok(typeof place !== "string");
    const ports = k.host.directories as Map<string, HostDirectory>;
    ports.set("shared", createHostDirectory(path, { readOnly: false }));
    const mounted = mountFilesystem(k, "hostfs", place, { source: "shared" });
    assert.ok(typeof mounted !== "string");
  }

  function runStorm(name: string, storm: Storm, options: { readonly checks: boolean; readonly harts: number }): void {
    const folder = makeHostFolder();
    const recent: string[] = [];
    let slowest = { ms: 0, call: "" };
    let free = 0;
    let began = 0;
    const guest = bootGuest({
      arch,
      files: { "bin/storm": storm.bytes, "bin/other": storm.bytes, "host/empty": new Uint8Array() },
      argv: ["/bin/storm"],
      checkInvariants: options.checks,
      harts: options.harts,
      onKernel: (k) => {
        k.probes.syscallEnter = (thread, number, row, args) => {
          const words = Array.from({ length: 6 }, (_, i) =>
            BigInt.asUintN(64, (BigInt(args[i * 2 + 1] ?? 0) << 32n) | BigInt((args[i * 2] ?? 0) >>> 0)).toString(16),
          );
          recent.push(`${thread.tid} ${row?.name ?? number}(${words.join(", ")})`);
          if (recent.length > 25) recent.shift();
          if (thread.process.pid === 1 && number === call("clone")) free = Math.max(free, freeFrameCount(k));
          began = performance.now();
        };
        k.probes.syscallExit = () => {
          const ms = performance.now() - began;
          if (ms > slowest.ms) slowest = { ms, call: recent.at(-1) ?? "" };
        };
      },
    });
    const k = guest.system.kernel;
    showFolder(k, folder.path);
    let state;
    try {
      state = guest.finish(storm.children * 50_000_000);
    } catch (error) {
      const threads = [...k.state.threads.values()].map((t) => `${t.tid}/${t.process.pid} ${JSON.stringify(t.state)}`);
      assert.fail(`${name}: ${String(error)}\n${recent.join("\n")}\n${threads.join("\n")}`);
    }
    assert.equal(state.report, undefined, `${name}\n${recent.join("\n")}`);
    assert.equal(state.status, 0, `${name}: ${state.reason}\n${recent.join("\n")}`);
    assert.deepEqual(checkInvariants(k), []);
    assert.equal(readFileSync(folder.secret, "latin1"), SECRET, "what is outside the shared folder stays as it is");
    folder.remove();
    if (process.env["VITRINE_VERBOSE"] !== undefined)
      console.log(
        name,
        "slowest",
        slowest,
        "free",
        free,
        freeFrameCount(k),
        "tmp",
        k.state.files.mounts[0]?.filesystem.usedBytes,
      );
  }

  function makeStorm(seed: number, calls: (random: Random, strings: readonly number[]) => CallRecord[][]): Storm {
    const random = createRandom(seed);
    const blob = makeBlob(random);
    const path = (text: string): number => blob.strings[STRINGS.indexOf(text)] ?? 0;
    const children = calls(random, blob.strings);
    return { bytes: callStorm(arch, blob.bytes, openFiles(path), children), children: children.length };
  }

  const numbers = callNumbers(arch);

  const RUNS = [
    { name: "every invariant kept", checks: true, harts: 1, seeds: [SEED] },
    { name: "one hart", checks: false, harts: 1, seeds: [SEED + 1, SEED + 2] },
    { name: "three harts", checks: false, harts: 3, seeds: [SEED + 3, SEED + 4] },
  ];

  for (const { name, checks, harts, seeds } of RUNS) {
    test(`random calls with random arguments are survived, ${name}`, (context) => {
      for (const seed of seeds) {
        context.diagnostic(`seed ${seed}`);
        const storm = makeStorm(seed, (random, strings) =>
          Array.from({ length: CHILDREN }, () =>
            Array.from({ length: CALLS }, () => randomCall(random, numbers, strings)),
          ),
        );
        runStorm(`seed ${seed}`, storm, { checks, harts });
      }
    });
  }
});
