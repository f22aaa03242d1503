"""Names told apart without keeping them in memory."""

import threading

from anymask.formats.name_set import NameSet


def test_a_name_is_new_once() -> None:
    names = NameSet()
    found = [names.add(name) for name in ("a.jpg", "A.jpg", "a.jpg", "", "caf\udce9", "caf\ud8e9", "caf\udce9", "")]
    assert found == [True, True, False, True, True, True, False, False]
    names.close()


def test_another_thread_may_go_on() -> None:
    names = NameSet()
    names.add("a")
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.extend([names.add("a"), names.add("b")]))
    thread.start()
    thread.join()
    assert found == [False, True]
    names.close()
