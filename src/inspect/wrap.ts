// Text in lines of a bounded width.

/** Words in lines of at most `width` characters; a longer word has a line for itself. */
export function wrapWords(words: readonly string[], width: number, separator = "  "): string[] {
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + separator.length + word.length <= width) {
      lines[lines.length - 1] = last + separator + word;
    } else lines.push(word);
  }
  return lines;
}

export function wrapText(text: string, width: number): string[] {
  return wrapWords(text.split(" "), width, " ");
}
