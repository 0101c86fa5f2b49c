"""A visitor of the console over a socket, as a browser without JavaScript is: cookies, forms with their token."""

import html
import io
import re
from urllib.parse import urlencode

import aiohttp

from gateway.served import Answered

_TOKEN = re.compile(r'name="token" value="([0-9a-f]{64})"')


class Guest:
    """One browser. `get` and `send` do not follow redirects unless told to."""

    def __init__(self, url):
        self.url = url
        self.session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def close(self):
        await self.session.close()

    async def get(self, path, follow=False, **headers):
        async with self.session.get(self.url + path, allow_redirects=follow, headers=headers) as answer:
            return Answered(answer.status, answer.headers, await answer.read())

    async def send(self, path, form, **headers):
        """POST a form as it is."""
        named = {"content-type": "application/x-www-form-urlencoded"} | headers
        body = io.BytesIO(urlencode(form).encode())
        async with self.session.post(
            self.url + path, data=body, allow_redirects=False, headers=named
        ) as answer:
            return Answered(answer.status, answer.headers, await answer.read())

    async def token(self, path="/console"):
        """The token that a page's forms carry."""
        return _TOKEN.search(page(await self.get(path))).group(1)

    async def act(self, path, form, seen="/console"):
        """POST a form with the token of a page."""
        return await self.send(path, form | {"token": await self.token(seen)})

    async def sign_in(self, key):
        answer = await self.send("/console/sign-in", {"key": key})
        assert answer.status == 303, page(answer)
        return self


def page(answer):
    """A page's text, entities resolved nowhere."""
    return answer.body.decode()


def words(answer):
    """What a reader sees: no tags."""
    return html.unescape(re.sub(r"<[^>]*>", " ", page(answer)))
