# Names, paths and symlinks, and what can be done with files of all kinds.
import itertools
import os
import stat
import sys

from as_caller import attempt, make, say
from file_kinds import KINDS, clear, make_kind, open_and_close, picture, rename, run_parts

os.chdir(sys.argv[1])


def any_byte():
    names = [b"x" + bytes([byte]) for byte in range(1, 256) if byte != ord("/")]
    names += [bytes([byte]) for byte in range(1, 256) if byte not in b"/."]
    names += [b"...", b"-rf", b"\xc3(", b"\xed\xa0\x80", b"\xff" * 255, "ü".encode() * 127, b"n" * 255]
    for name in names:
        with open(name, "xb") as file:
            file.write(name)
    listed = os.listdir(b".")
    say("all bytes listed", f"{sorted(listed) == sorted(names)} {len(listed)}")
    say("all found", all(open(name, "rb").read() == name for name in names))
    for name in names:
        os.rename(name, name[:127] + b"'" * 100)
        os.rename(name[:127] + b"'" * 100, name)
        os.unlink(name)
    say("left", os.listdir(b"."))


def odd_names():
    make("f")
    os.mkdir("d")
    os.symlink("d", "l")
    names = ["", ".", "..", "d/.", "d/..", "d/", "f/", "f/.", "l/", "l/.", "new/", "n" * 255, "n" * 256, "d/" + "n" * 256,
             "f/" + "n" * 256, "nothing/" + "n" * 256, "d/../f", "nothing/../f", "f/../f", "d//..///f"]
    calls = [("stat", os.stat), ("lstat", os.lstat), ("readlink", os.readlink), ("access", lambda p: os.access(p, 0)),
             ("open", lambda p: open_and_close(p, os.O_RDONLY)),
             ("create", lambda p: open_and_close(p, os.O_RDWR | os.O_CREAT)),
             ("create new", lambda p: open_and_close(p, os.O_RDWR | os.O_CREAT | os.O_EXCL)),
             ("truncate", lambda p: os.truncate(p, 3)), ("mkdir", os.mkdir), ("rmdir", os.rmdir),
             ("symlink", lambda p: os.symlink("f", p)), ("link", lambda p: os.link("f", p)),
             ("link of it", lambda p: os.link(p, "made")),
             ("mkfifo", os.mkfifo), ("unlink", os.unlink), ("rename to it", lambda p: rename("f", p)),
             ("rename a directory to it", lambda p: rename("d", p)), ("rename it", lambda p: rename(p, "made"))]
    for name, (word, call) in itertools.product(names, calls):
        attempt(f"{word} {name if len(name) < 30 else f'{name[:8]}…{len(name)}'}", call, name, show=lambda _: "ok")
        if sorted(os.listdir(".")) != ["d", "f", "l"] or not os.path.isdir("l") or not os.path.isfile("f"):
            say("now there", sorted(name[:10] for name in os.listdir(".")))
            clear(".")
            make("f")
            os.mkdir("d")
            os.symlink("d", "l")


def long_paths():
    make("f")
    for length in [4094, 4095, 4096, 5000]:
        path = "./" * ((length - 1) // 2) + "f"
        path = path if len(path) == length else "." + "/" * (length - len(path)) + path[1:]
        say("path of", len(path))
        attempt("open", open_and_close, path, os.O_RDONLY)
        attempt("rename to itself", rename, path, path)
        attempt("make a symlink to it", os.symlink, path, "l")
        attempt("and open that", open_and_close, "l", os.O_RDONLY)
        if os.path.lexists("l"):
            os.unlink("l")
    name = "n" * 255
    for _ in range(20):  # as deep as 5,120 bytes
        os.mkdir(name)
        os.chdir(name)
    make("bottom")
    say("at the bottom", os.listdir("."))
    for _ in range(20):
        os.chdir("..")
    deepest = "/".join([name] * 15)
    attempt("a path of 3,839 bytes", os.stat, deepest, show=lambda info: stat.S_ISDIR(info.st_mode))
    attempt("16 of them", os.stat, "/".join([name] * 16))
    for _ in range(20):
        os.chdir(name)
    os.unlink("bottom")
    for _ in range(20):
        os.chdir("..")
        os.rmdir(name)


def symlinks():
    for length in [1, 59, 60, 255, 256, 1000, 4000, 4094, 4095, 4096]:
        target = "t" * length
        attempt(f"symlink of {length}", os.symlink, target, "l")
        attempt("read", os.readlink, "l", show=lambda read: read == target)
        attempt("its size", lambda: os.lstat("l").st_size, show=str)
        attempt("follow it", os.stat, "l")
        if os.path.lexists("l"):
            os.unlink("l")
    odd = bytes(byte for byte in range(1, 256))
    os.symlink(odd, b"l")
    say("of all bytes", os.readlink(b"l") == odd)
    make("end")
    os.symlink("end", "link0")
    for i in range(1, 45):
        os.symlink(f"link{i - 1}", f"link{i}")
    for i in [38, 39, 40, 41, 44]:
        attempt(f"{i + 1} links", os.stat, f"link{i}")
        attempt("open", open_and_close, f"link{i}", os.O_RDONLY)
    os.symlink("loop", "loop")
    os.symlink("b", "a")
    os.symlink("a", "b")
    os.symlink(".", "here")
    attempt("a loop of one", os.stat, "loop")
    attempt("of two", open_and_close, "a", os.O_RDONLY | os.O_CREAT)
    attempt("below a loop", os.stat, "loop/x")
    attempt("here/here/…/end", os.stat, "here/" * 30 + "end")
    attempt("too many", os.stat, "here/" * 41 + "end")
    attempt("O_NOFOLLOW", open_and_close, "link0", os.O_RDONLY | os.O_NOFOLLOW)
    attempt("O_NOFOLLOW O_DIRECTORY", open_and_close, "here", os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
    attempt("O_PATH O_NOFOLLOW", open_and_close, "link0", os.O_PATH | os.O_NOFOLLOW)
    attempt("O_EXCL at a dangling one", open_and_close, "l", os.O_RDWR | os.O_CREAT | os.O_EXCL)
    os.link("link0", "second", follow_symlinks=False)
    say("links of a symlink", os.lstat("link0").st_nlink)
    attempt("chmod of it", os.chmod, "link0", 0o600)
    os.chown("link0", 1, 2, follow_symlinks=False)
    say("owner", f"{os.lstat('second').st_uid} {os.stat('second').st_uid}")


def kinds():
    make("target")
    calls = [("stat", lambda p: picture(p)), ("readlink", os.readlink),
             ("O_DIRECTORY", lambda p: open_and_close(p, os.O_RDONLY | os.O_DIRECTORY)),
             ("write", lambda p: open_and_close(p, os.O_WRONLY | os.O_NONBLOCK)),
             ("create", lambda p: open_and_close(p, os.O_RDONLY | os.O_CREAT | os.O_NONBLOCK)),
             ("new", lambda p: open_and_close(p, os.O_RDWR | os.O_CREAT | os.O_EXCL)),
             ("O_PATH", lambda p: open_and_close(p, os.O_PATH)),
             ("truncate", lambda p: os.truncate(p, 1)), ("chmod", lambda p: os.chmod(p, 0o640)),
             ("list", os.listdir), ("chdir", lambda p: (os.chdir(p), os.chdir(".."))),
             ("link", lambda p: os.link(p, "linked", follow_symlinks=False)), ("mkdir", os.mkdir),
             ("mkfifo", os.mkfifo), ("symlink", lambda p: os.symlink("x", p)),
             ("look below", lambda p: os.stat(p + "/x")), ("make below", lambda p: os.mkdir(p + "/y")),
             ("rmdir", os.rmdir), ("unlink", os.unlink)]
    for kind, (word, call) in itertools.product(KINDS, calls):
        if kind == "device" and word in ("write", "create"):
            continue  # whether devices can be opened is for the mount's options to say
        path = make_kind("a", kind)
        attempt(f"{word} {kind}", call, path, show=lambda result: result if isinstance(result, (str, list)) else "ok")
        say("now", f"{picture('a')} {picture('linked')}")
        for name in list(os.listdir(".")):
            if name == "target":
                continue
            if os.path.isdir(name) and not os.path.islink(name):
                clear(name)
                os.rmdir(name)
            else:
                os.unlink(name)


run_parts([any_byte, odd_names, long_paths, symlinks, kinds])
