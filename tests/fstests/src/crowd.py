"""crowd.py FIRST SECOND SECONDS: processes of two clients make, rename and remove names in one directory at the same
time. Some names are each process's own, and it knows what becomes of those; for others all compete. Meanwhile FIRST
makes and removes names of which SECOND must be told each time, in a directory where only FIRST is busy.
"""
import errno
import multiprocessing
import os
import random
import sys
import time

roots, seconds = sys.argv[1:3], float(sys.argv[3])
PROCESSES = 3  # of each client


def own_name_is_right(path, there):
    if os.path.lexists(path) != there:
        return f"{os.path.basename(path)} is {'not ' if there else ''}there for who has {'made' if there else 'removed'} it"
    return None


def compete(directory, chance):
    """Others may have come first, twice even (ESTALE: docs/SEMANTICS.md, paths-are-looked-up-again); nothing else may
    happen."""
    name, other = (os.path.join(directory, f"shared{chance.randrange(6)}") for _ in range(2))
    call = chance.choice([
        lambda: os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY)),
        lambda: os.unlink(name),
        lambda: os.rename(name, other),
        lambda: os.close(os.open(name, os.O_CREAT | os.O_WRONLY)),
        lambda: os.stat(name),
    ])
    try:
        call()
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOENT, errno.ESTALE):
            raise


def work(directory, number, end, results):
    chance, wrong, turns = random.Random(number), [], 0
    try:
        while time.monotonic() < end:
            turns += 1
            mine = os.path.join(directory, f"own{number}-{turns}")
            moved = mine + "-moved"
            os.close(os.open(mine, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            wrong.append(own_name_is_right(mine, True))
            for _ in range(3):
                compete(directory, chance)
            os.rename(mine, moved)
            wrong.append(own_name_is_right(mine, False))
            wrong.append(own_name_is_right(moved, True))
            if turns % 10:
                os.unlink(moved)
                wrong.append(own_name_is_right(moved, False))
            os.listdir(directory)
    except OSError as error:
        wrong.append(f"turn {turns}: {errno.errorcode.get(error.errno)} {error.filename}")
    results.put([text for text in wrong if text])


def make_noise(directory, number, end, results):
    while time.monotonic() < end:
        path = os.path.join(directory, f"noise{number}")
        open(path, "x").close()
        os.unlink(path)
    results.put([])


def watch(made_in, seen_in, end, results):
    wrong, turn = [], 0
    while time.monotonic() < end:
        turn += 1
        name = f"told{turn % 7}"
        here, there = os.path.join(made_in, name), os.path.join(seen_in, name)
        if os.path.lexists(there):
            wrong.append(f"turn {turn}: {name} is there before it is made")
        open(here, "x").close()
        if not os.path.lexists(there):
            wrong.append(f"turn {turn}: {name} is made, and not there")
        os.unlink(here)
        if os.path.lexists(there):
            wrong.append(f"turn {turn}: {name} is removed, and still there")
    results.put(wrong)


def run(jobs):
    results = multiprocessing.Queue()
    end = time.monotonic() + seconds
    processes = [multiprocessing.Process(target=job, args=(*rest, end, results), daemon=True) for job, *rest in jobs]
    for process in processes:
        process.start()
    wrong = []
    for _ in processes:
        wrong += results.get(timeout=seconds + 30)
    for process in processes:
        process.join(timeout=10)
    return wrong


for name in ("crowd", "told"):
    os.mkdir(os.path.join(roots[0], name))
crowd = [os.path.join(root, "crowd") for root in roots]
told = [os.path.join(root, "told") for root in roots]
wrong = run([(work, crowd[number % 2], number) for number in range(2 * PROCESSES)])
print("a crowd:", *(sorted(set(wrong))[:10] or ["all as it should be"]), sep="\n")
wrong = run([(watch, *told), (make_noise, told[0], 1), (make_noise, told[0], 2)])
print("told among others:", *(wrong[:10] or ["all as it should be"]), sep="\n")
