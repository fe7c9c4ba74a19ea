// Tests of block.ts.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createFakeMachine, faults, load, store } from "../fake-services.test.support.ts";
import { restoreDevices, saveDevices } from "../snapshot.ts";
import { createMemoryBlock, createVirtioBlock, sectorSize, type BlockBackend } from "./block.ts";
import { createVirtioMmio } from "./mmio.ts";

const ram = 0x8000_0000;
/** The test driver's layout of RAM. */
const at = {
  descriptors: ram,
  driver: ram + 0x1000,
  device: ram + 0x2000,
  header: ram + 0x3000,
  status: ram + 0x3100,
  indirect: ram + 0x4000,
  data: ram + 0x1_0000,
};
const reg = {
  magic: 0,
  version: 4,
  id: 8,
  features: 0x10,
  featuresSel: 0x14,
  driverFeatures: 0x20,
  driverFeaturesSel: 0x24,
  queueSel: 0x30,
  queueNumMax: 0x34,
  queueNum: 0x38,
  queueReady: 0x44,
  notify: 0x50,
  interruptStatus: 0x60,
  interruptAck: 0x64,
  status: 0x70,
  descriptors: 0x80,
  driver: 0x90,
  device: 0xa0,
  config: 0x100,
};
const NEXT = 1;
const WRITE = 2;
const INDIRECT = 4;
const IN = 0;
const OUT = 1;
const latencyNs = 1000;
const queueSize = 8;

interface Descriptor {
  address: number;
  length: number;
  flags: number;
  next?: number;
}

function createDriver(options: { backend?: BlockBackend; disk?: Uint8Array; indirect?: boolean } = {}) {
  const machine = createFakeMachine();
  const { memory } = machine;
  const disk = options.disk ?? Uint8Array.from({ length: 64 * sectorSize }, (_, i) => (i >> 9) ^ (i & 0xff));
  const backend = options.backend ?? createMemoryBlock(disk);
  let line = false;
  const device = createVirtioMmio({
    name: "virtio0",
    base: 0,
    services: machine,
    interrupt: (level) => (line = level),
    function: createVirtioBlock({ memory, backend, latencyNs }),
  });
  machine.devices.push(device);
  let available = 0;
  let used = 0;
  let time = 0;

  const start = (): void => {
    store(device, reg.status, 0);
    store(device, reg.status, 1);
    store(device, reg.status, 3);
    store(device, reg.driverFeatures, options.indirect === true ? 1 << 28 : 0);
    store(device, reg.status, 11);
    assert.equal(load(device, reg.status), 11);
    store(device, reg.queueSel, 0);
    store(device, reg.queueNum, queueSize);
    store(device, reg.descriptors, at.descriptors);
    store(device, reg.driver, at.driver);
    store(device, reg.device, at.device);
    store(device, reg.queueReady, 1);
    store(device, reg.status, 15);
    available = 0;
    used = 0;
  };
  const describe = (table: number, index: number, descriptor: Descriptor): void => {
    const entry = table + 16 * index;
    memory.write32(entry, descriptor.address | 0);
    memory.write32(entry + 4, Math.floor(descriptor.address / 2 ** 32));
    memory.write32(entry + 8, descriptor.length | 0);
    memory.write16(entry + 12, descriptor.flags);
    memory.write16(entry + 14, descriptor.next ?? 0);
  };
  const chain = (table: number, descriptors: readonly Descriptor[]): void =>
    descriptors.forEach((d, i) =>
      describe(table, i, i + 1 < descriptors.length ? { ...d, flags: d.flags | NEXT, next: d.next ?? i + 1 } : d),
    );
  const header = (type: number, sector: number): Descriptor => {
    memory.write32(at.header, type);
    memory.write32(at.header + 8, sector | 0);
    memory.write32(at.header + 12, Math.floor(sector / 2 ** 32));
    return { address: at.header, length: 16, flags: 0 };
  };
  const statusByte: Descriptor = { address: at.status, length: 1, flags: WRITE };
  const notify = (): void => {
    store(device, reg.notify, 0);
    machine.advance((time += latencyNs));
  };
  const submit = (head = 0): void => {
    memory.write16(at.driver + 4 + 2 * (available % queueSize), head);
    memory.write16(at.driver + 2, ++available & 0xffff);
    notify();
  };
  /** Submits one request; answers its status byte and the length that the device reports. */
  const request = (type: number, sector: number, data: readonly Descriptor[]): { status: number; length: number } => {
    chain(at.descriptors, [header(type, sector), ...data, statusByte]);
    memory.write8(at.status, 0xff);
    submit();
    used++;
    assert.equal(memory.read16(at.device + 2), used & 0xffff, "the used index");
    const entry = at.device + 4 + 8 * ((used - 1) % queueSize);
    assert.equal(memory.read32(entry), 0);
    return { status: memory.read8(at.status), length: memory.read32(entry + 4) };
  };
  start();
  return {
    machine,
    memory,
    device,
    disk,
    start,
    describe,
    chain,
    header,
    statusByte,
    notify,
    submit,
    request,
    line: () => line,
  };
}

const needsReset = 0x40;

test("a slot identifies itself; an empty one has device id 0", () => {
  const { device, machine } = createDriver();
  assert.deepEqual([load(device, reg.magic), load(device, reg.version), load(device, reg.id)], [0x74726976, 2, 2]);
  assert.equal(load(device, reg.queueNumMax), 256);
  assert.equal(load(device, reg.config, 8), 64);
  assert.equal(load(device, reg.config + 0x14), 512);
  assert.equal(load(device, reg.config, 1), 64);
  assert.ok(faults(device, 0, 1));
  const empty = createVirtioMmio({
    name: "virtio1",
    base: 0,
    services: machine,
    interrupt: () => {},
    function: undefined,
  });
  assert.deepEqual([load(empty, reg.magic), load(empty, reg.id), load(empty, reg.queueNumMax)], [0x74726976, 0, 0]);
});

test("features: VERSION_1 and INDIRECT_DESC are offered, and accepting more clears FEATURES_OK", () => {
  const { device } = createDriver();
  assert.equal(load(device, reg.features) & (1 << 28), 1 << 28);
  store(device, reg.featuresSel, 1);
  assert.equal(load(device, reg.features), 1);
  store(device, reg.featuresSel, 2);
  assert.equal(load(device, reg.features), 0);
  store(device, reg.status, 0);
  store(device, reg.status, 3);
  store(device, reg.driverFeatures, 1 << 27);
  store(device, reg.status, 11);
  assert.equal(load(device, reg.status), 3);
});

test("reads and writes sectors, and interrupts until acknowledged", () => {
  const { request, memory, disk, device, line } = createDriver();
  const buffer = (length: number, flags: number): Descriptor => ({ address: at.data, length, flags });
  assert.deepEqual(request(IN, 3, [buffer(1024, WRITE)]), { status: 0, length: 1025 });
  assert.deepEqual(memory.read(at.data, 1024), disk.slice(3 * 512, 5 * 512));
  assert.ok(line());
  assert.equal(load(device, reg.interruptStatus), 1);
  store(device, reg.interruptAck, 1);
  assert.ok(!line());
  memory.fill(at.data, 512, 0xa5);
  assert.deepEqual(request(OUT, 63, [buffer(512, 0)]), { status: 0, length: 1 });
  assert.ok(disk.subarray(63 * 512).every((byte) => byte === 0xa5));
});

test("the driver can ask not to be interrupted", () => {
  const { request, memory, line } = createDriver();
  memory.write16(at.driver, 1);
  assert.equal(request(IN, 0, [{ address: at.data, length: 512, flags: WRITE }]).status, 0);
  assert.ok(!line());
});

test("requests that cannot be done answer IOERR or UNSUPP", () => {
  const { request } = createDriver();
  const sector: Descriptor = { address: at.data, length: 512, flags: WRITE };
  assert.equal(request(IN, 64, [sector]).status, 1);
  assert.equal(request(IN, 63, [{ ...sector, length: 1024 }]).status, 1);
  assert.equal(request(IN, 2 ** 63, [sector]).status, 1);
  assert.equal(request(IN, 0, [{ ...sector, length: 100 }]).status, 1);
  assert.equal(request(99, 0, []).status, 2);
  assert.deepEqual(request(IN, 0, []), { status: 0, length: 1 });
});

test("flush, identity, discard and write-zeroes", () => {
  const { request, memory, disk } = createDriver();
  assert.equal(request(4, 0, []).status, 0);
  assert.deepEqual(request(8, 0, [{ address: at.data, length: 20, flags: WRITE }]), { status: 0, length: 21 });
  assert.equal(String.fromCharCode(...memory.read(at.data, 12)), "vitrine-disk");
  memory.write(at.data, new Uint8Array(16));
  memory.write32(at.data, 2);
  memory.write32(at.data + 8, 2);
  assert.equal(request(13, 0, [{ address: at.data, length: 16, flags: 0 }]).status, 0);
  assert.ok(disk.subarray(1024, 2048).every((byte) => byte === 0));
  memory.write32(at.data + 8, 63);
  assert.equal(request(11, 0, [{ address: at.data, length: 16, flags: 0 }]).status, 1);
});

test("a read-only disk offers RO and refuses writes; a failing backend is an I/O error", () => {
  const { request, device } = createDriver({ backend: createMemoryBlock(new Uint8Array(4096), { readOnly: true }) });
  assert.notEqual(load(device, reg.features) & (1 << 5), 0);
  assert.equal(request(OUT, 0, [{ address: at.data, length: 512, flags: 0 }]).status, 1);
  assert.equal(request(13, 0, [{ address: at.data, length: 16, flags: 0 }]).status, 2);
  const failing = { sectors: 8, readOnly: false, id: "", read: () => false, write: () => false, flush: () => false };
  const other = createDriver({ backend: failing });
  assert.equal(other.request(IN, 0, [{ address: at.data, length: 512, flags: WRITE }]).status, 1);
  assert.equal(other.request(4, 0, []).status, 1);
});

test("a request may be cut into any buffers, and lie in an indirect table", () => {
  const { memory, disk, describe, chain, header, submit } = createDriver({ indirect: true });
  header(IN, 1);
  const part = (address: number, length: number, flags: number): Descriptor => ({ address, length, flags });
  chain(at.indirect, [
    part(at.header, 5, 0),
    part(at.header + 5, 11, 0),
    part(at.data, 1, WRITE),
    part(at.data + 1, 0, WRITE),
    part(at.data + 1, 511, WRITE),
    part(at.status, 1, WRITE),
  ]);
  describe(at.descriptors, 5, { address: at.indirect, length: 6 * 16, flags: INDIRECT });
  memory.write8(at.status, 0xff);
  submit(5);
  assert.equal(memory.read8(at.status), 0);
  assert.deepEqual(memory.read(at.data, 512), disk.slice(512, 1024));
});

/** Each breaks one rule of section 2.7; the device must ask for a reset, touch nothing, and work again after it. */
const broken: Record<string, (driver: ReturnType<typeof createDriver>) => void> = {
  "a chain that loops": (d) =>
    d.chain(at.descriptors, [d.header(IN, 0), { address: at.data, length: 512, flags: WRITE, next: 1 }, d.statusByte]),
  "a next index past the table": (d) =>
    d.chain(at.descriptors, [{ ...d.header(IN, 0), next: queueSize }, d.statusByte]),
  "a buffer outside RAM": (d) =>
    d.chain(at.descriptors, [d.header(IN, 0), { address: 0x1000, length: 512, flags: WRITE }, d.statusByte]),
  "a buffer that leaves RAM": (d) =>
    d.chain(at.descriptors, [
      d.header(IN, 0),
      { address: ram + (1 << 20) - 256, length: 512, flags: WRITE },
      d.statusByte,
    ]),
  "a buffer at the end of the address space": (d) =>
    d.chain(at.descriptors, [d.header(IN, 0), { address: 2 ** 64 - 2048, length: 4096, flags: WRITE }, d.statusByte]),
  "no header": (d) => d.chain(at.descriptors, [d.statusByte]),
  "no status byte": (d) => d.chain(at.descriptors, [d.header(IN, 0)]),
  "a status byte that the device may not write": (d) =>
    d.chain(at.descriptors, [d.header(IN, 0), { ...d.statusByte, flags: 0 }]),
  "a readable buffer after a writable one": (d) => d.chain(at.descriptors, [d.statusByte, d.header(IN, 0)]),
  "an indirect table without the feature": (d) =>
    d.chain(at.descriptors, [{ address: at.indirect, length: 32, flags: INDIRECT }]),
  "an available index that ran away": (d) => d.memory.write16(at.driver + 2, 1000),
  "rings outside RAM": (d) => {
    store(d.device, reg.queueReady, 0);
    store(d.device, reg.device, 0x1000);
    store(d.device, reg.queueReady, 1);
  },
  "a misaligned table": (d) => {
    store(d.device, reg.queueReady, 0);
    store(d.device, reg.descriptors, at.descriptors + 4);
    store(d.device, reg.queueReady, 1);
  },
};
for (const [name, breakRule] of Object.entries(broken)) {
  test(`needs a reset: ${name}`, () => {
    const driver = createDriver();
    const before = driver.disk.slice();
    breakRule(driver);
    if (name.startsWith("an available")) {
      driver.notify();
    } else driver.submit();
    assert.equal(load(driver.device, reg.status) & needsReset, needsReset);
    assert.equal(load(driver.device, reg.interruptStatus) & 2, 2);
    assert.deepEqual(driver.disk, before);
    driver.memory.fill(at.driver, 64, 0);
    driver.memory.fill(at.device, 128, 0);
    driver.start();
    assert.equal(driver.request(IN, 0, [{ address: at.data, length: 512, flags: WRITE }]).status, 0);
  });
}

test("broken indirect tables need a reset", () => {
  for (const [length, flags, inner] of [
    [24, INDIRECT, WRITE],
    [0, INDIRECT, WRITE],
    [32, INDIRECT | NEXT, WRITE],
    [32, INDIRECT, INDIRECT],
  ] as const) {
    const { describe, submit, device } = createDriver({ indirect: true });
    describe(at.indirect, 0, { address: at.data, length: 32, flags: inner });
    describe(at.descriptors, 0, { address: at.indirect, length, flags, next: 1 });
    submit();
    assert.equal(load(device, reg.status) & needsReset, needsReset);
  }
});

test("notifying again does not put a request off", () => {
  const { chain, header, statusByte, memory, device, machine } = createDriver();
  chain(at.descriptors, [header(IN, 0), { address: at.data, length: 512, flags: WRITE }, statusByte]);
  memory.write16(at.driver + 2, 1);
  for (let time = 0; time <= latencyNs; time += latencyNs / 10) {
    machine.advance(time);
    store(device, reg.notify, 0);
  }
  assert.equal(memory.read16(at.device + 2), 1);
});

test("a flood of large requests is served in pieces", () => {
  const disk = new Uint8Array(8 << 20);
  const { describe, header, statusByte, memory, device, machine } = createDriver({ disk });
  header(OUT, 0);
  // One chain, eight times over: a write of almost 4 MiB out of less RAM.
  describe(at.descriptors, 0, { address: at.header, length: 16, flags: NEXT, next: 1 });
  for (let i = 1; i < 7; i++) {
    describe(at.descriptors, i, { address: ram + 0x4_0000, length: 0xa_0000, flags: NEXT, next: i + 1 });
  }
  describe(at.descriptors, 7, statusByte);
  for (let i = 0; i < queueSize; i++) memory.write16(at.driver + 4 + 2 * i, 0);
  memory.write16(at.driver + 2, queueSize);
  store(device, reg.notify, 0);
  machine.advance(latencyNs);
  const first = memory.read16(at.device + 2);
  assert.ok(first > 0 && first < queueSize, `${first}`);
  machine.advance(20 * latencyNs);
  assert.equal(memory.read16(at.device + 2), queueSize);
  assert.equal(memory.read8(at.status), 0);
});

test("overlapping buffers cannot ask for endless work", () => {
  const { request } = createDriver();
  const huge: Descriptor = { address: ram, length: 1 << 20, flags: 0 };
  assert.equal(
    request(
      OUT,
      0,
      Array.from({ length: 6 }, () => huge),
    ).status,
    1,
  );
});

test("a request in flight survives a snapshot", () => {
  const first = createDriver();
  first.chain(at.descriptors, [first.header(IN, 0), { address: at.data, length: 512, flags: WRITE }, first.statusByte]);
  const saved = saveDevices([first.device]);
  const second = createDriver();
  second.machine.ram.set(first.machine.ram);
  restoreDevices([second.device], saved);
  second.submit();
  assert.deepEqual(second.memory.read(at.data, 512), second.disk.slice(0, 512));
});

test("any descriptors, rings and register writes: the host is never in trouble, and RAM outside the buffers stays whole", () => {
  const address = fc.oneof(
    fc.integer({ min: 0, max: 0x1_ffff }).map((n) => ram + n),
    fc.constantFrom(0, ram - 1, ram + (1 << 20) - 1, 2 ** 32, 2 ** 63),
  );
  const descriptor = fc.record({
    address,
    length: fc.oneof(fc.nat(1024), fc.constantFrom(0, 1, 16, 512, 0xffff_ffff)),
    flags: fc.nat(7),
    next: fc.nat(9),
  });
  const write = fc.record({
    register: fc.constantFrom(...Object.values(reg)),
    value: fc.oneof(
      fc.nat(16),
      address.map((a) => a % 2 ** 32),
      fc.integer(),
    ),
  });
  fc.assert(
    fc.property(
      fc.array(descriptor, { maxLength: queueSize }),
      fc.array(fc.nat(9), { maxLength: 8 }),
      fc.array(write, { maxLength: 6 }),
      fc.boolean(),
      (descriptors, heads, writes, indirect) => {
        const { machine, memory, device, describe } = createDriver({ indirect });
        descriptors.forEach((d, i) => {
          describe(at.descriptors, i, d);
          describe(at.indirect, i, d);
        });
        heads.forEach((head, i) => memory.write16(at.driver + 4 + 2 * i, head));
        memory.write16(at.driver + 2, heads.length);
        // The last 64 KiB are in no buffer: addresses stop at 128 KiB and lengths at 1 KiB.
        memory.fill(ram + 0xf_0000, 0x1_0000 - 1, 0x77);
        store(device, reg.notify, 0);
        for (const { register, value } of writes) store(device, register, value);
        machine.advance(1e6);
        assert.ok(machine.ram.subarray(0xf_0000, 0xf_ffff).every((byte) => byte === 0x77));
        assert.ok(load(device, reg.status) <= 0xff);
      },
    ),
    { numRuns: 500 },
  );
});
