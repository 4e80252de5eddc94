"""Lifecycle policies: from the text to rules, refused in AWS's words (ECR user guide, "Lifecycle policy parameters").

The grammar is checked first, member by member, as the JSON schema that AWS's texts come from would; then what a
schema cannot say: priorities, tags, the combinations of counts and storage classes. What AWS does not have stands
under the member `moorage` of a rule, which is an unknown member unless extensions are on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from moorage.base.errors.requests import InvalidParameter

TagStatus = Literal["any", "tagged", "untagged"]
StorageClass = Literal["archive", "standard"]
CountType = Literal["imageCountMoreThan", "sinceImagePulled", "sinceImagePushed", "sinceImageTransitioned"]
Action = Literal["expire", "transition"]

RULES_MAX = 50
WILDCARDS_MAX = 4
ARCHIVED_DAYS_MIN = 90
_INTEGER_MAX = 2_147_483_647
_WHITESPACE = re.compile(r'("(?:[^"\\]|\\.)*")|[ \t\r\n]+')
_UNMAPPED = "Could not map policyString into LifecyclePolicy."
_NO_VARIANT = "instance failed to match exactly one schema (matched 0 out of 2)"


@dataclass(frozen=True, slots=True)
class Rule:
    priority: int
    description: str
    tag_status: TagStatus
    prefixes: tuple[str, ...]
    patterns: tuple[str, ...]
    storage_class: StorageClass
    """Which images it looks at."""
    count_type: CountType | None
    """None: the rule retains what it selects (an extension)."""
    count: int
    """Of images, or of days."""
    action: Action | None
    takes_tags: bool = False
    """Tags expire, not images (an extension)."""

    def selects(self, tags: Sequence[str]) -> bool:
        """Every entry of the list is met by some tag; one tag may meet several."""
        if self.tag_status != "tagged":
            return self.tag_status == "any" or not tags
        return all(any(tag.startswith(prefix) for tag in tags) for prefix in self.prefixes) and all(
            any(matches(pattern, tag) for tag in tags) for pattern in self.patterns
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """Rules in the order in which they apply."""

    rules: tuple[Rule, ...]


def parse(text: str, *, with_extensions: bool = False) -> Policy:
    """Raise `InvalidParameter` for the first thing wrong."""
    try:
        tree = json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_no_number)
    except (ValueError, RecursionError):
        refuse(_UNMAPPED)
    if not isinstance(tree, dict):
        refuse(_UNMAPPED)
    _members(tree, {"rules": _rule_list}, ("rules",))
    for rule in tree["rules"]:
        _check_rule(rule, with_extensions)
    rules = [_rule(rule) for rule in tree["rules"]]
    _check_together(rules)
    return Policy(tuple(sorted(rules, key=lambda rule: rule.priority)))


def compact(text: str) -> str:
    """The same JSON without insignificant whitespace; order of members and spelling of numbers stay."""
    return _WHITESPACE.sub(lambda found: found[1] or "", text)


def matches(pattern: str, tag: str) -> bool:
    """`*` is any number of any characters; nothing else is special. Linear: each literal is looked for once."""
    first, *rest = pattern.split("*")
    if not rest:
        return tag == pattern
    *middle, last = rest
    if not tag.startswith(first) or not tag.endswith(last) or len(tag) < len(first) + len(last):
        return False
    at, end = len(first), len(tag) - len(last)
    for literal in middle:
        found = tag.find(literal, at, end)
        if found < 0:
            return False
        at = found + len(literal)
    return True


def refuse(reason: str) -> NoReturn:
    raise InvalidParameter(
        at="LifecyclePolicyText", constraint=f"Lifecycle policy validation failure: {reason}"
    )


# The grammar

_Check = Callable[[Any], None]


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member stands there twice")
    return members


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _check_rule(rule: Any, with_extensions: bool) -> None:
    members = dict(_RULE)
    required: tuple[str, ...] = ("action", "rulePriority", "selection")
    selection: tuple[str, ...] = ("countNumber", "countType", "tagStatus")
    if with_extensions:
        members["moorage"] = _extensions
    if with_extensions and _extension(rule, "retain"):
        del members["action"]
        required, selection = ("moorage", "rulePriority", "selection"), ("tagStatus",)
    _members(rule, members, required)
    is_retained = "action" not in members
    _members(rule["selection"], _RETAINED if is_retained else _SELECTION, selection)
    if not is_retained:
        _members(rule["action"], _ACTION, ("type",))


def _extension(rule: Any, name: str) -> bool:
    own = rule.get("moorage") if isinstance(rule, dict) else None
    return isinstance(own, dict) and own.get(name) is True


def _members(value: Any, known: Mapping[str, _Check], required: Sequence[str]) -> None:
    """An object of these members, each as its check wants it."""
    _typed(value, "object")
    unknown = sorted(value.keys() - known.keys())
    if unknown:
        refuse(f"object instance has properties which are not allowed by the schema: ({_listed(unknown)})")
    missing = sorted(set(required) - value.keys())
    if missing:
        refuse(f"object has missing required properties ({_listed(missing)})")
    for name, check in known.items():
        if name in value:
            check(value[name])


def _typed(value: Any, *allowed: str) -> None:
    kind = _kind(value)
    if kind not in allowed:
        refuse(
            f"instance type ({kind}) does not match any allowed primitive type (allowed: {_listed(allowed)})"
        )


def _kind(value: Any) -> str:
    return _KINDS[type(value)]


_KINDS = {
    bool: "boolean",
    dict: "object",
    float: "number",
    int: "integer",
    list: "array",
    str: "string",
    type(None): "null",
}


def _positive(value: Any) -> None:
    _typed(value, "integer")
    if value < 1:
        refuse(f"numeric instance is lower than the required minimum (minimum: 1, found: {value})")
    if value > _INTEGER_MAX:
        refuse(
            f"numeric instance is greater than the required maximum (maximum: {_INTEGER_MAX}, found: {value})"
        )


def _text(value: Any) -> None:
    _typed(value, "string")


def _one_of(*values: str) -> _Check:
    def check(value: Any) -> None:
        _text(value)
        if value not in values:
            shown = json.dumps(value)
            refuse(f"instance value ({shown}) not found in enum (possible values: {_listed(values)})")

    return check


def _rule_list(value: Any) -> None:
    _sized(value, RULES_MAX)


def _tag_list(value: Any) -> None:
    _sized(value, None)
    for entry in value:
        _text(entry)


def _sized(value: Any, most: int | None) -> None:
    _typed(value, "array")
    if not value:
        refuse("array is too short: must have at least 1 elements but instance has 0 elements")
    if most is not None and len(value) > most:
        refuse(f"array is too long: must have at most {most} elements but instance has {len(value)} elements")


def _object(value: Any) -> None:
    _typed(value, "object")


def _anything(value: Any) -> None:
    """Which value is right depends on another member."""


def _extensions(value: Any) -> None:
    _members(value, dict.fromkeys(("expireByPull", "expireTag", "retain"), _true), ())
    if len(value) != 1:
        refuse("one of expireByPull, expireTag and retain has to stand under moorage")


def _true(value: Any) -> None:
    if value is not True:
        refuse("an extension of Moorage is true, or it is left out")


def _listed(names: Sequence[str]) -> str:
    return json.dumps(list(names), separators=(",", ":"))


_RULE: dict[str, _Check] = {
    "action": _object,
    "description": _text,
    "rulePriority": _positive,
    "selection": _object,
}
_RETAINED: dict[str, _Check] = {
    "storageClass": _one_of("archive", "standard"),
    "tagPatternList": _tag_list,
    "tagPrefixList": _tag_list,
    "tagStatus": _one_of("any", "tagged", "untagged"),
}
_SELECTION: dict[str, _Check] = {
    "countNumber": _positive,
    "countType": _one_of(
        "imageCountMoreThan", "sinceImagePulled", "sinceImagePushed", "sinceImageTransitioned"
    ),
    "countUnit": _one_of("days"),
    **_RETAINED,
}
_ACTION: dict[str, _Check] = {"targetStorageClass": _anything, "type": _one_of("expire", "transition")}


# What a schema cannot say


def _rule(tree: dict[str, Any]) -> Rule:
    selection = tree["selection"]
    _check_tags(selection)
    rule = Rule(
        priority=tree["rulePriority"],
        description=tree.get("description", ""),
        tag_status=selection["tagStatus"],
        prefixes=tuple(selection.get("tagPrefixList", ())),
        patterns=tuple(selection.get("tagPatternList", ())),
        storage_class=selection.get("storageClass", "standard"),
        count_type=selection.get("countType"),
        count=selection.get("countNumber", 0),
        action=tree["action"]["type"] if "action" in tree else None,
        takes_tags=_extension(tree, "expireTag"),
    )
    if rule.count_type is not None:
        _check_count(rule, selection, tree)
        _check_action(rule, tree["action"])
    if rule.takes_tags:
        _check_tag_rule(rule)
    return rule


def _check_tags(selection: dict[str, Any]) -> None:
    lists = [name for name in ("tagPatternList", "tagPrefixList") if name in selection]
    status = selection["tagStatus"]
    if status == "tagged" and not lists:
        refuse("Must specify tagPrefixList or tagPatternList when tagStatus=TAGGED.")
    if status == "tagged" and len(lists) > 1:
        refuse("Must specify only one of tagPrefixList or tagPatternList when tagStatus=TAGGED.")
    if status != "tagged" and lists:
        refuse(f"Must not specify {lists[0]} when tagStatus={status.upper()}.")
    for pattern in selection.get("tagPatternList", ()):
        if pattern.count("*") > WILDCARDS_MAX:
            refuse(f"A tag pattern must have at most {WILDCARDS_MAX} wildcards: {json.dumps(pattern)}")


def _check_count(rule: Rule, selection: dict[str, Any], tree: dict[str, Any]) -> None:
    is_since = rule.count_type != "imageCountMoreThan"
    if is_since != ("countUnit" in selection):
        refuse(_NO_VARIANT)
    if rule.count_type == "sinceImagePulled" and rule.action != "transition":
        if not _extension(tree, "expireByPull"):
            refuse("countType=sinceImagePulled requires action=TRANSITION.")
    elif _extension(tree, "expireByPull"):
        refuse("moorage.expireByPull needs countType=sinceImagePulled and action=EXPIRE.")
    if rule.count_type == "sinceImageTransitioned":
        if rule.action != "expire":
            refuse("countType=sinceImageTransitioned requires action=EXPIRE.")
        if rule.storage_class != "archive":
            refuse("countType=sinceImageTransitioned requires storageClass=ARCHIVE.")
        if rule.count < ARCHIVED_DAYS_MIN:
            refuse(f"countNumber must be at least {ARCHIVED_DAYS_MIN} when countType=sinceImageTransitioned.")
    elif rule.storage_class != "standard":
        refuse(f"countType={rule.count_type} requires storageClass=STANDARD.")


def _check_action(rule: Rule, action: dict[str, Any]) -> None:
    is_named = "targetStorageClass" in action
    if rule.action == "expire" and is_named:
        refuse(_NO_VARIANT)
    if rule.action == "transition" and action.get("targetStorageClass") != "archive":
        refuse(_NO_VARIANT)


def _check_tag_rule(rule: Rule) -> None:
    if rule.tag_status != "tagged" or rule.storage_class != "standard" or rule.action != "expire":
        refuse("moorage.expireTag needs tagStatus=TAGGED, storageClass=STANDARD and action=EXPIRE.")
    if rule.count_type not in ("imageCountMoreThan", "sinceImagePushed"):
        refuse("moorage.expireTag needs countType=imageCountMoreThan or sinceImagePushed.")


def _check_together(rules: Sequence[Rule]) -> None:
    if len({rule.priority for rule in rules}) < len(rules):
        refuse("Rule priorities must be unique")
    _check_storage_class([rule for rule in rules if rule.storage_class == "standard"])
    _check_storage_class([rule for rule in rules if rule.storage_class == "archive"])


def _check_storage_class(rules: Sequence[Rule]) -> None:
    on_images = [rule for rule in rules if not rule.takes_tags]
    if sum(rule.tag_status == "untagged" for rule in on_images) > 1:
        refuse("Only one rule can select Untagged images per storage class")
    last = max((rule.priority for rule in on_images), default=0)
    if any(rule.tag_status == "any" and rule.priority < last for rule in on_images):
        refuse("Rule for tagStatus=ANY must have the lowest priority per storage class")
    for entries in ([set(rule.prefixes) for rule in on_images], [set(rule.patterns) for rule in on_images]):
        if sum(map(len, entries)) > len(set().union(*entries)):
            refuse("Tag prefixes and patterns must be unique across the rules of a storage class")
