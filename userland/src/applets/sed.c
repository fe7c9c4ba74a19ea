/*
 * sed: edits a stream by a script (XCU, sed).
 *
 *   each line ─► pattern space ─► commands in order ─► printed at the end, unless -n
 *                      ▲  x g h G H
 *                      └──────────► hold space
 */

#include "applets/sed.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool quiet, in_place, separate;
static const char *in_place_suffix;
static regex_t *last_expression; /* what an empty expression stands for */

/* ---- input ---- */

typedef struct Source {
    char **names;
    FILE *file;
    char *ahead;             /* the line after the current one, so that "$" can be told */
    bool ahead_newline;
    unsigned long line;
    int status;
} Source;

static FILE *output;

static void start_in_place(const char *name)
{
    char *temporary = format_string("%s.sed-new", name);
    output = fopen(temporary, "w");
    if (output == NULL)
        die_errno(temporary);
    free(temporary);
}

static void finish_in_place(const char *name)
{
    char *temporary = format_string("%s.sed-new", name);
    struct stat info;
    if (stat(name, &info) == 0)
        chmod(temporary, info.st_mode & 07777);
    if (fclose(output) != 0)
        die_errno(temporary);
    if (in_place_suffix != NULL) {
        char *backup = format_string("%s%s", name, in_place_suffix);
        if (rename(name, backup) != 0)
            die_errno(backup);
        free(backup);
    }
    if (rename(temporary, name) != 0)
        die_errno(name);
    free(temporary);
    output = stdout;
}

/* Reads a line ahead, from the next file when one has ended; NULL at the end of all. */
static void read_ahead(Source *source)
{
    size_t capacity = 0;
    source->ahead = NULL;
    while (source->file != NULL || *source->names != NULL) {
        if (source->file == NULL) {
            source->file = open_input(*source->names);
            if (source->file == NULL) {
                source->status = 1;
                source->names++;
                continue;
            }
        }
        if (read_line(&source->ahead, &capacity, source->file, &source->ahead_newline) >= 0)
            return;
        free(source->ahead);
        source->ahead = NULL;
        close_input(source->file, *source->names++);
        source->file = NULL;
        if (separate)
            return; /* the caller goes on to the next file */
    }
}

/* ---- running ---- */

typedef struct State {
    Source *source;
    Buffer space, hold;
    bool newline;            /* the current line ended in one */
    Buffer appended;         /* what a and r print after the line */
    bool substituted, quit;
    int exit_status;
} State;

static void set_buffer(Buffer *buffer, const char *text)
{
    buffer->length = 0;
    buffer_add_text(buffer, text);
}

static bool read_next_line(State *state)
{
    Source *source = state->source;
    if (source->ahead == NULL)
        return false;
    set_buffer(&state->space, source->ahead);
    state->newline = source->ahead_newline;
    source->line++;
    free(source->ahead);
    read_ahead(source);
    return true;
}

static void print_space(const State *state, const char *text, size_t length)
{
    fwrite(text, 1, length, output);
    if (state->newline || state->source->ahead != NULL)
        putc('\n', output);
}

static void print_appended(State *state)
{
    if (state->appended.length > 0)
        fwrite(state->appended.data, 1, state->appended.length, output);
    state->appended.length = 0;
}

static bool matches(regex_t *expression, const char *text, regmatch_t *groups, size_t count, int flags)
{
    if (expression == NULL)
        expression = last_expression;
    if (expression == NULL)
        die_text("no previous expression");
    last_expression = expression;
    return regexec(expression, text, count, groups, flags) == 0;
}

static bool matches_address(const State *state, const Address *address)
{
    unsigned long line = state->source->line;
    switch (address->kind) {
    case ADDRESS_LINE: return line == address->line;
    case ADDRESS_LAST: return state->source->ahead == NULL;
    case ADDRESS_EXPRESSION: return matches(address->expression, state->space.data, NULL, 0, 0);
    case ADDRESS_STEP:
        return address->step == 0 ? line == address->line
                                  : line >= address->line && (line - address->line) % address->step == 0;
    default: return true;
    }
}

static bool is_selected(const State *state, Command *command)
{
    unsigned long line = state->source->line;
    if (command->to.kind == ADDRESS_NONE)
        return matches_address(state, &command->from) != command->negated;
    bool inside = true;
    if (command->active) {
        if (command->to.kind == ADDRESS_LINE || command->to.kind == ADDRESS_OFFSET) {
            command->active = line < command->range_end;
            inside = line <= command->range_end;
            if (!inside) /* the range had ended before: this line may start it again */
                inside = matches_address(state, &command->from);
        } else {
            command->active = !matches_address(state, &command->to);
        }
    } else {
        inside = matches_address(state, &command->from);
        if (inside) {
            command->range_end = command->to.kind == ADDRESS_OFFSET ? line + command->to.line : command->to.line;
            bool numbered = command->to.kind == ADDRESS_LINE || command->to.kind == ADDRESS_OFFSET;
            command->active = numbered ? command->range_end > line
                : !(command->to.kind == ADDRESS_LAST && state->source->ahead == NULL);
        }
    }
    return inside != command->negated;
}

static void add_replacement(Buffer *result, const char *replacement, const char *text, const regmatch_t *groups)
{
    for (; *replacement != '\0'; replacement++) {
        int group = -1;
        if (*replacement == '&') {
            group = 0;
        } else if (*replacement == '\\' && isdigit((unsigned char)replacement[1])) {
            group = *++replacement - '0';
        } else if (*replacement == '\\' && replacement[1] != '\0') {
            replacement++;
            buffer_add_char(result, *replacement == 'n' ? '\n' : *replacement == 't' ? '\t' : *replacement);
            continue;
        }
        if (group < 0)
            buffer_add_char(result, *replacement);
        else if (groups[group].rm_so >= 0)
            buffer_add(result, text + groups[group].rm_so, (size_t)(groups[group].rm_eo - groups[group].rm_so));
    }
}

static void substitute(State *state, const Command *command)
{
    Buffer result = {0};
    const char *text = state->space.data;
    regmatch_t groups[10];
    unsigned long found = 0;
    bool changed = false, after_match = false;
    buffer_add_text(&result, "");
    for (int flags = 0; matches(command->expression, text, groups, COUNT_OF(groups), flags); flags = REG_NOTBOL) {
        size_t start = (size_t)groups[0].rm_so, end = (size_t)groups[0].rm_eo;
        buffer_add(&result, text, start);
        /* An empty match right after a match is not one. */
        bool counts = !(start == end && start == 0 && after_match);
        found += counts;
        if (counts && (command->global ? found >= command->which : found == command->which)) {
            add_replacement(&result, command->replacement, text, groups);
            changed = true;
        } else {
            buffer_add(&result, text + start, end - start);
        }
        after_match = end > start;
        text += end;
        if (start == end) {
            if (*text == '\0')
                break;
            buffer_add_char(&result, *text++);
        }
        if (changed && !command->global)
            break;
    }
    buffer_add_text(&result, text);
    if (!changed) {
        buffer_free(&result);
        return;
    }
    buffer_free(&state->space);
    state->space = result;
    state->substituted = true;
    if (command->print)
        print_space(state, state->space.data, state->space.length);
    if (command->file != NULL)
        fprintf(command->file, "%s\n", state->space.data);
}

static void translate(State *state, const Command *command)
{
    size_t half = strlen(command->text) / 2;
    for (char *c = state->space.data; *c != '\0'; c++) {
        const char *found = memchr(command->text, *c, half);
        if (found != NULL)
            *c = found[half];
    }
}

static void print_unambiguously(const State *state)
{
    for (const char *c = state->space.data; *c != '\0'; c++) {
        static const char special[] = "\\\a\b\f\n\r\t\v", letters[] = "\\abfnrtv";
        const char *found = strchr(special, *c);
        if (found != NULL)
            fprintf(output, "\\%c", letters[found - special]);
        else if (isprint((unsigned char)*c))
            putc(*c, output);
        else
            fprintf(output, "\\%03o", (unsigned char)*c);
    }
    fputs("$\n", output);
}

static void append_file(State *state, const char *path)
{
    size_t length;
    char *text = read_file(path, &length);
    if (text != NULL)
        buffer_add(&state->appended, text, length);
    free(text);
}

/* What a command asks of the cycle. */
typedef enum Flow { FLOW_NEXT, FLOW_END_CYCLE, FLOW_DELETE, FLOW_RESTART } Flow;

static Flow run_command(State *state, Command *command, size_t *next)
{
    const char *newline;
    switch (command->name) {
    case '=': fprintf(output, "%lu\n", state->source->line); break;
    case 'a': buffer_add_text(&state->appended, command->text); break;
    case 'i': fputs(command->text, output); break;
    case 'c':
        if (command->to.kind == ADDRESS_NONE || !command->active || command->negated)
            fputs(command->text, output);
        return FLOW_DELETE;
    case 'b': *next = command->target; break;
    case 't':
        if (state->substituted)
            *next = command->target;
        state->substituted = false;
        break;
    case 'T':
        if (!state->substituted)
            *next = command->target;
        state->substituted = false;
        break;
    case 'd': return FLOW_DELETE;
    case 'D':
        newline = strchr(state->space.data, '\n');
        if (newline == NULL)
            return FLOW_DELETE;
        memmove(state->space.data, newline + 1, strlen(newline + 1) + 1);
        state->space.length = strlen(state->space.data);
        return FLOW_RESTART;
    case 'g': set_buffer(&state->space, state->hold.data); break;
    case 'G': buffer_add_char(&state->space, '\n'); buffer_add_text(&state->space, state->hold.data); break;
    case 'h': set_buffer(&state->hold, state->space.data); break;
    case 'H': buffer_add_char(&state->hold, '\n'); buffer_add_text(&state->hold, state->space.data); break;
    case 'x': {
        Buffer other = state->space;
        state->space = state->hold;
        state->hold = other;
        break;
    }
    case 'l': print_unambiguously(state); break;
    case 'n':
        if (state->source->ahead == NULL) {
            state->quit = true;
            return FLOW_END_CYCLE;
        }
        if (!quiet)
            print_space(state, state->space.data, state->space.length);
        print_appended(state);
        read_next_line(state);
        break;
    case 'N': {
        if (state->source->ahead == NULL) {
            state->quit = true;
            return FLOW_END_CYCLE;
        }
        char *before = copy_string(state->space.data);
        print_appended(state);
        read_next_line(state);
        char *both = format_string("%s\n%s", before, state->space.data);
        set_buffer(&state->space, both);
        free(before);
        free(both);
        break;
    }
    case 'p': print_space(state, state->space.data, state->space.length); break;
    case 'P': print_space(state, state->space.data, strcspn(state->space.data, "\n")); break;
    case 'q': state->quit = true; state->exit_status = command->exit_status; return FLOW_END_CYCLE;
    case 'Q': state->quit = true; state->exit_status = command->exit_status; return FLOW_DELETE;
    case 'r': append_file(state, command->text); break;
    case 'w': fprintf(command->file, "%s\n", state->space.data); fflush(command->file); break;
    case 's': substitute(state, command); break;
    case 'y': translate(state, command); break;
    default: break; /* labels and closing braces */
    }
    return FLOW_NEXT;
}

static void run_cycle(State *state)
{
    Flow flow = FLOW_NEXT;
    for (size_t i = 0; i < sed_command_count && flow == FLOW_NEXT;) {
        Command *command = &sed_commands[i++];
        bool selected = is_selected(state, command);
        if (selected && command->name != '{')
            flow = run_command(state, command, &i);
        else if (!selected && command->name == '{')
            i = command->target + 1;
    }
    if (flow != FLOW_DELETE && flow != FLOW_RESTART && !quiet)
        print_space(state, state->space.data, state->space.length);
    print_appended(state);
    if (flow == FLOW_RESTART)
        run_cycle(state);
}

static void run_all(State *state)
{
    read_ahead(state->source);
    while (!state->quit && read_next_line(state)) {
        state->substituted = false;
        run_cycle(state);
    }
}

int sed_main(int argc, char **argv)
{
    bool extended = false;
    static char *standard_input[] = {"-", NULL};
    Buffer text = {0};
    bool have_script = false;
    for (int option; (option = next_option(argc, argv, "nErse:f:i::u")) != -1;) {
        switch (option) {
        case 'n': quiet = true; break;
        case 'E': case 'r': extended = true; break;
        case 's': separate = true; break;
        case 'i': in_place = separate = true; in_place_suffix = optarg; break;
        case 'e': case 'f': {
            char *piece = option == 'f' ? read_file(optarg, NULL) : copy_string(optarg);
            if (piece == NULL)
                die_errno(optarg);
            if (have_script)
                buffer_add_char(&text, '\n');
            buffer_add_text(&text, piece);
            free(piece);
            have_script = true;
            break;
        }
        }
    }
    if (!have_script) {
        if (optind >= argc)
            fail_usage();
        buffer_add_text(&text, argv[optind++]);
    }
    if (strncmp(text.data, "#n\n", 3) == 0)
        quiet = true;
    read_sed_script(text.data, extended);

    output = stdout;
    Source source = {.names = optind < argc ? argv + optind : standard_input};
    State state = {.source = &source};
    set_buffer(&state.hold, "");
    if (!separate) {
        run_all(&state);
    } else {
        for (char **name = source.names; *name != NULL && !state.quit; name++) {
            char *one[] = {*name, NULL};
            source = (Source){.names = one, .status = source.status};
            if (in_place)
                start_in_place(*name);
            run_all(&state);
            if (in_place)
                finish_in_place(*name);
        }
    }
    return state.exit_status != 0 ? state.exit_status : source.status;
}
