# What a read-only mount refuses, and with what, when several things are wrong at once. The directory has
# been filled already: f, dir, dir/f, link to f. See as_caller.py.
import os
import sys

from as_caller import as_caller, attempt, say

USER = 65534

os.chdir(sys.argv[1])


def open_and_close(path, flags):
    os.close(os.open(path, flags, 0o600))


def body():
    for word, call in [
            ("read", lambda: open_and_close("f", os.O_RDONLY)),
            ("write", lambda: open_and_close("f", os.O_WRONLY)),
            ("O_TRUNC", lambda: open_and_close("f", os.O_RDONLY | os.O_TRUNC)),
            ("write nothing", lambda: open_and_close("nothing", os.O_WRONLY)),
            ("O_CREAT of what is there", lambda: open_and_close("f", os.O_RDONLY | os.O_CREAT)),
            ("O_CREAT | O_EXCL of what is there", lambda: open_and_close("f", os.O_RDONLY | os.O_CREAT | os.O_EXCL)),
            ("O_CREAT", lambda: open_and_close("new", os.O_RDONLY | os.O_CREAT)),
            ("mkdir", lambda: os.mkdir("new")),
            ("mkdir of what is there", lambda: os.mkdir("f")),
            ("mkdir below nothing", lambda: os.mkdir("nothing/new")),
            ("mknod", lambda: os.mkfifo("new")),
            ("symlink", lambda: os.symlink("x", "new")),
            ("symlink over what is there", lambda: os.symlink("x", "f")),
            ("link", lambda: os.link("f", "new")),
            ("link of nothing", lambda: os.link("nothing", "new")),
            ("unlink", lambda: os.unlink("f")),
            ("unlink nothing", lambda: os.unlink("nothing")),
            ("unlink a directory", lambda: os.unlink("dir")),
            ("rmdir", lambda: os.rmdir("dir")),
            ("rmdir nothing", lambda: os.rmdir("nothing")),
            ("rename", lambda: os.rename("f", "new")),
            ("rename nothing", lambda: os.rename("nothing", "new")),
            ("truncate", lambda: os.truncate("f", 0)),
            ("chmod", lambda: os.chmod("f", 0o600)),
            ("chmod nothing", lambda: os.chmod("nothing", 0o600)),
            ("chown", lambda: os.chown("f", 1, 1)),
            ("utime", lambda: os.utime("f")),
            ("setxattr", lambda: os.setxattr("f", "user.a", b"x")),
            ("removexattr", lambda: os.removexattr("f", "user.a")),
            ("getxattr", lambda: os.getxattr("f", "user.a"))]:
        attempt(word, call)
    say("access", f"{os.access('f', os.R_OK)} {os.access('f', os.W_OK)} {os.access('dir', os.W_OK)}")


body()
say("as another", "")
as_caller(USER, USER, [], body)
