// model_ops [-m] FILE MAX_BYTES CALLS SEED EXPECTED
//
// Makes CALLS random calls on FILE (write, read, append, truncate, fsync, close and open; with -m
// also loads and stores through a shared mapping) and the same on a model in memory, and compares
// each size and each byte read. The seed gives the calls. A difference prints the calls that led to
// it. At the end EXPECTED gets what FILE must hold. In the manner of fsx.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pattern.h"

enum { kHistory = 32, kHistoryBytes = 80, kMaxIoBytes = 96 << 10 };

static const char* file;
static int fd = -1;
static bool mapped;
static size_t max_bytes;
static uint64_t seed;
static uint64_t random_count;

static char* model;  // max_bytes; zeros from size_bytes on
static size_t size_bytes;
static char* buffer;  // kMaxIoBytes

static char history[kHistory][kHistoryBytes];
static unsigned call_count;

static void fail(const char* what) {
  printf("model_ops: call %u, seed %llu: %s\n", call_count, (unsigned long long)seed, what);
  const unsigned first = call_count > kHistory ? call_count - kHistory : 0;
  for (unsigned i = first; i < call_count; i++) printf("  %u %s\n", i + 1, history[i % kHistory]);
  exit(1);
}

static void fail_errno(const char* call) {
  char what[64];
  snprintf(what, sizeof(what), "%s: %s", call, strerrorname_np(errno));
  fail(what);
}

__attribute__((format(printf, 1, 2))) static void record(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(history[call_count++ % kHistory], kHistoryBytes, format, arguments);
  va_end(arguments);
}

static size_t random_below(size_t limit) {
  return (size_t)(pattern_mix(seed << 32 | random_count++) % limit);
}

// Often at, or one byte beside, a page boundary: that is where the mistakes are.
static size_t random_offset(size_t limit) {
  size_t offset = random_below(limit);
  if (random_below(3) == 0) {
    offset = (offset & ~(size_t)4095) + random_below(3);
    if (offset > 0 && random_below(2) == 0) offset--;
  }
  return offset < limit ? offset : limit - 1;
}

static size_t random_length(size_t limit) {
  const size_t most = limit < kMaxIoBytes ? limit : kMaxIoBytes;
  return 1 + random_below(random_below(2) == 0 && most > 512 ? 512 : most);
}

static void compare(const char* call, const char* got, size_t offset, size_t length) {
  for (size_t i = 0; i < length; i++) {
    if (got[i] == model[offset + i]) continue;
    char what[96];
    snprintf(what, sizeof(what), "%s: byte %zu is %d, not %d", call, offset + i,
             (unsigned char)got[i], (unsigned char)model[offset + i]);
    fail(what);
  }
}

static void check_size(void) {
  struct stat attributes;
  if (fstat(fd, &attributes) != 0) fail_errno("fstat");
  if ((size_t)attributes.st_size == size_bytes) return;
  char what[64];
  snprintf(what, sizeof(what), "size is %lld, not %zu", (long long)attributes.st_size, size_bytes);
  fail(what);
}

static void reopen(void) {
  if (fd >= 0 && close(fd) != 0) fail_errno("close");
  fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) fail_errno("open");
}

static void write_at(size_t offset) {
  const size_t length = random_length(max_bytes - offset);
  record("write %zu+%zu (size %zu)", offset, length, size_bytes);
  pattern_fill(buffer, length, (int64_t)offset, random_count);
  memcpy(model + offset, buffer, length);
  if (offset + length > size_bytes) size_bytes = offset + length;
  if (pwrite(fd, buffer, length, (off_t)offset) != (ssize_t)length) fail_errno("write");
}

static void read_at(size_t offset) {
  const size_t length = random_length(max_bytes - offset);
  record("read %zu+%zu (size %zu)", offset, length, size_bytes);
  const ssize_t got = pread(fd, buffer, length, (off_t)offset);
  if (got < 0) fail_errno("read");
  const size_t there = offset >= size_bytes ? 0 : size_bytes - offset;
  if ((size_t)got != (length < there ? length : there)) fail("read: wrong length");
  compare("read", buffer, offset, (size_t)got);
}

static void truncate_to(size_t size) {
  record("truncate %zu (size %zu)", size, size_bytes);
  if (size < size_bytes) memset(model + size, 0, size_bytes - size);
  size_bytes = size;
  if (ftruncate(fd, (off_t)size) != 0) fail_errno("truncate");
}

// One load or store through a mapping of the whole file that lives for this call only.
static void access_mapping(bool store) {
  if (size_bytes == 0) return;
  const size_t offset = random_offset(size_bytes);
  const size_t length = random_length(size_bytes - offset);
  record("%s %zu+%zu (size %zu)", store ? "store" : "load", offset, length, size_bytes);
  char* const base = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED) fail_errno("mmap");
  if (store) {
    pattern_fill(model + offset, length, (int64_t)offset, random_count);
    memcpy(base + offset, model + offset, length);
  } else {
    compare("load", base + offset, offset, length);
  }
  if (munmap(base, size_bytes) != 0) fail_errno("munmap");
}

static void one_call(void) {
  const size_t kind = random_below(100);
  if (kind < 30) {
    write_at(random_offset(max_bytes));
  } else if (kind < 60) {
    read_at(random_offset(max_bytes));
  } else if (kind < 66) {
    truncate_to(random_offset(max_bytes));
  } else if (kind < 74) {
    if (size_bytes < max_bytes) write_at(size_bytes);
  } else if (kind < 79) {
    record("close and open");
    reopen();
  } else if (kind < 82) {
    record("fsync");
    if (fsync(fd) != 0) fail_errno("fsync");
  } else if (mapped) {
    access_mapping(kind < 91);
  } else {
    read_at(random_offset(max_bytes));
  }
  check_size();
}

static void write_expected(const char* path) {
  FILE* const stream = fopen(path, "w");
  if (stream == NULL || fwrite(model, 1, size_bytes, stream) != size_bytes || fclose(stream) != 0) {
    fail_errno("expected");
  }
}

int main(int argc, char** argv) {
  mapped = argc > 1 && strcmp(argv[1], "-m") == 0;
  char** const word = argv + (mapped ? 1 : 0);
  if (argc - (word - argv) != 6) {
    fprintf(stderr, "usage: model_ops [-m] FILE MAX_BYTES CALLS SEED EXPECTED\n");
    return 2;
  }
  file = word[1];
  max_bytes = (size_t)strtoull(word[2], NULL, 10);
  seed = strtoull(word[4], NULL, 10);
  model = calloc(1, max_bytes);
  buffer = malloc(kMaxIoBytes);
  if (model == NULL || buffer == NULL) fail_errno("memory");
  reopen();
  const unsigned long calls = strtoul(word[3], NULL, 10);
  for (unsigned long i = 0; i < calls; i++) one_call();
  if (close(fd) != 0) fail_errno("close");
  write_expected(word[5]);
  printf("model agrees\n");
  return 0;
}
