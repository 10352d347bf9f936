# Set-id bits of a file whose new bytes are not written back yet. The mode is looked at through the
# descriptor first: a stat by name would have the bytes written. See as_caller.py.
import os
import sys

from as_caller import as_caller, make, mode_of, say

USER = 65534

os.chdir(sys.argv[1])
os.umask(0)


def write(fd):
    os.write(fd, b"x" * (3 << 20))
    say("after the write", f"{os.fstat(fd).st_mode & 0o7777:04o}")


def write_file():
    fd = os.open("f", os.O_WRONLY)
    write(fd)
    os.close(fd)
    say("after close", mode_of("f"))


def write_and_chmod():
    fd = os.open("f", os.O_WRONLY)
    os.write(fd, b"x" * 100)
    os.chmod("f", 0o4755)
    os.close(fd)


for word, owner, uid in [("the owner", USER, USER), ("another", 0, USER), ("root", USER, 0)]:
    make("f", 0o6777, owner, owner)
    say("written by", word)
    as_caller(uid, uid, [], write_file)

say("opened by root, written by another", "")
make("f", 0o6777)
root_fd = os.open("f", os.O_WRONLY)
as_caller(USER, USER, [], lambda: write(root_fd))
os.close(root_fd)
say("after close", mode_of("f"))

make("f", 0o755, USER, USER)
as_caller(USER, USER, [], write_and_chmod)
say("set after a write, before the close", mode_of("f"))
