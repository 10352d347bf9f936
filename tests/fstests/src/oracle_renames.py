# Renames of anything over anything, hard links, inode numbers, and open files that lose their names.
import itertools
import os
import stat
import sys

from as_caller import attempt, make, say
from file_kinds import (EXCHANGE, KINDS, NOREPLACE, WHITEOUT, clear, make_kind, open_and_close, picture, rename,
                        run_parts)

os.chdir(sys.argv[1])


def renames():
    make("target")
    flags = [("", 0), (" noreplace", NOREPLACE), (" exchange", EXCHANGE), (" whiteout", WHITEOUT)]
    for (word, flag), old, new in itertools.product(flags, KINDS, KINDS):
        old_path, new_path = make_kind("a", old), make_kind("b", new)
        numbers = {os.lstat(name).st_ino: name for name in "ab" if os.path.lexists(name)}
        attempt(f"{old} to {new}{word}", rename, old_path, new_path, flag)
        now = [numbers.get(os.lstat(name).st_ino, "new") if os.path.lexists(name) else "-" for name in "ab"]
        say("now", f"{picture('a')} {picture('b')} {' '.join(now)}")
        for name in "ab":
            if os.path.isdir(name) and not os.path.islink(name):
                clear(name)
                os.rmdir(name)
            elif os.path.lexists(name):
                os.unlink(name)
    make("a")
    make("b")
    for word, flag in [("noreplace and exchange", 3), ("exchange and whiteout", 6), ("unknown", 8), ("all", 15)]:
        attempt(word, rename, "a", "b", flag)
    os.makedirs("d/e/f")
    for old, new in [("d", "d/x"), ("d", "d/e/f/x"), ("d/e/f", "d"), ("d/e", "d/e"), ("d/e/f", "d/e"), ("d", "d/e"),
                     ("d/e/.", "x"), ("d/e/..", "x"), ("a", "a"), ("a", "b/"), ("a/", "x"), ("d/", "x/")]:
        attempt(f"{old} to {new}", rename, old, new)
        attempt("exchange", rename, old, new, EXCHANGE)
    say("now", sorted(os.listdir(".")))
    os.mkdir("p")
    os.mkdir("q")
    os.mkdir("p/sub")
    say("links", f"{os.stat('p').st_nlink} {os.stat('q').st_nlink}")
    rename("p/sub", "q/sub")
    say("a directory has moved", f"{os.stat('p').st_nlink} {os.stat('q').st_nlink}")
    say("its ..", os.stat("q/sub/..").st_ino == os.stat("q").st_ino)


def hard_links():
    make("f", content=b"")
    os.mkdir("d")
    for i in range(300):
        os.link("f", f"d/{i}")
    say("links", os.stat("f").st_nlink)
    say("one number", len({os.stat(f"d/{i}").st_ino for i in range(300)} | {os.stat("f").st_ino}))
    say("d_ino", len({entry.inode() for entry in os.scandir("d")} | {os.stat("f").st_ino}))
    with open("d/7", "w", encoding="ascii") as file:
        file.write("written")
    say("by another name", open("d/200", encoding="ascii").read())
    os.unlink("f")
    os.rename("d/1", "d/2")  # the same file: nothing happens
    say("links", f"{os.stat('d/0').st_nlink} {os.path.exists('d/1')}")
    attempt("a link to a directory", os.link, "d", "e")
    attempt("a link over something", os.link, "d/1", "d/2")


def open_files():
    """Files that lose their names while they are open."""
    for word, lose in [("unlink", lambda: os.unlink("f")), ("rename over", lambda: (make("g"), rename("g", "f")))]:
        make("f", content=b"old bytes")
        fd, reader = os.open("f", os.O_RDWR), os.open("f", os.O_RDONLY)
        lose()
        say(word, f"{os.fstat(fd).st_nlink} {os.fstat(fd).st_size}")
        say("read", os.pread(reader, 100, 0))
        os.pwrite(fd, b"new", 4)
        os.ftruncate(fd, 8)
        os.fsync(fd)
        os.fchmod(fd, 0o604)
        os.utime(fd, ns=(5, 7))
        info = os.fstat(reader)
        say("now", f"{os.pread(reader, 100, 0)} {info.st_nlink} {stat.filemode(info.st_mode)} {info.st_mtime_ns}")
        attempt("open through /proc", open_and_close, f"/proc/self/fd/{fd}", os.O_RDWR)
        attempt("a link through /proc", os.link, f"/proc/self/fd/{fd}", "again", follow_symlinks=True)
        os.close(fd)
        say("the other one", os.pread(reader, 100, 0))
        os.close(reader)
    os.mkdir("gone")
    directory = os.open("gone", os.O_RDONLY | os.O_DIRECTORY)
    os.rmdir("gone")
    attempt("list a removed directory", os.listdir, directory, show=str)
    attempt("make a file in it", lambda: os.open("f", os.O_RDWR | os.O_CREAT, dir_fd=directory))
    attempt("look there", lambda: os.stat("f", dir_fd=directory))
    say("its links", os.fstat(directory).st_nlink)
    os.close(directory)


def numbers():
    """d_ino and d_type are those of stat; what is moved or linked keeps its number."""
    for kind in ["file", "dir", "symlink", "fifo", "socket", "device"]:
        make_kind("a", kind)
        number = os.lstat("a").st_ino
        rename("a", "x" + kind)
        say(kind, os.lstat("x" + kind).st_ino == number)
    wrong = [entry.name for entry in os.scandir(".") if entry.inode() != os.lstat(entry.name).st_ino]
    say("d_ino", wrong)
    say("dots", f"{os.stat('.').st_ino == os.stat('xdir/..').st_ino}")


run_parts([renames, hard_links, open_files, numbers])
