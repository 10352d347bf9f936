"""Files that one client is making while the other looks: making.py DIR DIR ROUNDS [SEED]

Each round one of the two makes a file and, before it closes it, sets modes and times, stores bytes and truncates
it in random order. At random moments the other looks: by stat, through an open, by a listing; it gives the file a mode
or a time of its own, or another name. What a call has done shows everywhere once it has returned; bytes, and the times
that they bring, once the file is closed.
"""

import os
import random
import sys

wrong = 0


def expect(what, got, wanted):
    global wrong
    if got != wanted:
        wrong += 1
        print(f"{what}: {got}, not {wanted}")


class File:
    """What is known of the file that is being made."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        self.mode = 0o600
        self.times = None  # (access, modification) in ns, unless bytes were stored since
        self.stored = False  # bytes for which no time was set
        self.data = b""


def store(made):
    at = random.randrange(0, 20000)
    data = bytes([random.randrange(1, 256)]) * random.randrange(1, 9000)
    os.pwrite(made.fd, data, at)
    made.data = made.data.ljust(at, b"\0")
    made.data = made.data[:at] + data + made.data[at + len(data) :]
    made.times = None
    made.stored = True


def truncate(made):
    size = random.randrange(0, 20000)
    os.ftruncate(made.fd, size)
    made.data = made.data[:size].ljust(size, b"\0")
    made.times = None


def set_mode(made):
    made.mode = random.choice((0o600, 0o640, 0o644, 0o444, 0o755))
    os.fchmod(made.fd, made.mode)


def set_times(made):
    made.times = tuple(random.randrange(10**18, 2 * 10**18) for _ in range(2))
    made.stored = False
    os.utime(made.fd, ns=made.times)


def set_owner(made):
    os.fchown(made.fd, os.getuid(), os.getgid())


def check(name, made, seen):
    expect(f"the mode of {name}", oct(seen.st_mode & 0o7777), oct(made.mode))
    if made.times:
        expect(f"the modification of {name}", seen.st_mtime_ns, made.times[1])


def look(there, name, made):
    """By the other client."""
    path = os.path.join(there, name)
    way = random.randrange(5)
    if way == 0:
        fd = os.open(path, os.O_RDONLY)
        check(name, made, os.fstat(fd))
        os.close(fd)
    elif way == 1:
        found = {entry.name: entry for entry in os.scandir(there)}
        check(name, made, found[name].stat())
    elif way == 2:
        made.mode = random.choice((0o600, 0o660))
        os.chmod(path, made.mode)
    elif way == 3 and not made.stored:  # else the bytes bring a time of their own once more
        made.times = tuple(random.randrange(10**18, 2 * 10**18) for _ in range(2))
        os.utime(path, ns=made.times)
    check(name, made, os.stat(path))


def make(here, there, name):
    path = os.path.join(here, name)
    made = File(path)
    looks = random.random() < 0.5
    for _ in range(random.randrange(0, 8)):
        random.choice((store, truncate, set_mode, set_times, set_owner))(made)
        if looks and random.random() < 0.4:
            look(there, name, made)
        check(name, made, os.fstat(made.fd) if random.random() < 0.5 else os.stat(path))
    if random.random() < 0.3:
        os.fsync(made.fd)
    if random.random() < 0.3:
        new_name = name + "-renamed"
        os.rename(path, os.path.join(here, new_name))
        name, path = new_name, os.path.join(here, new_name)
    os.close(made.fd)
    for client in (here, there):
        seen = os.stat(os.path.join(client, name))
        check(name, made, seen)
        expect(f"the size of {name}", seen.st_size, len(made.data))
        with open(os.path.join(client, name), "rb") as file:
            expect(f"the bytes of {name}", file.read() == made.data, True)
    if random.random() < 0.5:
        os.unlink(os.path.join(random.choice((here, there)), name))


def main():
    clients = sys.argv[1:3]
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else random.randrange(1 << 32)
    random.seed(seed)
    for turn in range(int(sys.argv[3])):
        here, there = random.sample(clients, 2)
        make(here, there, f"f{turn}")
        if wrong:
            print(f"in round {turn} of seed {seed}")
            break
    print("made" if not wrong else "something was wrong")


main()
