// From assembly text to statements: comments, labels, the mnemonic, and operands as text.

/** One statement: labels before it, and an instruction or directive unless `mnemonic` is empty. */
export interface SourceStatement {
  /** 1-based. */
  readonly line: number;
  /** The statement as written, for messages. */
  readonly text: string;
  readonly labels: readonly string[];
  readonly mnemonic: string;
  readonly operands: string;
}

/** Parses a whole source. What a statement means is for the assembler to say. */
export function parseSource(source: string): SourceStatement[] {
  return blankComments(source)
    .split("\n")
    .flatMap((line, i) => splitOutsideQuotes(line, ";").map((text) => parseStatement(text.trim(), i + 1)))
    .filter((statement) => statement.labels.length > 0 || statement.mnemonic !== "");
}

/** Splits operands at commas outside quotes, trimmed; none for an empty text. */
export function splitOperands(operands: string): string[] {
  return operands.trim() === "" ? [] : splitOutsideQuotes(operands, ",").map((operand) => operand.trim());
}

function parseStatement(text: string, line: number): SourceStatement {
  const labels: string[] = [];
  let rest = text;
  for (;;) {
    const label = /^([A-Za-z_.$][\w.$]*|[0-9]+)\s*:/.exec(rest);
    if (label === null) break;
    labels.push(label[1] ?? "");
    rest = rest.slice(label[0].length).trimStart();
  }
  const [, mnemonic = "", operands = ""] = /^(\S*)\s*(.*)$/s.exec(rest) ?? [];
  return { line, text, labels, mnemonic: mnemonic.toLowerCase(), operands };
}

/** Quoted text is matched first, so that what looks like a comment inside it is kept. */
const COMMENT = /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^\\\n])'|\/\*[\s\S]*?\*\/|(?:#|\/\/)[^\n]*/g;

/** Replaces comments by nothing, keeping the line breaks inside them. */
function blankComments(source: string): string {
  return source.replace(COMMENT, (match) => (/^["']/.test(match) ? match : ` ${match.replace(/[^\n]/g, "")}`));
}

function splitOutsideQuotes(text: string, separator: string): string[] {
  if (!text.includes(separator)) return [text];
  const parts: string[] = [];
  let part = "";
  for (const [piece] of text.matchAll(/"(?:\\.|[^"\\])*"|'(?:\\.|[^\\])'|[^"',;]+|[\s\S]/g)) {
    if (piece === separator) {
      parts.push(part);
      part = "";
    } else {
      part += piece;
    }
  }
  parts.push(part);
  return parts;
}
