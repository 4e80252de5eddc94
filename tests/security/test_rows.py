"""The threat table, row by row: where each attack is tried, or why it cannot be tried yet.

Rows 1 to 53 are those of the threat model; files of this folder begin with their number. What another suite tries
already (real clients, faults, vectors) is named here and not written again.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

TRIED: dict[int, tuple[str, ...]] = {
    1: ("security/test_01_front.py", "security/test_matrix.py"),
    2: ("security/test_matrix.py",),
    3: ("security/test_matrix.py",),
    4: ("security/test_04_routes.py", "security/test_matrix.py"),
    5: ("unit/aws/test_sigv4.py", "conformance/aws/test_clients.py"),
    6: ("security/test_06_signatures.py", "wire/api/test_signatures.py"),
    7: ("security/test_06_signatures.py",),
    8: ("security/test_06_signatures.py",),
    10: ("security/test_06_signatures.py",),
    11: ("security/test_11_tokens.py",),
    12: ("security/test_12_revocation.py",),
    13: ("security/test_13_made_again.py",),
    14: ("unit/access/test_authorizer_properties.py", "unit/access/policies/test_properties.py"),
    15: ("security/test_15_assume_role.py",),
    16: ("security/test_16_escalation.py",),
    17: ("unit/registry/templates/test_template.py", "wire/api/test_templates.py"),
    18: ("conformance/iam/test_decisions.py", "unit/access/test_authorizer_properties.py"),
    19: ("security/test_19_abusive_policies.py", "unit/access/policies/test_document.py"),
    20: ("security/test_20_names_and_tags.py",),
    21: ("security/test_20_names_and_tags.py", "unit/server/test_listeners.py"),
    22: ("security/test_22_addresses.py",),
    23: ("security/test_23_no_existence_oracle.py",),
    24: ("security/test_23_no_existence_oracle.py",),
    25: ("security/test_04_routes.py", "wire/registry/test_traps.py::test_trap_17_mounts"),
    26: ("faults/test_garbage.py", "wire/registry/test_kept.py"),
    27: ("wire/registry/test_traps.py::test_trap_8_bad_digest_by_every_way_stores_nothing",),
    28: ("wire/registry/test_traps.py::test_trap_12_of_twenty_pushes_at_once_exactly_one_wins",),
    29: (
        "security/test_20_names_and_tags.py",
        "wire/registry/test_traps.py::test_trap_24_hostile_paths_are_refused_in_json",
    ),
    30: ("security/test_30_uploads.py",),
    31: ("wire/registry/test_framing.py",),
    32: ("wire/registry/test_traps.py::test_trap_24_nothing_echoed_becomes_a_header",),
    33: ("wire/test_egress.py",),
    34: ("wire/test_upstream_client.py", "wire/test_pull_through.py"),
    36: (
        "wire/registry/test_traps.py::test_malformed_manifests_are_refused",
        "wire/registry/test_traps.py::test_manifest_of_35_000_layers_is_answered_and_holds_nobody_up",
    ),
    38: ("security/test_38_secrets.py",),
    39: ("wire/test_audit.py",),
    40: ("faults/test_tampering.py::test_no_plaintext_is_on_the_disk", "security/test_38_secrets.py"),
    41: ("faults/test_tampering.py::test_a_damaged_file_is_never_served_wrong", "store/blobs/test_format.py"),
    45: (
        "wire/api/test_web_identity.py::test_forged_tokens_are_refused",
        "unit/access/web_identity/test_token.py",
    ),
    46: ("security/test_22_addresses.py",),
    47: ("security/test_47_throttle.py", "unit/access/test_throttle.py"),
    48: ("wire/test_tls.py",),
    49: ("security/test_49_bootstrap.py",),
    51: ("wire/test_pull_through.py", "wire/api/test_templates.py"),
    52: ("security/test_19_abusive_policies.py",),
    53: ("security/test_12_revocation.py", "wire/test_revoke.py"),
}
NOT_YET = {
    9: "a cache of signatures seen is optional, and not built",
    35: "layers are not unpacked before there is scanning",
    37: "there is no gallery",
    42: "there are no KMS keys but the root key",
    43: "a repository has no key of its own to shred",
    44: "keys are not rotated",
    50: "a release is not packaged",
}


def test_every_row_is_tried_or_has_a_reason() -> None:
    assert sorted([*TRIED, *NOT_YET]) == list(range(1, 54))


@pytest.mark.parametrize(
    ("row", "place"), [(row, place) for row, places in TRIED.items() for place in places]
)
def test_what_a_row_names_is_there(row: int, place: str) -> None:
    name, _, test = place.partition("::")
    tree = ast.parse((TESTS / name).read_text(encoding="utf-8"))
    tests = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]

    assert test in tests if test else any(each.startswith("test_") for each in tests), row
