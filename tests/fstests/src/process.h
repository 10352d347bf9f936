// What the programs of the tests begin with: memory that processes share, files, words that say who
// has written them, and an end with one line on standard output, which is what a test compares.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// Ends the process with "PROGRAM: WHAT: ERRNO".
static inline void die(const char* what) {
  printf("%s: %s: %s\n", program_invocation_short_name, what, strerrorname_np(errno));
  fflush(stdout);
  _exit(1);
}

// Zeroed, and the same in the processes that are forked from here on.
static inline void* shared_memory(size_t size_bytes) {
  void* const memory =
      mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) die("mmap");
  return memory;
}

static inline int open_file(const char* path, int flags) {
  const int fd = open(path, flags | O_CLOEXEC, 0644);
  if (fd < 0) die("open");
  return fd;
}

// What is stored in place `place` for the `sequence`th time.
static inline uint64_t word_of(uint32_t place, uint32_t sequence) {
  return (uint64_t)place << 32 | sequence;
}
