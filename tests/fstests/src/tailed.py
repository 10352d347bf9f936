"""tailed.py FILE RECORDS: one process appends records to FILE by O_APPEND while two others read what has come, as
tail(1) does: one by read(2) to the end, one up to where fstat(2) says that the file ends. They see each record, and
nothing else: no zeros in the place of one that is on its way. But Linux itself may copy from a page that is not the
file's any more: so what they see may be wrong for a moment, and must be right when they look again.
"""
import os
import sys
import time

path, records = sys.argv[1], int(sys.argv[2])


def record(number):
    return b"record %d %s\n" % (number, b"x" * (number % 300))


def append():
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    for number in range(records):
        os.write(fd, record(number))
    os.close(fd)


def sees(fd, at, expected):
    end = time.monotonic() + 1
    while (got := os.pread(fd, len(expected), at)) != expected:
        if time.monotonic() > end:
            wrong = next(i for i in range(len(expected)) if got[i:i + 1] != expected[i:i + 1])
            print(f"at {at + wrong} there is {got[wrong:wrong + 20]}, not {expected[wrong:wrong + 20]}", flush=True)
            return False
        time.sleep(0.001)
    return True


def follow(by_size):
    fd = os.open(path, os.O_RDONLY)
    at = number = 0
    expected = b""
    while number < records or expected:
        want = max(os.fstat(fd).st_size - at, 0) if by_size else 1 << 16
        got = os.pread(fd, want, at)
        while len(expected) < len(got):
            expected += record(number)
            number += 1
        if got != expected[:len(got)] and not sees(fd, at, expected[:len(got)]):
            return 1
        expected = expected[len(got):]
        at += len(got)
    os.close(fd)
    return 0


os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
followers = []
for by_size in (False, True):
    child = os.fork()
    if child == 0:
        os._exit(follow(by_size))
    followers.append(child)
append()
for child in followers:
    if os.waitpid(child, 0)[1] != 0:
        print("one who reads was shown something else")
print(f"{os.stat(path).st_size} bytes")
