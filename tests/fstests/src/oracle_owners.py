# chown(2), chmod(2), set-id bits, sticky and setgid directories. See as_caller.py.
import os
import sys

from as_caller import as_caller, attempt, make, make_dir, mode_of, say

USER, OTHER, GROUP = 65534, 1001, 2000

os.chdir(sys.argv[1])
os.umask(0)


def as_user(body, groups=()):
    as_caller(USER, USER, list(groups), body)


def chown_rules():
    make("f", 0o6755, USER, USER)
    attempt("root chowns", os.chown, "f", OTHER, GROUP)
    say("after it", mode_of("f"))
    make("f", 0o2745, USER, USER)
    attempt("root chowns without group execute", os.chown, "f", OTHER, GROUP)
    say("after it", mode_of("f"))
    for groups in [(), (GROUP,)]:
        def body():
            make_owned = "f"
            attempt("give away", os.chown, make_owned, OTHER, -1)
            attempt("to himself", os.chown, make_owned, USER, -1)
            say("after it", mode_of(make_owned))
            attempt("to a group", os.chown, make_owned, -1, GROUP)
            say("after it", mode_of(make_owned))
        make("f", 0o6755, USER, USER)
        say("user with groups", groups)
        as_user(body, groups)
    make("f", 0o6755, USER, USER)
    as_user(lambda: attempt("chown -1 -1 by the owner", os.chown, "f", -1, -1))
    say("after it", mode_of("f"))
    make("f", 0o6755)
    as_user(lambda: attempt("chown -1 -1 by another", os.chown, "f", -1, -1))
    say("after it", mode_of("f"))
    make_dir("d", 0o6755, USER, USER)
    attempt("root chowns a directory", os.chown, "d", OTHER, GROUP)
    say("after it", mode_of("d"))
    os.rmdir("d")
    os.symlink("nowhere", "link")
    attempt("root chowns a symlink", os.lchown, "link", OTHER, GROUP)
    say("after it", mode_of("link"))
    as_user(lambda: attempt("another chowns it", os.lchown, "link", USER, -1))


def chmod_rules():
    make("f", 0o644)
    as_user(lambda: attempt("chmod by another", os.chmod, "f", 0o600))
    for gid, groups in [(USER, ()), (GROUP, ()), (GROUP, (GROUP,))]:
        make("f", 0o644, USER, gid)
        as_user(lambda: attempt(f"chmod 6755 with group {gid}, being in {groups}", os.chmod, "f", 0o6755),
                groups)
        say("after it", mode_of("f"))
        make_dir("d", 0o755, USER, gid)
        as_user(lambda: attempt("the same of a directory", os.chmod, "d", 0o3755), groups)
        say("after it", mode_of("d"))
        os.rmdir("d")


def writes(path, how):
    fd = os.open(path, os.O_RDWR | how)
    if how == 0:
        os.write(fd, b"x")
    say("through the descriptor", f"{os.fstat(fd).st_mode & 0o7777:04o}")
    os.close(fd)


def set_id_bits():
    for mode in [0o6777, 0o4777, 0o2777, 0o2767]:
        for owner in [USER, 0]:
            for word, body in [("write", lambda: writes("f", 0)),
                               ("O_TRUNC", lambda: writes("f", os.O_TRUNC)),
                               ("truncate", lambda: os.truncate("f", 1)),
                               ("truncate to the same size", lambda: os.truncate("f", 7))]:
                make("f", mode, owner, owner)
                as_user(body)
                say(f"{mode:04o} of {owner} after {word} by the user", mode_of("f"))
    for body, word in [(lambda: writes("f", 0), "write"), (lambda: os.truncate("f", 1), "truncate")]:
        make("f", 0o6777, USER, USER)
        body()
        say(f"after {word} by root", mode_of("f"))
    # Opened by root, written by somebody who has dropped his privileges.
    make("f", 0o6777)
    fd = os.open("f", os.O_RDWR)
    as_user(lambda: os.write(fd, b"y"))
    say("root's descriptor, the user's write", mode_of("f"))
    os.close(fd)
    say("after close", mode_of("f"))
    # A mode that is set after a write stays.
    make("f", 0o755, USER, USER)

    def writes_and_sets():
        fd = os.open("f", os.O_RDWR)
        os.write(fd, b"z")
        os.fchmod(fd, 0o4755)
        os.close(fd)
    as_user(writes_and_sets)
    say("fchmod after a write", mode_of("f"))


def directories():
    make_dir("sticky", 0o1777)
    for name, owner in [("mine", USER), ("roots", 0), ("others", OTHER)]:
        make("sticky/" + name, 0o666, owner, owner)
        make_dir("sticky/d-" + name, 0o777, owner, owner)

    def in_sticky():
        for name in ["roots", "others", "mine"]:
            attempt(f"rename {name}", os.rename, "sticky/" + name, "sticky/" + name + "-new")
        for name in ["roots", "others", "mine-new"]:
            attempt(f"unlink {name}", os.unlink, "sticky/" + name)
            attempt(f"rmdir {name}", os.rmdir, "sticky/d-" + name.split("-")[0])
        make_user = os.open("sticky/new", os.O_CREAT | os.O_WRONLY, 0o644)
        os.close(make_user)
        attempt("rename over another's", os.rename, "sticky/new", "sticky/roots")
        attempt("link to another's", os.link, "sticky/roots", "sticky/hard")
    as_user(in_sticky)
    make_dir("owned", 0o1777, USER, USER)
    make("owned/roots")
    as_user(lambda: attempt("unlink in one's own sticky directory", os.unlink, "owned/roots"))

    make_dir("setgid", 0o2777, 0, GROUP)

    def in_setgid():
        os.close(os.open("setgid/f", os.O_CREAT | os.O_WRONLY, 0o2755))
        os.mkdir("setgid/d", 0o755)
        os.symlink("x", "setgid/l")
        os.mkfifo("setgid/p", 0o644)
        for name in ["f", "d", "l", "p"]:
            say("made in it", f"{name} {mode_of('setgid/' + name)}")
    as_user(in_setgid)
    say("and a member", "")
    for name in ["f", "l", "p"]:
        os.unlink("setgid/" + name)
    os.rmdir("setgid/d")
    as_user(in_setgid, [GROUP])


chown_rules()
chmod_rules()
set_id_bits()
directories()
