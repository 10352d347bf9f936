// heir FILE OFFSET CHAR exit|kill
//
// Maps FILE shared, closes it and forks. The parent ends at once; then the child, whose inherited
// mapping is all that is left of the open, stores one CHAR at OFFSET and ends, by _exit(2) or by
// SIGKILL.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "process.h"

int main(int argc, char** argv) {
  if (argc != 5) {
    fprintf(stderr, "usage: heir FILE OFFSET CHAR exit|kill\n");
    return 2;
  }
  const size_t offset = (size_t)atol(argv[2]);
  const int fd = open(argv[1], O_RDWR | O_CLOEXEC);
  if (fd < 0) die("open");
  char* const mapping = mmap(NULL, offset + 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (mapping == MAP_FAILED) die("mmap");
  if (close(fd) != 0) die("close");

  int parent[2];  // its end of file is the parent's end
  if (pipe(parent) != 0) die("pipe");
  const pid_t pid = fork();
  if (pid < 0) die("fork");
  if (pid > 0) return 0;
  close(parent[1]);
  char none;
  if (read(parent[0], &none, 1) != 0) die("the parent is still there");
  mapping[offset] = argv[3][0];
  if (strcmp(argv[4], "kill") == 0) raise(SIGKILL);
  _exit(0);
}
