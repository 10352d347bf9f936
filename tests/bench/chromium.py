"""A headless Chromium of our own, driven through a pipe (Chrome DevTools Protocol), bounded in time.

It has a profile of its own that is removed, no network, and is ended with all its processes whatever
happens.
"""

import base64
import json
import os
import selectors
import shutil
import signal
import subprocess
import tempfile
import time

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--in-process-gpu",
    "--disable-renderer-backgrounding",
    "--renderer-process-limit=1",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-breakpad",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-pipe",
)


class ChromiumError(Exception):
    pass


class Chromium:
    def __init__(self, limit_s):
        program = shutil.which("chromium")
        if not program:
            raise ChromiumError("chromium is missing; scripts/setup installs it")
        self.deadline = time.monotonic() + limit_s
        self.profile = tempfile.mkdtemp(prefix="foliofs-chromium-")
        requests, self.requests = os.pipe()
        self.answers, answers = os.pipe()

        def take_descriptors():  # Chromium reads from 3 and writes to 4
            high = [os.dup(requests), os.dup(answers)]
            os.dup2(high[0], 3, inheritable=True)
            os.dup2(high[1], 4, inheritable=True)

        self.process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={self.profile}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            close_fds=False,
            preexec_fn=take_descriptors,
            start_new_session=True,
            env={**os.environ, "HOME": self.profile, "XDG_CONFIG_HOME": self.profile, "XDG_CACHE_HOME": self.profile},
        )
        os.close(requests)
        os.close(answers)
        self.received = b""
        self.calls = 0
        self.events = []
        self.session = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.requests)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        os.close(self.answers)
        for _ in range(50):  # its last processes may still write there
            shutil.rmtree(self.profile, ignore_errors=True)
            if not os.path.exists(self.profile):
                break
            time.sleep(0.1)

    def next_message(self):
        with selectors.DefaultSelector() as selector:
            selector.register(self.answers, selectors.EVENT_READ)
            while b"\0" not in self.received:
                left = self.deadline - time.monotonic()
                if left <= 0 or not selector.select(left):
                    raise ChromiumError("chromium does not answer in time")
                piece = os.read(self.answers, 1 << 20)
                if not piece:
                    raise ChromiumError("chromium has ended")
                self.received += piece
        line, self.received = self.received.split(b"\0", 1)
        return json.loads(line)

    def call(self, method, **params):
        self.calls += 1
        request = {"id": self.calls, "method": method, "params": params}
        if self.session:
            request["sessionId"] = self.session
        os.write(self.requests, json.dumps(request).encode() + b"\0")
        while True:
            message = self.next_message()
            if message.get("id") == request["id"]:
                if "error" in message:
                    raise ChromiumError(f"{method}: {message['error']['message']}")
                return message["result"]
            self.events.append(message)

    def wait_for(self, event):
        while True:
            for index, message in enumerate(self.events):
                if message.get("method") == event:
                    return self.events.pop(index)
            self.events.append(self.next_message())

    def open(self, path, width, height, scheme):
        """Loads a file as a phone or a desktop of that size and colour scheme has it."""
        if not self.session:
            # The page that it has begun with: another one would be another process.
            targets = self.call("Target.getTargets")["targetInfos"]
            target = next(each["targetId"] for each in targets if each["type"] == "page")
            self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.call(f"{domain}.enable")
        self.events.clear()
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url="file://" + os.path.abspath(path))
        self.wait_for("Page.loadEventFired")

    def evaluate(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise ChromiumError(f"the probe failed: {result['exceptionDetails']}")
        return result["result"].get("value")

    def complaints(self):
        """What the page has brought to the console, and what it asked for besides itself."""
        found = []
        for message in self.events:
            method, params = message.get("method"), message.get("params", {})
            if method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
                found.append(f"{method}: {json.dumps(params)[:300]}")
            if method == "Network.requestWillBeSent":
                url = params["request"]["url"]
                if params.get("type") != "Document" and not url.startswith("data:"):
                    found.append(f"the page asks for {url}")
        return found

    def screenshot(self, path):
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))
