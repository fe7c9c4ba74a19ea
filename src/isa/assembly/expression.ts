// Expressions of the assembler: 64-bit integers, symbols, the location counter `.`, local labels (`1b`, `1f`), character
// constants, parentheses, and the operators of C with C's precedence (not that of GNU as, which puts + and - last):
//
//    unary - ~ +      * / %      + -      << >>      &      ^      |
//
// BigInt is right here: nothing assembles on a hot path.

/** What a symbol is worth where it is used; `.` and local labels are symbols too. Undefined when there is none. */
export type Scope = (symbol: string) => bigint | undefined;

/** A parsed expression. Evaluating it throws ExpressionError for an unknown symbol or a division by zero. */
export type Expression = (scope: Scope) => bigint;

/** What is wrong with an expression; the assembler adds the line. */
export class ExpressionError extends Error {
  override readonly name = "ExpressionError";
}

/** Parses a whole string; throws ExpressionError when it is not one expression. */
export function parseExpression(text: string): Expression {
  const tokens = tokenize(text);
  const state: ParserState = { tokens, position: 0, text };
  const expression = parseBinary(state, 0);
  if (state.position < tokens.length)
    throw new ExpressionError(`unexpected '${tokens[state.position] ?? ""}' in '${text}'`);
  return expression;
}

/** The bytes of a quoted string's inside, escapes resolved, as UTF-8. */
export function unescape(text: string): string {
  return text.replace(/\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)/gs, (_, escape: string) => {
    if (/^x./.test(escape)) return String.fromCharCode(Number.parseInt(escape.slice(1), 16));
    if (/^[0-7]/.test(escape)) return String.fromCharCode(Number.parseInt(escape, 8));
    return ESCAPES[escape] ?? escape;
  });
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", b: "\b", f: "\f", e: "\x1b" };

interface ParserState {
  readonly tokens: readonly string[];
  readonly text: string;
  position: number;
}

const TOKEN =
  /\s*(0x[0-9a-f]+|0b[01]+(?![0-9a-f])|[0-9]+[bf]?(?![\w.])|[\w.$]+|'(?:\\.|[^\\])'?|<<|>>|[-+*/%&|^~()])/giy;

function tokenize(text: string): string[] {
  const trimmed = text.trim();
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < trimmed.length) {
    const rest = trimmed.slice(TOKEN.lastIndex);
    const token = TOKEN.exec(trimmed)?.[1];
    if (token === undefined) throw new ExpressionError(`cannot read '${rest}'`);
    tokens.push(token);
  }
  return tokens;
}

type BinaryOperator = (a: bigint, b: bigint) => bigint;

/** Loosest first. */
const LEVELS: readonly ReadonlyMap<string, BinaryOperator>[] = [
  { "|": (a: bigint, b: bigint) => a | b },
  { "^": (a: bigint, b: bigint) => a ^ b },
  { "&": (a: bigint, b: bigint) => a & b },
  { "<<": (a: bigint, b: bigint) => a << (b & 63n), ">>": (a: bigint, b: bigint) => a >> (b & 63n) },
  { "+": (a: bigint, b: bigint) => a + b, "-": (a: bigint, b: bigint) => a - b },
  {
    "*": (a: bigint, b: bigint) => a * b,
    "/": (a: bigint, b: bigint) => a / checkDivisor(b),
    "%": (a: bigint, b: bigint) => a % checkDivisor(b),
  },
].map((operators) => new Map(Object.entries(operators)));

function checkDivisor(value: bigint): bigint {
  if (value === 0n) throw new ExpressionError("division by zero");
  return value;
}

function parseBinary(state: ParserState, level: number): Expression {
  const operators = LEVELS[level];
  if (operators === undefined) return parseUnary(state);
  let left = parseBinary(state, level + 1);
  for (;;) {
    const operator = operators.get(state.tokens[state.position] ?? "");
    if (operator === undefined) return left;
    state.position++;
    const [first, second] = [left, parseBinary(state, level + 1)];
    left = (scope) => wrap(operator(first(scope), second(scope)));
  }
}

function parseUnary(state: ParserState): Expression {
  const token = state.tokens[state.position++];
  if (token === undefined) throw new ExpressionError(`incomplete expression '${state.text}'`);
  if (token === "-" || token === "~" || token === "+") {
    const operand = parseUnary(state);
    if (token === "-") return (scope) => wrap(-operand(scope));
    return token === "~" ? (scope) => ~operand(scope) : operand;
  }
  if (token === "(") {
    const inner = parseBinary(state, 0);
    if (state.tokens[state.position++] !== ")") throw new ExpressionError(`missing ')' in '${state.text}'`);
    return inner;
  }
  return parsePrimary(token);
}

function parsePrimary(token: string): Expression {
  if (token.startsWith("'")) {
    const character = unescape(token.replace(/^'(.+?)'?$/s, "$1")).codePointAt(0) ?? 0;
    return () => BigInt(character);
  }
  if (/^(0x[0-9a-f]+|0b[01]+|[0-9]+)$/i.test(token)) {
    const value = parseInteger(token);
    if (value >= 1n << 64n) throw new ExpressionError(`'${token}' does not fit 64 bits`);
    return () => wrap(value);
  }
  if (!/^([A-Za-z_.$][\w.$]*|[0-9]+[bf])$/.test(token)) throw new ExpressionError(`unexpected '${token}'`);
  return (scope) => {
    const value = scope(token);
    if (value === undefined) throw new ExpressionError(`undefined symbol '${token}'`);
    return wrap(value);
  };
}

function parseInteger(token: string): bigint {
  const isOctal = /^0[0-7]+$/.test(token);
  if (/^0[0-9]+$/.test(token) && !isOctal) throw new ExpressionError(`'${token}' is not octal`);
  return BigInt(isOctal ? `0o${token.slice(1)}` : token);
}

const wrap = (value: bigint): bigint => BigInt.asIntN(64, value);
