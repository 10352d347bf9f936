// mapped_pages FILE SERVER REMOTE PAGES WRITERS ROUNDS EXPECTED [COMMAND…]
//
// WRITERS processes store to their pages of FILE through shared mappings, another process writes
// its pages of REMOTE, the same file as somebody else has it, and in between this one makes cached
// pages of FILE go: by COMMAND, or, if none is given, by an open(2) of FILE, which has to notice
// the change. The owners' pages alternate, so that the neighbours of each page are others'.
//
// All words of a page carry its number and the sequence number of its last store. For each page its
// owner publishes the number that is about to be stored (issued) and the last that was
// (acknowledged). What must hold:
//   - After COMMAND, or the open, a mapping that is older than these shows no word of the remote
//     that is older than what was acknowledged before, and no word of a writer that is older than
//     the load.
//   - After msync(2), fsync(2) or close(2), SERVER, the file on the server's disk, has exactly what
//     the writer has stored.
// EXPECTED gets what the file must hold at the end. Each of ROUNDS is one COMMAND, or open.
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pattern.h"
#include "process.h"

enum { kPageBytes = 4096, kPageWords = kPageBytes / 8, kStoresBeforeSync = 40 };

typedef _Atomic uint64_t word_t;

struct run {
  const char *file, *server, *remote;
  uint32_t pages, writers, rounds;
  char** command;
  // In memory shared with the children.
  _Atomic uint32_t* issued;
  _Atomic uint32_t* acknowledged;
  atomic_bool* stop;
};

static word_t* map_file(const struct run* run, int fd, int protection) {
  void* const base = mmap(NULL, (size_t)run->pages * kPageBytes, protection, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED) die("mmap");
  return base;
}

static void write_page(int fd, uint32_t page, uint32_t sequence) {
  uint64_t data[kPageWords];
  for (uint32_t i = 0; i < kPageWords; i++) data[i] = word_of(page, sequence);
  if (pwrite(fd, data, kPageBytes, (off_t)page * kPageBytes) != kPageBytes) die("write");
}

static void write_all(const struct run* run, const char* path) {
  const int fd = open_file(path, O_RDWR | O_CREAT | O_TRUNC);
  for (uint32_t page = 0; page < run->pages; page++) {
    write_page(fd, page, atomic_load(&run->issued[page]));
  }
  if (close(fd) != 0) die("close");
}

// Owner 0 is the remote, the writers are 1…
static uint32_t owned_page(const struct run* run, uint32_t owner, uint64_t random) {
  const uint32_t owners = run->writers + 1;
  return (uint32_t)(random % (run->pages / owners)) * owners + owner;
}

// --- who stores
// --------------------------------------------------------------------------------------

static bool server_has_all(const struct run* run, uint32_t owner, const char* after) {
  const int fd = open_file(run->server, O_RDONLY);
  bool good = true;
  for (uint32_t page = owner; good && page < run->pages; page += run->writers + 1) {
    uint64_t data[kPageWords];
    const uint32_t stored = atomic_load(&run->acknowledged[page]);
    if (pread(fd, data, kPageBytes, (off_t)page * kPageBytes) != kPageBytes) die("read");
    for (uint32_t i = 0; good && i < kPageWords; i++) {
      good = data[i] == word_of(page, stored);
      if (good) continue;
      printf("after %s: page %u word %u is page %u store %u on the server, not store %u\n", after,
             page, i, (uint32_t)(data[i] >> 32), (uint32_t)data[i], stored);
    }
  }
  close(fd);
  return good;
}

// Makes the server have everything, in one of three ways; close is that of another descriptor.
static const char* synchronize(const struct run* run, int fd, word_t* mapping, uint32_t way) {
  if (way % 3 == 0) {
    if (msync((void*)mapping, (size_t)run->pages * kPageBytes, MS_SYNC) != 0) die("msync");
    return "msync";
  }
  if (way % 3 == 1) {
    if (fsync(fd) != 0) die("fsync");
    return "fsync";
  }
  if (close(open_file(run->file, O_RDWR)) != 0) die("close");
  return "close";
}

static int writer(const struct run* run, uint32_t owner) {
  const int fd = open_file(run->file, O_RDWR);
  word_t* const mapping = map_file(run, fd, PROT_READ | PROT_WRITE);
  bool good = true;
  for (uint32_t store = 1; good && !atomic_load(run->stop); store++) {
    const uint32_t page = owned_page(run, owner, pattern_mix((uint64_t)owner << 32 | store));
    const uint32_t sequence = atomic_load(&run->issued[page]) + 1;
    atomic_store(&run->issued[page], sequence);
    for (uint32_t i = 0; i < kPageWords; i++) {
      atomic_store(&mapping[page * kPageWords + i], word_of(page, sequence));
    }
    atomic_store(&run->acknowledged[page], sequence);
    if (store % kStoresBeforeSync != 0) continue;
    good = server_has_all(run, owner, synchronize(run, fd, mapping, store / kStoresBeforeSync));
  }
  if (munmap((void*)mapping, (size_t)run->pages * kPageBytes) != 0) die("munmap");
  if (close(fd) != 0) die("close");
  return good && server_has_all(run, owner, "munmap and close") ? 0 : 1;
}

// A page, and a modification time that the file has not had: one write may follow another within
// the same tick of the server's clock.
static void write_remote(const struct run* run, uint32_t page, uint32_t sequence, uint32_t count) {
  const int fd = open_file(run->remote, O_RDWR);
  write_page(fd, page, sequence);
  if (strcmp(run->remote, run->server) == 0) {
    const struct timespec times[2] = {{0, UTIME_OMIT}, {1500000000 + count, 0}};
    if (futimens(fd, times) != 0) die("utimens");
  }
  if (close(fd) != 0) die("close");
}

static int remote(const struct run* run) {
  for (uint32_t count = 1; !atomic_load(run->stop); count++) {
    const uint32_t page = owned_page(run, 0, pattern_mix(count));
    const uint32_t sequence = atomic_load(&run->issued[page]) + 1;
    atomic_store(&run->issued[page], sequence);
    write_remote(run, page, sequence, count);
    atomic_store(&run->acknowledged[page], sequence);
    nanosleep(&(struct timespec){0, 1000000}, NULL);
  }
  return 0;
}

// --- who looks
// ---------------------------------------------------------------------------------------

static bool succeeded(pid_t pid) {
  int status;
  return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// Its exit status is not ours to judge: that bytes had to be kept is no failure here.
static void run_command(const struct run* run) {
  fflush(stdout);
  const pid_t pid = fork();
  if (pid < 0) die("fork");
  if (pid > 0) {
    int status;
    if (waitpid(pid, &status, 0) != pid) die("wait");
    return;
  }
  dup2(STDERR_FILENO, STDOUT_FILENO);
  execv(run->command[0], run->command);
  _exit(127);
}

static bool check_page(const struct run* run, const word_t* mapping, uint32_t page,
                       uint32_t oldest) {
  for (uint32_t i = 0; i < kPageWords; i++) {
    if (page % (run->writers + 1) != 0) oldest = atomic_load(&run->acknowledged[page]);
    const uint64_t word = atomic_load(&mapping[page * kPageWords + i]);
    const uint32_t newest = atomic_load(&run->issued[page]);
    if (word >= word_of(page, oldest) && word <= word_of(page, newest)) continue;
    printf("page %u word %u: page %u store %u, not store %u to %u\n", page, i,
           (uint32_t)(word >> 32), (uint32_t)word, oldest, newest);
    return false;
  }
  return true;
}

static bool look(const struct run* run) {
  const int fd = open_file(run->file, O_RDONLY);
  word_t* const mapping = map_file(run, fd, PROT_READ);
  uint32_t oldest[run->pages];
  bool good = true;
  for (uint32_t round = 0; good && round < run->rounds; round++) {
    for (uint32_t page = 0; page < run->pages; page++)
      oldest[page] = atomic_load(&run->acknowledged[page]);
    const int again = run->command[0] == NULL ? open_file(run->file, O_RDONLY) : -1;
    if (again < 0) run_command(run);
    for (uint32_t page = 0; good && page < run->pages; page++) {
      good = check_page(run, mapping, page, oldest[page]);
    }
    if (again >= 0 && close(again) != 0) die("close");
  }
  return good;
}

// --- all of them
// -------------------------------------------------------------------------------------

static pid_t start(const struct run* run, uint32_t owner) {
  fflush(stdout);
  const pid_t pid = fork();
  if (pid < 0) die("fork");
  if (pid > 0) return pid;
  const int status = owner == 0 ? remote(run) : writer(run, owner);
  fflush(stdout);
  _exit(status);
}

int main(int argc, char** argv) {
  if (argc < 8) {
    fprintf(stderr,
            "usage: mapped_pages FILE SERVER REMOTE PAGES WRITERS ROUNDS EXPECTED [COMMAND...]\n");
    return 2;
  }
  struct run run = {.file = argv[1],
                    .server = argv[2],
                    .remote = argv[3],
                    .pages = (uint32_t)atoi(argv[4]),
                    .writers = (uint32_t)atoi(argv[5]),
                    .rounds = (uint32_t)atoi(argv[6]),
                    .command = argv + 8};
  run.issued = shared_memory(run.pages * sizeof(uint32_t));
  run.acknowledged = shared_memory(run.pages * sizeof(uint32_t));
  run.stop = shared_memory(sizeof(atomic_bool));
  write_all(&run, run.file);

  pid_t children[run.writers + 1];
  for (uint32_t owner = 0; owner <= run.writers; owner++) children[owner] = start(&run, owner);
  const bool seen = look(&run);
  atomic_store(run.stop, true);
  bool good = true;
  for (uint32_t owner = 0; owner <= run.writers; owner++) good = succeeded(children[owner]) && good;
  printf("writers %s\n", good ? "finished" : "failed");
  printf("reader %s\n", seen ? "satisfied" : "failed");
  write_all(&run, argv[7]);
  return good && seen ? 0 : 1;
}
