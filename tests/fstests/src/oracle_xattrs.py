# Extended attributes and ACLs. See as_caller.py.
import os
import struct
import sys

from as_caller import as_caller, attempt, make, make_dir, mode_of, say

USER, OTHER, GROUP = 65534, 1001, 2000
ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
UNDEFINED = 0xffffffff
USER_OBJ, NAMED_USER, GROUP_OBJ, NAMED_GROUP, MASK, OTHERS = 1, 2, 4, 8, 16, 32

os.chdir(sys.argv[1])
os.umask(0)


def as_user(body, groups=()):
    as_caller(USER, USER, list(groups), body)


def acl(*entries):
    """The kernel's form of an ACL of (tag, permissions[, id])."""
    packed = struct.pack("<I", 2)
    for tag, bits, *who in entries:
        packed += struct.pack("<HHI", tag, bits, who[0] if who else UNDEFINED)
    return packed


def show_acl(raw):
    return [struct.unpack_from("<HHI", raw, at) for at in range(4, len(raw), 8)]


def show_value(value):
    return f"{len(value)} {value[:8]!r}"


def sorted_names(path):
    return sorted(name for name in os.listxattr(path, follow_symlinks=False) if name != "security.selinux")


def values():
    make("f")
    make_dir("d")
    os.symlink("f", "l")
    os.mkfifo("p")
    for path in ["f", "d", "l", "p"]:
        for name in ["user.a", "trusted.a", "security.a", "system.a", "nonsense.a", "user.", "a"]:
            attempt(f"{path}: set {name}", os.setxattr, path, name, b"value", follow_symlinks=False)
            attempt("get", os.getxattr, path, name, follow_symlinks=False, show=show_value)
        say("list", sorted_names(path))
        for name in ["user.a", "trusted.a", "security.a", "user.a"]:
            attempt(f"remove {name}", os.removexattr, path, name, follow_symlinks=False)
        say("list", sorted_names(path))


def flags_and_sizes():
    make("f")
    attempt("replace what is not there", os.setxattr, "f", "user.a", b"1", os.XATTR_REPLACE)
    attempt("create", os.setxattr, "f", "user.a", b"1", os.XATTR_CREATE)
    attempt("create again", os.setxattr, "f", "user.a", b"2", os.XATTR_CREATE)
    attempt("replace", os.setxattr, "f", "user.a", b"3", os.XATTR_REPLACE)
    attempt("both", os.setxattr, "f", "user.a", b"4", os.XATTR_CREATE | os.XATTR_REPLACE)
    attempt("get", os.getxattr, "f", "user.a", show=show_value)
    attempt("empty value", os.setxattr, "f", "user.empty", b"")
    attempt("get it", os.getxattr, "f", "user.empty", show=show_value)
    for size in [1, 100, 2000, 3900]:
        attempt(f"{size} bytes", os.setxattr, "f", "user.sized", b"v" * size)
        attempt("get", os.getxattr, "f", "user.sized", show=show_value)
    attempt("65537 bytes", os.setxattr, "f", "user.sized", b"v" * 65537)
    attempt("a name of 255", os.setxattr, "f", "user." + "n" * 250, b"x")
    attempt("a name of 256", os.setxattr, "f", "user." + "n" * 251, b"x")
    attempt("of nothing", os.getxattr, "nothing", "user.a")
    os.removexattr("f", "user.sized")
    for i in range(30):
        os.setxattr("f", f"user.many{i}", str(i).encode())
    say("many", sorted_names("f"))
    values_of = [os.getxattr("f", f"user.many{i}") for i in range(30)]
    say("their values", values_of == [str(i).encode() for i in range(30)])
    fd = os.open("f", os.O_RDWR)
    os.unlink("f")
    attempt("of an unlinked file", os.getxattr, fd, "user.a", show=show_value)
    attempt("set on it", os.setxattr, fd, "user.b", b"b")
    attempt("get it", os.getxattr, fd, "user.b", show=show_value)
    os.close(fd)


def permissions():
    for mode, uid in [(0o644, USER), (0o644, 0), (0o666, 0), (0o600, 0), (0o222, 0)]:
        make("f", mode, uid, uid)
        for name in ["user.a", "trusted.a", "security.a"]:
            os.setxattr("f", name, b"root's")

        def body():
            say(f"{mode:04o} of {uid}", "")
            for name in ["user.a", "trusted.a", "security.a"]:
                attempt(f"get {name}", os.getxattr, "f", name, show=show_value)
                attempt("set", os.setxattr, "f", name, b"mine")
                attempt("remove", os.removexattr, "f", name)
            attempt("list", os.listxattr, "f",
                    show=lambda names: sorted(name for name in names if name != "security.selinux"))
            attempt("set an ACL", os.setxattr, "f", ACCESS, acl((USER_OBJ, 6), (GROUP_OBJ, 4), (OTHERS, 4)))
        as_user(body)
    make_dir("sticky", 0o1777)
    as_user(lambda: attempt("user. on another's sticky directory", os.setxattr, "sticky", "user.a", b"1"))


def access_acls():
    make("f", 0o640)
    attempt("set", os.setxattr, "f", ACCESS,
            acl((USER_OBJ, 6), (NAMED_USER, 6, USER), (GROUP_OBJ, 4), (NAMED_GROUP, 2, GROUP), (MASK, 6),
                (OTHERS, 0)))
    say("mode", mode_of("f"))
    attempt("get", os.getxattr, "f", ACCESS, show=show_acl)

    def opens():
        attempt("read", lambda: os.close(os.open("f", os.O_RDONLY)))
        attempt("write", lambda: os.close(os.open("f", os.O_WRONLY)))
        say("access", f"{os.access('f', os.R_OK)} {os.access('f', os.W_OK)} {os.access('f', os.X_OK)}")
    as_user(opens)
    as_caller(OTHER, OTHER, [], opens)
    as_caller(OTHER, OTHER, [GROUP], opens)
    attempt("chmod 600 masks it", os.chmod, "f", 0o600)
    attempt("get", os.getxattr, "f", ACCESS, show=show_acl)
    as_user(opens)
    attempt("chmod 660", os.chmod, "f", 0o660)
    attempt("get", os.getxattr, "f", ACCESS, show=show_acl)
    as_user(opens)
    attempt("an ACL that is a mode", os.setxattr, "f", ACCESS, acl((USER_OBJ, 7), (GROUP_OBJ, 5), (OTHERS, 1)))
    say("mode", mode_of("f"))
    attempt("get", os.getxattr, "f", ACCESS, show=show_acl)
    say("list", sorted_names("f"))
    attempt("garbage", os.setxattr, "f", ACCESS, b"garbage")
    attempt("an ACL without the owner", os.setxattr, "f", ACCESS, acl((GROUP_OBJ, 5), (OTHERS, 1)))
    attempt("named user without a mask", os.setxattr, "f", ACCESS,
            acl((USER_OBJ, 7), (NAMED_USER, 7, USER), (GROUP_OBJ, 5), (OTHERS, 1)))
    attempt("a default ACL on a file", os.setxattr, "f", DEFAULT, acl((USER_OBJ, 7), (GROUP_OBJ, 5), (OTHERS, 1)))
    make("s", 0o2755, USER, GROUP)
    as_user(lambda: attempt("the owner, no member of the group, sets one", os.setxattr, "s", ACCESS,
                            acl((USER_OBJ, 7), (GROUP_OBJ, 5), (OTHERS, 5))))
    say("mode", mode_of("s"))


def default_acls():
    make_dir("inherits", 0o777)
    attempt("set", os.setxattr, "inherits", DEFAULT,
            acl((USER_OBJ, 7), (NAMED_USER, 7, OTHER), (GROUP_OBJ, 7), (MASK, 7), (OTHERS, 5)))
    for mask in [0o022, 0o077]:
        def body():
            os.umask(mask)
            os.close(os.open("inherits/f", os.O_CREAT | os.O_RDWR, 0o666))
            os.mkdir("inherits/sub", 0o777)
            os.mkfifo("inherits/p", 0o640)
            os.symlink("f", "inherits/l")
            for name in ["f", "sub", "p"]:
                say(f"umask {mask:04o}", f"{name} {mode_of('inherits/' + name)}")
                attempt("access", os.getxattr, "inherits/" + name, ACCESS, show=show_acl)
                attempt("default", os.getxattr, "inherits/" + name, DEFAULT, show=show_acl)
            os.mkdir("inherits/sub/deeper", 0o700)
            say("deeper", mode_of("inherits/sub/deeper"))
            attempt("default", os.getxattr, "inherits/sub/deeper", DEFAULT, show=show_acl)
            os.rmdir("inherits/sub/deeper")
            for name in ["f", "p", "l"]:
                os.unlink("inherits/" + name)
            os.rmdir("inherits/sub")
        as_user(body)
    attempt("remove", os.removexattr, "inherits", DEFAULT)
    attempt("remove again", os.removexattr, "inherits", DEFAULT)

    def masked():
        os.umask(0o027)
        os.close(os.open("inherits/f", os.O_CREAT | os.O_RDWR, 0o666))
        say("the umask counts again", mode_of("inherits/f"))
    as_user(masked)


def capabilities():
    # VFS_CAP_REVISION_2, effective, CAP_NET_RAW.
    capability = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
    for word, body in [("write", lambda: os.pwrite(os.open("f", os.O_RDWR), b"x", 0)),
                       ("truncate", lambda: os.truncate("f", 2))]:
        for owner, root in [(USER, False), (0, False), (0, True)]:
            make("f", 0o777, owner, owner)
            os.setxattr("f", "security.capability", capability)
            if root:
                body()
            else:
                as_user(body)
            say(f"after {word} by {'root' if root else 'the user'} of {owner}'s", sorted_names("f"))
    make("f", 0o777, USER, USER)
    os.setxattr("f", "security.capability", capability)
    os.chown("f", 0, 0)
    say("after chown", sorted_names("f"))
    make("f", 0o777, USER, USER)
    fd = os.open("f", os.O_RDWR)
    os.write(fd, b"x")
    attempt("set after a write", os.setxattr, "f", "security.capability", capability)
    os.close(fd)
    say("stays", sorted_names("f"))
    as_user(lambda: attempt("set by the owner", os.setxattr, "f", "security.capability", capability))
    as_user(lambda: attempt("removed by the owner", os.removexattr, "f", "security.capability"))


values()
flags_and_sizes()
permissions()
access_acls()
default_acls()
capabilities()
