/** The CMOS clock against the host's calendar, in each of its formats. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createCmosRtc } from "./cmos-rtc.ts";
import { createFakeMachine, faults, load, store } from "./fake-services.test.support.ts";

function clockAt(date: string) {
  const services = createFakeMachine();
  const seconds = Date.parse(date) / 1000;
  const clock = createCmosRtc({ base: 0, services, bootTime: { seconds, nanoseconds: 0 } });
  const read = (index: number): number => {
    store(clock, 0, index, 1);
    return load(clock, 1, 1);
  };
  const write = (index: number, value: number): void => {
    store(clock, 0, index, 1);
    store(clock, 1, value, 1);
  };
  return { services, clock, read, write };
}

test("dates, in binary", () => {
  const dates = [
    "1970-01-01T00:00:00Z",
    "1999-12-31T23:59:59Z",
    "2000-02-29T12:34:56Z",
    "2000-03-01T00:00:00Z",
    "2024-02-29T01:02:03Z",
    "2026-11-25T19:00:00Z",
    "2100-02-28T23:59:59Z",
    "2100-03-01T00:00:00Z",
    "2399-12-31T23:59:59Z",
  ];
  for (const date of dates) {
    const { read, write } = clockAt(date);
    write(0x0b, 0x06);
    const expected = new Date(date);
    const shown = [0x32, 0x09, 0x08, 0x07, 0x06, 0x04, 0x02, 0x00].map(read);
    assert.deepEqual(
      shown,
      [
        Math.floor(expected.getUTCFullYear() / 100),
        expected.getUTCFullYear() % 100,
        expected.getUTCMonth() + 1,
        expected.getUTCDate(),
        expected.getUTCDay() + 1,
        expected.getUTCHours(),
        expected.getUTCMinutes(),
        expected.getUTCSeconds(),
      ],
      date,
    );
  }
});

test("decimal digits and 12 hours, and time goes on", () => {
  const { services, read, write } = clockAt("2026-11-25T23:59:58Z");
  assert.equal(read(0x04), 0x23);
  assert.equal(read(0x32), 0x20);
  write(0x0b, 0);
  assert.equal(read(0x04), 0x91, "11 p.m.");
  services.advance(2_000_000_000);
  assert.equal(read(0x04), 0x12, "12 a.m.");
  assert.equal(read(0x07), 0x26);
  assert.equal(read(0x00), 0);
});

test("memory keeps what is written; status registers tell of a good battery and no update", () => {
  const { clock, read, write } = clockAt("2026-11-25T23:59:58Z");
  write(0x40, 0x5a);
  assert.equal(read(0x40), 0x5a);
  assert.equal(read(0xc0), 0x5a, "bit 7 of the index is not of it");
  write(0x0a, 0xff);
  assert.equal(read(0x0a), 0x7f);
  write(0x0d, 0);
  assert.equal(read(0x0d), 0x80);
  assert.equal(read(0x0c), 0);
  assert.ok(faults(clock, 0, 2));
});
