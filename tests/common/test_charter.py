"""The charter: what it refuses to say, what its digest covers, and whose signatures it needs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from common.charter import Charter, CharterInvalid, ServerTraining, SignedCharter, TensorClip
from common.evaluation import MetricsTerms
from common.model.closed_form import StatisticsTerms
from common.privacy.accountant import Mechanism
from common.privacy.plan import PrivacyPlan
from common.robust import RobustTerms

Draft = Callable[..., Charter]
Identity = Callable[[str], Ed25519PrivateKey]


def all_signed(charter: Charter, identity: Identity) -> SignedCharter:
    signed = SignedCharter(charter=charter)
    for member in charter.members:
        signed = signed.signed_by(member.platform, identity(member.platform))
    return signed


def test_with_every_signature_it_holds_also_from_a_file(
    draft: Draft, identity: Identity, tmp_path: Path
) -> None:
    signed = all_signed(draft(private=True), identity)
    signed.save(tmp_path / "charter.json")
    loaded = SignedCharter.load(tmp_path / "charter.json")
    assert loaded == signed
    assert loaded.verified() == draft(private=True)


def test_the_digest_is_frozen(draft: Draft) -> None:
    """Signatures of years ago must still hold: another digest needs another version of the charter."""
    assert draft().digest().hex() == "f17af877280e642e48c5d700fe4ed1c2884ed165d18e723fe113a2502f05c756"
    assert (
        draft(private=True).digest().hex()
        == "13a50dd0b3a6f6429b8990deed79b71e5efa80a16ec507e17726543aecb58fb0"
    )


def test_the_digest_does_not_depend_on_how_the_file_is_laid_out(draft: Draft) -> None:
    def turned(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: turned(inner) for key, inner in reversed(value.items())}
        return [turned(inner) for inner in value] if isinstance(value, list) else value

    charter = draft(private=True)
    other = json.dumps(turned(charter.model_dump(mode="json")), indent=7)
    assert Charter.model_validate_json(other).digest() == charter.digest()


def narrow(charter: Charter, clip: float, weight: float = 0.25) -> dict[str, object]:
    """The same charter on a ring of 16 bits, its four weights equal and its vector one tensor."""
    members = tuple(member.model_copy(update={"weight": weight}) for member in charter.members)
    tensors = (TensorClip(size=charter.model.parameters, clip=clip),)
    return {"ring_width": 16, "ring_bits": 16, "ring_tensors": tensors, "members": members}


EDITS: dict[str, Callable[[Charter], dict[str, object]]] = {
    "name": lambda charter: {"name": "second-convoy"},
    "members": lambda charter: {"members": charter.members[::-1]},
    "weight": lambda charter: {
        "members": (charter.members[0].model_copy(update={"weight": 1.5}), *charter.members[1:])
    },
    "colluders": lambda charter: {"colluders": 0},
    "ring_clip": lambda charter: {"ring_clip": 2.0},
    "ring_bits": lambda charter: {"ring_bits": 21},
    "ring_width": lambda charter: narrow(charter, 0.5),
    "ring_tensors": lambda charter: narrow(charter, 0.25),
    "rounds": lambda charter: {"rounds": 4},
    "replay_days": lambda charter: {"replay_days": 7},
    "model": lambda charter: {"model": charter.model.model_copy(update={"basis": "00" * 32})},
    "server": lambda charter: {"server": ServerTraining(learning_rate=0.02)},
    "seed": lambda charter: {"seed": 8},
    "robust": lambda charter: {"robust": RobustTerms(norm_bound=1.0)},
    "statistics": lambda charter: {"statistics": StatisticsTerms(noise_multiplier=None, rank=4)},
    "metrics": lambda charter: {"metrics": MetricsTerms(noise_multiplier=None)},
}


@pytest.mark.parametrize("edit", EDITS)
def test_whatever_is_edited_no_signature_holds_any_more(draft: Draft, identity: Identity, edit: str) -> None:
    signed = all_signed(draft(), identity)
    edited = signed.charter.model_copy(update=EDITS[edit](signed.charter))
    assert edited.digest() != signed.charter.digest()
    with pytest.raises(CharterInvalid, match="is not over this charter"):
        SignedCharter(charter=edited, signatures=signed.signatures).verified()


def test_every_field_is_covered_by_the_test_above(draft: Draft) -> None:
    fixed = {"version", "algorithm", "privacy"}  # one value each, or bound to the members' plans
    assert set(Charter.model_fields) - fixed <= set(EDITS)


def test_whoever_has_not_signed_is_named(draft: Draft, identity: Identity) -> None:
    signed = all_signed(draft(), identity)
    fewer = {name: signature for name, signature in signed.signatures.items() if name != "salt"}
    with pytest.raises(CharterInvalid, match="salt has not signed"):
        SignedCharter(charter=signed.charter, signatures=fewer).verified()


def wrong_signatures(charter: Charter, identity: Identity) -> dict[str, str]:
    right = identity("salt").sign(charter.digest())
    return {
        "another platform's key": identity("amber").sign(charter.digest()).hex(),
        "the digest with another tag": identity("salt").sign(b"hanse" + charter.digest()).hex(),
        "another charter": identity("salt").sign(charter.model_copy(update={"rounds": 9}).digest()).hex(),
        "one bit": (right[:-1] + bytes([right[-1] ^ 1])).hex(),
        "too short": right[:-1].hex(),
        "not hexadecimal": "salt",
        "empty": "",
    }


@pytest.mark.parametrize(
    "wrong",
    [
        "another platform's key",
        "the digest with another tag",
        "another charter",
        "one bit",
        "too short",
        "not hexadecimal",
        "empty",
    ],
)
def test_a_wrong_signature_names_its_platform(draft: Draft, identity: Identity, wrong: str) -> None:
    signed = all_signed(draft(), identity)
    signatures = {**signed.signatures, "salt": wrong_signatures(signed.charter, identity)[wrong]}
    with pytest.raises(CharterInvalid, match="signature of salt is not over this charter") as caught:
        SignedCharter(charter=signed.charter, signatures=signatures).verified()
    assert caught.value.exit_code == 2


def test_a_strangers_signature_changes_nothing(draft: Draft, identity: Identity) -> None:
    signed = all_signed(draft(), identity).signed_by("visby", identity("visby"))
    assert signed.verified() == draft()
    with pytest.raises(CharterInvalid, match="visby is not on the roster"):
        signed.charter.member("visby")


def test_what_a_charter_may_not_say(draft: Draft, plan: PrivacyPlan) -> None:
    one, two, three, four = draft().members
    private = one.model_copy(update={"privacy": plan})
    for fields, why in (
        ({"private": True, "seed": 1}, "seed makes noise removable"),
        ({"seed": None}, "seed"),
        ({"members": (one, two)}, "2 platforms: a sum of fewer than 3"),
        ({"members": (one, two, three), "colluders": 2}, "3 platforms: a sum of fewer than 4"),
        ({"members": (one, two, three, one)}, "twice"),
        ({"members": (private, two, three, four)}, "all members have a plan, or none"),
        ({"privacy": "local", "seed": None}, "all members have a plan, or none"),
        ({"ring_bits": 23}, "ring_bits"),
        ({"rounds": 0}, "rounds"),
        ({"colluders": -1}, "colluders"),
        ({"algorithm": "none"}, "algorithm"),
        ({"server": {"beta1": 1.0}}, "beta1"),
        ({"remark": ""}, "remark"),
        ({"private": True, "rounds": plan.rounds + 1}, "pays for fewer rounds"),
        ({"members": (one, two, three, four.model_copy(update={"weight": 129.0}))}, "no headroom"),
        ({"ring_clip": float("inf")}, "not a positive number"),
        ({"members": (one, two, three.model_copy(update={"public_key": one.public_key}))}, "share an ident"),
    ):
        with pytest.raises(ValidationError, match=why):
            draft(**fields)


def test_what_a_charter_may_not_say_of_a_ring_of_16_bits(draft: Draft) -> None:
    charter = draft()
    good = narrow(charter, 0.5)
    one, two, three, four = charter.members
    whole = charter.model.parameters
    light = tuple(member.model_copy(update={"weight": 1e-5}) for member in charter.members)
    uneven = tuple(
        member.model_copy(update={"weight": weight})
        for member, weight in zip((one, two, three, four), (0.5, 0.3, 0.1, 0.1), strict=True)
    )
    assert draft(**good).terms().ring.width == 16
    assert draft(**{**good, "members": uneven}).terms().ring.most_weight == 1
    for fields, why in (
        (narrow(charter, 0.5, 0.251), "weights sum to 1.004: the ring holds 1"),
        ({"members": charter.members}, "weights sum to 4|no headroom"),
        ({"members": light}, "below the ring's unit, 1/32768"),
        ({"ring_bits": 17}, "17 bits, not 2 to 16 in lanes of 16"),
        ({"ring_tensors": ()}, "need a clip for each tensor"),
        ({"ring_width": 32}, "they alone"),
        ({"ring_width": 24}, "ring_width"),
        ({"ring_tensors": (TensorClip(size=whole - 1, clip=0.5),)}, "not those of the vector"),
        ({"ring_tensors": (TensorClip(size=whole, clip=1.5),)}, "above the clip of all"),
        ({"ring_tensors": ({"size": whole, "clip": float("inf")},)}, "not a positive number"),
        ({"ring_tensors": ({"size": 0, "clip": 0.5},)}, "ring_tensors.0.size"),
    ):
        with pytest.raises(ValidationError, match=why):
            draft(**{**good, **fields})


def test_tenths_sum_to_one(draft: Draft, identity: Identity) -> None:
    ten = draft(*(f"port-{letter}" for letter in "abcdefghij"))
    assert draft(**narrow(ten, 0.5, 0.1)).terms().ring.width == 16


@pytest.mark.parametrize("field", [{"public_key": "00"}, {"platform": "Salt"}, {"weight": 0.0}, {"extra": 1}])
def test_what_a_member_may_not_be(draft: Draft, field: dict[str, object]) -> None:
    member = draft().members[0]
    with pytest.raises(ValidationError):
        type(member).model_validate({**member.model_dump(), **field})


def test_terms_are_those_of_secure_aggregation(draft: Draft, identity: Identity) -> None:
    charter = draft(colluders=2, ring_clip=0.5, ring_bits=20)
    terms = charter.terms()
    assert terms.charter == charter.digest()
    assert terms.n_min == 4
    assert terms.dimension == charter.model.parameters
    assert (terms.ring.clip, terms.ring.bits) == (0.5, 20)
    assert terms.roster["salt"] == identity("salt").public_key().public_bytes_raw()


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff", b'{"charter": {}, "signatures": {}}', b"[]"])
def test_a_file_that_is_no_charter(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "charter.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CharterInvalid, match="no readable charter") as caught:
        SignedCharter.load(path)
    assert caught.value.exit_code == 2


def test_an_unknown_key_in_the_file_is_refused(draft: Draft, identity: Identity, tmp_path: Path) -> None:
    content = json.loads(all_signed(draft(), identity).model_dump_json())
    content["charter"]["remark"] = "unsigned"
    (tmp_path / "charter.json").write_text(json.dumps(content))
    with pytest.raises(CharterInvalid):
        SignedCharter.load(tmp_path / "charter.json")


@pytest.mark.parametrize(
    ("private", "changes", "reason"),
    [
        (True, {"statistics": StatisticsTerms(noise_multiplier=None, rank=4)}, "carry noise with privacy on"),
        (False, {"statistics": StatisticsTerms(noise_multiplier=1.0, rank=4)}, "none with it off"),
        (False, {"statistics": StatisticsTerms(noise_multiplier=None, rank=17)}, "rank 17 between 16"),
        (True, {"metrics": MetricsTerms(noise_multiplier=None)}, "metrics carry noise with privacy on"),
        (False, {"metrics": MetricsTerms(noise_multiplier=1.0)}, "none with it off"),
        (
            False,
            {
                "statistics": StatisticsTerms(noise_multiplier=None, rank=4),
                "robust": RobustTerms(norm_bound=1.0),
            },
            "one platform could spoil the statistics",
        ),
    ],
)
def test_statistics_that_this_charter_cannot_release(
    draft: Draft, private: bool, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValidationError, match=reason):
        draft(private=private, **changes)


def test_each_purpose_has_a_vector_a_ring_and_a_mechanism_of_its_own(draft: Draft, plan: PrivacyPlan) -> None:
    charter = draft(private=True, statistics=StatisticsTerms(noise_multiplier=5.0, rank=4))
    training, statistics = charter.terms(), charter.terms("statistics")
    assert (training.dimension, statistics.dimension) == (24, 16 * 17 // 2 + 16 * 16)
    assert statistics.ring.clip == 160 + 8 * 5.0
    assert training.digest() != statistics.digest()
    assert charter.mechanism("salt", "train") == plan.per_round
    assert charter.mechanism("salt", "statistics") == Mechanism(5.0, 1.0, 1)
    assert charter.besides_training("salt") == [Mechanism(5.0, 1.0, 1)]
    assert (charter.received("statistics"), charter.received("train")) == (24, 24 + 2 * 16 * 4)
    with pytest.raises(CharterInvalid, match="no rounds of statistics"):
        draft(private=True).mechanism("salt", "statistics")
    assert draft(private=True).besides_training("salt") == []
