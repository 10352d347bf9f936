// mapped_truncate FILE SERVER PAGES WRITERS ROUNDS [COMMAND…]
//
// WRITERS processes store to their pages of FILE through shared mappings, whether the file has them
// at the moment or not (then the store ends in SIGBUS), while this one truncates FILE to a random
// number of pages and back to PAGES, ROUNDS times. Another process runs COMMAND over and over, if
// one is given.
//
// All words of a page are the sequence number of a store to it. What must hold:
//   - From the return of ftruncate(2) on, SERVER, the file on the server's disk, has the new size,
//     and after fsync(2) too: no page that was stored to before extends it again.
//   - When the file is as long again, a page that was cut off is 0 or what was stored to it since.
//   - A store that ended well and was not cut off is there, and, after fsync(2), on the server.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pattern.h"
#include "process.h"

enum { kPageBytes = 4096, kPageWords = kPageBytes / 8 };

typedef _Atomic uint64_t word_t;

struct run {
  const char *file, *server;
  uint32_t pages, writers, rounds;
  char** command;
  // In memory shared with the children.
  word_t* issued;        // of each page: the store that may be seen by now
  word_t* acknowledged;  // of each page: the last store that ended well
  word_t* cut;           // of each page: stores up to this one were cut off, if they were at all
  word_t* epoch;         // grows with every truncation
  word_t* seen_epoch;    // of each writer: its stores of older epochs are over
  atomic_bool* stop;
};

static sigjmp_buf bus_error;

// --- who stores
// --------------------------------------------------------------------------------------

static void on_bus_error(int signal_number) {
  (void)signal_number;
  siglongjmp(bus_error, 1);
}

static bool store(word_t* page, uint64_t sequence) {
  if (sigsetjmp(bus_error, 1) != 0) return false;
  for (uint32_t i = 0; i < kPageWords; i++) atomic_store(&page[i], sequence);
  return true;
}

static int writer(const struct run* run, uint32_t number) {
  const int fd = open_file(run->file, O_RDWR);
  const size_t file_bytes = (size_t)run->pages * kPageBytes;
  word_t* const mapping = mmap(NULL, file_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (mapping == MAP_FAILED) die("mmap");
  signal(SIGBUS, on_bus_error);
  for (uint64_t count = 0; !atomic_load(run->stop); count++) {
    atomic_store(&run->seen_epoch[number], atomic_load(run->epoch));
    const uint64_t random = pattern_mix((uint64_t)number << 32 | count);
    const uint32_t page = (uint32_t)(random % (run->pages / run->writers)) * run->writers + number;
    const uint64_t sequence = atomic_load(&run->issued[page]) + 1;
    atomic_store(&run->issued[page], sequence);
    if (store(&mapping[page * kPageWords], sequence)) {
      atomic_store(&run->acknowledged[page], sequence);
    } else {
      sched_yield();
    }
  }
  if (munmap((void*)mapping, file_bytes) != 0) die("munmap");
  if (close(fd) != 0) die("close");
  return 0;
}

static int commander(const struct run* run) {
  while (!atomic_load(run->stop)) {
    const pid_t pid = fork();
    if (pid < 0) die("fork");
    if (pid == 0) {
      dup2(STDERR_FILENO, STDOUT_FILENO);
      execv(run->command[0], run->command);
      _exit(127);
    }
    int status;
    if (waitpid(pid, &status, 0) != pid) die("wait");
  }
  return 0;
}

// --- who truncates
// -----------------------------------------------------------------------------------

static bool server_size_is(const struct run* run, uint32_t pages, const char* after) {
  struct stat attributes;
  if (stat(run->server, &attributes) != 0) die("stat");
  if (attributes.st_size == (off_t)pages * kPageBytes) return true;
  printf("after %s: the server has %lld bytes, not %lld\n", after, (long long)attributes.st_size,
         (long long)pages * kPageBytes);
  return false;
}

// From here on no store is under way that began before.
static void wait_for_writers(const struct run* run) {
  const uint64_t epoch = atomic_fetch_add(run->epoch, 1) + 1;
  for (uint32_t i = 0; i < run->writers; i++) {
    while (atomic_load(&run->seen_epoch[i]) < epoch) sched_yield();
  }
}

// `oldest` of each page is the last store that had ended well before the bytes were asked for.
static bool check(const struct run* run, const char* path, const uint64_t* oldest,
                  const char* when) {
  const int fd = open_file(path, O_RDONLY);
  bool good = true;
  for (uint32_t page = 0; good && page < run->pages; page++) {
    uint64_t data[kPageWords];
    if (pread(fd, data, kPageBytes, (off_t)page * kPageBytes) != kPageBytes) die("read");
    const uint64_t newest = atomic_load(&run->issued[page]), cut = atomic_load(&run->cut[page]);
    for (uint32_t i = 0; good && i < kPageWords; i++) {
      const bool was_cut = oldest[page] <= cut;
      good = may_be_read(data[i], was_cut ? cut + 1 : oldest[page], newest, was_cut);
      if (good) continue;
      printf("%s: page %u word %u is store %ju, not %ju to %ju; up to %ju it was cut\n", when, page,
             i, (uintmax_t)data[i], (uintmax_t)oldest[page], (uintmax_t)newest, (uintmax_t)cut);
    }
  }
  close(fd);
  return good;
}

static void remember_acknowledged(const struct run* run, uint64_t* oldest) {
  for (uint32_t page = 0; page < run->pages; page++)
    oldest[page] = atomic_load(&run->acknowledged[page]);
}

static bool truncate_once(const struct run* run, int fd, uint32_t kept) {
  if (ftruncate(fd, (off_t)kept * kPageBytes) != 0) die("ftruncate");
  if (!server_size_is(run, kept, "ftruncate")) return false;
  wait_for_writers(run);
  for (uint32_t page = kept; page < run->pages; page++) {
    atomic_store(&run->cut[page], atomic_load(&run->issued[page]));
  }
  if (fsync(fd) != 0) die("fsync");
  if (!server_size_is(run, kept, "fsync")) return false;
  if (ftruncate(fd, (off_t)run->pages * kPageBytes) != 0) die("ftruncate");
  if (!server_size_is(run, run->pages, "ftruncate back")) return false;

  uint64_t oldest[run->pages];
  remember_acknowledged(run, oldest);
  if (!check(run, run->file, oldest, "read")) return false;
  remember_acknowledged(run, oldest);
  if (fsync(fd) != 0) die("fsync");
  return check(run, run->server, oldest, "on the server");
}

static bool truncate_rounds(const struct run* run) {
  const int fd = open_file(run->file, O_RDWR);
  bool good = true;
  for (uint32_t round = 0; good && round < run->rounds; round++) {
    good = truncate_once(run, fd, (uint32_t)(pattern_mix(round) % run->pages));
  }
  if (close(fd) != 0) die("close");
  return good;
}

// --- all of them
// -------------------------------------------------------------------------------------

static pid_t start(const struct run* run, uint32_t number) {
  fflush(stdout);
  const pid_t pid = fork();
  if (pid < 0) die("fork");
  if (pid > 0) return pid;
  const int status = number == run->writers ? commander(run) : writer(run, number);
  fflush(stdout);
  _exit(status);
}

static bool succeeded(pid_t pid) {
  int status;
  return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(int argc, char** argv) {
  if (argc < 6) {
    fprintf(stderr, "usage: mapped_truncate FILE SERVER PAGES WRITERS ROUNDS [COMMAND...]\n");
    return 2;
  }
  struct run run = {.file = argv[1],
                    .server = argv[2],
                    .pages = (uint32_t)atoi(argv[3]),
                    .writers = (uint32_t)atoi(argv[4]),
                    .rounds = (uint32_t)atoi(argv[5]),
                    .command = argv + 6};
  run.issued = shared_memory(run.pages * sizeof(word_t));
  run.acknowledged = shared_memory(run.pages * sizeof(word_t));
  run.cut = shared_memory(run.pages * sizeof(word_t));
  run.seen_epoch = shared_memory(run.writers * sizeof(word_t));
  run.epoch = shared_memory(sizeof(word_t));
  run.stop = shared_memory(sizeof(atomic_bool));
  const int fd = open_file(run.file, O_RDWR | O_CREAT | O_TRUNC);
  if (ftruncate(fd, (off_t)run.pages * kPageBytes) != 0 || close(fd) != 0) die("ftruncate");

  const uint32_t count = run.writers + (run.command[0] != NULL ? 1 : 0);
  pid_t children[count];
  for (uint32_t i = 0; i < count; i++) children[i] = start(&run, i);
  const bool kept = truncate_rounds(&run);
  atomic_store(run.stop, true);
  bool good = true;
  for (uint32_t i = 0; i < count; i++) good = succeeded(children[i]) && good;
  uint64_t oldest[run.pages];
  remember_acknowledged(&run, oldest);
  good = good && kept && check(&run, run.server, oldest, "on the server, after close");
  printf("%s\n", good ? "all there, and nothing else" : "failed");
  return good ? 0 : 1;
}
