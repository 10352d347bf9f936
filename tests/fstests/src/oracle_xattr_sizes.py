# Values and lists up to Linux's limits and beyond them. See as_caller.py.
import os
import sys

from as_caller import attempt, make, say

os.chdir(sys.argv[1])

make("f")
for size in [4096, 32768, 65535, 65536, 65537]:
    attempt(f"set {size} bytes", os.setxattr, "f", "user.large", b"v" * size)
    attempt("get", os.getxattr, "f", "user.large", show=lambda value: f"{len(value)} {set(value)}")
attempt("a smaller one instead", os.setxattr, "f", "user.large", b"small")
attempt("get", os.getxattr, "f", "user.large", show=repr)
os.removexattr("f", "user.large")

refused = None
for number in range(300):
    try:
        os.setxattr("f", f"user.{number:03}" + "n" * 242, b"")
    except OSError as error:
        refused = error
        break
say("names of 250 bytes", number if refused else "all of them")
attempt("list", os.listxattr, "f", show=lambda names: f"{len(names)} {len(set(names))}")
for number in range(299, 250, -1):
    try:
        os.removexattr("f", f"user.{number:03}" + "n" * 242)
    except OSError:
        pass
attempt("list of fewer", os.listxattr, "f", show=lambda names: f"{len(names)} {len(set(names))}")
