// dirseek DIR: reads a directory with telldir(3) before each entry, then seeks to each of these
// places, in a scattered order, backwards, and after a rewind, and says whether the same entries
// follow.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kMaxEntries = 1 << 20 };

struct place {
  long where;
  char* name;  // of the entry that follows; owned
};

static struct place* places;
static size_t count;

static void die(const char* what) {
  perror(what);
  exit(1);
}

// The next entry's name, or NULL at the end.
static const char* next(DIR* stream) {
  errno = 0;
  const struct dirent* entry = readdir(stream);
  if (entry == NULL && errno != 0) die("readdir");
  return entry == NULL ? NULL : entry->d_name;
}

static void read_all(DIR* stream) {
  places = calloc(kMaxEntries, sizeof(struct place));
  if (places == NULL) die("calloc");
  for (;;) {
    const long where = telldir(stream);
    const char* name = next(stream);
    if (name == NULL || count == kMaxEntries) return;
    places[count].where = where;
    places[count].name = strdup(name);
    if (places[count++].name == NULL) die("strdup");
  }
}

// After a seek to place `at`, do it and the `length - 1` after it follow?
static int follows(DIR* stream, size_t at, size_t length) {
  seekdir(stream, places[at].where);
  for (size_t i = at; i < at + length && i < count; ++i) {
    const char* name = next(stream);
    if (name == NULL || strcmp(name, places[i].name) != 0) {
      fprintf(stderr, "after a seek to entry %zu: %s instead of %s\n", at, name ? name : "the end",
              places[i].name);
      return 0;
    }
  }
  return 1;
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  DIR* stream = opendir(argv[1]);
  if (stream == NULL) die(argv[1]);
  read_all(stream);
  printf("%zu entries\n", count);
  size_t right = 0;
  // A step that has no divisor in common with the count reaches each place once.
  const size_t step = count % 7919 == 0 ? 7907 : 7919;
  for (size_t i = 0; i < count; ++i) right += follows(stream, i * step % count, 3);
  printf("scattered: %s\n", right == count ? "right" : "wrong");
  right = 0;
  for (size_t i = count; i > 0; --i) right += follows(stream, i - 1, 1);
  printf("backwards: %s\n", right == count ? "right" : "wrong");
  rewinddir(stream);
  printf("rewound: %s\n", strcmp(next(stream), places[0].name) == 0 ? "right" : "wrong");
  DIR* other = opendir(argv[1]);
  if (other == NULL) die(argv[1]);
  seekdir(other, telldir(stream));
  printf("another stream: %s\n", strcmp(next(other), places[1].name) == 0 ? "right" : "wrong");
  closedir(other);
  closedir(stream);
  return 0;
}
