"""A made-up library desk: members, loans, an agent that looks up and renews. Runs of it for tests of step controllers.

Everything is drawn from a seed; nothing of it comes from recorded data.
"""

import random
from functools import cache

from trimtab.controllers import Conversation, Thresholds, Tool, ToolCall, Turn, tool_digests
from trimtab.learning.episodes import Episode
from trimtab.learning.moments import learn_catalogue, live_through
from trimtab.learning.step_fit import assemble, fit_action, fit_step, see

FIRST = ("Anna", "Boris", "Chen", "Dara", "Emil", "Fatma", "Gita", "Hugo", "Iris", "Jonas")
LAST = ("Berg", "Costa", "Dahl", "Engel", "Fox", "Grau", "Holm", "Ito", "Jung", "Klein")
TITLES = ("Dunes", "Harbour", "Meridian", "Orchard", "Quartz", "Sparrow", "Tundra", "Winter")
READ_ONLY = ("find_by_name", "find_member", "get_loan", "get_member")


def schema(**arguments):
    """An object of required strings, or of what is given instead."""
    properties = {name: kind or {"type": "string"} for name, kind in arguments.items()}
    return {"type": "object", "properties": properties, "required": sorted(properties)}


TOOLS = (
    Tool("find_by_name", schema(first_name=None, last_name=None, zip=None), read_only=True),
    Tool("find_member", schema(card=None), read_only=True),
    Tool("get_loan", schema(loan_id=None), read_only=True),
    Tool("get_member", schema(member_id=None), read_only=True),
    Tool("renew_loan", schema(loan_id=None, reason={"type": "string", "enum": ["asked", "late"]})),
)


class Desk:
    """One run being played. `turns` are what was said so far."""

    def __init__(self, number, seed=0):
        self.draw = random.Random(f"{seed} {number}")
        self.turns = [Turn("system", "You are the desk of a library.")]
        self.count = 0
        first, last = self.draw.choice(FIRST), self.draw.choice(LAST)
        self.names = {"first_name": first, "last_name": last, "zip": f"{self.draw.randint(10000, 99999)}"}
        self.member = f"{first.lower()}_{last.lower()}_{self.draw.randint(1000, 9999)}"
        self.card = f"C{self.draw.randint(100000, 999999)}"
        loans = self.draw.sample(range(10000, 99999), self.draw.randint(1, 3))
        self.loans = dict(zip((f"L{loan}" for loan in loans), self.draw.sample(TITLES, 3), strict=False))
        self.wanted = self.draw.choice(list(self.loans))

    def say(self, speaker, text):
        self.turns.append(Turn(speaker, text))

    def call(self, name, result, **arguments):
        """The agent's call and its result."""
        self.count += 1
        id = f"c{self.count}"
        self.turns.append(Turn("assistant", "", (ToolCall(name, arguments, id),)))
        self.turns.append(Turn("tool", result, tool_call_id=id))

    def open(self):
        """What the user wants, and who they are: by card or by name."""
        wish = f"please renew my loan of {self.loans[self.wanted]}"
        if self.draw.random() < 0.6:
            self.say("user", f"Hello, {wish}. My card is {self.card}.")
            return
        names = self.names
        self.say("user", f"Hi, {wish}. I am {names['first_name']} {names['last_name']}, zip {names['zip']}.")

    def find(self):
        if self.card in self.turns[-1].text:
            self.call("find_member", self.member, card=self.card)
        else:
            self.call("find_by_name", self.member, **self.names)

    def look_up(self):
        listed = ", ".join(f'"{loan}"' for loan in self.loans)
        told = f'{{"member_id": "{self.member}", "note": "kind", "fines": 0, "loans": [{listed}]}}'
        self.call("get_member", told, member_id=self.member)
        for loan, title in self.loans.items():
            told = f'{{"loan_id": "{loan}", "title": "{title}", "state": "lent", "weeks": 3}}'
            self.call("get_loan", told, loan_id=loan)
            if loan == self.wanted:
                break

    def close(self):
        self.say("assistant", f"I found {self.loans[self.wanted]}. Shall I renew it?")
        self.say("user", "Yes, do that.")
        told = f'{{"loan_id": "{self.wanted}", "state": "renewed"}}'
        self.call("renew_loan", told, loan_id=self.wanted, reason="asked")
        self.say("assistant", "It is renewed.")


def played(number, seed=0):
    """A whole run."""
    desk = Desk(number, seed)
    desk.open()
    desk.find()
    desk.look_up()
    desk.close()
    return desk


def episode(number, seed=0):
    """A whole run as an episode; two runs a task."""
    desk = played(number, seed)
    turns = tuple(desk.turns)
    prices = tuple(1000 if turn.speaker == "assistant" else None for turn in turns)
    return Episode(f"run{number}", "desk", "clerk", f"task{number // 2}", 1.0, turns, prices, TOOLS)


@cache
def episodes(count=40, seed=0):
    return tuple(episode(number, seed) for number in range(count))


@cache
def lived():
    """All episodes with the catalogue they were lived with."""
    catalogue = learn_catalogue(episodes(), {"clerk"})
    return tuple(live_through(one, catalogue) for one in episodes()), catalogue


@cache
def fitted():
    """Cue tables and trees of all episodes."""
    return fit_step(*lived(), 0)


@cache
def trained():
    """A real model of the desk."""
    action = fit_action(see(fitted(), lived()[0]), 0)
    return assemble(fitted(), action, Thresholds(eager=0.9, exact=0.9), tool_digests(TOOLS))


def asked(number=901, seed=5, upto="open", tools=TOOLS):
    """A conversation of a run nobody trained on, up to its opening, its finding of the member, or its look-ups."""
    desk = Desk(number, seed)
    for step in ("open", "find", "look_up"):
        getattr(desk, step)()
        if step == upto:
            break
    return Conversation(tuple(desk.turns), tools)
