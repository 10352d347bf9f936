# dirwatch.py SCANNED CHANGED COUNT SCANS: lists the directory SCANNED, in which COUNT names stay,
# SCANS times while other names come and go in CHANGED, which is the same directory as another client sees
# it. Each listing must have each name that stays once, and none twice.
import os
import subprocess
import sys
import time

scanned, changed, count, scans = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

CHURN = """
import os, sys
os.chdir(sys.argv[1])
turn = 0
while True:
    for i in range(200):
        open(f"goes-{turn}-{i}", "x").close()
    for i in range(0, 200, 2):
        os.rename(f"goes-{turn}-{i}", f"moved-{turn}-{i}")
    for i in range(200):
        os.unlink(f"moved-{turn}-{i}" if i % 2 == 0 else f"goes-{turn}-{i}")
    turn += 1
"""


def judge(names):
    staying = sum(name.startswith("stays-") for name in names)
    unique = len(set(names))
    if staying != count or unique != len(names):
        print(f"{staying} of {count} that stay, {len(names) - unique} names twice")
        return False
    return True


churn = subprocess.Popen([sys.executable, "-c", CHURN, changed], stderr=subprocess.DEVNULL)
try:
    deadline = time.monotonic() + 20
    while not any(name.startswith("goes") for name in os.listdir(changed)) and time.monotonic() < deadline:
        pass
    right = 0
    for scan in range(scans):
        # Now with the attributes of each, as ls -l has it, now without.
        entries = list(os.scandir(scanned))
        if scan % 2 == 1:
            for entry in entries[:500]:
                try:
                    entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    pass
        right += judge([entry.name for entry in entries])
    print("the others came and went" if churn.poll() is None else "the changes ended early")
    print(f"{right} of {scans} listings are right")
finally:
    churn.kill()
    churn.wait(timeout=20)
