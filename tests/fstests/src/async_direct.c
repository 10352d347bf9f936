// async_direct FILE ROUNDS
//
// Writes 64 KiB of FILE by asynchronous I/O with O_DIRECT, waits for it, and reads them through the
// page cache, while another process reads them all the time. Says in how many rounds what was read
// is not what was written.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h"

enum { kBytes = 64 << 10 };

static void write_and_wait(aio_context_t context, int fd, const char* bytes) {
  struct iocb call = {0};
  struct iocb* calls[] = {&call};
  struct io_event event;
  call.aio_lio_opcode = IOCB_CMD_PWRITE;
  call.aio_fildes = (uint32_t)fd;
  call.aio_buf = (uint64_t)(uintptr_t)bytes;
  call.aio_nbytes = kBytes;
  if (syscall(SYS_io_submit, context, 1, calls) != 1) die("io_submit");
  if (syscall(SYS_io_getevents, context, 1, 1, &event, NULL) != 1) die("io_getevents");
  if (event.res != kBytes) die("the write");
}

static void read_all_the_time(const char* path, char* to) {
  const int fd = open_file(path, O_RDONLY);
  for (;;) {
    if (pread(fd, to, kBytes, 0) < 0) die("pread");
  }
}

int main(int argc, char** argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: async_direct FILE ROUNDS\n");
    return 2;
  }
  char* const written = aligned_alloc(4096, kBytes);
  char* const seen = malloc(kBytes);
  if (!written || !seen) die("malloc");
  const int direct = open_file(argv[1], O_RDWR | O_CREAT | O_DIRECT);
  const int buffered = open_file(argv[1], O_RDONLY);
  if (ftruncate(direct, kBytes) != 0) die("ftruncate");
  aio_context_t context = 0;
  if (syscall(SYS_io_setup, 1, &context) != 0) die("io_setup");
  const pid_t reader = fork();
  if (reader < 0) die("fork");
  if (reader == 0) read_all_the_time(argv[1], seen);
  int stale = 0;
  for (int round = 1; round <= atoi(argv[2]); ++round) {
    memset(written, round % 251 + 1, kBytes);
    write_and_wait(context, direct, written);
    if (pread(buffered, seen, kBytes, 0) != kBytes) die("pread");
    if (memcmp(seen, written, kBytes) != 0) ++stale;
  }
  kill(reader, SIGKILL);
  waitpid(reader, NULL, 0);
  printf("%d of %s rounds read what was there before\n", stale, argv[2]);
  return 0;
}
