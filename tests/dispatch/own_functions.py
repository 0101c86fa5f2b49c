"""Functions of a user's own that the tests of `foreign` let a gateway call."""

import threading

from trimtab.core import Plan, PlannedAttempt

gate = threading.Event()
threads = []


def first(call, offers, unit):
    gate.wait(5)
    threads.append(threading.current_thread())
    return Plan((PlannedAttempt(offers[0].endpoint, offers[0].model),))


def accept(reply, request):
    gate.wait(5)
    threads.append(threading.current_thread())
    return True
