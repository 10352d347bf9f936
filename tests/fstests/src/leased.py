"""leased.py FIRST SECOND ROUNDS: one directory as two clients have it. Each round one of them changes something, or a
few things in a row, and as soon as its last call has returned the other must show exactly that, by stat, listings,
lookups of what is there and of what is not, and through a file that it has open. Each has looked at everything before,
so that it knows the old state by heart.
"""
import os
import random
import stat
import sys

roots = sys.argv[1:3]
rounds = int(sys.argv[3])
chance = random.Random(rounds)
# What there is: of each path below the root the content of a file, the target of a link, None of a directory.
tree = {"": None}
gone = []
wrong = 0
new_names = 0


def complain(text):
    global wrong
    wrong += 1
    if wrong <= 10:
        print(text)


def at(client, path):
    return os.path.join(roots[client], path) if path else roots[client]


def directories():
    return [path for path, what in tree.items() if what is None]


def files():
    return [path for path, what in tree.items() if isinstance(what, bytes)]


def names_in(path):
    return {other.rpartition("/")[2] for other in tree if other and other.rpartition("/")[0] == path}


def new_path():
    global new_names
    new_names += 1
    # Names that were there before, too.
    if gone and chance.random() < 0.5:
        path = gone.pop(chance.randrange(len(gone)))
        if path not in tree and path.rpartition("/")[0] in directories():
            return path
    return os.path.join(chance.choice(directories()), f"n{new_names}")


def looks(client, path):
    """What stat shows that both must agree on."""
    found = os.lstat(at(client, path))
    return (stat.filemode(found.st_mode), found.st_ino, found.st_nlink, found.st_uid, found.st_gid, found.st_size,
            found.st_mtime_ns, found.st_ctime_ns)


def is_there(client, path):
    try:
        os.lstat(at(client, path))
        return True
    except (FileNotFoundError, NotADirectoryError):
        return False


# --- changes: each does its own on `client` and in the model, and returns the paths that it has touched ------

def create(client):
    path = new_path()
    tree[path] = bytes(chance.randrange(3000))
    with open(at(client, path), "xb") as file:
        file.write(tree[path])
    return [path]


def write(client):
    path = chance.choice(files())
    tree[path] = chance.randbytes(chance.randrange(3000))
    with open(at(client, path), "wb") as file:
        file.write(tree[path])
    return [path]


def append(client):
    path = chance.choice(files())
    tree[path] += b"more"
    with open(at(client, path), "ab") as file:
        file.write(b"more")
    return [path]


def truncate(client):
    path = chance.choice(files())
    size = chance.randrange(4000)
    tree[path] = tree[path][:size] + bytes(max(0, size - len(tree[path])))
    os.truncate(at(client, path), size)
    return [path]


def chmod(client):
    path = chance.choice(files() + directories())
    os.chmod(at(client, path), chance.choice([0o700, 0o755, 0o750, 0o711]))
    return [path]


def utime(client):
    path = chance.choice(files() + directories())
    os.utime(at(client, path), ns=(10**18, chance.randrange(10**18)))
    return [path]


def symlink(client):
    path = new_path()
    tree[path] = f"to {new_names}"
    os.symlink(tree[path], at(client, path))
    return [path]


def mkdir(client):
    path = new_path()
    tree[path] = None
    os.mkdir(at(client, path))
    return [path]


def remove(client):
    path = chance.choice([path for path in tree if path and not names_in(path)])
    if tree.pop(path) is None:
        os.rmdir(at(client, path))
    else:
        os.unlink(at(client, path))
    gone.append(path)
    return [path]


def rename(client):
    old = chance.choice([path for path in tree if path])
    new = new_path()
    if tree[old] is not None and files() and chance.random() < 0.4:
        new = chance.choice(files())
    if new == old or new.startswith(old + "/"):
        return chmod(client)
    os.rename(at(client, old), at(client, new))
    tree.pop(new, None)
    for path in [path for path in tree if path == old or path.startswith(old + "/")]:
        tree[new + path[len(old):]] = tree.pop(path)
    gone.append(old)
    return [old, new]


# --- what the other client shows ----------------------------------------------------------------------------

def check_gone(client, path, why):
    if path not in tree and is_there(client, path):
        complain(f"client {client}: {path} is still there ({why})")


def check_directory(client, path, why):
    shown = set(os.listdir(at(client, path)))
    if shown != names_in(path):
        complain(f"client {client}: the listing of {path!r} has {sorted(shown)}, not {sorted(names_in(path))} ({why})")
    if looks(client, path) != looks(1 - client, path):
        complain(f"client {client}: {path!r} is {looks(client, path)}, not {looks(1 - client, path)} ({why})")


def check(client, path, why):
    # The name itself first: a listing would bring all of the directory up to date.
    if path not in tree:
        check_gone(client, path, why)
    parent = path.rpartition("/")[0]
    if parent in tree:
        check_directory(client, parent, why)
    if path not in tree:
        return
    shown = looks(client, path)
    if shown != looks(1 - client, path):
        complain(f"client {client}: {path!r} is {shown}, not {looks(1 - client, path)} ({why})")
    what = tree[path]
    if what is None:
        check_directory(client, path, why)
    elif isinstance(what, str):
        if os.readlink(at(client, path)) != what:
            complain(f"client {client}: {path} leads elsewhere ({why})")
    else:
        with open(at(client, path), "rb") as file:
            if file.read() != what:
                complain(f"client {client}: {path} has another content ({why})")


def look_at_all(client, why):
    for path in list(tree):
        check(client, path, why)
    for path in gone:
        check_gone(client, path, why)


def one_change(client):
    change = chance.choice(CHANGES if len(tree) < 60 else [remove])
    if not files():
        change = create
    if len(tree) < 4 and change is remove:
        change = mkdir
    paths = change(client)
    return paths, f"{change.__name__} {' '.join(map(repr, paths))}"


def in_a_row(client):
    """What goes after something else in the same directory has, when the other has not looked in between."""
    names = [f"row{i}" for i in range(4)]
    os.mkdir(at(client, "row"))
    paths = [os.path.join("row", name) for name in names]
    for path in paths:
        open(at(client, path), "x").close()
    for path in paths:
        is_there(1 - client, path)
    os.unlink(at(client, paths[0]))
    os.unlink(at(client, paths[1]))
    os.rename(at(client, paths[2]), at(client, paths[0]))
    os.rename(at(client, paths[3]), at(client, "away"))
    for path in paths[1:]:
        check_gone(1 - client, path, "in a row")
    for path in (paths[0], "away"):
        if not is_there(1 - client, path):
            complain(f"client {1 - client}: {path} is not there (in a row)")
    os.unlink(at(1 - client, paths[0]))
    os.unlink(at(1 - client, "away"))
    os.rmdir(at(1 - client, "row"))


for row in range(20):
    in_a_row(row % 2)
CHANGES = [create, create, write, append, truncate, chmod, utime, symlink, mkdir, remove, remove, rename, rename]
for start in (create, mkdir, create):
    start(0)
for number in range(rounds):
    if number % 50 == 0:
        look_at_all(0, "all")
        look_at_all(1, "all")
    client = chance.randrange(2)
    watched = chance.choice(files()) if files() else None
    opened = watched and os.open(at(1 - client, watched), os.O_RDONLY)
    touched, why = [], f"round {number}, client {client}:"
    for _ in range(chance.choice([1, 1, 3])):
        paths, what = one_change(client)
        touched += paths
        why += f" {what};"
    if opened:
        here = os.fstat(opened)
        there = os.lstat(at(client, watched)) if watched in tree else here
        if here.st_ino == there.st_ino and (here.st_size, here.st_mode) != (there.st_size, there.st_mode):
            complain(f"client {1 - client}: {watched} as opened has {here.st_size} bytes ({why})")
        os.close(opened)
    for path in touched:
        check(1 - client, path, why)
    for path in touched:
        check(client, path, why)
print(f"{rounds} rounds, {wrong} changes did not show at once")
