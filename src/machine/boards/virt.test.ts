/**
 * The board through the instruction stream: small bare-metal programs that use its devices as a kernel would, and power
 * the machine off with a status.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { assemble } from "../../isa/riscv64/assembler.ts";
import { createMemoryBlock, sectorSize } from "../devices/virtio/block.ts";
import { createVirtBoard, VIRT, type VirtBoardOptions } from "./virt.ts";

const symbols = {
  TEST: VIRT.test,
  CLINT: VIRT.clint,
  SSWI: VIRT.sswi,
  PLIC: VIRT.plic,
  UART: VIRT.uart,
  VIRTIO: VIRT.virtio,
  RTC: VIRT.rtc,
};

/** Ends of programs: power off with status 0, or fail with the status in a0. */
const finish = `
pass:   li    t0, TEST
        li    t1, 0x5555
        sw    t1, 0(t0)
1:      j     1b
fail:   li    t0, TEST
        slli  t1, a0, 16
        li    t2, 0x3333
        or    t1, t1, t2
        sw    t1, 0(t0)
1:      j     1b
`;

function bootOn(tier: "run" | "step", source: string, options: Partial<VirtBoardOptions>) {
  const output: number[] = [];
  const board = createVirtBoard({ ramSize: 8 << 20, consoleOutput: (byte) => output.push(byte), tier, ...options });
  const { bytes } = assemble(`${source}\n${finish}`, { base: VIRT.ram, symbols });
  board.machine.memory.write(VIRT.ram, bytes);
  return {
    ...board,
    text: () => String.fromCharCode(...output),
    run: (instructions = 5_000_000) => board.machine.run({ instructions }),
  };
}

type Boot = (source: string, options?: Partial<VirtBoardOptions>) => ReturnType<typeof bootOn>;

/** A test of each execution tier: the guest must not be able to tell them apart. */
function testEachTier(name: string, body: (boot: Boot) => void): void {
  for (const tier of ["run", "step"] as const) {
    test(`${name} (${tier})`, () => body((source, options = {}) => bootOn(tier, source, options)));
  }
}

const passed = { kind: "halted", reason: "power-off", status: 0 };

testEachTier("harts start with their id in a0 and the device tree in a1", (boot) => {
  const { run, machine, deviceTree } = boot(
    `
        lw    t0, 0(a1)               # the magic, big-endian
        li    t1, 0xedfe0dd0
        sext.w t1, t1
        bne   t0, t1, fail
        la    t2, seen
        li    t3, 1
        sll   t3, t3, a0
        amoor.w zero, t3, (t2)
        bnez  a0, park
1:      lw    t4, 0(t2)
        li    t5, 7
        bne   t4, t5, 1b
        j     pass
park:   wfi
        j     park
        .align 3
seen:   .dword 0
  `,
    { harts: 3 },
  );
  assert.deepEqual(run(), passed);
  assert.deepEqual(machine.memory.read(deviceTree.address, 4), Uint8Array.of(0xd0, 0x0d, 0xfe, 0xed));
});

testEachTier("failure carries its code out", (boot) => {
  assert.deepEqual(boot("li a0, 42\n j fail").run(), { kind: "halted", reason: "failure", status: 42 });
});

testEachTier("an access to nothing is an access fault, at the right pc", (boot) => {
  const { run } = boot(`
        la    t0, trap
        csrw  mtvec, t0
        li    t1, 0x40000000
load:   ld    t2, 0(t1)
        j     fail
        .align 2
trap:   csrr  a0, mcause
        li    t3, 5
        bne   a0, t3, fail
        csrr  a0, mtval
        bne   a0, t1, fail
        csrr  t4, mepc
        la    t5, load
        bne   t4, t5, fail
        j     pass
  `);
  assert.deepEqual(run(), passed);
});

testEachTier("the UART, polled: an echo until q", (boot) => {
  const { run, uart, text } = boot(`
        li    s0, UART
1:      lbu   t0, 5(s0)
        andi  t0, t0, 1
        beqz  t0, 1b
        lbu   t1, 0(s0)
        sb    t1, 0(s0)
        li    t2, 'q'
        bne   t1, t2, 1b
        j     pass
  `);
  uart.pushInput(Uint8Array.from("The quick brown fox jumps over the lazy dog, q", (char) => char.charCodeAt(0)));
  assert.deepEqual(run(20_000_000), passed);
  assert.equal(text(), "The q");
});

const times = new Set<number>();
testEachTier("ten timer interrupts, on time", (boot) => {
  const { run, machine } = boot(`
        la    t0, trap
        csrw  mtvec, t0
        li    s0, CLINT + 0x4000
        li    s1, 1000                # ticks
        li    s2, 10
        sd    s1, 0(s0)
        li    t0, 0x80
        csrw  mie, t0
        csrsi mstatus, 8
1:      wfi
        bnez  s2, 1b
        j     pass
        .align 2
trap:   csrr  a0, mcause
        li    t1, 1
        slli  t1, t1, 63
        addi  t1, t1, 7
        bne   a0, t1, fail
        rdtime t2
        blt   t2, s1, fail            # never early
        addi  t3, s1, 2
        bgt   t2, t3, fail            # nor late
        addi  s1, s1, 1000
        sd    s1, 0(s0)
        addi  s2, s2, -1
        mret
  `);
  assert.deepEqual(run(), passed);
  assert.ok(machine.timeNs >= 1_000_000 && machine.timeNs < 1_010_000, `${machine.timeNs}`);
  times.add(machine.timeNs);
  assert.equal(times.size, 1, "each tier takes the same time");
});

testEachTier("the CLINT's mtime, the time CSR and virtual time are one clock", (boot) => {
  const { run } = boot(`
        li    s0, CLINT + 0xbff8
        li    s1, 1000
1:      rdtime t0
        ld    t1, 0(s0)
        rdtime t2
        bgtu  t0, t1, fail
        bgtu  t1, t2, fail
        addi  s1, s1, -1
        bnez  s1, 1b
        j     pass
  `);
  assert.deepEqual(run(), passed);
});

testEachTier("inter-processor interrupts go round all harts", (boot) => {
  // Each hart waits for its MSIP, clears it and raises that of the next; hart 0 starts the round and ends it.
  const { run } = boot(
    `
        li    s0, CLINT
        slli  t0, a0, 2
        add   s1, s0, t0              # my msip
        addi  t1, a0, 1
        andi  t1, t1, 3
        slli  t1, t1, 2
        add   s2, s0, t1              # the next one's
        li    s3, 100                 # rounds
        csrwi mie, 8
        li    t2, 1
        bnez  a0, wait
        sw    t2, 0(s2)
wait:   wfi
        csrr  t3, mip
        andi  t3, t3, 8
        beqz  t3, wait
        sw    zero, 0(s1)
        addi  s3, s3, -1
        bnez  a0, send
        beqz  s3, pass
send:   sw    t2, 0(s2)
        j     wait
  `,
    { harts: 4 },
  );
  assert.deepEqual(run(20_000_000), passed);
});

testEachTier("the SSWI interrupts another hart's supervisor mode", (boot) => {
  const { run } = boot(
    `
        li    t0, 2
        csrw  mideleg, t0
        bnez  a0, target
        li    s0, SSWI
        li    t1, 1
        sw    t1, 4(s0)
park:   wfi
        j     park
target: la    t0, supervisor
        csrw  mepc, t0
        li    t0, 0x1800
        csrc  mstatus, t0
        li    t0, 0x800
        csrs  mstatus, t0
        li    t0, -1
        csrw  pmpaddr0, t0
        li    t0, 0x1f
        csrw  pmpcfg0, t0
        mret
supervisor:
        la    t0, trap
        csrw  stvec, t0
        csrwi sie, 2
        csrsi sstatus, 2
1:      wfi
        j     1b
        .align 2
trap:   csrci sip, 2
        csrr  t1, sip
        andi  a0, t1, 2
        bnez  a0, fail
        j     pass
  `,
    { harts: 2 },
  );
  assert.deepEqual(run(), passed);
});

testEachTier("UART input through the PLIC: claim, read, complete", (boot) => {
  const { run, uart, text } = boot(`
        la    t0, trap
        csrw  mtvec, t0
        li    s0, PLIC
        li    t0, 1
        sw    t0, 40(s0)              # priority of source 10
        li    s1, PLIC + 0x2000
        li    t0, 1 << 10
        sw    t0, 0(s1)               # enabled in context 0
        li    s2, PLIC + 0x200000
        sw    zero, 0(s2)             # threshold
        li    s3, UART
        li    t0, 1
        sb    t0, 2(s3)               # FIFOs on
        sb    t0, 1(s3)               # received-data interrupt
        li    t0, 0x800
        csrw  mie, t0
        csrsi mstatus, 8
1:      wfi
        j     1b
        .align 2
trap:   lw    s4, 4(s2)
        li    t0, 10
        mv    a0, s4
        bne   s4, t0, fail
2:      lbu   t1, 5(s3)
        andi  t1, t1, 1
        beqz  t1, 3f
        lbu   t2, 0(s3)
        li    t3, '\\n'
        beq   t2, t3, pass
        sb    t2, 0(s3)
        j     2b
3:      sw    s4, 4(s2)
        mret
  `);
  const message = "a message rather longer than the sixteen bytes of one FIFO\n";
  uart.pushInput(Uint8Array.from(message, (char) => char.charCodeAt(0)));
  assert.deepEqual(run(50_000_000), passed);
  assert.equal(text(), message.trimEnd());
});

/** Reads sector 5 of the first disk to 0x80104000: sets up the device and notifies it once. */
const readSector5 = `
        li    s0, VIRTIO
        lw    a0, 8(s0)
        li    t1, 2
        bne   a0, t1, fail
        sw    zero, 0x70(s0)
        li    t0, 1
        sw    t0, 0x70(s0)
        li    t0, 3
        sw    t0, 0x70(s0)
        sw    zero, 0x20(s0)
        li    t0, 1
        sw    t0, 0x24(s0)
        sw    t0, 0x20(s0)            # VERSION_1
        li    t0, 11
        sw    t0, 0x70(s0)
        lw    a0, 0x70(s0)
        bne   a0, t0, fail
        sw    zero, 0x30(s0)
        li    t0, 8
        sw    t0, 0x38(s0)
        li    s1, 0x80100000          # descriptors
        li    s2, 0x80101000          # available
        li    s3, 0x80102000          # used
        li    s4, 0x80103000          # header
        li    s5, 0x80104000          # data
        sw    s1, 0x80(s0)
        sw    s2, 0x90(s0)
        sw    s3, 0xa0(s0)
        li    t0, 1
        sw    t0, 0x44(s0)
        li    t0, 15
        sw    t0, 0x70(s0)
        sd    zero, 0(s4)             # type IN
        li    t0, 5
        sd    t0, 8(s4)               # sector 5
        sd    s4, 0(s1)
        li    t0, 16 + (1 << 32) + (1 << 48)
        sd    t0, 8(s1)               # length 16, NEXT, then 1
        sd    s5, 16(s1)
        li    t0, 512 + (3 << 32) + (2 << 48)
        sd    t0, 24(s1)              # length 512, NEXT and WRITE, then 2
        addi  t0, s4, 16
        sd    t0, 32(s1)
        li    t0, 1 + (2 << 32)
        sd    t0, 40(s1)              # the status byte
        sh    zero, 4(s2)
        li    t0, 1
        sh    t0, 2(s2)
        sw    zero, 0x50(s0)          # notify
`;
/** Waits until the device has answered; the status is then in a0. */
const waitForDisk = `
1:      lhu   t0, 2(s3)
        beqz  t0, 1b
        lbu   a0, 16(s4)
`;

testEachTier("a sector of a virtio disk, read by a bare-metal driver", (boot) => {
  const disk = Uint8Array.from({ length: 16 * sectorSize }, (_, i) => (i * 7 + (i >> 8)) & 0xff);
  const { run, machine } = boot(`${readSector5} ${waitForDisk} bnez a0, fail \n j pass`, {
    disks: [createMemoryBlock(disk)],
  });
  assert.deepEqual(run(), passed);
  assert.deepEqual(machine.memory.read(0x8010_4000, 512), disk.slice(5 * 512, 6 * 512));
});

testEachTier("code that a disk read replaces is what runs next", (boot) => {
  const disk = new Uint8Array(16 * sectorSize);
  const codeAddress = 0x8010_4000;
  disk.set(assemble("li a1, 2 \n ret", { base: codeAddress }).bytes, 5 * sectorSize);
  const { run, machine } = boot(
    `
        li    s5, ${codeAddress}
        li    s6, 100
2:      jalr  s5
        addi  s6, s6, -1
        bnez  s6, 2b
        li    t0, 1
        bne   a1, t0, fail
        ${readSector5}
        ${waitForDisk}
        bnez  a0, fail
        jalr  s5
        li    t0, 2
        bne   a1, t0, fail
        j     pass
  `,
    { disks: [createMemoryBlock(disk)] },
  );
  machine.memory.write(codeAddress, assemble("li a1, 1 \n ret", { base: codeAddress }).bytes);
  assert.deepEqual(run(), passed);
});

const traces = new Set<string>();
testEachTier("the same inputs give the same traps at the same times", (boot) => {
  const trace = (): string[] => {
    // Three harts under their timers, adding to one word; hart 0 echoes what arrives.
    const { machine, uart, text } = boot(
      `
        la    t0, trap
        csrw  mtvec, t0
        li    s0, CLINT + 0x4000
        slli  t0, a0, 3
        add   s0, s0, t0
        addi  s1, a0, 3               # its period, in ticks
        li    s2, UART
        sd    s1, 0(s0)
        li    t0, 0x80
        csrw  mie, t0
        csrsi mstatus, 8
        la    s3, count
        li    t1, 1
1:      amoadd.d zero, t1, (s3)
        bnez  a0, 1b
        lbu   t2, 5(s2)
        andi  t2, t2, 1
        beqz  t2, 1b
        lbu   t2, 0(s2)
        sb    t2, 0(s2)
        j     1b
        .align 2
trap:   rdtime t3
        add   t3, t3, s1
        sd    t3, 0(s0)
        mret
        .align 3
count:  .dword 0
    `,
      { harts: 3 },
    );
    const lines: string[] = [];
    machine.probes.trap = (hart, { cause, pc }) => lines.push(`${hart.id} ${cause} ${pc} ${hart.instructionsRetired}`);
    machine.run({ instructions: 50_000 });
    uart.pushInput(Uint8Array.from("determinism", (char) => char.charCodeAt(0)));
    machine.run({ untilNs: 1_000_000 });
    return [...lines, text(), String(machine.timeNs)];
  };
  const first = trace();
  assert.ok(first.length > 3000);
  assert.deepEqual(trace(), first);
  traces.add(first.join());
  assert.equal(traces.size, 1, "each tier gives the same trace");
});

testEachTier("the real-time clock reads the boot time plus virtual time", (boot) => {
  const { run } = boot(
    `
        li    s0, RTC
        lwu   t0, 0(s0)
        lwu   t1, 4(s0)
        slli  t1, t1, 32
        or    t0, t0, t1
        li    t2, 1700000000000000000
        bltu  t0, t2, fail
        li    t3, 10000
        add   t2, t2, t3
        bgeu  t0, t2, fail
        j     pass
  `,
    { bootTime: { seconds: 1_700_000_000, nanoseconds: 0 } },
  );
  assert.deepEqual(run(), passed);
});

test("a board that cannot be is refused", () => {
  assert.throws(() => createVirtBoard({ ramSize: 1 << 20, initrd: new Uint8Array(1 << 20) }), RangeError);
  assert.throws(() => createVirtBoard({ ramSize: 8 << 20, harts: 9 }), RangeError);
  assert.throws(() => createVirtBoard({ ramSize: 8 << 20, harts: 0 }), RangeError);
});
