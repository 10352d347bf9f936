// json_lines: one JSON text on stdin, a line "dotted.path value" for each scalar on stdout, so that
// a shell script can look up values. {"a": {"b": [1, null]}} becomes "a.b.0 1" and "a.b.1 null".
// Strings lose their quotes and keep their escapes. Exit status 1, with no promise about the
// output, if stdin is not exactly one JSON text.
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kMaxText = 1 << 20, kMaxPath = 1024, kMaxDepth = 32 };

static char text[kMaxText + 1];
static const char* at = text;
static char path[kMaxPath];

static void reject(const char* why) {
  fprintf(stderr, "json_lines: %s at byte %ld\n", why, (long)(at - text));
  exit(1);
}

static void skip_space(void) {
  while (isspace((unsigned char)*at)) at++;
}

static bool take(char wanted) {
  skip_space();
  if (*at != wanted) return false;
  at++;
  return true;
}

static void expect(char wanted) {
  if (!take(wanted)) reject("something else was expected");
}

// Leaves [*start, *end) at what is between the quotes.
static void take_string(const char** start, const char** end) {
  expect('"');
  *start = at;
  while (*at != '"') {
    if (*at == '\\') at++;
    if (*at == '\0') reject("a string does not end");
    at++;
  }
  *end = at++;
}

// Appends ".name" and returns the length before, for leave().
static size_t enter(const char* name, size_t length) {
  const size_t before = strlen(path);
  if (before + length + 2 > sizeof(path)) reject("names are too long");
  snprintf(path + before, sizeof(path) - before, "%s%.*s", before > 0 ? "." : "", (int)length,
           name);
  return before;
}

static void leave(size_t before) {
  path[before] = '\0';
}

static void take_value(int depth);

static void take_object(int depth) {
  expect('{');
  if (take('}')) return;
  do {
    const char *start, *end;
    take_string(&start, &end);
    expect(':');
    const size_t before = enter(start, (size_t)(end - start));
    take_value(depth + 1);
    leave(before);
  } while (take(','));
  expect('}');
}

static void take_array(int depth) {
  expect('[');
  if (take(']')) return;
  int index = 0;
  do {
    char name[16];
    snprintf(name, sizeof(name), "%d", index++);
    const size_t before = enter(name, strlen(name));
    take_value(depth + 1);
    leave(before);
  } while (take(','));
  expect(']');
}

// A number, true, false or null.
static void take_word(void) {
  const size_t length = strspn(at, "+-.0123456789eEtrufalsn");
  char* end;
  strtod(at, &end);
  const bool number = length > 0 && end == at + length;
  const bool word = (length == 4 && (strncmp(at, "true", 4) == 0 || strncmp(at, "null", 4) == 0)) ||
                    (length == 5 && strncmp(at, "false", 5) == 0);
  if (!number && !word) reject("no value");
  printf("%s %.*s\n", path, (int)length, at);
  at += length;
}

static void take_value(int depth) {
  if (depth > kMaxDepth) reject("too deep");
  skip_space();
  if (*at == '{') {
    take_object(depth);
  } else if (*at == '[') {
    take_array(depth);
  } else if (*at == '"') {
    const char *start, *end;
    take_string(&start, &end);
    printf("%s %.*s\n", path, (int)(end - start), start);
  } else {
    take_word();
  }
}

int main(void) {
  const size_t size = fread(text, 1, kMaxText, stdin);
  text[size] = '\0';
  take_value(0);
  skip_space();
  if (*at != '\0') reject("more after the text");
  return 0;
}
