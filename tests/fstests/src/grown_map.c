// grown_map FILE BYTES
//
// Makes FILE longer by fallocate(2), byte by byte, and stores each of them through a mapping as
// soon as it is there, while another process opens and closes FILE. Says which of them are not
// there at the end.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h"

static void open_and_close(const char* path) {
  for (;;) close(open_file(path, O_RDWR));
}

int main(int argc, char** argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: grown_map FILE BYTES\n");
    return 2;
  }
  const long bytes = atol(argv[2]);
  const int fd = open_file(argv[1], O_RDWR | O_CREAT | O_TRUNC);
  const pid_t opener = fork();
  if (opener < 0) die("fork");
  if (opener == 0) open_and_close(argv[1]);
  volatile char* const mapping =
      mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (mapping == MAP_FAILED) die("mmap");
  for (long i = 0; i < bytes; ++i) {
    if (fallocate(fd, 0, i, 1) != 0) die("fallocate");
    mapping[i] = 'x';
  }
  kill(opener, SIGKILL);
  waitpid(opener, NULL, 0);
  for (long i = 0; i < bytes; ++i) {
    if (mapping[i] != 'x') printf("byte %ld is %d\n", i, mapping[i]);
  }
  return 0;
}
