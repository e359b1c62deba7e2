"""The order of epochs: whole ones, the same from any place, another for other parts."""

from temporay.operators.seeding import place_in_epochs


def test_each_comes_once_an_epoch_whatever_the_place_asked_for_first() -> None:
    late = [place_in_epochs(place, 10, "sft", 3) for place in range(7, 16)]
    whole = [place_in_epochs(place, 10, "sft", 3) for place in range(30)]
    for epoch in range(3):
        assert sorted(whole[10 * epoch : 10 * epoch + 10]) == list(range(10))
    assert whole[:10] != whole[10:20] != whole[20:]
    assert late == whole[7:16]
    assert whole != [place_in_epochs(place, 10, "sft", 4) for place in range(30)]
