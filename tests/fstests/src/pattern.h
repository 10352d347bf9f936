// Bytes that are a function of their offset in the file and of a seed: any part of a file can be
// written and checked without a copy of it. Not random enough for anything but this.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

// A well mixed function of `value` (splitmix64).
static inline uint64_t pattern_mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15u;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

static inline char pattern_byte(int64_t offset, uint64_t seed) {
  const uint64_t word = pattern_mix((uint64_t)offset / 8 + (seed << 40));
  return (char)(word >> ((uint64_t)offset % 8 * 8));
}

static inline void pattern_fill(char* data, size_t size_bytes, int64_t offset, uint64_t seed) {
  size_t i = 0;
  for (; i < size_bytes && (offset + (int64_t)i) % 8 != 0; i++) {
    data[i] = pattern_byte(offset + (int64_t)i, seed);
  }
  for (; i + 8 <= size_bytes; i += 8) {
    const uint64_t word = pattern_mix((uint64_t)(offset + (int64_t)i) / 8 + (seed << 40));
    for (int byte = 0; byte < 8; byte++) data[i + (size_t)byte] = (char)(word >> (byte * 8));
  }
  for (; i < size_bytes; i++) data[i] = pattern_byte(offset + (int64_t)i, seed);
}

// The index of the first byte of `data` that is not the pattern's, -1 if all are.
static inline ssize_t pattern_mismatch(const char* data, size_t size_bytes, int64_t offset,
                                       uint64_t seed) {
  char expected[4096];
  for (size_t done = 0; done < size_bytes; done += sizeof(expected)) {
    const size_t size = size_bytes - done < sizeof(expected) ? size_bytes - done : sizeof(expected);
    pattern_fill(expected, size, offset + (int64_t)done, seed);
    if (memcmp(expected, data + done, size) == 0) continue;
    for (size_t i = 0; i < size; i++) {
      if (expected[i] != data[done + i]) return (ssize_t)(done + i);
    }
  }
  return -1;
}
