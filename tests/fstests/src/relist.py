"""relist.py DIR: one open directory is listed again for each line on stdin, from its beginning."""
import os
import sys

directory = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECTORY)
print("ready", flush=True)
for _ in sys.stdin:
    # Rewinds the descriptor that it is given.
    print(" ".join(sorted(os.listdir(directory))) or "nothing", flush=True)
