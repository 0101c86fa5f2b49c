from trimtab import evaluation


def test_the_room_gives_what_it_lists():
    assert evaluation.__all__ == sorted(evaluation.__all__, key=lambda name: (name[0].islower(), name))
    assert all(hasattr(evaluation, name) for name in evaluation.__all__)
