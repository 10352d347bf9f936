# What the bodies of the oracle tests share: a body makes the same calls in any directory and prints what
# came of each, so that two filesystems can be compared line by line.
import errno
import os
import stat
import sys


def name_of(error):
    return errno.errorcode.get(error.errno, str(error.errno))


def say(what, outcome):
    print(f"{what}: {outcome}", flush=True)


def attempt(what, call, *args, show=lambda result: "ok", **named):
    """Makes one call and prints its outcome."""
    try:
        outcome = show(call(*args, **named))
    except OSError as error:
        outcome = name_of(error)
    say(what, outcome)


def as_caller(uid, gid, groups, body):
    """Runs body() in a child as somebody else, and waits for it."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups(groups)
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            body()
            status = 0
        except OSError as error:
            print(f"the child ends with {name_of(error)}", flush=True)
        finally:
            sys.stdout.flush()
            os._exit(status)
    if os.waitpid(child, 0)[1] != 0:
        print("the child failed", flush=True)


def make(path, mode=0o644, uid=0, gid=0, content=b"content"):
    """A file made anew with exactly this owner and mode."""
    if os.path.lexists(path):
        os.unlink(path)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    if content:
        os.write(fd, content)
    os.close(fd)
    os.chown(path, uid, gid)
    os.chmod(path, mode)
    return path


def make_dir(path, mode=0o755, uid=0, gid=0):
    os.mkdir(path)
    os.chown(path, uid, gid)
    os.chmod(path, mode)
    return path


def mode_of(path):
    info = os.lstat(path)
    return f"{stat.S_IMODE(info.st_mode):04o} {info.st_uid}:{info.st_gid}"
