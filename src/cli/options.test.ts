// Tests of options.ts.

import assert from "node:assert/strict";
import { test } from "node:test";
import { optionHelp, parseCount, parseOptions, parseSize, suggest, UsageError, type OptionRow } from "./options.ts";
import { createEscapeFilter } from "./console-escape.ts";

const ROWS: readonly OptionRow[] = [
  { name: "memory", short: "m", value: "SIZE", help: "guest RAM" },
  { name: "volume", short: "v", value: "HOST:GUEST", repeat: true, help: "a folder" },
  { name: "json", help: "for programs" },
  { name: "follow", short: "f", help: "children too" },
];

test("options end at the first operand, and dashes after it belong to the guest", () => {
  const parsed = parseOptions(ROWS, ["-m", "64M", "--volume=a:/b", "-vc:/d", "-f", "prog", "-m", "--json"]);
  assert.deepEqual(parsed.operands, ["prog", "-m", "--json"]);
  assert.deepEqual(
    [...parsed.values],
    [
      ["memory", ["64M"]],
      ["volume", ["a:/b", "c:/d"]],
      ["follow", [""]],
    ],
  );
  assert.deepEqual(parseOptions(ROWS, ["--json", "--", "-x"]).operands, ["-x"]);
  assert.deepEqual(parseOptions(ROWS, ["-", "-m"]).operands, ["-", "-m"]);
});

test("mistakes are named, and the nearest option is suggested", () => {
  const complaint = (args: string[]): string => {
    try {
      parseOptions(ROWS, args);
    } catch (error) {
      assert.ok(error instanceof UsageError);
      return error.message;
    }
    throw new Error("accepted");
  };
  assert.match(complaint(["--memroy", "1"]), /did you mean --memory/);
  assert.match(complaint(["--memory"]), /needs a value/);
  assert.match(complaint(["--json=1"]), /takes no value/);
  assert.match(complaint(["-m", "1", "-m", "2"]), /twice/);
  assert.match(complaint(["--" + "z".repeat(2000)]), /unknown option/);
  assert.doesNotMatch(complaint(["--quite-different"]), /did you mean/);
  assert.equal(suggest("boto", ["boot", "run", "trace"]), "boot");
});

test("sizes and counts have bounds", () => {
  assert.equal(parseSize("64M", "-m"), 64 * 2 ** 20);
  assert.equal(parseSize("1.5GiB", "-m"), 1.5 * 2 ** 30);
  for (const bad of ["", "-1", "x", "1T", "0x10", "1e9", "NaN"]) assert.throws(() => parseSize(bad, "-m"), UsageError);
  assert.equal(parseCount("8", "--smp", 1, 8), 8);
  for (const bad of ["0", "9", "1.5", "", "one"]) assert.throws(() => parseCount(bad, "--smp", 1, 8), UsageError);
  assert.match(optionHelp(ROWS), /-m, --memory SIZE\s+guest RAM/);
});

test("Ctrl-A commands are taken out of what is typed, even when they arrive in pieces", () => {
  const filter = createEscapeFilter();
  const bytes = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));
  assert.deepEqual(filter.feed(bytes("ls\x01x\r")), [
    { kind: "input", bytes: bytes("ls") },
    { kind: "action", action: "exit" },
    { kind: "input", bytes: bytes("\r") },
  ]);
  assert.deepEqual(filter.feed(bytes("a\x01")), [{ kind: "input", bytes: bytes("a") }]);
  assert.deepEqual(filter.feed(bytes("c\x01\x01")), [
    { kind: "action", action: "monitor" },
    { kind: "input", bytes: bytes("\x01") },
  ]);
  assert.deepEqual(filter.feed(bytes("\x01z")), []);
});
