// What the programs of the tests begin with: memory that processes share, files, words that say who
// has written them, and an end with one line on standard output, which is what a test compares.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
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

// Whether `word` may be what read(2) gives while the numbers from `oldest` to `newest` are stored
// there one after the other. The kernel may copy byte by byte (rep movsb), so that a word read in
// the middle of a store has bytes of two numbers: between 0x4ff and 0x500 there is 0x5ff too.
// `or_zero`: the place may be zero as well.
static inline bool may_be_read(uint64_t word, uint64_t oldest, uint64_t newest, bool or_zero) {
  for (int shift = 0; shift < 64; shift += 8) {
    const uint8_t byte = (uint8_t)(word >> shift);
    if (or_zero && byte == 0) continue;
    uint64_t number = oldest;
    while (number <= newest && (uint8_t)(number >> shift) != byte) number++;
    if (number > newest) return false;
  }
  return true;
}
