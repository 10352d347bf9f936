"""given_away.py FIRST SECOND ROUNDS: one directory as two clients have it. By FIRST a file changes its owner or its
mode; then, and without a look at the file, somebody without privileges does by SECOND what only the new owner or the
new mode allows, and is refused what it does not. SECOND has known the old state: by stat(2), by having read the file,
or by having it open. It may take a moment, as a recall does not wait for long, nor does close(2) for its RELEASE.
"""
import os
import sys
import time

from as_caller import as_caller, make, make_dir, name_of

first, second, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
USER = 65534
USES = {
    "chmod": lambda path: os.chmod(path, 0o640),
    "utime": lambda path: os.utime(path, (1, 2)),
    "unlink from a sticky directory": os.unlink,
    "rename in a sticky directory": lambda path: os.rename(path, path + "-moved"),
}
held = []


def know(path, how):
    os.stat(path)
    if how == "stat":
        return
    fd = os.open(path, os.O_RDONLY)
    os.read(fd, 100)
    if how == "open":
        held.append(fd)
    else:
        os.close(fd)


def outcome(call, path):
    try:
        call(path)
        return "ok"
    except OSError as error:
        return name_of(error)


def expect(how, what, call, path, wanted):
    def body():
        end = time.monotonic() + 5
        got = outcome(call, path)
        while got != wanted and time.monotonic() < end:
            time.sleep(0.001)
            got = outcome(call, path)
        if got != wanted:
            print(f"known by {how}, {what}: {got}, not {wanted}", flush=True)

    as_caller(USER, USER, [], body)


def owners(how, directory):
    for use, call in USES.items():
        for owner, wanted in ((USER, "ok"), (0, "EPERM")):
            name = f"{directory}/{use.replace(' ', '-')}"
            make(f"{first}/{name}", uid=USER - owner)
            know(f"{second}/{name}", how)
            os.chown(f"{first}/{name}", owner, owner)
            expect(how, f"{use} of a file of {owner}'s", call, f"{second}/{name}", wanted)


def modes(how, directory):
    def read(path):
        os.close(os.open(path, os.O_RDONLY))

    for mode, wanted in ((0o644, "ok"), (0o600, "EACCES")):
        name = f"{directory}/mode"
        make(f"{first}/{name}", mode=0o644 ^ 0o600 ^ mode)
        know(f"{second}/{name}", how)
        os.chmod(f"{first}/{name}", mode)
        expect(how, f"open of a file of mode {mode:o}", read, f"{second}/{name}", wanted)


for number in range(rounds):
    for how in ("stat", "read", "open"):
        directory = f"{how}-{number}"
        make_dir(f"{first}/{directory}", mode=0o1777)
        owners(how, directory)
        modes(how, directory)
for fd in held:
    os.close(fd)
print(f"{rounds} rounds")
