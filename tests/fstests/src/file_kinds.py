# Files of all kinds, for the oracle tests of names: how they are made, shown and removed.
import ctypes
import os
import socket
import stat

from as_caller import make

libc = ctypes.CDLL(None, use_errno=True)
NOREPLACE, EXCHANGE, WHITEOUT = 1, 2, 4
KINDS = ["file", "other link", "dir", "full dir", "symlink", "dangling", "fifo", "socket", "device", "nothing",
         "file/below", "nothing/below"]


def in_new_dir(body):
    """Runs body in a directory of its own, which is empty again afterwards."""
    os.mkdir("work")
    os.chdir("work")
    body()
    os.chdir("..")
    clear("work")
    os.rmdir("work")


def clear(path):
    for entry in list(os.scandir(path)):
        if entry.is_dir(follow_symlinks=False):
            clear(entry.path)
            os.rmdir(entry.path)
        else:
            os.unlink(entry.path)


def open_and_close(path, flags, mode=0o600):
    os.close(os.open(path, flags, mode))


def rename(old, new, flags=0):
    if libc.renameat2(-100, os.fsencode(old), -100, os.fsencode(new), flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def make_kind(path, kind):
    if kind == "file":
        make(path)
    elif kind == "other link":  # of what is at the other path, if that is a file
        other = "b" if path == "a" else "a"
        if os.path.lexists(other) and not os.path.isdir(other):
            os.link(other, path, follow_symlinks=False)
        else:
            make(path)
    elif kind in ("dir", "full dir"):
        os.mkdir(path)
        if kind == "full dir":
            make(path + "/f")
    elif kind == "symlink":
        os.symlink("target", path)
    elif kind == "dangling":
        os.symlink("no such", path)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path)
    elif kind == "device":
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    elif kind == "file/below":
        make(path)
        return path + "/x"
    elif kind == "nothing/below":
        return path + "/x"
    return path


def picture(path):
    """What is there: type, links, and of a device its number."""
    if not os.path.lexists(path):
        return "-"
    info = os.lstat(path)
    device = f" {info.st_rdev}" if stat.S_ISCHR(info.st_mode) else ""
    return f"{stat.filemode(info.st_mode)}{info.st_nlink}{device}"


def run_parts(parts):
    os.umask(0o022)
    for part in parts:
        print(f"--- {part.__name__}", flush=True)
        in_new_dir(part)
