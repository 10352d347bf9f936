# replaced.py SEEN CHANGED TURNS: another client replaces a file by renames in CHANGED, before each call that a
# program makes by its path in SEEN, the same directory. No call may fail, and what is opened is the newest.
import os
import sys

seen, changed, turns = sys.argv[1], sys.argv[2], int(sys.argv[3])


def replace(content):
    with open(f"{changed}/new", "wb") as file:
        file.write(content)
    os.rename(f"{changed}/new", f"{changed}/file")


def read():
    with open("file", "rb") as file:
        return file.read()


def store():
    with open("file", "r+b") as file:
        file.write(b"stored")


def link():
    os.link("file", "linked")
    os.unlink("linked")


def exchange():
    os.rename("file", "elsewhere")
    os.rename("elsewhere", "file")


calls = [read, store, link, exchange, lambda: os.stat("file"), lambda: os.chmod("file", 0o640),
         lambda: os.chown("file", 1, 1), lambda: os.utime("file"), lambda: os.access("file", os.R_OK),
         lambda: os.truncate("file", 3), lambda: os.listxattr("file"),
         lambda: os.setxattr("file", "user.a", b"value")]
failures = {}
old = 0
replace(b"first")
os.chdir(seen)
for turn in range(turns):
    for number, call in enumerate(calls):
        content = f"{turn} {number}".encode()
        read()  # so that this client knows the file that is about to go
        replace(content)
        try:
            result = call()
            old += call is read and result != content
        except OSError as error:
            text = f"call {number}: {error}"
            failures[text] = failures.get(text, 0) + 1
for text, times in failures.items():
    print(f"{text} ({times} times)")
print(f"{old} old files were opened")
