// dirscan DIR: reads a directory twice through one stream and prints what readdir(3) said: how many
// entries of each d_type, whether any name came twice, and whether the second pass was the same.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kMaxEntries = 1 << 20 };

struct listing {
  char** entries;  // "TYPE name", sorted; owned
  size_t count;
};

static const char* type_name(unsigned char type) {
  switch (type) {
    case DT_REG:
      return "regular";
    case DT_DIR:
      return "directory";
    case DT_LNK:
      return "symlink";
    case DT_FIFO:
      return "fifo";
    case DT_SOCK:
      return "socket";
    case DT_UNKNOWN:
      return "unknown";
    default:
      return "other";
  }
}

static int compare(const void* left, const void* right) {
  return strcmp(*(char* const*)left, *(char* const*)right);
}

static void die(const char* what) {
  perror(what);
  exit(1);
}

static struct listing read_all(DIR* stream) {
  struct listing listing = {malloc(kMaxEntries * sizeof(char*)), 0};
  if (listing.entries == NULL) die("malloc");
  const struct dirent* entry;
  while (errno = 0, (entry = readdir(stream)) != NULL && listing.count < kMaxEntries) {
    if (asprintf(&listing.entries[listing.count++], "%s %s", type_name(entry->d_type),
                 entry->d_name) < 0) {
      die("asprintf");
    }
  }
  if (errno != 0) die("readdir");
  qsort(listing.entries, listing.count, sizeof(char*), compare);
  return listing;
}

// Sorted, so entries of one type stand together, and so do equal ones.
static void print_counts(const struct listing* listing) {
  size_t duplicates = 0;
  for (size_t i = 0, start = 0; i < listing->count; i++) {
    const bool last = i + 1 == listing->count;
    if (!last && strcmp(listing->entries[i], listing->entries[i + 1]) == 0) duplicates++;
    const size_t length = strcspn(listing->entries[i], " ");
    if (!last && strncmp(listing->entries[i], listing->entries[i + 1], length + 1) == 0) continue;
    printf("%.*s %zu\n", (int)length, listing->entries[i], i + 1 - start);
    start = i + 1;
  }
  printf("duplicates %zu\n", duplicates);
}

static bool equal(const struct listing* left, const struct listing* right) {
  if (left->count != right->count) return false;
  for (size_t i = 0; i < left->count; i++) {
    if (strcmp(left->entries[i], right->entries[i]) != 0) return false;
  }
  return true;
}

static void release(struct listing* listing) {
  for (size_t i = 0; i < listing->count; i++) free(listing->entries[i]);
  free(listing->entries);
}

int main(int argc, char** argv) {
  DIR* const stream = argc == 2 ? opendir(argv[1]) : NULL;
  if (stream == NULL) die("dirscan");
  struct listing first = read_all(stream);
  rewinddir(stream);
  struct listing second = read_all(stream);
  closedir(stream);
  print_counts(&first);
  printf("second pass %s\n", equal(&first, &second) ? "same" : "different");
  release(&first);
  release(&second);
  return 0;
}
