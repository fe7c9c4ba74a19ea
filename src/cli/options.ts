// Command-line options, by table: one row per option says its names, its value and its help text, and parsing, `--help` and the
// suggestion after a misspelling all read that row.
//
//   vitrine COMMAND [OPTION…] [PROGRAM [ARG…]]
//
// Options end at the first operand or at `--`: what follows belongs to the guest program, dashes and all.

/** One option of a command. */
export interface OptionRow {
  /** Long name without dashes. */
  readonly name: string;
  readonly short?: string;
  /** Name of the value in the help text; absent for a switch. */
  readonly value?: string;
  /** May be given several times. */
  readonly repeat?: boolean;
  readonly help: string;
}

/** What was given: values by long name, in order; a switch has the value "". */
export interface ParsedOptions {
  readonly values: ReadonlyMap<string, readonly string[]>;
  readonly operands: readonly string[];
}

/** A mistake of the person at the keyboard: one line on stderr, status 125. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

export function parseOptions(rows: readonly OptionRow[], args: readonly string[]): ParsedOptions {
  const values = new Map<string, string[]>();
  const give = (row: OptionRow, value: string): void => {
    const list = values.get(row.name);
    if (list === undefined) values.set(row.name, [value]);
    else if (row.repeat === true || row.value === undefined) list.push(value);
    else throw new UsageError(`--${row.name} is given twice`);
  };
  let index = 0;
  const next = (spelling: string): string => {
    const value = args[++index];
    if (value === undefined) throw new UsageError(`${spelling} needs a value`);
    return value;
  };
  for (; index < args.length; index++) {
    const argument = args[index] ?? "";
    if (argument === "--") {
      index += 1;
      break;
    }
    if (!argument.startsWith("-") || argument === "-") break;
    if (argument.startsWith("--")) {
      const [name = "", ...rest] = argument.slice(2).split("=");
      const row = rows.find((candidate) => candidate.name === name);
      if (row === undefined) throw new UsageError(unknownOption(rows, `--${name}`));
      if (row.value === undefined) {
        if (rest.length > 0) throw new UsageError(`--${name} takes no value`);
        give(row, "");
      } else give(row, rest.length > 0 ? rest.join("=") : next(argument));
      continue;
    }
    for (let at = 1; at < argument.length; at++) {
      const letter = argument[at];
      const row = rows.find((candidate) => candidate.short === letter);
      if (row === undefined) throw new UsageError(unknownOption(rows, `-${letter}`));
      if (row.value === undefined) {
        give(row, "");
        continue;
      }
      const attached = argument.slice(at + 1);
      give(row, attached !== "" ? attached : next(`-${letter}`));
      break;
    }
  }
  return { values, operands: args.slice(index) };
}

function unknownOption(rows: readonly OptionRow[], given: string): string {
  // One letter is as near to any other: only long names are guessed.
  const nearest = given.startsWith("--")
    ? suggest(
        given,
        rows.map((row) => `--${row.name}`),
      )
    : undefined;
  return `unknown option ${given}${nearest === undefined ? "; --help lists them" : `; did you mean ${nearest}?`}`;
}

/** The candidate nearest to a misspelt word, if one is near enough to be what was meant. */
export function suggest(given: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(given.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(given, candidate);
    if (distance < bestDistance && distance < Math.max(candidate.length, 2)) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Levenshtein distance with transposition of neighbours counted as one edit. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1] ? 0 : 1;
      let cost = Math.min((last[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1, (last[column - 1] ?? 0) + same);
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        cost = Math.min(cost, (beforeLast[column - 2] ?? 0) + 1);
      }
      current.push(cost);
    }
    beforeLast = last;
    last = current;
  }
  return last[b.length] ?? 0;
}

/** The lines of `--help` for a table of options. */
export function optionHelp(rows: readonly OptionRow[]): string {
  const left = rows.map((row) => {
    const short = row.short === undefined ? "    " : `-${row.short}, `;
    return `  ${short}--${row.name}${row.value === undefined ? "" : ` ${row.value}`}`;
  });
  const width = Math.max(...left.map((text) => text.length)) + 2;
  return rows.map((row, index) => (left[index] ?? "").padEnd(width) + row.help).join("\n");
}

const UNITS: Readonly<Record<string, number>> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

/** "128M" as bytes. Throws UsageError for anything but a positive number with an optional K, M or G (KiB, MiB, GiB). */
export function parseSize(text: string, option: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmg]?)(?:i?b)?$/i.exec(text);
  const unit = UNITS[match?.[2]?.toLowerCase() ?? ""];
  if (match === null || unit === undefined)
    throw new UsageError(`${option} wants a size such as 64M or 1G, not “${text}”`);
  return Math.floor(Number(match[1]) * unit);
}

/** A whole number within bounds, or a UsageError that names them. */
export function parseCount(text: string, option: string, least: number, most: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (!(value >= least && value <= most)) {
    throw new UsageError(`${option} wants a whole number from ${least} to ${most}, not “${text}”`);
  }
  return value;
}
