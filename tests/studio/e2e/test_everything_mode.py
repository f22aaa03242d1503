"""Everything mode: proposals are there before they are asked for, and are taken or refused by a click."""

from __future__ import annotations

from typing import Any

from .browser import StudioPage, pixels_of
from .server import Server

COPIES = {"coffee": 3}


def place_in(proposal: dict[str, Any], others: list[dict[str, Any]]) -> tuple[float, float]:
    """A point of a proposal where no smaller one lies."""
    free = pixels_of(proposal, 400, 600)
    for other in others:
        if other["area"] < proposal["area"]:
            free &= ~pixels_of(other, 400, 600)
    y, x = free.nonzero()
    middle = len(x) // 2
    return float(x[middle]) + 0.5, float(y[middle]) + 0.5


def proposals(studio: StudioPage) -> list[dict[str, Any]]:
    studio.tool("everything")
    studio.wait("state.proposals !== null && state.proposals.length > 3")
    return studio.state("proposals")  # type: ignore[no-any-return]


def test_accept_reject_reload(studio: StudioPage, server: Server, coffee):
    found = sorted(proposals(studio), key=lambda one: one["area"])
    taken, refused, also_refused = found[0], found[1], found[2]
    x, y = place_in(taken, found)
    studio.move(x, y)
    studio.wait(f"state.hoveredProposal === {taken['id']!r}")
    studio.click(x, y)
    studio.wait("state.objects.length === 1")
    accepted = studio.objects[0]
    assert (accepted["id"], accepted["counts"]) == (taken["id"], taken["counts"])
    assert (accepted["source"], accepted["finished"]) == ("automatic", True)
    for proposal, how in ((refused, {"button": "right"}), (also_refused, {"modifier": "Alt"})):
        studio.click(*place_in(proposal, [one for one in found if one["id"] != taken["id"]]), **how)
        studio.wait(f"!state.proposals.some((one) => one.id === {proposal['id']!r})")
    studio.wait_until_saved()
    assert [one["id"] for one in server.objects(coffee)] == [taken["id"]]

    studio.reload()
    studio.wait_until_ready()
    left = {one["id"] for one in proposals(studio)}
    assert [one["id"] for one in studio.objects] == [taken["id"]]
    assert not left & {taken["id"], refused["id"], also_refused["id"]}


def test_undo_gives_proposals_back(studio: StudioPage, server: Server, coffee):
    found = sorted(proposals(studio), key=lambda one: one["area"])
    studio.click(*place_in(found[0], found))
    studio.wait("state.objects.length === 1")
    studio.click(*place_in(found[1], found), button="right")
    for proposal in (found[1], found[0]):
        studio.press("Control+z")
        studio.wait(f"state.proposals.some((one) => one.id === {proposal['id']!r})")
    assert studio.objects == []
    studio.press("Control+Shift+z")
    studio.wait("state.objects.length === 1")
    studio.wait_until_saved()
    assert [one["id"] for one in server.objects(coffee)] == [found[0]["id"]]


def test_an_accepted_proposal_is_refined_by_a_click(studio: StudioPage, server: Server, coffee):
    found = sorted(proposals(studio), key=lambda one: -one["area"])
    studio.click(*place_in(found[0], found))
    studio.wait("state.objects.length === 1")
    before = studio.objects[0]
    studio.page.get_by_test_id("object-list").locator(f"[data-object='{before['id']}']").click()
    studio.tool("segment")
    if studio.state("selected") is None:
        studio.page.get_by_test_id("object-list").locator(f"[data-object='{before['id']}']").click()
    x, y = place_in(found[0], found)
    studio.click(x, y, button="right")
    after = studio.selected
    assert (after["id"], after["prompts"]["base"]) == (before["id"], before["counts"])
    assert after["counts"] != before["counts"]
    studio.wait_until_saved()
    assert server.objects(coffee) == studio.objects
