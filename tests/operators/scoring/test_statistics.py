"""Clustered errors, paired tests, repeated answers and power: by hand, against scipy, and against simulation."""

import math

import numpy as np
import pytest
from scipy import stats
from temporay.operators.scoring.clustered import (
    cluster_bootstrap,
    clustered_error,
    clustered_interval,
    design_effect,
)
from temporay.operators.scoring.metrics import accuracy_interval
from temporay.operators.scoring.paired import compare_paired, mcnemar_p, sign_flip_p
from temporay.operators.scoring.power import difference_seen, independent_discordant, questions_needed, told_before
from temporay.operators.scoring.repeated import repeated


def test_clustered_error_by_hand() -> None:
    """Distances to the mean 0.5: cluster a has +0.5 +0.5, b has -0.5 -0.5. Pairs add 4 · 0.25."""
    values, clusters = [1.0, 1.0, 0.0, 0.0], ["a", "a", "b", "b"]
    assert clustered_error(values, clusters) == pytest.approx(math.sqrt((4 * 0.25 / 3) / 4 + 4 * 0.25 / 16))
    assert clustered_error(values, list("abcd")) == pytest.approx(stats.sem(values))
    assert math.isnan(clustered_error([1.0], ["a"]))
    with pytest.raises(ValueError, match="2 values need as many names"):
        clustered_error([1.0, 0.0], ["a"])


def correlated(rng: np.random.Generator, num_clusters: int = 80, size: int = 4) -> tuple[list[float], list[str]]:
    """Draw scores whose clusters have accuracies of their own; the mean is 0.5."""
    shares = rng.beta(1.0, 1.0, num_clusters)
    values = (rng.random((num_clusters, size)) < shares[:, None]).astype(float)
    return values.ravel().tolist(), [str(c) for c in range(num_clusters) for _ in range(size)]


def by_cluster(values: list[float], clusters: list[str]) -> list[list[float]]:
    return [[v for v, name in zip(values, clusters, strict=True) if name == one] for one in dict.fromkeys(clusters)]


def mean_of(units: list[list[float]]) -> float:
    return float(np.mean([value for unit in units for value in unit]))


def test_intervals_cover_the_truth_although_questions_share_videos() -> None:
    rng = np.random.default_rng(5)
    hits = {"clustered": 0, "bootstrap": 0, "independent": 0}
    for _ in range(200):
        values, clusters = correlated(rng)
        found = {
            "clustered": clustered_interval(values, clusters),
            "bootstrap": cluster_bootstrap(by_cluster(values, clusters), mean_of, num_resamples=200),
            "independent": accuracy_interval(values),
        }
        for name, interval in found.items():
            hits[name] += interval.low <= 0.5 <= interval.high
    assert 0.90 <= hits["clustered"] / 200 <= 0.99
    assert 0.88 <= hits["bootstrap"] / 200 <= 0.99
    assert hits["independent"] / 200 < 0.88  # what ignoring videos costs


def test_scores_that_are_all_the_same_are_not_certain() -> None:
    interval = clustered_interval([1.0] * 8, ["a", "a", "a", "a", "b", "b", "b", "b"])
    assert interval.value == 1.0
    assert interval.low == accuracy_interval([1.0, 1.0]).low  # two videos
    assert design_effect([1.0] * 8, list("aaaabbbb")) == 4
    assert clustered_interval([], []).n == cluster_bootstrap([], mean_of).n == 0


def test_the_bootstrap_is_the_same_in_every_run() -> None:
    units = by_cluster(*correlated(np.random.default_rng(1)))
    assert cluster_bootstrap(units, mean_of, seed=3) == cluster_bootstrap(units, mean_of, seed=3)
    assert cluster_bootstrap(units, mean_of, seed=3) != cluster_bootstrap(units, mean_of, seed=4)


def test_the_bootstrap_of_means_is_that_of_scipy() -> None:
    units = [[float(n)] for n in range(30)]
    found = cluster_bootstrap(units, mean_of, num_resamples=4_000)
    expected = stats.bootstrap(([float(n) for n in range(30)],), np.mean, n_resamples=4_000, method="percentile", rng=0)
    assert found.low == pytest.approx(expected.confidence_interval.low, abs=0.25)
    assert found.high == pytest.approx(expected.confidence_interval.high, abs=0.25)
    assert (found.value, found.n) == (14.5, 30)
    assert cluster_bootstrap(units[:1], mean_of).high == math.inf  # one video says nothing of others


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (5, 0), (7, 2), (2, 7), (30, 12), (10, 10)])
def test_mcnemar_is_the_exact_binomial_test(wins: int, losses: int) -> None:
    expected = stats.binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    assert mcnemar_p(wins, losses) == pytest.approx(expected)


def test_paired_comparison() -> None:
    first = {"a": 1.0, "b": 1.0, "c": 0.0, "d": 1.0, "x": 1.0}
    second = {"a": 0.0, "b": 1.0, "c": 1.0, "d": 0.0, "y": 0.0, "z": 0.0}
    found = compare_paired(first, second)
    assert (found.wins, found.losses, found.only_first, found.only_second) == (2, 1, 1, 2)
    assert (found.test, found.p_value) == ("mcnemar", 1.0)
    assert (found.difference.value, found.difference.n) == (0.25, 4)
    assert found.difference.half_width == pytest.approx(1.959964 * stats.sem([1, 0, -1, 1]), rel=1e-6)
    clustered = compare_paired(first, second, {"a": "v", "b": "v", "c": "w", "d": "w"})
    assert clustered.test == "sign_flip"
    assert math.isnan(compare_paired({"a": 1.0}, {"b": 1.0}).p_value)
    assert compare_paired({"a": 0.5}, {"a": 0.25}).difference.high == math.inf
    one_video = dict.fromkeys(first, "v")
    assert compare_paired(first, second, one_video).difference.low == -math.inf


def test_sign_flips_match_all_flips_and_respect_clusters() -> None:
    differences = [1.0, 1.0, 1.0, -1.0, 1.0, 1.0, 1.0]
    assert sign_flip_p(differences, list("abcdefg")) == pytest.approx(mcnemar_p(6, 1), abs=0.02)
    assert sign_flip_p([1.0] * 12, ["a"] * 12) == 1.0  # one video says nothing
    assert sign_flip_p([0.0, 0.0], ["a", "b"]) == 1.0


def test_a_paired_test_is_wrong_as_often_as_stated() -> None:
    """Two equal models on questions that share videos: 5 % are found different."""
    rng = np.random.default_rng(2)
    found = 0
    for seed in range(200):
        values, clusters = correlated(rng, num_clusters=30)
        others, _ = correlated(rng, num_clusters=30)
        differences = [a - b for a, b in zip(values, others, strict=True)]
        found += sign_flip_p(differences, clusters, seed, num_flips=400) < 0.05
    assert 0.01 <= found / 200 <= 0.10


def test_repeated_answers_by_hand() -> None:
    found = repeated(
        [[1, 1, 0], [0, 0, 0], [1, 0, 0], [1, 1, 1]],
        [["B", "B", "C"], ["A", None, None], ["B", "A", None], ["B", "B", "B"]],
    )
    assert found.num_questions == 4
    assert found.expected_accuracy == pytest.approx(6 / 12)
    assert found.consensus_accuracy == 2 / 4
    assert found.internal_variance == pytest.approx((1 / 3 + 0 + 1 / 3 + 0) / 4)
    assert found.consistency_rate == 2 / 4
    assert found.agreement == pytest.approx((1 / 3 + 0 + 0 + 1) / 4)
    assert found.plurality_accuracy == pytest.approx((1 + 0 + 0.5 + 1) / 4)


def test_repeated_answers_that_say_nothing() -> None:
    assert math.isnan(repeated([], []).expected_accuracy)
    once = repeated([[1.0]], [["A"]])
    assert once.expected_accuracy == 1.0 and math.isnan(once.agreement) and math.isnan(once.internal_variance)
    with pytest.raises(ValueError, match="2 scores and 1 answers"):
        repeated([[1.0, 0.0]], [["A"]])


def test_questions_needed() -> None:
    assert questions_needed(0.05, discordant=0.2) == math.ceil((1.959964 + 0.841621) ** 2 * (0.2 - 0.0025) / 0.0025)
    assert questions_needed(0.05, discordant=0.2, design_effect=2.0) == pytest.approx(1241, abs=1)
    assert independent_discordant(0.5, 0.6) == pytest.approx(0.5)
    for wrong in (0.0, 0.3, -0.1):
        with pytest.raises(ValueError, match="difference <= discordant"):
            questions_needed(wrong, discordant=0.2)


def test_the_difference_seen_is_the_inverse() -> None:
    for difference in (0.01, 0.05, 0.1):
        n = questions_needed(difference, discordant=0.3)
        assert difference_seen(n, discordant=0.3) == pytest.approx(difference, rel=0.01)
    assert difference_seen(2, discordant=0.01) == 0.01
    with pytest.raises(ValueError, match="two questions"):
        difference_seen(1, discordant=0.3)
    with pytest.raises(ValueError, match="power and level"):
        difference_seen(10, discordant=0.3, power=1.0)


def test_as_many_questions_do_find_the_difference_as_often() -> None:
    rng, difference, discordant = np.random.default_rng(3), 0.1, 0.3
    n = questions_needed(difference, discordant=discordant)
    shares = [(discordant + difference) / 2, (discordant - difference) / 2, 1 - discordant]
    found = [mcnemar_p(int(wins), int(losses)) < 0.05 for wins, losses, _ in rng.multinomial(n, shares, size=400)]
    assert 0.70 <= np.mean(found) <= 0.88  # the exact test is a little cautious


def test_what_questions_will_show_is_told_before_they_are_asked() -> None:
    seen, needed = difference_seen(400, discordant=0.5), questions_needed(0.02, discordant=0.5)
    assert told_before(400, 400).startswith(
        f"400 questions about 400 videos show a difference of two models from {seen:.1%} on"
    )
    assert f"2% would take {needed} independent questions" in told_before(400, 400) and needed == 9804
    alike = difference_seen(100, discordant=0.5)
    assert f"from {seen:.1%} ({alike:.1%} if those about one video are all alike) on" in told_before(400, 100)
    assert "1 questions about 1 videos" in told_before(1, 1)
