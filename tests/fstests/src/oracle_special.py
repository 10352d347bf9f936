# Fifos, sockets and devices that are used; programs that run and are written to; EXDEV.
import os
import shutil
import socket
import stat
import subprocess
import sys
import threading

from as_caller import attempt, make, say

os.chdir(sys.argv[1])
os.umask(0)


def talk_over_a_fifo():
    os.mkfifo("fifo", 0o622)
    say("mode", stat.filemode(os.stat("fifo").st_mode))
    attempt("write without a reader", os.open, "fifo", os.O_WRONLY | os.O_NONBLOCK)
    writer = subprocess.Popen(["sh", "-c", "for i in 1 2 3; do echo line $i; done >fifo"])
    with open("fifo", "rb") as reader:  # waits for the other end
        say("read", reader.read())
    say("the writer ends with", writer.wait(timeout=20))
    fd = os.open("fifo", os.O_RDWR)
    os.write(fd, b"kept")
    os.rename("fifo", "moved")
    other = os.open("moved", os.O_RDONLY | os.O_NONBLOCK)
    say("through its new name", os.read(other, 10))
    os.unlink("moved")
    os.write(fd, b"nameless")
    say("without a name", os.read(other, 20))
    attempt("seek", os.lseek, fd, 0, os.SEEK_SET)
    attempt("fsync", os.fsync, fd)
    attempt("size", lambda: os.fstat(fd).st_size, show=str)
    os.close(fd)
    os.close(other)


def talk_over_a_socket():
    server = socket.socket(socket.AF_UNIX)
    server.settimeout(20)
    server.bind("socket")
    attempt("bind again", socket.socket(socket.AF_UNIX).bind, "socket")
    attempt("connect before listen", socket.socket(socket.AF_UNIX).connect, "socket")
    server.listen(1)
    say("mode", stat.filemode(os.lstat("socket").st_mode))
    attempt("open", os.open, "socket", os.O_RDWR)

    def answer():
        peer, _ = server.accept()
        peer.sendall(peer.recv(100).upper())
        peer.close()
    answering = threading.Thread(target=answer, daemon=True)
    answering.start()
    os.rename("socket", "elsewhere")
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(20)
    attempt("connect to the old name", client.connect, "socket")
    client.connect("elsewhere")
    client.sendall(b"hello")
    say("answer", client.recv(100))
    answering.join(20)
    server.close()
    attempt("connect to a socket that nobody has", socket.socket(socket.AF_UNIX).connect, "elsewhere")
    make("file")
    attempt("connect to a file", socket.socket(socket.AF_UNIX).connect, "file")


def devices():
    for word, mode, number in [("null", stat.S_IFCHR, os.makedev(1, 3)), ("block", stat.S_IFBLK, os.makedev(7, 200)),
                               ("large", stat.S_IFCHR, os.makedev(511, 1048575))]:
        attempt(f"mknod {word}", os.mknod, word, mode | 0o640, number)
        info = os.lstat(word)
        say("is", f"{stat.filemode(info.st_mode)} {os.major(info.st_rdev)} {os.minor(info.st_rdev)} {info.st_size}")
    attempt("mknod of a directory", os.mknod, "d", stat.S_IFDIR | 0o700)
    attempt("of a symlink", os.mknod, "l", stat.S_IFLNK | 0o700)
    attempt("of an unknown kind", os.mknod, "u", 0o030000 | 0o700)
    for word, mode in [("a file", stat.S_IFREG | 0o600), ("no kind", 0o600), ("fifo", stat.S_IFIFO | 0o600),
                       ("socket", stat.S_IFSOCK | 0o600)]:
        attempt(f"of {word}", os.mknod, word, mode)
        say("is", stat.filemode(os.lstat(word).st_mode))


def running_programs():
    shutil.copy("/bin/sleep", "program")
    os.chmod("program", 0o755)
    fd = os.open("program", os.O_RDWR)
    attempt("run what is open for writing", subprocess.run, ["./program", "0"], check=True)
    os.close(fd)
    running = subprocess.Popen(["./program", "20"])
    try:
        attempt("write to it while it runs", os.open, "program", os.O_WRONLY)
        attempt("truncate it", os.truncate, "program", 10)
        attempt("open with O_TRUNC", os.open, "program", os.O_RDONLY | os.O_TRUNC)
        attempt("chmod", os.chmod, "program", 0o700)
        attempt("rename over it", lambda: (make("new"), os.rename("new", "program")))
        say("it runs", running.poll() is None)
    finally:
        running.kill()
        running.wait(timeout=20)
    attempt("write to what is there now", lambda: os.close(os.open("program", os.O_WRONLY)))
    attempt("run what is no program", subprocess.run, ["./program"], check=True)


def other_filesystems():
    make("f")
    os.mkdir("d")
    foreign = f"/dev/shm/foliofs-exdev-{os.getpid()}"
    attempt("link to another filesystem", os.link, "f", foreign)
    attempt("rename", os.rename, "f", foreign)
    attempt("rename a directory", os.rename, "d", foreign)
    attempt("rename what is not there", os.rename, "nothing", foreign)
    attempt("a symlink is as good as any", lambda: (os.symlink("/dev/shm", "away"), os.listdir("away")))
    attempt("link through it", os.link, "f", "away/" + os.path.basename(foreign))


for part in [talk_over_a_fifo, talk_over_a_socket, devices, running_programs, other_filesystems]:
    print(f"--- {part.__name__}", flush=True)
    os.mkdir(part.__name__)
    os.chdir(part.__name__)
    part()
    os.chdir("..")
