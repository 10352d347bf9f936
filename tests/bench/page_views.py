"""A page of scripts/bench as a reader sees it: on a phone and on a desktop, in light and in dark.

PageViews has the tests that every page has to pass; a page's own test derives from it and says which page.
"""

import os
import re
import shutil
import tempfile

from chromium import Chromium

HERE = os.path.dirname(os.path.abspath(__file__))
LIMIT_S = 240
VIEWS = [(width, height, scheme) for width, height in ((360, 740), (1280, 900)) for scheme in ("light", "dark")]


def last_number(text):
    return re.search(r"([\d,.]+(?: (?:µs|ms|s|B|KiB|MiB|GiB)|[×%])?)$", text)[1]


class PageViews:
    """Derive from this and unittest.TestCase."""

    keep = None  # a folder in which page and screenshots are left
    least_texts = 100

    @classmethod
    def make_page(cls, path):
        """Writes the page that is looked at."""
        raise NotImplementedError

    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="foliofs-page-")
        cls.addClassCleanup(shutil.rmtree, cls.dir, True)
        page = os.path.join(cls.dir, "page.html")
        cls.make_page(page)
        with open(os.path.join(HERE, "probe.js"), encoding="utf-8") as file:
            probe = file.read()
        cls.seen = {}
        with Chromium(LIMIT_S) as chromium:
            for width, height, scheme in VIEWS:
                chromium.open(page, width, height, scheme)
                if cls.keep:
                    chromium.screenshot(os.path.join(cls.keep, f"page-{width}-{scheme}.png"))
                seen = chromium.evaluate(probe)
                seen["complaints"] = chromium.complaints()
                cls.seen[width, scheme] = seen
        if cls.keep:
            shutil.copy(page, cls.keep)
        cls.any = cls.seen[VIEWS[0][0], VIEWS[0][2]]

    def each_view(self):
        return list(self.seen.values())

    def test_nothing_is_wider_than_the_screen(self):
        for seen in self.each_view():
            self.assertLessEqual(seen["scrollWidth"], seen["width"])
            self.assertEqual(seen["outside"], [])
            self.assertEqual(seen["overlapping"], [])
        phone = self.seen[360, "light"]
        self.assertEqual(phone["width"], 360)
        self.assertGreater(phone["tableBox"]["scroll"], phone["tableBox"]["client"])
        self.assertEqual(phone["tableBox"]["overflow"], "auto")
        self.assertIn("width=device-width", phone["viewport"])

    def test_text_and_marks_can_be_read_in_light_and_dark(self):
        for (_, scheme), seen in self.seen.items():
            with self.subTest(scheme=scheme, width=seen["width"]):
                self.assertEqual(seen["dark"], scheme == "dark")
                self.assertTrue(seen["luminance"] < 0.05 if scheme == "dark" else seen["luminance"] > 0.8)
                for text in seen["texts"]:
                    self.assertGreaterEqual(text["contrast"], 4.5, text["words"])
                    self.assertGreaterEqual(text["size"], 10.5, text["words"])
                    self.assertGreater(text["height"], 0, text["words"])
                self.assertGreater(len(seen["texts"]), self.least_texts)
                for plot in seen["plots"]:
                    for mark in plot["marks"]:
                        self.assertGreaterEqual(mark["contrast"], 3, mark["words"])

    def test_plots_are_described(self):
        for plot in self.any["plots"]:
            self.assertEqual(plot["role"], "img")
            title, description = plot["labelled"]
            self.assertTrue(title)
            for mark in plot["marks"]:
                self.assertIn(last_number(mark["words"]), description, plot["id"])

    def test_the_page_needs_nothing_else_and_complains_of_nothing(self):
        for seen in self.each_view():
            self.assertEqual(seen["complaints"], [])
            self.assertEqual(seen["scripts"], 0)
            self.assertEqual(seen["links"], [])
            self.assertEqual(seen["notFinite"], 0)
