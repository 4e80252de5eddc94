"""What is said about each image agrees with what is done with it."""

import json

from hypothesis import given
from hypothesis import strategies as st

from moorage.registry.lifecycle.evaluate import DAY, ImageFacts, evaluate, sightings, without_waiting
from moorage.registry.lifecycle.explanation import Explanation, explain
from moorage.registry.lifecycle.policy import Policy, parse
from moorage.registry.lifecycle.tags import TagFacts

from .running import older_than, policy_of
from .test_evaluate import NOW, images, policies

RELEASES = {
    "tagStatus": "tagged",
    "tagPatternList": ["v*"],
    "countType": "imageCountMoreThan",
    "countNumber": 100,
}
NEWEST = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1}


def image(number: int, *tags: str, parents: tuple[str, ...] = ()) -> ImageFacts:
    """The higher its number, the younger."""
    return ImageFacts(number, f"sha256:{number}", tags, NOW - (100 - number) * DAY, parents=parents)


def explained(*known: ImageFacts, policy: str) -> dict[str, Explanation]:
    return {each.image.digest: each for each in explain(known, (), parse(policy), NOW)}


@given(images(), policies())
def test_what_goes_is_what_would_be_taken_without_waiting(known: list[ImageFacts], policy: Policy) -> None:
    going = {each.image.digest: each.action for each in without_waiting(evaluate(known, policy, NOW))}

    found = explain(known, (), policy, NOW)

    assert {each.image.digest: each.action for each in found if each.action} == going
    assert [each.position for each in found] == sorted((each.age_key, each.digest) for each in known)


@given(images(), policies())
def test_the_first_rule_that_identifies_an_image_is_the_one_that_settles_it(
    known: list[ImageFacts], policy: Policy
) -> None:
    found = sightings(known, policy, NOW)

    for decision in evaluate(known, policy, NOW).decisions:
        identified = found.get(decision.image.id, [])
        assert (identified[0].rule if identified else None) == decision.rule
        priorities = [each.rule.priority for each in identified]
        assert priorities == sorted(priorities)
        if decision.action is not None:
            assert identified[0].is_marking


@given(images(), policies(), st.randoms())
def test_the_order_of_images_plays_no_part(known: list[ImageFacts], policy: Policy, random: object) -> None:
    shuffled = list(known)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    assert explain(shuffled, (), policy, NOW) == explain(known, (), policy, NOW)


def test_a_rule_that_marks_an_image_in_vain_is_named() -> None:
    found = explained(image(1, "v1"), image(2, "v2"), policy=policy_of(RELEASES, NEWEST))

    kept = found["sha256:1"]
    assert (kept.action, kept.rule.priority if kept.rule else None) == (None, 1)
    assert [(each.rule.priority, each.is_marking, each.why) for each in kept.identified_by] == [
        (1, False, "it is among the newest 100 that the rule selects"),
        (2, True, "it is not among the newest 1 that the rule selects"),
    ]


def test_a_child_names_the_index_for_which_it_stays() -> None:
    child = image(1, parents=("sha256:2", "sha256:3"))
    going, staying = image(2), image(3, "v1")

    found = explained(child, going, staying, policy=policy_of(RELEASES, older_than(5)))

    assert found["sha256:1"].held_by == ("sha256:3",)
    assert found["sha256:1"].action is None
    assert found["sha256:1"].why.endswith(", but an index that stays has it")
    assert (found["sha256:2"].action, found["sha256:2"].held_by) == ("expire", ())


def test_a_child_goes_to_the_archive_after_its_index() -> None:
    archived = ImageFacts(2, "sha256:2", (), NOW - 9 * DAY, "ARCHIVED", archived=NOW - DAY)
    policy = policy_of(older_than(5), action={"type": "transition", "targetStorageClass": "archive"})

    found = explained(image(1, parents=("sha256:2",)), archived, policy=policy)

    assert (found["sha256:1"].action, found["sha256:1"].held_by) == ("transition", ())


def test_an_image_in_use_says_by_whom() -> None:
    used = ImageFacts(1, "sha256:1", (), NOW - 9 * DAY, used_by="cluster-1")

    (found,) = explain([used], (), parse(policy_of(older_than(5))), NOW)

    assert found.action is None
    assert found.why.endswith("but it is in use by cluster-1")
    assert [each.is_marking for each in found.identified_by] == [True]


def test_tags_that_expire_stand_with_their_image() -> None:
    selection = {
        "tagStatus": "tagged",
        "tagPatternList": ["b*"],
        "countType": "imageCountMoreThan",
        "countNumber": 1,
    }
    rule = {
        "rulePriority": 7,
        "selection": selection,
        "action": {"type": "expire"},
        "moorage": {"expireTag": True},
    }
    policy = parse(json.dumps({"rules": [rule]}), with_extensions=True)
    known = [image(1, "b1", "x"), image(2, "b2")]
    tags = [TagFacts("b1", "sha256:1", 1), TagFacts("b2", "sha256:2", 2), TagFacts("x", "sha256:1", 0)]

    found = explain(known, tags, policy, NOW)

    assert [[(tag, rule.priority) for tag, rule in each.expiring_tags] for each in found] == [[("b1", 7)], []]
    assert [each.takes_something for each in found] == [True, False]
    assert found[0].identified_by == ()
