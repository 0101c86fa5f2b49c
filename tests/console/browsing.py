"""A real browser: Debian's Chromium under Playwright, and axe's audit of what it shows."""

import os
import re
import shutil
from contextlib import asynccontextmanager
from pathlib import Path

AXE = Path(__file__).parents[1] / "npm" / "node_modules" / "axe-core" / "axe.min.js"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# `make test-console` installs everything and says where pictures go; then nothing may be missing.
SCREENSHOTS = os.environ.get("TRIMTAB_SCREENSHOTS", "")
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
_IDLE = "document.readyState === 'complete'"


def lacking():
    """What is not here of what a browser needs; '' for nothing."""
    try:
        import playwright.async_api  # noqa: F401
    except ModuleNotFoundError:
        return "playwright"
    if CHROMIUM is None:
        return "Debian's chromium"
    return "" if AXE.is_file() else "axe-core"


@asynccontextmanager
async def chromium():
    """One browser."""
    from playwright.async_api import async_playwright

    async with async_playwright() as made:
        browser = await made.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            await browser.close()


class Window:
    """One window of a browser, with all that it complained of."""

    def __init__(self, context, page, url):
        self.context, self.page, self.url = context, page, url
        self.complaints = []
        page.on("console", lambda said: said.type == "error" and self.complaints.append(said.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    async def sign_in(self, key):
        await self.page.goto(f"{self.url}/console/sign-in")
        await self.page.fill("input[name=key]", key)
        await self.page.click("main button")
        return self

    async def open(self, path):
        """A page of the console; its answer."""
        self.complaints.clear()
        answer = await self.page.goto(self.url + path, wait_until="load")
        await self.page.wait_for_function(_IDLE)
        return answer

    async def overflow(self):
        """Pixels that the page is wider than the window."""
        return await self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")

    async def violations(self):
        """What axe finds wrong with the page."""
        # The audit is put in by the browser's own hand: the page's policy lets no foreign script in.
        await self.page.evaluate(AXE.read_text())
        found = await self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{each['id']}: {node['target']} {node['failureSummary']}"
            for each in found["violations"]
            for node in each["nodes"][:3]
        ]

    async def picture(self, name):
        """Keep how the page looks, where pictures are wanted."""
        if SCREENSHOTS:
            Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
            file = Path(SCREENSHOTS) / f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}.png"
            await self.page.screenshot(path=str(file), full_page=True)


@asynccontextmanager
async def window(browser, url, size=WIDE, scheme="light", script=True):
    """A window of its own, with cookies of its own."""
    context = await browser.new_context(viewport=size, color_scheme=scheme, java_script_enabled=script)
    try:
        yield Window(context, await context.new_page(), url)
    finally:
        await context.close()
