// faults FILE SERVER PAGES THREADS ROUNDS [COMMAND…]
//
// THREADS read FILE through one shared mapping without a pause, while in each of ROUNDS a new
// version is written to SERVER, the same file on the server's disk, and the cached pages of FILE
// are made to go: by COMMAND, or, if none is given, by an open(2) of FILE, which has to notice the
// change. So loads fault while the pages that they want are being dropped, fetched, dropped again.
//
// All words of a version are its number. A load that begins after COMMAND, or the open, has
// returned must not see an older version, and no thread sees a page go back.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pattern.h"

enum { kPageBytes = 4096, kPageWords = kPageBytes / 8, kMaxThreads = 64, kLoadsBeforeYield = 256 };

static const char* file;
static const char* server;
static uint32_t pages;
static const _Atomic uint64_t* mapping;

static _Atomic uint64_t issued;     // the version that may be on the server by now
static _Atomic uint64_t published;  // the version that every load must have reached
static atomic_bool stop;
static atomic_bool good = true;

static void die(const char* what) {
  printf("faults: %s: %s\n", what, strerrorname_np(errno));
  fflush(stdout);
  _exit(1);
}

static int open_file(const char* path, int flags) {
  const int fd = open(path, flags | O_CLOEXEC, 0644);
  if (fd < 0) die("open");
  return fd;
}

// The time differs from version to version, though the server's clock may not have ticked.
static void write_version(uint64_t version) {
  const int fd = open_file(server, O_WRONLY | O_CREAT);
  uint64_t data[kPageWords];
  for (uint32_t i = 0; i < kPageWords; i++) data[i] = version;
  for (uint32_t page = 0; page < pages; page++) {
    if (pwrite(fd, data, kPageBytes, (off_t)page * kPageBytes) != kPageBytes) die("write");
  }
  const struct timespec times[2] = {{0, UTIME_OMIT}, {1500000000 + (time_t)version, 0}};
  if (futimens(fd, times) != 0) die("utimens");
  if (close(fd) != 0) die("close");
}

// Always the same word of a page, since the server may read a page that is half written.
static void* reader(void* argument) {
  const uint64_t number = (uint64_t)(uintptr_t)argument;
  uint64_t* const seen = calloc(pages, sizeof(uint64_t));
  if (seen == NULL) die("memory");
  for (uint64_t count = 0; atomic_load(&good) && !atomic_load(&stop); count++) {
    if (count % kLoadsBeforeYield == 0) sched_yield();  // the daemons want the cores too
    const uint32_t page = (uint32_t)(pattern_mix(number << 32 | count) % pages);
    const uint32_t word = (uint32_t)(pattern_mix(number + page) % kPageWords);
    const uint64_t oldest = atomic_load(&published);
    const uint64_t version = atomic_load(&mapping[page * kPageWords + word]);
    const uint64_t newest = atomic_load(&issued);
    if (version >= oldest && version <= newest && version >= seen[page]) {
      seen[page] = version;
      continue;
    }
    if (atomic_exchange(&good, false)) {
      printf("page %u word %u: version %ju, not %ju to %ju; before it was %ju\n", page, word,
             (uintmax_t)version, (uintmax_t)oldest, (uintmax_t)newest, (uintmax_t)seen[page]);
    }
  }
  free(seen);
  return NULL;
}

static void run_command(char** command) {
  const pid_t pid = vfork();
  if (pid < 0) die("fork");
  if (pid == 0) {
    dup2(STDERR_FILENO, STDOUT_FILENO);
    execv(command[0], command);
    _exit(127);
  }
  int status;
  if (waitpid(pid, &status, 0) != pid) die("wait");
  if (status != 0) printf("the command's status is %d\n", status);
}

static void drop_pages(char** command) {
  if (command[0] != NULL) {
    run_command(command);
  } else if (close(open_file(file, O_RDONLY)) != 0) {
    die("close");
  }
}

int main(int argc, char** argv) {
  if (argc < 6 || atoi(argv[4]) > kMaxThreads) {
    fprintf(stderr, "usage: faults FILE SERVER PAGES THREADS ROUNDS [COMMAND...]\n");
    return 2;
  }
  file = argv[1], server = argv[2], pages = (uint32_t)atoi(argv[3]);
  const int threads = atoi(argv[4]);
  const uint64_t rounds = (uint64_t)atoi(argv[5]);
  write_version(0);
  const int fd = open_file(file, O_RDONLY);
  mapping = mmap(NULL, (size_t)pages * kPageBytes, PROT_READ, MAP_SHARED, fd, 0);
  if (mapping == MAP_FAILED) die("mmap");

  pthread_t started[kMaxThreads];
  for (int i = 0; i < threads; i++) {
    if (pthread_create(&started[i], NULL, reader, (void*)(uintptr_t)(i + 1)) != 0) die("thread");
  }
  for (uint64_t version = 1; version <= rounds && atomic_load(&good); version++) {
    atomic_store(&issued, version);
    write_version(version);
    drop_pages(argv + 6);
    atomic_store(&published, version);
  }
  atomic_store(&stop, true);
  for (int i = 0; i < threads; i++) pthread_join(started[i], NULL);
  printf("readers %s\n", atomic_load(&good) ? "satisfied" : "failed");
  return atomic_load(&good) ? 0 : 1;
}
