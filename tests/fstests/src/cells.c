// cells [-m] FILE WRITERS CELLS WORDS STORES EXPECTED
//
// Fills FILE with CELLS cells of WORDS 64-bit words, then lets WRITERS processes make STORES stores
// each, of whole cells at random, while a reader checks cells at random. All words of a cell carry
// its number and the sequence number of its last store. The writers publish, beside the file, the
// number that they are about to store (issued) and the last one that was stored (acknowledged): a
// reader may see any word between the number acknowledged before its read and the number issued
// after it. Older is a lost or stale write, anything else is garbage. At the end EXPECTED gets what
// FILE must hold.
//
//   -m   the writers store through a shared mapping instead of pwrite(2)
//
// Which writer owns a cell follows from its number, so that each cell has one order of stores.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pattern.h"
#include "process.h"

struct run {
  const char* file;
  bool mapped;
  uint32_t writers, cells, words, stores;
  // In memory shared with the children.
  _Atomic uint32_t* issued;
  _Atomic uint32_t* acknowledged;
  atomic_bool* writers_done;
};

static size_t cell_bytes(const struct run* run) {
  return run->words * sizeof(uint64_t);
}

static off_t cell_offset(const struct run* run, uint32_t cell) {
  return (off_t)(cell * cell_bytes(run));
}

static void write_cell(const struct run* run, int fd, uint32_t cell, uint32_t sequence) {
  uint64_t data[run->words];
  for (uint32_t i = 0; i < run->words; i++) data[i] = word_of(cell, sequence);
  if (pwrite(fd, data, sizeof(data), cell_offset(run, cell)) != (ssize_t)sizeof(data)) die("write");
}

// Each cell of `path` with the last sequence number issued for it.
static void write_all(const struct run* run, const char* path) {
  const int fd = open_file(path, O_RDWR | O_CREAT | O_TRUNC);
  for (uint32_t cell = 0; cell < run->cells; cell++) {
    write_cell(run, fd, cell, atomic_load(&run->issued[cell]));
  }
  if (close(fd) != 0) die("close");
}

static int writer(const struct run* run, uint32_t number) {
  const int fd = open_file(run->file, O_RDWR);
  _Atomic uint64_t* mapping = NULL;
  const size_t file_bytes = run->cells * cell_bytes(run);
  if (run->mapped) {
    mapping = mmap(NULL, file_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapping == MAP_FAILED) die("mmap");
  }
  for (uint32_t store = 0; store < run->stores; store++) {
    const uint64_t random = pattern_mix((uint64_t)number << 32 | store);
    const uint32_t cell = (uint32_t)(random % (run->cells / run->writers)) * run->writers + number;
    const uint32_t sequence = atomic_load(&run->issued[cell]) + 1;
    atomic_store(&run->issued[cell], sequence);
    if (mapping == NULL) {
      write_cell(run, fd, cell, sequence);
    } else {
      for (uint32_t i = 0; i < run->words; i++) {
        atomic_store(&mapping[cell * run->words + i], word_of(cell, sequence));
      }
    }
    atomic_store(&run->acknowledged[cell], sequence);
  }
  if (mapping != NULL && munmap((void*)mapping, file_bytes) != 0) die("munmap");
  if (close(fd) != 0) die("close");
  return 0;
}

static bool check_cell(const struct run* run, int fd, uint32_t cell) {
  uint64_t data[run->words];
  const uint32_t oldest = atomic_load(&run->acknowledged[cell]);
  const ssize_t got = pread(fd, data, sizeof(data), cell_offset(run, cell));
  const uint32_t newest = atomic_load(&run->issued[cell]);
  if (got != (ssize_t)sizeof(data)) {
    printf("cell %u: read %zd of %zu bytes\n", cell, got, sizeof(data));
    return false;
  }
  for (uint32_t i = 0; i < run->words; i++) {
    if (may_be_read(data[i], word_of(cell, oldest), word_of(cell, newest), false)) continue;
    printf("cell %u word %u: cell %u store %u, not store %u to %u\n", cell, i,
           (uint32_t)(data[i] >> 32), (uint32_t)data[i], oldest, newest);
    return false;
  }
  return true;
}

static int reader(const struct run* run) {
  const int fd = open_file(run->file, O_RDONLY);
  uint64_t count = 0;
  bool good = true, last;
  do {
    last = atomic_load(run->writers_done);
    good = check_cell(run, fd, (uint32_t)(pattern_mix(~count++) % run->cells));
  } while (good && !last);
  for (uint32_t cell = 0; good && cell < run->cells; cell++) good = check_cell(run, fd, cell);
  return good ? 0 : 1;
}

static pid_t start(const struct run* run, int number) {
  fflush(stdout);
  const pid_t pid = fork();
  if (pid < 0) die("fork");
  if (pid > 0) return pid;
  const int status = number < 0 ? reader(run) : writer(run, (uint32_t)number);
  fflush(stdout);
  _exit(status);
}

static bool succeeded(pid_t pid) {
  int status;
  return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(int argc, char** argv) {
  const bool mapped = argc > 1 && strcmp(argv[1], "-m") == 0;
  char** const word = argv + (mapped ? 1 : 0);
  if (argc - (word - argv) != 7) {
    fprintf(stderr, "usage: cells [-m] FILE WRITERS CELLS WORDS STORES EXPECTED\n");
    return 2;
  }
  struct run run = {.file = word[1],
                    .mapped = mapped,
                    .writers = (uint32_t)atoi(word[2]),
                    .cells = (uint32_t)atoi(word[3]),
                    .words = (uint32_t)atoi(word[4]),
                    .stores = (uint32_t)atoi(word[5])};
  run.issued = shared_memory(run.cells * sizeof(uint32_t));
  run.acknowledged = shared_memory(run.cells * sizeof(uint32_t));
  run.writers_done = shared_memory(sizeof(atomic_bool));
  write_all(&run, run.file);

  pid_t writers[run.writers];
  const pid_t reader_pid = start(&run, -1);
  for (uint32_t i = 0; i < run.writers; i++) writers[i] = start(&run, (int)i);
  bool good = true;
  for (uint32_t i = 0; i < run.writers; i++) good = succeeded(writers[i]) && good;
  printf("writers %s\n", good ? "finished" : "failed");
  atomic_store(run.writers_done, true);
  const bool reader_good = succeeded(reader_pid);
  printf("reader %s\n", reader_good ? "satisfied" : "failed");
  write_all(&run, word[6]);
  return good && reader_good ? 0 : 1;
}
