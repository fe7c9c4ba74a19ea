/*
 * Word expansion (XCU 2.6).
 *
 *   parts ─► text with a mark on each character ─► fields (splitting at IFS) ─► paths (wildcards)
 *
 *     a="x y"; echo 1$a"$a"      text   1 x   y x   y
 *                                marks  . S S S Q Q Q       S: may be split, Q: quoted, .: neither
 */

#include "sh/sh.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef enum Mark {
    MARK_LITERAL = 'L',
    MARK_QUOTED = 'Q',
    MARK_SPLIT = 'S',  /* from an unquoted expansion */
    MARK_BREAK = 'B',  /* no character: a field ends here, as between the parameters of "$@" */
    MARK_NULL = 'N',   /* no character: the field exists even when empty, as with "" */
} Mark;

typedef enum Purpose {
    PURPOSE_FIELDS,
    PURPOSE_STRING,    /* no splitting; "$@" is joined by blanks */
    PURPOSE_VALUE,     /* the same, with a tilde after each colon */
} Purpose;

typedef struct Expansion {
    Buffer text, marks; /* of equal length */
    Purpose purpose;
    int operand_depth;  /* inside the word of ${name:-word}: its literal text may be split too */
} Expansion;

static void expand_parts(Expansion *expansion, const Word *word, bool quoted);

static void add(Expansion *expansion, char c, Mark mark)
{
    buffer_add_char(&expansion->text, c);
    buffer_add_char(&expansion->marks, (char)mark);
}

static void add_value(Expansion *expansion, const char *value, bool quoted)
{
    if (quoted && *value == '\0')
        add(expansion, ' ', MARK_NULL);
    for (; *value != '\0'; value++)
        add(expansion, *value, quoted ? MARK_QUOTED : MARK_SPLIT);
}

static void free_expansion(Expansion *expansion)
{
    buffer_free(&expansion->text);
    buffer_free(&expansion->marks);
}

/* ---- tilde ---- */

/* At "~": adds the home directory and returns how many characters it stood for; 0 when it is no tilde prefix. */
static size_t expand_tilde(Expansion *expansion, const char *text, bool last_part)
{
    size_t length = 1 + strcspn(text + 1, expansion->purpose == PURPOSE_VALUE ? "/:" : "/");
    if (text[length] == '\0' && !last_part)
        return 0;
    const char *home = length == 1 ? get_variable("HOME") : NULL;
    if (length > 1) {
        char *name = copy_bytes(text + 1, length - 1);
        home = strcmp(name, "root") == 0 ? "/root" : NULL;
        free(name);
    }
    if (home == NULL)
        return 0;
    add_value(expansion, home, true);
    return length;
}

static void expand_literal(Expansion *expansion, const Part *part, bool is_first, bool quoted)
{
    if (part->quoted || quoted) {
        add_value(expansion, part->text, true);
        return;
    }
    bool tilde_allowed = is_first;
    for (const char *next = part->text; *next != '\0';) {
        size_t skipped = tilde_allowed && *next == '~' ? expand_tilde(expansion, next, part->next == NULL) : 0;
        tilde_allowed = expansion->purpose == PURPOSE_VALUE && next[skipped] == ':';
        if (skipped == 0)
            add(expansion, *next++, expansion->operand_depth > 0 ? MARK_SPLIT : MARK_LITERAL);
        next += skipped;
    }
}

/* ---- parameters ---- */

static char *option_letters(void)
{
    Buffer text = {0};
    buffer_add_text(&text, "");
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (options[i].on && options[i].letter != 0)
            buffer_add_char(&text, options[i].letter);
    if (sh.interactive)
        buffer_add_char(&text, 'i');
    return buffer_take(&text);
}

/* The value of any parameter but "@" and "*", to be freed; NULL when it is unset. */
static char *read_parameter(const char *name)
{
    switch (*name) {
    case '?': return format_string("%d", sh.status);
    case '$': return format_string("%d", sh.pid);
    case '#': return format_string("%d", sh.parameter_count);
    case '-': return option_letters();
    case '!': return sh.last_background > 0 ? format_string("%d", sh.last_background) : NULL;
    default: break;
    }
    if (isdigit((unsigned char)*name)) {
        int index = strlen(name) < 8 ? atoi(name) : sh.parameter_count + 1;
        if (index == 0)
            return copy_string(sh.name);
        return index <= sh.parameter_count ? copy_string(sh.parameters[index - 1]) : NULL;
    }
    if (strcmp(name, "LINENO") == 0)
        return format_string("%d", sh.line);
    const char *value = get_variable(name);
    return value != NULL ? copy_string(value) : NULL;
}

static bool is_all_parameters(const char *name)
{
    return strcmp(name, "@") == 0 || strcmp(name, "*") == 0;
}

static const char *field_separators(void)
{
    const char *separators = get_variable("IFS");
    return separators != NULL ? separators : " \t\n";
}

/* The parameters joined as "$*" joins them. */
static char *join_parameters(char separator)
{
    Buffer text = {0};
    buffer_add_text(&text, "");
    for (int i = 0; i < sh.parameter_count; i++) {
        if (i > 0 && separator != '\0')
            buffer_add_char(&text, separator);
        buffer_add_text(&text, sh.parameters[i]);
    }
    return buffer_take(&text);
}

static void add_all_parameters(Expansion *expansion, char which, bool quoted)
{
    if (expansion->purpose != PURPOSE_FIELDS || (quoted && which == '*')) {
        char *joined = join_parameters(which == '*' ? *field_separators() : ' ');
        add_value(expansion, joined, quoted);
        free(joined);
        return;
    }
    for (int i = 0; i < sh.parameter_count; i++) {
        if (i > 0)
            add(expansion, ' ', MARK_BREAK);
        add_value(expansion, sh.parameters[i], quoted);
    }
}

/* Expands an operator's word in place of the parameter. */
static void expand_operand_in_place(Expansion *expansion, const Part *part, bool quoted)
{
    expansion->operand_depth++;
    expand_parts(expansion, part->word, quoted);
    expansion->operand_depth--;
}

/* Expands an operator's word on its own, to be freed. */
static char *expand_operand(const Word *word, bool as_pattern)
{
    return word == NULL ? copy_string("") : as_pattern ? expand_pattern(word) : expand_string(word);
}

static _Noreturn void fail_unset(const Part *part)
{
    char *message = expand_operand(part->word, false);
    const char *otherwise = part->null_too ? "parameter null or not set" : "parameter not set";
    raise_error(2, "%s: %s", part->text, *message != '\0' ? message : otherwise);
}

static char *assign_default(const Part *part)
{
    if (!is_name(part->text))
        raise_error(2, "%s: bad substitution", part->text);
    char *value = expand_operand(part->word, false);
    set_variable(part->text, value);
    return value;
}

static char *remove_match(const Part *part, char *value)
{
    char *pattern = expand_operand(part->word, true);
    bool longest = part->operator == OPERATOR_LONGEST_PREFIX || part->operator == OPERATOR_LONGEST_SUFFIX;
    bool prefix = part->operator == OPERATOR_LONGEST_PREFIX || part->operator == OPERATOR_SHORTEST_PREFIX;
    ptrdiff_t length = prefix ? match_prefix(pattern, value, longest) : match_suffix(pattern, value, longest);
    free(pattern);
    if (length < 0)
        return value;
    size_t rest = strlen(value) - (size_t)length;
    char *result = copy_bytes(prefix ? value + length : value, rest);
    free(value);
    return result;
}

/* Characters, not bytes, of UTF-8. */
static size_t count_characters(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

static void expand_parameter(Expansion *expansion, const Part *part, bool quoted)
{
    bool all = is_all_parameters(part->text);
    char *value = all ? (sh.parameter_count > 0 ? join_parameters(' ') : NULL) : read_parameter(part->text);
    bool present = value != NULL && !(part->null_too && *value == '\0');
    bool may_be_unset = all || part->operator == OPERATOR_DEFAULT || part->operator == OPERATOR_ASSIGN
        || part->operator == OPERATOR_ERROR || part->operator == OPERATOR_ALTERNATIVE;
    if (value == NULL && !may_be_unset && options[OPTION_NOUNSET].on)
        raise_error(2, "%s: parameter not set", part->text);

    switch (part->operator) {
    case OPERATOR_ALTERNATIVE:
        if (present)
            expand_operand_in_place(expansion, part, quoted);
        else if (quoted)
            add_value(expansion, "", true);
        free(value);
        return;
    case OPERATOR_DEFAULT:
        if (present)
            break;
        expand_operand_in_place(expansion, part, quoted);
        free(value);
        return;
    case OPERATOR_ERROR:
        if (!present)
            fail_unset(part);
        break;
    case OPERATOR_ASSIGN:
        if (present)
            break;
        free(value);
        value = assign_default(part);
        all = false;
        break;
    case OPERATOR_LENGTH: {
        char *text = format_string("%zu", value != NULL ? count_characters(value) : 0);
        add_value(expansion, text, quoted);
        free(text);
        free(value);
        return;
    }
    case OPERATOR_SHORTEST_PREFIX: case OPERATOR_LONGEST_PREFIX:
    case OPERATOR_SHORTEST_SUFFIX: case OPERATOR_LONGEST_SUFFIX:
        value = remove_match(part, value != NULL ? value : copy_string(""));
        all = false;
        break;
    case OPERATOR_NONE:
        break;
    }
    if (all)
        add_all_parameters(expansion, *part->text, quoted);
    else
        add_value(expansion, value != NULL ? value : "", quoted);
    free(value);
}

/* ---- parts ---- */

static void expand_arithmetic(Expansion *expansion, const Part *part, bool quoted)
{
    char *expression = expand_string(part->word);
    char *value = format_string("%jd", evaluate(expression));
    add_value(expansion, value, quoted);
    free(value);
    free(expression);
}

static void expand_command(Expansion *expansion, const Part *part, bool quoted)
{
    char *output = capture_output(part->command);
    add_value(expansion, output, quoted);
    free(output);
}

static void expand_parts(Expansion *expansion, const Word *word, bool quoted)
{
    for (const Part *part = word->parts; part != NULL; part = part->next) {
        bool part_quoted = quoted || part->quoted;
        switch (part->kind) {
        case PART_LITERAL: expand_literal(expansion, part, part == word->parts, quoted); break;
        case PART_PARAMETER: expand_parameter(expansion, part, part_quoted); break;
        case PART_COMMAND: expand_command(expansion, part, part_quoted); break;
        case PART_ARITHMETIC: expand_arithmetic(expansion, part, part_quoted); break;
        }
    }
}

/* ---- fields ---- */

typedef struct Fields {
    char **list;
    size_t count, capacity;
} Fields;

static void add_field(Fields *fields, char *field)
{
    fields->list = grow_array(fields->list, fields->count, &fields->capacity, sizeof *fields->list);
    fields->list[fields->count++] = field;
}

/* The pattern that a stretch of text is, with what was quoted escaped. */
static char *make_pattern(const Expansion *expansion, size_t start, size_t end)
{
    Buffer pattern = {0};
    buffer_add_text(&pattern, "");
    for (size_t i = start; i < end; i++) {
        char c = expansion->text.data[i], mark = expansion->marks.data[i];
        if (mark == MARK_BREAK || mark == MARK_NULL)
            continue;
        if (mark == MARK_QUOTED && strchr("*?[]\\-!^", c) != NULL)
            buffer_add_char(&pattern, '\\');
        buffer_add_char(&pattern, c);
    }
    return buffer_take(&pattern);
}

static char *copy_marked(const Expansion *expansion, size_t start, size_t end)
{
    Buffer text = {0};
    buffer_add_text(&text, "");
    for (size_t i = start; i < end; i++)
        if (expansion->marks.data[i] != MARK_BREAK && expansion->marks.data[i] != MARK_NULL)
            buffer_add_char(&text, expansion->text.data[i]);
    return buffer_take(&text);
}

/* Adds one field, or the paths that it matches. */
static void finish_field(const Expansion *expansion, size_t start, size_t end, Fields *fields)
{
    /* An unclosed bracket, as in `[ -f x ]`, is no wildcard: it must not cost a search of the folder. */
    bool wild = false, bracket = false;
    for (size_t i = start; i < end && !wild; i++) {
        char c = expansion->text.data[i], mark = expansion->marks.data[i];
        bool active = mark == MARK_LITERAL || mark == MARK_SPLIT;
        wild = active && (c == '*' || c == '?' || (c == ']' && bracket));
        bracket = bracket || (active && c == '[');
    }
    if (wild && !options[OPTION_NOGLOB].on) {
        char *pattern = make_pattern(expansion, start, end);
        char **paths = expand_path(pattern);
        free(pattern);
        if (paths != NULL) {
            for (char **path = paths; *path != NULL; path++)
                add_field(fields, *path);
            free(paths);
            return;
        }
    }
    add_field(fields, copy_marked(expansion, start, end));
}

/*
 * Splits at the separators of IFS (XCU 2.6.5): blanks among them around a field are ignored, each other separator
 * ends a field, with the blanks beside it.
 */
static void split(const Expansion *expansion, Fields *fields)
{
    const char *separators = field_separators();
    bool open = false;            /* a field has begun */
    bool ended_by_blank = false;  /* a separator that follows belongs to the blanks that ended the last field */
    size_t start = 0, length = expansion->text.length;
    for (size_t i = 0; i < length; i++) {
        char c = expansion->text.data[i], mark = expansion->marks.data[i];
        bool separates = mark == MARK_BREAK || (mark == MARK_SPLIT && strchr(separators, c) != NULL);
        if (!separates) {
            if (!open)
                start = i;
            open = true;
            continue;
        }
        bool blank = mark == MARK_SPLIT && (c == ' ' || c == '\t' || c == '\n');
        if (open)
            finish_field(expansion, start, i, fields);
        else if (mark == MARK_SPLIT && !blank && !ended_by_blank)
            add_field(fields, copy_string(""));
        ended_by_blank = blank && (open || ended_by_blank);
        open = false;
    }
    if (open)
        finish_field(expansion, start, length, fields);
}

/* "name=value" words of export and its like are not split (POSIX.1-2024, declaration utilities). */
static bool is_assignment_word(const Word *word)
{
    const Part *first = word->parts;
    if (first == NULL || first->kind != PART_LITERAL || first->quoted)
        return false;
    size_t length = name_length(first->text);
    return length > 0 && first->text[length] == '=';
}

static bool is_declaration(const Word *first)
{
    const Part *part = first->parts;
    if (part == NULL || part->kind != PART_LITERAL || part->next != NULL)
        return false;
    const Builtin *builtin = find_builtin(part->text);
    return builtin != NULL && builtin->kind == BUILTIN_DECLARATION;
}

char **expand_words(const Word *words, size_t *count)
{
    Fields fields = {0};
    bool declares = words != NULL && is_declaration(words);
    for (const Word *word = words; word != NULL; word = word->next) {
        if (declares && is_assignment_word(word)) {
            add_field(&fields, expand_value(word));
            continue;
        }
        Expansion expansion = {.purpose = PURPOSE_FIELDS};
        expand_parts(&expansion, word, false);
        split(&expansion, &fields);
        free_expansion(&expansion);
    }
    add_field(&fields, NULL);
    *count = fields.count - 1;
    return fields.list;
}

static char *expand_whole(const Word *word, Purpose purpose, bool as_pattern)
{
    Expansion expansion = {.purpose = purpose};
    expand_parts(&expansion, word, false);
    size_t length = expansion.text.length;
    char *text = as_pattern ? make_pattern(&expansion, 0, length) : copy_marked(&expansion, 0, length);
    free_expansion(&expansion);
    return text;
}

char *expand_string(const Word *word)
{
    return expand_whole(word, PURPOSE_STRING, false);
}

char *expand_value(const Word *word)
{
    return expand_whole(word, PURPOSE_VALUE, false);
}

char *expand_pattern(const Word *word)
{
    return expand_whole(word, PURPOSE_STRING, true);
}

/* ---- prompts ---- */

/* The working directory, with the home directory as "~". */
static char *short_folder(void)
{
    const char *home = get_variable("HOME"), *folder = get_variable("PWD");
    if (folder == NULL)
        folder = "?";
    size_t length = home != NULL ? strlen(home) : 0;
    bool inside = length > 1 && strncmp(folder, home, length) == 0 && (folder[length] == '/' || folder[length] == '\0');
    return inside ? format_string("~%s", folder + length) : copy_string(folder);
}

char *expand_text(const char *text)
{
    Buffer decoded = {0};
    buffer_add_text(&decoded, "");
    for (; *text != '\0'; text++) {
        if (*text != '\\' || text[1] == '\0') {
            buffer_add_char(&decoded, *text);
            continue;
        }
        char *folder = NULL, host[65] = "";
        switch (*++text) {
        case 'w': folder = short_folder(); buffer_add_text(&decoded, folder); break;
        case 'W': {
            char *whole = short_folder();
            folder = base_name(whole);
            buffer_add_text(&decoded, folder);
            free(whole);
            break;
        }
        case 'u': buffer_add_text(&decoded, describe_user(geteuid())); break;
        case 'h': gethostname(host, sizeof host - 1); buffer_add_text(&decoded, host); break;
        case '$': buffer_add_text(&decoded, geteuid() == 0 ? "#" : "\\$"); break;
        case 'n': buffer_add_char(&decoded, '\n'); break;
        case 'e': buffer_add_char(&decoded, 27); break;
        case '[': case ']': break;
        default: buffer_add_char(&decoded, '\\'); buffer_add_char(&decoded, *text); break;
        }
        free(folder);
    }
    Arena *arena = make_arena();
    char *expanded = expand_string(parse_body(arena, decoded.data));
    release_arena(arena);
    buffer_free(&decoded);
    return expanded;
}
