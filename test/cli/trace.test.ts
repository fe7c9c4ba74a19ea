// The tracers: a system call a line, each step of the trap path, the page-table tree, and the event trace that repeats.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { eachArch } from "../support/architectures.ts";
import { commandLine } from "../support/command-line.ts";

const folder = mkdtempSync(join(tmpdir(), "vitrine-trace-"));
after(() => rmSync(folder, { recursive: true }));

/** What each architecture calls the steps and the registers of its trap path, and how its C library enters the kernel. */
const EXPECTED = {
  riscv64: {
    openName: "openat",
    open: /^openat\(AT_FDCWD, "\/absent", O_RDONLY\|O_LARGEFILE\|O_CLOEXEC\) = -1 ENOENT \(No such file or directory\)$/,
    fork: /^\[pid 2\] clone\(SIGCHLD, NULL\) += 3$/m,
    steps: ["ecall", "uservec", "usertrap", "syscall", "usertrapret", "userret", "sret"],
    fields: ["40 ra", "48 sp", "112 a0", "168 a7", "280 t6"],
    fieldCount: 36,
    number: / 168 a7 +0{14}40/,
    space: /satp (0x[0-9a-f]{16}) -> (0x[0-9a-f]{16})/g,
    registers: [/scause 0x8 {2}sepc 0x[0-9a-f]+ {2}stval 0x0 {2}stvec 0xf/],
    call: /syscall {6}64 write\(1, "hello from user mode\\n", 21\)\n +write = 21/,
    back: /mode S -> U {2}\d+ instructions in the kernel/,
    format: "Sv39",
    entryPages: 3,
    tree: [
      /^L2\[ {2}0\] 0x0{16} {2}table 0x/m,
      /^ {2}L1\[ {2}0\]/m,
      /^ {4}L0\[ 16\] 0x0000000000010000 {2}0x[0-9a-f]{14} {3}4K {7}VR-XU-A- {2}\/bin\/hello {4}file$/m,
      /^0x0000003ffdfdd000-0x0000003ffdffe000 rw-p +132K +1 resident {2}\[stack\]$/m,
    ],
    startup: [
      /hart 0 {2}reset: M-mode at 0000000080000000 \(reset\), a0 = 0/,
      /mret: S-mode at .*supervisor/,
      /kentry start/,
      /kernel page table at .* x 2 MiB/,
      /satp = 8[0-9a-f]+: Sv39, ASID 0, the kernel's page table/,
      /kentry main: paging is on, pc in the kernel's range at ffffffc08000/,
      /userret, sret: user mode at 0000000000010000/,
      /first system call: write/,
    ],
    kernelTree: /^ {2}L1\[ {2}1\] 0xffffffc080200000 .* 2M x63 {3}VRW--GAD$/m,
  },
  x86_64: {
    openName: "open",
    open: /^open\("\/absent", O_RDONLY\|O_LARGEFILE\|O_CLOEXEC\) = -1 ENOENT \(No such file or directory\)$/,
    fork: /^\[pid 2\] fork\(\) += 3$/m,
    steps: ["syscall", "uservec", "usertrap", "syscall", "usertrapret", "userret", "sysretq"],
    fields: ["0 kernel_cr3", "3920 r15", "4000 rax", "4056 rip", "4088 ss"],
    fieldCount: 28,
    number: / 4000 rax +0{15}1 /,
    space: /cr3 (0x[0-9a-f]{16}) -> (0x[0-9a-f]{16})/g,
    registers: [
      /rcx 0x[0-9a-f]+ {2}r11 0x[0-9a-f]+ {2}star 0x23001000000000 {2}lstar 0x7fffffffe000\n +sfmask 0x47700/,
      /gs_base 0x0 {2}kernel_gs_base 0x7fffffff4000\n {2}uservec {6}swapgs\n/,
      /usertrap {5}gs_base 0x7fffffff4000 {2}kernel_gs_base 0x0/,
      /PCID 0, the kernel's page table\n/,
      /usertrapret {2}rax 0x8[0-9a-f]{12}001 {2}rsp/,
    ],
    call: /syscall {6}1 write\(1, "hello from user mode\\n", 21\)\n +write = 21/,
    back: /mode ring 0 -> ring 3 {2}\d+ instructions in the kernel/,
    format: "x86-64 4-level",
    entryPages: 5,
    tree: [
      /^PML4\[ {2}0\] 0x0{16} {2}table 0x/m,
      /^ {2}PDPT\[ {2}0\]/m,
      /^ {4}PD\[ {2}0\]/m,
      /^ {6}PT\[ 16\] 0x0000000000010000 {2}0x[0-9a-f]{14} {3}4K {7}P-U--A---- {2}\/bin\/hello {4}file$/m,
      /^0x00007ffffdfdd000-0x00007ffffdffe000 rw-p +132K +1 resident {2}\[stack\]$/m,
    ],
    startup: [
      /hart 0 {2}reset: 32-bit protected mode at 0000000000008000 \(reset\), paging off/,
      /hart 1 {2}reset: waits for INIT/,
      /cr3 = 0000000000001000: .*the boot tables/,
      /kentry start/,
      /kernel page table at .* x 2 MiB/,
      /PCID 0, the kernel's page table/,
      /kentry main: paging is on, pc in the kernel's range at ffffffc00000/,
      /userret, iretq: user mode at 0000000000010000/,
      /first system call: write/,
    ],
    kernelTree: /^ {4}PD\[ {2}1\] 0xffffffc000200000 .* 2M x63 {3}PW---ADS-N$/m,
  },
} as const;

eachArch(({ arch, test }) => {
  const { vitrine } = commandLine(arch);
  const expected = EXPECTED[arch];

  test("trace shows a program's calls, from execve to its exit", async () => {
    const outcome = await vitrine(["trace", "hello"]);
    assert.equal(outcome.stdout, "hello from user mode\n");
    assert.deepEqual(outcome.stderr.split("\n"), [
      'execve("/usr/bin/hello", ["hello"], [/* 4 vars */]) = 0'.replace(
        "4 vars",
        `${3 + ["TERM", "NO_COLOR"].filter((name) => process.env[name] !== undefined).length} vars`,
      ),
      'write(1, "hello from user mode\\n", 21)  = 21',
      "exit(0)                                 = ?",
      "+++ exited with 0 +++",
      "",
    ]);
    assert.equal(outcome.status, 0);
  });

  test("-e chooses calls, -o writes to a file, the status is the program's", async () => {
    const file = join(folder, "out");
    const outcome = await vitrine(["trace", "-o", file, "-e", `${expected.openName},%process`, "cat", "/absent"]);
    assert.equal(outcome.status, 1);
    assert.equal(outcome.stderr.trim(), "cat: /absent: No such file or directory");
    const lines = readFileSync(file, "utf8").trimEnd().split("\n");
    assert.deepEqual(
      lines.map((line) => /^\w+|^\+\+\+/.exec(line)?.[0]),
      ["execve", expected.openName, "exit_group", "+++"],
    );
    assert.match(lines[1] ?? "", expected.open);
    const others = await vitrine(["trace", "-e", "!write", "hello"]);
    assert.doesNotMatch(others.stderr, /^write/m);
  });

  test("-f follows children, with lines of interrupted calls in two parts, signals and ends", async () => {
    const { stderr, status } = await vitrine([
      "trace",
      "-f",
      "sh",
      "-c",
      "cat /dev/null & wait; trap : USR1; kill -USR1 $$; kill -TERM $$",
    ]);
    assert.equal(status, 143);
    assert.match(stderr, expected.fork);
    assert.match(stderr, /^\[pid 2\] wait4\(-1,  <unfinished \.\.\.>$/m);
    assert.match(
      stderr,
      /^\[pid 3\] execve\("\/usr\/bin\/cat", \["cat", "\/dev\/null"\], 0x[0-9a-f]+ \/\* \d+ vars \*\/\) = 0$/m,
    );
    assert.match(stderr, /^\[pid 3\] \+\+\+ exited with 0 \+\+\+$/m);
    assert.match(
      stderr,
      /^\[pid 2\] <\.\.\. wait4 resumed>\[\{WIFEXITED\(s\) && WEXITSTATUS\(s\) == 0\}\], 0, NULL\) = 3$/m,
    );
    assert.match(stderr, /^\[pid 2\] --- SIGUSR1 \{si_signo=SIGUSR1, si_code=SI_USER, si_pid=2, si_uid=0\} ---$/m);
    assert.match(stderr, /^\[pid 2\] \+\+\+ killed by SIGTERM \+\+\+$/m);
  });

  test("-c counts calls and errors, as a table and as JSON", async () => {
    const table = await vitrine(["trace", "-c", "cat", "/absent"]);
    assert.match(table.stderr, new RegExp(`^ +1 +1 +0 ${expected.openName}$`, "m"));
    assert.match(table.stderr, /^ +\d+ +\d+ +\d+ total$/m);
    const json = await vitrine(["trace", "-c", "--json", "hello"]);
    assert.deepEqual(
      JSON.parse(json.stderr).map(({ name, calls, errors }: { name: string; calls: number; errors: number }) => [
        name,
        calls,
        errors,
      ]),
      [
        ["execve", 1, 0],
        ["exit", 1, 0],
        ["write", 1, 0],
      ],
    );
  });

  test("--traps shows each step of a system call, with registers, satp and counts, in 120 columns (must show 4)", async () => {
    const { stderr } = await vitrine(["trace", "--traps", "hello"]);
    for (const line of stderr.split("\n")) assert.ok(line.length <= 120, line);
    const traps = stderr.split(/^(?=trap \d+:|start:)/m);
    const write = traps.find((text) => text.includes("write("));
    assert.ok(write);
    const steps = write
      .split("\n")
      .slice(1)
      .map((line) => line.slice(2, 14).trim());
    assert.deepEqual(
      steps.filter((step) => /^[a-z]/.test(step)),
      [...expected.steps],
    );
    // What uservec saved: 31 registers and the kernel's own fields, each at its offset.
    const fields = [...write.matchAll(/ (\d+) ([a-z_0-9]+) +([0-9a-f]{16})/g)].map(
      ([, offset, name]) => `${offset} ${name}`,
    );
    assert.equal(fields.length, expected.fieldCount);
    for (const field of expected.fields) assert.ok(fields.includes(field), field);
    assert.match(write, expected.number, "the number of write");
    const [kernel, user] = [...write.matchAll(expected.space)].map(([, from, to]) => [from, to]);
    assert.deepEqual(kernel, user?.toReversed(), "into the kernel's page table and back");
    for (const registers of expected.registers) assert.match(write, registers);
    assert.match(write, expected.call);
    assert.match(write, /after \d+ instructions of uservec/);
    assert.match(write, expected.back);
    assert.match(stderr, /page fault {3}execute of 0x[0-9a-f]+ in \/bin\/hello .*: file page/);
  });

  test("startup tells the way from reset to the first system call", async () => {
    const { stdout, status } = await vitrine(["startup", "--smp", "2"]);
    assert.equal(status, 0);
    let from = 0;
    for (const step of expected.startup) {
      const at = stdout.slice(from).search(step);
      assert.ok(at >= 0, `${step} in ${stdout}`);
      from += at;
    }
  });

  test("pt shows the tree with levels, indices, flags and sizes, and the regions beside it", async () => {
    const { stderr, stdout, status } = await vitrine(["pt", "--aslr", "off", "hello"]);
    assert.equal(stdout, "hello from user mode\n");
    assert.equal(status, 0);
    for (const pattern of expected.tree) assert.match(stderr, pattern);
    assert.match(stderr, /\(trampoline\)$/m);
    const { stderr: withKernel } = await vitrine(["pt", "--kernel", "hello"]);
    assert.match(withKernel, expected.kernelTree, "memory in 2-MiB pages");
  });

  test("pt --at stops where it says, and --json says the same as data", async () => {
    const entry = JSON.parse((await vitrine(["pt", "--json", "--at", "entry", "hello"])).stderr);
    const first = JSON.parse((await vitrine(["pt", "--json", "--at", "1", "hello"])).stderr);
    const count = (entries: readonly { kind: string; count: number; children: [] }[]): number =>
      entries.reduce((sum, item) => sum + (item.kind === "leaf" ? item.count : count(item.children)), 0);
    assert.equal(entry.format, expected.format);
    assert.equal(
      count(entry.tree),
      expected.entryPages,
      "stack, trapframe, trampoline; on x86-64 also tables and hart",
    );
    assert.ok(count(first.tree) > count(entry.tree));
    assert.deepEqual(first.regions.map(({ purpose }: { purpose: string }) => purpose).slice(-2), ["stack", "vdso"]);
  });

  const SCRIPT = `
mkdir /tmp/d; cd /tmp/d; for i in 1 2 3 4 5; do echo line $i > f$i; done; cat f* | sort -r | tee all | wc -l
ls -l /tmp/d | cut -c1-10; ln -s all link; mv f1 g1; rm f2
(sleep 0.2; echo slept) & (sleep 0.1; echo earlier) & wait
trap 'echo got USR1' USR1; kill -USR1 $$; sh -c 'kill -SEGV $$'; echo status $?
i=0; while [ $i -lt 200 ]; do i=$((i+1)); done; echo $i; head -c 8 /dev/urandom | hexdump; date; ps; cat /proc/self/maps | wc -l
`;

  /** The event trace of a script, with what it printed. */
  async function traceEvents(name: string, node: string, harts: number): Promise<{ events: Buffer; stdout: string }> {
    const file = join(folder, name);
    const outcome = await vitrine(
      ["trace", "--events", file, "-o", "/dev/null", "--smp", String(harts), "sh", "-c", SCRIPT],
      { node },
    );
    assert.equal(outcome.status, 0, outcome.stderr);
    return { events: readFileSync(file), stdout: outcome.stdout };
  }

  function assertSame(one: Buffer, other: Buffer): void {
    if (one.equals(other)) return;
    const left = one.toString().split("\n");
    const right = other.toString().split("\n");
    const at = left.findIndex((line, index) => line !== right[index]);
    assert.fail(
      `${left.length} and ${right.length} lines; line ${at + 1}:\n${left.slice(at - 2, at + 3).join("\n")}\n---\n${right.slice(at - 2, at + 3).join("\n")}`,
    );
  }

  const nodes = (process.env["VITRINE_NODES"] ?? "").split(",").filter((path) => path !== "");

  for (const harts of [1, 2]) {
    test(`two runs give the same event trace, byte for byte, on ${harts} harts (must show 7)`, async () => {
      const first = await traceEvents("first", process.execPath, harts);
      assert.match(first.stdout, /^5\n.*earlier\nslept\ngot USR1\nstatus 139\n200\n/s);
      const lines = first.events.toString().split("\n");
      assert.ok(lines.length > 5_000, String(lines.length));
      for (const event of [
        "syscallEnter",
        "pageFault",
        "contextSwitch",
        "fork",
        "exec",
        "exit",
        "signalDeliver",
        "pteWrite",
        "frameFree",
        "machine.trap",
        "machine.tlbFlush",
      ]) {
        assert.ok(
          lines.some((line) => line.includes(` ${event} `)),
          event,
        );
      }
      const second = await traceEvents("second", process.execPath, harts);
      assertSame(first.events, second.events);
      assert.equal(first.stdout, second.stdout);
    });

    test(
      `other versions of Node give the same event trace on ${harts} harts (must show 7)`,
      { skip: nodes.length === 0 && "VITRINE_NODES (paths of node binaries, by comma) is not set" },
      async () => {
        const first = await traceEvents("first", process.execPath, harts);
        for (const node of nodes) assertSame(first.events, (await traceEvents("other", node, harts)).events);
      },
    );
  }
});
