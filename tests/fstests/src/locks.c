// locks: locks of one process, call by call, from a shell script (common/locks).
//
//   locks -        one call a line from stdin; a line "." on stdout says that it is done
//
// FD is a number 0…15 of this program. A range is START LEN, with LEN 0 for all there will be.
//
//   open FD PATH [ro] | dup FD NEW | close FD
//   set FD r|w|u START LEN           fcntl(F_SETLK)
//   wait FD r|w|u START LEN          fcntl(F_SETLKW)
//   get FD r|w START LEN             fcntl(F_GETLK); prints "free", or "r START LEN"
//   oset, owait, oget                the same with F_OFD_SETLK, F_OFD_SETLKW, F_OFD_GETLK
//   flock FD sh|ex|un [nb]
//   alarm MS [restart]               a SIGALRM that is handled, with or without SA_RESTART
//   read FD OFF LEN                  prints the bytes
//   write FD OFF TEXT
//   count FD ROUNDS                  adds one to the number in the file, ROUNDS times, under a lock
//   fork                             a child that has all that is open; ends with this process
//   quit
//
// Prints "ok", or the name of the errno.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <unistd.h>

enum { kFiles = 16, kWords = 8 };

static int files[kFiles];

static void die(const char* what) {
  fprintf(stderr, "locks: %s\n", what);
  exit(2);
}

static int* file(const char* word) {
  const int number = word == NULL ? -1 : atoi(word);
  if (number < 0 || number >= kFiles) die("not 0…15");
  return &files[number];
}

static void said(int result) {
  puts(result < 0 ? strerrorname_np(errno) : "ok");
}

static void on_alarm(int number) {
  (void)number;
}

static void set_alarm(long ms, int restart) {
  struct sigaction action = {.sa_handler = on_alarm, .sa_flags = restart ? SA_RESTART : 0};
  sigaction(SIGALRM, &action, NULL);
  const struct itimerval timer = {.it_value = {ms / 1000, ms % 1000 * 1000}};
  said(setitimer(ITIMER_REAL, &timer, NULL));
}

static struct flock range(char** words) {
  struct flock lock = {.l_whence = SEEK_SET};
  lock.l_type = *words[2] == 'r' ? F_RDLCK : *words[2] == 'w' ? F_WRLCK : F_UNLCK;
  lock.l_start = atoll(words[3]);
  lock.l_len = atoll(words[4]);
  return lock;
}

static void get(int fd, int command, struct flock lock) {
  if (fcntl(fd, command, &lock) < 0) return said(-1);
  if (lock.l_type == F_UNLCK) {
    puts("free");
  } else {
    printf("%c %lld %lld\n", lock.l_type == F_RDLCK ? 'r' : 'w', (long long)lock.l_start,
           (long long)lock.l_len);
  }
}

static int flock_operation(char** words) {
  int operation = strcmp(words[2], "sh") == 0   ? LOCK_SH
                  : strcmp(words[2], "ex") == 0 ? LOCK_EX
                                                : LOCK_UN;
  return words[3] != NULL ? operation | LOCK_NB : operation;
}

static int set_whole(int fd, int type) {
  struct flock lock = {.l_type = (short)type, .l_whence = SEEK_SET};
  int result;
  do {
    result = fcntl(fd, F_SETLKW, &lock);
  } while (result < 0 && errno == EINTR);
  return result;
}

static int count(int fd, long rounds) {
  for (long round = 0; round < rounds; ++round) {
    char text[32] = "";
    if (set_whole(fd, F_WRLCK) < 0 || pread(fd, text, sizeof text - 1, 0) < 0) return -1;
    const int length = snprintf(text, sizeof text, "%08ld", atol(text) + 1);
    if (pwrite(fd, text, (size_t)length, 0) != length || set_whole(fd, F_UNLCK) < 0) return -1;
  }
  return 0;
}

static void read_at(int fd, off_t offset, size_t length) {
  char* bytes = calloc(1, length + 1);
  const ssize_t got = pread(fd, bytes, length, offset);
  if (got < 0) {
    said(-1);
  } else {
    puts(bytes);
  }
  free(bytes);
}

// Returns once the child is sure to end with this process.
static int make_child(void) {
  int ready[2];
  if (pipe(ready) < 0) return -1;
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(ready[1]);
    for (;;) pause();
  }
  close(ready[1]);
  char byte;
  const ssize_t got = read(ready[0], &byte, 1);
  close(ready[0]);
  return got == 0 ? child : -1;
}

static void run(char** words) {
  const char* call = words[0];
  if (strcmp(call, "quit") == 0) exit(0);
  if (strcmp(call, "alarm") == 0) return set_alarm(atol(words[1]), words[2] != NULL);
  if (strcmp(call, "fork") == 0) return said(make_child());
  int* fd = file(words[1]);
  if (strcmp(call, "open") == 0) {
    *fd = open(words[2], (words[3] != NULL ? O_RDONLY : O_RDWR | O_CREAT) | O_CLOEXEC, 0644);
    return said(*fd);
  }
  if (strcmp(call, "dup") == 0) return said(*file(words[2]) = dup(*fd));
  if (strcmp(call, "close") == 0) return said(close(*fd));
  if (strcmp(call, "flock") == 0) return said(flock(*fd, flock_operation(words)));
  if (strcmp(call, "read") == 0) return read_at(*fd, atoll(words[2]), (size_t)atoll(words[3]));
  if (strcmp(call, "write") == 0) {
    return said((int)pwrite(*fd, words[3], strlen(words[3]), atoll(words[2])));
  }
  if (strcmp(call, "count") == 0) return said(count(*fd, atol(words[2])));
  struct flock lock = range(words);
  if (strcmp(call, "set") == 0) return said(fcntl(*fd, F_SETLK, &lock));
  if (strcmp(call, "wait") == 0) return said(fcntl(*fd, F_SETLKW, &lock));
  if (strcmp(call, "oset") == 0) return said(fcntl(*fd, F_OFD_SETLK, &lock));
  if (strcmp(call, "owait") == 0) return said(fcntl(*fd, F_OFD_SETLKW, &lock));
  if (strcmp(call, "get") == 0) return get(*fd, F_GETLK, lock);
  if (strcmp(call, "oget") == 0) return get(*fd, F_OFD_GETLK, lock);
  die("no such call");
}

int main(void) {
  char line[4096];
  setvbuf(stdout, NULL, _IOLBF, 0);
  while (fgets(line, sizeof line, stdin) != NULL) {
    char* words[kWords + 1] = {NULL};
    int count_of_words = 0;
    for (char* word = strtok(line, " \n"); word != NULL && count_of_words < kWords;
         word = strtok(NULL, " \n")) {
      words[count_of_words++] = word;
    }
    if (count_of_words > 0) run(words);
    puts(".");
  }
  return 0;
}
