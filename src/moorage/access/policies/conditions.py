"""A condition: one operator, one key, its values. Which key is missing, and what that means, is decided here."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from moorage.access.policies import values
from moorage.access.policies.operators import Operator, Test
from moorage.access.policies.syntax import Effect
from moorage.access.policies.variables import Context, Template

Condition = Callable[[Context], bool]


def condition(operator: Operator | None, key: str, patterns: Sequence[Template], effect: Effect) -> Condition:
    """`key` in lower case. An operator that nobody knows (None) never allows, and always denies."""
    if operator is None:
        return lambda context: effect == "Deny"
    if operator.family is None:
        return _null(key, patterns)
    test = operator.family.build(patterns)
    wanted = not operator.is_negated
    missing = when_missing(operator, effect)
    if operator.quantifier:
        return _quantified(key, test, wanted, missing, all if operator.quantifier == "all" else any)
    return _single(key, test, wanted, missing)


def when_missing(operator: Operator, effect: Effect) -> bool:
    """What is true of a key that the request does not have."""
    if operator.quantifier == "all":
        return True
    if operator.quantifier == "any":
        # Amazon's guide can be read either way; so it errs on the side of refusing.
        return operator.if_exists and effect == "Deny"
    return operator.if_exists or operator.is_negated


def _single(key: str, test: Test, wanted: bool, missing: bool) -> Condition:
    def holds(context: Context) -> bool:
        value = context.get(key)
        if value is None or value == ():
            return missing
        # Many values want ForAnyValue or ForAllValues.
        return isinstance(value, str) and test(value, context) is wanted

    return holds


def _quantified(
    key: str, test: Test, wanted: bool, missing: bool, aggregate: Callable[[list[bool]], bool]
) -> Condition:
    """A negated operator is negated for each value, not for all together."""

    def holds(context: Context) -> bool:
        value = context.get(key)
        if value is None or value == ():
            return missing
        each = (value,) if isinstance(value, str) else value
        return aggregate([test(one, context) is wanted for one in each])

    return holds


def _null(key: str, patterns: Sequence[Template]) -> Condition:
    texts = [pattern.text({}) for pattern in patterns]
    accepted = {values.truth(text) for text in texts if text is not None} - {None}
    return lambda context: (context.get(key) in (None, ())) in accepted
