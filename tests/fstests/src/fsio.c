// fsio: file calls, one by one, from a shell script. In the manner of xfs_io, but with several open
// files and mappings at once, and with an output that can be compared as it is.
//
//   fsio CALL…     each argument is one call; all of them run in one process
//   fsio -         one call a line from stdin; a line "." on stdout says that it is done
//
// FD and MAP are numbers 0…15 of this program, not descriptors. Numbers may end in k, m, g or t.
//
//   open FD FLAG,… PATH              rdonly wronly rdwr creat excl trunc append direct sync dsync
//                                    (mode 0644)
//   dup FD NEW | close FD
//   write FD OFF LEN CHAR [CHUNK]    pwrite(2), CHUNK bytes a call (default: all at once)
//   append FD LEN CHAR               write(2) at the file position
//   read FD OFF LEN|all              pread(2); prints "OFFSET+LENGTH CHAR" for each run of equal
//   bytes fill FD OFF LEN SEED [CHUNK]     writes bytes that are a function of their offset and
//   SEED verify FD OFF LEN SEED           reads and compares these; prints the first difference
//   truncate FD LEN | fsync FD | fdatasync FD
//   size FD                          prints st_size
//   blocks FD                        prints st_blocks, rounded down to 8 (4 KiB)
//   allocate FD MODE,… OFF LEN       fallocate(2): plain keep punch zero collapse insert
//   seek FD data|hole OFF            prints where
//   copy FD OFF TO OFF LEN           copy_file_range(2) until LEN are copied; prints how many
//   clone FD TO                      FICLONE
//   mmap MAP FD OFF LEN shared|private r|rw
//   store MAP OFF LEN CHAR | load MAP OFF LEN | msync MAP OFF LEN | munmap MAP
//   quit
//
// A call that fails prints "CALL: ERRNO"; the next one is made all the same. A store or load that
// the kernel refuses prints "CALL: SIGBUS". Exit status 1 if any call failed, 2 for a mistake.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pattern.h"

enum { kSlots = 16, kMaxWords = 8, kAlignment = 4096, kChunkBytes = 1 << 20 };

struct mapping {
  char* base;
  size_t size_bytes;
};

static int files[kSlots];
static struct mapping mappings[kSlots];
static sigjmp_buf bus_error;

static void die(const char* what, const char* detail) {
  fprintf(stderr, "fsio: %s: %s\n", what, detail);
  exit(2);
}

static int slot(const char* word) {
  char* end;
  const long number = strtol(word, &end, 10);
  if (end == word || *end != '\0' || number < 0 || number >= kSlots) die("not 0…15", word);
  return (int)number;
}

static int64_t number(const char* word) {
  char* end;
  int64_t value = strtoll(word, &end, 10);
  if (end == word) die("not a number", word);
  const char* const suffixes = "kmgt";
  const char* const suffix = *end == '\0' ? NULL : strchr(suffixes, *end);
  if (suffix != NULL) {
    value <<= 10 * (suffix - suffixes + 1);
    end++;
  }
  if (*end != '\0') die("not a number", word);
  return value;
}

static int fd_of(const char* word) {
  const int fd = files[slot(word)];
  if (fd < 0) die("not open", word);
  return fd;
}

static bool failed(const char* call) {
  printf("%s: %s\n", call, strerrorname_np(errno));
  return false;
}

// Aligned as O_DIRECT wants it.
static char* allocate(size_t size_bytes) {
  void* memory = NULL;
  if (posix_memalign(&memory, kAlignment, size_bytes + kAlignment) != 0) die("memory", "none left");
  return memory;
}

// --- runs of equal bytes
// ---------------------------------------------------------------------------

struct run {
  int64_t start;
  int64_t length;
  unsigned char byte;
};

static void print_run(const struct run* run) {
  if (run->length == 0) return;
  printf("%lld+%lld ", (long long)run->start, (long long)run->length);
  if (run->byte > ' ' && run->byte < 127) {
    printf("%c\n", run->byte);
  } else {
    printf("\\%d\n", run->byte);
  }
}

static void add_to_run(struct run* run, int64_t offset, const char* data, size_t size_bytes) {
  for (size_t i = 0; i < size_bytes; i++) {
    const unsigned char byte = (unsigned char)data[i];
    if (run->length > 0 && byte == run->byte) {
      run->length++;
      continue;
    }
    print_run(run);
    *run = (struct run){offset + (int64_t)i, 1, byte};
  }
}

// --- calls on open files
// ---------------------------------------------------------------------------

static int open_flags(char* words) {
  static const struct {
    const char* name;
    int flag;
  } flags[] = {{"rdonly", O_RDONLY}, {"wronly", O_WRONLY}, {"rdwr", O_RDWR},
               {"creat", O_CREAT},   {"excl", O_EXCL},     {"trunc", O_TRUNC},
               {"append", O_APPEND}, {"direct", O_DIRECT}, {"sync", O_SYNC},
               {"dsync", O_DSYNC}};
  int result = 0;
  for (char* word = strtok(words, ","); word != NULL; word = strtok(NULL, ",")) {
    size_t i = 0;
    while (i < sizeof(flags) / sizeof(flags[0]) && strcmp(flags[i].name, word) != 0) i++;
    if (i == sizeof(flags) / sizeof(flags[0])) die("unknown flag", word);
    result |= flags[i].flag;
  }
  return result;
}

static bool call_open(char** word) {
  const int index = slot(word[1]);
  if (files[index] >= 0) die("already open", word[1]);
  files[index] = open(word[3], open_flags(word[2]) | O_CLOEXEC, 0644);
  return files[index] >= 0 || failed("open");
}

static bool call_dup(char** word) {
  const int index = slot(word[2]);
  if (files[index] >= 0) die("already open", word[2]);
  files[index] = dup(fd_of(word[1]));
  return files[index] >= 0 || failed("dup");
}

static bool call_close(char** word) {
  const int fd = fd_of(word[1]);
  files[slot(word[1])] = -1;
  return close(fd) == 0 || failed("close");
}

// Writes in chunks: of bytes CHAR, or of the pattern of a seed if `seed` is given.
static bool write_chunks(char** word, const char* seed) {
  const int fd = fd_of(word[1]);
  const int64_t offset = number(word[2]), length = number(word[3]);
  const int64_t chunk = word[5] != NULL ? number(word[5]) : seed != NULL ? kChunkBytes : length;
  char* const data = allocate((size_t)chunk);
  bool good = true;
  for (int64_t done = 0; good && done < length;) {
    const size_t size = (size_t)(length - done < chunk ? length - done : chunk);
    if (seed != NULL) {
      pattern_fill(data, size, offset + done, (uint64_t)number(seed));
    } else {
      memset(data, word[4][0], size);
    }
    const ssize_t written = pwrite(fd, data, size, offset + done);
    if (written <= 0) good = failed(word[0]);
    done += written;
  }
  free(data);
  return good;
}

static bool call_write(char** word) {
  return write_chunks(word, NULL);
}

static bool call_fill(char** word) {
  return write_chunks(word, word[4]);
}

static bool call_append(char** word) {
  const size_t length = (size_t)number(word[2]);
  char* const data = allocate(length);
  memset(data, word[3][0], length);
  const ssize_t written = write(fd_of(word[1]), data, length);
  free(data);
  return written == (ssize_t)length || failed("append");
}

static bool call_read(char** word) {
  const int fd = fd_of(word[1]);
  const int64_t offset = number(word[2]);
  const int64_t length = strcmp(word[3], "all") == 0 ? INT64_MAX : number(word[3]);
  const int64_t chunk = length < kChunkBytes ? length : kChunkBytes;
  char* const data = allocate((size_t)chunk);
  struct run run = {0, 0, 0};
  ssize_t got = 0;
  int64_t done = 0;
  for (; done < length; done += got) {
    const size_t size = (size_t)(length - done < chunk ? length - done : chunk);
    got = pread(fd, data, size, offset + done);
    if (got <= 0) break;
    add_to_run(&run, offset + done, data, (size_t)got);
  }
  print_run(&run);
  free(data);
  if (got < 0) return failed("read");
  if (length != INT64_MAX && done < length) printf("end of file after %lld\n", (long long)done);
  return true;
}

static bool call_verify(char** word) {
  const int fd = fd_of(word[1]);
  const int64_t offset = number(word[2]), length = number(word[3]);
  char* const data = allocate(kChunkBytes);
  bool good = true;
  for (int64_t done = 0; good && done < length;) {
    const size_t size = (size_t)(length - done < kChunkBytes ? length - done : kChunkBytes);
    const ssize_t got = pread(fd, data, size, offset + done);
    if (got < 0) good = failed("verify");
    if (got == 0) good = false, printf("verify: end of file at %lld\n", (long long)(offset + done));
    const ssize_t wrong =
        got > 0 ? pattern_mismatch(data, (size_t)got, offset + done, (uint64_t)number(word[4]))
                : -1;
    if (wrong >= 0) {
      good = false;
      printf("verify: wrong byte at %lld\n", (long long)(offset + done + wrong));
    }
    done += got;
  }
  free(data);
  if (good) printf("verified\n");
  return good;
}

static bool call_truncate(char** word) {
  return ftruncate(fd_of(word[1]), number(word[2])) == 0 || failed("truncate");
}

static bool call_fsync(char** word) {
  return fsync(fd_of(word[1])) == 0 || failed("fsync");
}

static bool call_fdatasync(char** word) {
  return fdatasync(fd_of(word[1])) == 0 || failed("fdatasync");
}

static bool call_size(char** word) {
  struct stat attributes;
  if (fstat(fd_of(word[1]), &attributes) != 0) return failed("size");
  printf("size %lld\n", (long long)attributes.st_size);
  return true;
}

static bool call_blocks(char** word) {
  struct stat attributes;
  if (fstat(fd_of(word[1]), &attributes) != 0) return failed("blocks");
  printf("blocks %lld\n", (long long)attributes.st_blocks / 8 * 8);
  return true;
}

static bool call_allocate(char** word) {
  static const struct {
    const char* name;
    int mode;
  } modes[] = {{"plain", 0},
               {"keep", FALLOC_FL_KEEP_SIZE},
               {"punch", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE},
               {"zero", FALLOC_FL_ZERO_RANGE},
               {"collapse", FALLOC_FL_COLLAPSE_RANGE},
               {"insert", FALLOC_FL_INSERT_RANGE}};
  int mode = 0;
  for (char* name = strtok(word[2], ","); name != NULL; name = strtok(NULL, ",")) {
    size_t i = 0;
    while (i < sizeof(modes) / sizeof(modes[0]) && strcmp(modes[i].name, name) != 0) i++;
    if (i == sizeof(modes) / sizeof(modes[0])) die("unknown mode", name);
    mode |= modes[i].mode;
  }
  return fallocate(fd_of(word[1]), mode, number(word[3]), number(word[4])) == 0 ||
         failed("allocate");
}

static bool call_seek(char** word) {
  const int how = strcmp(word[2], "data") == 0 ? SEEK_DATA : SEEK_HOLE;
  const off_t found = lseek(fd_of(word[1]), number(word[3]), how);
  if (found < 0) return failed("seek");
  printf("%s at %lld\n", word[2], (long long)found);
  return true;
}

static bool call_copy(char** word) {
  off64_t from = number(word[2]), to = number(word[4]);
  int64_t left = number(word[5]), copied = 0;
  while (left > 0) {
    const ssize_t got =
        copy_file_range(fd_of(word[1]), &from, fd_of(word[3]), &to, (size_t)left, 0);
    if (got < 0) return failed("copy");
    if (got == 0) break;
    copied += got;
    left -= got;
  }
  printf("copied %lld\n", (long long)copied);
  return true;
}

static bool call_clone(char** word) {
  return ioctl(fd_of(word[2]), FICLONE, fd_of(word[1])) == 0 || failed("clone");
}

// --- calls on mappings
// -----------------------------------------------------------------------------

static void on_bus_error(int signal_number) {
  (void)signal_number;
  siglongjmp(bus_error, 1);
}

static bool call_mmap(char** word) {
  struct mapping* const mapping = &mappings[slot(word[1])];
  if (mapping->base != NULL) die("already mapped", word[1]);
  const bool shared = strcmp(word[5], "shared") == 0;
  const bool writable = strcmp(word[6], "rw") == 0;
  const size_t length = (size_t)number(word[4]);
  void* const base = mmap(NULL, length, writable ? PROT_READ | PROT_WRITE : PROT_READ,
                          shared ? MAP_SHARED : MAP_PRIVATE, fd_of(word[2]), number(word[3]));
  if (base == MAP_FAILED) return failed("mmap");
  *mapping = (struct mapping){base, length};
  return true;
}

// The `length` bytes at `offset` of a mapping, which must be inside it.
static char* part_of(char** word) {
  const struct mapping* const mapping = &mappings[slot(word[1])];
  const int64_t offset = number(word[2]), length = number(word[3]);
  if (mapping->base == NULL) die("not mapped", word[1]);
  if (offset < 0 || length < 0 || (uint64_t)(offset + length) > mapping->size_bytes) {
    die("outside the mapping", word[2]);
  }
  return mapping->base + offset;
}

static bool call_store(char** word) {
  char* const part = part_of(word);
  if (sigsetjmp(bus_error, 1) != 0) {
    printf("store: SIGBUS\n");
    return false;
  }
  memset(part, word[4][0], (size_t)number(word[3]));
  return true;
}

static bool call_load(char** word) {
  const char* const part = part_of(word);
  if (sigsetjmp(bus_error, 1) != 0) {
    printf("load: SIGBUS\n");
    return false;
  }
  struct run run = {0, 0, 0};
  add_to_run(&run, number(word[2]), part, (size_t)number(word[3]));
  print_run(&run);
  return true;
}

static bool call_msync(char** word) {
  return msync(part_of(word), (size_t)number(word[3]), MS_SYNC) == 0 || failed("msync");
}

static bool call_munmap(char** word) {
  struct mapping* const mapping = &mappings[slot(word[1])];
  if (mapping->base == NULL) die("not mapped", word[1]);
  const int status = munmap(mapping->base, mapping->size_bytes);
  *mapping = (struct mapping){NULL, 0};
  return status == 0 || failed("munmap");
}

static bool call_quit(char** word) {
  (void)word;
  exit(0);
}

// --- the words of a call
// ---------------------------------------------------------------------------

static const struct call {
  const char* name;
  int min_words;  // with the name
  int max_words;
  bool (*run)(char** word);
} calls[] = {
    {"open", 4, 4, call_open},           {"dup", 3, 3, call_dup},
    {"close", 2, 2, call_close},         {"write", 5, 6, call_write},
    {"append", 4, 4, call_append},       {"read", 4, 4, call_read},
    {"fill", 5, 6, call_fill},           {"verify", 5, 5, call_verify},
    {"truncate", 3, 3, call_truncate},   {"fsync", 2, 2, call_fsync},
    {"fdatasync", 2, 2, call_fdatasync}, {"size", 2, 2, call_size},
    {"mmap", 7, 7, call_mmap},           {"store", 5, 5, call_store},
    {"load", 4, 4, call_load},           {"msync", 4, 4, call_msync},
    {"munmap", 2, 2, call_munmap},       {"quit", 1, 1, call_quit},
    {"blocks", 2, 2, call_blocks},       {"allocate", 5, 5, call_allocate},
    {"seek", 4, 4, call_seek},           {"copy", 6, 6, call_copy},
    {"clone", 3, 3, call_clone},
};

// Splits at spaces; the last word of `open`, a path, may have some itself.
static int split(char* line, char** word) {
  int count = 0;
  while (count < kMaxWords - 1) {
    line += strspn(line, " ");
    if (*line == '\0') break;
    word[count++] = line;
    if (count == 4 && strcmp(word[0], "open") == 0) break;
    line += strcspn(line, " ");
    if (*line != '\0') *line++ = '\0';
  }
  word[count] = NULL;
  return count;
}

static bool run_call(char* line) {
  char* word[kMaxWords] = {NULL};
  const int count = split(line, word);
  for (size_t i = 0; count > 0 && i < sizeof(calls) / sizeof(calls[0]); i++) {
    if (strcmp(calls[i].name, word[0]) != 0) continue;
    if (count < calls[i].min_words || count > calls[i].max_words) die("wrong words", word[0]);
    return calls[i].run(word);
  }
  die("unknown call", count > 0 ? word[0] : "");
  return false;
}

static int serve_stdin(void) {
  char line[8192];
  bool good = true;
  while (fgets(line, sizeof(line), stdin) != NULL) {
    line[strcspn(line, "\n")] = '\0';
    good = run_call(line) && good;
    printf(".\n");
    fflush(stdout);
  }
  return good ? 0 : 1;
}

int main(int argc, char** argv) {
  for (int i = 0; i < kSlots; i++) files[i] = -1;
  signal(SIGBUS, on_bus_error);
  signal(SIGPIPE, SIG_IGN);
  if (argc == 2 && strcmp(argv[1], "-") == 0) return serve_stdin();
  bool good = true;
  for (int i = 1; i < argc; i++) good = run_call(argv[i]) && good;
  return good ? 0 : 1;
}
