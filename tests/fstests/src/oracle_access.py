# Who may open, make, look up, execute and change times. See as_caller.py.
import errno
import os
import subprocess
import sys
import time

from as_caller import as_caller, attempt, make, make_dir, mode_of, say

USER, OTHER, GROUP = 65534, 1001, 2000
OPEN_MODES = [("rdonly", os.O_RDONLY), ("wronly", os.O_WRONLY), ("rdwr", os.O_RDWR),
              ("trunc", os.O_RDONLY | os.O_TRUNC)]

os.chdir(sys.argv[1])
os.umask(0)


def as_user(body, groups=()):
    as_caller(USER, USER, list(groups), body)


def open_and_close(path, flags, mode=0o600):
    os.close(os.open(path, flags, mode))


def opens():
    for mode in [0o000, 0o400, 0o200, 0o600, 0o040, 0o020, 0o004, 0o002, 0o007, 0o077, 0o070]:
        for uid, gid in [(USER, USER), (0, USER), (0, GROUP), (0, 0)]:
            make("f", mode, uid, gid)

            def body():
                for word, flags in OPEN_MODES:
                    attempt(f"{mode:04o} {uid}:{gid} {word}", open_and_close, "f", flags)
                bits = [word for word, bit in [("r", os.R_OK), ("w", os.W_OK), ("x", os.X_OK)]
                        if os.access("f", bit)]
                say("access", "".join(bits))
                attempt("truncate", os.truncate, "f", 0)
            as_user(body, [GROUP])
    make("f", 0)
    for word, flags in OPEN_MODES:
        attempt(f"root, mode 0, {word}", open_and_close, "f", flags)
    say("root may execute it", os.access("f", os.X_OK))


def directories():
    for mode in [0o000, 0o001, 0o002, 0o003, 0o004, 0o005, 0o007]:
        path = make_dir(f"d{mode}", 0o777)
        make(path + "/f", 0o666)
        os.chmod(path, mode)

        def body():
            attempt(f"{mode:04o} list", os.listdir, path)
            attempt("stat", os.stat, path + "/f")
            attempt("stat of nothing", os.stat, path + "/nothing")
            attempt("open", open_and_close, path + "/f", os.O_RDWR)
            attempt("open with O_CREAT", open_and_close, path + "/f", os.O_RDWR | os.O_CREAT)
            attempt("and O_EXCL", open_and_close, path + "/f", os.O_RDWR | os.O_CREAT | os.O_EXCL)
            attempt("create", open_and_close, path + "/new", os.O_RDWR | os.O_CREAT)
            attempt("mkdir", os.mkdir, path + "/dir")
            attempt("mkdir of what is there", os.mkdir, path + "/f")
            attempt("symlink", os.symlink, "x", path + "/link")
            attempt("link", os.link, path + "/f", path + "/hard")
            attempt("rename", os.rename, path + "/f", path + "/g")
            attempt("unlink", os.unlink, path + "/new")
            attempt("chdir", os.chdir, path)
        as_user(body)


def umasks():
    make_dir("u", 0o777)
    for mask in [0o000, 0o022, 0o077, 0o777]:
        def body():
            os.umask(mask)
            open_and_close("u/f", os.O_CREAT | os.O_RDWR, 0o666)
            os.mkdir("u/d", 0o777)
            os.mkfifo("u/p", 0o666)
            os.mknod("u/n", 0o100666)
            for name in ["f", "d", "p", "n"]:
                say(f"umask {mask:04o}", f"{name} {mode_of('u/' + name)}")
            for name in ["f", "p", "n"]:
                os.unlink("u/" + name)
            os.rmdir("u/d")
        as_user(body)


def set_times(path, now=False, **named):
    os.utime(path, None if now else (1000000000, 1000000001), **named)


def times():
    for mode, uid in [(0o600, USER), (0o000, USER), (0o666, 0), (0o644, 0)]:
        make("f", mode, uid, uid)

        def body():
            attempt(f"{mode:04o} of {uid}: now", set_times, "f", now=True)
            attempt("explicit", set_times, "f")
        as_user(body)
    make("f", 0o666)
    os.symlink("f", "l")
    os.utime("f", ns=(1234567890123456789, 987654321987654321))
    os.utime("l", ns=(1, 2), follow_symlinks=False)
    for name in ["f", "l"]:
        info = os.lstat(name)
        say(f"times of {name}", f"{info.st_atime_ns if name == 'f' else ''} {info.st_mtime_ns}")
    as_user(lambda: attempt("lutimes of another's", set_times, "l", follow_symlinks=False))
    # The forms that Python does not have: UTIME_NOW and UTIME_OMIT for one of the two.
    make("f", 0o666)
    os.utime("f", ns=(10**18, 10**18))
    for word, arguments in [("access only", ["-a", "-d", "@5"]), ("change only", ["-m", "-d", "@7"])]:
        subprocess.run(["touch", *arguments, "f"], check=True)
        info = os.stat("f")
        say(word, f"{info.st_atime_ns} {info.st_mtime_ns}")

    def touches():
        for words in [["-a"], ["-m"], ["-a", "-d", "@5"]]:
            done = subprocess.run(["touch", "-c", *words, "f"], stderr=subprocess.DEVNULL, check=False)
            say("touch " + " ".join(words) + " by another who may write", done.returncode)
    as_user(touches)


def ctimes():
    """Every change of attributes, names or link count moves ctime; of names, the directory's times."""
    make_dir("c", 0o777)
    make("c/f")
    os.mkdir("c/other")

    def moves(what, call, path="c/f", directory="c"):
        before, parent = os.lstat(path), os.lstat(directory)
        time.sleep(0.02)
        call()
        after, parent_after = os.lstat(path), os.lstat(directory)
        changed = [word for word, moved in [
            ("ctime", after.st_ctime_ns != before.st_ctime_ns),
            ("mtime", after.st_mtime_ns != before.st_mtime_ns),
            ("directory's ctime", parent_after.st_ctime_ns != parent.st_ctime_ns),
            ("directory's mtime", parent_after.st_mtime_ns != parent.st_mtime_ns)] if moved]
        say(what, ", ".join(changed) or "nothing")

    def write(count):
        fd = os.open("c/f", os.O_WRONLY)
        os.write(fd, b"x" * count)
        os.close(fd)
    moves("chmod", lambda: os.chmod("c/f", 0o640))
    moves("chmod to the same", lambda: os.chmod("c/f", 0o640))
    moves("chown", lambda: os.chown("c/f", USER, USER))
    moves("chown -1 -1", lambda: os.chown("c/f", -1, -1))
    moves("utime", lambda: os.utime("c/f", (1, 1)))
    moves("truncate", lambda: os.truncate("c/f", 3))
    moves("truncate to the same size", lambda: os.truncate("c/f", 3))
    moves("open with O_TRUNC", lambda: open_and_close("c/f", os.O_WRONLY | os.O_TRUNC))
    moves("write", lambda: write(1))
    moves("write of nothing", lambda: write(0))
    moves("link", lambda: os.link("c/f", "c/g"))
    moves("unlink of the other name", lambda: os.unlink("c/g"))
    moves("rename there and back", lambda: (os.rename("c/f", "c/h"), os.rename("c/h", "c/f")))
    moves("setxattr", lambda: os.setxattr("c/f", "user.a", b"1"))
    moves("removexattr", lambda: os.removexattr("c/f", "user.a"))
    moves("read", lambda: open("c/f", "rb").read())
    moves("mkdir in it", lambda: os.mkdir("c/new"))
    moves("rmdir in it", lambda: os.rmdir("c/new"))
    say("links of it", os.stat("c").st_nlink)
    moves("symlink in it", lambda: os.symlink("x", "c/l"))


def executes():
    script = make("run", 0o755, content=b"#!/bin/sh\necho runs\n")
    for mode in [0o755, 0o644, 0o711, 0o700, 0o611]:
        os.chmod(script, mode)

        def body():
            try:
                done = subprocess.run(["./run"], capture_output=True, check=False)
                say(f"{mode:04o}", f"{done.returncode} {done.stdout.decode().strip()}")
            except OSError as error:
                say(f"{mode:04o}", errno.errorcode[error.errno])
        as_user(body)
        body()


def errors():
    make("file")
    make_dir("dir", 0o755)
    os.symlink("loop", "loop")
    long = "n" * 256
    for word, call in [
            ("stat below a file", lambda: os.stat("file/x")),
            ("stat of a loop", lambda: os.stat("loop")),
            ("open of a loop with O_NOFOLLOW", lambda: open_and_close("loop", os.O_NOFOLLOW)),
            ("a name of 256", lambda: os.stat(long)),
            ("mkdir of 256", lambda: os.mkdir(long)),
            ("write a directory", lambda: open_and_close("dir", os.O_WRONLY)),
            ("O_DIRECTORY of a file", lambda: open_and_close("file", os.O_DIRECTORY)),
            ("truncate a directory", lambda: os.truncate("dir", 0)),
            ("unlink a directory", lambda: os.unlink("dir")),
            ("rmdir a file", lambda: os.rmdir("file")),
            ("rename a directory over a file", lambda: os.rename("dir", "file")),
            ("rename a file over a directory", lambda: os.rename("file", "dir")),
            ("rename into itself", lambda: os.rename("dir", "dir/sub")),
            ("link a directory", lambda: os.link("dir", "dir2")),
            ("mknod a device by a user", lambda: as_user(
                lambda: attempt("user's", os.mknod, "u/dev", 0o20600, os.makedev(1, 3)))),
            ("chmod a symlink's target", lambda: os.chmod("loop", 0o600)),
            ("a negative size", lambda: os.truncate("file", -1)),
            ("rmdir what is not empty", lambda: os.rmdir("c"))]:
        attempt(word, call)


opens()
directories()
umasks()
times()
ctimes()
executes()
errors()
